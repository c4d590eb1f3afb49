//! Begins the runs of schedules when they are due: by the same path as a trigger, under an idempotency key.
//!
//! Owns: the loop. What is due is [`plan::step`]'s to say. Invariant: a planned time is claimed in the store before its
//! run begins, and settled there after; whatever comes between is done again harmlessly.

use super::auth::Principal;
use super::error::ApiError;
use super::options::{TRIGGER, is_query_only};
use super::submit::{IDEMPOTENCY_KEY, check, submit};
use super::{Api, Shared};
use crate::schedule::plan::{self, Step};
use crate::schedule::shelf::{Kept, Shelf};
use crate::schedule::{CLAIM_MS, Calendar, Claim, GIVE_UP_MS, Overlap, Run, Schedule, key};
use axum::body::Body;
use axum::extract::Request;
use http::header::CONTENT_TYPE;
use model::{SnapshotId, Timestamp, limit};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::{Change, StoreError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// A net below the waking: looks again after this, whatever was planned.
const POLL_MS: u64 = 30_000;
/// After trouble with the store.
const TROUBLE_MS: u64 = 1_000;
/// Steps of one schedule before the others have their turn.
const STEPS: usize = 50;
/// Attempts to write down what was done, while others write too.
const TRIES: usize = 20;
/// Tells at once of a burst of changes.
const SETTLE: Duration = Duration::from_millis(50);

/// Runs until it is stopped.
pub async fn keep_schedules(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let shared = Shared::of(&api);
    let shelf = shared.shelf();
    let mut changes = shared.store.subscribe();
    loop {
        let passed = tokio::select! {
            passed = pass(&shared, &shelf) => passed,
            () = stopped(&mut stop) => return,
        };
        let (awaited, sleep_ms) = match passed {
            Ok(pass) => {
                let until = pass.wake.map_or(POLL_MS, |at| at.ms_since(shared.clock.now()));
                (pass.awaited, until.min(POLL_MS))
            }
            Err(error) => {
                tracing::error!(%error, "schedules could not be looked at");
                (HashSet::new(), TROUBLE_MS)
            }
        };
        let sleep = tokio::time::sleep(Duration::from_millis(sleep_ms));
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => break,
                () = shared.schedules.notified() => break,
                () = stopped(&mut stop) => return,
                change = changes.recv() => match change {
                    Ok(Change::Snapshot(id)) if awaited.contains(&id) => {
                        tokio::time::sleep(SETTLE).await;
                        break;
                    }
                    Err(RecvError::Lagged(_)) if !awaited.is_empty() => break,
                    Err(RecvError::Closed) => return,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                },
            }
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // If its sender has gone, everything stops.
    drop(stop.wait_for(|stop| *stop).await);
}

#[derive(Default)]
struct Pass {
    /// When something is due next.
    wake: Option<Timestamp>,
    /// Runs that something waits for.
    awaited: HashSet<SnapshotId>,
}

impl Pass {
    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

async fn pass(shared: &Shared, shelf: &Shelf) -> Result<Pass, StoreError> {
    let mut pass = Pass::default();
    for kept in shelf.all().await? {
        one(shared, shelf, kept, &mut pass).await?;
    }
    Ok(pass)
}

/// Takes a schedule as far as it goes.
async fn one(shared: &Shared, shelf: &Shelf, mut kept: Kept, pass: &mut Pass) -> Result<(), StoreError> {
    for _ in 0..STEPS {
        let schedule = &mut kept.schedule;
        let Ok(calendar) = Calendar::read(&schedule.cron, &schedule.time_zone) else {
            tracing::error!(id = schedule.id, "a schedule has an expression that is none");
            return Ok(());
        };
        let now = shared.clock.now();
        let goes_on = goes_on(shared, schedule).await?;
        match plan::step(schedule, &calendar, now, goes_on) {
            Step::Sleep(until) => {
                if let Some(until) = until {
                    pass.wake_at(until);
                }
                if schedule.state.waiting.is_some() {
                    pass.awaited.extend(schedule.state.last_snapshot().cloned());
                }
                return Ok(());
            }
            Step::Skip { up_to, count } => {
                schedule.state.settled = up_to;
                schedule.state.skips += count;
                schedule.state.skipped_at = Some(up_to);
            }
            Step::Wait(planned) => {
                schedule.state.settled = planned;
                schedule.state.waiting = Some(planned);
            }
            Step::Begin(planned) => {
                let state = &mut schedule.state;
                let since = state.claim.filter(|c| c.planned == planned).map_or(now, |claim| claim.since);
                state.claim = Some(Claim { planned, since, again_at: now.plus_ms(CLAIM_MS) });
                state.settled = state.settled.max(planned);
                state.waiting = None;
                if shelf.put(schedule, kept.version).await? {
                    begin_planned(shared, shelf, schedule, planned, since).await?;
                }
                let Some(fresh) = shelf.find(&schedule.id).await? else { return Ok(()) };
                kept = fresh;
                continue;
            }
        }
        if shelf.put(&kept.schedule, kept.version).await? {
            kept.version += 1;
        } else {
            let Some(fresh) = shelf.find(&kept.schedule.id).await? else { return Ok(()) };
            kept = fresh;
        }
    }
    pass.wake_at(shared.clock.now());
    Ok(())
}

/// Whether the last run has not ended, if that matters.
async fn goes_on(shared: &Shared, schedule: &Schedule) -> Result<bool, StoreError> {
    let Some(id) = schedule.state.last_snapshot().filter(|_| schedule.overlap != Overlap::Allow) else {
        return Ok(false);
    };
    match shared.store.snapshot(id).await {
        Ok(snapshot) => Ok(!snapshot.state.is_terminal()),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Begins the run of a planned time that is claimed, and writes down how that went.
async fn begin_planned(
    shared: &Shared,
    shelf: &Shelf,
    schedule: &Schedule,
    planned: Timestamp,
    since: Timestamp,
) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let id = schedule.id.as_str();
    let run = |snapshot, error| Run { planned: Some(planned), at: now, snapshot, error };
    // An hour before the key is forgotten, so that no clock is fast enough to make a second run.
    let done = if now.ms_since(since) > (limit::IDEMPOTENCY_MS - GIVE_UP_MS).unsigned_abs() {
        let why = "the server stopped while it began this run, and it is not known any more whether it did";
        run(None, Some(why.to_owned()))
    } else {
        match begin(shared, shelf, schedule, Some(key(id, planned))).await {
            Ok(snapshot) => {
                tracing::info!(id, %planned, snapshot = snapshot.as_str(), "a schedule began a run");
                run(Some(snapshot), None)
            }
            Err(error) if error.may_pass() && now.ms_since(since) < GIVE_UP_MS.unsigned_abs() => {
                let why = error.text();
                tracing::warn!(id, %planned, why, "a scheduled run could not begin yet");
                return write(shelf, id, |state| state.last_error = Some(why.clone())).await;
            }
            Err(error) => {
                // The key is of a run that a stop kept from being written down, and the schedule says otherwise now.
                let why = if error.is_conflict() {
                    "this run began before the schedule was changed; it is among the snapshots of its dataset"
                        .to_owned()
                } else {
                    error.text()
                };
                tracing::warn!(id, %planned, why, "a scheduled run was refused");
                run(None, Some(why))
            }
        }
    };
    write(shelf, id, |state| {
        // Another node may have finished the claim meanwhile: the same run.
        if state.claim.is_some_and(|claim| claim.planned == planned) {
            state.ran(done.clone());
        }
    })
    .await
}

/// Changes the state of a schedule, whoever else changes it meanwhile.
pub(super) async fn write(
    shelf: &Shelf,
    id: &str,
    change: impl Fn(&mut crate::schedule::State),
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        // Taken away meanwhile: nothing is left to write.
        let Some(mut kept) = shelf.find(id).await? else { return Ok(()) };
        change(&mut kept.schedule.state);
        if shelf.put(&kept.schedule, kept.version).await? {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable("a schedule is written by too many at once".to_owned()))
}

/// Begins a run now. With a key: the run that was begun under it, if there is one.
pub(super) async fn begin(
    shared: &Shared,
    shelf: &Shelf,
    schedule: &Schedule,
    key: Option<String>,
) -> Result<SnapshotId, ApiError> {
    let inputs = shelf.inputs(&schedule.id).await?;
    let request = request(schedule, &inputs, key.as_deref())?;
    let principal = Principal::schedule(&schedule.id);
    Ok(submit(shared, &principal, request, TRIGGER, None).await?.id)
}

/// Checks everything that beginning a run would check, as the caller who makes the schedule.
pub(super) async fn rehearse(
    shared: &Shared,
    principal: &Principal,
    schedule: &Schedule,
    inputs: &str,
) -> Result<u64, ApiError> {
    check(shared, principal, request(schedule, inputs, None)?, TRIGGER).await
}

/// The trigger that a caller would send.
fn request(schedule: &Schedule, inputs: &str, key: Option<&str>) -> Result<Request, ApiError> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("dataset_id", &schedule.dataset_id);
    let mut body: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    let raw = |value: &Value| serde_json::value::to_raw_value(value).map_err(ApiError::internal);
    for (name, value) in &schedule.options {
        match value {
            Value::String(text) if is_query_only(name) => {
                query.append_pair(name, text);
            }
            value => {
                body.insert(name, raw(value)?);
            }
        }
    }
    if let Some(deliver) = &schedule.deliver {
        body.insert("deliver", raw(deliver)?);
    }
    body.insert("input", RawValue::from_string(inputs.to_owned()).map_err(ApiError::internal)?);
    let body = serde_json::to_vec(&body).map_err(ApiError::internal)?;
    let mut request = Request::post(format!("/datasets/v3/trigger?{}", query.finish()))
        .header(CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    request.body(Body::from(body)).map_err(ApiError::internal)
}

/// Options as they are shown: without secrets.
pub(super) fn blotted(value: &Value) -> Value {
    fn blot(value: &Value, hidden: bool) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(name, value)| {
                        let secret = matches!(
                            name.as_str(),
                            "auth_header" | "credentials" | "request_headers" | "headers"
                        ) || name.starts_with("webhook_header_");
                        (name.clone(), blot(value, hidden || secret))
                    })
                    .collect::<Map<_, _>>(),
            ),
            Value::Array(list) => list.iter().map(|value| blot(value, hidden)).collect(),
            Value::Null => Value::Null,
            _ if hidden => Value::from(super::submit::SECRET),
            other => other.clone(),
        }
    }
    blot(value, false)
}
