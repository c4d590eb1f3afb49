//! Pages kept from before: asked about instead of fetched anew, where scraper, trigger or settings want that.
//!
//! Owns: which pages are kept, when a kept one stands for the page, how much is kept. Its parts: `entry` (the bytes of a
//! kept page), `evict` (what is forgotten). Must not know: records, snapshots, SQL.
//! Invariants: a kept page is what the site sent, so reading it gives what reading the answer gave; a missing, cut or
//! foreign entry is a plain fetch, never an error; who does not ask for it pays nothing.

mod entry;
mod evict;

use crate::clock::Clock;
use bytes::Bytes;
use entry::Kept;
use fetch::validate::{self, Validators};
use fetch::{FetchError, Fetcher};
use model::{Extras, Method, Page, Request, Reuse, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Bucket, BucketError};
use tokio::sync::Notify;

/// Keys of kept pages begin so.
const PREFIX: &str = "cache/";
/// Bytes of an entry at most; also bounds what a damaged one can make us read.
const ENTRY_BYTES: u64 = 64 << 20;
/// A kept page that is used is written anew once a day, so that what is used is not the oldest.
const TOUCH_MS: u64 = 86_400_000;

/// What an operator may say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// What holds if neither trigger nor scraper say.
    pub reuse: Reuse,
    /// Bytes of kept pages in all, as they lie in the bucket.
    pub bytes_max: u64,
}

/// How often kept pages did what, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// The site said that nothing changed.
    pub not_modified: AtomicU64,
    /// Younger than the age asked for.
    pub fresh: AtomicU64,
    /// The sitemap said that nothing changed.
    pub unasked: AtomicU64,
    /// Fetched and kept.
    pub kept: AtomicU64,
    /// Forgotten to stay within the bytes allowed.
    pub evicted: AtomicU64,
}

/// Who asks for a page, and with what in mind.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Name of the scraper: each keeps pages of its own.
    pub scraper: &'a str,
    /// When kept pages may be used.
    pub reuse: Reuse,
    /// When a sitemap says that the page was last changed, at the latest.
    pub modified: Option<Timestamp>,
}

/// Something to be kept once its page turned out to be readable.
#[derive(Debug)]
pub struct Keep {
    key: String,
    /// Bytes of what it replaces.
    before: u64,
    kept: Kept,
    is_new: bool,
}

/// Keeps pages in the bucket.
pub struct PageCache {
    bucket: Arc<dyn Bucket>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    /// Bytes held, as far as known.
    held: AtomicU64,
    full: Notify,
    /// For metrics.
    pub counters: Counters,
}

impl PageCache {
    /// In this bucket.
    pub fn new(bucket: Arc<dyn Bucket>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let (held, full) = (AtomicU64::new(0), Notify::new());
        Self { bucket, clock, settings, held, full, counters: Counters::default() }
    }

    /// What trigger and scraper ask for, with what the settings say where they say nothing.
    pub fn reuse(&self, asked: Reuse) -> Reuse {
        if self.settings.bytes_max == 0 { Reuse::default() } else { asked.or(self.settings.reuse) }
    }

    /// Bytes held, as far as known.
    pub fn held_bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The page: a kept one if that may stand for it, else from the web. What should be kept of it is given too; pass it to
    /// [`PageCache::keep`] if the page was of use.
    pub async fn page(
        &self,
        fetcher: &dyn Fetcher,
        ask: Ask<'_>,
        request: Request,
        express: bool,
    ) -> Result<(Page, Option<Keep>), FetchError> {
        let Some(key) = key(ask, &request) else { return Ok((fetcher.fetch(request, express).await?, None)) };
        let kept = self.get(&key, &request).await;
        let Some(mut kept) = kept else {
            let page = fetcher.fetch(request.clone(), express).await?;
            let keep = self.new_keep(key, 0, &request, ask, &page);
            return Ok((page, keep));
        };
        if let Some(counter) = self.stands(&kept, ask) {
            counter.fetch_add(1, Ordering::Relaxed);
            let page = kept.page.clone();
            let keep = self.touched(key, kept);
            return Ok((page, keep));
        }
        let validators =
            if revalidates(ask.reuse) { Validators::of(&kept.page.headers) } else { Validators::default() };
        let mut asking = request.clone();
        asking.headers.extend(validators.lines());
        let answer = fetcher.fetch(asking, express).await?;
        if answer.status != 304 || validators.is_empty() {
            let keep = self.new_keep(key, kept.bytes, &request, ask, &answer);
            return Ok((answer, keep));
        }
        if answer.url != kept.page.url || !validate::confirms(&kept.page.headers, &answer.headers) {
            // It speaks of something else, such as the target of a redirect that now leads elsewhere.
            let page = fetcher.fetch(request.clone(), express).await?;
            let keep = self.new_keep(key, kept.bytes, &request, ask, &page);
            return Ok((page, keep));
        }
        self.counters.not_modified.fetch_add(1, Ordering::Relaxed);
        validate::freshen(&mut kept.page.headers, &answer.headers);
        let checked = answer.fetched_at;
        // What counts time from the last look is worth writing down; the page itself is the same.
        let counts = ask.reuse.max_age_ms.is_some() || ask.modified.is_some_and(|at| at >= kept.made_at);
        let is_old = checked.ms_since(kept.checked_at) > TOUCH_MS;
        kept.made_at = validate::made_at(&answer.headers, checked);
        kept.checked_at = checked;
        let page = Page { wire_bytes: answer.wire_bytes, ..kept.page.clone() };
        let keep = (counts || is_old).then(|| Keep { key, before: kept.bytes, kept, is_new: false });
        Ok((page, keep))
    }

    /// Which counter tells why a kept page stands for the page without asking; `None` if it does not.
    fn stands(&self, kept: &Kept, ask: Ask<'_>) -> Option<&AtomicU64> {
        if let Some(max_age) = ask.reuse.max_age_ms.and_then(|ms| u64::try_from(ms).ok()) {
            let age = validate::age_ms(&kept.page.headers, kept.checked_at, self.clock.now());
            if age < max_age {
                return Some(&self.counters.fresh);
            }
        }
        // Both by the site's clock, which counts whole seconds.
        let is_before = ask.modified.is_some_and(|at| at.plus_ms(1_000) <= kept.made_at);
        (is_before && revalidates(ask.reuse)).then_some(&self.counters.unasked)
    }

    fn touched(&self, key: String, mut kept: Kept) -> Option<Keep> {
        let now = self.clock.now();
        if now.ms_since(kept.touched_at) <= TOUCH_MS {
            return None;
        }
        kept.touched_at = now;
        Some(Keep { key, before: kept.bytes, kept, is_new: false })
    }

    /// What to keep of an answer, if it can be of use later.
    fn new_keep(
        &self,
        key: String,
        before: u64,
        request: &Request,
        ask: Ask<'_>,
        page: &Page,
    ) -> Option<Keep> {
        let useful = !Validators::of(&page.headers).is_empty()
            || ask.reuse.max_age_ms.is_some_and(|ms| ms > 0)
            || ask.modified.is_some();
        // What leaves more than a body was not a plain answer: its parts would be missing from a kept page.
        let plain = page.status == 200 && page.extras == Extras::default();
        if !useful || !plain || validate::is_for_once(&page.headers) {
            return None;
        }
        let mut headers = page.headers.clone();
        headers.retain(|(name, _)| validate::is_kept(name));
        let kept = Kept {
            asked: request.url.clone(),
            made_at: validate::made_at(&headers, page.fetched_at),
            checked_at: page.fetched_at,
            touched_at: page.fetched_at,
            bytes: 0,
            page: Page { headers, wire_bytes: 0, ..page.clone() },
        };
        Some(Keep { key, before, kept, is_new: true })
    }

    /// Keeps it, if there is room. Failing to is no failure: the page is fetched next time.
    pub async fn keep(&self, keep: Keep) {
        let Keep { key, before, kept, is_new } = keep;
        // A kept page must leave room for others.
        let most = (self.settings.bytes_max / 8).min(ENTRY_BYTES);
        let Some(bytes) = packed(kept).await.filter(|bytes| bytes.len() as u64 <= most) else { return };
        let added = (bytes.len() as u64).saturating_sub(before);
        let room = self.settings.bytes_max.saturating_add(self.settings.bytes_max / 10);
        // Taken before it is written, so that many at once stay within it together.
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(added).filter(|held| *held <= room)
        });
        if taken.is_err() || self.held_bytes() > self.settings.bytes_max {
            self.full.notify_one();
        }
        if taken.is_err() {
            return;
        }
        if let Err(error) = self.bucket.put(&key, bytes).await {
            // What it took is set right at the next look.
            tracing::debug!(%error, key, "a page could not be kept");
            return;
        }
        if is_new {
            self.counters.kept.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn get(&self, key: &str, request: &Request) -> Option<Kept> {
        let bytes = match self.bucket.get(key, 0, ENTRY_BYTES).await {
            Ok(bytes) => bytes,
            Err(BucketError::NotFound(_)) => return None,
            Err(error) => {
                tracing::debug!(%error, key, "a kept page could not be read");
                return None;
            }
        };
        let kept = tokio::task::spawn_blocking(move || entry::read(&bytes)).await.ok().flatten();
        if kept.is_none() {
            tracing::debug!(key, "a kept page is damaged; it is fetched anew");
        }
        kept.filter(|kept| kept.asked == request.url)
    }
}

async fn packed(kept: Kept) -> Option<Bytes> {
    tokio::task::spawn_blocking(move || entry::write(&kept)).await.ok().flatten()
}

/// An age implies asking afterwards, unless that was ruled out.
fn revalidates(reuse: Reuse) -> bool {
    reuse.revalidate.unwrap_or_else(|| reuse.is_wanted())
}

/// Where the page of a request is kept; `None` if pages of its kind are not. Everything that the scraper says about the
/// request is part of it, so that what an answer varies by is the same; only pace and reuse are not the page's.
fn key(ask: Ask<'_>, request: &Request) -> Option<String> {
    if !ask.reuse.is_wanted() || request.method != Method::Get || request.body.is_some() {
        return None;
    }
    let mut needs = request.needs.clone();
    (needs.host_concurrency, needs.host_delay_ms, needs.reuse) = (None, None, Reuse::default());
    let needs = serde_json::to_vec(&needs).ok()?;
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, v)| (name.to_ascii_lowercase(), v)).collect();
    headers.sort();
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(request.url.as_str().as_bytes());
    part(&needs);
    for (name, value) in headers {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    let (owner, page) = (hex(&Sha256::digest(ask.scraper)[..8]), hex(&hash.finalize()[..20]));
    Some(format!("{PREFIX}{owner}/{}/{}", &page[..2], &page[2..]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests;
