//! A stream that gives up on the other side: too slow to say which protocol it speaks, or to take what it asked for.
//!
//! hyper's own head timeout starts once it knows the protocol; a client that sends nothing, or half of the HTTP/2
//! preface, would wait for ever. And nothing in hyper ends a connection whose client stops reading.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How an HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The stream.
pub(super) struct Patient<S> {
    stream: S,
    /// Until the protocol is known: how many bytes of the preface have come, and until when more have to.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    stall: Duration,
    /// While a write waits: until when.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// `opening`: for the first bytes. `stall`: how long no byte may be taken.
    pub(super) fn new(stream: S, opening: Duration, stall: Duration) -> Self {
        Self { stream, opening: Some((0, Box::pin(sleep(opening)))), stall, stalled: None }
    }

    /// A write waits: an error once it has waited for too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Some((seen, until)) = &mut this.opening {
            match &read {
                Poll::Pending => {
                    ready!(until.as_mut().poll(cx));
                    let slow = io::Error::new(io::ErrorKind::TimedOut, "the client says nothing");
                    return Poll::Ready(Err(slow));
                }
                Poll::Ready(_) => {
                    let new = &buf.filled()[before..];
                    *seen += new.len();
                    let from = *seen - new.len();
                    if *seen >= PREFACE.len() || PREFACE.get(from..*seen) != Some(new) {
                        this.opening = None;
                    }
                }
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Pending => self.wait(cx),
            done => {
                self.stalled = None;
                done
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.wait(cx),
            done => {
                self.stalled = None;
                done
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => self.wait(cx),
            done => done,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, bufs) {
            Poll::Pending => self.wait(cx),
            done => {
                self.stalled = None;
                done
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const OPENING: Duration = Duration::from_secs(15);
    const STALL: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn silence_and_half_a_preface_are_cut_off() {
        for said in [&b""[..], b"P", b"PRI * HT"] {
            let (mut client, server) = duplex(64);
            client.write_all(said).await.unwrap();
            let mut server = Patient::new(server, OPENING, STALL);
            let mut heard = Vec::new();
            let error = server.read_to_end(&mut heard).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(heard, said);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_spoken_may_pause() {
        for said in [&b"POST / HTTP/1.1"[..], PREFACE] {
            let (mut client, server) = duplex(64);
            let mut server = Patient::new(server, OPENING, STALL);
            client.write_all(said).await.unwrap();
            let mut heard = vec![0; said.len()];
            server.read_exact(&mut heard).await.unwrap();
            tokio::time::advance(OPENING * 10).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'x');
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (client, server) = duplex(8);
        let mut server = Patient::new(server, OPENING, STALL);
        let error = server.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
