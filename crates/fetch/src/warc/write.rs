//! Records out: each a gzip member of its own. Pure.
//!
//! A body is kept as it came. What the site packed is not packed again; what came plain is packed quickly.

use super::{SAME_PAYLOAD, digest_text};
use flate2::Compression;
use flate2::write::GzEncoder;
use model::{Exchange, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use url::Url;

/// Bodies below this many bytes are not worth a record that refers to another.
const REFER_FROM: usize = 512;

/// Where a body was kept before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Id of the record.
    pub id: String,
    /// What was asked for.
    pub url: Url,
    /// When.
    pub at: Timestamp,
}

/// An exchange as two records, ready to be laid down.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The record `response`, with head and body; empty if no answer came.
    pub response: Vec<u8>,
    /// The record `request`.
    pub request: Vec<u8>,
    /// Digest of the body as it came.
    pub digest: [u8; 32],
    /// What a later record may refer to.
    pub original: Original,
    /// Whether the body is worth to be kept once only.
    pub is_referable: bool,
    address: Option<std::net::IpAddr>,
    head: bytes::Bytes,
}

/// The record that a file begins with. `seed` makes ids that are like no other's.
pub fn info(software: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let block = format!(
        "software: {software}\r\nformat: WARC File Format 1.1\r\n\
         conformsTo: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n"
    );
    let mut head = Head::new("warcinfo", &id(seed, "warcinfo"), at);
    head.line("Content-Type", "application/warc-fields");
    head.record(&[block.as_bytes()], true)
}

/// A document that was made rather than received: the tree of a rendered page, a picture of it (record `resource`).
pub fn document(url: &Url, at: Timestamp, content_type: &str, bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut head = Head::new("resource", &id(seed, content_type), at);
    head.line("WARC-Target-URI", url.as_str());
    head.line("WARC-Payload-Digest", &digest_text(&Sha256::digest(bytes).into()));
    head.line("Content-Type", content_type);
    head.record(&[bytes], content_type.starts_with("text/"))
}

/// The records of an exchange.
pub fn pack(exchange: &Exchange, seed: u64) -> Packed {
    let (response_id, request_id) = (id(seed, "response"), id(seed, "request"));
    let digest: [u8; 32] = Sha256::digest(&exchange.answer_body).into();

    let mut head = Head::new("response", &response_id, exchange.at);
    head.line("WARC-Target-URI", exchange.url.as_str());
    head.address(exchange.address);
    if let Some(cut) = exchange.cut {
        head.line("WARC-Truncated", cut.as_str());
    }
    head.line("WARC-Payload-Digest", &digest_text(&digest));
    head.line("Content-Type", "application/http; msgtype=response");
    let is_plain = !is_packed(&exchange.answer_head, &exchange.answer_body);
    let response = match exchange.was_answered() {
        true => head.record(&[&exchange.answer_head, &exchange.answer_body], is_plain),
        false => Vec::new(),
    };

    let mut head = Head::new("request", &request_id, exchange.at);
    head.line("WARC-Target-URI", exchange.url.as_str());
    head.address(exchange.address);
    if exchange.was_answered() {
        head.line("WARC-Concurrent-To", &response_id);
    }
    head.line("Content-Type", "application/http; msgtype=request");
    let request = head.record(&[&exchange.request_head, &exchange.request_body], true);

    Packed {
        response,
        request,
        digest,
        original: Original { id: response_id, url: exchange.url.clone(), at: exchange.at },
        is_referable: exchange.answer_body.len() >= REFER_FROM && exchange.cut.is_none(),
        address: exchange.address,
        head: exchange.answer_head.clone(),
    }
}

impl Packed {
    /// The record `revisit` in place of the record `response`: the same body lies there already.
    pub fn revisit(&self, of: &Original) -> Vec<u8> {
        let mut head = Head::new("revisit", &self.original.id, self.original.at);
        head.line("WARC-Target-URI", self.original.url.as_str());
        head.address(self.address);
        head.line("WARC-Profile", SAME_PAYLOAD);
        head.line("WARC-Refers-To", &of.id);
        head.line("WARC-Refers-To-Target-URI", of.url.as_str());
        head.line("WARC-Refers-To-Date", &of.at.to_string());
        head.line("WARC-Payload-Digest", &digest_text(&self.digest));
        head.line("Content-Type", "application/http; msgtype=response");
        head.record(&[&self.head], true)
    }
}

struct Head(String);

impl Head {
    fn new(kind: &str, id: &str, at: Timestamp) -> Self {
        let mut head = Self("WARC/1.1\r\n".to_owned());
        head.line("WARC-Type", kind);
        head.line("WARC-Record-ID", id);
        head.line("WARC-Date", &at.to_string());
        head
    }

    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail. Values are ours, or URLs, which have no line ends.
        let _ = write!(self.0, "{name}: {value}\r\n");
    }

    fn address(&mut self, address: Option<std::net::IpAddr>) {
        if let Some(address) = address {
            self.line("WARC-IP-Address", &address.to_string());
        }
    }

    /// The whole record as a gzip member.
    fn record(mut self, block: &[&[u8]], is_plain: bool) -> Vec<u8> {
        let mut digest = Sha256::new();
        block.iter().for_each(|piece| digest.update(piece));
        self.line("WARC-Block-Digest", &digest_text(&digest.finalize().into()));
        let length: usize = block.iter().map(|piece| piece.len()).sum();
        self.line("Content-Length", &length.to_string());
        self.0.push_str("\r\n");
        let level = if is_plain { Compression::fast() } else { Compression::none() };
        let room = if is_plain { length / 3 } else { length };
        let mut out = GzEncoder::new(Vec::with_capacity(self.0.len() + room + 64), level);
        for piece in [self.0.as_bytes()].iter().chain(block).chain(&[&b"\r\n\r\n"[..]]) {
            // Writing to memory cannot fail.
            let _ = out.write_all(piece);
        }
        out.finish().unwrap_or_default()
    }
}

/// Whether packing a body again would gain next to nothing.
fn is_packed(head: &[u8], body: &[u8]) -> bool {
    const MAGIC: &[&[u8]] =
        &[b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x89PNG", b"\xff\xd8\xff", b"PK\x03\x04", b"GIF8"];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let encoded = head.lines().any(|line| {
        line.strip_prefix("content-encoding:").is_some_and(|value| !matches!(value.trim(), "" | "identity"))
    });
    encoded || MAGIC.iter().any(|magic| body.starts_with(magic))
}

/// A UUID (version 8: of our own making) from a seed and a word.
fn id(seed: u64, word: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(word);
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut out = String::from("<urn:uuid:");
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out.push('>');
    out
}
