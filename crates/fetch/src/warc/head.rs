//! Heads of HTTP messages as text, without what must not be kept.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::{Position, Url};

/// In place of a secret.
const LEFT_OUT: &str = "[left out]";
/// Header lines of a request whose value is a secret by its name.
const SECRETS: &[HeaderName] = &[header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];
/// Parts of names that sites use for keys of their own.
const SECRET_WORDS: &[&str] =
    &["auth", "token", "secret", "password", "passwd", "api-key", "apikey", "access-key", "session", "cookie", "csrf", "xsrf", "signature", "credential"];
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
    let mut out = format!("{method} {} HTTP/1.1\r\n", &url[Position::BeforePath..Position::AfterQuery]).into_bytes();
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
