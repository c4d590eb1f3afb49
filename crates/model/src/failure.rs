//! Why an input has no record: one table of codes (api.md 10.2).

use crate::{Trouble, limit};
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $sentence:literal;)*) => {
        /// The stable word for why an input has no record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum FailureCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl FailureCode {
            /// Every code, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word in `error_code`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The sentence in `error` where nothing more exact is known.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

codes! {
    /// The site says that there is no such page: 404, 410 and other 4xx.
    DeadPage = "dead_page", "4XX page - dead page.";
    /// Cancelled, or the deadline passed, before it was collected.
    AbortedPage = "aborted_page", "Crawl aborted on job cancel";
    /// The input cannot be collected: not a URL, or an address off limits.
    BadInput = "bad_input", "The input was rejected";
    /// The site refused: 401, 403, 407, 451, or 429 to the last attempt.
    Blocked = "blocked", "The site refused the request";
    /// The site's robots.txt asks crawlers to stay away, and the settings say to respect it.
    RobotsDisallowed = "robots_disallowed", "The site's robots.txt disallows this page";
    /// The page that came is a refusal dressed as a page.
    DetectBlock = "detect_block", "The page is a block page";
    /// The page that came asks for a login first.
    LoginRequired = "login_required", "The page asks for a login";
    /// The page that came asks for consent first, and shows nothing else.
    ConsentWall = "consent_wall", "The page asks for consent before it shows anything";
    /// No answer within the time allowed.
    Timeout = "timeout", "The page did not answer in time";
    /// The page could not be had: connection, protocol, 5xx, size.
    CrawlError = "crawl_error", "The page could not be fetched";
    /// The page came, but the scraper could not read it.
    ParseError = "parse_error", "The page could not be read";
    /// More listing pages than the scraper allows.
    TooManyPages = "too_many_pages", "Too many pages were followed";
    /// A sitemap could not be read.
    LoadSitemap = "load_sitemap", "The sitemap could not be loaded";
    /// The scraper's login did not succeed.
    LoginFailed = "login_failed", "The login failed";
    /// No proxy could be used: none fits, or those that fit do not work.
    ProxyError = "proxy_error", "No proxy could be used";
    /// A replay wants a page that was not kept.
    NotArchived = "not_archived", "The page is not in the archive";
    /// An element that the scraper waits for did not come.
    WaitElementTimeout = "wait_element_timeout", "The element did not appear in time";
    /// An element that the scraper clicks did not come, or stayed covered.
    ClickTimeout = "click_timeout", "The element could not be clicked in time";
    /// The page needs a browser and this server has none.
    NoBrowser = "no_browser", "The page needs a browser, and none is installed";
    /// Our own fault: a bug, or an input that kept killing its worker.
    Internal = "internal_error", "Something went wrong. Our team is looking into it.";
}

impl FailureCode {
    /// The code of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str() == word)
    }
}

/// Why an input has no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable word.
    pub code: FailureCode,
    /// A sentence for people, without secrets, bounded by [`limit::MESSAGE_CHARS`].
    pub message: String,
    /// When it was seen; its error row tells this time. `None`: when its input is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<crate::Timestamp>,
}

impl Failure {
    /// With a sentence of its own.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if let Some((cut, _)) = message.char_indices().nth(limit::MESSAGE_CHARS) {
            message.truncate(cut);
        }
        Self { code, message, at: None }
    }

    /// Seen at that time.
    #[must_use]
    pub fn at(self, at: crate::Timestamp) -> Self {
        Self { at: Some(at), ..self }
    }
}

impl From<FailureCode> for Failure {
    fn from(code: FailureCode) -> Self {
        Self::new(code, code.sentence())
    }
}

/// What a status says about its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is something to read.
    Read,
    /// Trouble that may pass, and the code if it does not.
    Later(Trouble, FailureCode),
    /// It will not pass.
    Never(FailureCode),
}

/// Reads an HTTP status (RFC 9110 section 15) as a collector must.
pub fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Read,
        429 => Verdict::Later(Trouble::SlowDown, FailureCode::Blocked),
        503 => Verdict::Later(Trouble::SlowDown, FailureCode::CrawlError),
        408 | 425 => Verdict::Later(Trouble::Timeout, FailureCode::Timeout),
        401 | 403 | 407 | 451 => Verdict::Never(FailureCode::Blocked),
        400..=499 => Verdict::Never(FailureCode::DeadPage),
        501 | 505 => Verdict::Never(FailureCode::CrawlError),
        500..=599 => Verdict::Later(Trouble::ServerError, FailureCode::CrawlError),
        _ => Verdict::Never(FailureCode::CrawlError),
    }
}
