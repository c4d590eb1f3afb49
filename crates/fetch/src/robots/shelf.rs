//! The robots.txt files of many sites, each asked for once and kept for a while.
//!
//! Owns: how long what is believed, who is forgotten for room, and that those who ask at the same time share one answer.
//! Must not know: how a file is fetched.
//!
//! Invariants: at most [`SITES`] sites and [`ROOM`] bytes of files; nothing is believed for more than [`KEEP`] unless the
//! site fails meanwhile, and then for no more than [`KEEP_STALE`].

use super::Robots;
use crate::{FetchError, FetchErrorKind};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a file is believed (RFC 9309, section 2.4).
const KEEP: Duration = Duration::from_secs(86_400);
/// How long an old one is, if its site fails when it is asked again.
const KEEP_STALE: Duration = Duration::from_secs(7 * 86_400);
/// When a site that failed is asked again: first, and at most after doubling.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(120);
/// Sites whose files are kept.
const SITES: usize = 20_000;
/// Bytes of files that are kept, as they were sent; parsed they take about twice that.
const ROOM: usize = 32 << 20;
/// What a site takes besides.
const SITE_BYTES: usize = 512;

/// What a site says.
#[derive(Debug)]
pub(crate) enum Said {
    /// These rules.
    Rules(Robots),
    /// There is no file, so everything may be fetched; the status that said so.
    Anything(u16),
    /// Nobody knows, so nothing may be fetched now (RFC 9309, section 2.3.1.4).
    Nothing(FetchError),
}

/// What a site says, and since when that is known.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) said: Said,
    pub(crate) at: Instant,
    until: Instant,
    /// Failures in a row.
    tries: u32,
    bytes: usize,
}

/// One site's place on the shelf.
pub(crate) struct Book {
    known: Mutex<Option<Arc<Known>>>,
    /// Held by the one who asks the site.
    asking: tokio::sync::Mutex<()>,
    used: AtomicU64,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Shelf {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    books: HashMap<Box<str>, Arc<Book>>,
    /// Counts looks: what was looked at last is forgotten last.
    looks: u64,
    bytes: usize,
}

impl Shelf {
    /// What is known of a site (`https://host:port`), if that still counts.
    pub(crate) fn fresh(&self, site: &str) -> Option<Arc<Known>> {
        let book = self.look(site)?;
        book.get().filter(|known| Instant::now() < known.until)
    }

    /// What is known of a site, however old.
    pub(crate) fn known(&self, site: &str) -> Option<Arc<Known>> {
        self.look(site)?.get()
    }

    /// The same, learnt by `ask` if need be: by the first who wants it, while the others wait.
    pub(crate) async fn learn<F, A>(&self, site: &str, ask: F) -> Arc<Known>
    where
        F: FnOnce() -> A,
        A: Future<Output = (Said, usize)>,
    {
        let book = match self.look(site) {
            Some(book) => book,
            None => self.add(site),
        };
        let _asking = book.asking.lock().await;
        let before = book.get();
        if let Some(known) = before.as_ref().filter(|known| Instant::now() < known.until) {
            return Arc::clone(known);
        }
        let (said, bytes) = ask().await;
        let known = Arc::new(Known::new(said, bytes, before.as_deref(), Instant::now()));
        let known = match before {
            // It fails, but what it said before is not that old.
            Some(old) if known.tries > 0 && old.is_good() && old.at.elapsed() < KEEP_STALE => {
                Arc::new(Known {
                    said: old.copy(),
                    at: old.at,
                    until: known.until,
                    tries: known.tries,
                    bytes: old.bytes,
                })
            }
            _ => known,
        };
        *book.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        self.account(bytes);
        known
    }

    fn look(&self, site: &str) -> Option<Arc<Book>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.looks += 1;
        let book = state.books.get(site)?;
        book.used.store(state.looks, Ordering::Relaxed);
        Some(Arc::clone(book))
    }

    fn add(&self, site: &str) -> Arc<Book> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let looks = state.looks;
        let book = state.books.entry(site.into()).or_insert_with(|| {
            Arc::new(Book {
                known: Mutex::default(),
                asking: tokio::sync::Mutex::default(),
                used: looks.into(),
            })
        });
        Arc::clone(book)
    }

    /// Makes room after a file came.
    fn account(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes += bytes + SITE_BYTES;
        if state.books.len() <= SITES && state.bytes <= ROOM {
            return;
        }
        // The quarter that was not looked at for longest; again if that is not enough.
        while state.books.len() > SITES * 3 / 4 || state.bytes > ROOM * 3 / 4 {
            let mut used: Vec<u64> = state.books.values().map(|b| b.used.load(Ordering::Relaxed)).collect();
            let quarter = used.len() / 4;
            if used.is_empty() {
                break;
            }
            let (_, oldest, _) = used.select_nth_unstable(quarter);
            let oldest = *oldest;
            state.books.retain(|_, book| book.used.load(Ordering::Relaxed) > oldest);
            let sizes = state.books.values().map(|b| b.get().map_or(0, |k| k.bytes) + SITE_BYTES);
            state.bytes = sizes.sum();
        }
    }
}

impl Book {
    fn get(&self) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Known {
    fn new(said: Said, bytes: usize, before: Option<&Self>, now: Instant) -> Self {
        let tries = match said {
            Said::Nothing(_) => before.map_or(0, |b| b.tries) + 1,
            Said::Rules(_) | Said::Anything(_) => 0,
        };
        let keep = match tries {
            0 => KEEP,
            tries => AGAIN_FIRST.saturating_mul(1 << (tries - 1).min(10)).min(AGAIN_MAX),
        };
        Self { said, at: now, until: now + keep, tries, bytes }
    }

    fn is_good(&self) -> bool {
        !matches!(self.said, Said::Nothing(_))
    }

    fn copy(&self) -> Said {
        match &self.said {
            Said::Rules(robots) => Said::Rules(robots.clone()),
            Said::Anything(status) => Said::Anything(*status),
            Said::Nothing(error) => Said::Nothing(error.clone()),
        }
    }

    /// The error for everything on a site that does not say what may be fetched.
    pub(crate) fn error(&self, error: &FetchError) -> FetchError {
        let wait = self.until.saturating_duration_since(Instant::now());
        let again = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(error.again_ms.unwrap_or(0));
        match error.kind {
            // These are told as they are: the page would have met the same.
            FetchErrorKind::Refused | FetchErrorKind::NoSuchHost => error.clone(),
            _ => error.clone().again(again),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> (Said, usize) {
        (Said::Rules(Robots::parse(text.as_bytes())), text.len())
    }

    fn failure() -> (Said, usize) {
        (Said::Nothing(FetchError::new(FetchErrorKind::NoRobots, "503")), 0)
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_together_share_one_answer() {
        let shelf = Shelf::default();
        let asked = AtomicU64::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            rules("User-agent: *\nDisallow: /x")
        };
        let all = futures_util::future::join_all((0..50).map(|_| shelf.learn("http://a", ask))).await;
        assert_eq!((all.len(), asked.load(Ordering::Relaxed)), (50, 1));
        assert!(shelf.fresh("http://a").is_some());
        tokio::time::advance(KEEP).await;
        assert!(shelf.fresh("http://a").is_none() && shelf.known("http://a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_asking_leaves_it_to_the_next() {
        let shelf = Shelf::default();
        let mut first = Box::pin(shelf.learn("http://a", std::future::pending));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut second = Box::pin(shelf.learn("http://a", || async { rules("") }));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        assert!(matches!(second.await.said, Said::Rules(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_site_is_asked_again_ever_more_rarely() {
        let shelf = Shelf::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let known = shelf.learn("http://a", || async { failure() }).await;
            let Said::Nothing(error) = &known.said else { panic!("it failed") };
            let wait = known.error(error).again_ms.expect("it says when");
            waits.push(wait / 1_000);
            tokio::time::advance(Duration::from_millis(wait)).await;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_file_counts_for_a_week_while_its_site_fails() {
        let shelf = Shelf::default();
        shelf.learn("http://a", || async { rules("User-agent: *\nDisallow: /x") }).await;
        tokio::time::advance(KEEP).await;
        assert!(matches!(shelf.learn("http://a", || async { failure() }).await.said, Said::Rules(_)));
        assert!(shelf.fresh("http://a").is_some());
        tokio::time::advance(KEEP_STALE).await;
        assert!(matches!(shelf.learn("http://a", || async { failure() }).await.said, Said::Nothing(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_shelf_is_bounded() {
        let shelf = Shelf::default();
        for n in 0..300 {
            shelf
                .learn(&format!("http://{n}"), || async { (Said::Rules(Robots::default()), 500 << 10) })
                .await;
        }
        let state = shelf.state.lock().unwrap();
        assert!(state.bytes <= ROOM && state.books.len() < 100 && state.books.contains_key("http://299"));
    }
}
