//! Heads of HTTP messages as text, without what must not be kept.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::{Position, Url};

/// In place of a secret.
const LEFT_OUT: &str = "[left out]";
/// Header lines of a request whose value is a secret by its name.
const SECRETS: &[HeaderName] = &[header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];
/// Parts of names that sites use for keys of their own.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "apikey",
    "access-key",
    "session",
    "cookie",
    "csrf",
    "xsrf",
    "signature",
    "credential",
];
/// How the body travelled. It is kept without chunks, so the line that announces them gets another name.
const TRAVELLED: &str = "x-orig-";

/// A header's value as it may be kept: secrets of requests are left out, and the values of cookies that a site sets.
pub fn redacted(name: &str, value: &[u8], of_request: bool) -> Vec<u8> {
    let lower = name.to_ascii_lowercase();
    if of_request {
        let is_secret = SECRETS.iter().any(|secret| *secret == lower.as_str())
            || SECRET_WORDS.iter().any(|word| lower.contains(word));
        return if is_secret { LEFT_OUT.into() } else { value.to_vec() };
    }
    if !matches!(lower.as_str(), "set-cookie" | "set-cookie2") {
        return value.to_vec();
    }
    // The name and the attributes tell what kind of cookie it was.
    let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    let (pair, attributes) = value.split_at(end);
    let name = pair.iter().position(|b| *b == b'=').map_or(&b""[..], |at| &pair[..=at]);
    [name, LEFT_OUT.as_bytes(), attributes].concat()
}

/// The head of a request: a line, header lines, an empty line. `length`: bytes of its body.
pub fn request_head(method: &Method, url: &Url, headers: &HeaderMap, length: usize) -> Bytes {
    let mut out =
        format!("{method} {} HTTP/1.1\r\n", &url[Position::BeforePath..Position::AfterQuery]).into_bytes();
    let host = &url[Position::BeforeHost..Position::AfterPort];
    line(&mut out, "host", host.as_bytes());
    for (name, value) in headers {
        line(&mut out, name.as_str(), &redacted(name.as_str(), value.as_bytes(), true));
    }
    if length > 0 && !headers.contains_key(header::CONTENT_LENGTH) {
        line(&mut out, "content-length", length.to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.into()
}

/// The head of an answer. Of HTTP/2 in the form of HTTP/1.1, which has words for all of it.
pub fn answer_head(status: StatusCode, headers: &HeaderMap<HeaderValue>) -> Bytes {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in headers {
        let value = redacted(name.as_str(), value.as_bytes(), false);
        if *name == header::TRANSFER_ENCODING {
            line(&mut out, &format!("{TRAVELLED}{name}"), &value);
        } else {
            line(&mut out, name.as_str(), &value);
        }
    }
    out.extend_from_slice(b"\r\n");
    out.into()
}

/// A head as it came, without what must not be kept; `None` if it is not the head of this answer.
pub(crate) fn as_received(raw: &[u8], status: StatusCode, headers: &HeaderMap) -> Option<Bytes> {
    let (found, parsed, end) = super::answer::head(raw)?;
    if found != status.as_u16() || parsed != *headers || end != raw.len() {
        return None;
    }
    let mut out = Vec::with_capacity(raw.len() + 16);
    let mut is_first = true;
    // A folded line belongs to the one before it, whose value may be a secret.
    let mut leaves_out = false;
    for text in raw.split_inclusive(|b| *b == b'\n') {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let is_folded = text.starts_with(b" ") || text.starts_with(b"\t");
        if is_folded && leaves_out {
            continue;
        }
        let colon = text.iter().position(|b| *b == b':').filter(|_| !is_first && !is_folded);
        is_first = false;
        let Some(colon) = colon else {
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
            continue;
        };
        let (name, value) = (String::from_utf8_lossy(&text[..colon]), text[colon + 1..].trim_ascii());
        let kept = redacted(name.trim(), value, false);
        leaves_out = kept != value;
        if name.trim().eq_ignore_ascii_case("transfer-encoding") {
            line(&mut out, &format!("X-Orig-{}", name.trim()), &kept);
        } else {
            line(&mut out, name.trim(), &kept);
        }
    }
    Some(out.into())
}

/// The name that a line of a kept head had when it came.
pub(super) fn name_as_received(lower: &str) -> &str {
    lower.strip_prefix(TRAVELLED).unwrap_or(lower)
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
