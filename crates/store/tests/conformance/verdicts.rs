//! The quality gate: the verdict stands in the transaction that ends a run, so nothing is delivered that it holds back.

use crate::world::{STARTING_MS, World, at, conflict, input, slices, trigger};
use model::quality::{Grade, Profile};
use model::{DeliveryState, Outcome, Record, SnapshotId, SnapshotState, Timestamp};

fn second(n: u64) -> Timestamp {
    at(1_000 * n as i64)
}

/// A run of twenty inputs in two slices, each a record with that price, with a delivery of rows.
async fn run(world: &World, n: u64, price: &str, quarantine: bool) -> SnapshotId {
    let mut asked = trigger();
    asked.quarantine = quarantine;
    let id = world.promise(&asked, slices("h", 0, 20, 10), second(n), |id| vec![world.rows(id, None)]).await;
    for lease in world.claim(8, second(n)).await {
        let mut profile = Profile::default();
        let mut outcome = Outcome { settled: 10, ..Outcome::default() };
        for input in &lease.job.inputs {
            let record = Record { root: input.root, json: format!("{{\"price\":{price}}}") };
            profile.row(&record.json);
            profile.input(input, &model::Fate::Read { records: vec![record.clone()], led: Vec::new() });
            outcome.records.push(record);
        }
        outcome.profile = Some(Box::new(profile));
        world.finish(&lease, &outcome, second(n)).await.unwrap();
    }
    world.lawful(&id).await;
    id
}

async fn grade(world: &World, id: &SnapshotId) -> (SnapshotState, Option<Grade>, DeliveryState) {
    let snapshot = world.store().snapshot(id).await.unwrap();
    (snapshot.state, snapshot.grade(), world.deliveries(id).await[0])
}

pub(crate) async fn a_failed_run_is_held_back_if_asked_and_released_once(world: &World) {
    let (ready, held_back) = (SnapshotState::Ready, SnapshotState::Quarantined);
    let (ok, fail) = (Some(Grade::Ok), Some(Grade::Fail));
    for n in 1..4 {
        let good = run(world, n, "7", true).await;
        assert_eq!(grade(world, &good).await, (ready, ok, DeliveryState::Waiting));
    }
    let free = run(world, 4, "null", false).await;
    assert_eq!(grade(world, &free).await, (ready, fail, DeliveryState::Waiting));
    let held = run(world, 5, "null", true).await;
    assert_eq!(grade(world, &held).await, (held_back, fail, DeliveryState::Held));
    let judged = world.store().quality(&held).await.unwrap();
    assert_eq!((judged.profile.rows, judged.before.len()), (20, 3), "bad runs are no example");
    world.store().release(&held, false, second(6)).await.unwrap();
    assert_eq!(grade(world, &held).await, (ready, fail, DeliveryState::Waiting));
    conflict(world.store().release(&held, false, second(6)).await);
    let still = run(world, 7, "null", true).await;
    assert_eq!(grade(world, &still).await.0, held_back, "released is not accepted");
    let gauges = world.store().gauges().await.unwrap();
    assert_eq!(gauges.grades, [("ok", 3), ("warn", 0), ("fail", 3)].into());
    let running = world.start(&trigger(), vec![vec![input(0, "a")]], second(8)).await;
    conflict(world.store().release(&running, true, second(8)).await);
}

pub(crate) async fn what_is_accepted_is_the_new_normal(world: &World) {
    for n in 1..4 {
        run(world, n, "7", true).await;
    }
    let held = run(world, 4, "null", true).await;
    world.store().release(&held, true, second(5)).await.unwrap();
    let next = run(world, 6, "null", true).await;
    assert_eq!(grade(world, &next).await.0, SnapshotState::Ready);
    assert_eq!(world.store().quality(&next).await.unwrap().before.len(), 1);
    let back = run(world, 7, "7", true).await;
    assert_eq!(grade(world, &back).await.1, Some(Grade::Ok), "more than before is no failure");
    // A run that is ready may be accepted too.
    world.store().release(&back, true, second(8)).await.unwrap();
    let last = run(world, 9, "null", true).await;
    assert_eq!(grade(world, &last).await.0, SnapshotState::Quarantined);
}

pub(crate) async fn an_expired_example_is_still_compared_with(world: &World) {
    let first = run(world, 1, "7", false).await;
    let keys = world.store().expire(second(100), 100, second(100)).await.unwrap();
    world.store().forget(&keys).await.unwrap();
    let now = second(100);
    while world.store().tick(now, STARTING_MS).await.unwrap().is_some_and(|due| due <= now) {}
    assert_eq!(world.store().snapshot(&first).await.unwrap().state, SnapshotState::Expired);
    let held = run(world, 200, "null", true).await;
    assert_eq!(grade(world, &held).await.0, SnapshotState::Quarantined);
    assert_eq!(world.store().quality(&held).await.unwrap().before[0].0, first);
}

pub(crate) async fn a_notice_is_told_of_a_run_that_is_held_back(world: &World) {
    for n in 1..4 {
        run(world, n, "7", true).await;
    }
    let mut asked = trigger();
    asked.quarantine = true;
    let both = |id: &SnapshotId| vec![world.rows(id, None), world.notice(id)];
    let id = world.promise(&asked, slices("h", 0, 20, 20), second(4), both).await;
    let lease = world.claim_one(second(4)).await;
    let mut profile = Profile::default();
    let mut outcome = Outcome { settled: 20, ..Outcome::default() };
    for input in &lease.job.inputs {
        let record = Record { root: input.root, json: "{\"price\":null}".into() };
        profile.row(&record.json);
        profile.input(input, &model::Fate::Read { records: vec![record.clone()], led: Vec::new() });
        outcome.records.push(record);
    }
    outcome.profile = Some(Box::new(profile));
    world.finish(&lease, &outcome, second(4)).await.unwrap();
    world.expect(&id, SnapshotState::Quarantined).await;
    assert_eq!(world.deliveries(&id).await, [DeliveryState::Held, DeliveryState::Waiting]);
}
