//! Who is calling: bearer tokens, what each may see, and how often it may ask.
//!
//! Owns: the door in front of every path but the public ones (unknown paths too: 401 comes before 404).
//! Invariants: only SHA-256 digests are compared, in constant time; a revoked token is refused within
//! [`CACHE_MS`]; the secret is neither stored nor logged.

use super::Shared;
use super::error::{ApiError, Result};
use crate::clock::Clock;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use extract::Scraper;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use model::{Timestamp, TokenId};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Store, Token};
use subtle::ConstantTimeEq;

/// Milliseconds for which a token read from the store is believed.
const CACHE_MS: u64 = 2_000;
/// Id and name of whoever has the token from the settings.
const OPERATOR: &str = "operator";
/// Tokens remembered at once; the cache is emptied when full.
const CACHE_TOKENS: usize = 1_024;

/// Stands for the id of a token, which never looks so.
const SCHEDULE: &str = "schedule";

/// Somebody with a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Principal {
    /// Id of the token; `operator` for the one from the settings.
    pub(super) id: Arc<str>,
    /// What the operator calls the token.
    pub(super) name: Arc<str>,
    pub(super) datasets: Option<Arc<[String]>>,
    expires_at: Option<Timestamp>,
}

impl Principal {
    /// A schedule that begins a run. What its maker might not do was refused when it was made.
    pub(super) fn schedule(id: &str) -> Self {
        Self { id: SCHEDULE.into(), name: id.into(), datasets: None, expires_at: None }
    }

    /// Is it a schedule?
    pub(super) fn is_schedule(&self) -> bool {
        &*self.id == SCHEDULE
    }

    /// May it use this dataset? Its token names ids, aliases or scraper names.
    pub(super) fn may_use(&self, dataset_id: &str, scraper: Option<&Scraper>) -> bool {
        let Some(allowed) = &self.datasets else { return true };
        let is_allowed = |id: &str| allowed.iter().any(|name| name == id);
        is_allowed(dataset_id)
            || scraper.is_some_and(|scraper| {
                is_allowed(scraper.name())
                    || is_allowed(scraper.dataset_id())
                    || scraper.aliases().iter().any(|alias| is_allowed(alias))
            })
    }

    /// Is what the token of that id brought its own? Everything is the operator's.
    pub(super) fn owns(&self, token: &str) -> bool {
        &*self.id == OPERATOR || &*self.id == token
    }

    /// May it see what belongs to no dataset in particular? 403 if its token is limited to some.
    pub(super) fn check_all(&self) -> Result<()> {
        if self.datasets.is_none() { Ok(()) } else { Err(ApiError::denied()) }
    }

    /// May it see what belongs to this dataset? 403 if not.
    pub(super) fn check(&self, shared: &Shared, dataset_id: &str) -> Result<()> {
        if self.datasets.is_none() {
            return Ok(());
        }
        let scraper = shared.catalogue.find(dataset_id);
        if self.may_use(dataset_id, scraper.as_deref()) { Ok(()) } else { Err(ApiError::denied()) }
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // The door puts it there; a path that is reached without it is a bug of the route table.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::internal("no principal"))
    }
}

/// The tokens lately seen, and how fast each asks.
#[derive(Debug, Default)]
pub(super) struct Gate {
    seen: Mutex<HashMap<[u8; 32], (Timestamp, Principal)>>,
    paces: Mutex<HashMap<Arc<str>, Pace>>,
}

#[derive(Debug)]
struct Pace {
    /// Requests that may be made now, in thousandths.
    left: u64,
    at: Timestamp,
}

/// The middleware.
pub(super) async fn door(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    if super::routes::is_public(request.uri().path()) {
        return next.run(request).await;
    }
    match enter(&shared, request.headers()).await {
        Ok(principal) => {
            request.extensions_mut().insert(principal.clone());
            let mut response = next.run(request).await;
            response.extensions_mut().insert(principal);
            response
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn enter(shared: &Shared, headers: &HeaderMap) -> Result<Principal> {
    let secret = bearer(headers)?;
    let hash: [u8; 32] = Sha256::digest(secret).into();
    let principal =
        recognise(shared, &hash).await?.ok_or_else(|| ApiError::unauthorized("Invalid credentials"))?;
    let now = shared.clock.now();
    if principal.expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::unauthorized("Invalid credentials"));
    }
    if shared.settings.requests_per_sec > 0
        && !shared.gate.paced(&principal.id, shared.settings.requests_per_sec, now)
    {
        return Err(ApiError::too_fast(1));
    }
    Ok(principal)
}

/// The token in `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<&[u8]> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(ApiError::unauthorized("Credentials are missing"));
    };
    let value = value.as_bytes().trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, secret) = (&value[..end], value[end..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"basic") {
        return Err(ApiError::unauthorized("Basic auth is not allowed"));
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") || secret.is_empty() {
        return Err(ApiError::unauthorized("Auth method is not supported"));
    }
    Ok(secret)
}

async fn recognise(shared: &Shared, hash: &[u8; 32]) -> Result<Option<Principal>> {
    if let Some(operator) = &shared.settings.api_token
        && bool::from(Sha256::digest(operator.as_bytes())[..].ct_eq(&hash[..]))
    {
        let name: Arc<str> = OPERATOR.into();
        return Ok(Some(Principal { id: name.clone(), name, datasets: None, expires_at: None }));
    }
    let now = shared.clock.now();
    if let Some(principal) = shared.gate.remembered(hash, now) {
        return Ok(Some(principal));
    }
    let Some(token) = shared.store.token(hash).await? else { return Ok(None) };
    if !bool::from(token.hash[..].ct_eq(&hash[..])) || token.revoked_at.is_some() {
        return Ok(None);
    }
    let principal = Principal {
        id: token.id.as_str().into(),
        name: token.name.into(),
        datasets: token.datasets.map(Into::into),
        expires_at: token.expires_at,
    };
    shared.gate.remember(*hash, principal.clone(), now);
    Ok(Some(principal))
}

impl Gate {
    fn remembered(&self, hash: &[u8; 32], now: Timestamp) -> Option<Principal> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, principal) = seen.get(hash)?;
        (now.ms_since(*at) < CACHE_MS && *at <= now).then(|| principal.clone())
    }

    fn remember(&self, hash: [u8; 32], principal: Principal, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= CACHE_TOKENS {
            seen.clear();
        }
        seen.insert(hash, (now, principal));
    }

    /// Takes one of `per_sec` requests a second; false if none is left. A second's worth may come at once.
    fn paced(&self, id: &Arc<str>, per_sec: u32, now: Timestamp) -> bool {
        let full = u64::from(per_sec) * 1_000;
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= CACHE_TOKENS && !paces.contains_key(id) {
            paces.clear();
        }
        let pace = paces.entry(id.clone()).or_insert(Pace { left: full, at: now });
        let earned = now.ms_since(pace.at).saturating_mul(u64::from(per_sec));
        pace.left = pace.left.saturating_add(earned).min(full);
        pace.at = now;
        match pace.left.checked_sub(1_000) {
            Some(left) => {
                pace.left = left;
                true
            }
            None => false,
        }
    }
}

/// Makes a token: its secret, told once and kept nowhere, and what the store keeps.
///
/// The secret is 256 random bits as 64 hex digits, the form of the documented keys (api.md 1.1).
pub fn new_token(
    clock: &dyn Clock,
    name: &str,
    datasets: Option<Vec<String>>,
    expires_at: Option<Timestamp>,
) -> (String, Token) {
    let secret: String = (0..4).map(|_| format!("{:016x}", clock.random())).collect();
    let token = Token {
        id: TokenId::new(clock.now(), clock.random()),
        name: name.to_owned(),
        hash: Sha256::digest(secret.as_bytes()).into(),
        datasets,
        created_at: clock.now(),
        expires_at,
        revoked_at: None,
    };
    (secret, token)
}

/// True if the store can be asked: for `/readyz`.
pub(super) async fn store_answers(store: &dyn Store) -> bool {
    store.token(&[0; 32]).await.is_ok()
}

/// The status of an answer to somebody unknown, for the access log.
pub(super) fn name_of(response: &Response) -> Arc<str> {
    match response.extensions().get::<Principal>() {
        Some(principal) => principal.name.clone(),
        None if response.status() == StatusCode::UNAUTHORIZED => "unknown".into(),
        None => "public".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use http::HeaderValue;

    fn refusal(value: Option<&'static str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        }
        match bearer(&headers) {
            Ok(secret) => String::from_utf8_lossy(secret).into_owned(),
            Err(error) => error.body()["message"].as_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn each_bad_header_has_its_documented_text() {
        assert_eq!(refusal(None), "Credentials are missing");
        assert_eq!(refusal(Some("Bearer ")), "Auth method is not supported");
        assert_eq!(refusal(Some("Token abc")), "Auth method is not supported");
        assert_eq!(refusal(Some("Basic dTpw")), "Basic auth is not allowed");
        assert_eq!(refusal(Some("bearer  s3cret ")), "s3cret");
    }

    #[test]
    fn a_pace_is_kept_and_recovers() {
        let gate = Gate::default();
        let id: Arc<str> = "tk_x".into();
        let at = Timestamp::from_ms(10_000);
        assert!((0..5).all(|_| gate.paced(&id, 5, at)));
        assert!(!gate.paced(&id, 5, at));
        assert!(!gate.paced(&id, 5, at.plus_ms(100)));
        assert!(gate.paced(&id, 5, at.plus_ms(200)));
        assert!(!gate.paced(&id, 5, at.plus_ms(200)));
        assert_eq!((0..9).filter(|_| gate.paced(&id, 5, at.plus_ms(60_000))).count(), 5);
    }

    #[test]
    fn a_new_token_is_kept_as_its_digest() {
        let (secret, token) = new_token(&SystemClock, "ci", None, None);
        assert_eq!(secret.len(), 64);
        assert_eq!(token.hash[..], Sha256::digest(secret.as_bytes())[..]);
        assert_ne!(new_token(&SystemClock, "ci", None, None).0, secret);
    }
}
