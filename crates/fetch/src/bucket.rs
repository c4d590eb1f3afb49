//! The HTTP of object stores: serves `object_store`'s requests over our own client, so that what is sent to S3 and its
//! kin passes the same door as everything else.
//!
//! Owns: connections, time, and the size of answers that are not objects. Must not know: buckets, keys, credentials.
//! Retries are `object_store`'s: this tells it by the kind of an error whether asking again makes sense.
//!
//! Invariants: no redirect is followed; no proxy; no plain HTTP unless the store's options allow it; a *guarded*
//! connector reaches no address off limits, whatever the endpoint's name resolves to.

use crate::client::{Client, Pool, body_error, client, head_error};
use crate::resolve::{Names, Resolver};
use crate::settings::{OutboundSettings, SettingsError};
use crate::{AllowList, FetchError, FetchErrorKind, outbound};
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderValue;
use http::header::USER_AGENT;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Until the head of an answer, the upload of the body included: a part of 8 MiB at 1.1 Mbit/s.
const HEAD: Duration = Duration::from_secs(60);
/// Without a byte of an answer's body.
const BODY_IDLE: Duration = Duration::from_secs(20);
/// Object stores close idle connections after about as long; a request on a closed one is asked again.
const IDLE: Duration = Duration::from_secs(15);
/// Connections kept for each host: several uploads and reads ahead run side by side.
const IDLE_PER_HOST: usize = 32;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// Bytes of an error's body that are passed on: the rest is left out.
const ERROR_BYTES_MAX: u64 = 16 << 10;
/// Bytes of any body from a store that a caller named: `object_store` holds answers whole.
const GUARDED_BYTES_MAX: u64 = 16 << 20;

/// Gives `object_store` its HTTP. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct BucketConnector(Arc<Inner>);

struct Inner {
    client: Client<HttpRequestBody>,
    user_agent: HeaderValue,
    times: Times,
    /// Bytes of a body at most.
    bytes_max: u64,
}

/// How long things may take.
#[derive(Clone, Copy)]
struct Times {
    head: Duration,
    body_idle: Duration,
}

impl fmt::Debug for BucketConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BucketConnector")
    }
}

impl BucketConnector {
    /// For stores that callers name: addresses off limits are refused, unless `allow_networks` opens them. Bodies are
    /// bounded (16 MiB), so this is for writing.
    pub fn guarded(settings: &OutboundSettings) -> Result<Self, SettingsError> {
        let allow = AllowList::parse(&settings.allow_networks)
            .map_err(|error| SettingsError::new("allow_networks", error.to_string()))?;
        Self::with(settings, allow, GUARDED_BYTES_MAX)
    }

    /// For the operator's own bucket: any address, that of a cloud's credentials included. `allow_networks` is not
    /// looked at.
    pub fn open(settings: &OutboundSettings) -> Result<Self, SettingsError> {
        Self::with(settings, AllowList::everything(), u64::MAX)
    }

    fn with(settings: &OutboundSettings, allow: AllowList, bytes_max: u64) -> Result<Self, SettingsError> {
        let names: Arc<dyn Names> = Arc::new(Resolver::new(&settings.names));
        let (connector, user_agent) = outbound::connector(settings, allow, names)?;
        let pool = Pool { idle: IDLE, idle_per_host: IDLE_PER_HOST, head_bytes_max: HEAD_BYTES_MAX };
        let times = Times { head: HEAD, body_idle: BODY_IDLE };
        Ok(Self(Arc::new(Inner { client: client(connector, &pool), user_agent, times, bytes_max })))
    }
}

impl HttpConnector for BucketConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        Ok(HttpClient::new(Service { inner: self.0.clone(), plain }))
    }
}

/// One store's client.
struct Service {
    inner: Arc<Inner>,
    /// Whether plain HTTP may be spoken.
    plain: bool,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let scheme = request.uri().scheme_str();
        if host.is_empty() || !(scheme == Some("https") || (scheme == Some("http") && self.plain)) {
            let why = format!("`{host}` is not asked without TLS");
            return Err(HttpError::new(
                HttpErrorKind::Unknown,
                FetchError::new(FetchErrorKind::Refused, why),
            ));
        }
        let inner = &self.inner;
        request.headers_mut().entry(USER_AGENT).or_insert_with(|| inner.user_agent.clone());
        let answer = match tokio::time::timeout(inner.times.head, inner.client.request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(http_error(head_error(&host, &error))),
            Err(_) => {
                let why = format!("`{host}` did not answer within {} s", inner.times.head.as_secs());
                return Err(http_error(FetchError::new(FetchErrorKind::Timeout, why)));
            }
        };
        let (head, body) = answer.into_parts();
        let most =
            if head.status.is_success() { Most::Fail(inner.bytes_max) } else { Most::Cut(ERROR_BYTES_MAX) };
        let body = Bounded::new(body, host, inner.times.body_idle, most);
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

/// What `object_store` needs to know of an error to decide whether it asks again.
fn http_error(error: FetchError) -> HttpError {
    let kind = match error.kind {
        // Neither an address off limits nor a wrong certificate gets better by itself.
        FetchErrorKind::Refused
        | FetchErrorKind::NoSuchHost
        | FetchErrorKind::Tls
        | FetchErrorKind::TooLarge => HttpErrorKind::Unknown,
        _ if error.unreached => HttpErrorKind::Connect,
        FetchErrorKind::Timeout => HttpErrorKind::Timeout,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error)
}

/// What happens at the bound of a body.
#[derive(Clone, Copy)]
enum Most {
    /// It is an error.
    Fail(u64),
    /// The rest is left out.
    Cut(u64),
}

/// A body that may neither stop nor grow without end.
struct Bounded {
    body: Incoming,
    host: String,
    idle: Duration,
    late: Pin<Box<Sleep>>,
    most: Most,
    seen: u64,
}

impl Bounded {
    fn new(body: Incoming, host: String, idle: Duration, most: Most) -> Self {
        Self { body, host, idle, late: Box::pin(tokio::time::sleep(idle)), most, seen: 0 }
    }

    /// As much of a piece as the bound lets through; `None` ends the body.
    fn pass(&mut self, mut piece: Bytes) -> Option<Result<Bytes, HttpError>> {
        let before = self.seen;
        self.seen += piece.len() as u64;
        match self.most {
            Most::Fail(most) if self.seen > most => {
                let why = format!("the body from `{}` is larger than {most} bytes", self.host);
                Some(Err(http_error(FetchError::new(FetchErrorKind::TooLarge, why))))
            }
            Most::Cut(most) if before >= most => None,
            Most::Cut(most) => {
                // Cast: at most the bound.
                piece.truncate((most - before) as usize);
                Some(Ok(piece))
            }
            Most::Fail(_) => Some(Ok(piece)),
        }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending() {
            ready!(this.late.as_mut().poll(cx));
            let why = format!("`{}` sent nothing for {} ms", this.host, this.idle.as_millis());
            return Poll::Ready(Some(Err(http_error(FetchError::new(FetchErrorKind::Timeout, why)))));
        }
        this.late.as_mut().reset(Instant::now() + this.idle);
        let Some(frame) = ready!(polled) else { return Poll::Ready(None) };
        match frame {
            Err(error) => Poll::Ready(Some(Err(http_error(body_error(&this.host, &error))))),
            Ok(frame) => match frame.into_data() {
                Ok(piece) => Poll::Ready(this.pass(piece).map(|passed| passed.map(Frame::data))),
                Err(trailers) => Poll::Ready(Some(Ok(trailers))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What is announced is not yet there: `object_store` would make room for it.
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_asked_again() {
        let kind = |kind, unreached| {
            let error = FetchError::new(kind, "x");
            http_error(if unreached { error.unreached() } else { error }).kind()
        };
        assert_eq!(kind(FetchErrorKind::Refused, true), HttpErrorKind::Unknown);
        assert_eq!(kind(FetchErrorKind::Tls, true), HttpErrorKind::Unknown);
        assert_eq!(kind(FetchErrorKind::Connection, true), HttpErrorKind::Connect);
        assert_eq!(kind(FetchErrorKind::Connection, false), HttpErrorKind::Interrupted);
        assert_eq!(kind(FetchErrorKind::Timeout, true), HttpErrorKind::Connect);
        assert_eq!(kind(FetchErrorKind::Timeout, false), HttpErrorKind::Timeout);
        assert_eq!(kind(FetchErrorKind::Protocol, false), HttpErrorKind::Interrupted);
    }
}
