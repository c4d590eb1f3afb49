//! Handing out jobs: fair between runs, in turns between lanes, what is due first.

use crate::world::{LEASE_MS, World, again, at, input, read, roots, slices, trigger};
use model::{Input, SnapshotId, limit};
use store::{Claim, LANE_REST_MS, Lease};

/// One slice for each of `n` hosts.
fn on_hosts(name: &str, n: u64, size: usize) -> Vec<Vec<Input>> {
    (0..n).flat_map(|host| slices(&format!("{name}{host}"), host * 100, size as u64, size)).collect()
}

fn of<'a>(leases: &'a [Lease], id: &'a SnapshotId) -> impl Iterator<Item = &'a Lease> {
    leases.iter().filter(move |lease| lease.job.snapshot == *id)
}

fn inputs_of(leases: &[Lease], id: &SnapshotId) -> i64 {
    of(leases, id).map(|lease| lease.job.inputs.len() as i64).sum()
}

pub(crate) async fn runs_take_turns_by_inputs(world: &World) {
    let large = world.start(&trigger(), on_hosts("large", 12, 30), at(0)).await;
    let small = world.start(&trigger(), on_hosts("small", 90, 2), at(0)).await;
    let mut leases = Vec::new();
    for n in 1..100 {
        leases.push(world.claim_one(at(n)).await);
        let (a, b) = (inputs_of(&leases, &large), inputs_of(&leases, &small));
        if a >= 360 || b >= 180 {
            break;
        }
        assert!((a - b).abs() <= 30, "a slice apart at most, not {a} and {b}");
    }
    // The same in one call.
    let more = world.claim(1_000, at(200)).await;
    assert_eq!(inputs_of(&leases, &small) + inputs_of(&more, &small), 180);
    assert_eq!(inputs_of(&leases, &large) + inputs_of(&more, &large), 360);
}

pub(crate) async fn a_new_run_starts_level(world: &World) {
    let old = world.start(&trigger(), on_hosts("old", 60, 10), at(0)).await;
    assert_eq!(world.claim(40, at(1)).await.len(), 40);
    let new = world.start(&trigger(), on_hosts("new", 60, 10), at(2)).await;
    let leases = world.claim(10, at(3)).await;
    let (old, new) = (of(&leases, &old).count(), of(&leases, &new).count());
    assert!((4..=6).contains(&old) && (4..=6).contains(&new), "level, not {old} and {new}");
}

pub(crate) async fn an_idle_run_saves_up_no_turns(world: &World) {
    let idle = world.start(&trigger(), on_hosts("idle", 40, 10), at(0)).await;
    let leases = world.claim(100, at(1)).await;
    assert_eq!(leases.len(), 40);
    for lease in &leases {
        world.finish(lease, &again(lease, at(1_000)), at(2)).await.unwrap();
    }
    let busy = world.start(&trigger(), on_hosts("busy", 80, 10), at(3)).await;
    assert_eq!(world.claim(60, at(4)).await.len(), 60);
    let leases = world.claim(10, at(1_000)).await;
    let (idle, busy) = (of(&leases, &idle).count(), of(&leases, &busy).count());
    assert!((4..=6).contains(&idle) && (4..=6).contains(&busy), "level, not {idle} and {busy}");
}

pub(crate) async fn lanes_of_a_run_take_turns(world: &World) {
    let mut all = slices("a", 0, 20, 1);
    all.extend(slices("b", 20, 2, 1));
    all.extend(slices("c", 22, 2, 1));
    world.start(&trigger(), all, at(0)).await;
    let mut hosts = Vec::new();
    for n in 1..=6 {
        let lease = world.claim_one(at(n)).await;
        hosts.push(lease.job.inputs[0].host.clone());
        world.finish(&lease, &read(&lease, 1), at(n)).await.unwrap();
    }
    for round in hosts.chunks(3) {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(round, ["a", "b", "c"], "{hosts:?}");
    }
}

pub(crate) async fn the_oldest_due_goes_first(world: &World) {
    world.start(&trigger(), slices("a", 0, 4, 1), at(0)).await;
    for due in [400, 200, 300] {
        let lease = world.claim_one(at(1)).await;
        world.finish(&lease, &again(&lease, at(due)), at(2)).await.unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        let lease = world.claim_one(at(500)).await;
        order.extend(roots(&lease));
        world.finish(&lease, &read(&lease, 1), at(500)).await.unwrap();
    }
    assert_eq!(order, [3, 1, 2, 0]);
}

pub(crate) async fn a_lane_has_so_many_leases_at_most(world: &World) {
    world.start(&trigger(), slices("a", 0, 6, 1), at(0)).await;
    let leases = world.claim(9, at(1)).await;
    assert_eq!(leases.len(), limit::LANE_LEASES as usize);
    assert!(world.claim(9, at(2)).await.is_empty());
    world.finish(&leases[0], &read(&leases[0], 1), at(3)).await.unwrap();
    assert_eq!(world.claim(9, at(4)).await.len(), 1);
    world.finish(&leases[1], &again(&leases[1], at(4)), at(4)).await.unwrap();
    assert_eq!(world.claim(9, at(5)).await.len(), 1);
}

pub(crate) async fn lanes_of_other_runs_are_their_own(world: &World) {
    for _ in 0..3 {
        world.start(&trigger(), slices("a", 0, 6, 1), at(0)).await;
    }
    assert_eq!(world.claim(99, at(1)).await.len(), 3 * limit::LANE_LEASES as usize);
}

pub(crate) async fn express_is_for_express_runs_only(world: &World) {
    let mut asked = trigger();
    let slow = world.start(&asked, slices("a", 0, 1, 1), at(0)).await;
    asked.express = true;
    let express = world.start(&asked, slices("b", 0, 2, 1), at(0)).await;
    let claim = |jobs, express_only, now| Claim {
        jobs,
        express_only,
        node: "n".into(),
        now,
        lease_until: now.plus_ms(LEASE_MS),
        pass_over: Vec::new(),
    };
    let claimed = world.store().claim(claim(1, true, at(1))).await.unwrap();
    assert_eq!(claimed.leases[0].job.snapshot, express);
    let claimed = world.store().claim(claim(9, false, at(1))).await.unwrap();
    assert_eq!((of(&claimed.leases, &slow).count(), of(&claimed.leases, &express).count()), (1, 1));
    // What others wait for is no news for the express slots.
    for lease in &claimed.leases {
        world.finish(lease, &again(lease, at(500)), at(2)).await.unwrap();
    }
    let first = of(&claimed.leases, &express).next().unwrap();
    assert!(first.trigger.express);
    let next = world.store().claim(claim(9, true, at(3))).await.unwrap();
    assert_eq!((next.leases.len(), next.next_due), (0, Some(at(500))));
    let leases = world.store().claim(claim(9, true, at(500))).await.unwrap().leases;
    assert_eq!(leases.len(), 1);
    assert_eq!(world.store().claim(claim(9, true, at(500))).await.unwrap().next_due, None);
}

pub(crate) async fn what_is_not_due_is_told_and_not_leased(world: &World) {
    world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let claim = |now| Claim {
        jobs: 9,
        express_only: false,
        node: "n".into(),
        now,
        lease_until: now.plus_ms(LEASE_MS),
        pass_over: Vec::new(),
    };
    let lease = world.store().claim(claim(at(1))).await.unwrap().leases.remove(0);
    let idle = world.store().claim(claim(at(2))).await.unwrap();
    assert_eq!((idle.leases.len(), idle.next_due), (0, None));
    world.finish(&lease, &again(&lease, at(700)), at(3)).await.unwrap();
    let waits = world.store().claim(claim(at(699))).await.unwrap();
    assert_eq!((waits.leases.len(), waits.next_due), (0, Some(at(700))));
    assert_eq!(world.store().claim(claim(at(700))).await.unwrap().leases.len(), 1);
}

pub(crate) async fn hosts_passed_over_rest(world: &World) {
    for _ in 0..300 {
        world.start(&trigger(), slices("crowd", 0, 1, 1), at(0)).await;
    }
    let free = world.start(&trigger(), slices("free", 0, 1, 1), at(0)).await;
    let claim = |now, pass_over: &[&str]| Claim {
        jobs: 9,
        express_only: false,
        node: "n".into(),
        now,
        lease_until: now.plus_ms(LEASE_MS),
        pass_over: pass_over.iter().map(|host| (*host).to_owned()).collect(),
    };
    // Only so many rest by one call, however many there are; the next goes on at once.
    let mut found = Vec::new();
    for _ in 0..4 {
        let claimed = world.store().claim(claim(at(1), &["crowd"])).await.unwrap();
        found.extend(claimed.leases);
        if claimed.next_due != Some(at(1)) {
            assert_eq!(claimed.next_due, Some(at(1).plus_ms(LANE_REST_MS)));
            break;
        }
    }
    assert_eq!(found.iter().map(|lease| &lease.job.snapshot).collect::<Vec<_>>(), [&free]);
    assert!(world.store().claim(claim(at(2), &[])).await.unwrap().leases.is_empty(), "they rest");
    let rested = world.store().claim(claim(at(1).plus_ms(LANE_REST_MS), &[])).await.unwrap();
    assert_eq!(rested.leases.len(), 9);
}

pub(crate) async fn a_claim_gives_what_was_asked_for_at_most(world: &World) {
    world.start(&trigger(), on_hosts("h", 20, 1), at(0)).await;
    assert!(world.claim(0, at(1)).await.is_empty());
    assert_eq!(world.claim(3, at(1)).await.len(), 3);
    assert_eq!(world.claim(99, at(1)).await.len(), 17);
}

pub(crate) async fn a_lease_says_what_its_run_asks(world: &World) {
    let mut asked = trigger();
    asked.limit_multiple_results = Some(10);
    asked.limit_per_input = Some(4);
    let rows = vec![vec![input(5, "a")], vec![input(6, "b")]];
    let id = world.start(&asked, rows.clone(), at(7)).await;
    let lease = world.claim_one(at(8)).await;
    assert_eq!(lease.job.snapshot, id);
    assert_eq!(lease.job.inputs, rows[0]);
    assert_eq!((lease.epoch, lease.created_at), (1, at(7)));
    assert_eq!((lease.records_left, lease.root_left.clone()), (Some(10), [(5, 4)].into()));
    let mut outcome = read(&lease, 3);
    outcome.led = vec![crate::world::led(&lease.job.inputs[0], "next", true)];
    world.finish(&lease, &outcome, at(9)).await.unwrap();
    let leases = world.claim(9, at(10)).await;
    let found = leases.iter().find(|lease| lease.job.inputs[0].found).unwrap();
    assert_eq!((found.records_left, found.root_left.clone()), (Some(7), [(5, 1)].into()));
    assert_eq!(world.expect(&id, model::SnapshotState::Running).await.leased, 2);
}
