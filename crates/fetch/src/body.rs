//! A body in, bounded in time and size.

use crate::client::body_error;
use crate::decode::{self, Encoding};
use crate::{FetchError, FetchErrorKind};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Wire bytes up to which a body is decoded in place: a handful of milliseconds at the very worst, and no hop to
/// another thread for ordinary pages.
const INLINE_BYTES_MAX: usize = 128 << 10;
/// A buffer for more than one piece is not made larger than this at once, whatever length is announced.
const BUFFER_MAX: u64 = 1 << 20;

/// How long a body may take and how large it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The end of everything.
    pub(crate) deadline: Instant,
    /// Without a byte.
    pub(crate) idle: Duration,
    /// As sent, and as decoded.
    pub(crate) bytes_max: u64,
}

impl Bounds {
    /// Waits for a future within `patience` and the deadline.
    pub(crate) async fn within<F: Future>(
        &self,
        patience: Duration,
        host: &str,
        what: &str,
        future: F,
    ) -> Result<F::Output, FetchError> {
        let began = Instant::now();
        let until = began.checked_add(patience).map_or(self.deadline, |at| at.min(self.deadline));
        timeout_at(until, future).await.map_err(|_| {
            let waited = if until == self.deadline { "the page's whole time" } else { "too long" };
            FetchError::new(FetchErrorKind::Timeout, format!("`{host}` took {waited} for {what}"))
        })
    }
}

fn too_large(host: &str, max: u64) -> FetchError {
    FetchError::new(FetchErrorKind::TooLarge, format!("the body from `{host}` is larger than {max} bytes"))
}

/// A body that did not come whole, and what came of it.
pub(crate) struct Broken {
    pub(crate) error: FetchError,
    pub(crate) came: Bytes,
}

/// The bytes of a body as sent.
pub(crate) async fn collect(body: &mut Incoming, host: &str, bounds: &Bounds) -> Result<Bytes, Broken> {
    let mut pieces = Pieces::default();
    match gather(body, host, bounds, &mut pieces).await {
        Ok(()) => Ok(pieces.whole()),
        Err(error) => Err(Broken { error, came: pieces.whole() }),
    }
}

async fn gather(
    body: &mut Incoming,
    host: &str,
    bounds: &Bounds,
    pieces: &mut Pieces,
) -> Result<(), FetchError> {
    let announced = body.size_hint().lower();
    if announced > bounds.bytes_max {
        return Err(too_large(host, bounds.bytes_max));
    }
    while let Some(frame) = bounds.within(bounds.idle, host, "more of the body", body.frame()).await? {
        // Trailers are of no use to a page.
        let Ok(bytes) = frame.map_err(|error| body_error(host, &error))?.into_data() else { continue };
        if pieces.size + bytes.len() as u64 > bounds.bytes_max {
            return Err(too_large(host, bounds.bytes_max));
        }
        pieces.add(bytes, announced);
    }
    Ok(())
}

/// A body as it comes. Room follows what has come, not what was promised: a thousand slow pages would hold a thousand
/// promises.
#[derive(Default)]
struct Pieces {
    /// As it came: a body of one piece is not copied, and one that stalls soon takes no second buffer.
    first: Option<Bytes>,
    /// The others, small until then; together with the first once they are more than it.
    rest: BytesMut,
    size: u64,
}

impl Pieces {
    fn add(&mut self, bytes: Bytes, announced: u64) {
        self.size += bytes.len() as u64;
        match &self.first {
            None if self.rest.is_empty() => self.first = Some(bytes),
            Some(first) if self.rest.len() + bytes.len() > first.len() => {
                let promised = if announced > 0 { announced } else { 2 * self.size };
                let room = promised.min(2 * self.size).min(BUFFER_MAX).max(self.size);
                // Cast: bounded by what has come.
                let mut whole = BytesMut::with_capacity(room as usize);
                whole.extend_from_slice(first);
                whole.extend_from_slice(&self.rest);
                whole.extend_from_slice(&bytes);
                *self = Self { first: None, rest: whole, size: self.size };
            }
            _ => self.rest.extend_from_slice(&bytes),
        }
    }

    fn whole(self) -> Bytes {
        match self.first {
            None => self.rest.freeze(),
            Some(first) if self.rest.is_empty() => first,
            Some(first) => [&first[..], &self.rest[..]].concat().into(),
        }
    }
}

/// The beginning of a body, as far as the bounds let it.
pub(crate) async fn beginning(body: &mut Incoming, host: &str, bounds: &Bounds) -> Result<Bytes, FetchError> {
    let most = usize::try_from(bounds.bytes_max).unwrap_or(usize::MAX);
    let mut start = BytesMut::new();
    while let Some(frame) = bounds.within(bounds.idle, host, "more of the body", body.frame()).await? {
        let Ok(bytes) = frame.map_err(|error| body_error(host, &error))?.into_data() else { continue };
        start.extend_from_slice(&bytes[..bytes.len().min(most - start.len())]);
        if start.len() == most {
            break;
        }
    }
    Ok(start.freeze())
}

/// Undoes the content encodings: in place if it is quick, else where blocking is allowed.
pub(crate) async fn decoded(
    wire: Bytes,
    encodings: Vec<Encoding>,
    bytes_max: u64,
) -> Result<Bytes, FetchError> {
    if encodings.is_empty() {
        return Ok(wire);
    }
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX - 1);
    if wire.len() <= INLINE_BYTES_MAX {
        return decode::decode(wire, &encodings, limit);
    }
    tokio::task::spawn_blocking(move || decode::decode(wire, &encodings, limit)).await.unwrap_or_else(
        |error| Err(FetchError::new(FetchErrorKind::Protocol, format!("decoding the body failed: {error}"))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_in_order_without_room_for_promises() {
        let body: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
        for (sizes, announced) in
            [(vec![40_000], 40_000), (vec![8_192, 71], 46_000), (vec![100, 1, 8_000, 9_000], 0)]
        {
            let mut pieces = Pieces::default();
            let mut at = 0;
            for size in sizes {
                pieces.add(Bytes::copy_from_slice(&body[at..at + size]), announced);
                at += size;
                assert!(
                    pieces.rest.capacity() <= 2 * at,
                    "{} bytes of room for {at}",
                    pieces.rest.capacity()
                );
            }
            assert_eq!(pieces.whole(), body[..at]);
        }
        assert_eq!(Pieces::default().whole(), Bytes::new());
    }
}
