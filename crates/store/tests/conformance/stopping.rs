//! Runs that stop before their inputs do: cancel, deadline, failure.

use crate::world::{
    LEASE_MS, STARTING_MS, World, again, at, codes, conflict, failed, led, lost, missing, read, roots,
    slices, trigger,
};
use model::{FailureCode, Outcome, SnapshotState};
use store::{CARRIED_EPOCH, Content, Finished, Held, Lease};

pub(crate) async fn a_cancelled_run_settles_what_waits_at_once(world: &World) {
    let all = slices("a", 0, 150, 64);
    let id = world.start(&trigger(), all.clone(), at(0)).await;
    world.store().cancel(&id, at(5)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Canceled).await;
    assert_eq!((counts.settled, counts.errors, counts.records), (150, 150, 0));
    let snapshot = world.store().snapshot(&id).await.unwrap();
    assert_eq!(snapshot.error_codes, codes(&[(FailureCode::AbortedPage, 150)]));
    assert_eq!(snapshot.finished_at, Some(at(5)));
    let mut inputs = Vec::new();
    for segment in world.segments(&id).await {
        assert!(matches!(segment.content, Content::Aborted { .. }));
        let aborted = world.store().aborted(&id, segment.seq).await.unwrap();
        assert_eq!((aborted.at, aborted.code), (at(5), FailureCode::AbortedPage));
        inputs.extend(aborted.inputs);
    }
    assert_eq!(inputs, all.concat(), "each input once, in the order of the jobs");
    assert!(world.claim(9, at(6)).await.is_empty());
}

pub(crate) async fn leased_jobs_of_a_cancelled_run_are_wound_up(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 6, 2), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    let held: Vec<_> = leases.iter().map(|lease| (lease.job.id, lease.epoch)).collect();
    world.store().cancel(&id, at(2)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Cancelling).await;
    assert_eq!((counts.leased, counts.waiting, counts.errors), (4, 0, 2));
    let stop = Held::Stop(SnapshotState::Cancelling);
    assert_eq!(world.store().renew(&held, at(40_000)).await.unwrap(), [stop, stop]);
    conflict(world.store().cancel(&id, at(3)).await);
    // What was collected is kept; what it led to was never accepted.
    let more = led(&leases[0].job.inputs[0], "x", true);
    world.finish(&leases[0], &Outcome { led: vec![more], ..read(&leases[0], 1) }, at(4)).await.unwrap();
    world.expect(&id, SnapshotState::Cancelling).await;
    world.finish(&leases[1], &failed(&leases[1], FailureCode::AbortedPage), at(5)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Canceled).await;
    assert_eq!((counts.inputs, counts.records, counts.errors), (6, 2, 4));
}

pub(crate) async fn what_a_cancelled_job_hands_back_ends_too(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 4, 4), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    world.store().cancel(&id, at(2)).await.unwrap();
    // The worker had not heard of it: one is tried again, one is carried on.
    let outcome = Outcome {
        records: crate::world::records(0, 1),
        again: vec![(at(9), lease.job.inputs[1].clone())],
        carried: lease.job.inputs[2..].to_vec(),
        settled: 1,
        ..Outcome::default()
    };
    let Finished::Carried(job) = world.finish(&lease, &outcome, at(3)).await.unwrap() else { panic!() };
    let counts = world.expect(&id, SnapshotState::Cancelling).await;
    assert_eq!((counts.leased, counts.settled, counts.errors), (2, 2, 1));
    let rest = Lease {
        epoch: CARRIED_EPOCH,
        job: model::Job { id: job, inputs: outcome.carried, snapshot: id.clone() },
        ..lease.clone()
    };
    world.finish(&rest, &again(&rest, at(9)), at(4)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Canceled).await;
    assert_eq!((counts.records, counts.errors), (1, 3));
}

pub(crate) async fn a_lost_lease_of_a_cancelled_run_ends(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 4, 2), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    world.store().cancel(&id, at(2)).await.unwrap();
    world.store().tick(at(LEASE_MS), STARTING_MS).await.unwrap();
    world.expect(&id, SnapshotState::Cancelling).await;
    world.store().tick(at(1 + LEASE_MS), STARTING_MS).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Canceled).await;
    assert_eq!((counts.errors, counts.records), (4, 0));
    let mut ended = Vec::new();
    for segment in world.segments(&id).await {
        ended.extend(world.store().aborted(&id, segment.seq).await.unwrap().inputs);
    }
    let mut out: Vec<u64> = leases.iter().flat_map(roots).collect();
    out.sort_unstable();
    ended.sort_by_key(|input| input.root);
    assert_eq!(ended.iter().map(|input| input.root).collect::<Vec<_>>(), out);
    lost(world.finish(&leases[0], &read(&leases[0], 1), at(40_000)).await);
}

pub(crate) async fn a_deadline_keeps_what_there_is(world: &World) {
    let mut asked = trigger();
    asked.deadline = Some(at(1_000));
    let id = world.start(&asked, slices("a", 0, 6, 2), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    world.finish(&leases[0], &read(&leases[0], 1), at(2)).await.unwrap();
    assert!(world.store().tick(at(999), STARTING_MS).await.unwrap() <= Some(at(1_000)));
    world.expect(&id, SnapshotState::Running).await;
    world.store().tick(at(1_000), STARTING_MS).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Expiring).await;
    assert_eq!((counts.records, counts.errors, counts.leased), (2, 2, 2));
    assert!(world.claim(9, at(1_001)).await.is_empty());
    let held = world.store().renew(&[(leases[1].job.id, leases[1].epoch)], at(40_000)).await.unwrap();
    assert_eq!(held, [Held::Stop(SnapshotState::Expiring)]);
    world.finish(&leases[1], &read(&leases[1], 1), at(1_002)).await.unwrap();
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 4);
    // One that has nothing out ends at once.
    asked.deadline = Some(at(2_000));
    let idle = world.start(&asked, slices("b", 0, 3, 1), at(1_500)).await;
    world.store().tick(at(2_500), STARTING_MS).await.unwrap();
    assert_eq!(world.expect(&idle, SnapshotState::Ready).await.errors, 3);
}

pub(crate) async fn a_run_expiring_may_still_be_cancelled(world: &World) {
    let mut asked = trigger();
    asked.deadline = Some(at(1_000));
    let id = world.start(&asked, slices("a", 0, 1, 1), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    world.store().tick(at(1_000), STARTING_MS).await.unwrap();
    world.expect(&id, SnapshotState::Expiring).await;
    world.store().cancel(&id, at(1_001)).await.unwrap();
    world.finish(&lease, &read(&lease, 1), at(1_002)).await.unwrap();
    assert_eq!(world.expect(&id, SnapshotState::Canceled).await.records, 1);
}

pub(crate) async fn a_failed_run_ends_at_once(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 6, 2), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    world.finish(&leases[0], &read(&leases[0], 1), at(2)).await.unwrap();
    world.store().fail(&id, &"ä".repeat(5_000), at(3)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Failed).await;
    assert_eq!((counts.settled, counts.records, counts.errors), (6, 2, 0), "settled without rows");
    let snapshot = world.store().snapshot(&id).await.unwrap();
    assert_eq!(snapshot.message, Some("ä".repeat(model::limit::MESSAGE_CHARS)));
    assert_eq!(snapshot.finished_at, Some(at(3)));
    let held = world.store().renew(&[(leases[1].job.id, leases[1].epoch)], at(40_000)).await.unwrap();
    assert_eq!(held, [Held::Lost]);
    lost(world.finish(&leases[1], &read(&leases[1], 1), at(4)).await);
    assert_eq!(world.store().gauges().await.unwrap().jobs_leased, 0);
    assert!(world.claim(9, at(5)).await.is_empty());
    // Other runs on the same host go on.
    world.start(&trigger(), slices("a", 0, 1, 1), at(6)).await;
    assert_eq!(world.claim(9, at(7)).await.len(), 1);
}

pub(crate) async fn what_has_ended_is_not_stopped_again(world: &World) {
    let ready = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    world.work_off(at(1)).await;
    let canceled = world.start(&trigger(), slices("a", 0, 1, 1), at(2)).await;
    world.store().cancel(&canceled, at(3)).await.unwrap();
    let failed = world.start(&trigger(), slices("a", 0, 1, 1), at(2)).await;
    world.store().fail(&failed, "broken", at(3)).await.unwrap();
    for id in [&ready, &canceled, &failed] {
        let before = world.store().snapshot(id).await.unwrap();
        conflict(world.store().cancel(id, at(4)).await);
        conflict(world.store().fail(id, "again", at(4)).await);
        assert_eq!(world.store().snapshot(id).await.unwrap(), before);
    }
    let starting = world.prepare(&trigger(), slices("a", 0, 1, 1), at(5)).await;
    conflict(world.store().cancel(&starting, at(6)).await);
    missing(world.store().cancel(&world.new_id(), at(6)).await);
    missing(world.store().fail(&world.new_id(), "x", at(6)).await);
}
