//! The immutable file that one job leaves.

use serde::{Deserialize, Serialize};

/// The immutable file that one job leaves: record lines, then error lines, then withheld records, each part one or
/// more zstd frames.
///
/// Bytes are written first under a new key, registered by `finish`, swept if never registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Key in the bucket.
    pub key: String,
    /// Records in the first part.
    pub records: u64,
    /// Error rows in the second part.
    pub errors: u64,
    /// Compressed bytes of the first part; it starts at 0.
    pub record_bytes: u64,
    /// Compressed bytes of the second part, right behind the first.
    pub error_bytes: u64,
    /// Bytes of both parts as lines.
    pub plain_bytes: u64,
    /// Records that were read but not given ([`crate::Outcome::withheld`]) in a third part, behind the others.
    #[serde(default)]
    pub withheld: u64,
    /// Compressed bytes of that part.
    #[serde(default)]
    pub withheld_bytes: u64,
}
