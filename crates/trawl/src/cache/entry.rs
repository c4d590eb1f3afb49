//! A kept page as bytes: one object of the bucket.
//!
//! Owns: the format and its version. Format 1: the byte 1, the first 16 bytes of SHA-256 over the rest, the length of the
//! head (u32, little endian), the head as JSON, the body as one zstd frame.
//! Invariant: anything else than what was written is `None`, without a panic and without memory beyond [`BODY_BYTES`].

use bytes::Bytes;
use model::{Extras, Page, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

const FORMAT: u8 = 1;
const SUM: usize = 16;
const LEVEL: i32 = 3;
/// Bytes of a body at most, unpacked: more than the largest page that the fetcher takes by default.
const BODY_BYTES: usize = 256 << 20;

/// A page that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The address that was asked for.
    pub(super) asked: Url,
    /// The page as it was, with the header lines that a site renewed since.
    pub(super) page: Page,
    /// When the site last said that this is the page, by its own clock.
    pub(super) made_at: Timestamp,
    /// The same by ours.
    pub(super) checked_at: Timestamp,
    /// When the entry was last marked as used.
    pub(super) touched_at: Timestamp,
    /// Bytes of the entry, if it was read.
    pub(super) bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Head {
    asked: Url,
    url: Url,
    status: u16,
    headers: Vec<(String, String)>,
    fetched_at: Timestamp,
    made_at: Timestamp,
    checked_at: Timestamp,
    touched_at: Timestamp,
    body_bytes: usize,
}

/// The entry's bytes; `None` for a body that is too large.
pub(super) fn write(kept: &Kept) -> Option<Bytes> {
    let page = &kept.page;
    if page.body.len() > BODY_BYTES {
        return None;
    }
    let head = Head {
        asked: kept.asked.clone(),
        url: page.url.clone(),
        status: page.status,
        headers: page.headers.clone(),
        fetched_at: page.fetched_at,
        made_at: kept.made_at,
        checked_at: kept.checked_at,
        touched_at: kept.touched_at,
        body_bytes: page.body.len(),
    };
    let head = serde_json::to_vec(&head).ok()?;
    let mut rest = u32::try_from(head.len()).ok()?.to_le_bytes().to_vec();
    rest.extend_from_slice(&head);
    rest.extend_from_slice(&zstd::bulk::compress(&page.body, LEVEL).ok()?);
    let mut out = Vec::with_capacity(1 + SUM + rest.len());
    out.push(FORMAT);
    out.extend_from_slice(&Sha256::digest(&rest)[..SUM]);
    out.extend_from_slice(&rest);
    Some(out.into())
}

/// The page of an entry.
pub(super) fn read(bytes: &[u8]) -> Option<Kept> {
    let (&format, rest) = bytes.split_first()?;
    let (sum, rest) = rest.split_at_checked(SUM)?;
    if format != FORMAT || Sha256::digest(rest)[..SUM] != *sum {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (head, frame) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    if head.body_bytes > BODY_BYTES {
        return None;
    }
    let body = zstd::bulk::decompress(frame, head.body_bytes).ok()?;
    if body.len() != head.body_bytes {
        return None;
    }
    Some(Kept {
        asked: head.asked,
        page: Page {
            url: head.url,
            status: head.status,
            headers: head.headers,
            body: body.into(),
            fetched_at: head.fetched_at,
            wire_bytes: 0,
            extras: Extras::default(),
        },
        made_at: head.made_at,
        checked_at: head.checked_at,
        touched_at: head.touched_at,
        bytes: bytes.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(body: Vec<u8>) -> Kept {
        let url = Url::parse("http://a.example/p?x=1").unwrap();
        let at = Timestamp::from_ms(7);
        Kept {
            asked: url.clone(),
            page: Page {
                url,
                status: 200,
                headers: vec![("etag".into(), "\"1\"".into())],
                body: body.into(),
                fetched_at: at,
                wire_bytes: 0,
                extras: Extras::default(),
            },
            made_at: at,
            checked_at: at,
            touched_at: at,
            bytes: 0,
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_a_changed_byte_is_noticed(
            body in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, flip in 1_u8..,
        ) {
            let written = write(&kept(body.clone())).unwrap();
            let back = read(&written).unwrap();
            prop_assert_eq!(Kept { bytes: 0, ..back }, kept(body));
            let mut broken = written.to_vec();
            let at = at.index(broken.len());
            broken[at] ^= flip;
            prop_assert_eq!(read(&broken), None);
            prop_assert_eq!(read(&written[..at]), None);
        }

        #[test]
        fn noise_is_nothing(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read(&noise), None);
        }
    }
}
