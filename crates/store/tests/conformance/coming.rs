//! A run comes to be: begin, add, commit, discard, and the keys that repeat it.

use crate::world::{STARTING_MS, World, at, conflict, input, invalid, missing, slices, trigger};
use model::{Input, SnapshotState, limit};
use store::{Claim, Commit, Committed, Idempotency, NewSnapshot, Remembered};

fn commit(id: &model::SnapshotId, key: Option<Idempotency>, ms: i64) -> Commit {
    Commit { id: id.clone(), trigger: trigger(), deliveries: Vec::new(), idempotency: key, now: at(ms) }
}

fn key(text: &str, digest: u8) -> Idempotency {
    Idempotency { token: "ida".into(), key: text.into(), digest: [digest; 32] }
}

pub(crate) async fn a_run_is_starting_until_it_is_committed(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 5, 2), at(0)).await;
    let counts = world.expect(&id, SnapshotState::Starting).await;
    assert_eq!((counts.inputs, counts.given, counts.waiting), (5, 5, 5));
    assert_eq!(world.store().commit(commit(&id, None, 7)).await.unwrap(), Committed::Accepted);
    world.expect(&id, SnapshotState::Running).await;
    assert_eq!(world.store().snapshot(&id).await.unwrap().created_at, at(7), "accepted then");
    conflict(world.store().commit(commit(&id, None, 8)).await);
    missing(world.store().commit(commit(&world.new_id(), None, 8)).await);
}

pub(crate) async fn no_worker_sees_a_run_that_is_starting(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 5, 2), at(0)).await;
    let claim = Claim {
        jobs: 9,
        express_only: false,
        node: "n".into(),
        now: at(1_000),
        lease_until: at(2_000),
        pass_over: Vec::new(),
    };
    let claimed = world.store().claim(claim).await.unwrap();
    assert!(claimed.leases.is_empty());
    assert_eq!(claimed.next_due, None, "and nobody waits for it");
    world.store().commit(commit(&id, None, 1_000)).await.unwrap();
    assert_eq!(world.claim(9, at(1_000)).await.len(), 2, "as many as a lane lends");
}

pub(crate) async fn commit_replaces_what_was_asked(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 3, 3), at(0)).await;
    let mut asked = trigger();
    asked.limit_multiple_results = Some(2);
    asked.dataset_id.0 = "gd_other".into();
    asked.express = true;
    let commit = Commit { trigger: asked.clone(), ..commit(&id, None, 1) };
    world.store().commit(commit).await.unwrap();
    let snapshot = world.store().snapshot(&id).await.unwrap();
    assert_eq!(snapshot.trigger, asked);
    let lease = world.claim_one(at(1)).await;
    assert_eq!((&*lease.trigger, lease.records_left), (&asked, Some(2)));
}

pub(crate) async fn a_run_without_inputs_is_refused(world: &World) {
    let id = world.prepare(&trigger(), Vec::new(), at(0)).await;
    invalid(world.store().commit(commit(&id, None, 1)).await);
    world.expect(&id, SnapshotState::Starting).await;
    world.store().discard(&id).await.unwrap();
}

pub(crate) async fn a_slice_that_breaks_the_rules_is_refused(world: &World) {
    let id = world.prepare(&trigger(), Vec::new(), at(0)).await;
    let large: Vec<Input> = (0..=limit::SLICE_INPUTS as u64).map(|n| input(n, "a")).collect();
    for slices in
        [vec![Vec::new()], vec![vec![input(0, "a"), input(1, "b")]], vec![vec![input(0, "a")], large]]
    {
        invalid(world.store().add(&id, slices, at(1)).await);
    }
    let counts = world.expect(&id, SnapshotState::Starting).await;
    assert_eq!(counts.inputs, 0, "a refused call adds nothing, the good slice beside the bad one included");
    missing(world.store().add(&world.new_id(), slices("a", 0, 1, 1), at(1)).await);
}

pub(crate) async fn slices_of_several_roots_do_not_go_with_a_limit_per_input(world: &World) {
    let mut asked = trigger();
    asked.limit_per_input = Some(3);
    let id = world.prepare(&asked, slices("a", 0, 4, 1), at(0)).await;
    invalid(world.store().add(&id, slices("a", 4, 2, 2), at(0)).await);
    // The limit may also come with the commit, after the inputs.
    let late = world.prepare(&trigger(), slices("a", 0, 4, 2), at(0)).await;
    invalid(world.store().commit(Commit { trigger: asked, ..commit(&late, None, 1) }).await);
}

pub(crate) async fn inputs_come_back_as_they_were_added(world: &World) {
    let mut odd = input(0, "a");
    odd.row = format!("{{\"url\":\"http://a/ä\\u0000\\n\",\"more\":\"{}\"}}", "€".repeat(3_000));
    odd.kind = "page".into();
    odd.discovery = Some("{\"q\":\"'; DROP TABLE job; --\"}".into());
    odd.begun = Some("{\"a\":1.50}".into());
    odd.modified = Some(at(5));
    odd.trail.barren = 3;
    let second = slices("b", 1, 3, 2);
    let id = world.start(&trigger(), vec![vec![odd.clone()]], at(0)).await;
    let other = world.start(&trigger(), second.clone(), at(0)).await;
    assert_eq!(world.store().inputs(&id, 0).await.unwrap(), (vec![odd.clone()], None));
    assert_eq!(world.store().inputs(&other, 0).await.unwrap(), (second.concat(), None));
    let leases = world.claim(9, at(0)).await;
    assert!(leases.iter().any(|lease| lease.job.snapshot == id && lease.job.inputs == [odd.clone()]));
    assert!(leases.iter().any(|lease| lease.job.snapshot == other && lease.job.inputs == second[0]));
}

pub(crate) async fn a_discarded_run_is_forgotten(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 200, 64), at(0)).await;
    world.store().discard(&id).await.unwrap();
    missing(world.store().snapshot(&id).await);
    missing(world.store().discard(&id).await);
    assert_eq!(world.store().running(&["gd_x".into()]).await.unwrap(), 0);
    // What it leaves is swept; nothing of it is claimed or counted.
    while world.store().tick(at(1), STARTING_MS).await.unwrap().is_some_and(|due| due <= at(1)) {}
    assert!(world.claim(9, at(1)).await.is_empty());
    assert_eq!(world.store().gauges().await.unwrap().jobs_waiting, 0);
}

pub(crate) async fn what_runs_is_neither_added_to_nor_discarded(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    conflict(world.store().add(&id, slices("a", 1, 1, 1), at(1)).await);
    conflict(world.store().discard(&id).await);
    assert_eq!(world.expect(&id, SnapshotState::Running).await.inputs, 1);
}

pub(crate) async fn a_taken_id_is_refused(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    conflict(world.store().begin(NewSnapshot { id, trigger: trigger(), now: at(1) }).await);
}

pub(crate) async fn a_key_is_remembered_with_its_request(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    assert_eq!(world.store().remembered(&key("k", 1), at(0)).await.unwrap(), None);
    world.store().commit(commit(&id, Some(key("k", 1)), 1)).await.unwrap();
    let asked = async |key: Idempotency| world.store().remembered(&key, at(2)).await.unwrap();
    assert_eq!(asked(key("k", 1)).await, Some(Remembered::Same(id)));
    assert_eq!(asked(key("k", 2)).await, Some(Remembered::Other));
    assert_eq!(asked(key("K", 1)).await, None);
    assert_eq!(
        asked(Idempotency { token: "bob".into(), ..key("k", 1) }).await,
        None,
        "keys are a token's own"
    );
}

pub(crate) async fn a_repeated_commit_discards_the_new_run(world: &World) {
    let first = world.prepare(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    world.store().commit(commit(&first, Some(key("k", 1)), 1)).await.unwrap();
    for (digest, answer) in [(1, Remembered::Same(first.clone())), (2, Remembered::Other)] {
        let id = world.prepare(&trigger(), slices("a", 0, 1, 1), at(2)).await;
        let committed = world.store().commit(commit(&id, Some(key("k", digest)), 3)).await.unwrap();
        assert_eq!(committed, Committed::Repeated(answer));
        missing(world.store().snapshot(&id).await);
    }
    // Two at once, as a caller that repeats too early has it: one run.
    let (a, b) = (
        world.prepare(&trigger(), slices("a", 0, 1, 1), at(4)).await,
        world.prepare(&trigger(), slices("a", 0, 1, 1), at(4)).await,
    );
    let (one, other) = tokio::join!(
        world.node(0).commit(commit(&a, Some(key("two", 1)), 5)),
        world.node(1).commit(commit(&b, Some(key("two", 1)), 5)),
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    let winner = if one == Committed::Accepted { &a } else { &b };
    let loser = if one == Committed::Accepted { other } else { one };
    assert_eq!(loser, Committed::Repeated(Remembered::Same(winner.clone())));
}

pub(crate) async fn a_key_is_forgotten_after_a_day(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    world.store().commit(commit(&id, Some(key("k", 1)), 0)).await.unwrap();
    let last = at(limit::IDEMPOTENCY_MS - 1);
    let then = at(limit::IDEMPOTENCY_MS);
    assert!(world.store().remembered(&key("k", 1), last).await.unwrap().is_some());
    assert_eq!(world.store().remembered(&key("k", 1), then).await.unwrap(), None);
    let second = world.prepare(&trigger(), slices("a", 0, 1, 1), then).await;
    let again = commit(&second, Some(key("k", 2)), limit::IDEMPOTENCY_MS);
    assert_eq!(world.store().commit(again).await.unwrap(), Committed::Accepted);
    world.store().tick(at(3 * limit::IDEMPOTENCY_MS), STARTING_MS).await.unwrap();
    assert_eq!(world.store().remembered(&key("k", 2), then).await.unwrap(), None, "the row is gone");
}

pub(crate) async fn an_abandoned_run_is_discarded(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 3, 2), at(0)).await;
    let due = world.store().tick(at(10), 1_000).await.unwrap();
    assert_eq!(due, Some(at(1_000)));
    world.expect(&id, SnapshotState::Starting).await;
    world.store().tick(at(1_000), 1_000).await.unwrap();
    missing(world.store().snapshot(&id).await);
}

pub(crate) async fn a_long_upload_is_not_abandoned(world: &World) {
    let id = world.prepare(&trigger(), slices("a", 0, 3, 2), at(0)).await;
    for n in 1..5 {
        world.store().add(&id, slices("a", 10 * n, 1, 1), at(900 * n as i64)).await.unwrap();
        world.store().tick(at(900 * n as i64), 1_000).await.unwrap();
    }
    assert_eq!(world.expect(&id, SnapshotState::Starting).await.inputs, 7);
    let run = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    world.store().tick(at(1_000_000), 1_000).await.unwrap();
    world.expect(&run, SnapshotState::Running).await;
}
