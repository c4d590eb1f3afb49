//! A kept answer → the page that it was. Pure.

use super::head::name_as_received;
use super::read::Record;
use crate::decode::{decode, encodings};
use crate::{FetchError, FetchErrorKind};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{Page, Timestamp};
use url::Url;

/// Header lines of an answer that are read.
const LINES_MAX: usize = 1_000;

/// The answer in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines, names in lower case, those of one name together: as the fetcher gives them.
    pub headers: Vec<(String, String)>,
    /// The body without chunks, in its content encodings.
    pub body: Bytes,
}

impl Answer {
    /// Reads the block of a `response` or `revisit` record; `None` if that is not HTTP. A `resource` is an answer of its
    /// own kind.
    pub fn of(record: &Record) -> Option<Self> {
        if record.kind() == "resource" {
            let media = record.header("content-type").unwrap_or("application/octet-stream");
            let headers = vec![("content-type".to_owned(), media.to_owned())];
            return Some(Self { status: 200, headers, body: Bytes::copy_from_slice(&record.block) });
        }
        let (status, map, start) = head(&record.block)?;
        let wire = &record.block[start..];
        let is_chunked = map
            .get_all(http::header::TRANSFER_ENCODING)
            .iter()
            .any(|v| v.as_bytes().to_ascii_lowercase().ends_with(b"chunked"));
        // Some writers take the chunks out and leave the line that announces them.
        let body = if is_chunked { unchunked(wire) } else { None };
        let body = body.map_or_else(|| Bytes::copy_from_slice(wire), Bytes::from);
        Some(Self { status, headers: as_received(&map), body })
    }

    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Where it leads, if it is a redirect.
    pub fn target(&self, url: &Url) -> Option<Url> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        url.join(self.header("location")?).ok()
    }
}

/// The page of an answer: its content encodings undone, at most `bytes_max` bytes.
pub fn page_of(answer: Answer, url: Url, at: Timestamp, bytes_max: u64) -> Result<Page, FetchError> {
    let values = answer.headers.iter().filter(|(name, _)| name == "content-encoding");
    let found = encodings(values.map(|(_, value)| value.as_bytes()))?;
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX - 1);
    let wire_bytes = answer.body.len() as u64;
    if wire_bytes > bytes_max {
        let message = format!("the kept body is larger than {bytes_max} bytes");
        return Err(FetchError::new(FetchErrorKind::TooLarge, message));
    }
    Ok(Page {
        url,
        status: answer.status,
        headers: answer.headers,
        body: decode(answer.body, &found, limit)?,
        fetched_at: at,
        wire_bytes,
        extras: model::Extras::default(),
    })
}

/// Status, header lines, and where the body begins.
pub(super) fn head(block: &[u8]) -> Option<(u16, HeaderMap, usize)> {
    let mut at = 0;
    let mut next = || {
        let rest = &block[at..];
        let end = rest.iter().position(|b| *b == b'\n')?;
        at += end + 1;
        let line = &rest[..end];
        Some((line.strip_suffix(b"\r").unwrap_or(line), at))
    };
    let (status_line, mut start) = next()?;
    let mut words = status_line.split(|b| *b == b' ').filter(|word| !word.is_empty());
    if !words.next()?.starts_with(b"HTTP/") {
        return None;
    }
    let status = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let mut lines: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while let Some((line, end)) = next() {
        start = end;
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, value)) = lines.last_mut() {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
        } else if let Some(colon) = line.iter().position(|b| *b == b':')
            && lines.len() < LINES_MAX
        {
            lines.push((line[..colon].trim_ascii().to_vec(), line[colon + 1..].trim_ascii().to_vec()));
        }
    }
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        // Lines that are none are passed over, as they were when the page came.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&name), HeaderValue::from_bytes(&value)) {
            map.append(name, value);
        }
    }
    Some((status, map, start))
}

fn as_received(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| {
            let name = name_as_received(name.as_str()).to_owned();
            (name, String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

/// A chunked body (RFC 9112 7.1) without its chunks; `None` if it is not one.
fn unchunked(mut wire: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = wire.iter().position(|b| *b == b'\n')?;
        let line = std::str::from_utf8(&wire[..end]).ok()?;
        let size = line.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        wire = &wire[end + 1..];
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(wire.get(..size)?);
        wire = &wire[size..];
        wire = wire.strip_prefix(b"\r\n").or_else(|| wire.strip_prefix(b"\n"))?;
    }
}
