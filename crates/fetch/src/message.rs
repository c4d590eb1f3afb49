//! The message that is sent: one hop of a page, and how a redirect changes it (RFC 9110 15.4, Fetch standard 4.4).

use crate::client::{Whole, uri};
use crate::proxy::basic;
use crate::session::Cookies;
use crate::stream::Peer;
use crate::tap::{RawHead, Tap};
use crate::warc;
use crate::{FetchError, FetchErrorKind};
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, COOKIE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response};
use model::{Cut, Exchange, Method, Request, Timestamp};
use url::Url;

/// What we take, best first.
const ACCEPTED: HeaderValue = HeaderValue::from_static(
    "text/html,application/xhtml+xml,application/xml;q=0.9,application/json;q=0.9,*/*;q=0.8",
);
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// Headers that belong to the connection or are ours to write.
const OURS: [HeaderName; 11] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
];

/// Header lines as a map; the first that cannot be sent is the error.
pub(crate) fn headers(lines: &[(String, String)]) -> Result<HeaderMap, FetchError> {
    let mut map = HeaderMap::with_capacity(lines.len() + 4);
    for (name, value) in lines {
        let refused = |why: &str| {
            let name: String = name.chars().take(60).collect();
            FetchError::new(FetchErrorKind::Refused, format!("the request header `{name}` {why}"))
        };
        let key = HeaderName::try_from(name.as_str()).map_err(|_| refused("is not a header name"))?;
        if OURS.contains(&key) {
            return Err(refused("belongs to the connection and cannot be set"));
        }
        let value =
            HeaderValue::try_from(value.as_str()).map_err(|_| refused("has a value that cannot be sent"))?;
        map.append(key, value);
    }
    Ok(map)
}

fn secret_lines(lines: &[(String, String)]) -> Result<Vec<(HeaderName, HeaderValue)>, FetchError> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let map = headers(lines)?;
    Ok(map.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Puts the head as it came beside what was parsed of it, if the connection still has it and it is this answer's.
pub(crate) fn note_raw_head(answer: &mut response::Parts) {
    let raw = answer.extensions.get::<Tap>().and_then(Tap::take);
    if let Some(head) = raw.and_then(|raw| warc::as_received(&raw, answer.status, &answer.headers)) {
        answer.extensions.insert(RawHead(head));
    }
}

/// One hop on the way to a page.
pub(crate) struct Hop {
    /// Without credentials and fragment.
    pub(crate) url: Url,
    pub(crate) method: Method,
    headers: HeaderMap,
    body: Bytes,
}

/// What a request sends of its own: its address without credentials and fragment, and its header lines, those that are
/// secrets marked so.
pub(crate) fn own(request: &Request) -> Result<(Url, HeaderMap), FetchError> {
    let mut headers = headers(&request.headers)?;
    for (name, mut value) in secret_lines(&request.needs.secret_headers.0)? {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let mut url = request.url.clone();
    tidy(&mut url, &mut headers);
    Ok((url, headers))
}

/// Credentials of the URL become a header; the URL goes into records and logs without them.
fn tidy(url: &mut Url, headers: &mut HeaderMap) {
    url.set_fragment(None);
    if let Some(credentials) = basic(url) {
        headers.insert(AUTHORIZATION, credentials);
        // Only URLs without a host refuse, and those are refused by themselves.
        _ = url.set_username("");
        _ = url.set_password(None);
    }
}

impl Hop {
    /// The first hop.
    pub(crate) fn first(request: Request, user_agent: &HeaderValue) -> Result<Self, FetchError> {
        let (url, mut headers) = own(&request)?;
        headers.entry(USER_AGENT).or_insert_with(|| user_agent.clone());
        headers.entry(ACCEPT).or_insert(ACCEPTED);
        headers.entry(ACCEPT_ENCODING).or_insert(ENCODINGS);
        Ok(Self { url, method: request.method, headers, body: request.body.unwrap_or_default() })
    }

    /// The message for the wire.
    pub(crate) fn message(
        &self,
        proxy_credentials: Option<&HeaderValue>,
        cookies: &Cookies,
    ) -> Result<http::Request<Whole>, FetchError> {
        let mut message = http::Request::new(Whole::new(self.body.clone()));
        *message.uri_mut() = uri(&self.url)?;
        *message.method_mut() = match self.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        *message.headers_mut() = self.headers.clone();
        if let Some(cookies) = cookies.header(&self.url, self.headers.get(COOKIE)) {
            message.headers_mut().insert(COOKIE, cookies);
        }
        if let Some(credentials) = proxy_credentials {
            message.headers_mut().insert(header::PROXY_AUTHORIZATION, credentials.clone());
        }
        Ok(message)
    }

    /// What was asked and answered, as an archive keeps it. `wire`: the body as it came; `cut`: why that is not all.
    pub(crate) fn exchange(
        &self,
        answer: &response::Parts,
        (wire, cut): (Bytes, Option<Cut>),
        directly: bool,
        at: Timestamp,
    ) -> Exchange {
        let address = answer.extensions.get::<Peer>().filter(|_| directly);
        Exchange {
            address: address.map(|peer| peer.0),
            answer_head: match answer.extensions.get::<RawHead>() {
                Some(raw) => raw.0.clone(),
                None => warc::answer_head(answer.status, &answer.headers),
            },
            answer_body: wire,
            cut,
            ..self.unanswered(at)
        }
    }

    /// What was asked in vain, as an archive keeps it.
    pub(crate) fn unanswered(&self, at: Timestamp) -> Exchange {
        let method = match self.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        Exchange {
            url: self.url.clone(),
            at,
            address: None,
            request_head: warc::request_head(&method, &self.url, &self.headers, self.body.len()),
            request_body: self.body.clone(),
            answer_head: Bytes::new(),
            answer_body: Bytes::new(),
            cut: None,
        }
    }

    /// Where an answer leads; `None` if it is the page.
    pub(crate) fn target(&self, status: StatusCode, headers: &HeaderMap) -> Option<Result<Url, FetchError>> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        // A redirect without an address is a page, as in browsers.
        let location = headers.get(LOCATION)?;
        let location = String::from_utf8_lossy(location.as_bytes());
        Some(self.url.join(&location).map_err(|error| {
            FetchError::new(FetchErrorKind::Redirects, format!("the redirect leads to no address: {error}"))
        }))
    }

    /// Would going there send the body to somebody else than it was meant for?
    pub(crate) fn hands_on_its_body(&self, status: StatusCode, target: &Url) -> bool {
        !matches!(status.as_u16(), 301..=303) && !self.body.is_empty() && self.url.origin() != target.origin()
    }

    /// Goes there.
    pub(crate) fn follow(&mut self, status: StatusCode, target: Url) {
        let same_origin = self.url.origin() == target.origin();
        if !same_origin {
            // Secrets were meant for the site that they were given for.
            self.headers.remove(AUTHORIZATION);
            self.headers.remove(COOKIE);
            let secret: Vec<HeaderName> =
                self.headers.iter().filter(|(_, v)| v.is_sensitive()).map(|(name, _)| name.clone()).collect();
            for name in secret {
                self.headers.remove(name);
            }
        }
        // 303 says so, 301 and 302 are taken so by everybody; 307 and 308 exist to say otherwise.
        if matches!(status.as_u16(), 301..=303) && self.method != Method::Get {
            self.method = Method::Get;
            self.body = Bytes::new();
            self.headers.remove(header::CONTENT_TYPE);
            self.headers.remove(header::CONTENT_ENCODING);
            self.headers.remove(header::CONTENT_LANGUAGE);
        }
        self.url = target;
        tidy(&mut self.url, &mut self.headers);
    }
}
