//! A request with inputs becomes a run: the path that trigger, scrape and rerun share.
//!
//! Invariant: when this returns an id, every input is durable (design section 3).

use super::access::Peer;
use super::auth::Principal;
use super::body::{Shape, Source, form_data};
use super::changes::settle_since;
use super::error::{ApiError, Result};
use super::ingest::{Ingest, Rows, Writer};
use super::options::{Options, Words, deliveries};
use super::query::Param;
use super::{Shared, defaults, destination, ids_of};
use axum::extract::Request;
use bytes::Bytes;
use extract::Scraper;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use model::{Destination, Format, Origin, Promise, SnapshotId, Timestamp, Trigger, limit};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::{Commit, Committed, Idempotency, Remembered};

/// How a schedule's runs are triggered; their user is its id.
pub(super) const SCHEDULED: &str = "SCHEDULE";
/// Header that makes a repeated trigger harmless.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// What a log shows in place of a secret.
pub(super) const SECRET: &str = "***";

/// A run that was accepted, or the one that the same request began before.
pub(super) struct Submitted {
    /// The run.
    pub(super) id: SnapshotId,
    /// The format asked for.
    pub(super) format: Option<Format>,
}

/// Takes in a request. `most`: rows at most, for a synchronous call.
pub(super) async fn submit(
    shared: &Shared,
    principal: &Principal,
    request: Request,
    table: &'static [Param],
    most: Option<u64>,
) -> Result<Submitted> {
    match take_in(shared, principal, request, table, most, false).await? {
        Taken::Begun(submitted) => Ok(submitted),
        Taken::Checked(_) => Err(ApiError::internal("a request was only checked")),
    }
}

/// Checks all that beginning the run would check, and begins none; how many inputs there are.
pub(super) async fn check(
    shared: &Shared,
    principal: &Principal,
    request: Request,
    table: &'static [Param],
) -> Result<u64> {
    match take_in(shared, principal, request, table, None, true).await? {
        Taken::Checked(inputs) => Ok(inputs),
        Taken::Begun(_) => Err(ApiError::internal("a check began a run")),
    }
}

enum Taken {
    Begun(Submitted),
    Checked(u64),
}

async fn take_in(
    shared: &Shared,
    principal: &Principal,
    request: Request,
    table: &'static [Param],
    most: Option<u64>,
    only_check: bool,
) -> Result<Taken> {
    let (parts, body) = request.into_parts();
    let now = shared.clock.now();
    let words = Words::of_query(parts.uri.query(), table)?;
    let scraper = find(shared, principal, words.dataset_id()?)?;
    // Who waits for the rows has no need of them elsewhere.
    let default = if most.is_none() { defaults::of(shared, &scraper).await? } else { None };
    let words = words.with_default(default);
    let door = words.door(&scraper)?;
    let early = Options::read(&words, &scraper, now, true)?;
    let key = Key::of(&parts, principal)?;
    let encoding = parts.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let source = Source::new(body, encoding, shared.bounds())?;
    let kind = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let shape = Shape::of(kind).ok_or_else(|| {
        ApiError::unsupported(
            "Content-Type must be application/json, application/x-ndjson, text/csv or multipart/form-data",
        )
    })?;
    let format = words.format();

    let mut digest = key.as_ref().map(|_| digest_of(&parts.uri));
    if let Some(key) = &key
        && shared.store.remembered(&key.with([0; 32]), now).await?.is_some()
    {
        // The key is known: what is left to learn is whether the request is the same.
        feed(source, shape, &parts.headers, &mut digest, None).await?;
        let remembered = shared.store.remembered(&key.with(finished(digest)), now).await?;
        let remembered = remembered.ok_or_else(|| ApiError::unavailable("a key was forgotten meanwhile"))?;
        return Ok(Taken::Begun(Submitted { id: repeated(remembered)?, format }));
    }
    if !only_check {
        not_too_many(shared, &scraper).await?;
    }

    let express = most.is_some();
    let origin = origin(&parts, principal);
    let mut draft =
        early.trigger(&words, &scraper, &door, origin.clone(), express, shared.settings.quarantine)?;
    seal(shared, &mut draft)?;
    let writer = Writer::new(shared.store.clone(), shared.new_snapshot_id(now), draft, now);
    let (alone, shards) = (words.limit_per_input().is_some(), shared.settings.shards.clone());
    let rows = Rows::new(scraper.clone(), door.clone(), alone, most, shards);
    let mut ingest = Ingest::new(shape, rows, writer);
    let taken_in = async {
        feed(source, shape, &parts.headers, &mut digest, Some(&mut ingest)).await?;
        let body = ingest.end()?;
        let words = words.with_body(&body.unwrap_or_else(Map::<String, Value>::new))?;
        let options = Options::read(&words, &scraper, now, false)?;
        if ingest.rows().taken() == 0 {
            return Err(ApiError::bad("No data to trigger"));
        }
        if ingest.rows().taken() < scraper.min_inputs() {
            return Err(ApiError::bad(format!("Should be at least {} inputs", scraper.min_inputs())));
        }
        ingest.rows().settle_deferred(words.carried())?;
        shared.catalogue.pin(&scraper).await.map_err(ApiError::unavailable)?;
        let mut trigger =
            options.trigger(&words, &scraper, &door, origin, express, shared.settings.quarantine)?;
        seal(shared, &mut trigger)?;
        settle_since(shared, principal, &mut trigger, words.since(), now).await?;
        if only_check {
            return Ok(None);
        }
        ingest.finish(words.limit_per_input().is_some(), shared.new_snapshot_id(now)).await?;
        Ok(Some(trigger))
    };
    match taken_in.await {
        Ok(None) => {
            let inputs = ingest.rows().taken();
            ingest.abandon().await;
            Ok(Taken::Checked(inputs))
        }
        Ok(Some(trigger)) => {
            let idempotency = key.map(|key| key.with(finished(digest)));
            let id = commit(shared, ingest.into_writer(), trigger, idempotency, now).await?;
            Ok(Taken::Begun(Submitted { id, format }))
        }
        Err(refusal) => {
            ingest.abandon().await;
            Err(refusal)
        }
    }
}

/// Makes the promises of a trigger fit to be stored, or refuses what this server cannot keep.
pub(super) fn seal(shared: &Shared, trigger: &mut Trigger) -> Result<()> {
    trigger.promises.iter().try_for_each(|promise| possible(shared, promise))?;
    shared.courier.vault().seal(trigger.credentials_mut()).map_err(ApiError::internal)
}

/// Refuses what only a setting of the operator's would make possible.
pub(super) fn possible(shared: &Shared, promise: &Promise) -> Result<()> {
    if matches!(promise.destination, Destination::Email { .. }) && !shared.courier.sends_mail() {
        return Err(ApiError::option(
            "\"deliver.type\": email is not available on this server, whose operator has set no `email.smtp_url`",
        ));
    }
    Ok(())
}

/// The scraper of a dataset id, if the caller may use it.
pub(super) fn find(shared: &Shared, principal: &Principal, dataset_id: &str) -> Result<Arc<Scraper>> {
    let scraper = shared.catalogue.find(dataset_id);
    if !principal.may_use(dataset_id, scraper.as_deref()) {
        return Err(ApiError::denied());
    }
    scraper.ok_or_else(|| ApiError::missing("dataset does not exist"))
}

/// 429 if a dataset has too many unfinished runs.
pub(super) async fn not_too_many(shared: &Shared, scraper: &Scraper) -> Result<()> {
    let most = shared.settings.running_jobs_max;
    let running = shared.store.running(&ids_of(scraper)).await?;
    if running >= most { Err(ApiError::busy(running, most)) } else { Ok(()) }
}

/// Makes the run visible; its id, or that of the run which the same key began meanwhile.
pub(super) async fn commit(
    shared: &Shared,
    writer: Writer,
    trigger: Trigger,
    idempotency: Option<Idempotency>,
    now: Timestamp,
) -> Result<SnapshotId> {
    let id = writer.id().clone();
    let deliveries = deliveries(&trigger, &id, now, || shared.clock.random());
    let commit = Commit { id: id.clone(), trigger, deliveries, idempotency, now };
    // On an error the writer is dropped, which discards the run unless it was committed after all.
    let committed = shared.store.commit(commit).await?;
    writer.release();
    match committed {
        Committed::Accepted => Ok(id),
        Committed::Repeated(remembered) => repeated(remembered),
    }
}

fn repeated(remembered: Remembered) -> Result<SnapshotId> {
    match remembered {
        Remembered::Same(id) => Ok(id),
        Remembered::Other => {
            Err(ApiError::new(StatusCode::CONFLICT, "Idempotency-Key was used with another request"))
        }
    }
}

/// Reads the body to its end: into the digest, and into the ingest if there is one.
async fn feed(
    mut source: Source,
    shape: Shape,
    headers: &HeaderMap,
    digest: &mut Option<Sha256>,
    mut ingest: Option<&mut Ingest>,
) -> Result<()> {
    if shape == Shape::Form {
        let kind = headers.get(CONTENT_TYPE).cloned().ok_or_else(|| ApiError::bad("Invalid attachments"))?;
        let mut form = form_data(source, kind);
        while let Some((kind, bytes)) = form.next().await? {
            take(digest, &mut ingest, kind.as_deref(), &bytes).await?;
        }
        return Ok(());
    }
    while let Some(bytes) = source.next().await? {
        take(digest, &mut ingest, None, &bytes).await?;
    }
    Ok(())
}

async fn take(
    digest: &mut Option<Sha256>,
    ingest: &mut Option<&mut Ingest>,
    kind: Option<&str>,
    bytes: &Bytes,
) -> Result<()> {
    if let Some(digest) = digest {
        digest.update(bytes);
    }
    match ingest {
        Some(ingest) => ingest.piece(kind, bytes).await,
        None => Ok(()),
    }
}

fn digest_of(uri: &Uri) -> Sha256 {
    let mut digest = Sha256::new();
    digest.update(uri.path().as_bytes());
    digest.update(b"?");
    digest.update(uri.query().unwrap_or_default().as_bytes());
    // A line feed is in no query, so no body can be taken for a part of one.
    digest.update(b"\n");
    digest
}

fn finished(digest: Option<Sha256>) -> [u8; 32] {
    digest.map_or([0; 32], |digest| digest.finalize().into())
}

/// An `Idempotency-Key` and whose it is.
struct Key {
    token: String,
    key: String,
}

impl Key {
    fn of(parts: &Parts, principal: &Principal) -> Result<Option<Self>> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        if key.is_empty() || key.chars().count() > limit::IDEMPOTENCY_KEY_CHARS {
            let most = limit::IDEMPOTENCY_KEY_CHARS;
            return Err(ApiError::option(format!("\"Idempotency-Key\" must have 1 to {most} characters")));
        }
        Ok(Some(Self { token: principal.id.as_ref().to_owned(), key: key.to_owned() }))
    }

    fn with(&self, digest: [u8; 32]) -> Idempotency {
        Idempotency { token: self.token.clone(), key: self.key.clone(), digest }
    }
}

/// Who triggered, for the log of the snapshot.
pub(super) fn origin(parts: &Parts, principal: &Principal) -> Origin {
    Origin {
        kind: if principal.is_schedule() { SCHEDULED } else { "API" }.to_owned(),
        user: principal.name.as_ref().to_owned(),
        token: principal.id.as_ref().to_owned(),
        ip: parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_string()).unwrap_or_default(),
        trigger_url: without_secrets(&parts.uri),
    }
}

/// Path and query, with the values that are secrets blotted out.
fn without_secrets(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if name == "auth_header" || name.starts_with("webhook_header_") => {
            format!("{name}={SECRET}")
        }
        // An address may have a login in it.
        Some((name @ ("endpoint" | "webhook" | "notify"), _)) => {
            let parsed = url::form_urlencoded::parse(pair.as_bytes()).next();
            match parsed.map(|(_, address)| destination::without_login(&address)) {
                Some((address, Some(_))) => {
                    let address: String = url::form_urlencoded::byte_serialize(address.as_bytes()).collect();
                    format!("{name}={address}")
                }
                _ => pair.to_owned(),
            }
        }
        _ => pair.to_owned(),
    });
    format!("{}?{}", uri.path(), pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_the_log() {
        let uri: Uri = "/t?dataset_id=x&auth_header=Token%20a&webhook_header_X=b&format=csv".parse().unwrap();
        assert_eq!(without_secrets(&uri), "/t?dataset_id=x&auth_header=***&webhook_header_X=***&format=csv");
        assert_eq!(without_secrets(&Uri::from_static("/t")), "/t");
        let uri = Uri::from_static("/t?endpoint=https%3A%2F%2Fme%3Ahunter2%40h%2Fx&notify=http://h/y");
        assert_eq!(without_secrets(&uri), "/t?endpoint=https%3A%2F%2Fh%2Fx&notify=http://h/y");
    }

    #[test]
    fn a_digest_tells_requests_apart() {
        let a = digest_of(&Uri::from_static("/t?a=1")).finalize();
        assert_ne!(a, digest_of(&Uri::from_static("/t?a=2")).finalize());
        assert_ne!(a, digest_of(&Uri::from_static("/u?a=1")).finalize());
    }
}
