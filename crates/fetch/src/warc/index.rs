//! Which pages a file has, and where: made in one pass over its records, asked by what a request asks for. Pure.
//!
//! Invariant: memory grows with the number of kept answers, by some 200 bytes each, up to [`ANSWERS_MAX`].

use super::answer::Answer;
use super::read::Record;
use model::{Method, PageKey, Timestamp};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use url::Url;

/// Answers of one file.
const ANSWERS_MAX: usize = 2_000_000;
/// Redirects followed back to where a page was asked for first.
const STEPS_BACK: usize = 20;

/// Where a record begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// Bytes of the file before it, or before the gzip member that it is in.
    pub offset: u64,
    /// Bytes of the unpacked member before it.
    pub within: u64,
}

/// A kept answer.
#[derive(Clone, Debug)]
struct Kept {
    asked: PageKey,
    spot: Spot,
    status: u16,
    /// Digest of the body, of one that lies elsewhere.
    elsewhere: Option<u64>,
    /// What was asked for, if the answer may be read by a scraper or leads to one.
    url: Option<Box<str>>,
    leads_to: Option<PageKey>,
    /// Its own id, and the one that it says it goes with.
    ids: [Option<u64>; 2],
}

/// The pages of a file.
#[derive(Debug, Default)]
pub struct FileIndex {
    kept: Vec<Kept>,
    /// The answer that stands for what was asked: the last good one, else the last one.
    by_asked: HashMap<PageKey, usize>,
    bodies: HashMap<u64, Spot>,
    /// Requests other than `GET`, by their own id and the one that they go with.
    posts: HashMap<u64, PageKey>,
    is_done: bool,
}

impl FileIndex {
    /// Takes a record in. An error if the file has more answers than an index may have.
    pub fn add(&mut self, record: &Record) -> Result<(), String> {
        let kind = record.kind();
        if kind == "request" {
            self.request(record);
            return Ok(());
        }
        if !matches!(kind.as_str(), "response" | "revisit" | "resource") || record.is_too_large {
            return Ok(());
        }
        let Some(url) = record.target().filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return Ok(());
        };
        let Some(answer) = Answer::of(record) else { return Ok(()) };
        let leads_to = answer.target(&url).map(|to| PageKey::of(Method::Get, &to, None));
        if record.header("warc-truncated").is_some() && leads_to.is_none() {
            // A part of a page is no page.
            return Ok(());
        }
        if self.kept.len() >= ANSWERS_MAX {
            return Err(format!("the file has more than {ANSWERS_MAX} answers"));
        }
        let spot = Spot { offset: record.offset, within: record.within };
        let body = record.header("warc-payload-digest").map(hash);
        if kind != "revisit"
            && let Some(body) = body
        {
            self.bodies.entry(body).or_insert(spot);
        }
        let is_page = (200..300).contains(&answer.status) && may_be_read(&answer, &url);
        self.is_done = false;
        self.kept.push(Kept {
            asked: PageKey::of(Method::Get, &url, None),
            spot,
            status: answer.status,
            elsewhere: body.filter(|_| kind == "revisit"),
            url: (is_page || leads_to.is_some()).then(|| url.as_str().into()),
            leads_to,
            ids: ids(record),
        });
        Ok(())
    }

    fn request(&mut self, record: &Record) {
        let is_get = record.block.starts_with(b"GET ");
        let body = record.block.windows(4).position(|w| w == b"\r\n\r\n").map(|at| &record.block[at + 4..]);
        if let Some(url) = record.target().filter(|_| !is_get && self.posts.len() < ANSWERS_MAX) {
            let key = PageKey::of(Method::Post, &url, body);
            self.posts.extend(ids(record).into_iter().flatten().map(|id| (id, key)));
        }
    }

    /// Every record was taken in.
    pub fn finish(&mut self) {
        self.by_asked.clear();
        for (at, kept) in self.kept.iter_mut().enumerate() {
            if let Some(post) = kept.ids.iter().flatten().find_map(|id| self.posts.get(id)) {
                kept.asked = *post;
                kept.url = None;
            }
            let good = (200..300).contains(&kept.status);
            match self.by_asked.get(&kept.asked) {
                Some(_) if good => {
                    self.by_asked.insert(kept.asked, at);
                }
                None => {
                    self.by_asked.insert(kept.asked, at);
                }
                Some(_) => {}
            }
        }
        self.is_done = true;
    }

    /// Where the answer's record is, and that of its body if it is another one.
    pub fn find(&self, asked: PageKey) -> Option<(Spot, Option<Spot>)> {
        let kept = self.kept.get(*self.by_asked.get(&asked)?)?;
        let body = match kept.elsewhere {
            Some(digest) => Some(*self.bodies.get(&digest)?),
            None => None,
        };
        Some((kept.spot, body))
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What was asked for to get the pages, each once, in the order of the file: where redirects began.
    pub fn starts(&self) -> Vec<Url> {
        let mut before: HashMap<PageKey, usize> = HashMap::new();
        for (at, kept) in self.kept.iter().enumerate() {
            if let Some(to) = kept.leads_to.filter(|to| *to != kept.asked) {
                before.entry(to).or_insert(at);
            }
        }
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        for kept in self.kept.iter().filter(|k| k.url.is_some() && k.leads_to.is_none()) {
            let mut start = kept;
            for _ in 0..STEPS_BACK {
                let Some(earlier) = before.get(&start.asked).and_then(|at| self.kept.get(*at)) else { break };
                start = earlier;
            }
            if let Some(url) = start.url.as_deref().and_then(|url| Url::parse(url).ok())
                && seen.insert(start.asked)
            {
                out.push(url);
            }
        }
        out
    }
}

/// The moment of a record; 1970 if it does not say.
pub(crate) fn moment(record: &Record) -> Timestamp {
    record.header("warc-date").and_then(Timestamp::parse).unwrap_or_default()
}

fn ids(record: &Record) -> [Option<u64>; 2] {
    ["warc-record-id", "warc-concurrent-to"].map(|name| record.header(name).map(hash))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Pages, data and feeds; not pictures, styles, scripts, or what crawlers ask for themselves.
fn may_be_read(answer: &Answer, url: &Url) -> bool {
    if url.path() == "/robots.txt" {
        return false;
    }
    let media = answer.header("content-type").unwrap_or("text/html").to_ascii_lowercase();
    let media = media.split(';').next().unwrap_or_default().trim().to_owned();
    media.starts_with("text/html")
        || media.ends_with("json")
        || media.ends_with("xml")
        || media.ends_with("+xml") && media != "image/svg+xml"
        || media.is_empty()
}
