//! `/datasets/v3/schedules`: saved triggers that run by themselves. Own extension.
//!
//! Owns: their wire. What they do is [`crate::schedule`]'s. Invariant: what a trigger would refuse is refused when the
//! schedule is made, with the same words.

use super::Shared;
use super::auth::Principal;
use super::body::Source;
use super::error::{ApiError, Result};
use super::keeper::{begin, blotted, rehearse, write};
use super::options;
use super::submit::IDEMPOTENCY_KEY;
use crate::schedule::shelf::{Kept, Shelf};
use crate::schedule::{Calendar, CalendarFault, Missed, Overlap, Run, Schedule, State};
use axum::Json;
use axum::extract::{Path, Request, State as Extracted};
use http::header::CONTENT_ENCODING;
use model::{SnapshotId, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Bytes of a schedule's body.
const BODY_BYTES: u64 = 1 << 20;
/// Schedules of a server.
const SCHEDULES: usize = 1_000;
const NAME_CHARS: usize = 200;
/// Planned times that are shown.
const NEXT: usize = 5;
/// Attempts to change what others change too.
const TRIES: usize = 10;

/// Makes one.
pub(super) async fn create(
    Extracted(shared): Extracted<Arc<Shared>>,
    principal: Principal,
    request: Request,
) -> Result<Json<Value>> {
    let shelf = shared.shelf();
    let body = read(&shared, request).await?;
    let now = shared.clock.now();
    let mut schedule = blank(new_id(&shared, now), now, &principal);
    let mut inputs = None;
    fill(&mut schedule, &mut inputs, &body, true)?;
    principal.check(&shared, &schedule.dataset_id)?;
    let inputs = inputs.unwrap_or_else(|| "[]".to_owned());
    schedule.inputs = rehearse(&shared, &principal, &schedule, &inputs).await?;
    if shelf.all().await?.len() >= SCHEDULES {
        return Err(ApiError::bad(format!("There are {SCHEDULES} schedules, and a server keeps no more")));
    }
    shelf.put_inputs(&schedule.id, inputs).await?;
    if !shelf.put(&schedule, 0).await? {
        return Err(ApiError::internal("a new id was taken"));
    }
    shared.schedules.notify_one();
    Ok(Json(shown(&schedule, now)))
}

/// All that the caller may see.
pub(super) async fn list(
    Extracted(shared): Extracted<Arc<Shared>>,
    principal: Principal,
) -> Result<Json<Value>> {
    let now = shared.clock.now();
    let all = shared.shelf().all().await?;
    let seen = all.iter().filter(|kept| principal.check(&shared, &kept.schedule.dataset_id).is_ok());
    Ok(Json(seen.map(|kept| shown(&kept.schedule, now)).collect()))
}

/// One, with its inputs.
pub(super) async fn get(
    Extracted(shared): Extracted<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let shelf = shared.shelf();
    let kept = find(&shared, &shelf, &principal, &id).await?;
    let mut body = shown(&kept.schedule, shared.clock.now());
    body["input"] = serde_json::from_str(&shelf.inputs(&id).await?).map_err(ApiError::internal)?;
    Ok(Json(body))
}

/// Replaces its definition; what it has run stays.
pub(super) async fn put(
    Extracted(shared): Extracted<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>> {
    change(&shared, &principal, &id, request, true).await
}

/// Changes what is named.
pub(super) async fn patch(
    Extracted(shared): Extracted<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>> {
    change(&shared, &principal, &id, request, false).await
}

/// Takes it away. Its runs stay.
pub(super) async fn delete(
    Extracted(shared): Extracted<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let shelf = shared.shelf();
    find(&shared, &shelf, &principal, &id).await?;
    shelf.remove(&id).await?;
    shared.schedules.notify_one();
    Ok(Json(json!({ "id": id, "deleted": true })))
}

/// Begins a run now, whatever is planned and whatever still goes on.
pub(super) async fn run(
    Extracted(shared): Extracted<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>> {
    let shelf = shared.shelf();
    let kept = find(&shared, &shelf, &principal, &id).await?;
    let given = request.headers().get(IDEMPOTENCY_KEY).map(|value| value.to_str().unwrap_or_default());
    let key = given.map(|key| format!("now:{id}:{key}"));
    let snapshot = begin(&shared, &shelf, &kept.schedule, key).await?;
    let run = Run { planned: None, at: shared.clock.now(), snapshot: Some(snapshot.clone()), error: None };
    write(&shelf, &id, |state| {
        if !state.runs.iter().any(|run| run.snapshot.as_ref() == Some(&snapshot)) {
            state.ran(run.clone());
        }
    })
    .await?;
    Ok(Json(json!({ "snapshot_id": snapshot.as_str(), "schedule_id": id })))
}

async fn change(
    shared: &Shared,
    principal: &Principal,
    id: &str,
    request: Request,
    whole: bool,
) -> Result<Json<Value>> {
    let shelf = shared.shelf();
    let body = read(shared, request).await?;
    for _ in 0..TRIES {
        let kept = find(shared, &shelf, principal, id).await?;
        let old = kept.schedule;
        let now = shared.clock.now();
        let mut new = old.clone();
        if whole {
            new = Schedule {
                state: old.state.clone(),
                created_at: old.created_at,
                ..blank(old.id.clone(), now, principal)
            };
        }
        let mut inputs = None;
        fill(&mut new, &mut inputs, &body, whole)?;
        // What was shown without its secrets and comes back so is what it was.
        if blotted(&Value::from(new.options.clone())) == blotted(&Value::from(old.options.clone()))
            && hides(&new.options)
        {
            new.options.clone_from(&old.options);
        }
        if let (Some(given), Some(kept)) = (&new.deliver, &old.deliver)
            && given == &blotted(kept)
        {
            new.deliver.clone_from(&old.deliver);
        }
        principal.check(shared, &new.dataset_id)?;
        let asks_otherwise = inputs.is_some()
            || (&new.dataset_id, &new.options, &new.deliver) != (&old.dataset_id, &old.options, &old.deliver);
        if asks_otherwise {
            let text = match &inputs {
                Some(text) => text.clone(),
                None => shelf.inputs(id).await?,
            };
            new.inputs = rehearse(shared, principal, &new, &text).await?;
        }
        let counts_anew =
            (&new.cron, &new.time_zone) != (&old.cron, &old.time_zone) || (new.enabled && !old.enabled);
        if counts_anew || !new.enabled {
            new.state.settled = new.state.settled.max(now);
            new.state.waiting = None;
        }
        if !shelf.put(&new, kept.version).await? {
            continue;
        }
        if let Some(inputs) = inputs {
            shelf.put_inputs(id, inputs).await?;
        }
        shared.schedules.notify_one();
        return Ok(Json(shown(&new, now)));
    }
    Err(ApiError::unavailable("a schedule is changed by too many at once"))
}

fn hides(options: &Map<String, Value>) -> bool {
    Value::from(options.clone()).to_string().contains(&format!("\"{}\"", super::submit::SECRET))
}

async fn find(shared: &Shared, shelf: &Shelf, principal: &Principal, id: &str) -> Result<Kept> {
    let is_ours = id.strip_prefix("sch_").is_some_and(|rest| {
        (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    let kept = if is_ours { shelf.find(id).await? } else { None };
    let kept = kept.ok_or_else(|| ApiError::missing("Schedule does not exist"))?;
    principal.check(shared, &kept.schedule.dataset_id)?;
    Ok(kept)
}

fn new_id(shared: &Shared, now: Timestamp) -> String {
    let id = SnapshotId::new(now, shared.clock.random());
    format!("sch_{}", id.as_str().trim_start_matches(|c| c != '_').trim_start_matches('_'))
}

async fn read(shared: &Shared, request: Request) -> Result<Map<String, Value>> {
    let (parts, body) = request.into_parts();
    let encoding = parts.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let text = Source::new(body, encoding, shared.bounds())?.all(BODY_BYTES).await?;
    match serde_json::from_slice(&text).map_err(ApiError::parse)? {
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::parse("the body must be an object")),
    }
}

fn blank(id: String, now: Timestamp, principal: &Principal) -> Schedule {
    Schedule {
        id,
        name: String::new(),
        dataset_id: String::new(),
        cron: String::new(),
        time_zone: "UTC".to_owned(),
        options: Map::new(),
        deliver: None,
        inputs: 0,
        missed: Missed::Once,
        overlap: Overlap::Skip,
        enabled: true,
        created_at: now,
        created_by: principal.name.as_ref().to_owned(),
        state: State::from(now),
    }
}

/// Takes the fields that are given. `whole`: those without a default must be.
fn fill(
    schedule: &mut Schedule,
    inputs: &mut Option<String>,
    body: &Map<String, Value>,
    whole: bool,
) -> Result<()> {
    let mut faults = Vec::new();
    for (name, value) in body {
        if let Err(fault) = field(schedule, inputs, name, value) {
            faults.push(format!("\"{name}\" {fault}"));
        }
    }
    for required in ["dataset_id", "cron", "input"].iter().filter(|_| whole) {
        if !body.contains_key(*required) {
            faults.push(format!("\"{required}\" is required"));
        }
    }
    if faults.is_empty() && !schedule.cron.is_empty() {
        match Calendar::read(&schedule.cron, &schedule.time_zone) {
            Ok(calendar) if calendar.after(schedule.state.settled).is_none() => {
                faults.push("\"cron\" names a time that never comes".to_owned());
            }
            Ok(_) => {}
            Err(CalendarFault::Cron(fault)) => faults.push(format!("\"cron\" {fault}")),
            Err(CalendarFault::TimeZone(fault)) => faults.push(format!("\"time_zone\" {fault}")),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(ApiError::options(faults)) }
}

fn field(
    schedule: &mut Schedule,
    inputs: &mut Option<String>,
    name: &str,
    value: &Value,
) -> std::result::Result<(), String> {
    let text = || value.as_str().map(str::to_owned).ok_or_else(|| "must be a string".to_owned());
    match name {
        "name" => schedule.name = text().and_then(|t| short(t, NAME_CHARS))?,
        "dataset_id" => schedule.dataset_id = text().and_then(|t| short(t, NAME_CHARS))?,
        "cron" => schedule.cron = text().and_then(filled)?,
        "time_zone" => schedule.time_zone = text()?,
        "missed" => schedule.missed = word(value, Missed::WORDS)?,
        "overlap" => schedule.overlap = word(value, Overlap::WORDS)?,
        "enabled" => schedule.enabled = value.as_bool().ok_or("must be a boolean")?,
        "options" => schedule.options = options::kept(value)?,
        "deliver" => schedule.deliver = Some(value.clone()).filter(|v| !v.is_null()),
        "input" => match value {
            Value::Array(_) => *inputs = Some(value.to_string()),
            _ => return Err("must be an array of inputs".to_owned()),
        },
        _ => {
            return Err(
                "is not a field of a schedule: name, dataset_id, cron, time_zone, options, input, deliver, \
                        missed, overlap, enabled"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

fn filled(text: String) -> std::result::Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text) }
}

fn short(text: String, most: usize) -> std::result::Result<String, String> {
    if text.chars().count() <= most { Ok(text) } else { Err(format!("must have at most {most} characters")) }
}

fn word<T: Copy>(value: &Value, words: &[(&str, T)]) -> std::result::Result<T, String> {
    let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
    found.map(|(_, meant)| *meant).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("must be one of [{}]", known.join(", "))
    })
}

fn shown(schedule: &Schedule, now: Timestamp) -> Value {
    let state = &schedule.state;
    let next = match Calendar::read(&schedule.cron, &schedule.time_zone) {
        Ok(calendar) if schedule.enabled => calendar.next(now.max(state.settled), NEXT),
        _ => Vec::new(),
    };
    let moment = |at: &Timestamp| at.to_string();
    let runs = state.runs.iter().map(|run| {
        json!({
            "planned": run.planned.as_ref().map(moment),
            "at": run.at.to_string(),
            "snapshot_id": run.snapshot.as_ref().map(SnapshotId::as_str),
            "error": run.error,
        })
    });
    json!({
        "id": schedule.id,
        "name": schedule.name,
        "dataset_id": schedule.dataset_id,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "options": blotted(&Value::from(schedule.options.clone())),
        "deliver": schedule.deliver.as_ref().map(blotted),
        "inputs": schedule.inputs,
        "missed": Missed::WORDS.iter().find(|(_, m)| *m == schedule.missed).map(|(word, _)| *word),
        "overlap": Overlap::WORDS.iter().find(|(_, o)| *o == schedule.overlap).map(|(word, _)| *word),
        "enabled": schedule.enabled,
        "created_at": schedule.created_at.to_string(),
        "created_by": schedule.created_by,
        "next": next.iter().map(moment).collect::<Vec<_>>(),
        "waiting": state.waiting.as_ref().map(moment),
        "last_runs": runs.collect::<Vec<_>>(),
        "last_error": state.last_error,
        "skipped": state.skips,
        "last_skipped": state.skipped_at.as_ref().map(moment),
    })
}
