//! Pages out of a WARC file: a [`Fetcher`] that asks nobody.
//!
//! Owns: the file, its index, and redirects among what was kept. Must not know: who made the file.

use crate::warc::{Answer, FileIndex, Limits, Reader, Record, Spot, WarcError, page_of};
use crate::{FetchError, FetchErrorKind, Fetcher};
use async_trait::async_trait;
use flate2::bufread::MultiGzDecoder;
use model::{Page, PageKey, Request};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// Bytes of a file that is one gzip member of many records, unpacked to disk: such a file cannot be read from its middle.
const UNPACKED_MAX: u64 = 64 << 30;
/// Room for heads beside a body, in one record.
const HEADS: u64 = 1 << 20;

/// Fetches pages from a WARC file. Cheap to clone.
#[derive(Clone)]
pub struct ReplayFetcher(Arc<Inner>);

struct Inner {
    path: PathBuf,
    index: FileIndex,
    page_bytes_max: u64,
    redirects_max: u32,
}

/// What came of opening a file.
pub struct Opened {
    /// Reads it.
    pub fetcher: ReplayFetcher,
    /// Why reading ended before the end of the file: what was read until then counts.
    pub broken: Option<WarcError>,
}

impl ReplayFetcher {
    /// Reads through a file. Blocks. `folder`: for a file that has to be unpacked first.
    pub fn open(path: &Path, folder: &Path, page_bytes_max: u64, redirects_max: u32) -> io::Result<Opened> {
        let mut path = path.to_owned();
        let limits = Limits { block_bytes: page_bytes_max.saturating_add(HEADS) };
        let scanned = match scan(&path, limits)? {
            Some(scanned) => Some(scanned),
            None => {
                let plain = folder.join("unpacked.warc");
                unpack(&path, &plain)?;
                path = plain;
                scan(&path, limits)?
            }
        };
        // A plain file has no members.
        let (mut index, broken) = scanned.unwrap_or_default();
        index.finish();
        let inner = Inner { path, index, page_bytes_max, redirects_max };
        Ok(Opened { fetcher: Self(Arc::new(inner)), broken })
    }

    /// What was asked for to get the pages, in the order of the file.
    pub fn starts(&self) -> Vec<Url> {
        self.0.index.starts()
    }

    /// Kept answers.
    pub fn answers(&self) -> usize {
        self.0.index.len()
    }
}

#[async_trait]
impl Fetcher for ReplayFetcher {
    async fn fetch(&self, request: Request, _express: bool) -> Result<Page, FetchError> {
        let inner = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || inner.page(&request)).await;
        read.unwrap_or_else(|error| Err(unreadable(&error.to_string())))
    }
}

impl Inner {
    fn page(&self, request: &Request) -> Result<Page, FetchError> {
        let mut url = request.url.clone();
        url.set_fragment(None);
        let mut asked = PageKey::of(request.method, &url, request.body.as_deref());
        for _ in 0..=self.redirects_max {
            let (head, body) = self.index.find(asked).ok_or_else(|| not_archived(&url))?;
            let record = self.record(head)?;
            let mut answer = Answer::of(&record).ok_or_else(|| unreadable("the record holds no answer"))?;
            if let Some(to) = answer.target(&url) {
                asked = PageKey::of(model::Method::Get, &to, None);
                url = to;
                continue;
            }
            if let Some(body) = body {
                let kept = self.record(body)?;
                answer.body = Answer::of(&kept).map(|kept| kept.body).unwrap_or_default();
            }
            return page_of(answer, url, crate::warc::moment(&record), self.page_bytes_max);
        }
        let message = format!("more than {} redirects", self.redirects_max);
        Err(FetchError::new(FetchErrorKind::Redirects, message))
    }

    fn record(&self, spot: Spot) -> Result<Record, FetchError> {
        let failed = |error: &dyn std::fmt::Display| unreadable(&error.to_string());
        let mut file = File::open(&self.path).map_err(|e| failed(&e))?;
        file.seek(SeekFrom::Start(spot.offset)).map_err(|e| failed(&e))?;
        let limits = Limits { block_bytes: self.page_bytes_max.saturating_add(HEADS) };
        let record =
            Reader::new(BufReader::new(file), spot.offset, limits).next_record().map_err(|e| failed(&e))?;
        record.ok_or_else(|| unreadable("the file has become shorter"))
    }
}

/// A page that was not kept.
pub fn not_archived(url: &Url) -> FetchError {
    FetchError::new(FetchErrorKind::NotArchived, format!("The page {url} is not in the archive"))
}

fn unreadable(why: &str) -> FetchError {
    FetchError::new(FetchErrorKind::NotArchived, format!("The page cannot be read from the archive: {why}"))
}

/// The index of a file, and why it ends early if it does; `None` if it has gzip members of several records.
fn scan(path: &Path, limits: Limits) -> io::Result<Option<(FileIndex, Option<WarcError>)>> {
    let mut reader = Reader::new(BufReader::new(File::open(path)?), 0, limits);
    let mut index = FileIndex::default();
    loop {
        match reader.next_record() {
            Ok(Some(record)) if record.within > 0 => return Ok(None),
            Ok(Some(record)) => index.add(&record).map_err(io::Error::other)?,
            Ok(None) => return Ok(Some((index, None))),
            Err(error) => return Ok(Some((index, Some(error)))),
        }
    }
}

fn unpack(from: &Path, to: &Path) -> io::Result<()> {
    let packed = MultiGzDecoder::new(BufReader::new(File::open(from)?));
    let mut plain = BufWriter::new(File::create(to)?);
    // What is broken further on is told when the plain file is read: it ends within a record.
    let copied = io::copy(&mut packed.take(UNPACKED_MAX + 1), &mut plain);
    plain.flush()?;
    match copied {
        Ok(n) if n > UNPACKED_MAX => {
            Err(io::Error::other(format!("the file unpacks to more than {UNPACKED_MAX} bytes")))
        }
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        _ => Ok(()),
    }
}
