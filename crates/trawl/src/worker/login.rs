//! Logging in: the steps of a scraper's file, done one after the other, once for each session however many wait for it.
//!
//! Owns: which sessions are logged in, and how long a login that failed is left alone. Must not know: forms, cookies.
//! Invariants: one login of a session at a time; a login that the site refuses is tried again no sooner than its rest is
//! over, so that no account is locked; nothing of the secrets is in a log or a failure.

use super::Worker;
use super::collect::Slice;
use super::identity::fate_of;
use extract::Login;
use model::{Failure, FailureCode, Fate, Page, Request, Timestamp, Trouble, Verdict, verdict};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Sessions whose logins are remembered. What is forgotten logs in again.
const LOGINS: usize = 1_000;
/// Milliseconds that a login rests which the site refused, doubling up to the most: accounts are locked for less.
const REFUSED_REST_MS: u64 = 30_000;
const REFUSED_REST_MAX_MS: u64 = 3_600_000;
/// The same where the site did not answer.
const TROUBLE_REST_MS: u64 = 1_000;
const TROUBLE_REST_MAX_MS: u64 = 60_000;
/// Pages in a row that ask for a login after logins that succeeded, until the login is taken for useless.
const USELESS: u32 = 3;

/// The logins of all sessions.
#[derive(Default)]
pub(super) struct Logins {
    all: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Counts the uses: larger is later.
    clock: u64,
    entries: HashMap<String, (u64, Arc<Entry>)>,
}

/// The login of one session.
#[derive(Default)]
pub(super) struct Entry {
    state: tokio::sync::Mutex<State>,
    useless: AtomicU32,
}

#[derive(Default)]
struct State {
    /// Counts the logins, so that a page can say which of them it was fetched under.
    age: u64,
    is_in: bool,
    failures: u32,
    rests: Option<Rest>,
}

/// A login that failed lately.
struct Rest {
    until: Timestamp,
    failure: Failure,
    /// `None` if the site refused.
    trouble: Option<Trouble>,
}

impl Rest {
    fn fate(&self, now: Timestamp) -> Fate {
        match self.trouble {
            Some(trouble) => {
                let asked_ms = Some(self.until.ms_since(now));
                Fate::Later { trouble, failure: self.failure.clone(), asked_ms }
            }
            None => Fate::Never(self.failure.clone()),
        }
    }
}

impl Logins {
    /// That of a session.
    pub(super) fn entry(&self, session: &str) -> Arc<Entry> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { clock, entries } = &mut *all;
        *clock += 1;
        if let Some((used, entry)) = entries.get_mut(session) {
            *used = *clock;
            return entry.clone();
        }
        if entries.len() >= LOGINS
            && let Some(oldest) =
                entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone())
        {
            entries.remove(&oldest);
        }
        let entry = Arc::<Entry>::default();
        entries.insert(session.to_owned(), (*clock, entry.clone()));
        entry
    }
}

impl Entry {
    /// The login of that age is over: the next page logs in again.
    pub(super) async fn is_over(&self, age: u64) {
        let mut state = self.state.lock().await;
        if state.age == age {
            state.is_in = false;
        }
    }

    /// A page came.
    pub(super) fn is_of_use(&self) {
        if self.useless.load(Ordering::Relaxed) > 0 {
            self.useless.store(0, Ordering::Relaxed);
        }
    }

    /// A page asks for a login whatever is done.
    pub(super) async fn is_of_no_use(&self, failure: &Failure, now: Timestamp) {
        if self.useless.fetch_add(1, Ordering::Relaxed) + 1 < USELESS {
            return;
        }
        self.useless.store(0, Ordering::Relaxed);
        self.state.lock().await.fail(failure.clone(), None, now);
    }
}

impl State {
    fn fail(&mut self, failure: Failure, trouble: Option<Trouble>, now: Timestamp) {
        let (base, most) = match trouble {
            None => (REFUSED_REST_MS, REFUSED_REST_MAX_MS),
            Some(_) => (TROUBLE_REST_MS, TROUBLE_REST_MAX_MS),
        };
        let rest = base.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures = self.failures.saturating_add(1);
        self.is_in = false;
        let until = now.plus_ms(i64::try_from(rest).unwrap_or(i64::MAX));
        self.rests = Some(Rest { until, failure, trouble });
    }
}

/// Why a login failed: the reason, and the trouble if it may pass.
struct Fault {
    failure: Failure,
    trouble: Option<Trouble>,
}

impl Worker {
    /// Waits until the session is logged in, by whoever does it; the age of the login.
    pub(super) async fn log_in(
        &self,
        entry: &Entry,
        slice: &Slice,
        login: &Login,
        page: &Request,
    ) -> Result<u64, Fate> {
        // Held over the steps: one at a time, and they end by the bounds of fetching.
        let mut state = entry.state.lock().await;
        if state.is_in {
            return Ok(state.age);
        }
        let now = self.clock.now();
        if let Some(rest) = state.rests.as_ref().filter(|rest| rest.until > now) {
            return Err(rest.fate(now));
        }
        let scraper = slice.scraper.name();
        match self.steps(slice, login, page).await {
            Ok(()) => {
                tracing::info!(scraper, "logged in");
                *state = State { age: state.age + 1, is_in: true, failures: 0, rests: None };
                Ok(state.age)
            }
            Err(Fault { failure, trouble }) => {
                tracing::warn!(scraper, reason = failure.message, "the login failed");
                let now = self.clock.now();
                state.fail(failure, trouble, now);
                Err(state.rests.as_ref().map_or(Fate::Untouched, |rest| rest.fate(now)))
            }
        }
    }

    async fn steps(&self, slice: &Slice, login: &Login, page: &Request) -> Result<(), Fault> {
        let secrets = |name: &str| self.catalogue.secret(name);
        let mut before: Option<Page> = None;
        for step in 0..login.steps() {
            let refused = |reason: String| Fault {
                failure: Failure::new(
                    FailureCode::LoginFailed,
                    format!("Step {} of the login: {reason}", step + 1),
                ),
                trouble: None,
            };
            let mut request = login.request(step, before.as_ref(), &secrets).map_err(refused)?;
            // As its pages are fetched, apart from the headers, which are for their own hosts.
            let mut needs = page.needs.clone();
            needs.secret_headers = slice.scraper.secret_headers(&request.url, &secrets).map_err(refused)?;
            needs.private = true;
            needs.fresh = step == 0;
            // The page's own waits and actions are not the login's.
            (needs.mode, needs.rendering) = (request.needs.mode, None);
            request.needs = needs;
            let answer = self.fetcher.fetch(request, slice.trigger.express).await.map_err(|error| {
                let trouble = match fate_of(&error) {
                    Fate::Later { trouble, .. } => Some(trouble),
                    _ => None,
                };
                Fault { trouble, ..refused(error.to_string()) }
            })?;
            if let Err(reason) = login.check(step, &answer) {
                let trouble = match verdict(answer.status) {
                    Verdict::Later(trouble, _) => Some(trouble),
                    Verdict::Read | Verdict::Never(_) => None,
                };
                return Err(Fault { trouble, ..refused(reason) });
            }
            before = Some(answer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_rests_longer_each_time() {
        let mut state = State::default();
        let mut rests = Vec::new();
        for _ in 0..9 {
            state.fail(FailureCode::LoginFailed.into(), None, Timestamp::from_ms(0));
            rests.push(state.rests.as_ref().map(|rest| rest.until.ms() / 1_000));
        }
        let wanted = [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600].map(Some);
        assert_eq!(rests, wanted);
        let fate = state.rests.as_ref().map(|rest| rest.fate(Timestamp::from_ms(0)));
        assert!(matches!(fate, Some(Fate::Never(failure)) if failure.code == FailureCode::LoginFailed));
    }

    #[tokio::test]
    async fn only_the_login_that_is_meant_is_over() {
        let entry = Entry::default();
        *entry.state.lock().await = State { age: 2, is_in: true, ..State::default() };
        entry.is_over(1).await;
        assert!(entry.state.lock().await.is_in);
        entry.is_over(2).await;
        assert!(!entry.state.lock().await.is_in);
    }

    #[test]
    fn so_many_are_remembered() {
        let logins = Logins::default();
        let first = logins.entry("first");
        for n in 0..LOGINS - 1 {
            logins.entry(&n.to_string());
        }
        assert!(Arc::ptr_eq(&first, &logins.entry("first")));
        logins.entry("one more");
        assert!(Arc::ptr_eq(&first, &logins.entry("first")), "the one unused longest went");
        assert_eq!(logins.all.lock().unwrap().entries.len(), LOGINS);
    }
}
