//! Just enough HTTP/1.1 to serve: reading requests, building whole responses.

use bytes::Bytes;
use std::borrow::Cow;
use std::io::{self, Write as _};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one line that gives the size of a chunk.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

/// A connection and what was read ahead on it.
pub(crate) struct Connection<S = TcpStream> {
    pub(crate) stream: S,
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::with_capacity(4096) }
    }

    /// The next request's head; `None` when the client has gone or talks nonsense.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.ahead[searched..], b"\r\n\r\n") {
                let text: Vec<u8> = self.ahead.drain(..searched + at + 4).collect();
                return Head::new(String::from_utf8(text).ok()?);
            }
            // The end may lie across two reads.
            searched = self.ahead.len().saturating_sub(3);
            if self.ahead.len() > HEAD_BYTES_MAX {
                return None;
            }
            self.fill().await.ok()?;
        }
    }

    /// The body that follows `head`, at most `limit` bytes of it (more is an error).
    pub(crate) async fn body(&mut self, head: &Head, limit: usize) -> io::Result<Vec<u8>> {
        let chunked = head.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        let length = head.header("content-length").and_then(|v| v.parse::<usize>().ok()).unwrap_or(0);
        if !chunked && length == 0 {
            return Ok(Vec::new());
        }
        if head.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if !chunked {
            return self.exactly(length, limit).await;
        }
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                .map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            let chunk = self.exactly(size, limit.saturating_sub(body.len())).await?;
            body.extend_from_slice(&chunk);
            self.line().await?;
        }
    }

    /// Waits until the client has gone.
    pub(crate) async fn until_closed(&mut self) {
        self.ahead.clear();
        while self.fill().await.is_ok() {
            self.ahead.clear();
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.ahead).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn exactly(&mut self, length: usize, limit: usize) -> io::Result<Vec<u8>> {
        if length > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        while self.ahead.len() < length {
            self.fill().await?;
        }
        Ok(self.ahead.drain(..length).collect())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.ahead, b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            if self.ahead.len() > CHUNK_LINE_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.fill().await?;
        }
    }
}

/// Request line and header lines, kept as one text.
pub(crate) struct Head {
    text: String,
    method_end: usize,
    target: std::ops::Range<usize>,
}

impl Head {
    fn new(text: String) -> Option<Self> {
        let line = text.split("\r\n").next()?;
        let mut parts = line.split(' ');
        let (method, mut target) = (parts.next()?, parts.next()?);
        let method_end = method.len();
        let mut start = method_end + 1;
        // The absolute form, as sent to a proxy.
        if let Some(rest) = target.strip_prefix("http://") {
            let path = rest.find('/').unwrap_or(rest.len());
            start += "http://".len() + path;
            target = &rest[path..];
        }
        let target = start..start + target.len();
        Some(Self { text, method_end, target })
    }

    pub(crate) fn method(&self) -> &str {
        &self.text[..self.method_end]
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        match &self.text[self.target.clone()] {
            "" => "/",
            target => target,
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.target().split(['?', '#']).next().unwrap_or("/")
    }

    /// A parameter of the query, unescaped.
    pub(crate) fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, query) = self.target().split_once('?')?;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(unescape(value))
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.split("\r\n").skip(1).filter_map(|line| line.split_once(':')).map(|(k, v)| (k, v.trim()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().find_map(|(k, v)| k.eq_ignore_ascii_case(name).then_some(v))
    }

    pub(crate) fn accepts_gzip(&self) -> bool {
        self.header("accept-encoding").is_some_and(|v| v.split(',').any(|e| e.trim().starts_with("gzip")))
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }
}

/// A whole response with `Content-Length`.
pub(crate) fn response<K: AsRef<str>, V: AsRef<str>>(status: u16, headers: &[(K, V)], body: &[u8]) -> Bytes {
    let mut out = head(status, headers);
    // The head's own end makes room for one more line.
    out.truncate(out.len() - 2);
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.reserve_exact(body.len());
    out.extend_from_slice(body);
    Bytes::from(out)
}

/// A response with nothing remarkable about it.
pub(crate) fn ok(content_type: &str, body: impl AsRef<[u8]>) -> Bytes {
    response(200, &[("Content-Type", content_type)], body.as_ref())
}

/// Status line and header lines, ended by a blank line, with nothing said about the body.
pub(crate) fn head<K: AsRef<str>, V: AsRef<str>>(status: u16, headers: &[(K, V)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let _ = write!(out, "HTTP/1.1 {status} {}\r\nServer: site\r\n", reason(status));
    for (name, value) in headers {
        let _ = write!(out, "{}: {}\r\n", name.as_ref(), value.as_ref());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The head of a whole response, for HEAD.
pub(crate) fn without_body(response: &Bytes) -> Bytes {
    let end = find(response, b"\r\n\r\n").map_or(response.len(), |at| at + 4);
    response.slice(..end)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

/// `%41` → `A`, `+` → space; what is not UTF-8 afterwards is replaced.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let head = Head::new(
            "GET /a/b?url=http%3A%2F%2Fx%2F&q=a+b%2&e= HTTP/1.1\r\nHost: x\r\nACCEPT-encoding: br, gzip;q=1\r\n\r\n".into(),
        )
        .unwrap();
        assert_eq!((head.method(), head.path()), ("GET", "/a/b"));
        assert_eq!(head.query("url").as_deref(), Some("http://x/"));
        assert_eq!(head.query("q").as_deref(), Some("a b%2"));
        assert_eq!(head.query("e").as_deref(), Some(""));
        assert_eq!(head.query("u"), None);
        assert!(head.accepts_gzip() && !head.wants_close());
        let proxied = Head::new("GET http://x:1/p/1?a=b HTTP/1.1\r\n\r\n".into()).unwrap();
        assert_eq!(proxied.target(), "/p/1?a=b");
        assert_eq!(Head::new("GET http://x HTTP/1.1\r\n\r\n".into()).unwrap().target(), "/");
        assert!(Head::new("nonsense\r\n\r\n".into()).is_none());
    }

    #[test]
    fn responses() {
        let whole = response(404, &[("A", "b")], b"body");
        assert_eq!(whole, "HTTP/1.1 404 Not Found\r\nServer: site\r\nA: b\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(without_body(&whole), whole.slice(..whole.len() - 4));
    }
}
