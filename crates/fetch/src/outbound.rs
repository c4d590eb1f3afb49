//! What is sent to strangers on a caller's behalf: webhooks and notices. Same guard, its own exceptions, no proxies.
//!
//! Invariants: no redirect is followed (the caller named the receiver, the receiver does not name another); the
//! answer's body is thrown away; the body sent streams, so memory does not follow its size.

use crate::client::{Client, Pool, chain, client, head_error, uri};
use crate::clock::now;
use crate::connect::{Connector, Parts};
use crate::guard::Guard;
use crate::message;
use crate::proxy::basic;
use crate::resolve::{Names, Resolver};
use crate::settings::{OutboundSettings, SettingsError};
use crate::{AllowList, FetchError, FetchErrorKind, retry_after, tls};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, RETRY_AFTER, USER_AGENT};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use url::Url;

/// Bytes of an answer that are read, so that the receiver is not cut off while it writes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Bytes of an answer's head: receivers say little.
const HEAD_BYTES_MAX: u32 = 16 << 10;
/// Parts of one delivery follow each other closely; two deliveries to one receiver do not.
const IDLE: Duration = Duration::from_secs(10);

/// What is sent.
pub enum Payload {
    /// All of it at once, with a length.
    Whole(Bytes),
    /// Piece by piece, chunked. An error of the stream breaks the request off.
    Stream(Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync + Unpin>),
    /// Piece by piece, so many bytes in all: sent with a length, for receivers that cannot read chunks.
    Sized(u64, Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync + Unpin>),
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

/// What the receiver said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status. Only 2xx means that it was accepted; a redirect is not followed.
    pub status: u16,
    /// Milliseconds that `Retry-After` asks for, unbounded.
    pub retry_after_ms: Option<u64>,
}

impl Answer {
    /// Whether the receiver took it.
    pub fn accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends to strangers. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    connector: Connector,
    client: Client<BoxBody<Bytes, io::Error>>,
    user_agent: HeaderValue,
}

impl Outbound {
    /// Reads the settings and the files that they name. Opens no connection.
    pub fn new(settings: &OutboundSettings) -> Result<Self, SettingsError> {
        Self::with_names(settings, Arc::new(Resolver::new(&settings.names)))
    }

    /// With names from elsewhere than DNS.
    pub fn with_names(settings: &OutboundSettings, names: Arc<dyn Names>) -> Result<Self, SettingsError> {
        let allow = AllowList::parse(&settings.allow_networks)
            .map_err(|error| SettingsError::new("allow_networks", error.to_string()))?;
        let (connector, user_agent) = connector(settings, allow, names)?;
        let pool = Pool { idle: IDLE, idle_per_host: 1, head_bytes_max: HEAD_BYTES_MAX };
        Ok(Self { client: client(connector.clone(), &pool), connector, user_agent })
    }

    /// Posts a body; `timeout` bounds connecting, sending and the answer together. Never retried here.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(String, String)],
        body: Payload,
        timeout: Duration,
    ) -> Result<Answer, FetchError> {
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
            return Err(FetchError::new(
                FetchErrorKind::Refused,
                "a receiver is an `http` or `https` address",
            ));
        }
        let mut lines = message::headers(headers)?;
        lines.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        if let Some(credentials) = basic(url) {
            lines.entry(AUTHORIZATION).or_insert(credentials);
        }
        let body = match body {
            Payload::Whole(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed(),
            Payload::Sized(length, stream) => {
                lines.insert(CONTENT_LENGTH, HeaderValue::from(length));
                BodyExt::boxed(StreamBody::new(stream.map(|piece| piece.map(Frame::data))))
            }
            Payload::Stream(stream) => {
                BodyExt::boxed(StreamBody::new(stream.map(|piece| piece.map(Frame::data))))
            }
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri(url)?;
        *request.headers_mut() = lines;
        match tokio::time::timeout(timeout, self.exchange(request, host)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::new(
                FetchErrorKind::Timeout,
                format!("`{host}` did not accept within {} ms", timeout.as_millis()),
            )),
        }
    }

    /// A connection for another protocol, to an address that the guard let pass.
    pub async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        self.connector.dial(host, port).await
    }

    async fn exchange(
        &self,
        request: http::Request<BoxBody<Bytes, io::Error>>,
        host: &str,
    ) -> Result<Answer, FetchError> {
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| own_fault(&error).unwrap_or_else(|| head_error(host, &error)))?;
        let (head, body) = answer.into_parts();
        let asked = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let said = Answer {
            status: head.status.as_u16(),
            retry_after_ms: asked.and_then(|value| retry_after::value_ms(value, now())),
        };
        drain(body).await;
        Ok(said)
    }
}

/// The `Authorization` that the user and password of a URL mean; `None` if it has neither.
pub fn basic_authorization(url: &Url) -> Option<String> {
    basic(url)?.to_str().ok().map(str::to_owned)
}

/// The error of the stream that was to be sent, which is not the receiver's.
fn own_fault(error: &(dyn Error + 'static)) -> Option<FetchError> {
    let user = chain(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .find(|error| error.is_user())?;
    let cause = user.source().map_or_else(|| user.to_string(), ToString::to_string);
    Some(FetchError::new(FetchErrorKind::Connection, format!("the body to be sent broke off: {cause}")))
}

/// Reads and forgets. The status is known: whatever goes wrong here changes nothing.
async fn drain(mut body: Incoming) {
    let mut left = ANSWER_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
        if left == 0 {
            return;
        }
    }
}

/// The connector to strangers, and how we name ourselves to them.
pub(crate) fn connector(
    settings: &OutboundSettings,
    allow: AllowList,
    names: Arc<dyn Names>,
) -> Result<(Connector, HeaderValue), SettingsError> {
    let user_agent = HeaderValue::try_from(settings.user_agent.as_str())
        .map_err(|_| SettingsError::new("user_agent", "cannot be sent as a header"))?;
    let connector = Connector::new(Parts {
        guard: Guard::new(allow),
        names,
        // HTTP/1.1 only: a body that is broken off then ends its connection and nothing else.
        tls: tls::client_config(settings.extra_ca.as_deref(), &[b"http/1.1"])?,
        gate: None,
        timeout: Duration::from_millis(settings.connect_timeout_ms),
    });
    Ok((connector, user_agent))
}
