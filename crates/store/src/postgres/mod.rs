//! The store on PostgreSQL: one database, any number of nodes.
//!
//! Owns: which call is which transaction, and trying again what collided. Every change of a run takes the row of that
//! run first, so calls for different runs do not wait for each other, and those for one run do nothing but. Calls that
//! concern many runs (tick, expire, reclaim) are a transaction per run.
//! Must not know: SQLite; the two share only the trait and what prepares its arguments.

mod archive;
mod claim;
mod connect;
mod create;
mod delivery;
mod delivery_list;
mod document;
mod finish;
mod host;
mod lane;
mod news;
mod quality;
mod query;
mod retain;
mod run;
mod schema;
mod sql;
mod stop;
mod tick;
mod token;
mod tx;

use crate::{
    Aborted, Change, Claim, Claimed, Commit, Committed, DeliveryFilter, DeliveryLease, Document, Finished,
    Gauges, Held, Idempotency, Judged, KeptPart, Lease, ListedDelivery, NewSnapshot, Put, Registered,
    Remembered, Result, SnapshotFilter, Store, StoreError, Token,
};
use async_trait::async_trait;
use connect::Address;
use deadpool_postgres::{Pool, PoolError};
use model::{
    Delivery, DeliveryId, DeliveryOutcome, Input, JobId, Outcome, PageKey, Segment, Snapshot, SnapshotId,
    Timestamp,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tick::Lost;
use tokio::sync::{broadcast, oneshot};
use tokio::task::AbortHandle;
use tx::{Kind, Tx};

/// News that a slow subscriber may lag behind before it must re-read everything.
const NEWS: usize = 4_096;
/// Every so many claims one waits for the run whose turn it is, instead of passing over runs that others hold right
/// now: so none starves that is always held at the wrong moment.
const PATIENT: u32 = 16;

/// How a database is used.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// Connections for transactions at most; one more listens for news.
    pub pool: usize,
    /// How long a call waits for a free connection.
    pub pool_timeout: Duration,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a statement waits for a row that another transaction holds.
    pub lock_timeout: Duration,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            pool: 8,
            pool_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(15),
        }
    }
}

/// Schema versions of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersions {
    /// What it has; 0 is empty.
    pub found: usize,
    /// What this program brings it to.
    pub known: usize,
}

/// A [`Store`] in a PostgreSQL database, which other nodes may have open as well.
pub struct PostgresStore {
    pool: Pool,
    news: broadcast::Sender<Change>,
    /// Marks this process's news, which it has told its own subscribers already.
    tag: String,
    listener: AbortHandle,
    known: claim::Known,
    claims: AtomicU32,
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Does a transaction, and again while it collides with others. A macro, because the work borrows the transaction and
/// its arguments alike.
macro_rules! transact {
    ($store:expr, $kind:expr, |$tx:ident| $work:expr) => {{
        let mut tries = 0;
        loop {
            #[allow(unused_mut, reason = "questions change nothing")]
            let mut $tx = match $store.start($kind, &mut tries).await {
                Ok(tx) => tx,
                Err(e) => break Err(e),
            };
            let result = $work.await;
            if let Some((result, told)) = $tx.end(result, &$store.tag, &mut tries).await {
                $store.tell(told);
                break result;
            }
        }
    }};
}

macro_rules! write {
    ($store:expr, |$tx:ident| $work:expr) => {
        transact!($store, Kind::Write, |$tx| $work)
    };
}

macro_rules! read {
    ($store:expr, |$tx:ident| $work:expr) => {
        transact!($store, Kind::Read, |$tx| $work)
    };
}

/// One statement alone.
macro_rules! alone {
    ($store:expr, |$tx:ident| $work:expr) => {
        transact!($store, Kind::Alone, |$tx| $work)
    };
}

impl PostgresStore {
    /// Opens a database by its URL (`postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`; what it
    /// leaves out is taken from the `PG…` variables that libpq knows), brings its schema up to date and begins to
    /// listen for news. [`StoreError::Invalid`] for a URL that makes no sense, [`StoreError::Damaged`] for a database
    /// that is not ours or of a newer version, [`StoreError::Unavailable`] if it cannot be reached.
    pub async fn open(url: &str, settings: PostgresSettings) -> Result<Self> {
        Self::migrate(url, &settings).await?;
        let address = Address::parse(url, &settings, environment)?;
        let pool = address.pool(&settings)?;
        let mut tag = [0; 4];
        getrandom::fill(&mut tag).map_err(|e| StoreError::Unavailable(format!("no dice: {e}")))?;
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let (news, _) = broadcast::channel(NEWS);
        let (ready, answer) = oneshot::channel();
        let listener = tokio::spawn(news::listen(address, tag.clone(), news.clone(), ready)).abort_handle();
        let store =
            Self { pool, news, tag, listener, known: claim::Known::default(), claims: AtomicU32::new(0) };
        answer.await.unwrap_or_else(|_| Err(closed()))?;
        Ok(store)
    }

    /// Brings a database's schema up to date, and nothing else. Nodes may do so at the same time.
    pub async fn migrate(url: &str, settings: &PostgresSettings) -> Result<SchemaVersions> {
        let pool = Address::parse(url, settings, environment)?.pool(settings)?;
        let client = pool.get().await.map_err(|e| unavailable(&e))?;
        let (found, known) = schema::migrate(&client, schema::MIGRATIONS).await?;
        if found < known {
            tracing::info!(found, known, "the database's schema was brought up to date");
        }
        Ok(SchemaVersions { found, known })
    }

    /// The schema's version in a database, and the one that this program knows. Changes nothing.
    pub async fn versions(url: &str, settings: &PostgresSettings) -> Result<SchemaVersions> {
        let pool = Address::parse(url, settings, environment)?.pool(settings)?;
        let client = pool.get().await.map_err(|e| unavailable(&e))?;
        Ok(SchemaVersions { found: schema::version(&client).await?, known: schema::MIGRATIONS.len() })
    }

    /// What the database's clock says: the one clock that all nodes can agree on.
    pub async fn clock(&self) -> Result<Timestamp> {
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = alone!(self, |tx| tx.one(sql, &[]))?;
        row.ok_or_else(|| sql::damaged("no clock")).and_then(|row| sql::get(&row, 0)).map(Timestamp::from_ms)
    }

    async fn start(&self, kind: Kind, tries: &mut u32) -> Result<Tx> {
        loop {
            match self.pool.get().await {
                Ok(client) => return Ok(Tx::new(client, kind)),
                // A server that has just gone may be back in a moment.
                Err(PoolError::Backend(e))
                    if sql::judge(&e) == sql::Failure::Cut && *tries + 1 < tx::TRIES =>
                {
                    *tries += 1;
                    tokio::time::sleep(Duration::from_millis(20) * *tries).await;
                }
                Err(e) => return Err(unavailable(&e)),
            }
        }
    }

    fn tell(&self, changes: Vec<Change>) {
        for change in changes {
            // No subscriber is no trouble.
            let _ = self.news.send(change);
        }
    }

    /// Takes leases of jobs back, a transaction for each run; how many, and whether there may be more.
    async fn lose_jobs(&self, lost: Lost<'_>, now: Timestamp) -> Result<(u64, bool)> {
        let (runs, more) = alone!(self, |tx| tick::losing_runs(&tx, lost))?;
        let mut n = 0;
        for run in runs {
            n += write!(self, |tx| tick::lose(&mut tx, run, lost, now))?;
        }
        Ok((n, more))
    }

    /// Takes leases of deliveries back; how many, and whether there may be more.
    async fn lose_deliveries(&self, lost: Lost<'_>, now: Timestamp) -> Result<(u64, bool)> {
        let losing = alone!(self, |tx| delivery::losing(&tx, lost, tick::LEASES))?;
        let mut n = 0;
        for one in &losing {
            n += u64::from(write!(self, |tx| delivery::lose(&mut tx, *one, lost, now))?);
        }
        Ok((n, losing.len() == tick::LEASES))
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

fn unavailable(e: &PoolError) -> StoreError {
    match e {
        PoolError::Closed => closed(),
        PoolError::Timeout(_) => StoreError::Unavailable("no connection to the database in time".into()),
        PoolError::Backend(e) => {
            let cause = std::error::Error::source(e).map(|cause| format!(": {cause}"));
            StoreError::Unavailable(format!("{e}{}", cause.unwrap_or_default()))
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// What another node has done already is no failure.
fn done_by_others(result: Result<()>) -> Result<()> {
    match result {
        Err(StoreError::NotFound(_) | StoreError::Conflict(_)) => Ok(()),
        other => other,
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn begin(&self, new: NewSnapshot) -> Result<()> {
        write!(self, |tx| create::begin(&mut tx, &new))
    }

    async fn add(&self, id: &SnapshotId, slices: Vec<Vec<Input>>, now: Timestamp) -> Result<()> {
        // Encoding is most of the work: not on the time of the caller's other tasks.
        let packed = tokio::task::spawn_blocking(move || crate::told::pack(&slices))
            .await
            .unwrap_or_else(|e| Err(StoreError::Unavailable(e.to_string())))?;
        write!(self, |tx| create::add(&mut tx, id, &packed, now))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        write!(self, |tx| create::commit(&mut tx, &commit))
    }

    async fn discard(&self, id: &SnapshotId) -> Result<()> {
        write!(self, |tx| create::discard(&mut tx, id))
    }

    async fn remembered(&self, key: &Idempotency, now: Timestamp) -> Result<Option<Remembered>> {
        alone!(self, |tx| create::remembered(&tx, key, now))
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed> {
        loop {
            let patient = self.claims.fetch_add(1, Ordering::Relaxed).is_multiple_of(PATIENT);
            let outcome = alone!(self, |tx| claim::claim(&mut tx, &self.known, &claim, patient, &self.tag))?;
            let (claimed, broken) = match outcome {
                claim::Outcome::Claimed(claimed, broken) => (claimed, broken),
                claim::Outcome::Ended => {
                    // What ended goes back first, so that it keeps no host from others.
                    self.lose_jobs(Lost::At(claim.now), claim.now).await?;
                    continue;
                }
            };
            for (run, why) in &broken {
                tracing::error!(error = %why, "a job cannot be read; its run ends");
                let message = "Some inputs of this snapshot could not be read back";
                done_by_others(write!(self, |tx| stop::break_run(&mut tx, *run, message, claim.now)))?;
            }
            // What else there is, if the only jobs were of a run that ends.
            if broken.is_empty() || !claimed.leases.is_empty() {
                return Ok(claimed);
            }
        }
    }

    async fn renew(&self, leases: &[(JobId, u64)], until: Timestamp) -> Result<Vec<Held>> {
        alone!(self, |tx| claim::renew(&tx, leases, until))
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
        write!(self, |tx| finish::finish(&mut tx, &told))
    }

    async fn cancel(&self, id: &SnapshotId, now: Timestamp) -> Result<()> {
        write!(self, |tx| stop::cancel(&mut tx, id, now))
    }

    async fn fail(&self, id: &SnapshotId, message: &str, now: Timestamp) -> Result<()> {
        write!(self, |tx| stop::fail(&mut tx, id, message, now))
    }

    async fn tick(&self, now: Timestamp, starting_ms: u64) -> Result<Option<Timestamp>> {
        let starting_ms = i64::try_from(starting_ms).unwrap_or(i64::MAX);
        let passed = alone!(self, |tx| stop::passed_deadlines(&tx, now, tick::RUNS))?;
        for run in &passed {
            write!(self, |tx| stop::pass_deadline(&mut tx, *run, now))?;
        }
        let mut more = passed.len() == tick::RUNS;
        more |= self.lose_jobs(Lost::At(now), now).await?.1;
        more |= self.lose_deliveries(Lost::At(now), now).await?.1;
        let before = Timestamp::from_ms(now.ms().saturating_sub(starting_ms));
        let abandoned = alone!(self, |tx| create::abandoned(&tx, before, tick::RUNS))?;
        for id in &abandoned {
            done_by_others(write!(self, |tx| create::discard_abandoned(&mut tx, id, before)))?;
        }
        more |= abandoned.len() == tick::RUNS;
        more |= alone!(self, |tx| tick::forget_keys(&tx, now))?;
        more |= write!(self, |tx| retain::sweep(&tx))?;
        if more {
            return Ok(Some(now));
        }
        alone!(self, |tx| tick::next_due(&tx, starting_ms))
    }

    async fn reclaim(&self, node: &str, now: Timestamp) -> Result<u64> {
        let mut n = 0;
        loop {
            let lost = Lost::Of(node);
            let jobs = self.lose_jobs(lost, now).await?.0;
            let deliveries = self.lose_deliveries(lost, now).await?.0;
            if jobs + deliveries == 0 {
                return Ok(n);
            }
            n += jobs + deliveries;
        }
    }

    async fn promise(&self, delivery: Delivery) -> Result<()> {
        write!(self, |tx| delivery::promise(&mut tx, &delivery))
    }

    async fn redeliver(&self, id: &DeliveryId, now: Timestamp) -> Result<()> {
        write!(self, |tx| delivery::redeliver(&mut tx, id, now))
    }

    async fn claim_deliveries(&self, claim: Claim) -> Result<(Vec<DeliveryLease>, Option<Timestamp>)> {
        write!(self, |tx| delivery::claim(&mut tx, &claim))
    }

    async fn renew_delivery(&self, lease: &DeliveryLease, until: Timestamp) -> Result<bool> {
        alone!(self, |tx| delivery::renew(&tx, &lease.delivery.id, lease.epoch, until))
    }

    async fn finish_delivery(
        &self,
        lease: &DeliveryLease,
        outcome: DeliveryOutcome,
        now: Timestamp,
    ) -> Result<()> {
        write!(self, |tx| delivery::finish(&mut tx, &lease.delivery.id, lease.epoch, &outcome, now))
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot> {
        read!(self, |tx| query::snapshot(&tx, id))
    }

    async fn snapshots(&self, filter: SnapshotFilter) -> Result<(Vec<Snapshot>, u64)> {
        read!(self, |tx| query::snapshots(&tx, &filter))
    }

    async fn running(&self, datasets: &[String]) -> Result<u64> {
        alone!(self, |tx| query::running(&tx, datasets))
    }

    async fn segments(&self, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<Registered>> {
        read!(self, |tx| query::segments(&tx, id, from, limit))
    }

    async fn aborted(&self, id: &SnapshotId, seq: u64) -> Result<Aborted> {
        read!(self, |tx| query::aborted(&tx, id, seq))
    }

    async fn inputs(&self, id: &SnapshotId, cursor: u64) -> Result<(Vec<Input>, Option<u64>)> {
        read!(self, |tx| query::inputs(&tx, id, cursor))
    }

    async fn archive(&self, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<KeptPart>> {
        read!(self, |tx| archive::parts(&tx, id, from, limit))
    }

    async fn kept_pages(&self, id: &SnapshotId, asked: &[PageKey]) -> Result<Vec<Vec<(KeptPart, usize)>>> {
        read!(self, |tx| archive::pages(&tx, id, asked))
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Delivery> {
        read!(self, |tx| delivery::of_id(&tx, id))
    }

    async fn deliveries(&self, id: &SnapshotId) -> Result<Vec<Delivery>> {
        read!(self, |tx| async { delivery::of_run(&tx, run::key_of(&tx, id).await?).await })
    }

    async fn list_deliveries(&self, filter: DeliveryFilter) -> Result<Vec<ListedDelivery>> {
        read!(self, |tx| delivery_list::list(&tx, &filter))
    }

    async fn quality(&self, id: &SnapshotId) -> Result<Judged> {
        read!(self, |tx| quality::judged(&tx, id))
    }

    async fn release(&self, id: &SnapshotId, accept: bool, now: Timestamp) -> Result<()> {
        write!(self, |tx| quality::release(&mut tx, id, accept, now))
    }

    async fn gauges(&self) -> Result<Gauges> {
        read!(self, |tx| query::gauges(&tx))
    }

    async fn expire(&self, before: Timestamp, limit: usize, _now: Timestamp) -> Result<Vec<String>> {
        for run in alone!(self, |tx| retain::ended(&tx, before))? {
            write!(self, |tx| retain::expire(&mut tx, run))?;
        }
        write!(self, |tx| retain::keys_of_expired(&tx, limit))
    }

    async fn forget(&self, keys: &[String]) -> Result<()> {
        write!(self, |tx| retain::forget(&tx, keys))
    }

    async fn unregistered(&self, keys: &[String]) -> Result<Vec<String>> {
        alone!(self, |tx| retain::unregistered(&tx, keys))
    }

    async fn add_token(&self, token: Token) -> Result<()> {
        write!(self, |tx| token::add(&tx, &token))
    }

    async fn token(&self, hash: &[u8; 32]) -> Result<Option<Token>> {
        alone!(self, |tx| token::of_hash(&tx, hash))
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        alone!(self, |tx| token::all(&tx))
    }

    async fn revoke_token(&self, id_or_name: &str, now: Timestamp) -> Result<u64> {
        alone!(self, |tx| token::revoke(&tx, id_or_name, now))
    }

    async fn save_hosts(
        &self,
        hosts: Vec<(String, Option<String>)>,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<()> {
        write!(self, |tx| host::save(&tx, &hosts, now, before))
    }

    async fn hosts(&self, limit: usize) -> Result<Vec<(String, String)>> {
        alone!(self, |tx| host::all(&tx, limit))
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        self.clock().await.map(Some)
    }

    async fn hosts_named(&self, names: &[String]) -> Result<Vec<(String, String)>> {
        alone!(self, |tx| host::named(&tx, names))
    }

    async fn put_document(&self, kind: &str, name: &str, text: Option<String>, over: Put) -> Result<bool> {
        write!(self, |tx| document::put(&tx, kind, name, text.as_deref(), over))
    }

    async fn documents(&self, kind: &str, after: &str, limit: usize) -> Result<Vec<Document>> {
        alone!(self, |tx| document::list(&tx, kind, after, limit))
    }

    fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.news.subscribe()
    }

    async fn close(&self) {
        self.listener.abort();
        self.pool.close();
    }
}
