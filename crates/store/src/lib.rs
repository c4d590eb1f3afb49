//! What survives a crash: the trait [`Store`] for the queue and the facts, the trait [`Bucket`] for bytes.
//!
//! Owns: transactions, fencing, fair claiming, the disk format. Must not know: the web, scrapers, HTTP callers.
//! Decides nothing: states move by `model`'s matches; SQL holds guards.
//!
//! Invariants (each is a case of the conformance suite, run against every implementation):
//! - After [`Store::commit`] has returned, every input of the snapshot is durable and claimable.
//! - `inputs = settled + waiting + leased` for every snapshot, at every commit.
//! - Only the holder of a lease changes results; a late [`Store::finish`] is refused with [`StoreError::LeaseLost`],
//!   and a repeated one (same lease) gets the first answer again.
//! - `records`, `errors` and `unchanged` of a snapshot equal the sums over its registered segments.
//! - `limit_per_input` and `limit_multiple_results` hold to the row.
//! - Claiming costs the same with ten waiting jobs and with ten million.
//! - All leased jobs of a host, over all runs, are of one node: the host's lane is that node's until the last of them is
//!   finished, given back, or taken back because its lease has ended. Then it is free at once, and [`Change::Work`] is
//!   told if anything is ready. Jobs that go on as [`Finished::Carried`] keep it; [`Store::renew`] prolongs it. A lease
//!   that has ended but was not taken back yet keeps no lane from others: a claim takes back first what has ended.

mod bucket;
mod disk;
mod error;
mod number;
mod postgres;
mod rules;
mod sqlite;
mod told;

pub use bucket::{Bucket, BucketError, BucketUrl, Cloud, FolderBucket, ObjectBucket, probe};
pub use error::StoreError;
pub use postgres::{PostgresSettings, PostgresStore, SchemaVersions};
pub use sqlite::SqliteStore;

use async_trait::async_trait;
use model::quality::Profile;
use model::{
    Delivery, DeliveryId, DeliveryOutcome, DeliveryState, FailureCode, Input, Job, JobId, Outcome, PageKey,
    Segment, Snapshot, SnapshotId, SnapshotState, Timestamp, TokenId, Trigger,
};
use std::collections::BTreeMap;

/// What a store call gives back.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What [`Store::begin`] needs: the run in state `starting`, before its inputs have arrived.
#[derive(Clone, Debug)]
pub struct NewSnapshot {
    /// Its id, made by the caller.
    pub id: SnapshotId,
    /// What was asked, as far as known; [`Store::commit`] replaces it.
    pub trigger: Trigger,
    /// When.
    pub now: Timestamp,
}

/// What [`Store::commit`] needs.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The run.
    pub id: SnapshotId,
    /// What was asked, complete.
    pub trigger: Trigger,
    /// Deliveries to promise in the same transaction, in state `held` (they wait for rows or for the end).
    pub deliveries: Vec<Delivery>,
    /// Remember this key for [`model::limit::IDEMPOTENCY_MS`].
    pub idempotency: Option<Idempotency>,
    /// When.
    pub now: Timestamp,
}

/// An `Idempotency-Key` of one token, and the SHA-256 of the request (path, query and body) that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose key.
    pub token: String,
    /// The key.
    pub key: String,
    /// Digest of the request.
    pub digest: [u8; 32],
}

/// What a remembered key leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// The same request: this is its snapshot.
    Same(SnapshotId),
    /// The key was used with another request.
    Other,
}

/// What became of [`Store::commit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It runs.
    Accepted,
    /// The key was remembered meanwhile; the new run was discarded.
    Repeated(Remembered),
}

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Jobs at most.
    pub jobs: usize,
    /// Only runs with `trigger.express` (true), or any run (false).
    pub express_only: bool,
    /// Name of this node: written into the lease.
    pub node: String,
    /// Now.
    pub now: Timestamp,
    /// Leases end then unless renewed.
    pub lease_until: Timestamp,
    /// Lanes (by their hosts) that have enough of this worker. One that would be next rests for [`LANE_REST_MS`] instead;
    /// where several nodes share the store it is only passed over by this claim, and `next_due` is no later than that.
    pub pass_over: Vec<String>,
}

/// Milliseconds for which a lane rests that is passed over. Its run goes on with its other lanes, and loses no turn.
pub const LANE_REST_MS: i64 = 2_000;

/// What a worker got.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// Leased jobs.
    pub leases: Vec<Lease>,
    /// When the next job that is not due yet becomes due: sleep no longer than until then.
    pub next_due: Option<Timestamp>,
}

/// Proof of holding a job; required to finish it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The job.
    pub job: Job,
    /// Fencing token: grows by one with each claim of the job.
    pub epoch: u64,
    /// What its run asks.
    pub trigger: std::sync::Arc<Trigger>,
    /// When the run was accepted.
    pub created_at: Timestamp,
    /// Records that the whole run may still take (`limit_multiple_results`), at the time of the claim.
    pub records_left: Option<u64>,
    /// Records that each root of this job may still take (`limit_per_input`). While a job of a root is leased in a
    /// run with that limit, no other job of the same root is, so the number is exact.
    pub root_left: BTreeMap<u64, u64>,
}

/// What [`Store::renew`] says of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Go on.
    Yes,
    /// Settle what is done, give the rest back as it is (`finish` with the stop failure): the run is being stopped
    /// and is in that state.
    Stop(SnapshotState),
    /// Another has it: drop the work.
    Lost,
}

/// The epoch of a job that was made by carrying inputs on.
pub const CARRIED_EPOCH: u64 = 1;

/// What became of [`Store::finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is registered.
    Done,
    /// It is registered, and what the outcome carries is this job, leased to the same holder until the same time,
    /// with epoch [`CARRIED_EPOCH`].
    Carried(JobId),
    /// Nothing was written: more records than the limits leave. Keep the first `per_root` of each root named and
    /// `total` in all (`model::keep_within`), write the segment anew, ask again.
    Trim {
        /// Records that the run may still take.
        total: Option<u64>,
        /// Records that each root may still take (roots not named have no limit).
        per_root: BTreeMap<u64, u64>,
    },
}

/// A registered segment and where its rows stand in the snapshot's order. Rows never move: downloads in parts and
/// streamed chunks rely on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Order within the snapshot.
    pub seq: u64,
    /// What it holds.
    pub content: Content,
    /// Records before it.
    pub first_record: u64,
    /// Error rows before it.
    pub first_error: u64,
}

/// A registered part of a run's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPart {
    /// Order within the snapshot: that of the segment which the same job left, if it left one.
    pub seq: u64,
    /// Key in the bucket.
    pub key: String,
    /// Bytes of WARC records, at the beginning.
    pub bytes: u64,
    /// Bytes of the index behind them.
    pub index_bytes: u64,
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file in the bucket.
    Segment(Segment),
    /// Inputs that were waiting when the run was stopped, or one that kept killing its worker: one error row each,
    /// made from the job's own inputs (at most [`model::limit::SLICE_INPUTS`]) with [`Store::aborted`]. So a cancel
    /// of a million inputs is one transaction.
    Aborted {
        /// Error rows.
        errors: u64,
    },
}

/// An error row's makings, for [`Content::Aborted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// The inputs.
    pub inputs: Vec<Input>,
    /// When the run was stopped (or the input given up).
    pub at: Timestamp,
    /// `aborted_page`; `internal_error` for an input that kept killing its worker.
    pub code: FailureCode,
}

/// Which snapshots `GET /datasets/v3/snapshots` asks for. Newest first.
#[derive(Clone, Debug, Default)]
pub struct SnapshotFilter {
    /// Only runs of these dataset ids (the id and its aliases).
    pub datasets: Option<Vec<String>>,
    /// Only in one of these states.
    pub states: Option<Vec<SnapshotState>>,
    /// Created then or later.
    pub from: Option<Timestamp>,
    /// Created before.
    pub to: Option<Timestamp>,
    /// Only of this `origin.kind` (`API`, `CP`).
    pub origin: Option<String>,
    /// Rows to pass over.
    pub skip: u64,
    /// Rows at most.
    pub limit: u64,
}

/// A bearer token as stored: never the secret, only its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What the operator calls it.
    pub name: String,
    /// SHA-256 of the whole token text.
    pub hash: [u8; 32],
    /// Only these dataset ids or scraper names; all if absent.
    pub datasets: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not valid from then on.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A small setting that people make over the API: a schedule, a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Unique within its kind.
    pub name: String,
    /// 1 for a new one.
    pub version: u64,
    /// The caller's own.
    pub text: String,
}

/// What [`Store::put_document`] may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Whatever is there.
    Anyway,
    /// Only this version; 0 means that no such document is there.
    Over(u64),
}

/// Which deliveries [`Store::list_deliveries`] asks for. The newest first.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Only of this run.
    pub snapshot: Option<SnapshotId>,
    /// Only of runs of these dataset ids.
    pub datasets: Option<Vec<String>>,
    /// Only in one of these states.
    pub states: Option<Vec<DeliveryState>>,
    /// Rows at most.
    pub limit: usize,
}

/// A delivery in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDelivery {
    /// The delivery, without its files.
    pub delivery: Delivery,
    /// The dataset id of its run.
    pub dataset: String,
    /// When it is tried next, while it waits.
    pub due: Option<Timestamp>,
}

/// What changed; subscribers re-read what they care for. A lagging subscriber re-reads everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A job or delivery became claimable, now or later.
    Work,
    /// Counts or state of a snapshot.
    Snapshot(SnapshotId),
    /// A snapshot is being stopped: whoever works for it should ask `renew`.
    Stopping(SnapshotId),
    /// A delivery.
    Delivery(DeliveryId),
}

/// The durable truth. Every method is one transaction unless it says otherwise.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- A run comes to be -----------------------------------------------------------------------------------

    /// Makes the run in state `starting`.
    async fn begin(&self, new: NewSnapshot) -> Result<()>;

    /// Adds slices of inputs (each at most [`model::limit::SLICE_INPUTS`], of one host, and of one root if
    /// the trigger has `limit_per_input`) to a run that is `starting`. Workers do not see them yet.
    async fn add(&self, id: &SnapshotId, slices: Vec<Vec<Input>>, now: Timestamp) -> Result<()>;

    /// Makes the run visible. A run without inputs is refused ([`StoreError::Invalid`]).
    async fn commit(&self, commit: Commit) -> Result<Committed>;

    /// Forgets a run that is still `starting`.
    async fn discard(&self, id: &SnapshotId) -> Result<()>;

    /// What an idempotency key leads to, if it is remembered.
    async fn remembered(&self, key: &Idempotency, now: Timestamp) -> Result<Option<Remembered>>;

    // --- Work ------------------------------------------------------------------------------------------------

    /// Leases waiting jobs that are due: fair between runs (by inputs handed out; a new run starts level with the
    /// others), oldest due first within a run, at most [`model::limit::LANE_LEASES`] leased jobs per run and host.
    /// Of a host of which another node has leased jobs nothing is leased: such lanes are passed over (at most
    /// [`model::limit::PASSED_RUNS`] runs of which nothing else is ready), and `next_due` counts what becomes due, not them.
    /// Lanes of the hosts in [`Claim::pass_over`] rest.
    /// A run with `limit_multiple_results` is passed over while its records plus its leased inputs reach the limit;
    /// a root with `limit_per_input` has one leased job at a time.
    async fn claim(&self, claim: Claim) -> Result<Claimed>;

    /// Moves the end of leases, and says what became of each (same order).
    async fn renew(&self, leases: &[(model::JobId, u64)], until: Timestamp) -> Result<Vec<Held>>;

    /// Registers everything a job changed, in one fenced transaction: segment, counts, error codes, new columns,
    /// led inputs not seen before in this run, inputs to try again, limits, deliveries due, the end of the run.
    ///
    /// `columns` are the top-level keys of the records in the order first seen. When a limit is met, the run's (or
    /// the root's) waiting jobs are settled without a row.
    async fn finish(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        segment: Option<&Segment>,
        columns: &[String],
        now: Timestamp,
    ) -> Result<Finished>;

    /// Cancels a run. [`StoreError::Conflict`] if it is not running. Waiting jobs are settled at once as
    /// [`Content::Aborted`]; leased ones when their holder finishes or their lease ends.
    async fn cancel(&self, id: &SnapshotId, now: Timestamp) -> Result<()>;

    /// Ends a run as failed, with a message for the caller.
    async fn fail(&self, id: &SnapshotId, message: &str, now: Timestamp) -> Result<()>;

    /// What time alone brings about: ended leases go back to waiting (settled without a row if the run has met its
    /// `limit_multiple_results` meanwhile, split after
    /// [`model::limit::LOST_LEASES_SPLIT`], settled as `internal_error` after
    /// [`model::limit::LOST_LEASES_SETTLE`]), passed deadlines stop their runs, abandoned `starting` runs
    /// (older than `starting_ms`) are discarded, old idempotency keys forgotten.
    /// Returns when the next of these is due.
    async fn tick(&self, now: Timestamp, starting_ms: u64) -> Result<Option<Timestamp>>;

    /// Gives back at once every lease of a node that has just started: they are of its former life.
    /// Counts as a lost lease.
    async fn reclaim(&self, node: &str, now: Timestamp) -> Result<u64>;

    // --- Deliveries ------------------------------------------------------------------------------------------

    /// Promises one more delivery of a run that has ended, due now.
    async fn promise(&self, delivery: Delivery) -> Result<()>;

    /// Takes a delivery up again that has failed: what was not accepted yet is due now, and has its whole retry window
    /// again. [`StoreError::Conflict`] in any other state, or if its run has expired.
    async fn redeliver(&self, id: &DeliveryId, now: Timestamp) -> Result<()>;

    /// Leases deliveries that are due. The flag tells whether the run is terminal.
    async fn claim_deliveries(&self, claim: Claim) -> Result<(Vec<DeliveryLease>, Option<Timestamp>)>;

    /// Moves the end of a delivery's lease; false if it was lost.
    async fn renew_delivery(&self, lease: &DeliveryLease, until: Timestamp) -> Result<bool>;

    /// Registers what became of an attempt; fenced. `PartDone` keeps the lease and resets the failures; every other
    /// outcome ends it.
    async fn finish_delivery(
        &self,
        lease: &DeliveryLease,
        outcome: DeliveryOutcome,
        now: Timestamp,
    ) -> Result<()>;

    // --- Questions -------------------------------------------------------------------------------------------

    /// The run, or [`StoreError::NotFound`].
    async fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot>;

    /// Runs by filter, newest first, and how many match in all.
    async fn snapshots(&self, filter: SnapshotFilter) -> Result<(Vec<Snapshot>, u64)>;

    /// Runs not yet terminal, of a dataset's ids: for the limit of running jobs.
    async fn running(&self, datasets: &[String]) -> Result<u64>;

    /// Registered segments with `seq >= from`, in order, at most `limit`.
    async fn segments(&self, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<Registered>>;

    /// The makings of an aborted segment's error rows.
    async fn aborted(&self, id: &SnapshotId, seq: u64) -> Result<Aborted>;

    /// The caller's rows in order of their jobs: one batch from the cursor on, and the next cursor, `None` at the end.
    async fn inputs(&self, id: &SnapshotId, cursor: u64) -> Result<(Vec<Input>, Option<u64>)>;

    /// Parts of a run's archive with `seq >= from`, in order, at most `limit`.
    async fn archive(&self, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<KeptPart>>;

    /// For each of the digests: the parts that have pages asked for so and the places in their indexes, the newest first.
    async fn kept_pages(&self, id: &SnapshotId, asked: &[PageKey]) -> Result<Vec<Vec<(KeptPart, usize)>>>;

    /// One delivery, or [`StoreError::NotFound`].
    async fn delivery(&self, id: &DeliveryId) -> Result<Delivery>;

    /// The deliveries of a run.
    async fn deliveries(&self, id: &SnapshotId) -> Result<Vec<Delivery>>;

    /// Deliveries by filter, the newest first. Without a run only the newest [`model::limit::DELIVERIES_SEEN`] of all are
    /// looked at.
    async fn list_deliveries(&self, filter: DeliveryFilter) -> Result<Vec<ListedDelivery>>;

    /// What a run is like so far, and the earlier runs that it is compared with.
    async fn quality(&self, id: &SnapshotId) -> Result<Judged>;

    /// Lets the rows of a quarantined run go: it becomes ready, and its deliveries are due. With `accept`, later runs
    /// are compared with this one and what follows it, no longer with those before; then the run may also be ready
    /// already. [`StoreError::Conflict`] in any other state.
    async fn release(&self, id: &SnapshotId, accept: bool, now: Timestamp) -> Result<()>;

    /// Numbers for metrics: runs by state, waiting and leased jobs, deliveries by state, verdicts.
    async fn gauges(&self) -> Result<Gauges>;

    // --- Retention -------------------------------------------------------------------------------------------

    /// Marks runs that ended before `before` as expired, forgets their jobs, and gives the keys of their segments
    /// (at most `limit`), which are forgotten by [`Store::forget`] once their bytes are gone.
    async fn expire(&self, before: Timestamp, limit: usize, now: Timestamp) -> Result<Vec<String>>;

    /// Forgets segments of expired runs whose bytes are gone.
    async fn forget(&self, keys: &[String]) -> Result<()>;

    /// Which of these keys are registered to nothing: orphans of crashed workers, safe to delete if they are older
    /// than any lease.
    async fn unregistered(&self, keys: &[String]) -> Result<Vec<String>>;

    // --- Tokens ----------------------------------------------------------------------------------------------

    /// Adds a token.
    async fn add_token(&self, token: Token) -> Result<()>;

    /// The token of that hash, revoked or expired ones included.
    async fn token(&self, hash: &[u8; 32]) -> Result<Option<Token>>;

    /// Every token, oldest first.
    async fn tokens(&self) -> Result<Vec<Token>>;

    /// Revokes a token by id or name; how many.
    async fn revoke_token(&self, id_or_name: &str, now: Timestamp) -> Result<u64>;

    // --- Hosts -----------------------------------------------------------------------------------------------

    /// Keeps what was learnt of hosts, by name, as text that is the caller's own; `None` forgets. Hosts not kept since
    /// `before` are forgotten.
    async fn save_hosts(
        &self,
        hosts: Vec<(String, Option<String>)>,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<()>;

    /// What was kept of hosts, the latest first, at most `limit`.
    async fn hosts(&self, limit: usize) -> Result<Vec<(String, String)>>;

    /// What was kept of these hosts; unknown ones are left out.
    async fn hosts_named(&self, names: &[String]) -> Result<Vec<(String, String)>>;

    // --- Documents -------------------------------------------------------------------------------------------

    /// Puts a document (no text: removes it), if it is still what the caller takes it for; says whether it was.
    /// Its version grows by one with each put.
    async fn put_document(&self, kind: &str, name: &str, text: Option<String>, over: Put) -> Result<bool>;

    /// Documents of a kind whose names sort after `after`, in the order of their names (by bytes), at most `limit`.
    async fn documents(&self, kind: &str, after: &str, limit: usize) -> Result<Vec<Document>>;

    // --- News ------------------------------------------------------------------------------------------------

    /// The time by the store's own clock, if several nodes share it and are to follow that; their own may be wrong.
    async fn time(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// Changes from now on, told after their transaction is durable.
    fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Change>;

    /// Ends the background parts after everything asked so far is durable.
    async fn close(&self);
}

/// Proof of holding a delivery.
#[derive(Clone, Debug)]
pub struct DeliveryLease {
    /// The delivery.
    pub delivery: Delivery,
    /// Fencing token.
    pub epoch: u64,
    /// Its run.
    pub snapshot: Snapshot,
}

/// What a run is like, and what it is compared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// What its records are like.
    pub profile: Profile,
    /// The good runs before it, over the same sites, the newest first.
    pub before: Vec<(SnapshotId, Profile)>,
}

/// Numbers for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Runs by state.
    pub snapshots: BTreeMap<&'static str, u64>,
    /// Waiting jobs.
    pub jobs_waiting: u64,
    /// Leased jobs.
    pub jobs_leased: u64,
    /// Deliveries by state.
    pub deliveries: BTreeMap<&'static str, u64>,
    /// Verdicts of the quality gate by grade.
    pub grades: BTreeMap<&'static str, u64>,
}

impl Gauges {
    /// Deliveries in that state.
    pub fn deliveries_in(&self, state: DeliveryState) -> u64 {
        self.deliveries.get(state.as_str()).copied().unwrap_or(0)
    }
}
