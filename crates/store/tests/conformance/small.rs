//! Tokens, hosts, documents, news, and the end.

use crate::world::{World, at, conflict, read, slices, trigger};
use model::{SnapshotState, TokenId};
use std::time::Duration;
use store::{Change, Document, Put, StoreError, Token};

fn token(world: &World, name: &str, hash: u8) -> Token {
    Token {
        id: TokenId::new(at(0), world.next()),
        name: name.into(),
        hash: [hash; 32],
        datasets: None,
        created_at: at(i64::from(hash)),
        expires_at: None,
        revoked_at: None,
    }
}

pub(crate) async fn tokens_are_found_by_hash_and_revoked_by_name(world: &World) {
    let store = world.store();
    let mut all = [token(world, "ida", 3), token(world, "bob", 1), token(world, "ida", 2)];
    all[0].datasets = Some(vec!["gd_x".into(), "shop's".into()]);
    all[1].expires_at = Some(at(77));
    for token in &all {
        store.add_token(token.clone()).await.unwrap();
    }
    assert_eq!(store.token(&[3; 32]).await.unwrap().as_ref(), Some(&all[0]));
    assert_eq!(store.token(&[9; 32]).await.unwrap(), None);
    assert_eq!(
        store.tokens().await.unwrap(),
        [all[1].clone(), all[2].clone(), all[0].clone()],
        "oldest first"
    );
    assert_eq!(store.revoke_token("ida", at(50)).await.unwrap(), 2);
    assert_eq!(store.revoke_token("ida", at(60)).await.unwrap(), 0, "once");
    assert_eq!(store.revoke_token(all[1].id.as_str(), at(70)).await.unwrap(), 1);
    assert_eq!(store.revoke_token("nobody", at(70)).await.unwrap(), 0);
    let revoked = async |hash| store.token(&[hash; 32]).await.unwrap().unwrap().revoked_at;
    assert_eq!(
        (revoked(3).await, revoked(2).await, revoked(1).await),
        (Some(at(50)), Some(at(50)), Some(at(70)))
    );
}

pub(crate) async fn a_token_is_added_once(world: &World) {
    let first = token(world, "ida", 1);
    world.store().add_token(first.clone()).await.unwrap();
    conflict(world.store().add_token(first.clone()).await);
    conflict(world.store().add_token(token(world, "other", 1)).await);
    assert_eq!(world.store().tokens().await.unwrap(), [first]);
}

pub(crate) async fn hosts_are_kept_replaced_and_forgotten(world: &World) {
    let store = world.store();
    let row = |name: &str, state: Option<&str>| (name.to_owned(), state.map(str::to_owned));
    store.save_hosts(vec![row("a", Some("1")), row("b", Some("1"))], at(1_000), at(0)).await.unwrap();
    store.save_hosts(vec![row("c", Some("1"))], at(2_000), at(0)).await.unwrap();
    store.save_hosts(vec![row("b", Some("2"))], at(3_000), at(0)).await.unwrap();
    let names = async |limit| {
        let rows = store.hosts(limit).await.unwrap();
        rows.into_iter().map(|(name, state)| name + &state).collect::<Vec<_>>()
    };
    assert_eq!(names(2).await, ["b2", "c1"]);
    store.save_hosts(vec![row("c", None)], at(4_000), at(0)).await.unwrap();
    assert_eq!(names(9).await, ["b2", "a1"]);
    let asked = ["c", "a", "a'", "b"].map(str::to_owned);
    let mut named = store.hosts_named(&asked).await.unwrap();
    named.sort_unstable();
    let known = [("a", "1"), ("b", "2")].map(|(name, state)| (name.to_owned(), state.to_owned()));
    assert_eq!(named, known, "unknown ones are left out");
    assert!(store.hosts_named(&[]).await.unwrap().is_empty());
    store.save_hosts(vec![row("d", Some("1"))], at(5_000), at(2_000)).await.unwrap();
    assert_eq!(names(9).await, ["d1", "b2"]);
    store.save_hosts(Vec::new(), at(9_000), at(9_000)).await.unwrap();
    assert!(names(9).await.is_empty());
}

pub(crate) async fn a_document_is_replaced_only_by_who_has_read_it(world: &World) {
    let store = world.store();
    let put = async |name: &str, text: Option<&str>, over| {
        store.put_document("schedule", name, text.map(str::to_owned), over).await.unwrap()
    };
    assert!(put("a", Some("1"), Put::Over(0)).await);
    assert!(!put("a", Some("2"), Put::Over(0)).await, "it is there already");
    assert!(put("a", Some("2"), Put::Over(1)).await);
    assert!(!put("a", None, Put::Over(1)).await, "it has changed since");
    assert!(!put("z", None, Put::Over(1)).await, "it is not there");
    assert!(put("b", Some("x"), Put::Anyway).await);
    assert!(put("B", Some("ä"), Put::Anyway).await);
    let document =
        |name: &str, version, text: &str| Document { name: name.into(), version, text: text.into() };
    let all = store.documents("schedule", "", 9).await.unwrap();
    assert_eq!(
        all,
        [document("B", 1, "ä"), document("a", 2, "2"), document("b", 1, "x")],
        "in order of bytes"
    );
    assert_eq!(store.documents("schedule", "B", 1).await.unwrap(), all[1..2]);
    assert_eq!(store.documents("schedule", "a", 9).await.unwrap(), all[2..]);
    assert!(store.documents("other", "", 9).await.unwrap().is_empty());
    assert!(put("a", None, Put::Over(2)).await);
    assert!(put("a", None, Put::Anyway).await, "nothing to remove is no error");
    assert!(put("b", Some("y"), Put::Anyway).await);
    assert_eq!(store.documents("schedule", "B", 9).await.unwrap(), [document("b", 2, "y")]);
    assert!(put("a", Some("new"), Put::Over(0)).await);
    assert_eq!(
        store.documents("schedule", "", 9).await.unwrap()[1],
        document("a", 1, "new"),
        "1 for a new one"
    );
}

pub(crate) async fn one_of_two_writers_wins(world: &World) {
    for version in 0..20 {
        let put = |n: usize| world.node(n).put_document("k", "n", Some(format!("{n}")), Put::Over(version));
        let (a, b, c) = tokio::join!(put(0), put(1), put(2));
        assert_eq!([a, b, c].into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
    }
    assert_eq!(world.store().documents("k", "", 9).await.unwrap()[0].version, 20);
}

pub(crate) async fn news_are_told_of_everything(world: &World) {
    // Heard by another node than the one that acts, where there are several.
    let mut news = world.node(1).subscribe();
    let mut heard = async |wanted: &[Change]| {
        let mut missing: Vec<_> = wanted.to_vec();
        let mut seen = Vec::new();
        while !missing.is_empty() {
            let change = tokio::time::timeout(Duration::from_secs(10), news.recv()).await;
            let change =
                change.unwrap_or_else(|_| panic!("heard {seen:?}, still waits for {missing:?}")).unwrap();
            missing.retain(|wanted| *wanted != change);
            seen.push(change);
        }
    };
    let rows = |id: &model::SnapshotId| vec![world.rows(id, None)];
    let id = world.promise(&trigger(), slices("a", 0, 2, 1), at(0), rows).await;
    let delivery = world.store().deliveries(&id).await.unwrap().remove(0).id;
    let snapshot = Change::Snapshot(id.clone());
    heard(&[snapshot.clone(), Change::Work, Change::Delivery(delivery.clone())]).await;
    let leases = world.claim(9, at(1)).await;
    heard(std::slice::from_ref(&snapshot)).await;
    world.finish(&leases[0], &read(&leases[0], 1), at(2)).await.unwrap();
    heard(std::slice::from_ref(&snapshot)).await;
    world.finish(&leases[1], &read(&leases[1], 1), at(2)).await.unwrap();
    heard(&[snapshot, Change::Work, Change::Delivery(delivery)]).await;
    let stopped = world.start(&trigger(), slices("a", 0, 2, 1), at(3)).await;
    world.claim(1, at(4)).await;
    world.store().cancel(&stopped, at(5)).await.unwrap();
    heard(&[Change::Stopping(stopped.clone()), Change::Snapshot(stopped)]).await;
    let broken = world.start(&trigger(), slices("a", 0, 2, 1), at(6)).await;
    world.store().fail(&broken, "x", at(7)).await.unwrap();
    heard(&[Change::Stopping(broken)]).await;
}

pub(crate) async fn a_closed_store_says_so(world: &World) {
    let id = world.start(&trigger(), slices("a", 0, 1, 1), at(0)).await;
    let (closed, open) = (world.node(1), world.node(0));
    closed.close().await;
    closed.close().await;
    let refused = closed.cancel(&id, at(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    if !std::sync::Arc::ptr_eq(closed, open) {
        // The others go on.
        assert_eq!(open.snapshot(&id).await.unwrap().state, SnapshotState::Running);
    }
}
