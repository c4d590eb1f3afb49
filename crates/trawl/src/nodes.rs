//! The processes that work on one store: each says now and then that it lives, and everybody can ask who does.
//!
//! Owns: the store's documents of kind `node`. Must not know: what a node works on beyond its numbers. Nothing depends on
//! this list: leases say who works, nodes need not know of each other. Only how the lanes of a
//! host are spread goes by how many workers there are, and comes right again if that was wrong.

use crate::clock::Clock;
use crate::config::Role;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{Put, Store};
use tokio::sync::watch;

const KIND: &str = "node";
/// Between two signs of life.
const EVERY: Duration = Duration::from_secs(10);
/// A node that gave no sign for so long is not shown, milliseconds.
const SILENT_MS: i64 = 45_000;
/// And after so long its document is removed, by whoever comes across it.
const GONE_MS: i64 = 600_000;
/// Nodes shown at most.
const NODES: usize = 1_000;

/// One process, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name in leases.
    pub node: String,
    /// What it does.
    pub role: Role,
    /// Version of the program.
    pub version: String,
    /// Jobs that it holds.
    pub jobs: u64,
    /// Hosts (or lanes of them) that it works for.
    pub lanes: u64,
    /// When it started, and when it last gave a sign of life, milliseconds since 1970.
    pub started_at: i64,
    /// See `started_at`.
    pub seen_at: i64,
}

/// This process among the others.
pub struct Nodes {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Whether there may be others.
    shared: bool,
    me: Node,
    /// Jobs and lanes held now.
    load: Box<dyn Fn() -> (u64, u64) + Send + Sync>,
    /// Workers that live, as last seen.
    workers: Arc<AtomicUsize>,
}

impl Nodes {
    /// This process. `load` tells the jobs and the lanes that it holds.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        shared: bool,
        (node, role): (String, Role),
        load: impl Fn() -> (u64, u64) + Send + Sync + 'static,
        workers: Arc<AtomicUsize>,
    ) -> Self {
        let started_at = clock.now().ms();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let me = Node { node, role, version, jobs: 0, lanes: 0, started_at, seen_at: started_at };
        Self { store, clock, shared, me, load: Box::new(load), workers }
    }

    fn me(&self) -> Node {
        let (jobs, lanes) = (self.load)();
        Node { jobs, lanes, seen_at: self.clock.now().ms(), ..self.me.clone() }
    }

    /// Everybody who lives, this process first.
    pub async fn list(&self) -> store::Result<Vec<Node>> {
        let me = self.me();
        let mut nodes = vec![me.clone()];
        if self.shared {
            let now = self.clock.now();
            let others = self.documents().await?.into_iter().filter_map(|(_, node)| node);
            nodes.extend(others.filter(|node| node.node != me.node && lives(node, now, SILENT_MS)));
            let workers = nodes.iter().filter(|node| node.role.works()).count();
            self.workers.store(workers, Ordering::Relaxed);
        }
        Ok(nodes)
    }

    /// Every document of the kind: its name, and the node if it can be read (a later version may write otherwise).
    async fn documents(&self) -> store::Result<Vec<(String, Option<Node>)>> {
        let documents = self.store.documents(KIND, "", NODES).await?;
        Ok(documents.into_iter().map(|d| (d.name, serde_json::from_str(&d.text).ok())).collect())
    }

    /// Gives signs of life until it is time to stop, then says goodbye. Removes those of nodes long gone.
    pub async fn beat(&self, mut stop: watch::Receiver<bool>) {
        if !self.shared {
            return;
        }
        while !*stop.borrow() {
            let beaten = match self.beat_once().await {
                Ok(()) => self.list().await.map(drop),
                failed => failed,
            };
            if let Err(error) = beaten {
                tracing::warn!(%error, "could not give a sign of life");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.changed() => {}
            }
        }
        if let Err(error) = self.store.put_document(KIND, &self.me.node, None, Put::Anyway).await {
            tracing::debug!(%error, "could not say goodbye; the others will notice");
        }
    }

    /// One sign of life.
    pub async fn beat_once(&self) -> store::Result<()> {
        let text = serde_json::to_string(&self.me()).unwrap_or_default();
        self.store.put_document(KIND, &self.me.node, Some(text), Put::Anyway).await?;
        let now = self.clock.now();
        for (name, node) in self.documents().await? {
            if name != self.me.node && node.is_some_and(|node| !lives(&node, now, GONE_MS)) {
                self.store.put_document(KIND, &name, None, Put::Anyway).await?;
            }
        }
        Ok(())
    }
}

fn lives(node: &Node, now: Timestamp, silent_ms: i64) -> bool {
    now.ms() - node.seen_at < silent_ms
}

/// A name that no other process has: the machine's, and chance.
pub fn unique_name(clock: &dyn Clock) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let host: String = host.trim().chars().filter(word).take(64).collect();
    let host = if host.is_empty() { "node".to_owned() } else { host };
    format!("{host}-{:08x}", clock.random() >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI64;
    use store::SqliteStore;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_ms(self.0.load(Ordering::Relaxed))
        }

        fn random(&self) -> u64 {
            7 << 32
        }
    }

    #[tokio::test]
    async fn nodes_see_each_other_until_they_are_silent() {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let clock = Arc::new(Hand(AtomicI64::new(1_000_000)));
        let node = |name: &str, shared| {
            let who = (name.to_owned(), Role::Worker);
            Nodes::new(store.clone(), clock.clone(), shared, who, || (3, 2), Arc::default())
        };
        let names = |nodes: Vec<Node>| nodes.into_iter().map(|n| n.node).collect::<Vec<_>>();
        let (a, b) = (node("a", true), node("b", true));
        b.beat_once().await.unwrap();
        assert_eq!(names(a.list().await.unwrap()), ["a", "b"]);
        assert_eq!(a.workers.load(Ordering::Relaxed), 2);
        assert_eq!((a.list().await.unwrap()[1].jobs, a.list().await.unwrap()[1].lanes), (3, 2));
        assert_eq!(names(node("alone", false).list().await.unwrap()), ["alone"]);
        clock.0.fetch_add(SILENT_MS, Ordering::Relaxed);
        assert_eq!(names(a.list().await.unwrap()), ["a"]);
        clock.0.fetch_add(GONE_MS, Ordering::Relaxed);
        a.beat_once().await.unwrap();
        assert_eq!(store.documents(KIND, "", 9).await.unwrap().len(), 1, "the silent one is removed");
        let (_, stop) = watch::channel(true);
        a.beat(stop).await;
        assert!(store.documents(KIND, "", 9).await.unwrap().is_empty(), "goodbye");
        let name = unique_name(&*clock);
        assert!(name.ends_with("-00000007") && !name.contains(char::is_whitespace), "{name}");
    }
}
