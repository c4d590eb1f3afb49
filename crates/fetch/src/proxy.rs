//! Forward proxies: reading their addresses, and asking them for a tunnel (RFC 9110 9.3.6).
//!
//! Must not know: what is sent through the tunnel.

use crate::{FetchError, FetchErrorKind};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use std::fmt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

/// Bytes of a proxy's answer to CONNECT. It is a status line and a few headers.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// One forward proxy. Its `Debug` does not show the credentials.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Name or literal, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `Proxy-Authorization`.
    pub(crate) credentials: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxy {
    /// Reads `http://user:password@host:port`. The error does not repeat it: it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let url =
            Url::parse(text.trim()).map_err(|_| "a proxy is written `http://user:password@host:port`")?;
        if url.scheme() != "http" {
            return Err("a proxy is spoken to over `http://`; it tunnels https by itself");
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("a proxy has no path");
        }
        let host = bare_host(url.host_str().unwrap_or_default());
        if host.is_empty() {
            return Err("a proxy needs a host");
        }
        Ok(Self {
            host: host.to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            credentials: basic(&url),
        })
    }

    /// Asks for a tunnel to that authority (`host:port`).
    pub(crate) async fn tunnel<S>(&self, stream: &mut S, authority: &str) -> Result<(), FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(credentials) = &self.credentials {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(credentials.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let broken = |error: std::io::Error| proxy_error(format!("the proxy broke off: {error}"));
        stream.write_all(&head).await.map_err(broken)?;

        let mut answer = Vec::with_capacity(512);
        let end = loop {
            if let Some(at) = find_end(&answer) {
                break at;
            }
            if answer.len() >= ANSWER_BYTES_MAX {
                return Err(proxy_error("the proxy's answer to CONNECT is too long"));
            }
            let mut chunk = [0; 512];
            match stream.read(&mut chunk).await.map_err(broken)? {
                0 => return Err(proxy_error("the proxy closed the connection instead of answering CONNECT")),
                n => answer.extend_from_slice(&chunk[..n]),
            }
        };
        match status(&answer) {
            // In TLS the client speaks first: bytes before that are not the target's.
            Some(200..=299) if end < answer.len() => Err(proxy_error("the proxy spoke into the tunnel")),
            Some(200..=299) => Ok(()),
            Some(407) => Err(proxy_error("the proxy refuses our credentials (407)")),
            Some(status) => Err(proxy_error(format!("the proxy refuses the tunnel ({status})"))),
            None => Err(proxy_error("the proxy's answer to CONNECT is not HTTP")),
        }
    }
}

pub(crate) fn proxy_error(message: impl Into<String>) -> FetchError {
    FetchError::new(FetchErrorKind::Proxy, message)
}

/// An IPv6 literal without its brackets.
pub(crate) fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The credentials of a URL as `Basic` (RFC 7617); `None` if it has none.
pub(crate) fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent_decode(url.username());
    pair.push(b':');
    pair.extend(percent_decode(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Where the head ends.
fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// The status of a status line.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|b| *b == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("HTTP/1.")?.get(1..)?.strip_prefix(' ')?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read() {
        let proxy = Proxy::parse("http://us%40er:p%3Aw@[::1]:3128").expect("proxy");
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 3128));
        assert_eq!(proxy.credentials.expect("credentials"), "Basic dXNAZXI6cDp3");
        let proxy = Proxy::parse("http://squid").expect("proxy");
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.credentials), ("squid", 80, None));
    }

    #[test]
    fn what_is_not_a_proxy_is_refused() {
        for text in
            ["", "squid:3128", "https://squid", "socks5://squid", "http://squid/path", "http://squid?q"]
        {
            assert!(Proxy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_keeps_the_secret() {
        let proxy = Proxy::parse("http://user:secret@squid:1").expect("proxy");
        assert_eq!(format!("{proxy:?}"), "Proxy(squid:1)");
    }

    #[test]
    fn status_lines() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for bad in [&b""[..], b"200 OK\r\n", b"HTTP/1.1 x\r\n", b"HTTP/1.\r\n", b"\xff\r\n"] {
            assert_eq!(status(bad), None);
        }
    }
}
