//! What every case stands on: a store (or several that share one database), shorthands, and the laws of every run.

use model::{
    Cargo, Delivery, DeliveryId, DeliveryState, Destination, FailureCode, Format, Input, Notice, Outcome,
    Promise, Record, Segment, SnapshotId, SnapshotState, Timestamp, Trigger,
};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{
    Claim, Commit, Committed, Content, Finished, Lease, NewSnapshot, Registered, Result, Store, StoreError,
};

/// Milliseconds for which the leases of [`World::claim`] hold.
pub(crate) const LEASE_MS: i64 = 30_000;
/// Milliseconds after which a run that is starting counts as abandoned.
pub(crate) const STARTING_MS: u64 = 3_600_000;

/// A moment, in milliseconds since the test began.
pub(crate) const fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(1_800_000_000_000 + ms)
}

/// A store to test, as one or more processes have it open.
pub(crate) struct World {
    stores: Vec<Arc<dyn Store>>,
    made: AtomicU64,
    _keep: Box<dyn Any + Send + Sync>,
}

impl World {
    /// `stores` are one database opened several times, as several nodes have it. `keep` lives as long as they do.
    pub(crate) fn new(stores: Vec<Arc<dyn Store>>, keep: impl Any + Send + Sync) -> Self {
        Self { stores, made: AtomicU64::new(1), _keep: Box::new(keep) }
    }

    /// The store as the nth node has it.
    pub(crate) fn node(&self, n: usize) -> &Arc<dyn Store> {
        &self.stores[n % self.stores.len()]
    }

    /// The store as the first node has it.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.node(0)
    }

    /// A number that this world has not given before.
    pub(crate) fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    /// An id that is new.
    pub(crate) fn new_id(&self) -> SnapshotId {
        SnapshotId::new(at(0), self.next())
    }

    /// Begins a run and adds its slices; it is still starting.
    pub(crate) async fn prepare(
        &self,
        trigger: &Trigger,
        slices: Vec<Vec<Input>>,
        now: Timestamp,
    ) -> SnapshotId {
        let id = self.new_id();
        self.store().begin(NewSnapshot { id: id.clone(), trigger: trigger.clone(), now }).await.unwrap();
        self.store().add(&id, slices, now).await.unwrap();
        id
    }

    /// Makes a run that workers see.
    pub(crate) async fn start(
        &self,
        trigger: &Trigger,
        slices: Vec<Vec<Input>>,
        now: Timestamp,
    ) -> SnapshotId {
        self.promise(trigger, slices, now, |_| Vec::new()).await
    }

    /// The same, with deliveries.
    pub(crate) async fn promise(
        &self,
        trigger: &Trigger,
        slices: Vec<Vec<Input>>,
        now: Timestamp,
        deliveries: impl FnOnce(&SnapshotId) -> Vec<Delivery>,
    ) -> SnapshotId {
        let id = self.prepare(trigger, slices, now).await;
        let deliveries = deliveries(&id);
        let commit = Commit { id: id.clone(), trigger: trigger.clone(), deliveries, idempotency: None, now };
        assert_eq!(self.store().commit(commit).await.unwrap(), Committed::Accepted);
        id
    }

    /// Claims as the node of that name.
    pub(crate) async fn claim_as(&self, node: &str, jobs: usize, now: Timestamp) -> Vec<Lease> {
        let lease_until = now.plus_ms(LEASE_MS);
        let claim =
            Claim { jobs, express_only: false, node: node.into(), now, lease_until, pass_over: Vec::new() };
        self.store().claim(claim).await.unwrap().leases
    }

    /// Claims as node `n`.
    pub(crate) async fn claim(&self, jobs: usize, now: Timestamp) -> Vec<Lease> {
        self.claim_as("n", jobs, now).await
    }

    /// Claims the one job that there must be.
    pub(crate) async fn claim_one(&self, now: Timestamp) -> Lease {
        let mut leases = self.claim(1, now).await;
        assert_eq!(leases.len(), 1, "a job is there");
        leases.remove(0)
    }

    /// Finishes as workers do, with the segment that the outcome needs.
    pub(crate) async fn finish(&self, lease: &Lease, outcome: &Outcome, now: Timestamp) -> Result<Finished> {
        let segment = self.segment_of(lease, outcome);
        self.store().finish(lease, outcome, segment.as_ref(), &[], now).await
    }

    /// The segment that a worker would write for an outcome, under a new key.
    pub(crate) fn segment_of(&self, lease: &Lease, outcome: &Outcome) -> Option<Segment> {
        let (records, errors) = (outcome.records.len() as u64, outcome.errors.len() as u64);
        let withheld = outcome.withheld.len() as u64;
        (records + errors + withheld > 0).then(|| Segment {
            key: format!("segments/{}/{}-{}", lease.job.snapshot, lease.job.id.0, self.next()),
            records,
            errors,
            record_bytes: 10 * records,
            error_bytes: 10 * errors,
            plain_bytes: 20 * (records + errors),
            withheld,
            withheld_bytes: 10 * withheld,
        })
    }

    /// Claims and finishes, each input one record, until nothing is due.
    pub(crate) async fn work_off(&self, now: Timestamp) {
        loop {
            let leases = self.claim(64, now).await;
            if leases.is_empty() {
                return;
            }
            for lease in leases {
                self.finish(&lease, &read(&lease, 1), now).await.unwrap();
            }
        }
    }

    /// Every segment of a run.
    pub(crate) async fn segments(&self, id: &SnapshotId) -> Vec<Registered> {
        self.store().segments(id, 0, 100_000).await.unwrap()
    }

    /// Asserts a run's state and gives back its numbers, after the laws have been checked.
    pub(crate) async fn expect(&self, id: &SnapshotId, state: SnapshotState) -> model::Counts {
        self.lawful(id).await;
        let snapshot = self.store().snapshot(id).await.unwrap();
        assert_eq!(snapshot.state, state);
        snapshot.counts
    }

    /// What holds of every run at every moment: the numbers add up, and rows stand in the segments without gaps.
    pub(crate) async fn lawful(&self, id: &SnapshotId) {
        let snapshot = self.store().snapshot(id).await.unwrap();
        let counts = snapshot.counts;
        assert!(counts.adds_up(), "{counts:?}");
        assert_eq!(snapshot.finished_at.is_some(), snapshot.state.is_terminal());
        assert_eq!(counts.errors, snapshot.error_codes.values().sum::<u64>(), "errors by code");
        if snapshot.state.is_terminal() {
            assert_eq!(counts.settled, counts.inputs, "ended, so everything is settled");
        }
        if snapshot.state == SnapshotState::Expired {
            return;
        }
        let (mut records, mut errors, mut unchanged, mut bytes, mut seq) = (0, 0, 0, 0, None);
        for segment in self.segments(id).await {
            assert!(seq < Some(segment.seq), "segments are in order");
            seq = Some(segment.seq);
            assert_eq!((segment.first_record, segment.first_error), (records, errors), "rows never move");
            match segment.content {
                Content::Segment(s) => {
                    records += s.records;
                    errors += s.errors;
                    unchanged += s.withheld;
                    bytes += s.plain_bytes;
                }
                Content::Aborted { errors: n } => {
                    let aborted = self.store().aborted(id, segment.seq).await.unwrap();
                    assert_eq!(aborted.inputs.len() as u64, n, "an error row for each input");
                    errors += n;
                }
            }
        }
        assert_eq!((records, errors, unchanged), (counts.records, counts.errors, counts.unchanged));
        assert_eq!(bytes, snapshot.plain_bytes);
    }

    /// The states of a run's deliveries, in their order.
    pub(crate) async fn deliveries(&self, id: &SnapshotId) -> Vec<DeliveryState> {
        self.store().deliveries(id).await.unwrap().into_iter().map(|d| d.state).collect()
    }

    /// A delivery of rows to a webhook: all at once, or while the run goes on in parts of `stream` rows.
    pub(crate) fn rows(&self, snapshot: &SnapshotId, stream: Option<u64>) -> Delivery {
        let promise = Promise {
            destination: Destination::Webhook {
                endpoint: "http://receiver.example/".into(),
                auth_header: None,
                headers: Vec::new(),
            },
            format: Format::Json,
            compress: false,
            batch_size: stream,
            stream: stream.is_some(),
            file_template: None,
            notify: None,
        };
        self.delivery(snapshot, Cargo::Rows(promise))
    }

    /// The news that a run ended, promised.
    pub(crate) fn notice(&self, snapshot: &SnapshotId) -> Delivery {
        let notice = Notice { endpoint: "http://receiver.example/told".into(), auth_header: None };
        self.delivery(snapshot, Cargo::Notice(notice))
    }

    /// A delivery of that cargo, as it is when it is promised.
    pub(crate) fn delivery(&self, snapshot: &SnapshotId, cargo: Cargo) -> Delivery {
        Delivery {
            id: DeliveryId::new(at(0), self.next()),
            snapshot: snapshot.clone(),
            cargo,
            state: DeliveryState::Held,
            parts_done: 0,
            failures: 0,
            failing_since: None,
            last_error: None,
            files: Vec::new(),
            created_at: at(0),
        }
    }
}

/// What a caller asks by default: error rows shown, no limits.
pub(crate) fn trigger() -> Trigger {
    serde_json::from_value(serde_json::json!({
        "dataset_id": "gd_x", "scraper": "x", "scraper_version": "1", "door": "collect", "include_errors": true,
        "origin": { "kind": "API", "user": "ida", "ip": "192.0.2.1", "trigger_url": "/trigger" },
    }))
    .unwrap()
}

/// A row of the caller.
pub(crate) fn input(root: u64, host: &str) -> Input {
    Input::given(root, format!("{{\"url\":\"http://{host}/{root}\"}}"), host.into())
}

/// Slices of `size` rows of one host, `n` rows in all, numbered from `first`.
pub(crate) fn slices(host: &str, first: u64, n: u64, size: usize) -> Vec<Vec<Input>> {
    let all: Vec<Input> = (first..first + n).map(|root| input(root, host)).collect();
    all.chunks(size).map(<[Input]>::to_vec).collect()
}

/// A page that the input led to.
pub(crate) fn led(from: &Input, path: &str, found: bool) -> Input {
    Input {
        kind: if found { "item" } else { "list" }.into(),
        row: format!("{{\"url\":\"http://{}/{path}\"}}", from.host),
        discovery: Some(from.row.clone()),
        depth: from.depth + 1,
        found,
        ..from.clone()
    }
}

/// Records of a root.
pub(crate) fn records(root: u64, n: u64) -> Vec<Record> {
    (0..n).map(|i| Record { root, json: format!("{{\"root\":{root},\"n\":{i}}}") }).collect()
}

/// Every input of the lease is settled, with so many records each.
pub(crate) fn read(lease: &Lease, each: u64) -> Outcome {
    Outcome {
        records: lease.job.inputs.iter().flat_map(|input| records(input.root, each)).collect(),
        settled: lease.job.inputs.len() as u64,
        ..Outcome::default()
    }
}

/// Every input of the lease ends as an error row.
pub(crate) fn failed(lease: &Lease, code: FailureCode) -> Outcome {
    let inputs = &lease.job.inputs;
    Outcome {
        errors: inputs.iter().map(|input| (code, input.row.clone())).collect(),
        settled: inputs.len() as u64,
        ..Outcome::default()
    }
}

/// Every input of the lease is handed back, due then.
pub(crate) fn again(lease: &Lease, due: Timestamp) -> Outcome {
    Outcome {
        again: lease.job.inputs.iter().map(|input| (due, input.clone())).collect(),
        ..Outcome::default()
    }
}

/// The roots of a lease's inputs.
pub(crate) fn roots(lease: &Lease) -> Vec<u64> {
    lease.job.inputs.iter().map(|input| input.root).collect()
}

/// Asserts that a call was refused as invalid.
pub(crate) fn invalid<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::Invalid(_))), "{result:?}");
}

/// Asserts that a call was refused for the state of things.
pub(crate) fn conflict<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
}

/// Asserts that the lease was lost.
pub(crate) fn lost<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::LeaseLost)), "{result:?}");
}

/// Asserts that there is no such thing.
pub(crate) fn missing<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
}

/// Error codes with their numbers.
pub(crate) fn codes(list: &[(FailureCode, u64)]) -> BTreeMap<FailureCode, u64> {
    list.iter().copied().collect()
}
