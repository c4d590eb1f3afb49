//! A slice of inputs → pages → records → one segment and one outcome.

use super::Worker;
use super::held::{Hold, Signal};
use super::way;
use super::work::{COLUMNS_MAX, Collected, Ended, Work};
use bytes::Bytes;
use extract::{Extraction, Scraper, Shell};
use futures_util::FutureExt;
use model::quality::Profile;
use model::{
    Door, Failure, FailureCode, Fate, FetchMode, Input, JobId, Outcome, Page, Record, Request, Segment,
    SnapshotState, Trigger, Verdict, error_json, host_of, keep_within, limit, record_json, settle, verdict,
};

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use store::{Finished, Lease, StoreError};
use tokio::time::Instant;

/// Compression of segments: fast, since rows are written once and read a few times.
const ZSTD_LEVEL: i32 = 1;
/// Milliseconds between looks at a slice whose time is up while its first inputs are still on their way.
const RECHECK_MS: u64 = 100;

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
        let mut work = Work::new(lease);
        loop {
            let ended = self.go_on(&slice, &mut work, &mut hold).await;
            let stopping = match *hold.signal.borrow() {
                Signal::Lost => return,
                Signal::Stop(state) => Some(stop_failure(state)),
                Signal::GoOn | Signal::HandBack => None,
            };
            let (fates, columns) = work.take(ended);
            let profile = profile_of(&slice, &fates);
            let policy = &self.settings.retry;
            let outcome = settle(fates, policy, self.clock.now(), self.clock.jitter(), stopping.as_ref());
            let carried = outcome.carried.clone();
            let Some(job) = self.register(&work.lease, outcome, &profile, &columns, &hold).await else {
                return;
            };
            work.carry(job, carried);
            hold = self.leases.hold(&work.lease);
        }
    }

    /// Fetches and reads the inputs, several at a time, in order, within the limits that the lease names: until all
    /// are done, or until it is time to register what is done.
    async fn go_on(self: &Arc<Self>, slice: &Arc<Slice>, work: &mut Work, hold: &mut Hold) -> Ended {
        let closing = tokio::time::sleep(Duration::from_millis(limit::SLICE_MS.unsigned_abs()));
        tokio::pin!(closing);
        loop {
            while work.open && work.running.len() < self.settings.slice_parallel {
                let Some((at, input)) = work.begin() else { break };
                let (worker, slice) = (self.clone(), slice.clone());
                let url = input.row.clone();
                work.running.spawn(async move {
                    let one = AssertUnwindSafe(worker.one(&slice, input)).catch_unwind().await;
                    (at, one.unwrap_or_else(|_| a_bug(&url)))
                });
            }
            if work.running.is_empty() {
                return Ended::Whole;
            }
            tokio::select! {
                biased;
                changed = hold.signal.changed() => {
                    if changed.is_err() || *hold.signal.borrow() != Signal::GoOn {
                        // In-flight fetches are dropped: their inputs stay untouched.
                        return Ended::Whole;
                    }
                }
                Some(done) = work.running.join_next() => work.end(done),
                () = &mut closing => {
                    work.open = false;
                    if work.fates.iter().any(Option::is_some) {
                        return Ended::InFlight;
                    }
                    // Nothing to register yet: the rest goes back when the first is done.
                    closing.as_mut().reset(Instant::now() + Duration::from_millis(RECHECK_MS));
                }
            }
        }
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
        let way = self.settings.way;
        let site = way::site(slice.scraper.name(), &input.kind, &request);
        let mut request = request;
        let mode = self.ways.first(&request, &site, way, self.clock.now());
        request.needs.mode = Some(mode);
        if mode != FetchMode::Auto {
            return self.fetch_and_read(slice, input, request, false).await.0;
        }
        let (collected, shell) = self.fetch_and_read(slice, input.clone(), request.clone(), true).await;
        if !way::needs_browser(shell, &collected) {
            return collected;
        }
        request.needs.mode = Some(FetchMode::Browser);
        let (collected, _) = self.fetch_and_read(slice, input, request, false).await;
        if matches!(collected.fate, Fate::Read { .. }) {
            self.ways.remember(site, way, self.clock.now());
        }
        collected
    }

    /// A page and what it came to; and, if it is to be judged, whether it looks like an empty shell.
    async fn fetch_and_read(
        &self,
        slice: &Arc<Slice>,
        input: Input,
        request: Request,
        judging: bool,
    ) -> (Collected, Shell) {
        let express = slice.trigger.express;
        let page = match self.fetcher.fetch(request, express).await {
            Ok(page) => page,
            Err(error) => {
                let failure = error.failure();
                let fate = match error.trouble() {
                    Some(trouble) => Fate::Later { trouble, failure, asked_ms: None },
                    None => Fate::Never(failure),
                };
                return (fate.into(), Shell::Full);
            }
        };
        match verdict(page.status) {
            Verdict::Read => {}
            Verdict::Later(trouble, code) => {
                let failure = status_failure(code, page.status);
                let asked_ms = fetch::retry_after(&page.headers, page.fetched_at);
                return (Fate::Later { trouble, failure, asked_ms }.into(), Shell::Full);
            }
            Verdict::Never(code) => {
                return (Fate::Never(status_failure(code, page.status)).into(), Shell::Full);
            }
        }
        let slice = slice.clone();
        let url = page.url.clone();
        let reading = move || {
            let shell = if judging { way::judge(&page) } else { Shell::Full };
            (read(&slice, &input, &page), shell)
        };
        match self.pool.run(express, reading).await {
            Ok(collected) => collected,
            Err(_) => (a_bug(url.as_str()), Shell::Full),
        }
    }

    /// Bytes first, then the one transaction that makes them count. The job to go on with, if inputs are carried.
    async fn register(
        &self,
        lease: &Lease,
        mut outcome: Outcome,
        profile: &Profile,
        columns: &[String],
        hold: &Hold,
    ) -> Option<JobId> {
        /// Trims that a slice may be asked for: each means that another slice took from the same limit meanwhile.
        const TRIMS: u32 = 100;
        for attempt in 0..TRIMS {
            outcome.profile = with_rows(profile, &outcome.records);
            let segment = self.write_segment(lease, &outcome, attempt, hold).await?;
            let finished = self.finish_until_known(lease, &outcome, segment.as_ref(), columns, hold).await;
            match finished {
                Some(Finished::Done) => return None,
                Some(Finished::Carried(job)) => return Some(job),
                Some(Finished::Trim { total, per_root }) => {
                    self.drop_segment(segment.as_ref()).await;
                    keep_within(&mut outcome.records, &per_root, total);
                }
                None => {
                    self.drop_segment(segment.as_ref()).await;
                    return None;
                }
            }
        }
        tracing::error!(job = lease.job.id.0, "a slice never fitted its limits; it will be done again");
        None
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

/// What an input comes to whose work panicked.
fn a_bug(of: &str) -> Collected {
    tracing::error!(of, "an input's work panicked: a bug; please report it with the page");
    Fate::Never(FailureCode::Internal.into()).into()
}

/// What the inputs of a slice came to, and the fields that its records should have.
fn profile_of(slice: &Slice, fates: &[(Input, Fate)]) -> Profile {
    let trigger = &slice.trigger;
    let limited = trigger.limit_per_input.is_some() || trigger.limit_multiple_results.is_some();
    let mut profile = Profile { limited, ..Profile::default() };
    for (input, fate) in fates {
        profile.input(input, fate);
    }
    if !trigger.discover_only {
        let asked_for = |name: &str| {
            trigger
                .custom_output_fields
                .as_ref()
                .is_none_or(|paths| paths.iter().any(|p| p == name || p.split('.').next() == Some(name)))
        };
        for field in slice.scraper.fields().iter().filter(|field| asked_for(&field.name)) {
            profile.expect(&field.name, matches!(field.type_word.as_str(), "object" | "list of object"));
        }
    }
    profile
}

/// The profile with the records that are kept; `None` if there is nothing to tell.
fn with_rows(profile: &Profile, records: &[Record]) -> Option<Box<Profile>> {
    if records.is_empty() && profile.given == 0 && profile.pages.is_empty() {
        return None;
    }
    let mut profile = Box::new(profile.clone());
    for record in records {
        profile.row(&record.json);
    }
    Some(profile)
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
        (
            FailureCode::AbortedPage,
            SnapshotState::Ready | SnapshotState::Quarantined | SnapshotState::Expiring,
        ) => stop_failure(SnapshotState::Expiring),
        _ => code.into(),
    };
    error_json(&input.row, &failure, at)
}
