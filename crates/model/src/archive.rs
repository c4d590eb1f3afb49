//! Pages that were kept: what one job leaves in the archive, and where each of its pages lies.
//!
//! Owns: the form of a part's index. Must not know: WARC, buckets, SQL.

use crate::{Failure, Input, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What one job left in the archive: one object of WARC records, and behind them an index of its pages.
///
/// Bytes are written first under a new key, registered by `finish`, swept if never registered: like a segment's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePart {
    /// Key in the bucket.
    pub key: String,
    /// Bytes of the WARC records; they start at 0.
    pub bytes: u64,
    /// Bytes of the index, right behind the records.
    pub index_bytes: u64,
    /// What each page of the index was asked for by, in order: how a page is found without reading every index.
    pub asked: Vec<PageKey>,
}

/// A page as an index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPage {
    /// The input whose page it is.
    pub input: Input,
    /// Digest of what was asked for.
    pub asked: PageKey,
    /// Where the answer came from, after redirects.
    pub url: String,
    /// HTTP status.
    pub status: u16,
    /// When it arrived.
    pub at: Timestamp,
    /// Records of the job's segment before its own.
    pub first: u64,
    /// Its records in that segment, in the order of the page.
    pub records: u64,
    /// The record (of type `response` or `revisit`) with the answer's head.
    pub head: Place,
    /// The record with the body, if it is another one: the same body was kept before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Place>,
    /// What more there is of a page that did not come as it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Box<Made>>,
    /// Why there is no page, if there is none: then `status` is 0, and `head` is of length 0 or has what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failure>,
}

/// A page that is not kept as it came, since it did not come so: a browser made it, or it was had without the site's sending
/// it. Its record (of type `resource`) has the body alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Header lines of the page.
    pub headers: Vec<(String, String)>,
    /// A browser made the body.
    #[serde(default)]
    pub rendered: bool,
    /// Its picture.
    #[serde(default)]
    pub screenshot: Option<Place>,
    /// What its scripts got.
    #[serde(default)]
    pub captured: Vec<KeptCapture>,
}

/// A response that a page's scripts got, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCapture {
    /// Where it came from.
    pub url: String,
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if it had one.
    pub content_type: Option<String>,
    /// The record with the body.
    pub body: Place,
}

/// Where a record lies in the archive: a gzip member of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Key of the part in the bucket.
    pub part: String,
    /// Bytes before it.
    pub offset: u64,
    /// Its own bytes.
    pub length: u64,
}

/// Digest of what is asked of the web: method, address and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PageKey(pub [u8; 16]);

impl PageKey {
    /// The first 16 bytes of SHA-256. The address without fragment and credentials.
    pub fn of(method: crate::Method, url: &url::Url, body: Option<&[u8]>) -> Self {
        let mut bare = url.clone();
        bare.set_fragment(None);
        // Addresses without a host refuse, and nobody can be asked for those.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let mut digest = Sha256::new();
        digest.update(match method {
            crate::Method::Get => "GET ",
            crate::Method::Post => "POST ",
        });
        digest.update(bare.as_str());
        if let Some(body) = body.filter(|body| !body.is_empty()) {
            digest.update("\n");
            digest.update(body);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&digest.finalize()[..16]);
        Self(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Method;

    #[test]
    fn a_page_is_asked_for_without_fragment_and_credentials() {
        let key = |url: &str| PageKey::of(Method::Get, &url.parse().unwrap(), None);
        assert_eq!(key("http://u:p@a/x#y"), key("http://a/x"));
        assert_ne!(key("http://a/x"), key("http://a/x?"));
        let url = "http://a/x".parse().unwrap();
        assert_ne!(PageKey::of(Method::Post, &url, Some(b"1")), PageKey::of(Method::Post, &url, None));
        assert_ne!(key("http://a/x"), PageKey::of(Method::Post, &url, None));
    }
}
