//! A worker's outcome becomes fact: once, whole, and only for who holds the lease.

use crate::world::{
    LEASE_MS, World, again, at, codes, failed, input, invalid, led, lost, read, records, roots, slices,
    trigger,
};
use model::{Door, FailureCode, NOTHING_FOUND, Outcome, SnapshotState};
use store::{CARRIED_EPOCH, Content, Finished, Held, Lease};

pub(crate) async fn a_finished_job_is_registered_whole(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 3, 3), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let mut outcome = read(&lease, 2);
    outcome.errors = vec![(FailureCode::DeadPage, "{}".into()), (FailureCode::Timeout, "{}".into())];
    outcome.led = vec![led(&lease.job.inputs[0], "more", true), led(&lease.job.inputs[0], "page/2", false)];
    let segment = world.segment_of(&lease, &outcome);
    let columns = ["b".to_owned(), "a".to_owned()];
    let done = world.store().finish(&lease, &outcome, segment.as_ref(), &columns, at(2)).await.unwrap();
    assert_eq!(done, Finished::Done);
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.inputs, counts.settled, counts.waiting, counts.leased), (5, 3, 2, 0));
    assert_eq!((counts.given, counts.found, counts.records, counts.errors), (3, 1, 6, 2));
    let snapshot = world.store().snapshot(&id).await.unwrap();
    assert_eq!(snapshot.error_codes, codes(&[(FailureCode::DeadPage, 1), (FailureCode::Timeout, 1)]));
    assert_eq!(snapshot.extra_columns, columns);
    assert_eq!(world.segments(&id).await[0].content, Content::Segment(segment.unwrap()));
    world.work_off(at(3)).await;
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 8);
    assert_eq!(world.store().snapshot(&id).await.unwrap().finished_at, Some(at(3)));
}

pub(crate) async fn a_repeated_finish_gets_the_first_answer(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 4, 2), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let mut outcome = read(&lease, 1);
    outcome.led = vec![led(&lease.job.inputs[0], "more", true)];
    let segment = world.segment_of(&lease, &outcome);
    for ms in [2, 3, 100_000] {
        let done = world.store().finish(&lease, &outcome, segment.as_ref(), &[], at(ms)).await.unwrap();
        assert_eq!(done, Finished::Done);
        let counts = world.expect(&id, SnapshotState::Running).await;
        assert_eq!((counts.records, counts.inputs, counts.settled), (2, 5, 2));
    }
    // Also when another outcome is told, and when the run has ended meanwhile.
    world.work_off(at(4)).await;
    assert_eq!(world.finish(&lease, &again(&lease, at(9)), at(5)).await.unwrap(), Finished::Done);
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 5);
}

pub(crate) async fn two_at_once_register_one(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 2, 2), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let outcome = read(&lease, 1);
    let segment = world.segment_of(&lease, &outcome);
    let finish = |n: usize| world.node(n).finish(&lease, &outcome, segment.as_ref(), &[], at(2));
    let (a, b, c) = tokio::join!(finish(0), finish(1), finish(2));
    assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (Finished::Done, Finished::Done, Finished::Done));
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 2);
}

pub(crate) async fn a_late_finish_is_refused(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 2, 2), at(0)).await;
    let late = world.claim_one(at(1)).await;
    world.store().tick(at(1 + LEASE_MS), crate::world::STARTING_MS).await.unwrap();
    lost(world.finish(&late, &read(&late, 1), at(40_000)).await);
    let lease = world.claim_one(at(40_000)).await;
    assert_eq!((lease.job.id, lease.epoch), (late.job.id, late.epoch + 1));
    lost(world.finish(&late, &read(&late, 1), at(40_001)).await);
    assert_eq!(world.expect(&id, SnapshotState::Running).await.records, 0);
    world.finish(&lease, &read(&lease, 1), at(40_002)).await.unwrap();
    lost(world.finish(&late, &read(&late, 1), at(40_003)).await);
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 2);
}

pub(crate) async fn a_lease_of_another_run_is_worth_nothing(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let other = world.start(&trigger(), slices("b", 0, 1, 1), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let wrong = if lease.job.snapshot == id { &other } else { &id };
    let mut forged = lease.clone();
    forged.job.snapshot = wrong.clone();
    lost(world.finish(&forged, &read(&forged, 1), at(2)).await);
    let mut forged = lease.clone();
    forged.job.id.0 += 1_000_000;
    lost(world.finish(&forged, &read(&forged, 1), at(2)).await);
    for id in [id, other] {
        assert_eq!(world.expect(&id, SnapshotState::Running).await.records, 0);
    }
}

pub(crate) async fn an_outcome_that_contradicts_itself_is_refused(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 3, 3), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let good = read(&lease, 1);
    let segment = world.segment_of(&lease, &good).unwrap();
    let store = world.store();
    invalid(store.finish(&lease, &good, None, &[], at(2)).await);
    let short = model::Segment { records: 2, ..segment.clone() };
    invalid(store.finish(&lease, &good, Some(&short), &[], at(2)).await);
    let few = Outcome { settled: 2, ..good.clone() };
    invalid(store.finish(&lease, &few, Some(&segment), &[], at(2)).await);
    let many = Outcome { again: vec![(at(2), input(0, "a"))], ..good.clone() };
    invalid(store.finish(&lease, &many, Some(&segment), &[], at(2)).await);
    let mut shrunk = lease.clone();
    shrunk.job.inputs.pop();
    invalid(world.finish(&shrunk, &read(&shrunk, 1), at(2)).await);
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.leased, counts.records), (3, 0), "nothing was written");
    store.finish(&lease, &good, Some(&segment), &[], at(2)).await.unwrap();
    // The same of a root, where a limit counts them.
    let mut asked = trigger();
    asked.limit_per_input = Some(5);
    world.start(&asked, slices("b", 0, 1, 1), at(3)).await;
    let lease = world.claim_one(at(3)).await;
    invalid(world.finish(&lease, &Outcome { records: records(1, 1), ..read(&lease, 0) }, at(4)).await);
    let stray = led(&input(1, "b"), "x", true);
    invalid(world.finish(&lease, &Outcome { led: vec![stray], ..read(&lease, 0) }, at(4)).await);
    world.finish(&lease, &read(&lease, 1), at(4)).await.unwrap();
}

pub(crate) async fn segments_follow_each_other_without_gaps(world: &World) {
    let hosts = ["a", "b", "c", "d", "e", "f"];
    let all: Vec<_> = hosts.iter().zip(0..).flat_map(|(host, n)| slices(host, 10 * n, 2, 2)).collect();
    let id = world.start(&trigger(), all, at(0)).await;
    let leases = world.claim(9, at(1)).await;
    // Finished by several nodes at once: `expect` sees that the rows of each stand behind those of the last.
    let finish = async |n: usize, lease: &Lease| {
        let outcome = if n.is_multiple_of(2) { read(lease, 3) } else { failed(lease, FailureCode::Timeout) };
        let segment = world.segment_of(lease, &outcome);
        world.node(n).finish(lease, &outcome, segment.as_ref(), &[], at(2)).await.unwrap()
    };
    tokio::join!(
        finish(0, &leases[0]),
        finish(1, &leases[1]),
        finish(2, &leases[2]),
        finish(3, &leases[3]),
        finish(4, &leases[4]),
        finish(5, &leases[5]),
    );
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!((counts.records, counts.errors), (18, 6));
    assert_eq!(world.segments(&id).await.len(), 6);
}

pub(crate) async fn what_is_tried_again_comes_when_due(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 3, 3), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let mut outcome = again(&lease, at(600));
    let (_, first) = outcome.again.remove(0);
    outcome.settled = 1;
    outcome.records = records(first.root, 1);
    for (_, input) in &mut outcome.again {
        input.failures = 4;
    }
    world.finish(&lease, &outcome, at(2)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.inputs, counts.settled, counts.waiting), (3, 1, 2));
    assert!(world.claim(9, at(599)).await.is_empty());
    let lease = world.claim_one(at(600)).await;
    assert_eq!(roots(&lease), [1, 2]);
    assert!(lease.job.inputs.iter().all(|input| input.failures == 4), "as it was handed back");
    world.finish(&lease, &read(&lease, 1), at(601)).await.unwrap();
    world.expect(&id, SnapshotState::Ready).await;
}

pub(crate) async fn what_was_not_begun_goes_to_the_front(world: &World) {
    world.start(&trigger(), slices("a", 0, 6, 2), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    assert_eq!(roots(&lease), [0, 1]);
    world.finish(&lease, &again(&lease, at(1)), at(1)).await.unwrap();
    assert_eq!(roots(&world.claim_one(at(2)).await), [0, 1]);
}

pub(crate) async fn a_found_input_is_collected_once(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 2, 1), at(0)).await;
    let other = world.start(&trigger(), slices("b", 7, 1, 1), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    for lease in leases.iter().filter(|lease| lease.job.snapshot == id) {
        let from = &lease.job.inputs[0];
        let mut outcome = read(lease, 0);
        // Twice in one outcome, again in the next, and once more under another spelling of its address.
        outcome.led = vec![led(from, "x", true), led(from, "x", true), led(from, "y/../x#top", true)];
        world.finish(lease, &outcome, at(2)).await.unwrap();
    }
    assert_eq!(world.expect(&id, SnapshotState::Running).await.inputs, 3);
    // Another page kind reads the same page anew; and a found input leads to others, or back to itself.
    let lease = world.claim_one(at(3)).await;
    let from = &lease.job.inputs[0];
    let mut outcome = read(&lease, 1);
    outcome.led = vec![from.clone(), led(from, "x", false), led(from, "z", true)];
    world.finish(&lease, &outcome, at(4)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.inputs, counts.found, counts.given), (5, 2, 2));
    world.work_off(at(5)).await;
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 3);
    // What was seen is a run's own.
    let lease = leases.iter().find(|lease| lease.job.snapshot == other).unwrap();
    let mut outcome = read(lease, 0);
    outcome.led = vec![led(&input(7, "a"), "x", true)];
    world.finish(lease, &outcome, at(6)).await.unwrap();
    assert_eq!(world.expect(&other, SnapshotState::Running).await.found, 1);
}

pub(crate) async fn found_pages_go_before_further_listing_pages(world: &World) {
    world.start(&trigger(), slices("a", 0, 2, 1), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let from = &lease.job.inputs[0];
    let outcome = Outcome { led: vec![led(from, "list", false), led(from, "item", true)], ..read(&lease, 0) };
    world.finish(&lease, &outcome, at(2)).await.unwrap();
    let mut order = Vec::new();
    for n in 3..6 {
        let lease = world.claim_one(at(n)).await;
        order.push(lease.job.inputs[0].kind.clone());
        world.finish(&lease, &read(&lease, 0), at(n)).await.unwrap();
    }
    assert_eq!(order, ["item", "", "list"], "found, then the caller's other row, then the next list");
}

pub(crate) async fn a_barren_listing_keeps_count(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let mut barren = Vec::new();
    // Nothing new; something new; nothing new (seen before); a record.
    for (n, found, each) in [(1, None, 0), (2, Some("x"), 0), (3, Some("x"), 0), (4, None, 1)] {
        let lease = world.claim_one(at(n)).await;
        let from = &lease.job.inputs[0];
        let mut next = led(from, &format!("page/{n}"), false);
        next.trail.barren = 7;
        let mut led_to = vec![next];
        led_to.extend(found.map(|path| led(from, path, true)));
        world.finish(&lease, &Outcome { led: led_to, ..read(&lease, each) }, at(n)).await.unwrap();
        // The found page goes first.
        let mut lease = world.claim_one(at(n)).await;
        if lease.job.inputs[0].found {
            world.finish(&lease, &read(&lease, 0), at(n)).await.unwrap();
            lease = world.claim_one(at(n)).await;
        }
        barren.push(lease.job.inputs[0].trail.barren);
        world.finish(&lease, &again(&lease, at(n)), at(n)).await.unwrap();
    }
    assert_eq!(barren, [7, 0, 7, 0]);
    assert_eq!(world.expect(&id, SnapshotState::Running).await.inputs, 6);
}

pub(crate) async fn what_is_carried_on_stays_leased(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 4, 4), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let outcome = Outcome {
        records: records(0, 1),
        again: vec![(at(900), lease.job.inputs[1].clone())],
        carried: lease.job.inputs[2..].to_vec(),
        settled: 1,
        ..Outcome::default()
    };
    let finished = world.finish(&lease, &outcome, at(2)).await.unwrap();
    let Finished::Carried(job) = finished else { panic!("{finished:?}") };
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.settled, counts.waiting, counts.leased), (1, 1, 2));
    let mut rest = lease.clone();
    (rest.job.id, rest.job.inputs, rest.epoch) = (job, outcome.carried.clone(), CARRIED_EPOCH);
    assert_eq!(world.store().renew(&[(job, CARRIED_EPOCH)], at(50_000)).await.unwrap(), [Held::Yes]);
    // Its lease ends like any other.
    world.store().tick(at(49_999), crate::world::STARTING_MS).await.unwrap();
    world.finish(&rest, &read(&rest, 1), at(49_999)).await.unwrap();
    world.work_off(at(60_000)).await;
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 4);
    // A job carried on takes its place in the lane once.
    world.start(&trigger(), slices("b", 0, 3, 1), at(0)).await;
    let leases = world.claim(9, at(70_000)).await;
    let carry = Outcome { carried: leases[0].job.inputs.clone(), ..Outcome::default() };
    world.finish(&leases[0], &carry, at(70_001)).await.unwrap();
    assert!(world.claim(9, at(70_002)).await.is_empty(), "the lane is full still");
    world.store().tick(at(70_000 + LEASE_MS), crate::world::STARTING_MS).await.unwrap();
    assert_eq!(world.claim(9, at(70_000 + LEASE_MS)).await.len(), 2, "both leases ended");
}

pub(crate) async fn a_repeated_finish_carries_once(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 2, 2), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let outcome = Outcome {
        carried: vec![lease.job.inputs[1].clone()],
        records: records(0, 1),
        settled: 1,
        ..Outcome::default()
    };
    let segment = world.segment_of(&lease, &outcome);
    let first = world.store().finish(&lease, &outcome, segment.as_ref(), &[], at(2)).await.unwrap();
    let Finished::Carried(job) = first else { panic!("{first:?}") };
    for ms in [3, 4] {
        let again = world.store().finish(&lease, &outcome, segment.as_ref(), &[], at(ms)).await.unwrap();
        assert_eq!(again, Finished::Carried(job));
        let counts = world.expect(&id, SnapshotState::Running).await;
        assert_eq!((counts.leased, counts.settled), (1, 1));
    }
    assert_eq!(world.store().gauges().await.unwrap().jobs_leased, 1);
}

pub(crate) async fn columns_keep_their_first_order(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 3, 1), at(0)).await;
    for columns in [&["z", "a"][..], &["a", "m", "z"], &["b", "ä"]] {
        let lease = world.claim_one(at(1)).await;
        let outcome = read(&lease, 1);
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let segment = world.segment_of(&lease, &outcome);
        world.store().finish(&lease, &outcome, segment.as_ref(), &columns, at(2)).await.unwrap();
    }
    assert_eq!(world.store().snapshot(&id).await.unwrap().extra_columns, ["z", "a", "m", "b", "ä"]);
}

pub(crate) async fn a_discovery_that_finds_nothing_fails(world: &World) {
    let mut asked = trigger();
    asked.door = Door::Discover("search".into());
    let barren = world.start(&asked, slices("a", 0, 2, 1), at(0)).await;
    world.work_off(at(1)).await;
    world.expect(&barren, SnapshotState::Failed).await;
    let message = world.store().snapshot(&barren).await.unwrap().message;
    assert_eq!(message.as_deref(), Some(NOTHING_FOUND));
    let fruitful = world.start(&asked, slices("a", 0, 1, 1), at(2)).await;
    let lease = world.claim_one(at(3)).await;
    let outcome = Outcome { led: vec![led(&lease.job.inputs[0], "x", true)], ..read(&lease, 0) };
    world.finish(&lease, &outcome, at(4)).await.unwrap();
    world.work_off(at(5)).await;
    world.expect(&fruitful, SnapshotState::Ready).await;
    // Where the rows are the inputs found, rows are what counts.
    asked.discover_only = true;
    let listed = world.start(&asked, slices("a", 0, 1, 1), at(6)).await;
    world.work_off(at(7)).await;
    world.expect(&listed, SnapshotState::Ready).await;
}

pub(crate) async fn records_withheld_are_counted_apart(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 2, 2), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let outcome = Outcome { records: records(0, 1), withheld: vec!["{}".into(); 3], ..read(&lease, 0) };
    world.finish(&lease, &outcome, at(2)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!((counts.records, counts.unchanged), (1, 3));
    let Content::Segment(segment) = world.segments(&id).await.remove(0).content else { panic!() };
    assert_eq!((segment.withheld, segment.withheld_bytes), (3, 30));
}
