//! Leases end unless renewed, and what is lost too often is isolated.

use crate::world::{LEASE_MS, STARTING_MS, World, at, codes, lost, read, roots, slices, trigger};
use model::{FailureCode, SnapshotState, Timestamp, limit};
use store::{Content, Held};

/// Lets every lease end, `gap` after that moment.
async fn lose_all(world: &World, now: Timestamp) -> Timestamp {
    let later = now.plus_ms(LEASE_MS);
    world.store().tick(later, STARTING_MS).await.unwrap();
    later
}

pub(crate) async fn renew_answers_for_each_lease(world: &World) {
    let running = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let stopped = world.start(&trigger(), slices("b", 0, 1, 1), at(0)).await;
    let done = world.start(&trigger(), slices("c", 0, 1, 1), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    let of = |id: &model::SnapshotId| leases.iter().find(|lease| lease.job.snapshot == *id).unwrap();
    world.store().cancel(&stopped, at(2)).await.unwrap();
    world.finish(of(&done), &read(of(&done), 1), at(2)).await.unwrap();
    let asked = [&stopped, &running, &done].map(|id| (of(id).job.id, of(id).epoch));
    let stale = (asked[1].0, asked[1].1 + 1);
    let unknown = (model::JobId(asked[1].0.0 + 1_000_000), 1);
    let asked = [asked[0], asked[1], asked[2], stale, unknown];
    assert_eq!(
        world.store().renew(&asked, at(50_000)).await.unwrap(),
        [Held::Stop(SnapshotState::Cancelling), Held::Yes, Held::Lost, Held::Lost, Held::Lost]
    );
    assert!(world.store().renew(&[], at(50_000)).await.unwrap().is_empty());
}

pub(crate) async fn a_renewed_lease_does_not_end(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let lease = world.claim_one(at(0)).await;
    for n in 1..5 {
        let now = at(n * 20_000);
        world.store().tick(now, STARTING_MS).await.unwrap();
        let held = world.store().renew(&[(lease.job.id, lease.epoch)], now.plus_ms(LEASE_MS)).await.unwrap();
        assert_eq!(held, [Held::Yes]);
    }
    world.finish(&lease, &read(&lease, 1), at(100_000)).await.unwrap();
    world.expect(&id, SnapshotState::Ready).await;
    assert_eq!(world.store().renew(&[(lease.job.id, lease.epoch)], at(200_000)).await.unwrap(), [Held::Lost]);
}

pub(crate) async fn an_ended_lease_goes_back_to_waiting(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 3, 3), at(0)).await;
    let lease = world.claim_one(at(0)).await;
    let due = world.store().tick(at(LEASE_MS - 1), STARTING_MS).await.unwrap();
    assert_eq!(due, Some(at(LEASE_MS)));
    assert!(world.claim(9, at(LEASE_MS - 1)).await.is_empty());
    // Nobody has taken it back yet: its holder is late, but still the holder.
    let held = world.store().renew(&[(lease.job.id, lease.epoch)], at(LEASE_MS + 5)).await.unwrap();
    assert_eq!(held, [Held::Yes]);
    world.store().tick(at(LEASE_MS + 5), STARTING_MS).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.waiting, counts.leased), (3, 0));
    let held = world.store().renew(&[(lease.job.id, lease.epoch)], at(90_000)).await.unwrap();
    assert_eq!(held, [Held::Lost]);
    assert_eq!(world.claim_one(at(LEASE_MS + 5)).await.job.inputs, lease.job.inputs);
}

pub(crate) async fn a_job_that_keeps_losing_its_lease_is_split(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 5, 5), at(0)).await;
    let mut now = at(0);
    for _ in 0..limit::LOST_LEASES_SPLIT {
        let lease = world.claim_one(now).await;
        assert_eq!(roots(&lease), [0, 1, 2, 3, 4], "whole until then");
        now = lose_all(world, now).await;
    }
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.inputs, counts.waiting), (5, 5), "a split changes no number");
    let leases = world.claim(9, now).await;
    let (first, second) = (roots(&leases[0]), roots(&leases[1]));
    assert_eq!([first, second].concat(), [0, 1, 2, 3, 4], "in their order, at their place");
    for lease in &leases {
        world.finish(lease, &read(lease, 1), now).await.unwrap();
    }
    world.expect(&id, SnapshotState::Ready).await;
}

pub(crate) async fn an_input_that_keeps_losing_its_lease_is_settled(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 8, 8), at(0)).await;
    let (mut now, mut times, culprit) = (at(0), 0, 5);
    // A worker that dies of input 5 and finishes everything else; the machine is started anew each time.
    while world.store().snapshot(&id).await.unwrap().state == SnapshotState::Running {
        for lease in world.claim(9, now).await {
            if roots(&lease).contains(&culprit) {
                times += 1;
            } else {
                world.finish(&lease, &read(&lease, 1), now).await.unwrap();
            }
        }
        now = lose_all(world, now).await;
        world.lawful(&id).await;
        assert!(times < 30, "it ends");
    }
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!((counts.records, counts.errors, counts.settled), (7, 1, 8), "the others are not harmed");
    assert_eq!(world.store().snapshot(&id).await.unwrap().error_codes, codes(&[(FailureCode::Internal, 1)]));
    assert!(times >= limit::LOST_LEASES_SETTLE, "tried often enough: {times}");
    let segments = world.segments(&id).await;
    let aborted = segments.iter().find(|s| matches!(s.content, Content::Aborted { .. })).unwrap();
    let aborted = world.store().aborted(&id, aborted.seq).await.unwrap();
    assert_eq!((aborted.inputs[0].root, aborted.code, aborted.at), (culprit, FailureCode::Internal, now));
}

pub(crate) async fn a_split_job_keeps_the_callers_rows(world: &World) {
    let all = slices("a", 0, 6, 3);
    let id = world.start(&trigger(), all.clone(), at(0)).await;
    let mut now = at(0);
    for _ in 0..4 {
        world.claim(9, now).await;
        now = lose_all(world, now).await;
    }
    assert_eq!(world.store().inputs(&id, 0).await.unwrap(), (all.concat(), None));
    world.work_off(now).await;
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 6);
    assert_eq!(world.store().inputs(&id, 0).await.unwrap(), (all.concat(), None));
}

pub(crate) async fn a_node_that_starts_gives_its_leases_back(world: &World) {
    let id = world.start(&trigger(), [slices("a", 0, 2, 1), slices("b", 2, 2, 1)].concat(), at(0)).await;
    let mine = world.claim_as("mine", 1, at(1)).await;
    let host = mine[0].job.inputs[0].host.clone();
    let theirs = world.claim_as("theirs", 9, at(1)).await;
    let theirs = theirs.iter().find(|lease| lease.job.inputs[0].host != host).unwrap();
    assert_eq!(world.store().reclaim("nobody", at(2)).await.unwrap(), 0);
    assert_eq!(world.store().reclaim("mine", at(2)).await.unwrap(), 1);
    lost(world.finish(&mine[0], &read(&mine[0], 1), at(3)).await);
    world.finish(theirs, &read(theirs, 1), at(3)).await.unwrap();
    assert_eq!(world.store().reclaim("mine", at(4)).await.unwrap(), 0);
    world.lawful(&id).await;
    // It counts as a loss: what a node dies of again and again is split.
    let pair = world.start(&trigger(), slices("c", 0, 2, 2), at(5)).await;
    for n in 0..limit::LOST_LEASES_SPLIT {
        let leases = world.claim_as("mine", 99, at(6 + i64::from(n))).await;
        assert!(leases.iter().any(|lease| lease.job.snapshot == pair && lease.job.inputs.len() == 2));
        world.store().reclaim("mine", at(6 + i64::from(n))).await.unwrap();
    }
    let leases = world.claim_as("mine", 99, at(50)).await;
    assert_eq!(leases.iter().filter(|lease| lease.job.snapshot == pair).count(), 2);
}

pub(crate) async fn a_lost_job_of_a_root_frees_it(world: &World) {
    let mut asked = trigger();
    asked.limit_per_input = Some(9);
    // Two jobs of one root: the one is settled for killing its worker, the other has its turn then.
    let all = [slices("a", 0, 1, 1), slices("b", 0, 1, 1)].concat();
    let id = world.start(&asked, all, at(0)).await;
    let mut now = at(0);
    for _ in 0..limit::LOST_LEASES_SETTLE {
        let lease = world.claim_one(now).await;
        assert_eq!(lease.job.inputs[0].host, "a");
        assert!(world.claim(9, now).await.is_empty());
        now = lose_all(world, now).await;
    }
    let lease = world.claim_one(now).await;
    assert_eq!(lease.job.inputs[0].host, "b");
    world.finish(&lease, &read(&lease, 1), now).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!((counts.records, counts.errors), (1, 1));
}

pub(crate) async fn tick_tells_when_it_is_next_due(world: &World) {
    let tick = async |ms| world.store().tick(at(ms), 5_000).await.unwrap();
    assert_eq!(tick(0).await, None, "nothing there, nothing due");
    let mut asked = trigger();
    asked.deadline = Some(at(90_000));
    world.start(&asked, slices("a", 0, 1, 1), at(0)).await;
    assert_eq!(tick(1).await, Some(at(90_000)), "the deadline");
    let lease = world.claim_one(at(1)).await;
    assert_eq!(tick(2).await, Some(at(1 + LEASE_MS)), "the end of the lease");
    let starting = world.prepare(&trigger(), slices("b", 0, 1, 1), at(3)).await;
    assert_eq!(tick(4).await, Some(at(5_003)), "when the run counts as abandoned");
    world.store().discard(&starting).await.unwrap();
    world.finish(&lease, &read(&lease, 1), at(6)).await.unwrap();
    // Sweeping is due at once until it is done.
    while tick(7).await == Some(at(7)) {}
    assert_eq!(tick(8).await, None);
}
