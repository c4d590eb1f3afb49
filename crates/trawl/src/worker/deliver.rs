//! Promises kept: rows and news to webhooks, files to other places, again and again until they are taken or given up.
//!
//! Invariant: a part that was accepted is never sent again on purpose; a part whose answer was lost is sent again under
//! the same `webhook-id` or file name, so that a receiver can tell.

use super::Worker;
use super::sign::Signer;
use crate::deliver::{Body, Fault, Parcel, name};
use crate::rows::{Range, Rows, RowsError};
use bytes::Bytes;
use fetch::{Answer, FetchError, Payload};
use futures_util::{Stream, StreamExt, TryStreamExt};
use model::{
    Cargo, DeliveredFile, Delivery, DeliveryId, DeliveryOutcome, Destination, Format, Notice, Patience,
    Promise, Sealed, Snapshot, SnapshotState,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use store::DeliveryLease;

/// A body up to this size is made once and kept; a larger one is made twice: first to know its length and signature,
/// then to send it, so that memory stays flat.
const KEPT_BYTES: usize = 1 << 20;

/// `Content-Type` of a packed file.
pub(super) const GZIP: &str = "application/gzip";

/// How deliveries are sent.
#[derive(Clone, Debug)]
pub struct DeliverSettings {
    /// Milliseconds for one attempt.
    pub timeout_ms: u64,
    /// Milliseconds from the first failure of a part until it is given up.
    pub window_ms: u64,
    /// Pauses between attempts.
    pub patience: Patience,
    /// Signs bodies after Standard Webhooks; `None` leaves them unsigned.
    pub signing_secret: Option<String>,
}

/// Something to POST.
pub(super) struct Post {
    pub(super) endpoint: String,
    pub(super) auth_header: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: &'static str,
    pub(super) gzip: bool,
    pub(super) snapshot: String,
    pub(super) delivery: DeliveryId,
    /// From 1.
    pub(super) part: u64,
}

/// The credentials of a webhook: `Authorization`, and further header lines.
type Opened = (Option<String>, Vec<(String, String)>);

/// What became of a POST, or of a file.
pub(super) enum Sent {
    Accepted,
    Later { error: String, asked_ms: Option<u64> },
    Never { error: String },
}

impl From<Fault> for Sent {
    fn from(fault: Fault) -> Self {
        match fault.again {
            true => Self::Later { error: fault.error, asked_ms: None },
            false => Self::Never { error: fault.error },
        }
    }
}

impl Worker {
    /// Sends what is due of one delivery.
    pub(super) async fn deliver(self: Arc<Self>, lease: DeliveryLease) {
        let every = Duration::from_millis(u64::try_from(self.settings.lease_ms / 3).unwrap_or(10_000));
        let work = self.send_parts(&lease);
        tokio::pin!(work);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = tokio::time::sleep(every) => {
                    let until = self.clock.now().plus_ms(self.settings.lease_ms);
                    if matches!(self.store.renew_delivery(&lease, until).await, Ok(false)) {
                        return;
                    }
                }
            }
        };
        if let Some(outcome) = outcome
            && let Err(error) = self.store.finish_delivery(&lease, outcome, self.clock.now()).await
        {
            // The lease ends by itself and the part is sent again under the same id.
            tracing::warn!(%error, delivery = %lease.delivery.id, "an attempt could not be registered");
        }
    }

    /// Sends part after part; `None` if the lease was lost.
    async fn send_parts(&self, lease: &DeliveryLease) -> Option<DeliveryOutcome> {
        let delivery = &lease.delivery;
        let promise = match &delivery.cargo {
            Cargo::Rows(promise) => promise,
            Cargo::Notice(notice) => return Some(self.send_notice(lease, notice).await),
            Cargo::DeliveryNotice { endpoint, about } => {
                return Some(self.send_delivery_notice(lease, endpoint, about).await);
            }
        };
        let mut snapshot = lease.snapshot.clone();
        let mut failures = delivery.failures;
        let mut part = delivery.parts_done;
        loop {
            // What is quarantined is sent only to who insisted on it.
            let ended = matches!(snapshot.state, SnapshotState::Ready | SnapshotState::Quarantined);
            if let Some(at) = part.checked_sub(row_parts(promise, snapshot.visible_rows())).filter(|_| ended)
            {
                match self.send_artifact(delivery, promise, &snapshot, part, at).await {
                    None => return Some(DeliveryOutcome::AllDone),
                    Some((file, Sent::Accepted)) => {
                        let done = DeliveryOutcome::PartDone(file);
                        if let Err(error) = self.store.finish_delivery(lease, done, self.clock.now()).await {
                            tracing::warn!(%error, delivery = %delivery.id, "an accepted part could not be registered");
                            return None;
                        }
                        part += 1;
                        failures = 0;
                        continue;
                    }
                    Some((_, Sent::Later { error, asked_ms })) => {
                        return Some(self.later(delivery, failures, error, asked_ms));
                    }
                    Some((_, Sent::Never { error })) => return Some(DeliveryOutcome::Never { error }),
                }
            }
            let range = match promise.batch_size {
                Some(rows) => Range::part(part, rows),
                None if part == 0 => Range::ALL,
                None => return Some(DeliveryOutcome::AllDone),
            };
            let rows = snapshot.visible_rows();
            if rows <= range.first && !(part == 0 && ended) {
                return Some(if ended { DeliveryOutcome::AllDone } else { DeliveryOutcome::Idle });
            }
            if !ended && rows < range.first.saturating_add(range.rows) {
                return Some(DeliveryOutcome::Idle);
            }
            match self.send_part(delivery, promise, &snapshot, part, range).await {
                Sent::Accepted => {
                    let file = DeliveredFile {
                        filename: name::of_part(promise, &snapshot, part, delivery.created_at),
                        at: self.clock.now(),
                        rows: rows.saturating_sub(range.first).min(range.rows),
                    };
                    let done = DeliveryOutcome::PartDone(file);
                    if let Err(error) = self.store.finish_delivery(lease, done, self.clock.now()).await {
                        tracing::warn!(%error, delivery = %delivery.id, "an accepted part could not be registered");
                        return None;
                    }
                    part += 1;
                    failures = 0;
                    match self.store.snapshot(&snapshot.id).await {
                        Ok(fresh) => snapshot = fresh,
                        Err(error) => return Some(self.later(delivery, failures, error.to_string(), None)),
                    }
                }
                Sent::Later { error, asked_ms } => {
                    return Some(self.later(delivery, failures, error, asked_ms));
                }
                Sent::Never { error } => return Some(DeliveryOutcome::Never { error }),
            }
        }
    }

    async fn send_part(
        &self,
        delivery: &Delivery,
        promise: &Promise,
        snapshot: &Snapshot,
        part: u64,
        range: Range,
    ) -> Sent {
        let trigger = &snapshot.trigger;
        let scraper = self.catalogue.at_version(&trigger.scraper, &trigger.scraper_version).await.ok();
        let shape = Rows::shape(snapshot, scraper.as_deref(), promise.format, false);
        if let Some(error) = Rows::refusal(snapshot, &shape, range) {
            return Sent::Never { error };
        }
        let body = || self.rows.stream(snapshot, shape.clone(), promise.compress, range);
        let Destination::Webhook { endpoint, auth_header, headers } = &promise.destination else {
            let name = name::of_part(promise, snapshot, part, delivery.created_at);
            let kind = if promise.compress { GZIP } else { promise.format.content_type() };
            let body = body().map_err(|error| own_fault(&error));
            return self.hand_over(delivery, promise, snapshot, part, (&name, kind), Box::new(body)).await;
        };
        let opened = self.opened(auth_header.as_ref(), headers);
        let (auth_header, headers) = match opened {
            Ok(opened) => opened,
            Err(fault) => return fault.into(),
        };
        let post = Post {
            endpoint: endpoint.clone(),
            auth_header,
            headers: with_grade(&headers, snapshot),
            content_type: promise.format.content_type(),
            gzip: promise.compress,
            snapshot: snapshot.id.to_string(),
            delivery: delivery.id.clone(),
            part: part + 1,
        };
        self.post(&post, body).await
    }

    /// The credentials of a webhook, opened: `Authorization` and further lines.
    pub(super) fn opened(
        &self,
        auth_header: Option<&Sealed>,
        headers: &[(String, Sealed)],
    ) -> Result<Opened, Fault> {
        let vault = self.courier.vault();
        let auth = auth_header.map(|value| vault.text(value)).transpose()?;
        let lines = headers.iter().map(|(name, value)| Ok((name.clone(), vault.text(value)?)));
        Ok((auth, lines.collect::<Result<_, Fault>>()?))
    }

    /// Hands a file over, to whatever is no webhook.
    pub(super) async fn hand_over(
        &self,
        delivery: &Delivery,
        promise: &Promise,
        snapshot: &Snapshot,
        part: u64,
        (name, content_type): (&str, &'static str),
        body: Body,
    ) -> Sent {
        let number = part.saturating_add(1);
        let rows = match promise.batch_size {
            Some(rows) => format!("&batch_size={}&part={number}", rows.max(model::limit::BATCH_ROWS_MIN)),
            None => String::new(),
        };
        let parcel = Parcel {
            name,
            content_type,
            id: format!("{}.{number}", delivery.id),
            about: format!("{name} of {}", snapshot.trigger.dataset_id.0),
            download: format!(
                "/datasets/v3/snapshot/{}?format={}{rows}",
                snapshot.id,
                promise.format.as_str()
            ),
        };
        match self.courier.hand_over(&promise.destination, &parcel, body).await {
            Ok(()) => Sent::Accepted,
            Err(fault) => fault.into(),
        }
    }

    async fn send_notice(&self, lease: &DeliveryLease, notice: &Notice) -> DeliveryOutcome {
        let snapshot = &lease.snapshot;
        let mut news = json!({
            "snapshot_id": snapshot.id.as_str(),
            "dataset_id": snapshot.trigger.dataset_id.0,
            "scraper_version": snapshot.trigger.scraper_version,
            "status": told(snapshot.state),
            "records": snapshot.counts.records,
            "errors": snapshot.counts.errors,
        });
        if let Some(message) = &snapshot.message {
            news["error_message"] = message.as_str().into();
        }
        if let Some(quality) = &snapshot.quality {
            news["quality"] = quality.grade.as_str().into();
            news["quality_reasons"] = json!(quality.reasons);
        }
        if snapshot.state == SnapshotState::Quarantined {
            news["quarantined"] = true.into();
            news["error_message"] = crate::rows::held_back(snapshot).into();
        }
        match self.opened(notice.auth_header.as_ref(), &[]) {
            Ok((auth, _)) => self.send_news(lease, &notice.endpoint, auth, &news).await,
            Err(fault) => self.later(&lease.delivery, lease.delivery.failures, fault.error, None),
        }
    }

    async fn send_delivery_notice(
        &self,
        lease: &DeliveryLease,
        endpoint: &str,
        about: &DeliveryId,
    ) -> DeliveryOutcome {
        let status = match self.store.delivery(about).await {
            Ok(delivery) => delivery.state.as_str(),
            Err(error) => {
                return self.later(&lease.delivery, lease.delivery.failures, error.to_string(), None);
            }
        };
        let news =
            json!({ "id": about.as_str(), "snapshot_id": lease.snapshot.id.as_str(), "status": status });
        self.send_news(lease, endpoint, None, &news).await
    }

    async fn send_news(
        &self,
        lease: &DeliveryLease,
        endpoint: &str,
        auth_header: Option<String>,
        news: &serde_json::Value,
    ) -> DeliveryOutcome {
        let post = Post {
            endpoint: endpoint.to_owned(),
            auth_header,
            headers: Vec::new(),
            content_type: Format::Json.content_type(),
            gzip: false,
            snapshot: lease.snapshot.id.to_string(),
            delivery: lease.delivery.id.clone(),
            part: 1,
        };
        let bytes = Bytes::from(news.to_string());
        let body = || futures_util::stream::iter([Ok::<_, RowsError>(bytes.clone())]);
        match self.post(&post, body).await {
            Sent::Accepted => DeliveryOutcome::AllDone,
            Sent::Later { error, asked_ms } => {
                self.later(&lease.delivery, lease.delivery.failures, error, asked_ms)
            }
            Sent::Never { error } => DeliveryOutcome::Never { error },
        }
    }

    fn later(
        &self,
        delivery: &Delivery,
        failures: u32,
        error: String,
        asked_ms: Option<u64>,
    ) -> DeliveryOutcome {
        let now = self.clock.now();
        let since = delivery.failing_since.filter(|_| failures > 0).unwrap_or(now);
        let settings = &self.settings.deliver;
        tracing::info!(delivery = %delivery.id, error, "a delivery was not accepted");
        match settings.patience.next(failures + 1, asked_ms, now, self.clock.jitter()) {
            Some(at) if at.ms_since(since) <= settings.window_ms => DeliveryOutcome::Later { at, error },
            _ => DeliveryOutcome::Never { error },
        }
    }

    /// One POST. `body` makes the same bytes each time it is called.
    pub(super) async fn post<S, E>(&self, post: &Post, body: impl Fn() -> S) -> Sent
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Sync + Unpin + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let url = match url::Url::parse(&post.endpoint) {
            Ok(url) => url,
            Err(error) => return Sent::Never { error: format!("the endpoint is not a URL: {error}") },
        };
        let webhook_id = format!("{}_{}", post.delivery, post.part);
        let timestamp = self.clock.now().ms() / 1_000;
        let mut signer =
            self.settings.deliver.signing_secret.as_deref().map(|s| Signer::new(s, &webhook_id, timestamp));
        let (mut kept, mut length) = (Vec::new(), 0_usize);
        let mut first = body();
        while let Some(piece) = first.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    return Sent::Later {
                        error: format!("the rows could not be read: {error}"),
                        asked_ms: None,
                    };
                }
            };
            length += piece.len();
            if let Some(signer) = &mut signer {
                signer.update(&piece);
            }
            if length <= KEPT_BYTES {
                kept.extend_from_slice(&piece);
            } else {
                kept = Vec::new();
            }
        }
        let mut headers = post.headers.clone();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        add("content-type", post.content_type.to_owned());
        if post.gzip {
            add("content-encoding", "gzip".to_owned());
        }
        if let Some(auth) = &post.auth_header {
            add("authorization", auth.clone());
        }
        add("x-snapshot-id", post.snapshot.clone());
        add("x-delivery-id", post.delivery.to_string());
        add("x-part", post.part.to_string());
        if let Some(signer) = signer {
            add("webhook-id", webhook_id);
            add("webhook-timestamp", timestamp.to_string());
            add("webhook-signature", signer.finish());
        }
        let timeout = Duration::from_millis(self.settings.deliver.timeout_ms);
        let body = if length <= KEPT_BYTES {
            Payload::Whole(kept.into())
        } else {
            Payload::Sized(length as u64, Box::new(body().map_err(std::io::Error::other)))
        };
        judge(self.outbound.post(&url, &headers, body, timeout).await)
    }
}

/// Into how many parts the rows of a run that has ended fall.
fn row_parts(promise: &Promise, rows: u64) -> u64 {
    promise.batch_size.map_or(1, |size| rows.div_ceil(size.max(1)).max(1))
}

/// A header says what the quality gate thinks of the rows, once it does.
pub(super) fn with_grade(headers: &[(String, String)], snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut headers = headers.to_vec();
    if let Some(grade) = snapshot.grade() {
        headers.push(("x-quality".to_owned(), grade.as_str().to_owned()));
    }
    headers
}

/// The word for a state in news: callers know four (api.md 14).
fn told(state: SnapshotState) -> &'static str {
    match state {
        SnapshotState::Quarantined => SnapshotState::Failed.as_str(),
        other => other.as_str(),
    }
}

fn judge(result: Result<Answer, FetchError>) -> Sent {
    match result {
        Ok(answer) if answer.accepted() => Sent::Accepted,
        Ok(answer) if answer.status == 410 => Sent::Never { error: "the receiver answered 410 Gone".into() },
        Ok(answer) => Sent::Later {
            error: format!("the receiver answered {}", answer.status),
            asked_ms: answer.retry_after_ms,
        },
        // An address off limits, or no URL at all, does not get better.
        Err(error) if error.kind == fetch::FetchErrorKind::Refused => Sent::Never { error: error.message },
        Err(error) => Sent::Later { error: error.message, asked_ms: None },
    }
}

/// Rows that cannot be read back are trouble of ours.
pub(super) fn own_fault(error: &dyn std::error::Error) -> std::io::Error {
    std::io::Error::other(format!("the rows could not be read: {error}"))
}
