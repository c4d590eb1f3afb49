//! hyper's client over our connector, and what its errors mean.

use crate::connect::Connector;
use crate::stream::Answers;
use crate::{FetchError, FetchErrorKind};
use bytes::Bytes;
use http::{Extensions, Uri};
use http_body::Body;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::io;
use std::time::Duration;
use url::{Position, Url};

pub(crate) type Client<B> = legacy::Client<Connector, B>;

/// Header lines of a head. Sites that set dozens of cookies exceed hyper's own 100.
const HEADERS_MAX: usize = 256;

/// The pool's bounds.
pub(crate) struct Pool {
    pub(crate) idle: Duration,
    pub(crate) idle_per_host: usize,
    pub(crate) head_bytes_max: u32,
}

pub(crate) fn client<B>(connector: Connector, pool: &Pool) -> Client<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    legacy::Client::builder(TokioExecutor::new())
        // Without a timer idle connections are never closed.
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(pool.idle)
        .pool_max_idle_per_host(pool.idle_per_host)
        // Cast: 32 bits fit wherever this runs.
        .http1_max_buf_size(pool.head_bytes_max as usize)
        .http1_max_headers(HEADERS_MAX)
        // The web as it is: browsers take all three.
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http2_max_header_list_size(pool.head_bytes_max)
        .build(connector)
}

/// The address line of a request: no credentials, no fragment.
pub(crate) fn uri(url: &Url) -> Result<Uri, FetchError> {
    let invalid = |error| {
        let host = url.host_str().unwrap_or_default();
        FetchError::new(FetchErrorKind::Refused, format!("the address on `{host}` cannot be sent: {error}"))
    };
    if url.username().is_empty() && url.password().is_none() {
        return Uri::try_from(&url[..Position::AfterQuery]).map_err(invalid);
    }
    let bare = [&url[..Position::BeforeUsername], &url[Position::BeforeHost..Position::AfterQuery]].concat();
    Uri::try_from(bare).map_err(invalid)
}

/// Whether a pooled connection that had served before was closed under a request. `false` if it was a fresh one.
pub(crate) fn was_stale(error: &legacy::Error) -> bool {
    let mut extensions = Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extensions);
    }
    if !extensions.get::<Answers>().is_some_and(Answers::any) {
        return false;
    }
    chain(error).any(|cause| {
        let hyper = cause.downcast_ref::<hyper::Error>();
        hyper.is_some_and(|e| e.is_incomplete_message() || e.is_canceled() || e.is_closed())
            || cause.downcast_ref::<io::Error>().is_some_and(|e| {
                matches!(
                    e.kind(),
                    io::ErrorKind::ConnectionReset
                        | io::ErrorKind::BrokenPipe
                        | io::ErrorKind::ConnectionAborted
                )
            })
    })
}

/// What it means that no head came.
pub(crate) fn head_error(host: &str, error: &legacy::Error) -> FetchError {
    use FetchErrorKind::{Connection, Protocol, TooLarge};
    for cause in chain(error) {
        if let Some(error) = cause.downcast_ref::<FetchError>() {
            return error.clone();
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            if error.is_parse_too_large() {
                return FetchError::new(TooLarge, format!("the head of `{host}`'s answer is too large"));
            }
            if error.is_parse() {
                return FetchError::new(Protocol, format!("`{host}` does not answer in HTTP: {error}"));
            }
            if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
                return FetchError::new(
                    Connection,
                    format!("`{host}` closed the connection without an answer"),
                );
            }
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return FetchError::new(Connection, format!("the connection to `{host}` broke: {error}"));
        }
    }
    FetchError::new(Protocol, format!("the exchange with `{host}` failed: {}", innermost(error)))
}

/// What it means that the body broke off.
pub(crate) fn body_error(host: &str, error: &hyper::Error) -> FetchError {
    use FetchErrorKind::{Connection, Protocol};
    let short = || FetchError::new(Protocol, format!("the body from `{host}` ends before its announced end"));
    if error.is_incomplete_message() {
        return short();
    }
    for cause in chain(error) {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => short(),
                // How hyper says that the chunking is broken.
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                    FetchError::new(Protocol, format!("the body from `{host}` is not well-formed: {error}"))
                }
                _ => FetchError::new(Connection, format!("the connection to `{host}` broke: {error}")),
            };
        }
    }
    FetchError::new(Protocol, format!("the body from `{host}` broke off: {}", innermost(error)))
}

/// An error and its causes.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An empty or whole body.
pub(crate) type Whole = http_body_util::Full<Bytes>;
