//! Records in: plain or gzip, one record or many to a member, anybody's. Works on any reader; opens nothing itself.
//!
//! Invariants: a head is at most [`HEAD_BYTES`], a block is kept up to the limit given and passed over beyond it; what is
//! not WARC is an error with its place, never a guess.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// Bytes of a record's head.
const HEAD_BYTES: usize = 64 << 10;
/// Lines of a record's head.
const HEAD_LINES: usize = 256;
/// Empty lines before a record that are passed over.
const EMPTY_LINES: usize = 64;

/// Bounds of one record.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a block that are kept; a longer one is passed over.
    pub block_bytes: u64,
}

/// Why reading ends.
#[derive(Debug, thiserror::Error)]
pub enum WarcError {
    /// The file cannot be read, or its compression is broken.
    #[error("byte {offset}: {error}")]
    Read {
        /// Where the record (or its gzip member) begins.
        offset: u64,
        /// What is wrong.
        error: io::Error,
    },
    /// What is there is not a WARC record.
    #[error("byte {offset}: {reason}")]
    Broken {
        /// Where the record (or its gzip member) begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Bytes of the file before it, or before the gzip member that it is in.
    pub offset: u64,
    /// Bytes of the unpacked member before it: more than 0 only where members hold several records.
    pub within: u64,
    /// Its header lines in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What it holds; empty if it is beyond the limit.
    pub block: Vec<u8>,
    /// The block is beyond the limit.
    pub is_too_large: bool,
}

impl Record {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Its type in lower case: `response`, `request`, `revisit` …
    pub fn kind(&self) -> String {
        self.header("warc-type").unwrap_or_default().to_ascii_lowercase()
    }

    /// What was asked for. Some writers put it in angle brackets.
    pub fn target(&self) -> Option<url::Url> {
        let text = self.header("warc-target-uri")?.trim();
        let text = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
        url::Url::parse(text).ok()
    }
}

/// Counts what is taken from a reader.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.count += n as u64;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.count += n as u64;
        self.inner.consume(n);
    }
}

enum Source<R: BufRead> {
    /// Between members, or of a plain file.
    Outside(Counted<R>),
    Member(Box<Counted<BufReader<GzDecoder<Counted<R>>>>>),
    /// After an error, or at the end.
    Ended,
}

/// The records of a file in order.
pub struct Reader<R: BufRead> {
    source: Source<R>,
    limits: Limits,
    /// Where the member begins.
    offset: u64,
}

impl<R: BufRead> Reader<R> {
    /// From the beginning of a file or of a record. `offset`: bytes of the file before that.
    pub fn new(input: R, offset: u64, limits: Limits) -> Self {
        Self { source: Source::Outside(Counted { inner: input, count: offset }), limits, offset }
    }

    /// The next record; `None` at the end. After an error there are none.
    pub fn next_record(&mut self) -> Result<Option<Record>, WarcError> {
        match self.step() {
            Ok(Some(record)) => Ok(Some(record)),
            ended => {
                self.source = Source::Ended;
                ended
            }
        }
    }

    fn step(&mut self) -> Result<Option<Record>, WarcError> {
        loop {
            match std::mem::replace(&mut self.source, Source::Ended) {
                Source::Ended => return Ok(None),
                Source::Outside(mut plain) => {
                    self.offset = plain.count;
                    let start = plain.fill_buf().map_err(|error| self.unreadable(error))?;
                    if start.starts_with(&[0x1f]) {
                        let open = BufReader::new(GzDecoder::new(plain));
                        self.source = Source::Member(Box::new(Counted { inner: open, count: 0 }));
                        continue;
                    }
                    let record = record(&mut plain, self.offset, self.limits)?;
                    if let Some(record) = &record {
                        // Empty lines before it are not the record's.
                        self.offset = record.offset;
                    }
                    self.source = Source::Outside(plain);
                    return Ok(record);
                }
                Source::Member(mut open) => {
                    let within = open.count;
                    let offset = self.offset;
                    let found = record(&mut *open, offset, self.limits)?;
                    match found {
                        Some(mut record) => {
                            record.within = within;
                            record.offset = offset;
                            self.source = Source::Member(open);
                            return Ok(Some(record));
                        }
                        // The end of the member: its decoder has taken exactly its bytes.
                        None => self.source = Source::Outside(open.inner.into_inner().into_inner()),
                    }
                }
            }
        }
    }

    fn unreadable(&self, error: io::Error) -> WarcError {
        WarcError::Read { offset: self.offset, error }
    }
}

/// One record from here; `None` if nothing follows.
fn record<R: BufRead>(
    input: &mut Counted<R>,
    offset: u64,
    limits: Limits,
) -> Result<Option<Record>, WarcError> {
    let broken = |reason: String| WarcError::Broken { offset, reason };
    let unreadable = |error| WarcError::Read { offset, error };
    let mut left = HEAD_BYTES;
    let mut begin = input.count;
    let mut version = Vec::new();
    for _ in 0..=EMPTY_LINES {
        begin = input.count;
        version = line(input, &mut left).map_err(unreadable)?;
        if version.is_empty() {
            return Ok(None);
        }
        if !version.trim_ascii().is_empty() {
            break;
        }
    }
    let version = version.trim_ascii();
    if !version.starts_with(b"WARC/") {
        let start = String::from_utf8_lossy(&version[..version.len().min(20)]).into_owned();
        return Err(broken(format!("no WARC record begins here, but {start:?}")));
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let text = line(input, &mut left).map_err(unreadable)?;
        if text.is_empty() {
            return Err(broken("the file ends within the head of a record".into()));
        }
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            break;
        }
        if text.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(text.trim());
            }
            continue;
        }
        if let Some((name, value)) = text.split_once(':') {
            if headers.len() >= HEAD_LINES {
                return Err(broken(format!("a head of more than {HEAD_LINES} lines")));
            }
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let mut record = Record { offset: begin, headers, ..Record::default() };
    let length = record.header("content-length").and_then(|text| text.parse::<u64>().ok());
    let Some(length) = length else {
        return Err(broken("a record without a Content-Length".into()));
    };
    let mut block = input.by_ref().take(length);
    let read = if length <= limits.block_bytes {
        block.read_to_end(&mut record.block).map(|n| n as u64)
    } else {
        record.is_too_large = true;
        io::copy(&mut block, &mut io::sink())
    };
    if read.map_err(unreadable)? < length {
        return Err(broken("the file ends within a record".into()));
    }
    Ok(Some(record))
}

/// A line with its end, within what is left of the head; empty at the end of the file.
fn line<R: BufRead>(input: &mut Counted<R>, left: &mut usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    input.by_ref().take(*left as u64).read_until(b'\n', &mut out)?;
    *left -= out.len();
    if *left == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a head of more than {HEAD_BYTES} bytes"),
        ));
    }
    Ok(out)
}
