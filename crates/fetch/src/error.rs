//! What can go wrong between a request and its page, and whether it may pass.

use model::{Exchange, Failure, FailureCode, Trouble};

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
    /// robots.txt disallows it. Never passes within a job.
    Robots,
    /// robots.txt answers with a server's error, which disallows everything for now (RFC 9309, section 2.3.1.4).
    NoRobots,
    /// The host did not answer the last requests, and was not asked again now.
    Down,
    /// The same for a while already.
    Gone,
    /// A replay has no such page. Never passes.
    NotArchived,
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

impl FetchErrorKind {
    /// The kind as a word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NoSuchHost => "no_such_host",
            Self::Dns => "dns",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Redirects => "redirects",
            Self::Proxy => "proxy",
            Self::Gateway => "gateway",
            Self::NoProxy => "no_proxy",
            Self::Robots => "robots",
            Self::NoRobots => "no_robots",
            Self::Down => "down",
            Self::Gone => "gone",
            Self::NotArchived => "not_archived",
            Self::NoBrowser => "no_browser",
            Self::BrowserGone => "browser_gone",
            Self::PageCrashed => "page_crashed",
            Self::WaitElement => "wait_element",
            Self::ClickElement => "click_element",
            Self::Script => "script",
        }
    }
}

/// Why there is no page. A 404 is a page, not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What happened.
    pub kind: FetchErrorKind,
    /// One sentence for the error row, without secrets.
    pub message: String,
    /// Milliseconds before which it makes no sense to try again, if that is known.
    pub again_ms: Option<u64>,
    /// What was sent and received until then, where pages are kept.
    pub exchanges: Vec<Exchange>,
    /// The host was not even reached: no connection was made.
    pub(crate) unreached: bool,
}

impl FetchError {
    /// With its sentence.
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), again_ms: None, exchanges: Vec::new(), unreached: false }
    }

    /// Of a connection that was not made.
    pub(crate) fn unreached(self) -> Self {
        Self { unreached: true, ..self }
    }

    /// With the time before which it makes no sense to try again.
    pub(crate) fn again(self, ms: u64) -> Self {
        Self { again_ms: Some(ms), ..self }
    }

    /// The kind of trouble for the retry policy; `None` if it will not pass.
    pub fn trouble(&self) -> Option<Trouble> {
        match self.kind {
            FetchErrorKind::Refused
            | FetchErrorKind::NoSuchHost
            | FetchErrorKind::TooLarge
            | FetchErrorKind::Redirects
            | FetchErrorKind::NoProxy
            | FetchErrorKind::Robots
            | FetchErrorKind::NotArchived
            | FetchErrorKind::NoBrowser
            | FetchErrorKind::Script => None,
            FetchErrorKind::Timeout | FetchErrorKind::WaitElement | FetchErrorKind::ClickElement => {
                Some(Trouble::Timeout)
            }
            FetchErrorKind::Connection
            | FetchErrorKind::Protocol
            | FetchErrorKind::Gateway
            | FetchErrorKind::BrowserGone
            | FetchErrorKind::Down => Some(Trouble::Reset),
            FetchErrorKind::NoRobots => Some(Trouble::ServerError),
            FetchErrorKind::Proxy => Some(Trouble::Proxy),
            FetchErrorKind::Dns
            | FetchErrorKind::Tls
            | FetchErrorKind::PageCrashed
            | FetchErrorKind::Gone => Some(Trouble::Other),
        }
    }

    /// The error row's code and sentence.
    pub fn failure(&self) -> Failure {
        let code = match self.kind {
            FetchErrorKind::Refused => FailureCode::BadInput,
            FetchErrorKind::Timeout => FailureCode::Timeout,
            FetchErrorKind::Robots | FetchErrorKind::NoRobots => FailureCode::RobotsDisallowed,
            FetchErrorKind::NotArchived => FailureCode::NotArchived,
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
            | FetchErrorKind::Gateway
            | FetchErrorKind::Down
            | FetchErrorKind::Gone
            | FetchErrorKind::BrowserGone
            | FetchErrorKind::PageCrashed
            | FetchErrorKind::Script => FailureCode::CrawlError,
            FetchErrorKind::Proxy | FetchErrorKind::NoProxy => FailureCode::ProxyError,
        };
        Failure::new(code, self.message.clone())
    }
}
