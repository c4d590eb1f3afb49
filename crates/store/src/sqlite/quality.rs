//! What runs are like, and the verdict on them: kept here, judged by `model`.
//!
//! Invariants: the profile of a run counts exactly its registered records; the verdict stands in the transaction that
//! ends the run, so nothing is delivered that it holds back.

use super::delivery;
use super::run::{Run, asked, read_id};
use super::sql::{Sql, damaged};
use super::writer::Tx;
use crate::{Judged, Result, StoreError};
use model::quality::{BASELINE_RUNS, Grade, Profile, Quality, before, judge};
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
    let quality = judge(&profile, &before(&profile, &earlier));
    match quality.grade {
        Grade::Ok => {}
        Grade::Warn => {
            tracing::info!(snapshot = %run.id, reasons = ?quality.reasons, "the quality gate warns")
        }
        Grade::Fail => {
            tracing::warn!(snapshot = %run.id, reasons = ?quality.reasons, "failed by the quality gate")
        }
    }
    let good = quality.grade != Grade::Fail && profile.is_an_example();
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

#[cfg(test)]
mod tests {
    use super::super::sql::int;
    use super::*;
    use crate::{Claim, Commit, NewSnapshot, SqliteStore, Store};
    use model::{
        Cargo, DatasetId, Delivery, DeliveryId, DeliveryState, Destination, Door, Input, Outcome, Promise,
        Record, Segment,
    };

    fn trigger(quarantine: bool) -> Trigger {
        Trigger {
            dataset_id: DatasetId("gd_x".into()),
            scraper: "x".into(),
            scraper_version: "1".into(),
            door: Door::Collect,
            include_errors: true,
            custom_output_fields: None,
            custom_input_fields: Vec::new(),
            limit_per_input: None,
            limit_multiple_results: None,
            deadline: None,
            discover_only: false,
            force_deliver: false,
            promises: Vec::new(),
            notice: None,
            quarantine,
            express: false,
            wishes: model::Wishes::default(),
            origin: model::Origin::default(),
        }
    }

    fn at(n: u64) -> Timestamp {
        Timestamp::from_ms(1_000 * int(n))
    }

    fn promise(snapshot: &SnapshotId, n: u64) -> Delivery {
        let destination =
            Destination::Webhook { endpoint: "http://h/".into(), auth_header: None, headers: Vec::new() };
        Delivery {
            id: DeliveryId::new(at(n), n),
            snapshot: snapshot.clone(),
            cargo: Cargo::Rows(Promise {
                destination,
                format: model::Format::Json,
                compress: false,
                batch_size: None,
                stream: false,
                file_template: None,
                notify: None,
            }),
            state: DeliveryState::Held,
            parts_done: 0,
            failures: 0,
            failing_since: None,
            last_error: None,
            files: Vec::new(),
            created_at: at(n),
        }
    }

    /// A run of twenty inputs in two slices, each a record with that price.
    async fn run(store: &SqliteStore, n: u64, price: &str, quarantine: bool) -> SnapshotId {
        let id = SnapshotId::new(at(n), n);
        let trigger = trigger(quarantine);
        let now = at(n);
        store.begin(NewSnapshot { id: id.clone(), trigger: trigger.clone(), now }).await.unwrap();
        let input = |root: u64| Input::given(root, format!("{{\"url\":\"http://h/{root}\"}}"), "h".into());
        let slices = vec![(0..10).map(input).collect(), (10..20).map(input).collect()];
        store.add(&id, slices, now).await.unwrap();
        let deliveries = vec![promise(&id, n)];
        store.commit(Commit { id: id.clone(), trigger, deliveries, idempotency: None, now }).await.unwrap();
        let claim = Claim {
            jobs: 8,
            express_only: false,
            node: "n".into(),
            now,
            lease_until: now.plus_ms(1_000),
            pass_over: Vec::new(),
        };
        for lease in store.claim(claim).await.unwrap().leases {
            let mut profile = Profile::default();
            let mut outcome = Outcome { settled: 10, ..Outcome::default() };
            for input in &lease.job.inputs {
                let record = Record { root: input.root, json: format!("{{\"price\":{price}}}") };
                profile.row(&record.json);
                let read = model::Fate::Read { records: vec![record.clone()], led: Vec::new() };
                profile.input(input, &read);
                outcome.records.push(record);
            }
            outcome.profile = Some(Box::new(profile));
            let segment = Segment {
                key: format!("{id}/{}", lease.job.id.0),
                records: 10,
                errors: 0,
                record_bytes: 1,
                error_bytes: 0,
                plain_bytes: 1,
                ..Segment::default()
            };
            store.finish(&lease, &outcome, Some(&segment), &[], now).await.unwrap();
        }
        id
    }

    async fn grade(store: &SqliteStore, id: &SnapshotId) -> (SnapshotState, Option<Grade>, DeliveryState) {
        let snapshot = store.snapshot(id).await.unwrap();
        let delivery = store.deliveries(id).await.unwrap().remove(0);
        (snapshot.state, snapshot.grade(), delivery.state)
    }

    #[tokio::test]
    async fn a_failed_run_is_held_back_if_asked_and_released_once() {
        let store = SqliteStore::in_memory().unwrap();
        for n in 1..4 {
            let good = run(&store, n, "7", true).await;
            assert_eq!(
                grade(&store, &good).await,
                (SnapshotState::Ready, Some(Grade::Ok), DeliveryState::Waiting)
            );
        }
        let free = run(&store, 4, "null", false).await;
        assert_eq!(
            grade(&store, &free).await,
            (SnapshotState::Ready, Some(Grade::Fail), DeliveryState::Waiting)
        );
        let held = run(&store, 5, "null", true).await;
        assert_eq!(
            grade(&store, &held).await,
            (SnapshotState::Quarantined, Some(Grade::Fail), DeliveryState::Held)
        );
        let judged = store.quality(&held).await.unwrap();
        assert_eq!((judged.profile.rows, judged.before.len()), (20, 3), "bad runs are no example");
        store.release(&held, false, at(6)).await.unwrap();
        assert_eq!(
            grade(&store, &held).await,
            (SnapshotState::Ready, Some(Grade::Fail), DeliveryState::Waiting)
        );
        let again = store.release(&held, false, at(6)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        let still = run(&store, 7, "null", true).await;
        assert_eq!(grade(&store, &still).await.0, SnapshotState::Quarantined, "released is not accepted");
        assert_eq!(store.gauges().await.unwrap().grades, [("ok", 3), ("warn", 0), ("fail", 3)].into());
    }

    #[tokio::test]
    async fn what_is_accepted_is_the_new_normal() {
        let store = SqliteStore::in_memory().unwrap();
        for n in 1..4 {
            run(&store, n, "7", true).await;
        }
        let held = run(&store, 4, "null", true).await;
        store.release(&held, true, at(5)).await.unwrap();
        let next = run(&store, 6, "null", true).await;
        assert_eq!(grade(&store, &next).await.0, SnapshotState::Ready);
        assert_eq!(store.quality(&next).await.unwrap().before.len(), 1);
        let back = run(&store, 7, "7", true).await;
        assert_eq!(grade(&store, &back).await.1, Some(Grade::Ok), "more than before is no failure");
    }

    #[tokio::test]
    async fn an_expired_example_is_still_compared_with() {
        let store = SqliteStore::in_memory().unwrap();
        let first = run(&store, 1, "7", false).await;
        let keys = store.expire(at(100), 100, at(100)).await.unwrap();
        store.forget(&keys).await.unwrap();
        while store.tick(at(100), 1_000).await.unwrap().is_some_and(|due| due <= at(100)) {}
        assert_eq!(store.snapshot(&first).await.unwrap().state, SnapshotState::Expired);
        let held = run(&store, 200, "null", true).await;
        assert_eq!(grade(&store, &held).await.0, SnapshotState::Quarantined);
        assert_eq!(store.quality(&held).await.unwrap().before[0].0, first);
    }
}
