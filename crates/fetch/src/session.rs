//! Sessions: what requests of one share, which is a jar of cookies and the proxy that they go through.
//!
//! Must not know: whose session it is; its key is the caller's. Invariant: so many at most, so long at most; nothing of
//! them is written anywhere.

use crate::clock::now;
use crate::cookie::Jar;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// A session that nobody used for so long is forgotten.
const IDLE: Duration = Duration::from_secs(24 * 3_600);

/// One session.
pub(crate) struct Session {
    /// What proxies are told: letters and digits, nothing of the key can be read from it.
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jar: Jar,
    proxy: Option<usize>,
    /// How often it began anew: a proxy that is told of sessions is told of another one then.
    age: u32,
}

impl Session {
    fn new(name: String) -> Self {
        Self { name, state: Mutex::default() }
    }

    /// The jar, for as long as nothing is waited for.
    pub(crate) fn jar<T>(&self, use_it: impl FnOnce(&mut Jar) -> T) -> T {
        use_it(&mut self.lock().jar)
    }

    /// Forgets everything.
    pub(crate) fn begin_anew(&self) {
        let mut state = self.lock();
        state.jar.clear();
        state.age = state.age.wrapping_add(1);
    }

    /// The proxy that it goes through.
    pub(crate) fn proxy(&self) -> Option<usize> {
        self.lock().proxy
    }

    pub(crate) fn go_through(&self, proxy: usize) {
        self.lock().proxy = Some(proxy);
    }

    /// What proxies are told.
    pub(crate) fn name_for_proxies(&self) -> String {
        let age = self.lock().age;
        if age == 0 { self.name.clone() } else { format!("{}x{age}", self.name) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cookies that a page is fetched with.
pub(crate) enum Cookies {
    /// Those of a session.
    Of(Arc<Session>),
    /// Of no session: they live for the redirects of one page.
    Passing(Jar),
}

impl Cookies {
    pub(crate) fn of(session: Option<Arc<Session>>) -> Self {
        session.map_or_else(|| Self::Passing(Jar::default()), Self::Of)
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Of(session) => Some(session),
            Self::Passing(_) => None,
        }
    }

    /// The value of `Cookie` for that address, behind what the request itself brings.
    pub(crate) fn header(&self, url: &Url, own: Option<&HeaderValue>) -> Option<HeaderValue> {
        let header = |jar: &Jar| if jar.is_empty() { None } else { jar.header(url, own, now().ms()) };
        match self {
            Self::Of(session) => session.jar(|jar| header(jar)),
            Self::Passing(jar) => header(jar),
        }
    }

    /// Takes what an answer sets. `goes_on`: further addresses follow.
    pub(crate) fn take(&mut self, url: &Url, headers: &HeaderMap, goes_on: bool) {
        if !headers.contains_key(SET_COOKIE) {
            return;
        }
        match self {
            Self::Of(session) => session.jar(|jar| jar.take(url, headers, now().ms())),
            Self::Passing(jar) if goes_on => jar.take(url, headers, now().ms()),
            Self::Passing(_) => {}
        }
    }

    /// Names of what would be sent to that address.
    pub(crate) fn names(&self, url: &Url) -> Vec<String> {
        match self {
            Self::Of(session) => session.jar(|jar| jar.names(url, now().ms())),
            Self::Passing(jar) => jar.names(url, now().ms()),
        }
    }
}

/// All sessions.
pub(crate) struct Sessions {
    most: usize,
    /// So that names differ between nodes and starts.
    salt: std::collections::hash_map::RandomState,
    all: Mutex<HashMap<String, (Instant, Arc<Session>)>>,
}

impl Sessions {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            salt: std::collections::hash_map::RandomState::new(),
            all: Mutex::default(),
        }
    }

    /// The session of that key, made if there is none.
    pub(crate) fn get(&self, key: &str, now: Instant) -> Arc<Session> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((used, session)) = all.get_mut(key) {
            *used = now;
            return Arc::clone(session);
        }
        if all.len() >= self.most {
            all.retain(|_, (used, _)| now.saturating_duration_since(*used) < IDLE);
        }
        if all.len() >= self.most
            && let Some(oldest) = all.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone())
        {
            // Pages under way keep theirs to their end.
            all.remove(&oldest);
        }
        use std::hash::BuildHasher;
        let session = Arc::new(Session::new(format!("s{:016x}", self.salt.hash_one(key))));
        all.insert(key.to_owned(), (now, Arc::clone(&session)));
        session
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_again_and_bounded() {
        let (sessions, mut now) = (Sessions::new(3), Instant::now());
        let first = sessions.get("a", now);
        assert!(Arc::ptr_eq(&first, &sessions.get("a", now)));
        for key in ["b", "c"] {
            now += Duration::from_secs(1);
            sessions.get(key, now);
        }
        now += Duration::from_secs(1);
        sessions.get("a", now);
        sessions.get("d", now);
        assert_eq!(sessions.count(), 3);
        assert!(Arc::ptr_eq(&first, &sessions.get("a", now)), "the one unused longest went, not this");
    }

    #[test]
    fn proxies_are_told_another_name_after_a_new_beginning() {
        let sessions = Sessions::new(3);
        let session = sessions.get("shop/my account", Instant::now());
        let name = session.name_for_proxies();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()) && name.len() < 24, "{name}");
        session.begin_anew();
        assert_ne!(session.name_for_proxies(), name);
        assert_ne!(sessions.get("other", Instant::now()).name_for_proxies(), name);
    }
}
