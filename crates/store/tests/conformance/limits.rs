//! `limit_multiple_results` and `limit_per_input` hold to the row.

use crate::world::{LEASE_MS, STARTING_MS, World, again, at, led, read, records, roots, slices, trigger};
use model::{Outcome, SnapshotState, Trigger};
use store::{CARRIED_EPOCH, Finished, Lease};

fn total(most: u64) -> Trigger {
    Trigger { limit_multiple_results: Some(most), ..trigger() }
}

fn per_input(most: u64) -> Trigger {
    Trigger { limit_per_input: Some(most), ..trigger() }
}

fn trim(finished: &Finished) -> (Option<u64>, Vec<(u64, u64)>) {
    let Finished::Trim { total, per_root } = finished else { panic!("{finished:?}") };
    (*total, per_root.iter().map(|(root, left)| (*root, *left)).collect())
}

pub(crate) async fn a_total_limit_holds_to_the_row(world: &World) {
    let id = world.start(&total(10), slices("a", 0, 40, 5), at(0)).await;
    let leases = world.claim(2, at(1)).await;
    assert!(leases.iter().all(|lease| lease.records_left == Some(10)));
    world.finish(&leases[0], &read(&leases[0], 1), at(2)).await.unwrap();
    let refused = world.finish(&leases[1], &read(&leases[1], 2), at(3)).await.unwrap();
    assert_eq!(trim(&refused), (Some(5), Vec::new()));
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!((counts.records, counts.leased), (5, 5), "nothing was written, and the lease holds");
    let mut cut = read(&leases[1], 2);
    model::keep_within(&mut cut.records, &[].into(), Some(5));
    assert_eq!(world.finish(&leases[1], &cut, at(4)).await.unwrap(), Finished::Done);
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!(
        (counts.records, counts.settled, counts.errors),
        (10, 40, 0),
        "the rest is settled without a row"
    );
    assert!(world.claim(9, at(5)).await.is_empty());
}

pub(crate) async fn a_run_at_its_limit_is_passed_over(world: &World) {
    let id = world.start(&total(7), [slices("a", 0, 6, 3), slices("b", 6, 6, 3)].concat(), at(0)).await;
    let other = world.start(&trigger(), slices("c", 0, 1, 1), at(0)).await;
    let leases = world.claim(99, at(1)).await;
    let of = |id| leases.iter().filter(|lease| lease.job.snapshot == id).collect::<Vec<_>>();
    let (limited, free) = (of(id.clone()), of(other));
    assert_eq!(limited.len(), 3, "3 and 6 inputs out are below 7, 9 are not");
    assert_eq!(free.len(), 1, "others are served all the same");
    assert!(world.claim(99, at(2)).await.is_empty());
    // Two records of three inputs: 2 records and 6 inputs out are still no less than 7.
    let few = Outcome { records: records(0, 2), settled: 3, ..Outcome::default() };
    world.finish(limited[0], &few, at(3)).await.unwrap();
    assert!(world.claim(99, at(4)).await.is_empty());
    world.finish(limited[1], &read(limited[1], 0), at(5)).await.unwrap();
    assert_eq!(world.claim(99, at(6)).await.len(), 1, "2 records and 3 inputs out are less");
    world.expect(&id, SnapshotState::Running).await;
}

pub(crate) async fn what_leases_give_back_reopens_the_run(world: &World) {
    let id = world.start(&total(2), slices("a", 0, 4, 2), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    assert!(world.claim(9, at(1)).await.is_empty());
    world.finish(&lease, &again(&lease, at(2)), at(2)).await.unwrap();
    let lease = world.claim_one(at(3)).await;
    world.store().reclaim("n", at(4)).await.unwrap();
    let lease = (world.claim_one(at(5)).await, lease).0;
    world.finish(&lease, &read(&lease, 1), at(6)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!((counts.records, counts.settled), (2, 4));
}

pub(crate) async fn a_limit_per_input_holds_to_the_row(world: &World) {
    let id = world.start(&per_input(3), slices("a", 0, 2, 1), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    assert_eq!(leases.len(), 2);
    assert_eq!(leases[0].root_left, [(0, 3)].into());
    let refused = world.finish(&leases[0], &read(&leases[0], 4), at(2)).await.unwrap();
    assert_eq!(trim(&refused), (None, vec![(0, 3)]));
    let mut outcome = read(&leases[0], 2);
    let from = &leases[0].job.inputs[0];
    outcome.led = vec![led(from, "x", true), led(from, "y", true)];
    world.finish(&leases[0], &outcome, at(3)).await.unwrap();
    world.finish(&leases[1], &read(&leases[1], 3), at(3)).await.unwrap();
    let lease = world.claim_one(at(4)).await;
    assert_eq!((roots(&lease), lease.root_left.clone()), (vec![0, 0], [(0, 1)].into()));
    let refused = world.finish(&lease, &read(&lease, 1), at(5)).await.unwrap();
    assert_eq!(trim(&refused), (None, vec![(0, 1)]));
    let cut = Outcome { records: records(0, 1), ..read(&lease, 0) };
    world.finish(&lease, &cut, at(6)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!((counts.records, counts.inputs), (6, 4));
}

pub(crate) async fn a_root_has_one_leased_job(world: &World) {
    let id = world.start(&per_input(50), slices("a", 0, 1, 1), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let from = &lease.job.inputs[0];
    // Pages of three hosts: three jobs of one root.
    let found = ["b", "c", "d"].map(|host| {
        let mut input = led(from, "x", true);
        input.row = format!("{{\"url\":\"http://{host}/x\"}}");
        input.host = host.into();
        input
    });
    world.finish(&lease, &Outcome { led: found.to_vec(), ..read(&lease, 0) }, at(2)).await.unwrap();
    for n in 0..3 {
        let lease = world.claim_one(at(3 + n)).await;
        assert_eq!(lease.root_left, [(0, 50 - n as u64)].into(), "the number is exact");
        assert!(world.claim(9, at(3 + n)).await.is_empty());
        let counts = world.expect(&id, SnapshotState::Running).await;
        assert_eq!((counts.leased, counts.waiting), (1, 2 - n as u64));
        world.finish(&lease, &read(&lease, 1), at(3 + n)).await.unwrap();
    }
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 3);
}

pub(crate) async fn repeated_roots_wait_for_each_other(world: &World) {
    // The caller's slices may name a root more than once, in any order.
    let all =
        [slices("a", 1, 1, 1), slices("b", 0, 1, 1), slices("c", 1, 1, 1), slices("d", 1, 1, 1)].concat();
    let id = world.start(&per_input(5), all, at(0)).await;
    let leases = world.claim(9, at(1)).await;
    let mut out: Vec<u64> = leases.iter().flat_map(roots).collect();
    out.sort_unstable();
    assert_eq!(out, [0, 1]);
    for lease in &leases {
        world.finish(lease, &read(lease, 2), at(2)).await.unwrap();
    }
    let lease = world.claim_one(at(3)).await;
    assert_eq!((lease.job.inputs[0].host.as_str(), lease.root_left.clone()), ("c", [(1, 3)].into()));
    world.finish(&lease, &read(&lease, 2), at(4)).await.unwrap();
    let lease = world.claim_one(at(5)).await;
    assert_eq!(lease.root_left, [(1, 1)].into());
    world.finish(&lease, &read(&lease, 1), at(6)).await.unwrap();
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 7);
}

pub(crate) async fn a_met_root_is_settled_alone(world: &World) {
    let id = world.start(&per_input(2), slices("a", 0, 2, 1), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    for (lease, each) in leases.iter().zip([1, 2]) {
        let from = &lease.job.inputs[0];
        let found = ["x", "y", "z"].map(|path| led(from, &format!("{}/{path}", from.root), true));
        let outcome = Outcome { led: found.to_vec(), ..read(lease, each) };
        world.finish(lease, &outcome, at(2)).await.unwrap();
    }
    let counts = world.expect(&id, SnapshotState::Running).await;
    assert_eq!(
        (counts.inputs, counts.waiting),
        (5, 3),
        "what led on from a root that is met is not taken up"
    );
    let lease = world.claim_one(at(3)).await;
    // One record meets it; what would be tried again is settled with it.
    let (first, rest) = lease.job.inputs.split_first().unwrap();
    let outcome = Outcome {
        records: records(first.root, 1),
        again: rest.iter().map(|input| (at(900), input.clone())).collect(),
        settled: 1,
        ..Outcome::default()
    };
    world.finish(&lease, &outcome, at(4)).await.unwrap();
    let counts = world.expect(&id, SnapshotState::Ready).await;
    assert_eq!((counts.records, counts.errors), (4, 0));
}

pub(crate) async fn carried_inputs_keep_their_root(world: &World) {
    let id = world.start(&per_input(4), slices("a", 0, 1, 1), at(0)).await;
    let lease = world.claim_one(at(1)).await;
    let from = &lease.job.inputs[0];
    let found: Vec<_> = (0..4).map(|n| led(from, &format!("{n}"), true)).collect();
    world.finish(&lease, &Outcome { led: found, ..read(&lease, 1) }, at(2)).await.unwrap();
    let lease = world.claim_one(at(3)).await;
    let outcome = Outcome {
        records: records(0, 2),
        again: vec![(at(4), lease.job.inputs[3].clone())],
        carried: vec![lease.job.inputs[2].clone()],
        settled: 2,
        ..Outcome::default()
    };
    let Finished::Carried(job) = world.finish(&lease, &outcome, at(4)).await.unwrap() else { panic!() };
    assert!(world.claim(9, at(5)).await.is_empty(), "one leased job of the root, and that is carried on");
    let rest = Lease { epoch: CARRIED_EPOCH, ..lease.clone() };
    let rest = Lease { job: model::Job { id: job, inputs: outcome.carried, ..rest.job.clone() }, ..rest };
    let refused = world.finish(&rest, &read(&rest, 2), at(6)).await.unwrap();
    assert_eq!(trim(&refused), (None, vec![(0, 1)]));
    world.finish(&rest, &read(&rest, 0), at(7)).await.unwrap();
    let last = world.claim_one(at(8)).await;
    assert_eq!(last.root_left, [(0, 1)].into());
    world.store().tick(at(8), STARTING_MS).await.unwrap();
    world.finish(&last, &read(&last, 1), at(9)).await.unwrap();
    assert_eq!(world.expect(&id, SnapshotState::Ready).await.records, 4);
}

pub(crate) async fn a_lease_lost_after_the_limit_is_met_ends(world: &World) {
    for reclaim in [false, true] {
        let id = world.start(&total(3), slices("a", 0, 6, 2), at(0)).await;
        let leases = world.claim(2, at(1)).await;
        let outcome = Outcome { records: records(0, 3), ..read(&leases[0], 0) };
        world.finish(&leases[0], &outcome, at(2)).await.unwrap();
        let counts = world.expect(&id, SnapshotState::Running).await;
        assert_eq!((counts.settled, counts.leased, counts.waiting), (4, 2, 0));
        if reclaim {
            world.store().reclaim("n", at(3)).await.unwrap();
        } else {
            world.store().tick(at(1 + LEASE_MS), STARTING_MS).await.unwrap();
        }
        let counts = world.expect(&id, SnapshotState::Ready).await;
        assert_eq!((counts.records, counts.errors), (3, 0), "settled without a row, like what waited");
    }
}
