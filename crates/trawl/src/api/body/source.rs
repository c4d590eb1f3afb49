//! The bytes of a body: bounded in size, in time between pieces and, unpacked, in size again.

use crate::api::error::{ApiError, Result};
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use std::io::Write;
use std::time::Duration;

/// Bytes handed on at once: between two pieces other requests get their turn.
const PIECE_BYTES: usize = 64 * 1024;
/// Packed bytes unpacked at once. Gzip packs at most about 1,000 to 1, so this bounds a bomb's step to 4 MB.
const PACKED_BYTES: usize = 4 * 1024;

/// How a body may be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Bounds {
    /// Bytes at most, as sent and unpacked.
    pub(in crate::api) bytes: u64,
    /// Longest pause between two pieces.
    pub(in crate::api) idle: Duration,
}

/// A body being read.
pub(in crate::api) struct Source {
    stream: BodyDataStream,
    unpack: Option<MultiGzDecoder<Vec<u8>>>,
    /// Received and not yet handed on.
    pending: Bytes,
    received: u64,
    handed_on: u64,
    bounds: Bounds,
}

impl Source {
    /// Reads `body`, whose `Content-Encoding` is given.
    pub(in crate::api) fn new(body: Body, encoding: Option<&str>, bounds: Bounds) -> Result<Self> {
        let unpack = match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => None,
            "gzip" | "x-gzip" => Some(MultiGzDecoder::new(Vec::new())),
            _ => return Err(ApiError::unsupported("Content-Encoding must be gzip or identity")),
        };
        let stream = body.into_data_stream();
        Ok(Self { stream, unpack, pending: Bytes::new(), received: 0, handed_on: 0, bounds })
    }

    /// The next piece, `None` at the end.
    pub(in crate::api) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.pending.is_empty() {
                match self.receive().await? {
                    Some(bytes) => self.pending = bytes,
                    None => return self.rest(),
                }
                continue;
            }
            // A large body must not keep its thread to itself.
            tokio::task::consume_budget().await;
            let most = if self.unpack.is_some() { PACKED_BYTES } else { PIECE_BYTES };
            let piece = self.pending.split_to(self.pending.len().min(most));
            let piece = match &mut self.unpack {
                None => piece,
                Some(unpack) => {
                    unpack.write_all(&piece).map_err(not_gzip)?;
                    Bytes::from(std::mem::take(unpack.get_mut()))
                }
            };
            if !piece.is_empty() {
                return self.hand_on(piece).map(Some);
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>> {
        let next = tokio::time::timeout(self.bounds.idle, self.stream.next());
        match next.await.map_err(|_| ApiError::slow_sender())? {
            None => Ok(None),
            Some(Ok(bytes)) => {
                self.received = self.received.saturating_add(bytes.len() as u64);
                self.within(self.received)?;
                Ok(Some(bytes))
            }
            Some(Err(_)) => Err(ApiError::parse("the body was cut off")),
        }
    }

    fn rest(&mut self) -> Result<Option<Bytes>> {
        let Some(mut unpack) = self.unpack.take() else { return Ok(None) };
        if self.received == 0 {
            return Ok(None);
        }
        unpack.try_finish().map_err(not_gzip)?;
        let rest = Bytes::from(std::mem::take(unpack.get_mut()));
        if rest.is_empty() { Ok(None) } else { self.hand_on(rest).map(Some) }
    }

    fn hand_on(&mut self, piece: Bytes) -> Result<Bytes> {
        self.handed_on = self.handed_on.saturating_add(piece.len() as u64);
        self.within(self.handed_on)?;
        Ok(piece)
    }

    fn within(&self, bytes: u64) -> Result<()> {
        if bytes > self.bounds.bytes { Err(ApiError::too_large(self.bounds.bytes)) } else { Ok(()) }
    }

    /// Everything, for small bodies: at most `most` bytes.
    pub(in crate::api) async fn all(mut self, most: u64) -> Result<Vec<u8>> {
        self.bounds.bytes = self.bounds.bytes.min(most);
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

fn not_gzip(error: std::io::Error) -> ApiError {
    ApiError::parse(format!("the body is not gzip: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::convert::Infallible;

    const BOUNDS: Bounds = Bounds { bytes: 1 << 20, idle: Duration::from_secs(5) };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(body: Vec<u8>, encoding: Option<&str>) -> Result<Vec<u8>> {
        Source::new(Body::from(body), encoding, BOUNDS)?.all(u64::MAX).await
    }

    #[tokio::test]
    async fn bytes_come_through_plain_and_packed() {
        let text: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        assert_eq!(read(text.clone(), None).await.unwrap(), text);
        assert_eq!(read(gzip(&text), Some("GZIP")).await.unwrap(), text);
        let mut twice = gzip(b"one");
        twice.extend(gzip(b"two"));
        assert_eq!(read(twice, Some("gzip")).await.unwrap(), b"onetwo");
        assert_eq!(read(Vec::new(), Some("gzip")).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn bombs_cut_and_strange_bodies_are_refused() {
        let bomb = gzip(&vec![0; 4 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(read(bomb, Some("gzip")).await.unwrap_err().status(), 413);
        let mut cut = gzip(b"hello, hello, hello");
        cut.truncate(cut.len() - 9);
        assert_eq!(read(cut, Some("gzip")).await.unwrap_err().status(), 400);
        assert_eq!(read(b"plain".to_vec(), Some("gzip")).await.unwrap_err().status(), 400);
        assert_eq!(read(vec![0; 2 << 20], None).await.unwrap_err().status(), 413);
        assert_eq!(read(Vec::new(), Some("br")).await.unwrap_err().status(), 415);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sender_is_cut_off() {
        let silent = futures_util::stream::pending::<std::result::Result<Bytes, Infallible>>();
        let source = Source::new(Body::from_stream(silent), None, BOUNDS).unwrap();
        assert_eq!(source.all(1).await.unwrap_err().status(), 408);
    }
}
