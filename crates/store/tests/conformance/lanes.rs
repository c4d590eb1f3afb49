//! A host is one node's at a time, over all runs, and nothing waits for a node that is gone.

use crate::world::{LEASE_MS, STARTING_MS, World, again, at, input, led, read, slices, trigger};
use model::{Outcome, SnapshotId, SnapshotState, Timestamp};
use std::time::Duration;
use store::{CARRIED_EPOCH, Change, Claim, Claimed, Finished, Held, Lease};

/// A run of one job for each of these hosts.
async fn run(world: &World, hosts: &[&str]) -> SnapshotId {
    let job = |(n, host): (usize, &&str)| vec![input(n as u64, host)];
    world.start(&trigger(), hosts.iter().enumerate().map(job).collect(), at(0)).await
}

fn hosts(leases: &[Lease]) -> Vec<&str> {
    let mut hosts: Vec<_> = leases.iter().map(|lease| lease.job.inputs[0].host.as_str()).collect();
    hosts.sort_unstable();
    hosts
}

async fn settle(world: &World, lease: &Lease, ms: i64) {
    assert_eq!(world.finish(lease, &read(lease, 0), at(ms)).await.unwrap(), Finished::Done);
}

async fn ask(world: &World, node: &str, jobs: usize, now: Timestamp) -> Claimed {
    let claim = Claim {
        jobs,
        express_only: false,
        node: node.into(),
        now,
        lease_until: now.plus_ms(LEASE_MS),
        pass_over: Vec::new(),
    };
    world.node(usize::from(node == "two")).claim(claim).await.unwrap()
}

async fn claim(world: &World, node: &str, ms: i64) -> Vec<Lease> {
    ask(world, node, 100, at(ms)).await.leases
}

pub(crate) async fn a_host_is_one_nodes_over_all_runs(world: &World) {
    run(world, &["a", "b"]).await;
    run(world, &["a", "a", "c"]).await;
    let first = ask(world, "one", 1, at(0)).await.leases;
    assert_eq!(hosts(&first), ["a"]);
    assert_eq!(hosts(&claim(world, "two", 0).await), ["b", "c"], "nothing of a");
    assert_eq!(hosts(&claim(world, "one", 0).await), ["a", "a"], "the holder may have more of it");
    assert!(claim(world, "one", 1).await.is_empty());
}

pub(crate) async fn nodes_that_claim_at_once_share_no_host(world: &World) {
    for _ in 0..6 {
        run(world, &["a", "b", "c", "d", "e", "f"]).await;
    }
    let all = |n: usize| {
        let now = at(1);
        let node = format!("node-{n}");
        let claim = Claim {
            jobs: 7,
            express_only: false,
            node,
            now,
            lease_until: now.plus_ms(LEASE_MS),
            pass_over: Vec::new(),
        };
        world.node(n).claim(claim)
    };
    let (a, b, c, d) = tokio::join!(all(0), all(1), all(2), all(3));
    let mut holder = std::collections::BTreeMap::new();
    let mut jobs = std::collections::BTreeSet::new();
    for (node, claimed) in [a, b, c, d].into_iter().enumerate() {
        for lease in claimed.unwrap().leases {
            let host = lease.job.inputs[0].host.clone();
            assert_eq!(*holder.entry(host).or_insert(node), node, "one node's");
            assert!(jobs.insert(lease.job.id), "leased once");
        }
    }
    assert!(jobs.len() >= 7, "at least the first gets what it asked for: {}", jobs.len());
}

pub(crate) async fn the_last_lease_frees_the_host_and_wakes_other_runs(world: &World) {
    run(world, &["a", "a"]).await;
    let held = claim(world, "one", 0).await;
    run(world, &["a"]).await;
    assert!(claim(world, "two", 0).await.is_empty());
    settle(world, &held[0], 1).await;
    assert!(claim(world, "two", 1).await.is_empty(), "one lease is left");
    let mut news = world.node(1).subscribe();
    settle(world, &held[1], 2).await;
    loop {
        let change = tokio::time::timeout(Duration::from_secs(10), news.recv()).await;
        if change.expect("work is told").unwrap() == Change::Work {
            break;
        }
    }
    assert_eq!(claim(world, "two", 2).await.len(), 1);
}

pub(crate) async fn what_is_handed_back_frees_its_host(world: &World) {
    run(world, &["a"]).await;
    let held = claim(world, "one", 0).await;
    world.finish(&held[0], &again(&held[0], at(1)), at(1)).await.unwrap();
    assert_eq!(claim(world, "two", 2).await.len(), 1);
}

pub(crate) async fn carried_jobs_keep_the_host(world: &World) {
    run(world, &["a"]).await;
    run(world, &["a"]).await;
    let held = ask(world, "one", 1, at(0)).await.leases.remove(0);
    let outcome = Outcome { carried: held.job.inputs.clone(), ..Outcome::default() };
    let Finished::Carried(job) = world.finish(&held, &outcome, at(1)).await.unwrap() else { panic!() };
    assert!(claim(world, "two", 1).await.is_empty());
    let rest = Lease { epoch: CARRIED_EPOCH, job: model::Job { id: job, ..held.job.clone() }, ..held };
    settle(world, &rest, 2).await;
    assert_eq!(claim(world, "two", 3).await.len(), 1);
}

pub(crate) async fn an_ended_lease_keeps_no_host_and_a_renewed_one_does(world: &World) {
    run(world, &["a"]).await;
    run(world, &["a"]).await;
    let held = ask(world, "one", 1, at(0)).await.leases.remove(0);
    let renewed = world.store().renew(&[(held.job.id, held.epoch)], at(50_000)).await.unwrap();
    assert_eq!(renewed, [Held::Yes]);
    assert!(claim(world, "two", 49_999).await.is_empty());
    // No tick has run: the claim itself takes back what has ended, and its own jobs stay its own.
    let taken = ask(world, "two", 1, at(50_000)).await.leases.remove(0);
    let renewed = world.store().renew(&[(held.job.id, held.epoch)], at(90_000)).await.unwrap();
    assert_eq!(renewed, [Held::Lost]);
    assert!(claim(world, "one", 50_001).await.is_empty());
    world.store().tick(at(50_001), STARTING_MS).await.unwrap();
    assert!(
        claim(world, "one", 50_001).await.is_empty(),
        "the late loss is not counted against the new holder"
    );
    settle(world, &taken, 50_002).await;
    assert_eq!(claim(world, "one", 50_002).await.len(), 1);
}

pub(crate) async fn a_tick_frees_the_hosts_of_ended_leases(world: &World) {
    let id = run(world, &["a", "b"]).await;
    assert_eq!(claim(world, "one", 0).await.len(), 2);
    world.store().tick(at(LEASE_MS), STARTING_MS).await.unwrap();
    assert_eq!(claim(world, "two", LEASE_MS).await.len(), 2);
    world.expect(&id, SnapshotState::Running).await;
}

pub(crate) async fn a_node_that_starts_anew_and_a_run_that_breaks_free_their_hosts(world: &World) {
    run(world, &["a"]).await;
    claim(world, "one", 0).await;
    world.store().reclaim("one", at(1)).await.unwrap();
    assert_eq!(claim(world, "two", 1).await.len(), 1);
    let id = run(world, &["b", "b"]).await;
    assert_eq!(claim(world, "two", 1).await.len(), 2);
    world.store().fail(&id, "broken", at(2)).await.unwrap();
    run(world, &["b"]).await;
    assert_eq!(claim(world, "one", 2).await.len(), 1);
}

pub(crate) async fn a_cancelled_run_frees_its_host_with_its_last_lease(world: &World) {
    let id = run(world, &["a"]).await;
    claim(world, "one", 0).await;
    world.store().cancel(&id, at(1)).await.unwrap();
    run(world, &["a"]).await;
    assert!(claim(world, "two", 1).await.is_empty(), "its worker may still be asking the host");
    world.store().tick(at(LEASE_MS), STARTING_MS).await.unwrap();
    world.expect(&id, SnapshotState::Canceled).await;
    assert_eq!(claim(world, "two", LEASE_MS).await.len(), 1);
}

pub(crate) async fn what_is_passed_over_hides_nothing_that_becomes_due(world: &World) {
    run(world, &["b", "a", "a"]).await;
    let held = ask(world, "one", 3, at(0)).await.leases;
    assert_eq!(held.len(), 3);
    // A job of `b` comes back for later; `a` stays with the first node.
    let b = held.iter().find(|lease| lease.job.inputs[0].host == "b").unwrap();
    world.finish(b, &again(b, at(700)), at(1)).await.unwrap();
    run(world, &["a"]).await;
    let asked = ask(world, "two", 9, at(2)).await;
    assert_eq!((asked.leases.len(), asked.next_due), (0, Some(at(700))));
    assert_eq!(hosts(&claim(world, "two", 700).await), ["b"]);
}

pub(crate) async fn runs_with_nothing_for_a_node_hold_up_no_others(world: &World) {
    world.start(&trigger(), slices("held", 0, 2, 1), at(0)).await;
    assert_eq!(claim(world, "one", 0).await.len(), 2);
    // Runs whose only host is another node's, before and after in turn.
    for _ in 0..12 {
        world.start(&trigger(), slices("held", 0, 4, 2), at(1)).await;
    }
    let free = world.start(&trigger(), slices("free", 0, 2, 1), at(2)).await;
    let leases = claim(world, "two", 3).await;
    assert_eq!(hosts(&leases), ["free", "free"]);
    assert!(leases.iter().all(|lease| lease.job.snapshot == free));
}

pub(crate) async fn a_found_page_of_a_held_host_waits(world: &World) {
    run(world, &["a"]).await;
    run(world, &["b"]).await;
    let (one, two) = (ask(world, "one", 1, at(0)).await.leases, claim(world, "two", 0).await);
    let held = one[0].job.inputs[0].host.clone();
    // The second node finds a page on the first one's host.
    let mut found = led(&two[0].job.inputs[0], "x", true);
    found.host.clone_from(&held);
    world.finish(&two[0], &Outcome { led: vec![found], ..read(&two[0], 0) }, at(1)).await.unwrap();
    assert!(claim(world, "two", 2).await.is_empty());
    assert_eq!(hosts(&claim(world, "one", 2).await), [held.as_str()]);
}
