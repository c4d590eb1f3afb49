//! A host is one node's at a time, and nothing waits for a node that is gone.

use crate::{Change, Claim, Claimed, Commit, Finished, Lease, NewSnapshot, SqliteStore, Store};
use model::{DatasetId, Door, Input, Outcome, SnapshotId, Timestamp, Trigger};

const LEASE_MS: i64 = 1_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn trigger() -> Trigger {
    Trigger {
        dataset_id: DatasetId("gd_x".into()),
        scraper: "x".into(),
        scraper_version: "1".into(),
        door: Door::Collect,
        include_errors: true,
        custom_output_fields: None,
        custom_input_fields: Vec::new(),
        limit_per_input: None,
        limit_multiple_results: None,
        deadline: None,
        discover_only: false,
        force_deliver: false,
        promises: Vec::new(),
        notice: None,
        quarantine: false,
        express: false,
        wishes: model::Wishes::default(),
        origin: model::Origin::default(),
    }
}

/// A run of one job for each of these hosts.
async fn run(store: &SqliteStore, n: u64, hosts: &[&str]) -> SnapshotId {
    let (id, now) = (SnapshotId::new(at(0), n), at(0));
    store.begin(NewSnapshot { id: id.clone(), trigger: trigger(), now }).await.unwrap();
    let slice =
        |(n, host): (usize, &&str)| vec![Input::given(n as u64, format!("{{\"n\":{n}}}"), (*host).into())];
    store.add(&id, hosts.iter().enumerate().map(slice).collect(), now).await.unwrap();
    let (deliveries, idempotency) = (Vec::new(), None);
    store.commit(Commit { id: id.clone(), trigger: trigger(), deliveries, idempotency, now }).await.unwrap();
    id
}

async fn ask(store: &SqliteStore, node: &str, jobs: usize, now: i64) -> Claimed {
    let claim =
        Claim { jobs, express_only: false, node: node.into(), now: at(now), lease_until: at(now + LEASE_MS) };
    store.claim(claim).await.unwrap()
}

async fn claim(store: &SqliteStore, node: &str, now: i64) -> Vec<Lease> {
    ask(store, node, 100, now).await.leases
}

fn hosts(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.job.inputs[0].host.as_str()).collect()
}

async fn finish(store: &SqliteStore, lease: &Lease, carried: bool) -> Finished {
    let mut outcome = Outcome::default();
    match carried {
        true => outcome.carried = lease.job.inputs.clone(),
        false => outcome.settled = lease.job.inputs.len() as u64,
    }
    store.finish(lease, &outcome, None, &[], at(1)).await.unwrap()
}

#[tokio::test]
async fn a_host_is_one_nodes_over_all_runs() {
    let store = SqliteStore::in_memory().unwrap();
    run(&store, 1, &["a", "b"]).await;
    run(&store, 2, &["a", "a", "c"]).await;
    let first = ask(&store, "one", 1, 0).await.leases;
    assert_eq!(hosts(&first), ["a"]);
    let others = claim(&store, "two", 0).await;
    assert_eq!(hosts(&others).len(), 2, "b and c, nothing of a: {:?}", hosts(&others));
    assert!(!hosts(&others).contains(&"a"));
    assert_eq!(hosts(&claim(&store, "one", 0).await), ["a", "a"], "the holder may have more of it");
}

#[tokio::test]
async fn the_last_lease_frees_the_host_and_wakes_other_runs() {
    let store = SqliteStore::in_memory().unwrap();
    run(&store, 1, &["a", "a"]).await;
    let held = claim(&store, "one", 0).await;
    run(&store, 2, &["a"]).await;
    assert!(claim(&store, "two", 0).await.is_empty());
    finish(&store, &held[0], false).await;
    assert!(claim(&store, "two", 0).await.is_empty(), "one lease is left");
    let mut news = store.subscribe();
    finish(&store, &held[1], false).await;
    let mut told = Vec::new();
    while let Ok(change) = news.try_recv() {
        told.push(change);
    }
    assert!(told.contains(&Change::Work), "{told:?}");
    assert_eq!(claim(&store, "two", 0).await.len(), 1);
}

#[tokio::test]
async fn carried_jobs_keep_the_host() {
    let store = SqliteStore::in_memory().unwrap();
    run(&store, 1, &["a"]).await;
    run(&store, 2, &["a"]).await;
    let held = ask(&store, "one", 1, 0).await.leases;
    assert!(matches!(finish(&store, &held[0], true).await, Finished::Carried(_)));
    assert!(claim(&store, "two", 0).await.is_empty());
}

#[tokio::test]
async fn an_ended_lease_keeps_no_host_and_a_renewed_one_does() {
    let store = SqliteStore::in_memory().unwrap();
    run(&store, 1, &["a"]).await;
    run(&store, 2, &["a"]).await;
    let held = ask(&store, "one", 1, 0).await.leases;
    store.renew(&[(held[0].job.id, held[0].epoch)], at(5_000)).await.unwrap();
    assert!(claim(&store, "two", 4_999).await.is_empty());
    // No tick has run: the claim itself takes back what has ended, and its own jobs stay its own.
    let taken = ask(&store, "two", 1, 5_000).await.leases;
    assert_eq!(hosts(&taken), ["a"]);
    assert!(claim(&store, "one", 5_001).await.is_empty());
    store.tick(at(5_001), 1).await.unwrap();
    assert!(
        claim(&store, "one", 5_001).await.is_empty(),
        "the late loss is not counted against the new holder"
    );
    finish(&store, &taken[0], false).await;
    assert_eq!(claim(&store, "one", 5_002).await.len(), 1);
}

#[tokio::test]
async fn a_node_that_starts_anew_and_a_run_that_breaks_free_their_hosts() {
    let store = SqliteStore::in_memory().unwrap();
    run(&store, 1, &["a"]).await;
    claim(&store, "one", 0).await;
    store.reclaim("one", at(1)).await.unwrap();
    assert_eq!(claim(&store, "two", 1).await.len(), 1);
    let id = run(&store, 2, &["b", "b"]).await;
    assert_eq!(claim(&store, "two", 1).await.len(), 2);
    store.fail(&id, "broken", at(2)).await.unwrap();
    run(&store, 3, &["b"]).await;
    assert_eq!(claim(&store, "one", 2).await.len(), 1);
}

#[tokio::test]
async fn a_cancelled_run_frees_its_host_with_its_last_lease() {
    let store = SqliteStore::in_memory().unwrap();
    let id = run(&store, 1, &["a"]).await;
    claim(&store, "one", 0).await;
    store.cancel(&id, at(1)).await.unwrap();
    run(&store, 2, &["a"]).await;
    assert!(claim(&store, "two", 1).await.is_empty(), "its worker may still be asking the host");
    store.tick(at(LEASE_MS), 1).await.unwrap();
    assert_eq!(claim(&store, "two", LEASE_MS).await.len(), 1);
}

#[tokio::test]
async fn what_is_passed_over_hides_nothing_that_becomes_due() {
    let store = SqliteStore::in_memory().unwrap();
    run(&store, 1, &["b", "a", "a"]).await;
    let held = ask(&store, "one", 3, 0).await.leases;
    assert_eq!(held.len(), 3);
    // A job of `b` comes back for later; `a` stays with the first node.
    let b = held.iter().find(|lease| lease.job.inputs[0].host == "b").unwrap();
    let outcome = Outcome { again: vec![(at(700), b.job.inputs[0].clone())], ..Outcome::default() };
    store.finish(b, &outcome, None, &[], at(1)).await.unwrap();
    run(&store, 2, &["a"]).await;
    let asked = ask(&store, "two", 9, 2).await;
    assert!(asked.leases.is_empty());
    assert_eq!(asked.next_due, Some(at(700)));
    assert_eq!(hosts(&claim(&store, "two", 700).await), ["b"]);
}
