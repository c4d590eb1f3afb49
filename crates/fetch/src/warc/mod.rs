//! WARC 1.1 (ISO 28500:2017): what was sent and received, in the form that archives of the web are kept in.
//!
//! Owns: records as bytes, written and read, and the page that a kept answer is. Must not know: files, buckets, which
//! pages are kept.
//!
//! Invariants:
//! - Each record written is a gzip member of its own, so that one is read without the others and files are joined by
//!   putting one behind the other.
//! - What is written has no secrets: heads come with their credentials left out ([`redacted`]).
//! - Whatever is read, nothing grows beyond its limit and nothing panics: a file may be anybody's.

mod answer;
mod head;
mod index;
mod read;
mod write;

pub use answer::{Answer, page_of};
pub(crate) use head::as_received;
pub use head::{answer_head, redacted, request_head};
pub(crate) use index::moment;
pub use index::{FileIndex, Spot};
pub use read::{Limits, Reader, Record, WarcError};
pub use write::{Original, Packed, document, info, pack};

/// Media type of an archive that is sent.
pub const MEDIA_TYPE: &str = "application/warc";
/// The profile of a record that stands for a body kept before.
const SAME_PAYLOAD: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";

/// A digest as WARC writes it: Base32 after RFC 4648.
pub(crate) fn digest_text(digest: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::from("sha256:");
    for chunk in digest.chunks(5) {
        let mut group = [0_u8; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(group);
        // 5 bytes are 8 letters; of fewer bytes, as many letters as have bits of them.
        let letters = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let letter = ALPHABET[(bits >> (35 - 5 * at)) as usize & 31];
            out.push(if at < letters { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests;
