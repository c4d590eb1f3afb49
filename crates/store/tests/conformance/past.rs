//! Retention: runs expire, their bytes are forgotten, and what they leave is swept.

use crate::world::{STARTING_MS, World, at, missing, read, records, slices, trigger};
use model::{ArchivePart, DeliveryState, Outcome, PageKey, SnapshotId, SnapshotState, Timestamp};
use store::{Content, SnapshotFilter};

/// A run that ended then, with one segment for each of `n` inputs.
async fn ended(world: &World, n: u64, now: Timestamp) -> (SnapshotId, Vec<String>) {
    let id = world.start(&trigger(), slices("a", 0, n, 1), now).await;
    world.work_off(now).await;
    let keys = world.segments(&id).await.into_iter().map(|segment| match segment.content {
        Content::Segment(segment) => segment.key,
        Content::Aborted { .. } => panic!("nothing was stopped"),
    });
    (id, keys.collect())
}

async fn expire(world: &World, before: Timestamp, limit: usize) -> Vec<String> {
    let mut keys = world.store().expire(before, limit, before).await.unwrap();
    keys.sort_unstable();
    keys
}

async fn sweep(world: &World, now: Timestamp) {
    while world.store().tick(now, STARTING_MS).await.unwrap().is_some_and(|due| due <= now) {}
}

pub(crate) async fn an_expired_run_gives_its_keys_until_forgotten(world: &World) {
    let (id, mut keys) = ended(world, 5, at(0)).await;
    keys.sort_unstable();
    assert_eq!(expire(world, at(1), 99).await, keys);
    assert_eq!(world.store().snapshot(&id).await.unwrap().state, SnapshotState::Expired);
    // A crash between the two: the keys come again.
    assert_eq!(expire(world, at(1), 99).await, keys);
    sweep(world, at(2)).await;
    assert_eq!(expire(world, at(1), 99).await, keys);
    let some = expire(world, at(1), 2).await;
    assert_eq!(some.len(), 2, "at most so many");
    world.store().forget(&some).await.unwrap();
    let rest = expire(world, at(1), 99).await;
    assert_eq!(rest.len(), 3);
    world.store().forget(&rest).await.unwrap();
    world.store().forget(&rest).await.unwrap();
    assert!(expire(world, at(1), 99).await.is_empty());
    assert_eq!(world.store().unregistered(&keys).await.unwrap().len(), 5);
}

pub(crate) async fn only_runs_that_ended_before_expire(world: &World) {
    let (old, _) = ended(world, 1, at(0)).await;
    let (young, _) = ended(world, 1, at(1_000)).await;
    let running = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let starting = world.prepare(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    assert_eq!(expire(world, at(1_000), 99).await.len(), 1);
    let state = async |id| world.store().snapshot(id).await.unwrap().state;
    assert_eq!(state(&old).await, SnapshotState::Expired);
    assert_eq!(state(&young).await, SnapshotState::Ready);
    assert_eq!(state(&running).await, SnapshotState::Running);
    assert_eq!(state(&starting).await, SnapshotState::Starting);
}

pub(crate) async fn rows_of_a_living_run_are_not_forgotten(world: &World) {
    let (id, keys) = ended(world, 2, at(0)).await;
    world.store().forget(&keys).await.unwrap();
    assert!(world.store().unregistered(&keys).await.unwrap().is_empty());
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 2);
}

pub(crate) async fn an_expired_run_keeps_its_numbers_only(world: &World) {
    let (id, keys) = ended(world, 3, at(0)).await;
    let before = world.store().snapshot(&id).await.unwrap();
    let stopped = world.start(&trigger(), slices("a", 0, 3, 1), at(0)).await;
    world.store().cancel(&stopped, at(0)).await.unwrap();
    expire(world, at(1), 99).await;
    world.store().forget(&keys).await.unwrap();
    sweep(world, at(2)).await;
    let after = world.store().snapshot(&id).await.unwrap();
    assert_eq!(
        (after.counts, after.trigger, after.finished_at),
        (before.counts, before.trigger, Some(at(0)))
    );
    for id in [&id, &stopped] {
        assert_eq!(world.store().inputs(id, 0).await.unwrap(), (Vec::new(), None));
        assert!(world.segments(id).await.is_empty());
        missing(world.store().aborted(id, 0).await);
    }
    let expired =
        SnapshotFilter { states: Some(vec![SnapshotState::Expired]), limit: 9, ..Default::default() };
    assert_eq!(world.store().snapshots(expired).await.unwrap().1, 2);
}

pub(crate) async fn orphans_are_what_nobody_registered(world: &World) {
    let (_, keys) = ended(world, 2, at(0)).await;
    let asked = ["x".to_owned(), keys[0].clone(), String::new(), "y'".to_owned(), keys[1].clone()];
    assert_eq!(world.store().unregistered(&asked).await.unwrap(), ["x", "", "y'"]);
    assert!(world.store().unregistered(&[]).await.unwrap().is_empty());
}

pub(crate) async fn an_archive_goes_with_its_run(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let lease = world.claim_one(at(0)).await;
    let asked = PageKey([7; 16]);
    let part = ArchivePart { key: "archive/x/1".into(), bytes: 10, index_bytes: 5, asked: vec![asked] };
    assert_eq!(world.store().unregistered(&["archive/x/1".into()]).await.unwrap().len(), 1);
    let outcome = Outcome { archive: Some(Box::new(part)), records: records(0, 1), ..read(&lease, 0) };
    world.finish(&lease, &outcome, at(0)).await.unwrap();
    assert!(world.store().unregistered(&["archive/x/1".into()]).await.unwrap().is_empty());
    let keys = expire(world, at(1), 99).await;
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], "archive/x/1");
    world.store().forget(&keys).await.unwrap();
    sweep(world, at(2)).await;
    assert!(world.store().archive(&id, 0, 9).await.unwrap().is_empty());
    assert_eq!(world.store().kept_pages(&id, &[asked]).await.unwrap(), [vec![]]);
    assert!(expire(world, at(1), 99).await.is_empty());
}

pub(crate) async fn deliveries_of_an_expired_run_are_over(world: &World) {
    let both = |id: &SnapshotId| vec![world.rows(id, None), world.notice(id)];
    let id = world.promise(&trigger(), slices("a", 0, 1, 1), at(0), both).await;
    world.work_off(at(0)).await;
    assert_eq!(world.deliveries(&id).await, [DeliveryState::Waiting, DeliveryState::Waiting]);
    expire(world, at(1), 99).await;
    assert_eq!(
        world.deliveries(&id).await,
        [DeliveryState::Canceled, DeliveryState::Waiting],
        "the news still goes"
    );
}
