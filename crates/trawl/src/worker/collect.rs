//! A slice of inputs → pages → records → one segment and one outcome.

use super::Worker;
use super::held::{Hold, Signal};
use bytes::Bytes;
use extract::{Extraction, Scraper};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{
    Door, Failure, FailureCode, Fate, Input, Outcome, Page, Record, Segment, SnapshotState, Trigger, Verdict,
    error_json, host_of, keep_within, limit, record_json, settle, verdict,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use store::{Finished, Lease, StoreError};
use tokio::time::Instant;

/// Bytes of records after which a slice takes no further input, so that big pages do not add up in memory.
const SLICE_RECORD_BYTES: usize = 4 << 20;
/// Compression of segments: fast, since rows are written once and read a few times.
const ZSTD_LEVEL: i32 = 1;
/// Keys of records that are told to the store as columns; a record with more is data gone wrong.
const COLUMNS_MAX: usize = 2_000;

/// What one input came to, with the columns of its records in the order first seen.
struct Collected {
    fate: Fate,
    columns: Vec<String>,
}

impl From<Fate> for Collected {
    fn from(fate: Fate) -> Self {
        Self { fate, columns: Vec::new() }
    }
}

/// What all inputs of a slice share.
struct Slice {
    trigger: Arc<Trigger>,
    scraper: Arc<Scraper>,
}

impl Worker {
    /// Does one slice to the end: every input is settled, put back, or left to the next holder of the lease.
    pub(super) async fn collect(self: Arc<Self>, lease: Lease) {
        let mut hold = self.leases.hold(&lease);
        let scraper =
            match self.catalogue.at_version(&lease.trigger.scraper, &lease.trigger.scraper_version).await {
                Ok(scraper) => scraper,
                Err(error) => {
                    let message =
                        format!("the scraper `{}` cannot be loaded: {error:#}", lease.trigger.scraper);
                    tracing::error!(snapshot = %lease.job.snapshot, message);
                    if let Err(error) = self.store.fail(&lease.job.snapshot, &message, self.clock.now()).await
                    {
                        tracing::warn!(%error, "could not fail the run");
                    }
                    return;
                }
            };
        let slice = Arc::new(Slice { trigger: lease.trigger.clone(), scraper });
        let (fates, columns) = self.fates(&lease, &slice, &mut hold).await;
        let stopping = match *hold.signal.borrow() {
            Signal::Lost => return,
            Signal::Stop(state) => Some(stop_failure(state)),
            Signal::GoOn | Signal::HandBack => None,
        };
        let outcome =
            settle(fates, &self.settings.retry, self.clock.now(), self.clock.jitter(), stopping.as_ref());
        self.register(&lease, outcome, &columns, &mut hold).await;
    }

    /// Fetches and reads the inputs, several at a time, in order; within the limits that the lease names.
    async fn fates(
        &self,
        lease: &Lease,
        slice: &Arc<Slice>,
        hold: &mut Hold,
    ) -> (Vec<(Input, Fate)>, Vec<String>) {
        let mut budget = Budget::new(lease);
        let mut waiting: VecDeque<usize> = (0..lease.job.inputs.len()).collect();
        let mut fates: Vec<Option<Fate>> = vec![None; lease.job.inputs.len()];
        let mut columns: Vec<String> = Vec::new();
        let mut record_bytes = 0_usize;
        let mut running = FuturesUnordered::new();
        let closing =
            tokio::time::sleep_until(Instant::now() + Duration::from_millis(limit::SLICE_MS.unsigned_abs()));
        tokio::pin!(closing);
        let mut open = true;
        loop {
            while open && running.len() < self.settings.slice_parallel {
                let Some(at) = waiting.pop_front() else { break };
                let input = &lease.job.inputs[at];
                match budget.begin(input.root) {
                    Turn::Go => {
                        let (input, slice) = (input.clone(), slice.clone());
                        running.push(async move { (at, self.one(&slice, input).await) });
                    }
                    Turn::Met => fates[at] = Some(Fate::Skipped),
                    Turn::Wait => {
                        waiting.push_front(at);
                        break;
                    }
                }
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                changed = hold.signal.changed() => {
                    if changed.is_err() || *hold.signal.borrow() != Signal::GoOn {
                        // In-flight fetches are dropped: their inputs stay untouched.
                        break;
                    }
                }
                Some((at, collected)) = running.next() => {
                    let Collected { mut fate, columns: seen } = collected;
                    if let Fate::Read { records, .. } = &mut fate {
                        budget.end(lease.job.inputs[at].root, records);
                        record_bytes += records.iter().map(|r| r.json.len()).sum::<usize>();
                    } else {
                        budget.end(lease.job.inputs[at].root, &mut Vec::new());
                    }
                    for column in seen {
                        if columns.len() < COLUMNS_MAX && !columns.contains(&column) {
                            columns.push(column);
                        }
                    }
                    open &= record_bytes < SLICE_RECORD_BYTES;
                    fates[at] = Some(fate);
                }
                () = &mut closing, if open => open = false,
            }
        }
        drop(running);
        let inputs = lease.job.inputs.iter().cloned();
        let fates = inputs.zip(fates).map(|(input, fate)| (input, fate.unwrap_or(Fate::Untouched))).collect();
        (fates, columns)
    }

    async fn one(&self, slice: &Arc<Slice>, input: Input) -> Collected {
        let trigger = &slice.trigger;
        if trigger.discover_only && input.found {
            return found_row(&input, trigger, self.clock.now());
        }
        let request = match slice.scraper.plan(&trigger.door, &input) {
            Ok(request) => request,
            Err(failure) => return Fate::Never(failure).into(),
        };
        let page = match self.fetcher.fetch(request, trigger.express).await {
            Ok(page) => page,
            Err(error) => {
                let failure = error.failure();
                return match error.trouble() {
                    Some(trouble) => Fate::Later { trouble, failure, asked_ms: None }.into(),
                    None => Fate::Never(failure).into(),
                };
            }
        };
        match verdict(page.status) {
            Verdict::Read => {}
            Verdict::Later(trouble, code) => {
                let failure = status_failure(code, page.status);
                let asked_ms = fetch::retry_after(&page.headers, page.fetched_at);
                return Fate::Later { trouble, failure, asked_ms }.into();
            }
            Verdict::Never(code) => return Fate::Never(status_failure(code, page.status)).into(),
        }
        let express = trigger.express;
        let slice = slice.clone();
        let url = page.url.clone();
        match self.pool.run(express, move || read(&slice, &input, &page)).await {
            Ok(collected) => collected,
            Err(_) => {
                tracing::error!(%url, scraper = "reading panicked", "a bug: please report it with the page");
                Fate::Never(FailureCode::Internal.into()).into()
            }
        }
    }

    /// Bytes first, then the one transaction that makes them count.
    async fn register(&self, lease: &Lease, mut outcome: Outcome, columns: &[String], hold: &mut Hold) {
        /// Trims that a slice may be asked for: each means that another slice took from the same limit meanwhile.
        const TRIMS: u32 = 100;
        for attempt in 0..TRIMS {
            let Some(segment) = self.write_segment(lease, &outcome, attempt, hold).await else { return };
            let finished = self.finish_until_known(lease, &outcome, segment.as_ref(), columns, hold).await;
            match finished {
                Some(Finished::Done) => return,
                Some(Finished::Trim { total, per_root }) => {
                    self.drop_segment(segment.as_ref()).await;
                    keep_within(&mut outcome.records, &per_root, total);
                }
                None => {
                    self.drop_segment(segment.as_ref()).await;
                    return;
                }
            }
        }
        tracing::error!(job = lease.job.id.0, "a slice never fitted its limits; it will be done again");
    }

    /// `Some(None)` if there is nothing to write; `None` if the lease was lost on the way.
    async fn write_segment(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        attempt: u32,
        hold: &Hold,
    ) -> Option<Option<Segment>> {
        if outcome.records.is_empty() && outcome.errors.is_empty() {
            return Some(None);
        }
        let key = format!("segments/{}/{}-{}-{attempt}", lease.job.snapshot, lease.job.id.0, lease.epoch);
        let (segment, bytes) = encode(key, outcome);
        let mut wait = Duration::from_millis(50);
        loop {
            match self.bucket.put(&segment.key, bytes.clone()).await {
                Ok(()) => return Some(Some(segment)),
                Err(error) => {
                    tracing::warn!(%error, key = segment.key, "could not write a segment; trying again")
                }
            }
            if *hold.signal.borrow() == Signal::Lost {
                return None;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    /// Asks until the answer is known: an unavailable store may or may not have committed, and `finish` may be
    /// repeated. `None` if the lease is lost.
    async fn finish_until_known(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        segment: Option<&Segment>,
        columns: &[String],
        hold: &Hold,
    ) -> Option<Finished> {
        let mut wait = Duration::from_millis(50);
        loop {
            match self.store.finish(lease, outcome, segment, columns, self.clock.now()).await {
                Ok(finished) => return Some(finished),
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(error, job = lease.job.id.0, "the store is unavailable; asking again");
                }
                Err(StoreError::LeaseLost) => return None,
                Err(error) => {
                    tracing::error!(%error, job = lease.job.id.0, "a slice could not be registered");
                    return None;
                }
            }
            if *hold.signal.borrow() == Signal::Lost {
                // Whether it was committed is unknown: the bytes stay, and the sweep deletes them if it was not.
                return Some(Finished::Done);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    async fn drop_segment(&self, segment: Option<&Segment>) {
        if let Some(segment) = segment
            && let Err(error) = self.bucket.delete(&segment.key).await
        {
            // The sweep finds it later.
            tracing::debug!(%error, key = segment.key, "could not delete an unregistered segment");
        }
    }
}

/// What the limits leave, so that nothing over them is fetched once they are known to be met.
struct Budget {
    total: Option<u64>,
    per_root: BTreeMap<u64, u64>,
    running: u64,
    running_per_root: BTreeMap<u64, u64>,
}

enum Turn {
    Go,
    /// The limit is met.
    Met,
    /// What is running may meet it.
    Wait,
}

impl Budget {
    fn new(lease: &Lease) -> Self {
        Self {
            total: lease.records_left,
            per_root: lease.root_left.clone(),
            running: 0,
            running_per_root: BTreeMap::new(),
        }
    }

    fn begin(&mut self, root: u64) -> Turn {
        let running_here = self.running_per_root.get(&root).copied().unwrap_or(0);
        let left = [(self.total, self.running), (self.per_root.get(&root).copied(), running_here)];
        if left.iter().any(|(left, _)| *left == Some(0)) {
            return Turn::Met;
        }
        if left.iter().any(|(left, running)| left.is_some_and(|left| *running >= left)) {
            return Turn::Wait;
        }
        self.running += 1;
        if self.per_root.contains_key(&root) {
            *self.running_per_root.entry(root).or_insert(0) += 1;
        }
        Turn::Go
    }

    /// Cuts the records to what the limits leave, and takes them off.
    fn end(&mut self, root: u64, records: &mut Vec<Record>) {
        keep_within(records, &self.per_root, self.total);
        let took = records.len() as u64;
        self.running = self.running.saturating_sub(1);
        if let Some(total) = &mut self.total {
            *total = total.saturating_sub(took);
        }
        if let Some(left) = self.per_root.get_mut(&root) {
            *left = left.saturating_sub(took);
            if let Some(n) = self.running_per_root.get_mut(&root) {
                *n = n.saturating_sub(1);
            }
        }
    }
}

fn stop_failure(state: SnapshotState) -> Failure {
    match state {
        SnapshotState::Expiring => Failure::new(FailureCode::AbortedPage, "Crawl aborted on deadline"),
        _ => FailureCode::AbortedPage.into(),
    }
}

fn status_failure(code: FailureCode, status: u16) -> Failure {
    match code {
        // The documented sentence, word for word.
        FailureCode::DeadPage => code.into(),
        _ => Failure::new(code, format!("{} (HTTP {status})", code.sentence())),
    }
}

/// A page → what its input came to. Pure; runs on a reading thread.
fn read(slice: &Slice, input: &Input, page: &Page) -> Collected {
    let trigger = &slice.trigger;
    let Extraction { records, follow, problem, warnings } = slice.scraper.extract(&trigger.door, input, page);
    for warning in &warnings {
        tracing::debug!(url = %page.url, warning);
    }
    if let Some(failure) = problem
        && records.is_empty()
        && follow.is_empty()
    {
        return Fate::Never(failure).into();
    }
    let only = trigger.custom_output_fields.as_deref();
    let mut columns = Vec::new();
    let records = records
        .into_iter()
        .map(|fields| {
            for key in fields.keys() {
                if columns.len() < COLUMNS_MAX && !columns.contains(key) {
                    columns.push(key.clone());
                }
            }
            Record { root: input.root, json: record_json(fields, input, page.fetched_at, only) }
        })
        .collect();
    let discovery = || input.discovery.clone().unwrap_or_else(|| input.row.clone());
    let led = follow
        .into_iter()
        .map(|follow| Input {
            root: input.root,
            row: serde_json::json!({ "url": follow.url.as_str() }).to_string(),
            host: host_of(&follow.url),
            kind: follow.kind,
            discovery: matches!(trigger.door, Door::Discover(_)).then(discovery),
            begun: follow.begun.map(|begun| serde_json::Value::Object(begun).to_string()),
            depth: input.depth.saturating_add(1),
            failures: 0,
            found: follow.found,
        })
        .collect();
    Collected { fate: Fate::Read { records, led }, columns }
}

/// The row of a found input when nothing is to be collected.
fn found_row(input: &Input, trigger: &Trigger, now: model::Timestamp) -> Collected {
    let fields = match serde_json::from_str(&input.row) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let given = Input {
        row: input.discovery.clone().unwrap_or_else(|| input.row.clone()),
        discovery: None,
        ..input.clone()
    };
    let columns = fields.keys().cloned().collect();
    let json = record_json(fields, &given, now, trigger.custom_output_fields.as_deref());
    Collected {
        fate: Fate::Read { records: vec![Record { root: input.root, json }], led: Vec::new() },
        columns,
    }
}

fn encode(key: String, outcome: &Outcome) -> (Segment, Bytes) {
    let records = outcome.records.iter().map(|r| r.json.as_str());
    let errors = outcome.errors.iter().map(|(_, json)| json.as_str());
    let mut bytes = Vec::new();
    let record_plain = frame(records, &mut bytes);
    let record_bytes = bytes.len();
    let error_plain = frame(errors, &mut bytes);
    let segment = Segment {
        key,
        records: outcome.records.len() as u64,
        errors: outcome.errors.len() as u64,
        record_bytes: record_bytes as u64,
        error_bytes: (bytes.len() - record_bytes) as u64,
        plain_bytes: (record_plain + error_plain) as u64,
    };
    (segment, bytes.into())
}

/// Appends one zstd frame of the lines; nothing for no lines. Returns their plain bytes.
fn frame<'a>(lines: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) -> usize {
    let mut plain = Vec::new();
    for line in lines {
        plain.extend_from_slice(line.as_bytes());
        plain.push(b'\n');
    }
    if !plain.is_empty() {
        // Writing to memory cannot fail, and the level is a constant in range.
        let packed =
            zstd::bulk::compress(&plain, ZSTD_LEVEL).unwrap_or_else(|_| unreachable!("zstd to memory"));
        out.extend_from_slice(&packed);
    }
    plain.len()
}

/// The error row of an input that the store settled by itself: its run was stopped, or it kept killing its worker.
pub(crate) fn aborted_row(
    input: &Input,
    code: FailureCode,
    state: SnapshotState,
    at: model::Timestamp,
) -> String {
    let failure = match (code, state) {
        (FailureCode::AbortedPage, SnapshotState::Ready | SnapshotState::Expiring) => {
            stop_failure(SnapshotState::Expiring)
        }
        _ => code.into(),
    };
    error_json(&input.row, &failure, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(total: Option<u64>, per_root: &[(u64, u64)]) -> Budget {
        Budget {
            total,
            per_root: per_root.iter().copied().collect(),
            running: 0,
            running_per_root: BTreeMap::new(),
        }
    }

    #[test]
    fn no_more_is_begun_than_the_limit_leaves() {
        let mut budget = lease(Some(2), &[]);
        assert!(matches!(budget.begin(0), Turn::Go));
        assert!(matches!(budget.begin(1), Turn::Go));
        assert!(matches!(budget.begin(2), Turn::Wait));
        budget.end(0, &mut Vec::new());
        assert!(matches!(budget.begin(2), Turn::Go), "the first gave nothing, so another may try");
        let mut one = vec![Record { root: 1, json: "{}".into() }];
        budget.end(1, &mut one);
        let mut two = vec![Record { root: 2, json: "{}".into() }; 3];
        budget.end(2, &mut two);
        assert_eq!((one.len(), two.len()), (1, 1));
        assert!(matches!(budget.begin(3), Turn::Met));
    }

    #[test]
    fn each_root_has_its_own() {
        let mut budget = lease(None, &[(5, 1)]);
        assert!(matches!(budget.begin(5), Turn::Go));
        assert!(matches!(budget.begin(5), Turn::Wait));
        assert!(matches!(budget.begin(6), Turn::Go));
    }
}
