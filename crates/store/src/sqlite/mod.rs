//! [`Store`] on one SQLite file: one writer with group commit, a few readers, everything durable before it is answered.
//!
//! Owns: the file, the writer's thread, the readers. Must not know: decisions; they are `model`'s.

mod claim;
mod create;
mod delivery;
mod finish;
mod lane;
mod query;
mod reader;
mod retain;
mod run;
mod schema;
mod sql;
mod stop;
mod tick;
mod token;
mod writer;

use crate::{
    Aborted, Change, Claim, Claimed, Commit, Committed, DeliveryLease, Finished, Gauges, Held, Idempotency,
    Lease, NewSnapshot, Registered, Remembered, Result, SnapshotFilter, Store, StoreError, Token,
};
use async_trait::async_trait;
use model::{
    Delivery, DeliveryId, DeliveryOutcome, Input, JobId, Outcome, Segment, Snapshot, SnapshotId, Timestamp,
};
use reader::Readers;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, mpsc, watch};
use writer::{Call, Op, Tx, Writer};

/// Operations that wait for the writer at most; callers wait beyond that.
const QUEUE: usize = 1_024;
/// Changes that a slow subscriber may lag behind before it has to re-read everything.
const NEWS: usize = 4_096;

/// The durable truth in one SQLite file.
pub struct SqliteStore {
    /// Gone after `close`, so that the writer's queue ends.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Op>>>>,
    ended: watch::Receiver<()>,
    /// None for a store in memory: its only connection is the writer's.
    readers: Option<Arc<Readers>>,
    news: broadcast::Sender<Change>,
}

impl SqliteStore {
    /// Opens a file, making it or bringing it up to date. Blocks for the time that takes.
    pub fn open(path: &Path) -> Result<Self> {
        let conn = Connection::open(path)?;
        schema::prepare(&conn)?;
        Self::start(conn, Some(Readers::new(path.to_path_buf())))
    }

    /// A store that is gone with the process: for tests and simulations.
    pub fn in_memory() -> Result<Self> {
        let conn = Connection::open_in_memory()?;
        schema::prepare(&conn)?;
        Self::start(conn, None)
    }

    fn start(conn: Connection, readers: Option<Arc<Readers>>) -> Result<Self> {
        let (news, _) = broadcast::channel(NEWS);
        let (queue, ops) = mpsc::channel(QUEUE);
        let (ending, ended) = watch::channel(());
        let writer = Writer::new(conn, news.clone())?;
        std::thread::Builder::new()
            .name("sqlite".into())
            .spawn(move || writer.serve(ops, ending))
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        Ok(Self { queue: Mutex::new(Some(queue)), ended, readers, news })
    }

    /// Does something in the writer's next transaction; answered when it is durable.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let closed = || StoreError::Unavailable("the store is closed".into());
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (op, answer) = Call::make(work);
        queue.send(op).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Asks without changing anything.
    async fn read<T, F>(&self, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.ask(question).await,
            None => self.write(move |tx| question(tx.conn)).await,
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self, new: NewSnapshot) -> Result<()> {
        self.write(move |tx| create::begin(tx, &new)).await
    }

    async fn add(&self, id: &SnapshotId, slices: Vec<Vec<Input>>, now: Timestamp) -> Result<()> {
        let id = id.clone();
        // Encoding is the costly part, and needs no transaction.
        let packed = tokio::task::spawn_blocking(move || create::pack(&slices))
            .await
            .map_err(|e| StoreError::Invalid(e.to_string()))??;
        self.write(move |tx| create::add(tx, &id, &packed, now)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        self.write(move |tx| create::commit(tx, &commit)).await
    }

    async fn discard(&self, id: &SnapshotId) -> Result<()> {
        let id = id.clone();
        self.write(move |tx| create::discard(tx, &id)).await
    }

    async fn remembered(&self, key: &Idempotency, now: Timestamp) -> Result<Option<Remembered>> {
        let key = key.clone();
        self.read(move |conn| create::remembered(conn, &key, now)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed> {
        self.write(move |tx| claim::claim(tx, &claim)).await
    }

    async fn renew(&self, leases: &[(JobId, u64)], until: Timestamp) -> Result<Vec<Held>> {
        let leases = leases.to_vec();
        self.write(move |tx| claim::renew(tx, &leases, until)).await
    }

    async fn finish(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        segment: Option<&Segment>,
        columns: &[String],
        now: Timestamp,
    ) -> Result<Finished> {
        let told = finish::Finish::new(lease, outcome, segment, columns, now)?;
        self.write(move |tx| finish::finish(tx, told)).await
    }

    async fn cancel(&self, id: &SnapshotId, now: Timestamp) -> Result<()> {
        let id = id.clone();
        self.write(move |tx| {
            stop::cancel(tx, &id, now)?;
            tx.tell(Change::Stopping(id));
            Ok(())
        })
        .await
    }

    async fn fail(&self, id: &SnapshotId, message: &str, now: Timestamp) -> Result<()> {
        let (id, message) = (id.clone(), message.to_owned());
        self.write(move |tx| {
            stop::fail(tx, &id, &message, now)?;
            tx.tell(Change::Stopping(id));
            Ok(())
        })
        .await
    }

    async fn tick(&self, now: Timestamp, starting_ms: u64) -> Result<Option<Timestamp>> {
        self.write(move |tx| tick::tick(tx, now, starting_ms)).await
    }

    async fn reclaim(&self, node: &str, now: Timestamp) -> Result<u64> {
        let node = node.to_owned();
        self.write(move |tx| tick::reclaim(tx, &node, now)).await
    }

    async fn promise(&self, delivery: Delivery) -> Result<()> {
        self.write(move |tx| delivery::promise(tx, &delivery)).await
    }

    async fn claim_deliveries(&self, claim: Claim) -> Result<(Vec<DeliveryLease>, Option<Timestamp>)> {
        self.write(move |tx| delivery::claim(tx, &claim)).await
    }

    async fn renew_delivery(&self, lease: &DeliveryLease, until: Timestamp) -> Result<bool> {
        let (id, epoch) = (lease.delivery.id.clone(), lease.epoch);
        self.write(move |tx| delivery::renew(tx, &id, epoch, until)).await
    }

    async fn finish_delivery(
        &self,
        lease: &DeliveryLease,
        outcome: DeliveryOutcome,
        now: Timestamp,
    ) -> Result<()> {
        let (id, epoch) = (lease.delivery.id.clone(), lease.epoch);
        self.write(move |tx| delivery::finish(tx, &id, epoch, outcome, now)).await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot> {
        let id = id.clone();
        self.read(move |conn| query::snapshot(conn, &id)).await
    }

    async fn snapshots(&self, filter: SnapshotFilter) -> Result<(Vec<Snapshot>, u64)> {
        self.read(move |conn| query::snapshots(conn, &filter)).await
    }

    async fn running(&self, datasets: &[String]) -> Result<u64> {
        let datasets = datasets.to_vec();
        self.read(move |conn| query::running(conn, &datasets)).await
    }

    async fn segments(&self, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<Registered>> {
        let id = id.clone();
        self.read(move |conn| query::segments(conn, &id, from, limit)).await
    }

    async fn aborted(&self, id: &SnapshotId, seq: u64) -> Result<Aborted> {
        let id = id.clone();
        self.read(move |conn| query::aborted(conn, &id, seq)).await
    }

    async fn inputs(&self, id: &SnapshotId, cursor: u64) -> Result<(Vec<Input>, Option<u64>)> {
        let id = id.clone();
        self.read(move |conn| query::inputs(conn, &id, cursor)).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Delivery> {
        let id = id.clone();
        self.read(move |conn| delivery::of_id(conn, &id)).await
    }

    async fn deliveries(&self, id: &SnapshotId) -> Result<Vec<Delivery>> {
        let id = id.clone();
        self.read(move |conn| delivery::of_run(conn, run::key_of(conn, &id)?)).await
    }

    async fn gauges(&self) -> Result<Gauges> {
        self.read(query::gauges).await
    }

    async fn expire(&self, before: Timestamp, limit: usize, _now: Timestamp) -> Result<Vec<String>> {
        self.write(move |tx| retain::expire(tx, before, limit)).await
    }

    async fn forget(&self, keys: &[String]) -> Result<()> {
        let keys = keys.to_vec();
        self.write(move |tx| retain::forget(tx, &keys)).await
    }

    async fn unregistered(&self, keys: &[String]) -> Result<Vec<String>> {
        let keys = keys.to_vec();
        self.read(move |conn| retain::unregistered(conn, &keys)).await
    }

    async fn add_token(&self, token: Token) -> Result<()> {
        self.write(move |tx| token::add(tx.conn, &token)).await
    }

    async fn token(&self, hash: &[u8; 32]) -> Result<Option<Token>> {
        let hash = *hash;
        self.read(move |conn| token::of_hash(conn, &hash)).await
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        self.read(token::all).await
    }

    async fn revoke_token(&self, id_or_name: &str, now: Timestamp) -> Result<u64> {
        let id_or_name = id_or_name.to_owned();
        self.write(move |tx| token::revoke(tx.conn, &id_or_name, now)).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.news.subscribe()
    }

    async fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(readers) = &self.readers {
            readers.close();
        }
        let mut ended = self.ended.clone();
        // An error is the end: the writer drops its half when it has worked off its queue.
        while ended.changed().await.is_ok() {}
    }
}
