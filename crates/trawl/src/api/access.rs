//! Around every request: its id, its line in the log, and a wall that a panic does not pass.

use super::auth;
use super::error::ApiError;
use crate::clock::Clock;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// Header that names a request in answers and logs.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a caller's own request id.
const REQUEST_ID_CHARS: usize = 128;

/// Address of the caller, put into the request by the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The middleware, outermost.
pub(super) async fn log(State(clock): State<Arc<dyn Clock>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers().get(&REQUEST_ID), clock.as_ref());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_string()).unwrap_or_default();
    let span = tracing::info_span!(
        "request", id = id.to_str().unwrap_or_default(), method = %request.method(), path = request.uri().path(), peer
    );
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let _entered = span.enter();
    // A bug ends one request, not the server.
    let mut response = answer.unwrap_or_else(|panic| ApiError::internal(message(&*panic)).into_response());
    tracing::info!(
        status = response.status().as_u16(),
        user = %auth::name_of(&response),
        duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The caller's own id if it is short and plain, else a new one.
fn request_id(given: Option<&HeaderValue>, clock: &dyn Clock) -> HeaderValue {
    let is_plain = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_CHARS).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
    };
    match given.filter(is_plain) {
        Some(value) => value.clone(),
        // Hex digits are always a header value.
        None => HeaderValue::from_str(&format!("{:016x}", clock.random()))
            .unwrap_or_else(|_| HeaderValue::from_static("0")),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn plain_ids_are_taken_and_others_replaced() {
        let own = HeaderValue::from_static("job-7.a");
        assert_eq!(request_id(Some(&own), &SystemClock), own);
        for bad in ["", "a b", "a\"b"] {
            let made = request_id(Some(&HeaderValue::from_static(bad)), &SystemClock);
            assert_eq!(made.as_bytes().len(), 16, "{bad:?}");
        }
    }
}
