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
    /// The proxy failed or refused.
    Proxy,
    /// A replay has no such page. Never passes.
    NotArchived,
}

/// Why there is no page. A 404 is a page, not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What happened.
    pub kind: FetchErrorKind,
    /// One sentence for the error row, without secrets.
    pub message: String,
}

impl FetchError {
    /// With its sentence.
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The kind of trouble for the retry policy; `None` if it will not pass.
    pub fn trouble(&self) -> Option<Trouble> {
        match self.kind {
            FetchErrorKind::Refused
            | FetchErrorKind::NoSuchHost
            | FetchErrorKind::TooLarge
            | FetchErrorKind::Redirects
            | FetchErrorKind::NotArchived => None,
            FetchErrorKind::Timeout => Some(Trouble::Timeout),
            FetchErrorKind::Connection | FetchErrorKind::Protocol => Some(Trouble::Reset),
            FetchErrorKind::Dns | FetchErrorKind::Tls | FetchErrorKind::Proxy => Some(Trouble::Other),
        }
    }

    /// The error row's code and sentence.
    pub fn failure(&self) -> Failure {
        let code = match self.kind {
            FetchErrorKind::Refused => FailureCode::BadInput,
            FetchErrorKind::Timeout => FailureCode::Timeout,
            FetchErrorKind::NotArchived => FailureCode::NotArchived,
            FetchErrorKind::NoSuchHost
            | FetchErrorKind::Dns
            | FetchErrorKind::Connection
            | FetchErrorKind::Tls
            | FetchErrorKind::Protocol
            | FetchErrorKind::TooLarge
            | FetchErrorKind::Redirects
            | FetchErrorKind::Proxy => FailureCode::CrawlError,
        };
        Failure::new(code, self.message.clone())
    }
}
