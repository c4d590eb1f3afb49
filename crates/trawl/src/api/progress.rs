//! `GET /datasets/v3/progress/{id}`: where a run stands; `?wait=` tells of a change, `/events` of every one.

use super::Shared;
use super::auth::Principal;
use super::error::{ApiError, Result, object};
use super::query::{Kind, Param, Query, optional};
use super::server::Stopping;
use crate::rows::held_back;
use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use model::{Snapshot, SnapshotId, SnapshotState, Timestamp};
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::Change;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Most seconds of a long poll.
const WAIT_MAX: u64 = 60;
/// Shortest pause between two events.
const EVENT_PAUSE: Duration = Duration::from_millis(200);

pub(super) const PROGRESS: &[Param] = &[optional(
    "wait",
    Kind::Count(0, WAIT_MAX),
    "Seconds to wait for a change of status or counts; the answer comes at once when there is one, or at the end.",
)];

/// The body: `status` and ids first, then what is known (api.md 4.1). Durations are milliseconds.
pub(super) fn projection(snapshot: &Snapshot, now: Timestamp) -> Map<String, Value> {
    let mut body = object([
        ("status", json!(status(snapshot.state))),
        ("snapshot_id", json!(snapshot.id.as_str())),
        ("dataset_id", json!(snapshot.trigger.dataset_id.0)),
    ]);
    let mut put = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    let counts = &snapshot.counts;
    let duration = snapshot.finished_at.unwrap_or(now).ms_since(snapshot.created_at);
    if snapshot.state == SnapshotState::Failed {
        let message =
            snapshot.message.as_deref().unwrap_or("Something went wrong. Our team is looking into it.");
        put("error_message", json!(message));
        put("scraper_version", json!(snapshot.trigger.scraper_version));
        return body;
    }
    if snapshot.state == SnapshotState::Quarantined {
        put("error_message", json!(held_back(snapshot)));
    }
    let running = status(snapshot.state) == "running";
    if running {
        put("running_time", json!(duration));
    }
    if !snapshot.error_codes.is_empty() {
        let codes: Map<String, Value> =
            snapshot.error_codes.iter().map(|(code, n)| (code.as_str().to_owned(), json!(n))).collect();
        put("error_codes", Value::Object(codes));
    }
    put("records", json!(counts.records));
    put("errors", json!(counts.errors));
    if snapshot.trigger.wishes.only_changed {
        // Beyond the documented keys: records read but not given, and the run that they are the same as in.
        put("unchanged", json!(counts.unchanged));
        put("since", json!(snapshot.trigger.wishes.since.as_ref().map(SnapshotId::as_str)));
    }
    if running {
        // Beyond the documented keys: how far it is.
        put("inputs", json!(counts.inputs));
        put("settled", json!(counts.settled));
    }
    if snapshot.state == SnapshotState::Ready {
        put("collection_duration", json!(duration));
        put("avg_duration_per_input", json!(duration / counts.given.max(1)));
    }
    // Beyond the documented keys: the version of the scraper's file that the run began with, and how its rows compare
    // with those of the runs before.
    put("scraper_version", json!(snapshot.trigger.scraper_version));
    if let Some(quality) = &snapshot.quality {
        put("quality", json!(quality.grade.as_str()));
        if !quality.reasons.is_empty() {
            put("quality_reasons", json!(quality.reasons));
        }
    }
    if snapshot.state == SnapshotState::Quarantined {
        put("quarantined", json!(true));
    }
    body
}

/// The caller's word for a state (api.md 14): never `starting` or `building`.
pub(super) fn status(state: SnapshotState) -> &'static str {
    match state {
        SnapshotState::Starting | SnapshotState::Running | SnapshotState::Expiring => "running",
        SnapshotState::Cancelling | SnapshotState::Canceled => "canceled",
        SnapshotState::Ready | SnapshotState::Expired => "ready",
        // Clients of the original know no further word, and would wait for ever; `quarantined` tells the difference.
        SnapshotState::Failed | SnapshotState::Quarantined => "failed",
    }
}

/// Where a run stands.
pub(super) async fn progress(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    stopping: Option<Extension<Stopping>>,
) -> Result<Json<Map<String, Value>>> {
    let query = Query::read(raw.as_deref(), PROGRESS)?;
    let changes = shared.store.subscribe();
    let mut snapshot = shared.snapshot(&principal, &id).await?;
    let wait = query.count("wait").unwrap_or(0);
    if wait > 0 && !snapshot.state.is_terminal() {
        let stopped = async {
            match stopping {
                Some(Extension(mut stopping)) => stopping.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changed(&shared, &snapshot, changes) => snapshot = changed?,
            () = tokio::time::sleep(Duration::from_secs(wait)) => {}
            () = stopped => {}
        }
    }
    Ok(Json(projection(&snapshot, shared.clock.now())))
}

/// Waits until the state or the counts differ.
async fn changed(shared: &Shared, before: &Snapshot, mut changes: Receiver<Change>) -> Result<Snapshot> {
    loop {
        news(&before.id, &mut changes).await?;
        let snapshot = shared.store.snapshot(&before.id).await?;
        if (snapshot.state, snapshot.counts) != (before.state, before.counts) {
            return Ok(snapshot);
        }
    }
}

async fn news(id: &SnapshotId, changes: &mut Receiver<Change>) -> Result<()> {
    loop {
        match changes.recv().await {
            Ok(Change::Snapshot(changed)) if changed == *id => return Ok(()),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return Ok(()),
            Err(RecvError::Closed) => return Err(ApiError::unavailable("the store was closed")),
        }
    }
}

/// Every change as a server-sent event: `progress` with the same body, and `end` after the last.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    stopping: Option<Extension<Stopping>>,
) -> Result<Sse<impl Stream<Item = std::result::Result<Event, Infallible>>>> {
    let changes = shared.store.subscribe();
    let snapshot = shared.snapshot(&principal, &id).await?;
    let watching = Watching {
        shared,
        changes,
        told: None,
        id: snapshot.id,
        last: None,
        stopping: stopping.map(|s| s.0),
    };
    let events = futures_util::stream::unfold(watching, Watching::next);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Watching {
    shared: Arc<Shared>,
    changes: Receiver<Change>,
    told: Option<Snapshot>,
    id: SnapshotId,
    /// What `end` will say.
    last: Option<String>,
    stopping: Option<Stopping>,
}

impl Watching {
    /// The next event: at once for the first, then after a change; at most one in [`EVENT_PAUSE`].
    async fn next(mut self) -> Option<(std::result::Result<Event, Infallible>, Self)> {
        if let Some(last) = self.last.take() {
            return Some((Ok(Event::default().event("end").data(last)), self));
        }
        let snapshot = match &self.told {
            None => self.shared.store.snapshot(&self.id).await.ok()?,
            Some(before) if before.state.is_terminal() => return None,
            Some(before) => {
                let before = before.clone();
                self.after(&before).await?
            }
        };
        let body = Value::Object(projection(&snapshot, self.shared.clock.now())).to_string();
        self.last = snapshot.state.is_terminal().then(|| body.clone());
        self.told = Some(snapshot);
        Some((Ok(Event::default().event("progress").data(body)), self))
    }

    /// The run after its next change; `None` when the server stops.
    async fn after(&mut self, before: &Snapshot) -> Option<Snapshot> {
        tokio::time::sleep(EVENT_PAUSE).await;
        loop {
            let snapshot = self.shared.store.snapshot(&self.id).await.ok()?;
            if (snapshot.state, snapshot.counts) != (before.state, before.counts) {
                return Some(snapshot);
            }
            let stopped = async {
                match &mut self.stopping {
                    Some(stopping) => stopping.stopped().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                news = news(&self.id, &mut self.changes) => news.ok()?,
                () = stopped => return None,
            }
        }
    }
}
