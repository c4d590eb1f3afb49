//! What a page is opened with: a request, told apart into what a browser is given in different ways.
//!
//! Must not know: DevTools, how any of it is carried out.

use super::settings::BrowserSettings;
use crate::FetchError;
use crate::cookie::Cookie;
use crate::fetcher::{HttpFetcher, Visit};
use crate::message;
use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, COOKIE, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName};
use model::{Request, ResourceKind};
use url::Url;

/// What a tab is opened with.
pub(super) struct Plan {
    /// Without credentials and fragment.
    pub(super) url: Url,
    pub(super) user_agent: String,
    pub(super) accept_language: Option<String>,
    pub(super) referrer: Option<String>,
    /// Sent to the page's own origin, and to nobody else.
    pub(super) headers: Vec<(String, String)>,
    /// Of its session, and those of the request itself.
    pub(super) cookies: Vec<Cookie>,
    pub(super) block: Vec<ResourceKind>,
    pub(super) capture: Option<String>,
    pub(super) screenshot: bool,
    pub(super) bytes_max: u64,
}

impl Plan {
    /// For that request.
    pub(super) fn of(
        request: &Request,
        settings: &BrowserSettings,
        http: &HttpFetcher,
        visit: &Visit,
    ) -> Result<Self, FetchError> {
        let (url, mut lines) = message::own(request)?;
        let rendering = request.needs.rendering.as_deref();
        // Nothing of a login is kept.
        let rendering_kept = rendering.filter(|_| !request.needs.private);
        let screenshot = rendering_kept.is_some_and(|r| r.screenshot);
        let mut cookies = visit.cookies();
        for pair in taken(&mut lines, &COOKIE).iter().flat_map(|line| line.split(';')) {
            if let Some(own) = Cookie::given(pair, &url) {
                cookies.retain(|cookie| !cookie.same_place(&own));
                cookies.push(own);
            }
        }
        // The browser says itself what it can unpack.
        lines.remove(ACCEPT_ENCODING);
        let mut last = |name| taken(&mut lines, &name).pop();
        Ok(Self {
            user_agent: last(USER_AGENT).unwrap_or_else(|| http.user_agent()),
            accept_language: last(ACCEPT_LANGUAGE),
            referrer: last(REFERER),
            headers: lines.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            cookies,
            block: rendering.and_then(|r| r.block.clone()).unwrap_or_else(|| match screenshot {
                // A picture shows what a visitor sees.
                true => Vec::new(),
                false => settings.block.clone(),
            }),
            capture: rendering_kept.and_then(|r| r.capture.clone()),
            screenshot,
            bytes_max: http.page_bytes_max(),
            url,
        })
    }
}

fn text(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn taken(lines: &mut HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = lines.get_all(name).iter().map(text).collect();
    lines.remove(name);
    values
}
