//! Deliveries: promised, woken, leased, and what became of an attempt.

use crate::world::{
    LEASE_MS, STARTING_MS, World, at, conflict, failed, lost, missing, read, slices, trigger,
};
use model::{
    Cargo, DeliveredFile, Delivery, DeliveryOutcome, DeliveryState as D, FailureCode, SnapshotId,
    SnapshotState, Timestamp,
};
use store::{Claim, DeliveryLease};

async fn claim(
    world: &World,
    node: &str,
    jobs: usize,
    now: Timestamp,
) -> (Vec<DeliveryLease>, Option<Timestamp>) {
    let claim = Claim {
        jobs,
        express_only: false,
        node: node.into(),
        now,
        lease_until: now.plus_ms(LEASE_MS),
        pass_over: Vec::new(),
    };
    world.store().claim_deliveries(claim).await.unwrap()
}

async fn claim_one(world: &World, now: Timestamp) -> DeliveryLease {
    let (mut leases, _) = claim(world, "n", 1, now).await;
    assert_eq!(leases.len(), 1, "a delivery is due");
    leases.remove(0)
}

fn file(n: u64) -> DeliveryOutcome {
    DeliveryOutcome::PartDone(DeliveredFile { filename: format!("part-{n}.json"), at: at(n as i64), rows: n })
}

fn later(ms: i64) -> DeliveryOutcome {
    DeliveryOutcome::Later { at: at(ms), error: "no answer".into() }
}

async fn finish(
    world: &World,
    lease: &DeliveryLease,
    outcome: DeliveryOutcome,
    ms: i64,
) -> store::Result<()> {
    world.store().finish_delivery(lease, outcome, at(ms)).await
}

async fn of(world: &World, id: &SnapshotId) -> Delivery {
    world.store().deliveries(id).await.unwrap().remove(0)
}

/// A run that has ended with `n` records, and one delivery of them that is due.
async fn due(world: &World, n: u64) -> SnapshotId {
    let id = world.promise(&trigger(), slices("a", 0, n, 64), at(0), |id| vec![world.rows(id, None)]).await;
    world.work_off(at(0)).await;
    world.expect(&id, SnapshotState::Ready).await;
    id
}

pub(crate) async fn a_delivery_is_held_until_the_end(world: &World) {
    let both = |id: &SnapshotId| vec![world.rows(id, None), world.notice(id)];
    let id = world.promise(&trigger(), slices("a", 0, 3, 2), at(0), both).await;
    assert_eq!(world.deliveries(&id).await, [D::Held, D::Held]);
    let lease = world.claim_one(at(1)).await;
    world.finish(&lease, &read(&lease, 1), at(2)).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Held, D::Held]);
    let (none, next) = claim(world, "n", 9, at(2)).await;
    assert!(none.is_empty() && next.is_none());
    world.work_off(at(3)).await;
    assert_eq!(world.deliveries(&id).await, [D::Waiting, D::Waiting]);
    let (leases, _) = claim(world, "n", 9, at(3)).await;
    assert_eq!(leases.len(), 2);
    assert!(leases.iter().all(|lease| lease.snapshot.state == SnapshotState::Ready));
    assert_eq!(leases[0].snapshot, world.store().snapshot(&id).await.unwrap());
    assert_eq!(world.deliveries(&id).await, [D::Leased, D::Leased]);
    assert!(claim(world, "n", 9, at(4)).await.0.is_empty());
    let promised = world.store().delivery(&leases[0].delivery.id).await.unwrap();
    assert_eq!(promised, leases[0].delivery);
}

pub(crate) async fn a_notice_is_told_of_every_end(world: &World) {
    let notice = |id: &SnapshotId| vec![world.notice(id)];
    let canceled = world.promise(&trigger(), slices("a", 0, 1, 1), at(0), notice).await;
    world.store().cancel(&canceled, at(1)).await.unwrap();
    let failed = world.promise(&trigger(), slices("a", 0, 1, 1), at(0), notice).await;
    world.store().fail(&failed, "broken", at(1)).await.unwrap();
    let mut asked = trigger();
    asked.deadline = Some(at(5));
    let expired = world.promise(&asked, slices("a", 0, 1, 1), at(0), notice).await;
    world.store().tick(at(6), STARTING_MS).await.unwrap();
    for id in [canceled, failed, expired] {
        assert_eq!(world.deliveries(&id).await, [D::Waiting]);
    }
}

pub(crate) async fn rows_of_a_cancelled_run_are_not_sent(world: &World) {
    let rows = |id: &SnapshotId| vec![world.rows(id, None), world.rows(id, Some(2)), world.notice(id)];
    let id = world.promise(&trigger(), slices("a", 0, 6, 2), at(0), rows).await;
    let leases = world.claim(2, at(1)).await;
    world.finish(&leases[0], &read(&leases[0], 1), at(2)).await.unwrap();
    let stream = claim_one(world, at(2)).await;
    world.store().cancel(&id, at(3)).await.unwrap();
    world.expect(&id, SnapshotState::Cancelling).await;
    assert_eq!(world.deliveries(&id).await, [D::Canceled, D::Leased, D::Held], "at once, while jobs are out");
    // What is being sent ends with its attempt.
    finish(world, &stream, later(9), 4).await.unwrap();
    assert_eq!(world.deliveries(&id).await[1], D::Canceled);
    world.finish(&leases[1], &read(&leases[1], 1), at(5)).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Canceled, D::Canceled, D::Waiting]);
    // The same for a run that fails, and for an attempt that is lost.
    let id = world.promise(&trigger(), slices("b", 0, 6, 2), at(10), rows).await;
    let leases = world.claim(2, at(11)).await;
    world.finish(&leases[0], &read(&leases[0], 1), at(12)).await.unwrap();
    let (leases, _) = claim(world, "lost", 9, at(12)).await;
    assert!(leases.iter().any(|lease| lease.snapshot.id == id));
    world.store().fail(&id, "broken", at(13)).await.unwrap();
    world.store().reclaim("lost", at(14)).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Canceled, D::Canceled, D::Waiting]);
}

pub(crate) async fn nothing_collected_is_sent_only_if_forced(world: &World) {
    let rows = |id: &SnapshotId| vec![world.rows(id, None)];
    for (forced, shown, state) in
        [(false, false, D::Canceled), (true, false, D::Waiting), (false, true, D::Waiting)]
    {
        let mut asked = trigger();
        (asked.force_deliver, asked.include_errors) = (forced, shown);
        let id = world.promise(&asked, slices("a", 0, 1, 1), at(0), rows).await;
        let lease = world.claim_one(at(1)).await;
        world.finish(&lease, &failed(&lease, FailureCode::DeadPage), at(2)).await.unwrap();
        world.expect(&id, SnapshotState::Ready).await;
        assert_eq!(world.deliveries(&id).await, [state]);
    }
}

pub(crate) async fn a_stream_wakes_for_each_whole_part(world: &World) {
    let id =
        world.promise(&trigger(), slices("a", 0, 20, 2), at(0), |id| vec![world.rows(id, Some(5))]).await;
    for n in 1..=2 {
        let lease = world.claim_one(at(n)).await;
        world.finish(&lease, &read(&lease, 1), at(n)).await.unwrap();
        assert_eq!(world.deliveries(&id).await, [D::Held], "{n} times two rows are no part of five");
    }
    // Error rows count where they are shown.
    let lease = world.claim_one(at(3)).await;
    world.finish(&lease, &failed(&lease, FailureCode::Timeout), at(3)).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Waiting]);
    let lease = claim_one(world, at(3)).await;
    assert_eq!(lease.snapshot.state, SnapshotState::Running);
    finish(world, &lease, file(5), 4).await.unwrap();
    finish(world, &lease, DeliveryOutcome::Idle, 5).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Held]);
    for n in 6..8 {
        let lease = world.claim_one(at(n)).await;
        world.finish(&lease, &read(&lease, 1), at(n)).await.unwrap();
    }
    assert_eq!(world.deliveries(&id).await, [D::Waiting], "ten rows");
}

pub(crate) async fn a_stream_that_missed_rows_is_woken(world: &World) {
    let id =
        world.promise(&trigger(), slices("a", 0, 20, 5), at(0), |id| vec![world.rows(id, Some(5))]).await;
    let lease = world.claim_one(at(1)).await;
    world.finish(&lease, &read(&lease, 1), at(1)).await.unwrap();
    let sending = claim_one(world, at(1)).await;
    finish(world, &sending, file(5), 2).await.unwrap();
    // Between its look at the rows and its going to sleep, a part's worth arrives.
    let lease = world.claim_one(at(3)).await;
    world.finish(&lease, &read(&lease, 1), at(3)).await.unwrap();
    finish(world, &sending, DeliveryOutcome::Idle, 4).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Waiting]);
    // The same with the end of the run.
    let sending = claim_one(world, at(5)).await;
    finish(world, &sending, file(5), 5).await.unwrap();
    world.work_off(at(6)).await;
    finish(world, &sending, DeliveryOutcome::Idle, 7).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Waiting]);
}

pub(crate) async fn a_stream_sends_its_last_part_at_the_end(world: &World) {
    let id =
        world.promise(&trigger(), slices("a", 0, 3, 3), at(0), |id| vec![world.rows(id, Some(100))]).await;
    world.work_off(at(1)).await;
    assert_eq!(world.deliveries(&id).await, [D::Waiting]);
    let lease = claim_one(world, at(1)).await;
    finish(world, &lease, file(3), 2).await.unwrap();
    finish(world, &lease, DeliveryOutcome::AllDone, 3).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Done]);
}

pub(crate) async fn parts_are_counted_and_reset_the_failures(world: &World) {
    let id = due(world, 3).await;
    let lease = claim_one(world, at(1)).await;
    finish(world, &lease, later(10), 2).await.unwrap();
    let lease = claim_one(world, at(10)).await;
    assert_eq!((lease.delivery.failures, lease.delivery.failing_since), (1, Some(at(2))));
    for n in 1..=3 {
        finish(world, &lease, file(n), 10 + n as i64).await.unwrap();
        let delivery = of(world, &id).await;
        assert_eq!((delivery.state, delivery.parts_done, delivery.failures), (D::Leased, n, 0));
        assert_eq!((delivery.failing_since, delivery.last_error), (None, None));
    }
    finish(world, &lease, DeliveryOutcome::AllDone, 20).await.unwrap();
    let names: Vec<_> = of(world, &id).await.files.into_iter().map(|f| (f.filename, f.at, f.rows)).collect();
    let want = [1, 2, 3].map(|n| (format!("part-{n}.json"), at(n), n as u64));
    assert_eq!(names, want, "in their order");
}

pub(crate) async fn failures_are_counted_and_tried_again_when_due(world: &World) {
    let id = due(world, 1).await;
    let mut now = 1;
    for n in 1..=3 {
        let lease = claim_one(world, at(now)).await;
        finish(world, &lease, later(now + 500), now).await.unwrap();
        let delivery = of(world, &id).await;
        assert_eq!((delivery.state, delivery.failures), (D::Waiting, n));
        assert_eq!(delivery.failing_since, Some(at(1)), "the window runs from the first failure");
        assert_eq!(delivery.last_error.as_deref(), Some("no answer"));
        let (early, next) = claim(world, "n", 9, at(now + 499)).await;
        assert_eq!((early.len(), next), (0, Some(at(now + 500))));
        now += 500;
    }
    let lease = claim_one(world, at(now)).await;
    let never = DeliveryOutcome::Never { error: "x".repeat(100_000) };
    finish(world, &lease, never, now).await.unwrap();
    let delivery = of(world, &id).await;
    assert_eq!((delivery.state, delivery.failures), (D::Failed, 4));
    assert!(
        delivery.last_error.unwrap().len() <= model::limit::MESSAGE_CHARS,
        "a sentence is kept, not a page"
    );
    assert!(claim(world, "n", 9, at(1_000_000)).await.0.is_empty());
}

pub(crate) async fn a_delivery_ends_once(world: &World) {
    let id = due(world, 1).await;
    let lease = claim_one(world, at(1)).await;
    finish(world, &lease, DeliveryOutcome::AllDone, 2).await.unwrap();
    // The answer was lost, and the worker asks again: nothing more happens. Only a part cannot be done once more.
    finish(world, &lease, DeliveryOutcome::AllDone, 3).await.unwrap();
    finish(world, &lease, later(4), 3).await.unwrap();
    lost(finish(world, &lease, file(1), 3).await);
    assert_eq!(world.deliveries(&id).await, [D::Done]);
    assert!(!world.store().renew_delivery(&lease, at(90_000)).await.unwrap());
    assert!(claim(world, "n", 9, at(100_000)).await.0.is_empty());
}

pub(crate) async fn a_lost_delivery_is_fenced(world: &World) {
    let id = due(world, 1).await;
    let late = claim_one(world, at(1)).await;
    let mut due = Some(at(2));
    while due == Some(at(2)) {
        // What the run leaves is swept first.
        due = world.store().tick(at(2), STARTING_MS).await.unwrap();
    }
    assert_eq!(due, Some(at(1 + LEASE_MS)));
    world.store().tick(at(1 + LEASE_MS), STARTING_MS).await.unwrap();
    let delivery = of(world, &id).await;
    assert_eq!((delivery.state, delivery.failures), (D::Waiting, 1), "a lost attempt is a failed one");
    for outcome in [file(1), DeliveryOutcome::AllDone, later(9), DeliveryOutcome::Idle] {
        lost(finish(world, &late, outcome, 40_000).await);
    }
    assert!(!world.store().renew_delivery(&late, at(90_000)).await.unwrap());
    let lease = claim_one(world, at(40_000)).await;
    assert!(lease.epoch > late.epoch);
    lost(finish(world, &late, DeliveryOutcome::AllDone, 40_001).await);
    finish(world, &lease, file(1), 40_002).await.unwrap();
    finish(world, &lease, DeliveryOutcome::AllDone, 40_003).await.unwrap();
    assert_eq!(of(world, &id).await.parts_done, 1);
    let unknown = model::DeliveryId::new(at(0), 999_999_999);
    missing(world.store().delivery(&unknown).await);
}

pub(crate) async fn a_renewed_delivery_is_kept(world: &World) {
    let id = due(world, 1).await;
    let lease = claim_one(world, at(0)).await;
    for n in 1..5 {
        let now = at(n * 20_000);
        world.store().tick(now, STARTING_MS).await.unwrap();
        assert!(world.store().renew_delivery(&lease, now.plus_ms(LEASE_MS)).await.unwrap());
    }
    finish(world, &lease, DeliveryOutcome::AllDone, 90_000).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Done]);
}

pub(crate) async fn a_starting_node_gives_its_deliveries_back(world: &World) {
    let (mine, other) = (due(world, 1).await, due(world, 1).await);
    let (leases, _) = claim(world, "mine", 1, at(1)).await;
    let (theirs, _) = claim(world, "theirs", 9, at(1)).await;
    assert_eq!((leases.len(), theirs.len()), (1, 1));
    assert_eq!(leases[0].snapshot.id, mine);
    assert_eq!(world.store().reclaim("mine", at(2)).await.unwrap(), 1);
    assert_eq!(
        (world.deliveries(&mine).await, world.deliveries(&other).await),
        (vec![D::Waiting], vec![D::Leased])
    );
    lost(finish(world, &leases[0], DeliveryOutcome::AllDone, 3).await);
    finish(world, &theirs[0], DeliveryOutcome::AllDone, 3).await.unwrap();
}

pub(crate) async fn an_untouched_delivery_is_due_at_once(world: &World) {
    let id = due(world, 1).await;
    let lease = claim_one(world, at(1)).await;
    finish(world, &lease, DeliveryOutcome::Untouched, 2).await.unwrap();
    let delivery = of(world, &id).await;
    assert_eq!((delivery.state, delivery.failures, delivery.last_error), (D::Waiting, 0, None));
    claim_one(world, at(2)).await;
}

pub(crate) async fn whoever_asked_is_told_how_a_delivery_ended(world: &World) {
    let asked = |id: &SnapshotId| {
        let mut delivery = world.rows(id, None);
        if let Cargo::Rows(promise) = &mut delivery.cargo {
            promise.notify = Some("http://receiver.example/how".into());
        }
        vec![delivery]
    };
    for outcome in [DeliveryOutcome::AllDone, DeliveryOutcome::Never { error: "410".into() }] {
        let id = world.promise(&trigger(), slices("a", 0, 1, 1), at(0), asked).await;
        world.work_off(at(0)).await;
        let lease = claim_one(world, at(1)).await;
        for _ in 0..2 {
            finish(world, &lease, outcome.clone(), 2).await.unwrap();
        }
        let all = world.store().deliveries(&id).await.unwrap();
        assert_eq!(all.len(), 2, "told once");
        let about = lease.delivery.id.clone();
        let endpoint = "http://receiver.example/how".to_owned();
        assert_eq!((&all[1].cargo, all[1].state), (&Cargo::DeliveryNotice { endpoint, about }, D::Waiting));
        let told = claim_one(world, at(2)).await;
        finish(world, &told, DeliveryOutcome::AllDone, 3).await.unwrap();
        assert_eq!(world.store().deliveries(&id).await.unwrap().len(), 2, "nobody is told of the telling");
    }
}

pub(crate) async fn a_run_that_has_ended_takes_promises(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    conflict(world.store().promise(world.rows(&id, None)).await);
    missing(world.store().promise(world.rows(&world.new_id(), None)).await);
    world.work_off(at(1)).await;
    world.store().promise(world.rows(&id, None)).await.unwrap();
    assert_eq!(world.deliveries(&id).await, [D::Waiting]);
    assert_eq!(claim_one(world, at(1)).await.snapshot.id, id);
    let canceled = world.start(&trigger(), slices("a", 0, 1, 1), at(2)).await;
    world.store().cancel(&canceled, at(3)).await.unwrap();
    world.store().promise(world.rows(&canceled, None)).await.unwrap();
    world.store().expire(at(1_000), 99, at(1_000)).await.unwrap();
    conflict(world.store().promise(world.rows(&id, None)).await);
}

pub(crate) async fn deliveries_are_due_in_their_order(world: &World) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(due(world, 1).await);
    }
    let (leases, _) = claim(world, "n", 9, at(1)).await;
    for (lease, due) in leases.iter().zip([300, 100, 200]) {
        finish(world, lease, later(due), 2).await.unwrap();
    }
    let (two, next) = claim(world, "n", 9, at(250)).await;
    let order: Vec<_> = two.iter().map(|lease| lease.snapshot.id.clone()).collect();
    assert_eq!((order, next), (vec![ids[1].clone(), ids[2].clone()], Some(at(300))));
    assert!(claim(world, "n", 0, at(400)).await.0.is_empty());
}

pub(crate) async fn a_taken_delivery_is_not_promised_again(world: &World) {
    let id = due(world, 1).await;
    let first = of(world, &id).await;
    conflict(world.store().promise(first).await);
    assert_eq!(world.deliveries(&id).await.len(), 1);
    // A commit that promises a delivery of another run is a mistake of the caller, and nothing of it stays.
    let new = world.prepare(&trigger(), slices("a", 0, 1, 1), at(1)).await;
    let commit = store::Commit {
        id: new.clone(),
        trigger: trigger(),
        deliveries: vec![world.rows(&id, None)],
        idempotency: None,
        now: at(2),
    };
    crate::world::invalid(world.store().commit(commit).await);
    world.expect(&new, SnapshotState::Starting).await;
}

pub(crate) async fn a_failed_delivery_is_taken_up_from_the_part_that_failed(world: &World) {
    let id = due(world, 3).await;
    let lease = claim_one(world, at(1)).await;
    conflict(world.store().redeliver(&lease.delivery.id, at(1)).await);
    finish(world, &lease, file(1), 2).await.unwrap();
    finish(world, &lease, DeliveryOutcome::Never { error: "no such box".into() }, 3).await.unwrap();
    assert_eq!((of(world, &id).await.state, claim(world, "n", 1, at(4)).await.0.len()), (D::Failed, 0));
    world.store().redeliver(&lease.delivery.id, at(5)).await.unwrap();
    let again = claim_one(world, at(5)).await;
    assert_eq!((again.delivery.parts_done, again.delivery.failures), (1, 0));
    assert_eq!(again.delivery.failing_since, None);
    lost(finish(world, &lease, DeliveryOutcome::AllDone, 6).await);
    finish(world, &again, DeliveryOutcome::AllDone, 7).await.unwrap();
    conflict(world.store().redeliver(&lease.delivery.id, at(8)).await);
    let nobody = model::DeliveryId::new(at(0), 77);
    missing(world.store().redeliver(&nobody, at(8)).await);
}

pub(crate) async fn deliveries_are_listed_by_what_is_asked(world: &World) {
    let (first, second) = (due(world, 1).await, due(world, 2).await);
    let lease = claim_one(world, at(1)).await;
    assert_eq!(lease.snapshot.id, first);
    finish(world, &lease, file(1), 2).await.unwrap();
    finish(world, &lease, later(9_000), 3).await.unwrap();
    let list =
        async |snapshot: Option<&SnapshotId>, datasets: Option<&[&str]>, states: Option<&[D]>, limit| {
            let filter = store::DeliveryFilter {
                snapshot: snapshot.cloned(),
                datasets: datasets.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
                states: states.map(<[D]>::to_vec),
                limit,
            };
            world.store().list_deliveries(filter).await.unwrap()
        };
    let runs = |rows: &[store::ListedDelivery]| {
        rows.iter().map(|row| row.delivery.snapshot.clone()).collect::<Vec<_>>()
    };
    let all = list(None, None, None, 9).await;
    assert_eq!(runs(&all), [second.clone(), first.clone()], "the newest first");
    let row = &all[1];
    assert_eq!((row.delivery.parts_done, row.delivery.failures, row.due), (1, 1, Some(at(9_000))));
    assert_eq!(row.delivery.last_error.as_deref(), Some("no answer"));
    assert!(row.delivery.files.is_empty(), "a list has no files");
    assert_eq!(row.dataset, trigger().dataset_id.0);
    assert_eq!(runs(&list(Some(&first), None, None, 9).await), std::slice::from_ref(&first));
    assert_eq!(runs(&list(None, None, None, 1).await), std::slice::from_ref(&second));
    assert_eq!(list(None, None, Some(&[D::Done, D::Failed]), 9).await, []);
    assert_eq!(list(None, None, Some(&[D::Waiting]), 9).await.len(), 2);
    assert_eq!(list(None, Some(&["gd_nobody"]), None, 9).await, []);
    assert_eq!(list(None, Some(&["gd_nobody", &row.dataset]), None, 9).await.len(), 2);
    let nobody = store::DeliveryFilter { snapshot: Some(SnapshotId::new(at(0), 77)), ..Default::default() };
    missing(world.store().list_deliveries(nobody).await);
}
