//! What runs are like, and the verdict on them: kept here, judged by `model`.
//!
//! Invariants: the profile of a run counts exactly its registered records; the verdict stands in the transaction that
//! ends the run, so nothing is delivered that it holds back.

use super::delivery;
use super::run::{Run, asked, key_of, read_id};
use super::sql::{count, damaged, get};
use super::tx::Tx;
use crate::rules;
use crate::{Judged, Result, StoreError};
use model::quality::{BASELINE_RUNS, Grade, Profile, Quality, before};
use model::{SnapshotEvent, SnapshotId, SnapshotState, Timestamp, Trigger};
use std::collections::BTreeMap;

/// Earlier runs looked at, of which [`BASELINE_RUNS`] over the same sites are compared with; no older ones are kept
/// beyond their retention.
const EARLIER: i64 = 3 * BASELINE_RUNS as i64;

/// Adds what one job was like. The run is locked.
pub(super) async fn add(tx: &Tx, run: i64, part: &Profile) -> Result<()> {
    let profile = match of_run(tx, run).await? {
        Some(mut whole) => {
            whole.merge(part);
            whole
        }
        None => part.clone(),
    };
    write(tx, run, &profile).await
}

async fn write(tx: &Tx, run: i64, profile: &Profile) -> Result<()> {
    let text = serde_json::to_string(profile).map_err(damaged)?;
    let sql =
        "INSERT INTO profile VALUES ($1, $2) ON CONFLICT (snapshot) DO UPDATE SET profile = excluded.profile";
    tx.exec(sql, &[&run, &text]).await.map(drop)
}

async fn of_run(tx: &Tx, run: i64) -> Result<Option<Profile>> {
    let row = tx.one("SELECT profile FROM profile WHERE snapshot = $1", &[&run]).await?;
    row.map(|row| read(get(&row, 0)?)).transpose()
}

fn read(text: &str) -> Result<Profile> {
    serde_json::from_str(text).map_err(damaged)
}

/// The good runs before this one, the newest first.
async fn earlier(tx: &Tx, run: i64, alike: &str) -> Result<Vec<(SnapshotId, Profile)>> {
    let rows = tx
        .all(
            "SELECT s.id, p.profile FROM verdict v
                 JOIN profile p ON p.snapshot = v.snapshot JOIN snapshot s ON s.k = v.snapshot
             WHERE v.alike = $1 AND v.good AND v.snapshot < $2
                 AND v.snapshot >= coalesce((SELECT since FROM normal WHERE alike = $1), 0)
             ORDER BY v.snapshot DESC LIMIT $3",
            &[&alike, &run, &EARLIER],
        )
        .await?;
    rows.iter().map(|row| Ok((read_id(get(row, 0)?)?, read(get(row, 1)?)?))).collect()
}

/// The verdict on a run that is about to end, if there is something to judge.
pub(super) async fn conclude(tx: &Tx, run: &Run, trigger: &Trigger) -> Result<Option<Quality>> {
    let mut profile = of_run(tx, run.k).await?.unwrap_or_default();
    profile.errors.clone_from(&run.error_codes);
    if !profile.can_be_judged() {
        return Ok(None);
    }
    write(tx, run.k, &profile).await?;
    let alike = trigger.alike();
    let earlier: Vec<Profile> = earlier(tx, run.k, &alike).await?.into_iter().map(|(_, p)| p).collect();
    let (quality, good) = rules::judged(&run.id, &profile, &earlier);
    let text = serde_json::to_string(&quality).map_err(damaged)?;
    tx.exec(
        "INSERT INTO verdict VALUES ($1, $2, $3, $4, $5) ON CONFLICT (snapshot) DO UPDATE
             SET alike = excluded.alike, grade = excluded.grade, quality = excluded.quality, good = excluded.good",
        &[&run.k, &alike, &quality.grade.as_str(), &text, &good],
    )
    .await?;
    Ok(Some(quality))
}

/// The verdict on a run, if there is one.
pub(super) async fn verdict(tx: &Tx, run: i64) -> Result<Option<Quality>> {
    let row = tx.one("SELECT quality FROM verdict WHERE snapshot = $1", &[&run]).await?;
    row.map(|row| serde_json::from_str(get(&row, 0)?).map_err(damaged)).transpose()
}

/// What a run is like, and what it is compared with.
pub(super) async fn judged(tx: &Tx, id: &SnapshotId) -> Result<Judged> {
    let run = Run::look(tx, key_of(tx, id).await?).await?;
    let mut profile = of_run(tx, run.k).await?.unwrap_or_default();
    profile.errors.clone_from(&run.error_codes);
    let alike = asked(tx, run.k).await?.alike();
    let (ids, profiles): (Vec<_>, Vec<_>) = earlier(tx, run.k, &alike).await?.into_iter().unzip();
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
pub(super) async fn release(tx: &mut Tx, id: &SnapshotId, accept: bool, now: Timestamp) -> Result<()> {
    let mut run = Run::lock_id(tx, id).await?;
    let held = run.state == SnapshotState::Quarantined;
    if held {
        run.advance(SnapshotEvent::Release, "the snapshot is not held back")?;
        let force_deliver = asked(tx, run.k).await?.force_deliver;
        delivery::released(tx, &run, force_deliver, now).await?;
    } else if !accept || run.state != SnapshotState::Ready {
        return Err(StoreError::Conflict("the snapshot is not held back"));
    }
    if accept {
        let row =
            tx.one("UPDATE verdict SET good = true WHERE snapshot = $1 RETURNING alike", &[&run.k]).await?;
        let row = row.ok_or(StoreError::Conflict("there is no verdict on the snapshot"))?;
        tx.exec(
            "INSERT INTO normal VALUES ($1, $2) ON CONFLICT (alike) DO UPDATE SET since = excluded.since",
            &[&get::<&str>(&row, 0)?, &run.k],
        )
        .await?;
    }
    run.save(tx).await
}

/// Forgets what an expired run was like, unless later ones may be compared with it.
pub(super) async fn sweep(tx: &Tx, run: i64) -> Result<u64> {
    tx.exec(
        "DELETE FROM profile WHERE snapshot = $1 AND (
             NOT EXISTS (SELECT 1 FROM verdict WHERE snapshot = $1 AND good)
             OR EXISTS (SELECT 1 FROM verdict n WHERE n.good AND n.snapshot > $1
                            AND n.alike = (SELECT alike FROM verdict WHERE snapshot = $1) LIMIT 1 OFFSET $2))",
        &[&run, &(EARLIER - 1)],
    )
    .await
}

/// Verdicts by grade.
pub(super) async fn grades(tx: &Tx) -> Result<BTreeMap<&'static str, u64>> {
    let mut grades: BTreeMap<_, _> = Grade::ALL.iter().map(|grade| (grade.as_str(), 0)).collect();
    for row in tx.all("SELECT grade, count(*) FROM verdict GROUP BY grade", &[]).await? {
        let grade: &str = get(&row, 0)?;
        if let Some(n) = grades.get_mut(grade) {
            *n = count(&row, 1)?;
        }
    }
    Ok(grades)
}
