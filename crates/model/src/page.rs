//! What to ask the web, and what came back. Here because `extract` and `fetch` share them and may not meet.

use crate::{FetchMode, Rendering, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What to ask the web.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Plain, by a browser, or whichever it takes; `None`: the operator's setting.
    #[serde(default)]
    pub mode: Option<FetchMode>,
    /// What a browser is to do, where one fetches the page. Boxed: most pages need none.
    #[serde(default)]
    pub rendering: Option<Box<Rendering>>,
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
    /// A browser made the body: it is the document as its scripts left it.
    pub rendered: bool,
    /// The page as a picture (PNG).
    pub screenshot: Option<Bytes>,
    /// Responses that the page's scripts got and that the scraper asked for, in order.
    pub captured: Vec<Captured>,
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

impl Page {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The host of a URL as a lane's name: lower case, with the port where it is not the scheme's own.
pub fn host_of(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
