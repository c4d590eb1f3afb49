//! A slice of inputs → pages → records → one segment and one outcome.

use super::Worker;
use super::held::{Hold, Signal};
use super::identity::Missed;
use super::keep::{self, Kept, Pages};
use super::slots::Slot;
use super::work::{COLUMNS_MAX, Collected, Ended, Taken, Work};
use super::{trail, way};
use crate::archive::Replayed;
use crate::changes::{Baseline, ChangesError, Digest};
use crate::shards::Shards;
use bytes::Bytes;
use extract::{Extraction, Scraper, Shell};
use futures_util::FutureExt;
use model::diff::ChangeKind;
use model::quality::Profile;
use model::{
    Artifact, Door, Failure, FailureCode, Fate, FetchMode, Input, JobId, Outcome, Page, PageKey, Record,
    Request, Reuse, Segment, SnapshotId, SnapshotState, Trail, Trigger, Trouble, Verdict, error_json,
    fits_within, host_of, keep_within, limit, record_json, settle, verdict,
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
pub(super) struct Slice {
    pub(super) snapshot: SnapshotId,
    pub(super) trigger: Arc<Trigger>,
    pub(super) scraper: Arc<Scraper>,
    /// When kept pages may stand for pages.
    pub(super) reuse: Reuse,
    shards: Arc<Shards>,
    /// What records are compared with, if only changed ones are given.
    baseline: Option<Arc<Baseline>>,
}

impl Worker {
    /// Does one slice to the end: every input is settled, put back, or left to the next holder of the lease.
    ///
    /// The slot is given back early if the slice turns out to be slow.
    pub(super) async fn collect(self: Arc<Self>, lease: Lease, mut hold: Hold, mut slot: Option<Slot>) {
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
        let baseline = match self.baseline(&lease.trigger, &scraper).await {
            Ok(baseline) => baseline,
            Err(error) => {
                // The lease ends by itself, and the slice is tried again.
                tracing::warn!(%error, snapshot = %lease.job.snapshot, "there is nothing to compare with yet");
                return;
            }
        };
        let reuse = self.cache.reuse(lease.trigger.wishes.reuse.or(scraper.reuse()));
        let slice = Arc::new(Slice {
            snapshot: lease.job.snapshot.clone(),
            trigger: lease.trigger.clone(),
            scraper,
            reuse,
            shards: self.settings.shards.clone(),
            baseline,
        });
        let mut work = Work::new(lease);
        loop {
            let ended = self.go_on(&slice, &mut work, &mut hold, &mut slot).await;
            let stopping = match *hold.signal.borrow() {
                Signal::Lost => return,
                Signal::Stop(state) => Some(stop_failure(state)),
                Signal::GoOn | Signal::HandBack => None,
            };
            let kept = work.take_kept();
            let Taken { fates, withheld, columns } = work.take(ended);
            let pages = Pages::new(&fates, kept);
            let profile = profile_of(&slice, &fates, &withheld);
            let policy = &self.settings.retry;
            let mut outcome = settle(fates, policy, self.clock.now(), self.clock.jitter(), stopping.as_ref());
            outcome.withheld = withheld.into_iter().flatten().collect();
            let carried = outcome.carried.clone();
            let Some(job) = self.register(&work.lease, outcome, pages, &profile, &columns, &hold).await
            else {
                return;
            };
            work.carry(job, carried);
            hold = self.leases.carry(&hold, &work.lease);
        }
    }

    /// Fetches and reads the inputs, several at a time, in order, within the limits that the lease names: until all
    /// are done, or until it is time to register what is done.
    async fn go_on(
        self: &Arc<Self>,
        slice: &Arc<Slice>,
        work: &mut Work,
        hold: &mut Hold,
        slot: &mut Option<Slot>,
    ) -> Ended {
        let closing = tokio::time::sleep(Duration::from_millis(limit::SLICE_MS.unsigned_abs()));
        tokio::pin!(closing);
        loop {
            while work.open && work.running.len() < self.settings.slice_parallel {
                let Some((at, input)) = work.begin() else { break };
                let (worker, slice) = (self.clone(), slice.clone());
                let url = input.row.clone();
                let permit = hold.permit();
                work.running.spawn(permit.guard(async move {
                    let one = async {
                        let collected = worker.one(&slice, input).await;
                        worker.withhold(&slice, collected).await
                    };
                    let one = AssertUnwindSafe(one).catch_unwind().await;
                    (at, one.unwrap_or_else(|_| a_bug(&url)))
                }));
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
                    // Whoever waits for a slow host does not keep others from theirs.
                    if let Some(slot) = slot {
                        slot.is_slow();
                    }
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
        if let Some(failure) = input.trail.failure() {
            return Fate::Never(failure).into();
        }
        if trigger.discover_only && input.found {
            return found_row(&input, trigger, self.clock.now());
        }
        let mut request = match slice.scraper.plan(&trigger.door, &input) {
            Ok(request) => request,
            Err(failure) => return Fate::Never(failure).into(),
        };
        request.needs.archive |= trigger.wishes.archive || self.settings.archive_always;
        if trigger.wishes.artifacts.contains(&Artifact::Screenshot) {
            request.needs.rendering.get_or_insert_default().screenshot = true;
        }
        if trigger.wishes.replay.is_some() {
            return self.fetch_and_read(slice, input, request, false).await.0;
        }
        let way = self.settings.way;
        let site = way::site(slice.scraper.name(), &input.kind, &request);
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
        let trigger = &slice.trigger;
        let keeps = request.needs.archive;
        let asked = PageKey::of(request.method, &request.url, request.body.as_deref());
        let url = request.url.clone();
        let fetched = match &trigger.wishes.replay {
            Some(from) => match self.archive.replay(from, &request, &input).await {
                Ok(Replayed::Page(page, entry)) => Ok((*page, Some(Kept::Replayed(entry)), None)),
                Ok(Replayed::Failed(failure, entry)) => {
                    let kept = Some(Kept::Replayed(entry));
                    return (Collected { kept, ..Fate::Never(failure).into() }, Shell::Full);
                }
                Err(error) => Err(Missed::from(error)),
            },
            None => self.page(slice, &input, request).await.map(|(page, keep)| (page, None, keep)),
        };
        let (mut page, replayed, keep) = match fetched {
            Ok(fetched) => fetched,
            Err(Missed { mut fate, exchanges }) => {
                let mut kept = None;
                if let Fate::Never(failure) | Fate::Later { failure, .. } = &mut fate {
                    let at = *failure.at.get_or_insert(self.clock.now());
                    if keeps && trigger.wishes.replay.is_none() {
                        let seed = self.clock.random();
                        kept = Some(Kept::failed(&url, failure.clone(), at, &exchanges, asked, seed));
                    }
                }
                return (Collected { kept, ..fate.into() }, Shell::Full);
            }
        };
        let express = trigger.express;
        let slice = slice.clone();
        let url = page.url.clone();
        let seed = (keeps && replayed.is_none()).then(|| self.clock.random());
        let work = move || {
            let kept = replayed.or_else(|| Some(Kept::fetched(&mut page, asked, seed?)));
            let shell = if judging { way::judge(&page) } else { Shell::Full };
            (Collected { kept, ..read(&slice, &input, &page) }, shell)
        };
        let (collected, shell) = match self.pool.run(express, work).await {
            Ok(collected) => collected,
            Err(_) => (a_bug(url.as_str()), Shell::Full),
        };
        // A page that was of no use is not worth keeping.
        if let (Some(keep), Fate::Read { .. }) = (keep, &collected.fate) {
            self.cache.keep(keep).await;
        }
        (collected, shell)
    }

    /// What the records of a run are compared with, if only changed ones are given.
    async fn baseline(
        &self,
        trigger: &Trigger,
        scraper: &Scraper,
    ) -> Result<Option<Arc<Baseline>>, ChangesError> {
        match &trigger.wishes.since {
            Some(since) if trigger.wishes.only_changed => {
                Ok(Some(self.baselines.of(since, scraper.key()).await?))
            }
            _ => Ok(None),
        }
    }

    /// Takes the records out that the earlier run gave just so.
    async fn withhold(&self, slice: &Slice, mut collected: Collected) -> Collected {
        let Some(baseline) = &slice.baseline else { return collected };
        let Fate::Read { records, .. } = &mut collected.fate else { return collected };
        let mut given = Vec::with_capacity(records.len());
        for record in std::mem::take(records) {
            let kind = match Digest::of_text(record.json.as_bytes(), slice.scraper.key()) {
                Some(digest) => baseline.kind(&digest).await,
                None => Ok(ChangeKind::Added),
            };
            match kind {
                Ok(ChangeKind::Unchanged) => collected.withheld.push(record.json),
                Ok(_) => given.push(record),
                Err(error) => {
                    tracing::warn!(%error, "a record could not be compared; its page is tried again");
                    self.baselines.forget(baseline).await;
                    let failure = FailureCode::Internal.into();
                    return Fate::Later { trouble: Trouble::Other, failure, asked_ms: None }.into();
                }
            }
        }
        *records = given;
        collected
    }

    /// Bytes first, then the one transaction that makes them count. The job to go on with, if inputs are carried.
    async fn register(
        &self,
        lease: &Lease,
        mut outcome: Outcome,
        mut pages: Pages,
        profile: &Profile,
        columns: &[String],
        hold: &Hold,
    ) -> Option<JobId> {
        /// Trims that a slice may be asked for: each means that another slice took from the same limit meanwhile.
        const TRIMS: u32 = 100;
        for attempt in 0..TRIMS {
            outcome.profile = with_rows(profile, &outcome.records, &outcome.withheld);
            let bodies = self.write_archive(lease, &mut outcome, &pages, attempt, hold).await?;
            let segment = self.write_segment(lease, &outcome, attempt, hold).await?;
            if outcome.carried.is_empty() {
                self.let_go(lease).await;
            }
            let finished = self.finish_until_known(lease, &outcome, segment.as_ref(), columns, hold).await;
            match finished {
                Some(Finished::Done) => {
                    self.bodies.add(&lease.job.snapshot, bodies);
                    return None;
                }
                Some(Finished::Carried(job)) => {
                    self.bodies.add(&lease.job.snapshot, bodies);
                    return Some(job);
                }
                Some(Finished::Trim { total, per_root }) => {
                    self.drop_written(segment.as_ref(), &outcome).await;
                    pages.cut(&fits_within(outcome.records.iter().map(|r| r.root), &per_root, total));
                    keep_within(&mut outcome.records, &per_root, total);
                }
                None => {
                    self.drop_written(segment.as_ref(), &outcome).await;
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
        if outcome.records.is_empty() && outcome.errors.is_empty() && outcome.withheld.is_empty() {
            return Some(None);
        }
        let key = format!("segments/{}/{}-{}-{attempt}", lease.job.snapshot, lease.job.id.0, lease.epoch);
        let (segment, bytes) = encode(key, outcome);
        self.put_until_written(&segment.key, bytes, hold).await.map(|()| Some(segment))
    }

    /// Writes the kept pages and names them in the outcome; the bodies that later parts may refer to once this one is
    /// registered. `None` if the lease was lost on the way.
    async fn write_archive(
        &self,
        lease: &Lease,
        outcome: &mut Outcome,
        pages: &Pages,
        attempt: u32,
        hold: &Hold,
    ) -> Option<keep::New> {
        if pages.is_empty() {
            return Some(keep::New::new());
        }
        let snapshot = &lease.job.snapshot;
        let key = format!("archive/{snapshot}/{}-{}-{attempt}", lease.job.id.0, lease.epoch);
        let (now, seed) = (self.clock.now(), self.clock.random());
        let (part, bytes, bodies) = pages.lay_down(snapshot, key, now, seed, &self.bodies);
        self.put_until_written(&part.key, bytes, hold).await?;
        outcome.archive = Some(Box::new(part));
        Some(bodies)
    }

    /// `None` if the lease was lost before the bucket took it.
    async fn put_until_written(&self, key: &str, bytes: Bytes, hold: &Hold) -> Option<()> {
        let mut wait = Duration::from_millis(50);
        loop {
            match self.bucket.put(key, bytes.clone()).await {
                Ok(()) => return Some(()),
                Err(error) => tracing::warn!(%error, key, "could not write an object; trying again"),
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

    /// Deletes what was written and not registered.
    async fn drop_written(&self, segment: Option<&Segment>, outcome: &Outcome) {
        let part = outcome.archive.as_ref().map(|part| part.key.as_str());
        for key in segment.map(|segment| segment.key.as_str()).into_iter().chain(part) {
            if let Err(error) = self.bucket.delete(key).await {
                // The sweep finds it later.
                tracing::debug!(%error, key, "could not delete an unregistered object");
            }
        }
    }
}

/// What an input comes to whose work panicked.
fn a_bug(of: &str) -> Collected {
    tracing::error!(of, "an input's work panicked: a bug; please report it with the page");
    Fate::Never(FailureCode::Internal.into()).into()
}

/// What the inputs of a slice came to, and the fields that its records should have. Records that are withheld are
/// records of their pages: a run in which little changed is no worse for it.
fn profile_of(slice: &Slice, fates: &[(Input, Fate)], withheld: &[Vec<String>]) -> Profile {
    let trigger = &slice.trigger;
    let limited = trigger.limit_per_input.is_some() || trigger.limit_multiple_results.is_some();
    let mut profile = Profile { limited, ..Profile::default() };
    for ((input, fate), withheld) in fates.iter().zip(withheld) {
        match fate {
            Fate::Read { records, led } if !withheld.is_empty() => {
                // Only their number counts here.
                let record = Record { root: input.root, json: String::new() };
                let records = vec![record; records.len() + withheld.len()];
                profile.input(input, &Fate::Read { records, led: led.clone() });
            }
            fate => profile.input(input, fate),
        }
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
fn with_rows(profile: &Profile, records: &[Record], withheld: &[String]) -> Option<Box<Profile>> {
    if records.is_empty() && withheld.is_empty() && profile.given == 0 && profile.pages.is_empty() {
        return None;
    }
    let mut profile = Box::new(profile.clone());
    for json in records.iter().map(|record| &record.json).chain(withheld) {
        profile.row(json);
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

/// Why a page with a bad status gives nothing: what the page itself is, where that can be told, else its status.
fn refused(slice: &Slice, input: &Input, page: &Page, code: FailureCode) -> Failure {
    let by_status = status_failure(code, page.status);
    // A page that is not there is what it says, and a broken server says nothing of us.
    if !matches!(page.status, 400..=403 | 405..=409 | 411..=499 | 503) || page.body.is_empty() {
        return by_status;
    }
    slice.scraper.refused(&slice.trigger.door, input, page).unwrap_or(by_status)
}

/// A page → what its input came to. Pure; runs on a reading thread.
fn read(slice: &Slice, input: &Input, page: &Page) -> Collected {
    let trigger = &slice.trigger;
    match verdict(page.status) {
        Verdict::Read => {}
        // An archive gives the same answer tomorrow.
        Verdict::Later(_, code) if trigger.wishes.replay.is_some() => {
            return Fate::Never(refused(slice, input, page, code).at(page.fetched_at)).into();
        }
        Verdict::Later(trouble, code) => {
            let asked_ms = fetch::retry_after(&page.headers, page.fetched_at);
            let failure = refused(slice, input, page, code).at(page.fetched_at);
            return Fate::Later { trouble, failure, asked_ms }.into();
        }
        Verdict::Never(code) => {
            return Fate::Never(refused(slice, input, page, code).at(page.fetched_at)).into();
        }
    }
    let extraction = slice.scraper.extract(&trigger.door, input, page);
    let seen = trail::seen(input, &extraction);
    let Extraction { records, follow, problem, beyond, warnings } = extraction;
    for warning in &warnings {
        tracing::debug!(url = %page.url, warning);
    }
    if let Some(failure) = problem
        && records.is_empty()
        && follow.is_empty()
    {
        return Fate::Never(failure.at(page.fetched_at)).into();
    }
    if seen.is_echo {
        // The list has ended: what this page shows was read before.
        return Fate::Read { records: Vec::new(), led: Vec::new() }.into();
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
    // What a page of a discovery leads to shows the caller's row; elsewhere the country is told on.
    let country = match trigger.door {
        Door::Collect => slice.scraper.country_said(&trigger.door, input),
        Door::Discover(_) => None,
    };
    let row_of = |url: &str| {
        let mut row = serde_json::json!({ "url": url });
        if let Some((key, code)) = &country {
            row[key] = serde_json::json!(code);
        }
        row.to_string()
    };
    let beyond = beyond.map(|(follow, end)| (follow, Some(end)));
    let led = follow
        .into_iter()
        .map(|follow| (follow, None))
        .chain(beyond)
        .map(|(follow, end)| Input {
            root: input.root,
            row: row_of(follow.url.as_str()),
            host: host_of(&follow.url),
            kind: follow.kind,
            discovery: matches!(trigger.door, Door::Discover(_)).then(discovery),
            begun: follow.begun.map(|begun| serde_json::Value::Object(begun).to_string()),
            depth: input.depth.saturating_add(1),
            failures: 0,
            detours: 0,
            // What is beyond a bound is not found to be collected: it is told.
            found: follow.found && end.is_none(),
            trail: match end {
                Some(_) => Trail { end, ..Trail::default() },
                None if follow.found => Trail::default(),
                None => seen.trail.clone(),
            },
            modified: follow.modified,
        })
        .map(|mut led| {
            slice.shards.place(&slice.scraper, &trigger.door, &mut led);
            led
        })
        .collect();
    Collected { fate: Fate::Read { records, led }, columns, kept: None, withheld: Vec::new() }
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
        kept: None,
        withheld: Vec::new(),
    }
}

fn encode(key: String, outcome: &Outcome) -> (Segment, Bytes) {
    let records = outcome.records.iter().map(|r| r.json.as_str());
    let errors = outcome.errors.iter().map(|(_, json)| json.as_str());
    let mut bytes = Vec::new();
    let record_plain = frame(records, &mut bytes);
    let record_bytes = bytes.len();
    let error_plain = frame(errors, &mut bytes);
    let error_bytes = bytes.len() - record_bytes;
    frame(outcome.withheld.iter().map(String::as_str), &mut bytes);
    let segment = Segment {
        key,
        records: outcome.records.len() as u64,
        errors: outcome.errors.len() as u64,
        record_bytes: record_bytes as u64,
        error_bytes: error_bytes as u64,
        plain_bytes: (record_plain + error_plain) as u64,
        withheld: outcome.withheld.len() as u64,
        withheld_bytes: (bytes.len() - record_bytes - error_bytes) as u64,
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
