//! What to ask the web, and what came back. Here because `extract` and `fetch` share them and may not meet.

use crate::{Exit, FetchMode, HiddenLines, Rendering, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What to ask the web. Its `Debug` shows no value of a header and no body: they may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// `http` or `https`, without fragment.
    pub url: url::Url,
    /// `GET` unless the scraper says otherwise.
    pub method: Method,
    /// Header lines of the scraper beyond the fetcher's own.
    pub headers: Vec<(String, String)>,
    /// Body for `POST`.
    pub body: Option<Bytes>,
    /// What the scraper asks of the fetcher.
    pub needs: Needs,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("url", &self.url.as_str())
            .field("method", &self.method)
            .field("headers", &headers)
            .field("body", &self.body.as_ref().map(Bytes::len))
            .field("needs", &self.needs)
            .finish()
    }
}

impl Request {
    /// A plain `GET`.
    pub fn get(url: url::Url) -> Self {
        Self { url, method: Method::Get, headers: Vec::new(), body: None, needs: Needs::default() }
    }
}

/// Methods that a scraper may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Ask for a page.
    #[default]
    Get,
    /// Some search forms and JSON APIs want it.
    Post,
}

/// How a page wants to be fetched. Grows with the fetch layer (browser, sessions, robots).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Requests to the host at once, if lower than the operator's setting.
    #[serde(default)]
    pub host_concurrency: Option<u32>,
    /// Milliseconds between two requests to the host, if higher than the operator's setting.
    #[serde(default)]
    pub host_delay_ms: Option<u64>,
    /// What robots.txt means for this page, if the scraper says so; else the operator's setting.
    #[serde(default)]
    pub robots: Option<RobotsPolicy>,
    /// The session that it belongs to: requests of one share cookies and, while it is healthy, a proxy. None: cookies
    /// live for the redirects of this page only.
    #[serde(default)]
    pub session: Option<String>,
    /// Begin the session anew: what it remembers is forgotten first.
    #[serde(default)]
    pub fresh: bool,
    /// A login: nothing of this exchange may be kept or shown, and its body is sent to its own origin only.
    #[serde(default)]
    pub private: bool,
    /// The way out.
    #[serde(default)]
    pub exit: Exit,
    /// Two letters, lower case: the country that the site should see.
    #[serde(default)]
    pub country: Option<String>,
    /// Header lines with secrets, for this page's origin only: a redirect elsewhere loses them.
    #[serde(default)]
    pub secret_headers: HiddenLines,
    /// Keep what was sent and received: [`Extras::exchanges`].
    #[serde(default)]
    pub archive: bool,
    /// Whether kept pages are used instead of fetching anew.
    #[serde(default)]
    pub reuse: Reuse,
    /// Plain, by a browser, or whichever it takes; `None`: the operator's setting.
    #[serde(default)]
    pub mode: Option<FetchMode>,
    /// What a browser is to do, where one fetches the page. Boxed: most pages need none.
    #[serde(default)]
    pub rendering: Option<Box<Rendering>>,
}

/// What is done about a site's robots.txt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RobotsPolicy {
    /// It is asked for and obeyed.
    #[default]
    Respect,
    /// It is not asked for.
    Ignore,
}

/// When a page that was fetched before may stand for the page itself. What is not said is decided by the next in
/// line: the trigger, the scraper's file, the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reuse {
    /// Ask the site only whether a kept page has changed (ETag, Last-Modified, a sitemap's lastmod).
    #[serde(default)]
    pub revalidate: Option<bool>,
    /// Do not ask at all while a kept page is younger than this, milliseconds; 0 always asks.
    #[serde(default)]
    pub max_age_ms: Option<i64>,
}

impl Reuse {
    /// This, and where it says nothing what `less` says.
    #[must_use]
    pub fn or(self, less: Self) -> Self {
        Self {
            revalidate: self.revalidate.or(less.revalidate),
            max_age_ms: self.max_age_ms.or(less.max_age_ms),
        }
    }

    /// Whether pages are kept and used again at all.
    pub fn is_wanted(self) -> bool {
        self.revalidate == Some(true) || self.max_age_ms.is_some_and(|ms| ms > 0)
    }
}

/// What came back: decoded from its transfer and content encodings, bounded in size. A 404 is a page, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where the answer came from, after redirects.
    pub url: url::Url,
    /// HTTP status.
    pub status: u16,
    /// Header lines in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with content encodings removed, charset as sent.
    pub body: Bytes,
    /// When it arrived.
    pub fetched_at: Timestamp,
    /// Bytes of the body as they came over the wire.
    pub wire_bytes: u64,
    /// What was asked for beside the body.
    pub extras: Extras,
}

/// What a page leaves beside its body, where it was asked for. Empty for most pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Names of the cookies that its session would send to this address now. Only with [`Needs::private`].
    pub cookies: Vec<String>,
    /// A browser made the body: it is the document as its scripts left it.
    pub rendered: bool,
    /// The page as a picture (PNG).
    pub screenshot: Option<Bytes>,
    /// Responses that the page's scripts got and that the scraper asked for, in order.
    pub captured: Vec<Captured>,
    /// Every request and its answer on the way to the page, redirects first; only if [`Needs::archive`] asks for it.
    pub exchanges: Vec<Exchange>,
}

/// A response that a page's scripts got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Where it came from.
    pub url: url::Url,
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if it had one.
    pub content_type: Option<String>,
    /// The body, decoded.
    pub body: Bytes,
}

/// One request and its answer as they went over the wire: what an archive keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What was asked for, without credentials and fragment.
    pub url: url::Url,
    /// When the answer was complete; of the last one the page's own moment.
    pub at: Timestamp,
    /// Who answered, if it was asked without a proxy between.
    pub address: Option<std::net::IpAddr>,
    /// Request line and header lines, values of credentials left out.
    pub request_head: Bytes,
    /// Body of the request.
    pub request_body: Bytes,
    /// Status line and header lines, values of cookies left out. Empty: no answer came.
    pub answer_head: Bytes,
    /// The body as it came, in its content encodings.
    pub answer_body: Bytes,
    /// Why the body is not whole, if it is not.
    pub cut: Option<Cut>,
}

impl Exchange {
    /// Whether any answer came: its head was whole.
    pub fn was_answered(&self) -> bool {
        !self.answer_head.is_empty()
    }
}

/// Why only a part of an answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is larger than a page may be.
    Length,
    /// It took too long.
    Time,
    /// The connection ended before it.
    Disconnect,
    /// The rest was not wanted, or makes no sense.
    Unspecified,
}

impl Cut {
    /// WARC's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Time => "time",
            Self::Disconnect => "disconnect",
            Self::Unspecified => "unspecified",
        }
    }
}

impl Page {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The host of a lane: a host that is spread over several lanes has them as `host#0`, `host#1`, ….
pub fn host_of_lane(lane: &str) -> &str {
    lane.split_once('#').map_or(lane, |(host, _)| host)
}

/// The host of a URL as a lane's name: lower case, with the port where it is not the scheme's own.
pub fn host_of(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
