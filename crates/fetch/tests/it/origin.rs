//! A web server that does as the test says, byte for byte, and remembers what it saw.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One thing to do in answer to a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Write that.
    Send(Vec<u8>),
    /// Write that without end.
    Endless(Vec<u8>),
    /// Write it byte by byte, pausing between.
    Trickle(Vec<u8>, Duration),
    /// Wait until the test says so.
    Wait(Arc<Notify>),
    /// Neither write nor close until the other side is gone.
    Hang,
    /// Close in good order.
    Close,
    /// Close with a reset.
    Reset,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which of all requests it is, from 0.
    pub(crate) number: usize,
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// Request line and headers.
    pub(crate) head: String,
    /// The body, with chunking removed.
    pub(crate) body: Vec<u8>,
    /// When the head was complete.
    pub(crate) at: Instant,
}

impl Seen {
    /// The path of the request line.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The header of that lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

type Script = dyn Fn(&Seen) -> Vec<Act> + Send + Sync;

/// The server.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
}

struct State {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    arrived: Notify,
    connections: AtomicUsize,
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
}

impl Origin {
    /// Starts it.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let origin = Self {
            addr: listener.local_addr().expect("address"),
            state: Arc::new(State {
                script: Box::new(script),
                seen: Mutex::new(Vec::new()),
                arrived: Notify::new(),
                connections: AtomicUsize::new(0),
                at_once: AtomicUsize::new(0),
                at_once_max: AtomicUsize::new(0),
            }),
        };
        let state = Arc::clone(&origin.state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move { state.connection(stream).await });
            }
        });
        origin
    }

    /// Starts one that always answers that, and keeps the connection.
    pub(crate) async fn always(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_| vec![Act::Send(bytes.clone())]).await
    }

    /// Its URL with that path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("lock").clone()
    }

    /// Waits until that many requests have come.
    pub(crate) async fn requests(&self, count: usize) {
        loop {
            let arrived = self.state.arrived.notified();
            if self.seen().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn at_once_max(&self) -> usize {
        self.state.at_once_max.load(Ordering::SeqCst)
    }
}

impl State {
    async fn connection(&self, stream: TcpStream) {
        let connection = self.connections.fetch_add(1, Ordering::SeqCst);
        let mut stream = stream;
        while let Some((head, body)) = read_request(&mut stream).await {
            let now_at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.at_once_max.fetch_max(now_at_once, Ordering::SeqCst);
            let seen = {
                let mut all = self.seen.lock().expect("lock");
                let seen = Seen { number: all.len(), connection, head, body, at: Instant::now() };
                all.push(seen.clone());
                seen
            };
            self.arrived.notify_waiters();
            let open = self.play(&mut stream, (self.script)(&seen)).await;
            if !open {
                return;
            }
        }
    }

    /// Does as told; whether the connection stays open.
    async fn play(&self, stream: &mut TcpStream, acts: Vec<Act>) -> bool {
        // The request counts until the last byte is about to be written: the other side may ask again at once.
        let last = acts.len().saturating_sub(1);
        let mut counted = true;
        let mut done = || {
            if std::mem::take(&mut counted) {
                self.at_once.fetch_sub(1, Ordering::SeqCst);
            }
        };
        for (at, act) in acts.into_iter().enumerate() {
            if at == last {
                done();
            }
            let open = match act {
                Act::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
                Act::Endless(bytes) => {
                    while stream.write_all(&bytes).await.is_ok() {}
                    false
                }
                Act::Trickle(bytes, pause) => {
                    let mut ok = true;
                    for byte in bytes {
                        tokio::time::sleep_until(tokio::time::Instant::now() + pause).await;
                        ok &= stream.write_all(&[byte]).await.is_ok();
                        if !ok {
                            break;
                        }
                    }
                    ok
                }
                Act::Wait(bell) => {
                    bell.notified().await;
                    true
                }
                Act::Hang => {
                    let mut rest = [0; 1024];
                    while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
                    false
                }
                Act::Close => {
                    _ = stream.shutdown().await;
                    false
                }
                Act::Reset => {
                    _ = stream.set_zero_linger();
                    false
                }
            };
            if !open {
                done();
                return false;
            }
        }
        done();
        true
    }
}

/// Reads one request; `None` when there is none.
async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at + 4;
        }
        if !more(stream, &mut bytes).await {
            return None;
        }
    };
    let mut rest = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let lower = head.to_ascii_lowercase();
    if let Some(length) = lower.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        let length: usize = length.parse().expect("length");
        while rest.len() < length {
            if !more(stream, &mut rest).await {
                return None;
            }
        }
    } else if lower.contains("transfer-encoding: chunked") {
        let mut body = Vec::new();
        loop {
            while find(&rest, b"\r\n").is_none() {
                if !more(stream, &mut rest).await {
                    return None;
                }
            }
            let line = find(&rest, b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
            while rest.len() < line + 2 + size + 2 {
                if !more(stream, &mut rest).await {
                    return None;
                }
            }
            body.extend_from_slice(&rest[line + 2..line + 2 + size]);
            rest.drain(..line + 2 + size + 2);
            if size == 0 {
                break;
            }
        }
        rest = body;
    }
    Some((head, rest))
}

async fn more(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(into).await, Ok(n) if n > 0)
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// A whole answer with its length.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// 200 with that body.
pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", &[], body)
}

/// Moves bytes both ways until one side ends.
pub(crate) async fn splice<A, B>(mut a: A, mut b: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    _ = tokio::io::copy_bidirectional(&mut a, &mut b).await;
}
