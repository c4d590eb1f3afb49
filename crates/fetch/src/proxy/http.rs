//! Asking an HTTP proxy for a tunnel (RFC 9110 9.3.6).

use super::{Target, gateway_error, proxy_error};
use crate::FetchError;
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a proxy's answer to CONNECT. It is a status line and a few headers.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// Asks for a tunnel.
pub(super) async fn tunnel<S>(
    stream: &mut S,
    credentials: Option<&HeaderValue>,
    target: &Target<'_>,
) -> Result<(), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let authority = match target {
        Target::Host(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Target::Host(host, port) => format!("{host}:{port}"),
        Target::Address(address) => address.to_string(),
    };
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(credentials) = credentials {
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
        Some(status @ 500..=599) => {
            Err(gateway_error(format!("the proxy does not reach the site ({status} to CONNECT)")))
        }
        Some(status) => Err(proxy_error(format!("the proxy refuses the tunnel ({status})"))),
        None => Err(proxy_error("the proxy's answer to CONNECT is not HTTP")),
    }
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
    fn status_lines() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for bad in [&b""[..], b"200 OK\r\n", b"HTTP/1.1 x\r\n", b"HTTP/1.\r\n", b"\xff\r\n"] {
            assert_eq!(status(bad), None);
        }
    }
}
