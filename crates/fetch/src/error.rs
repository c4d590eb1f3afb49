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
    /// The page needs a browser and there is none. Never passes by itself.
    NoBrowser,
    /// The browser died, hung or did not start.
    BrowserGone,
    /// The page's own process in the browser ended.
    PageCrashed,
    /// An element that was waited for did not come.
    WaitElement,
    /// An element could not be clicked.
    ClickElement,
    /// A question to the page made no sense, such as a selector that is none. Never passes.
    Script,
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
            | FetchErrorKind::NoBrowser
            | FetchErrorKind::Script => None,
            FetchErrorKind::Timeout | FetchErrorKind::WaitElement | FetchErrorKind::ClickElement => {
                Some(Trouble::Timeout)
            }
            FetchErrorKind::Connection | FetchErrorKind::Protocol | FetchErrorKind::BrowserGone => {
                Some(Trouble::Reset)
            }
            FetchErrorKind::Dns
            | FetchErrorKind::Tls
            | FetchErrorKind::Proxy
            | FetchErrorKind::PageCrashed => Some(Trouble::Other),
        }
    }

    /// The error row's code and sentence.
    pub fn failure(&self) -> Failure {
        let code = match self.kind {
            FetchErrorKind::Refused => FailureCode::BadInput,
            FetchErrorKind::Timeout => FailureCode::Timeout,
            FetchErrorKind::NoBrowser => FailureCode::NoBrowser,
            FetchErrorKind::WaitElement => FailureCode::WaitElementTimeout,
            FetchErrorKind::ClickElement => FailureCode::ClickTimeout,
            FetchErrorKind::NoSuchHost
            | FetchErrorKind::Dns
            | FetchErrorKind::Connection
            | FetchErrorKind::Tls
            | FetchErrorKind::Protocol
            | FetchErrorKind::TooLarge
            | FetchErrorKind::Redirects
            | FetchErrorKind::Proxy
            | FetchErrorKind::BrowserGone
            | FetchErrorKind::PageCrashed
            | FetchErrorKind::Script => FailureCode::CrawlError,
        };
        Failure::new(code, self.message.clone())
    }
}
