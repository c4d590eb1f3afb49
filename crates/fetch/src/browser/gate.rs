//! The gate: the only way out of a browser's context. A small forward proxy on loopback, one for each page.
//!
//! Owns: vetting every address that a page's scripts ask for (the same guard and names as plain fetching), the page's
//! bytes, and remembering why something was refused. Must not know: DevTools, what a page is.
//!
//! Invariant: no connection is opened that the guard has not passed; closing the gate closes every connection.

use crate::connect::Connector;
use crate::proxy::proxy_error;
use crate::{FetchError, FetchErrorKind};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use url::Url;

/// Connections of one page at once; browsers keep to about as many.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// For a request's head to arrive: the browser is on this machine.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// Refusals that are remembered.
const REFUSALS_MAX: usize = 64;
/// Bytes copied at once.
const CHUNK: usize = 32 << 10;

/// An open gate.
pub(super) struct Gate {
    port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    connector: Connector,
    bytes: AtomicU64,
    bytes_max: u64,
    requests: AtomicU64,
    /// By `host:port`, the newest last.
    refusals: Mutex<VecDeque<(String, FetchError)>>,
    room: Semaphore,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Opens one through which at most `bytes_max` bytes come in.
    pub(super) async fn open(connector: Connector, bytes_max: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            connector,
            bytes: AtomicU64::new(0),
            bytes_max,
            requests: AtomicU64::new(0),
            refusals: Mutex::default(),
            room: Semaphore::new(CONNECTIONS_MAX),
        });
        let task = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Ok(Self { port, shared, task })
    }

    /// As a browser wants to be told.
    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Bytes that came in so far.
    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Connections and requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Why that address was refused, if it was.
    pub(super) fn refusal(&self, url: &Url) -> Option<FetchError> {
        let wanted = authority(url)?;
        let refusals = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.iter().rev().find(|(at, _)| *at == wanted).map(|(_, error)| error.clone())
    }
}

fn authority(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborting this task drops the set, and with it every connection.
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(stream) = listener.accept().await.map(|(stream, _)| stream) else {
            // Out of file descriptors: they come back as connections end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = shared.clone();
        open.spawn(async move {
            let Ok(_room) = shared.room.acquire().await else { return };
            if let Err(error) = serve(stream, &shared).await {
                tracing::trace!(%error, "a connection of a page ended");
            }
        });
    }
}

/// What a browser asked of us.
struct Asked {
    target: Url,
    tunnel: bool,
    /// The head as it goes on: everything after the request line, without what is between the browser and us.
    method: String,
    lines: Vec<u8>,
    /// What came after the head.
    rest: Vec<u8>,
}

async fn serve(mut browser: TcpStream, shared: &Shared) -> io::Result<()> {
    let asked = tokio::time::timeout(HEAD_PATIENCE, head(&mut browser)).await??;
    let Some(asked) = asked else { return Ok(()) };
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let onward = if asked.tunnel {
        shared.connector.tunnel(&asked.target).await.map(|stream| (stream, None))
    } else {
        shared.connector.forward(&asked.target).await
    };
    let (mut site, proxy) = match onward {
        Ok(way) => way,
        Err(error) => return refuse(browser, shared, &asked, error).await,
    };
    if asked.tunnel {
        browser.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    } else {
        site.write_all(&onward_head(&asked, proxy.as_ref())).await?;
    }
    site.write_all(&asked.rest).await?;
    if !asked.tunnel && proxy.is_some() {
        let first = beginning(&mut site).await?;
        if is_refusal_of_credentials(&first) {
            let error = proxy_error("the proxy refuses our credentials (407)");
            return refuse(browser, shared, &asked, error).await;
        }
        shared.bytes.fetch_add(first.len() as u64, Ordering::Relaxed);
        browser.write_all(&first).await?;
    }
    let (from_browser, to_browser) = browser.split();
    let (from_site, to_site) = site.split();
    // Neither is waited for once the page has all it may have; a half that ends closes its own direction.
    let up = copy(from_browser, to_site, |_| true);
    let down = copy(from_site, to_browser, |bytes| {
        shared.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64 <= shared.bytes_max
    });
    let (up, down) = tokio::join!(up, down);
    if down.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::FileTooLarge) {
        let message = format!("the page and what it embeds are larger than {} bytes", shared.bytes_max);
        remember(shared, &asked.target, FetchError::new(FetchErrorKind::TooLarge, message));
    }
    up.and(down)
}

/// The first bytes of an answer, enough to see its status.
async fn beginning(site: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(1_024);
    while first.len() < "HTTP/1.1 407".len() && site.read_buf(&mut first).await? > 0 {}
    Ok(first)
}

/// The browser would ask its user for them.
fn is_refusal_of_credentials(first: &[u8]) -> bool {
    first.starts_with(b"HTTP/1.") && first.get(8..12) == Some(b" 407")
}

async fn refuse(mut browser: TcpStream, shared: &Shared, asked: &Asked, error: FetchError) -> io::Result<()> {
    let host = asked.target.host_str().unwrap_or_default();
    tracing::debug!(host, %error, "a page asked for what it may not have");
    remember(shared, &asked.target, error);
    if asked.tunnel {
        browser.write_all(b"HTTP/1.1 502 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
    }
    // Otherwise nothing: an answer of ours would be taken for the site's.
    Ok(())
}

fn remember(shared: &Shared, target: &Url, error: FetchError) {
    let Some(at) = authority(target) else { return };
    let mut refusals = shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
    if refusals.len() >= REFUSALS_MAX {
        refusals.pop_front();
    }
    refusals.push_back((at, error));
}

async fn copy(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    may_go_on: impl Fn(usize) -> bool,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = from.read(&mut chunk).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        if !may_go_on(n) {
            // Both directions end: the other one sees its peer close.
            _ = to.shutdown().await;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        to.write_all(&chunk[..n]).await?;
    }
}

/// The browser's request; `None` if it closed without one, or what it said is none.
async fn head(browser: &mut TcpStream) -> io::Result<Option<Asked>> {
    let mut bytes = Vec::with_capacity(1_024);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if bytes.len() > HEAD_BYTES_MAX || browser.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let rest = bytes.split_off(end);
    Ok(asked(&bytes, rest))
}

fn asked(head: &[u8], rest: Vec<u8>) -> Option<Asked> {
    let head = String::from_utf8_lossy(head);
    let (first, lines) = head.split_once("\r\n")?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let tunnel = method == "CONNECT";
    // Through the URL parser either way: it reads addresses in disguise as what they are.
    let target = Url::parse(&if tunnel { format!("https://{target}/") } else { target.to_owned() }).ok()?;
    target.host_str()?;
    if !tunnel && target.scheme() != "http" {
        return None;
    }
    let mut kept = Vec::with_capacity(lines.len() + 32);
    for line in lines.split("\r\n").filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().trim();
        let hop = ["proxy-connection", "proxy-authorization", "connection", "keep-alive", "host"];
        if !hop.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            kept.extend_from_slice(line.as_bytes());
            kept.extend_from_slice(b"\r\n");
        }
    }
    Some(Asked { target, tunnel, method: method.to_owned(), lines: kept, rest })
}

/// The head for the site, or for the proxy on the way to it. One request for each connection keeps bodies apart.
fn onward_head(asked: &Asked, proxy: Option<&Option<http::HeaderValue>>) -> Vec<u8> {
    let target = &asked.target;
    let host = target.host_str().unwrap_or_default();
    let authority = target.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = match target.query() {
        Some(query) => format!("{}?{query}", target.path()),
        None => target.path().to_owned(),
    };
    let place = if proxy.is_some() { format!("http://{authority}{path}") } else { path };
    let mut out = format!("{} {place} HTTP/1.1\r\nHost: {authority}\r\n", asked.method).into_bytes();
    out.extend_from_slice(&asked.lines);
    if let Some(Some(credentials)) = proxy {
        out.extend_from_slice(b"Proxy-Authorization: ");
        out.extend_from_slice(credentials.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_on_without_what_is_between_browser_and_gate() {
        let head =
            b"GET http://Shop.test:81/a?b=c HTTP/1.1\r\nHost: other\r\nProxy-Connection: keep-alive\r\n\
                     Accept: */*\r\nProxy-Authorization: Basic eA==\r\n\r\n";
        let asked = asked(head, Vec::new()).unwrap();
        assert_eq!(
            String::from_utf8(onward_head(&asked, None)).unwrap(),
            "GET /a?b=c HTTP/1.1\r\nHost: shop.test:81\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        let secret = http::HeaderValue::from_static("Basic eTp6");
        let through = String::from_utf8(onward_head(&asked, Some(&Some(secret)))).unwrap();
        assert!(through.starts_with("GET http://shop.test:81/a?b=c HTTP/1.1\r\n"), "{through}");
        assert!(through.contains("Proxy-Authorization: Basic eTp6\r\n"), "{through}");
    }

    #[test]
    fn addresses_in_disguise_are_read_as_what_they_are() {
        for (target, host) in [
            ("2130706433:80", "127.0.0.1"),
            ("0x7f.1:443", "127.0.0.1"),
            ("[::ffff:127.0.0.1]:80", "[::ffff:7f00:1]"),
            ("shop.test:443", "shop.test"),
        ] {
            let head = format!("CONNECT {target} HTTP/1.1\r\n\r\n");
            let asked = asked(head.as_bytes(), Vec::new()).unwrap();
            assert_eq!(asked.target.host_str(), Some(host), "{target}");
        }
    }

    #[test]
    fn a_proxy_that_refuses_us_is_told_from_a_site() {
        assert!(is_refusal_of_credentials(b"HTTP/1.1 407 Proxy Authentication Required\r\n"));
        assert!(is_refusal_of_credentials(b"HTTP/1.0 407"));
        for other in [&b"HTTP/1.1 401 Unauthorized\r\n"[..], b"HTTP/1.1 40", b"", b"ICY 407 x"] {
            assert!(!is_refusal_of_credentials(other));
        }
    }

    #[test]
    fn nonsense_is_no_request() {
        for head in [
            "\r\n\r\n",
            "GET\r\n\r\n",
            "GET /path HTTP/1.1\r\n\r\n",
            "GET file:///etc/passwd HTTP/1.1\r\n\r\n",
            "GET https://shop.test/ HTTP/1.1\r\n\r\n",
            "CONNECT  HTTP/1.1\r\n\r\n",
        ] {
            assert!(asked(head.as_bytes(), Vec::new()).is_none(), "{head}");
        }
    }
}
