//! A bounded set of cookies.

use super::line::Cookie;
use http::{HeaderMap, HeaderValue, header};
use std::fmt;
use url::Url;

/// Cookies of one domain; browsers keep about as many.
const PER_DOMAIN_MAX: usize = 50;
/// Cookies in all: a session is on a handful of sites.
const COOKIES_MAX: usize = 300;
/// Bytes of all together.
const BYTES_MAX: usize = 256 << 10;
/// Bytes of one `Cookie` header: servers refuse heads beyond 8 KiB.
const HEADER_BYTES_MAX: usize = 7 << 10;
/// Lines of one answer that are looked at.
const LINES_MAX: usize = 100;

/// Cookies, oldest first. Its `Debug` shows none.
#[derive(Clone, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
}

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jar({})", self.cookies.len())
    }
}

impl Jar {
    pub(crate) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.cookies.clear();
    }

    /// Takes in what an answer from `url` sets.
    pub(crate) fn take(&mut self, url: &Url, headers: &HeaderMap, now_ms: i64) {
        for line in headers.get_all(header::SET_COOKIE).iter().take(LINES_MAX) {
            // Cookies of other encodings than UTF-8 are not sent back as they came; nobody relies on them.
            if let Some(cookie) =
                std::str::from_utf8(line.as_bytes()).ok().and_then(|line| Cookie::parse(line, url, now_ms))
            {
                self.put(cookie, url, now_ms);
            }
        }
    }

    fn put(&mut self, cookie: Cookie, url: &Url, now_ms: i64) {
        // A plain page may not take the place of what was set over TLS.
        let guarded = |old: &Cookie| {
            old.secure && url.scheme() != "https" && old.name == cookie.name && old.domain == cookie.domain
        };
        if self.cookies.iter().any(guarded) {
            return;
        }
        self.lay(cookie, now_ms);
    }

    /// Lays it where it belongs, within the bounds.
    fn lay(&mut self, mut cookie: Cookie, now_ms: i64) {
        if let Some(at) = self.cookies.iter().position(|old| old.same_place(&cookie)) {
            if cookie.expires.is_some_and(|at| at <= now_ms) {
                self.cookies.remove(at);
            } else {
                // It keeps its place in the order.
                std::mem::swap(&mut self.cookies[at], &mut cookie);
            }
            return;
        }
        if cookie.expires.is_some_and(|at| at <= now_ms) {
            return;
        }
        self.cookies.retain(|old| old.expires.is_none_or(|at| at > now_ms));
        let of_domain = |c: &Cookie| c.domain == cookie.domain;
        if self.cookies.iter().filter(|c| of_domain(c)).count() >= PER_DOMAIN_MAX
            && let Some(oldest) = self.cookies.iter().position(of_domain)
        {
            self.cookies.remove(oldest);
        }
        self.cookies.push(cookie);
        while self.cookies.len() > COOKIES_MAX || self.bytes() > BYTES_MAX {
            self.cookies.remove(0);
        }
    }

    /// All that have not expired, for a browser.
    pub(crate) fn alive(&self, now_ms: i64) -> Vec<Cookie> {
        self.cookies.iter().filter(|c| c.expires.is_none_or(|at| at > now_ms)).cloned().collect()
    }

    /// Takes what a browser made of the cookies that it was given: new ones, changed ones, and those that have gone. What
    /// it left alone stays as it is here by now: another page may have changed it meanwhile.
    pub(crate) fn take_back(&mut self, given: &[Cookie], kept: Vec<Cookie>, now_ms: i64) {
        let has_gone = |old: &Cookie| !kept.iter().any(|new| new.same_place(old));
        for gone in given.iter().filter(|old| has_gone(old)) {
            self.cookies.retain(|mine| !mine.is_as(gone));
        }
        for cookie in kept {
            if cookie.is_allowed() && !given.iter().any(|old| old.is_as(&cookie)) {
                self.lay(cookie, now_ms);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.cookies.iter().map(Cookie::bytes).sum()
    }

    /// What goes to that address: longer paths first, then the older (RFC 6265 5.4).
    fn fitting(&self, url: &Url, now_ms: i64) -> Vec<&Cookie> {
        let mut fitting: Vec<&Cookie> = self.cookies.iter().filter(|c| c.fits(url, now_ms)).collect();
        fitting.sort_by_key(|c| std::cmp::Reverse(c.path.len()));
        fitting
    }

    /// The value of `Cookie` for that address, after what the scraper itself sends; `None` if there is none.
    pub(crate) fn header(&self, url: &Url, own: Option<&HeaderValue>, now_ms: i64) -> Option<HeaderValue> {
        let mut text = own.map(|own| own.as_bytes().to_vec()).unwrap_or_default();
        for cookie in self.fitting(url, now_ms) {
            let more = cookie.name.len() + cookie.value.len() + 3;
            if text.len() + more > HEADER_BYTES_MAX {
                break;
            }
            if !text.is_empty() {
                text.extend_from_slice(b"; ");
            }
            if !cookie.name.is_empty() {
                text.extend_from_slice(cookie.name.as_bytes());
                text.push(b'=');
            }
            text.extend_from_slice(cookie.value.as_bytes());
        }
        let mut value = HeaderValue::from_bytes(&text).ok().filter(|_| !text.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Names of what goes to that address.
    pub(crate) fn names(&self, url: &Url, now_ms: i64) -> Vec<String> {
        self.fitting(url, now_ms).into_iter().map(|cookie| cookie.name.clone()).collect()
    }
}
