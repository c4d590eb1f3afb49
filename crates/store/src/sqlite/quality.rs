//! What runs are like, and the verdict on them: kept here, judged by `model`.
//!
//! Invariants: the profile of a run counts exactly its registered records; the verdict stands in the transaction that
//! ends the run, so nothing is delivered that it holds back.

use super::delivery;
use super::run::{Run, asked, read_id};
use super::sql::{Sql, damaged};
use super::writer::Tx;
use crate::rules;
use crate::{Judged, Result, StoreError};
use model::quality::{BASELINE_RUNS, Grade, Profile, Quality, before};
use model::{SnapshotEvent, SnapshotId, SnapshotState, Timestamp, Trigger};
use rusqlite::Connection;

/// Earlier runs looked at, of which [`BASELINE_RUNS`] over the same sites are compared with; no older ones are kept
/// beyond their retention.
const EARLIER: i64 = 3 * BASELINE_RUNS as i64;

/// Adds what one job was like.
pub(super) fn add(conn: &Connection, run: i64, part: &Profile) -> Result<()> {
    let profile = match of_run(conn, run)? {
        Some(mut whole) => {
            whole.merge(part);
            whole
        }
        None => part.clone(),
    };
    write(conn, run, &profile)
}

fn write(conn: &Connection, run: i64, profile: &Profile) -> Result<()> {
    let text = serde_json::to_string(profile).map_err(damaged)?;
    conn.exec("INSERT OR REPLACE INTO profile VALUES (?1, ?2)", (run, text))?;
    Ok(())
}

fn of_run(conn: &Connection, run: i64) -> Result<Option<Profile>> {
    let text: Option<String> =
        conn.one("SELECT profile FROM profile WHERE snapshot = ?1", [run], |r| r.get(0))?;
    text.map(|text| read(&text)).transpose()
}

fn read(text: &str) -> Result<Profile> {
    serde_json::from_str(text).map_err(damaged)
}

/// The good runs before this one, the newest first.
fn earlier(conn: &Connection, run: i64, alike: &str) -> Result<Vec<(SnapshotId, Profile)>> {
    let rows: Vec<(String, String)> = conn.all(
        "SELECT s.id, p.profile FROM verdict v INDEXED BY verdict_good
             JOIN profile p ON p.snapshot = v.snapshot JOIN snapshot s ON s.k = v.snapshot
         WHERE v.alike = ?1 AND v.good = 1 AND v.snapshot < ?2
             AND v.snapshot >= coalesce((SELECT since FROM normal WHERE alike = ?1), 0)
         ORDER BY v.snapshot DESC LIMIT ?3",
        (alike, run, EARLIER),
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    rows.into_iter().map(|(id, text)| Ok((read_id(&id)?, read(&text)?))).collect()
}

/// The verdict on a run that is about to end, if there is something to judge.
pub(super) fn conclude(conn: &Connection, run: &Run, trigger: &Trigger) -> Result<Option<Quality>> {
    let mut profile = of_run(conn, run.k)?.unwrap_or_default();
    profile.errors.clone_from(&run.error_codes);
    if !profile.can_be_judged() {
        return Ok(None);
    }
    write(conn, run.k, &profile)?;
    let alike = trigger.alike();
    let earlier: Vec<Profile> = earlier(conn, run.k, &alike)?.into_iter().map(|(_, p)| p).collect();
    let (quality, good) = rules::judged(&run.id, &profile, &earlier);
    let text = serde_json::to_string(&quality).map_err(damaged)?;
    conn.exec(
        "INSERT OR REPLACE INTO verdict VALUES (?1, ?2, ?3, ?4, ?5)",
        (run.k, alike, quality.grade.as_str(), text, good),
    )?;
    Ok(Some(quality))
}

/// The verdict on a run, if there is one.
pub(super) fn verdict(conn: &Connection, run: i64) -> Result<Option<Quality>> {
    let text: Option<String> =
        conn.one("SELECT quality FROM verdict WHERE snapshot = ?1", [run], |r| r.get(0))?;
    text.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
}

/// What a run is like, and what it is compared with.
pub(super) fn judged(conn: &Connection, id: &SnapshotId) -> Result<Judged> {
    let run = Run::of_id(conn, id)?;
    let mut profile = of_run(conn, run.k)?.unwrap_or_default();
    profile.errors.clone_from(&run.error_codes);
    let (ids, profiles): (Vec<_>, Vec<_>) =
        earlier(conn, run.k, &asked(conn, run.k)?.alike())?.into_iter().unzip();
    let chosen = before(&profile, &profiles);
    let before = ids
        .into_iter()
        .zip(&profiles)
        .filter(|(_, p)| chosen.iter().any(|c| std::ptr::eq(*c, *p)))
        .map(|(id, p)| (id, p.clone()))
        .collect();
    Ok(Judged { profile, before })
}

/// Lets the rows of a run go, and with `accept` makes it what later runs are compared with.
pub(super) fn release(tx: &mut Tx<'_>, id: &SnapshotId, accept: bool, now: Timestamp) -> Result<()> {
    let mut run = Run::of_id(tx.conn, id)?;
    let held = run.state == SnapshotState::Quarantined;
    if held {
        run.advance(SnapshotEvent::Release, "the snapshot is not held back")?;
        delivery::released(tx, &run, asked(tx.conn, run.k)?.force_deliver, now)?;
    } else if !accept || run.state != SnapshotState::Ready {
        return Err(StoreError::Conflict("the snapshot is not held back"));
    }
    if accept {
        let alike: Option<String> =
            tx.conn.one("UPDATE verdict SET good = 1 WHERE snapshot = ?1 RETURNING alike", [run.k], |r| {
                r.get(0)
            })?;
        let alike = alike.ok_or(StoreError::Conflict("there is no verdict on the snapshot"))?;
        tx.conn.exec(
            "INSERT INTO normal VALUES (?1, ?2) ON CONFLICT (alike) DO UPDATE SET since = excluded.since",
            (alike, run.k),
        )?;
    }
    run.save(tx)
}

/// Forgets what an expired run was like, unless later ones may be compared with it.
pub(super) fn sweep(conn: &Connection, run: i64) -> Result<usize> {
    conn.exec(
        "DELETE FROM profile WHERE snapshot = ?1 AND (
             NOT EXISTS (SELECT 1 FROM verdict WHERE snapshot = ?1 AND good = 1)
             OR EXISTS (SELECT 1 FROM verdict n INDEXED BY verdict_good
                        WHERE n.good = 1 AND n.snapshot > ?1
                            AND n.alike = (SELECT alike FROM verdict WHERE snapshot = ?1) LIMIT 1 OFFSET ?2))",
        (run, EARLIER - 1),
    )
}

/// Verdicts by grade.
pub(super) fn grades(conn: &Connection) -> Result<std::collections::BTreeMap<&'static str, u64>> {
    let mut grades = std::collections::BTreeMap::new();
    for grade in Grade::ALL {
        let n = conn.one(
            "SELECT count(*) FROM verdict INDEXED BY verdict_grade WHERE grade = ?1",
            [grade.as_str()],
            |r| r.get::<_, i64>(0),
        )?;
        grades.insert(grade.as_str(), n.map_or(0, super::sql::uint));
    }
    Ok(grades)
}
