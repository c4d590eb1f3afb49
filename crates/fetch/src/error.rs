//! What can go wrong between a request and its page, and whether it may pass.

use model::{Failure, FailureCode, Trouble};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FetchErrorKind {
    /// Not an address that may be reached, or not a URL that can be fetched. Never passes.
    Refused,
    /// The name does not resolve (authoritatively). Never passes within a job.
    NoSuchHost,
    /// Resolving failed for now.
    Dns,
    /// The connection could not be made, or broke.
    Connection,
    /// TLS failed: a wrong certificate does not get better by itself.
    Tls,
    /// Connecting, the head or the body took too long.
    Timeout,
    /// The answer broke HTTP, its chunking, its announced length or its compression.
    Protocol,
    /// Head or body beyond the bounds (bombs included). Never passes.
    TooLarge,
    /// Redirects without end, or to nowhere. Never passes.
    Redirects,
    /// The proxy failed or refused: the site was not asked.
    Proxy,
    /// The proxy says that it does not reach the site: the fault of either.
    Gateway,
    /// No proxy fits what was asked for. Never passes.
    NoProxy,
}

/// Why there is no page. A 404 is a page, not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What happened.
    pub kind: FetchErrorKind,
    /// One sentence for the error row, without secrets.
    pub message: String,
    /// Milliseconds after which trying again makes sense, if that is known.
    pub after_ms: Option<u64>,
}

impl FetchError {
    /// With its sentence.
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), after_ms: None }
    }

    /// The kind of trouble for the retry policy; `None` if it will not pass.
    pub fn trouble(&self) -> Option<Trouble> {
        match self.kind {
            FetchErrorKind::Refused
            | FetchErrorKind::NoSuchHost
            | FetchErrorKind::TooLarge
            | FetchErrorKind::Redirects
            | FetchErrorKind::NoProxy => None,
            FetchErrorKind::Timeout => Some(Trouble::Timeout),
            FetchErrorKind::Connection | FetchErrorKind::Protocol | FetchErrorKind::Gateway => {
                Some(Trouble::Reset)
            }
            FetchErrorKind::Proxy => Some(Trouble::Proxy),
            FetchErrorKind::Dns | FetchErrorKind::Tls => Some(Trouble::Other),
        }
    }

    /// The error row's code and sentence.
    pub fn failure(&self) -> Failure {
        let code = match self.kind {
            FetchErrorKind::Refused => FailureCode::BadInput,
            FetchErrorKind::Timeout => FailureCode::Timeout,
            FetchErrorKind::NoSuchHost
            | FetchErrorKind::Dns
            | FetchErrorKind::Connection
            | FetchErrorKind::Tls
            | FetchErrorKind::Protocol
            | FetchErrorKind::TooLarge
            | FetchErrorKind::Redirects
            | FetchErrorKind::Gateway => FailureCode::CrawlError,
            FetchErrorKind::Proxy | FetchErrorKind::NoProxy => FailureCode::ProxyError,
        };
        Failure::new(code, self.message.clone())
    }
}
