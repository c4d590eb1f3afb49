//! The store on SQLite: one file, one writer, a few readers.
//!
//! Owns: which call runs where. A file's writes go through one thread that commits many operations at once
//! (`writer`), its questions through a small pool (`reader`). In memory there is one connection and no thread: each
//! call runs to its end within one poll, so a simulation with a stopped clock is deterministic.
//! Must not know: PostgreSQL; the two share only the trait.

mod archive;
mod claim;
mod create;
mod delivery;
mod delivery_list;
mod document;
mod finish;
mod host;
mod host_lane;
mod lane;
mod quality;
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
    Aborted, Change, Claim, Claimed, Commit, Committed, DeliveryFilter, DeliveryLease, Document, Finished,
    Gauges, Held, Idempotency, Judged, KeptPart, Lease, ListedDelivery, NewSnapshot, Put, Registered,
    Remembered, Result, SnapshotFilter, Store, StoreError, Token,
};
use async_trait::async_trait;
use model::{
    Delivery, DeliveryId, DeliveryOutcome, Input, JobId, Outcome, PageKey, Segment, Snapshot, SnapshotId,
    Timestamp,
};
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, mpsc, watch};
use writer::{Call, Op, Tx, Writer};

/// Operations waiting for the writer at most; callers wait beyond that.
const QUEUE: usize = 1_024;
/// News that a slow subscriber may lag behind before it must re-read everything.
const NEWS: usize = 4_096;

/// A [`Store`] in one SQLite file (or in memory, for tests and simulations).
pub struct SqliteStore {
    engine: Engine,
    news: broadcast::Sender<Change>,
}

enum Engine {
    File {
        /// Gone once closed.
        queue: Mutex<Option<mpsc::Sender<Box<dyn Op>>>>,
        readers: Arc<reader::Readers>,
        /// Its sender goes when the writer has ended.
        ended: watch::Receiver<()>,
    },
    Memory(Box<Mutex<Option<Writer>>>),
}

impl SqliteStore {
    /// Opens (and makes, if need be) a database file, brings its schema up to date and starts its writer. Blocks
    /// while doing so. [`StoreError::Damaged`] if the file is no database of ours or of a newer version,
    /// [`StoreError::Unavailable`] if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, true)
    }

    /// Brings a database file to this version's form, making it if need be; its schema version before and after.
    pub fn migrate(path: impl AsRef<Path>) -> Result<(u32, u32)> {
        let conn = Connection::open(path.as_ref())?;
        schema::prepare(&conn, true)
    }

    /// As [`SqliteStore::open`]; without `migrate` a file of an older version is refused with [`StoreError::Invalid`].
    pub fn open_with(path: impl AsRef<Path>, migrate: bool) -> Result<Self> {
        let path = path.as_ref();
        let conn = Connection::open(path)?;
        schema::prepare(&conn, migrate)?;
        let (news, _) = broadcast::channel(NEWS);
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let writer = Writer::new(conn, Some(log.into()), news.clone())?;
        let (queue, asked) = mpsc::channel(QUEUE);
        let (alive, ended) = watch::channel(());
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.serve(asked, alive))
            .map_err(|e| StoreError::Unavailable(format!("no thread: {e}")))?;
        let readers = reader::Readers::new(path.to_owned());
        Ok(Self { engine: Engine::File { queue: Mutex::new(Some(queue)), readers, ended }, news })
    }

    /// An empty store that lives as long as this value. Calls run on the calling task without waiting for anything.
    pub fn in_memory() -> Result<Self> {
        let conn = Connection::open_in_memory()?;
        schema::prepare(&conn, true)?;
        let (news, _) = broadcast::channel(NEWS);
        let writer = Writer::new(conn, None, news.clone())?;
        Ok(Self { engine: Engine::Memory(Box::new(Mutex::new(Some(writer)))), news })
    }

    /// Runs an operation in a transaction; returns when it is durable.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.run(true, work).await
    }

    /// Runs an operation that promises nothing by itself: a power failure may undo it together with what came after
    /// it, never without. A crash of this process undoes nothing.
    async fn prepare<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.run(false, work).await
    }

    async fn run<T, F>(&self, lasting: bool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (op, answer) = Call::make(lasting, work);
        match &self.engine {
            Engine::File { queue, .. } => {
                let queue = lock(queue).clone().ok_or_else(closed)?;
                queue.send(op).await.map_err(|_| closed())?;
            }
            Engine::Memory(writer) => lock(writer).as_mut().ok_or_else(closed)?.batch(op, || None),
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks about one moment.
    async fn read<T, F>(&self, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.engine {
            Engine::File { readers, .. } => readers.ask(question).await,
            Engine::Memory(_) => self.write(move |tx| question(tx.conn)).await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic inside an operation is caught within the lock, so poison cannot mean a half-done change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self, new: NewSnapshot) -> Result<()> {
        self.prepare(move |tx| create::begin(tx, &new)).await
    }

    async fn add(&self, id: &SnapshotId, slices: Vec<Vec<Input>>, now: Timestamp) -> Result<()> {
        let id = id.clone();
        let packed = match &self.engine {
            // Encoding is most of the work: not on the writer's time, nor on that of the caller's other tasks.
            Engine::File { .. } => tokio::task::spawn_blocking(move || crate::told::pack(&slices))
                .await
                .unwrap_or_else(|e| Err(StoreError::Unavailable(e.to_string())))?,
            Engine::Memory(_) => crate::told::pack(&slices)?,
        };
        self.prepare(move |tx| create::add(tx, &id, &packed, now)).await
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
        // A lease that a power failure undoes has lost its holder too.
        self.prepare(move |tx| claim::claim(tx, &claim)).await
    }

    async fn renew(&self, leases: &[(JobId, u64)], until: Timestamp) -> Result<Vec<Held>> {
        let leases = leases.to_vec();
        self.prepare(move |tx| claim::renew(tx, &leases, until)).await
    }

    async fn finish(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        segment: Option<&Segment>,
        columns: &[String],
        now: Timestamp,
    ) -> Result<Finished> {
        let told = crate::told::Finish::new(lease, outcome, segment, columns, now)?;
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
        self.prepare(move |tx| tick::tick(tx, now, starting_ms)).await
    }

    async fn reclaim(&self, node: &str, now: Timestamp) -> Result<u64> {
        let node = node.to_owned();
        self.write(move |tx| tick::reclaim(tx, &node, now)).await
    }

    async fn promise(&self, delivery: Delivery) -> Result<()> {
        self.write(move |tx| delivery::promise(tx, &delivery)).await
    }

    async fn redeliver(&self, id: &DeliveryId, now: Timestamp) -> Result<()> {
        let id = id.clone();
        self.write(move |tx| delivery::redeliver(tx, &id, now)).await
    }

    async fn claim_deliveries(&self, claim: Claim) -> Result<(Vec<DeliveryLease>, Option<Timestamp>)> {
        self.prepare(move |tx| delivery::claim(tx, &claim)).await
    }

    async fn renew_delivery(&self, lease: &DeliveryLease, until: Timestamp) -> Result<bool> {
        let (id, epoch) = (lease.delivery.id.clone(), lease.epoch);
        self.prepare(move |tx| delivery::renew(tx, &id, epoch, until)).await
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

    async fn archive(&self, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<KeptPart>> {
        let id = id.clone();
        self.read(move |conn| archive::parts(conn, &id, from, limit)).await
    }

    async fn kept_pages(&self, id: &SnapshotId, asked: &[PageKey]) -> Result<Vec<Vec<(KeptPart, usize)>>> {
        let (id, asked) = (id.clone(), asked.to_vec());
        self.read(move |conn| archive::pages(conn, &id, &asked)).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Delivery> {
        let id = id.clone();
        self.read(move |conn| delivery::of_id(conn, &id)).await
    }

    async fn deliveries(&self, id: &SnapshotId) -> Result<Vec<Delivery>> {
        let id = id.clone();
        self.read(move |conn| delivery::of_run(conn, run::key_of(conn, &id)?)).await
    }

    async fn list_deliveries(&self, filter: DeliveryFilter) -> Result<Vec<ListedDelivery>> {
        self.read(move |conn| delivery_list::list(conn, &filter)).await
    }

    async fn quality(&self, id: &SnapshotId) -> Result<Judged> {
        let id = id.clone();
        self.read(move |conn| quality::judged(conn, &id)).await
    }

    async fn release(&self, id: &SnapshotId, accept: bool, now: Timestamp) -> Result<()> {
        let id = id.clone();
        self.write(move |tx| quality::release(tx, &id, accept, now)).await
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

    async fn save_hosts(
        &self,
        hosts: Vec<(String, Option<String>)>,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<()> {
        // What a power failure takes is learnt again.
        self.prepare(move |tx| host::save(tx, &hosts, now, before)).await
    }

    async fn put_document(&self, kind: &str, name: &str, text: Option<String>, over: Put) -> Result<bool> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.write(move |tx| document::put(tx, &kind, &name, text.as_deref(), over)).await
    }

    async fn documents(&self, kind: &str, after: &str, limit: usize) -> Result<Vec<Document>> {
        let (kind, after) = (kind.to_owned(), after.to_owned());
        self.read(move |conn| document::list(conn, &kind, &after, limit)).await
    }

    async fn hosts_named(&self, names: &[String]) -> Result<Vec<(String, String)>> {
        let names = names.to_vec();
        self.read(move |conn| host::named(conn, &names)).await
    }

    async fn hosts(&self, limit: usize) -> Result<Vec<(String, String)>> {
        self.read(move |conn| host::all(conn, limit)).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.news.subscribe()
    }

    async fn close(&self) {
        match &self.engine {
            Engine::File { queue, readers, ended } => {
                // The readers first, so that the writer's connection is the last and moves the log into the file.
                readers.close();
                // With its last sender gone the writer works off its queue and ends.
                lock(queue).take();
                // An error is what we wait for: nothing is ever sent.
                let _ = ended.clone().changed().await;
            }
            Engine::Memory(writer) => drop(lock(writer).take()),
        }
    }
}
