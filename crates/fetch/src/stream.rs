//! A connection as hyper's client wants it: bytes in and out, and what it should know about them.

use crate::tap::Tap;
use hyper_util::client::legacy::connect::{Connected, Connection};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A read that fills hyper's buffer makes hyper double it, and the buffer stays that large while the connection waits.
/// Buffers up to this size are not filled by the first read after a wait: those of a slow connection stay as they are,
/// and those of a fast one have grown when its second read is done.
const STAYS_SMALL: usize = 16 << 10;

/// How many answers a connection has given: tells a stale pooled connection from a fresh one that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Arc<AtomicU64>);

impl Answers {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// One connection, with or without TLS.
pub(crate) struct Stream {
    io: Io,
    /// Spoken to as a proxy: requests carry the whole URL.
    proxied: bool,
    answers: Answers,
    tap: Tap,
    /// The last read brought bytes: more may be there already.
    flows: bool,
}

enum Io {
    Plain(TcpStream),
    // Boxed: the state of TLS is a kilobyte.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn plain(tcp: TcpStream, proxied: bool) -> Self {
        Self::over(Io::Plain(tcp), proxied)
    }

    pub(crate) fn tls(tls: TlsStream<TcpStream>) -> Self {
        Self::over(Io::Tls(Box::new(tls)), false)
    }

    fn over(io: Io, proxied: bool) -> Self {
        Self { io, proxied, answers: Answers::default(), tap: Tap::default(), flows: false }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let mut connected =
            Connected::new().proxy(self.proxied).extra(self.answers.clone()).extra(self.tap.clone());
        let tcp = match &self.io {
            Io::Plain(tcp) => tcp,
            Io::Tls(tls) => tls.get_ref().0,
        };
        if let Ok(peer) = tcp.peer_addr() {
            connected = connected.extra(Peer(peer.ip()));
        }
        match &self.io {
            Io::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => connected.negotiated_h2(),
            Io::Tls(_) | Io::Plain(_) => connected,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let room = buf.remaining();
        let most = if this.flows || room > STAYS_SMALL { room } else { room.saturating_sub(1).max(1) };
        let polled = match &mut this.io {
            Io::Plain(tcp) => Pin::new(&mut tcp.take(most as u64)).poll_read(cx, buf),
            Io::Tls(tls) => match Pin::new(&mut tls.take(most as u64)).poll_read(cx, buf) {
                // Closed without TLS's goodbye, as many servers do. Where a length was announced the body is still
                // found short; where none was, browsers take what came, and so do we.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                polled => polled,
            },
        };
        this.flows = polled.is_ready();
        this.tap.came(&buf.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.tap.sent();
        match &mut this.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.tap.sent();
        match &mut this.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Io::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(tcp) => tcp.is_write_vectored(),
            Io::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
