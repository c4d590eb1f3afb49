//! A receiver of webhooks that does what the test tells it: accepts, refuses, is slow, hangs up; and remembers.

use crate::http::{Connection, Head, TEXT, response};
use crate::runner::Runner;
use crate::trick::Trick;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

/// Bytes of a body, packed or not.
const BODY_BYTES_MAX: usize = 256 << 20;

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With this status.
    Status(u16),
    /// With this status and these header lines (`Retry-After`, `Location`).
    Headers(u16, Vec<(String, String)>),
    /// With another reply, after this time.
    After(Duration, Box<Reply>),
    /// By hanging up when the request has arrived.
    HangUp,
    /// Never.
    Stall,
}

impl Reply {
    /// The status that is sent in the end, if any.
    fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) | Self::Headers(status, _) => Some(*status),
            Self::After(_, reply) => reply.status(),
            Self::HangUp | Self::Stall => None,
        }
    }
}

/// One request that arrived whole.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it had arrived.
    pub at: Instant,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header lines as sent.
    pub headers: Vec<(String, String)>,
    /// Body as sent.
    pub wire: Bytes,
    /// Body without its gzip, if `Content-Encoding` says gzip and it is; else as sent.
    pub body: Bytes,
    /// Status of the answer; `None` if there was none.
    pub answered: Option<u16>,
}

impl Received {
    /// The first header line with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(k, v)| k.eq_ignore_ascii_case(name).then_some(v.as_str()))
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// It was answered with a 2xx.
    pub fn is_accepted(&self) -> bool {
        self.answered.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A running receiver. Dropping it closes every connection, at once.
pub struct Receiver {
    runner: Runner,
    desk: Arc<Desk>,
}

impl Receiver {
    /// Starts on a free port of 127.0.0.1; answers 200 to everything until told otherwise.
    ///
    /// # Errors
    /// If the system gives no port or no thread.
    pub fn start() -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let handler = desk.clone();
        let runner =
            Runner::start("receiver", 1, 0, move |stream| serve(handler.clone(), Connection::new(stream)))?;
        Ok(Self { runner, desk })
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.runner.address()
    }

    /// `http://127.0.0.1:PORT/hook`. Every other path works as well.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr())
    }

    /// Answers the next requests so, in this order, behind what was said before; then as [`Receiver::always`] says.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.desk.lock().next.extend(replies);
    }

    /// Answers the next `n` requests with this status.
    pub fn fail_first(&self, n: usize, status: u16) {
        self.next(std::iter::repeat_n(Reply::Status(status), n));
    }

    /// Answers so whenever nothing else was said.
    pub fn always(&self, reply: Reply) {
        self.desk.lock().always = Some(reply);
    }

    /// What arrived so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.desk.lock().received.clone()
    }

    /// Waits until `n` requests have arrived, or for `limit`; gives what has arrived.
    pub async fn wait_for(&self, n: usize, limit: Duration) -> Vec<Received> {
        self.wait_until(limit, |received| received.len() >= n).await
    }

    /// Waits until `met` holds for what has arrived, or for `limit`; gives what has arrived.
    pub async fn wait_until(&self, limit: Duration, met: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let waiting = async {
            loop {
                // Listening begins before looking, so that nothing between the two is missed.
                let mut changed = std::pin::pin!(self.desk.changed.notified());
                changed.as_mut().enable();
                if met(&self.desk.lock().received) {
                    return;
                }
                changed.await;
            }
        };
        // Too late is for the caller to see in what is there.
        let _ = tokio::time::timeout(limit, waiting).await;
        self.received()
    }
}

#[derive(Default)]
struct Desk {
    book: Mutex<Book>,
    changed: Notify,
}

#[derive(Default)]
struct Book {
    next: VecDeque<Reply>,
    always: Option<Reply>,
    received: Vec<Received>,
}

impl Desk {
    /// Writes the request down and says how to answer it.
    fn record(&self, head: &Head, wire: Vec<u8>) -> Reply {
        let wire = Bytes::from(wire);
        let body = unpacked(head, &wire).unwrap_or_else(|| wire.clone());
        let mut book = self.lock();
        let reply = book.next.pop_front().or_else(|| book.always.clone()).unwrap_or(Reply::Status(200));
        book.received.push(Received {
            at: Instant::now(),
            method: head.method().to_owned(),
            path: head.target().to_owned(),
            headers: head.headers().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            wire,
            body,
            answered: reply.status(),
        });
        drop(book);
        self.changed.notify_waiters();
        reply
    }

    /// A panic elsewhere leaves the book as true as it was.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unpacked(head: &Head, wire: &[u8]) -> Option<Bytes> {
    head.header("content-encoding").filter(|v| v.eq_ignore_ascii_case("gzip"))?;
    let mut body = Vec::new();
    let limit = BODY_BYTES_MAX as u64;
    flate2::read::MultiGzDecoder::new(wire).take(limit).read_to_end(&mut body).ok()?;
    Some(body.into())
}

async fn serve(desk: Arc<Desk>, mut connection: Connection) {
    while let Some(head) = connection.head().await {
        let body = match connection.body(&head, BODY_BYTES_MAX).await {
            Ok(body) => body,
            Err(error) => {
                if error.kind() == io::ErrorKind::FileTooLarge {
                    let refusal = response(413, &[("Connection", "close")], b"");
                    let _ = connection.stream.write_all(&refusal).await;
                }
                return;
            }
        };
        let mut reply = desk.record(&head, body);
        while let Reply::After(delay, then) = reply {
            tokio::time::sleep(delay).await;
            reply = *then;
        }
        let bytes = match reply {
            Reply::Status(status) => response(status, &[("Content-Type", TEXT)], b""),
            Reply::Headers(status, headers) => response(status, &headers, b""),
            Reply::Stall => return Trick::Stall(Bytes::new()).play(connection).await,
            // `After` was taken off above.
            Reply::HangUp | Reply::After(..) => return,
        };
        if connection.stream.write_all(&bytes).await.is_err() || head.wants_close() {
            return;
        }
    }
}
