//! The ways to the web: one without a proxy, and one for each proxy and whom it is spoken to as, each with its own pool of
//! connections, so that no connection is shared between two sessions that a proxy tells apart.

use super::address::Proxy;
use super::health::{Demand, Fault, Health, NoProxy, ProxyStats};
use super::{Gate, proxy_error};
use crate::client::{Client, Whole};
use crate::connect::Connector;
use crate::session::Session;
use crate::{FetchError, FetchErrorKind};
use model::{Exit, Method, Needs};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Clients for proxies that are told country or session. The one that was used longest ago goes first, with its idle
/// connections.
const FILLED_MAX: usize = 512;
/// The session that proxies are told of where there is none.
const NO_SESSION: &str = "none";

/// A way to the web, with its own pool of connections.
pub(crate) struct Route {
    pub(crate) client: Client<Whole>,
    /// How its connections are made.
    pub(crate) connector: Connector,
    pub(crate) gate: Option<Gate>,
}

impl Route {
    fn new(make: &dyn Fn(Option<Gate>) -> (Client<Whole>, Connector), gate: Option<Gate>) -> Self {
        let (client, connector) = make(gate.clone());
        Self { client, connector, gate }
    }
}

/// Makes the client of a way.
type Make = Box<dyn Fn(Option<Gate>) -> (Client<Whole>, Connector) + Send + Sync>;

/// Which proxy, country and session a client was made for.
type Filled = (usize, Option<String>, Option<String>);

/// All ways.
pub(crate) struct Ways {
    direct: Arc<Route>,
    proxies: Vec<Arc<Proxy>>,
    /// One for each proxy that needs no filling.
    plain: Vec<Option<Arc<Route>>>,
    filled: Mutex<HashMap<Filled, (Instant, Arc<Route>)>>,
    health: Arc<Mutex<Health>>,
    make: Make,
}

/// What a page asks of its way.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) needs: &'a Needs,
    pub(crate) session: Option<&'a Session>,
}

/// The way that a page takes. Its proxy counts it as under way until it is dropped.
pub(crate) struct Way {
    pub(crate) route: Arc<Route>,
    used: Option<Used>,
}

struct Used {
    at: usize,
    health: Arc<Mutex<Health>>,
}

impl Drop for Used {
    fn drop(&mut self) {
        lock(&self.health).release(self.at);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is made whole before anything could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ways {
    pub(crate) fn new(
        proxies: Vec<Proxy>,
        make: impl Fn(Option<Gate>) -> (Client<Whole>, Connector) + Send + Sync + 'static,
    ) -> Self {
        let proxies: Vec<Arc<Proxy>> = proxies.into_iter().map(Arc::new).collect();
        let route = |gate: Option<Gate>| Arc::new(Route::new(&make, gate));
        let plain = |proxy: &Arc<Proxy>| {
            let needs_none = !proxy.takes_country() && !proxy.takes_session();
            needs_none.then(|| route(Some(Gate::new(Arc::clone(proxy), None, NO_SESSION))))
        };
        Self {
            direct: route(None),
            plain: proxies.iter().map(plain).collect(),
            filled: Mutex::default(),
            health: Arc::new(Mutex::new(Health::new(&proxies))),
            proxies,
            make: Box::new(make),
        }
    }

    /// The way for a page; `not` are proxies that failed it before.
    pub(crate) fn choose(&self, wish: Wish<'_>, not: &[usize]) -> Result<Way, FetchError> {
        let Needs { exit, country, .. } = wish.needs;
        let label = match exit {
            Exit::Any if self.proxies.is_empty() && country.is_none() => return Ok(self.directly()),
            Exit::Direct if country.is_none() => return Ok(self.directly()),
            Exit::Direct => {
                return Err(none_fits(
                    "a country is asked for, but the scraper's `proxy = \"none\"` forbids proxies",
                ));
            }
            Exit::Any => None,
            Exit::Label(label) => Some(label.as_str()),
        };
        let demand = Demand { in_session: wish.session.is_some(), country: country.as_deref(), label };
        let pinned = wish.session.and_then(Session::proxy);
        let chosen = lock(&self.health).choose(demand, pinned, not, Instant::now());
        let at = chosen.map_err(|none| match none {
            NoProxy::Fits => none_fits(&describe(demand)),
            NoProxy::Works(wait) => {
                let mut error = proxy_error("every proxy that fits failed lately and rests");
                error.again_ms = u64::try_from(wait.as_millis()).ok();
                error
            }
        })?;
        if let Some(session) = wish.session {
            session.go_through(at);
        }
        let used = Used { at, health: Arc::clone(&self.health) };
        Ok(Way { route: self.route(at, wish), used: Some(used) })
    }

    fn directly(&self) -> Way {
        Way { route: Arc::clone(&self.direct), used: None }
    }

    fn route(&self, at: usize, wish: Wish<'_>) -> Arc<Route> {
        if let Some(route) = &self.plain[at] {
            return Arc::clone(route);
        }
        let proxy = &self.proxies[at];
        let country = wish.needs.country.clone().filter(|_| proxy.takes_country());
        let session = wish.session.map(Session::name_for_proxies).filter(|_| proxy.takes_session());
        let now = Instant::now();
        let mut filled = lock(&self.filled);
        let key = (at, country, session);
        if let Some((used, route)) = filled.get_mut(&key) {
            *used = now;
            return Arc::clone(route);
        }
        if filled.len() >= FILLED_MAX
            && let Some(oldest) = filled.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone())
        {
            filled.remove(&oldest);
        }
        let gate = Gate::new(Arc::clone(proxy), key.1.as_deref(), key.2.as_deref().unwrap_or(NO_SESSION));
        let route = Arc::new(Route::new(&self.make, Some(gate)));
        filled.insert(key, (now, Arc::clone(&route)));
        route
    }

    /// Another proxy for a page that failed, if the fault may be that of the first and nothing can happen twice.
    pub(crate) fn instead(
        &self,
        wish: Wish<'_>,
        first: &Way,
        error: &FetchError,
        method: Method,
    ) -> Option<Way> {
        first.fault(error)?;
        // A connection that was not made, or a request that the proxy refused, did nothing.
        let did_nothing = error.fault().is_some();
        if !did_nothing && method != Method::Get {
            return None;
        }
        self.choose(wish, &[first.proxy()?]).ok()
    }

    /// How the proxies fare, in the order of the setting.
    pub(crate) fn stats(&self) -> Vec<ProxyStats> {
        lock(&self.health).stats(Instant::now())
    }
}

impl Way {
    /// Which proxy it goes through.
    pub(crate) fn proxy(&self) -> Option<usize> {
        self.used.as_ref().map(|used| used.at)
    }

    /// The site was reached.
    pub(crate) fn works(&self) {
        if let Some(used) = &self.used
            && lock(&used.health).works(used.at)
        {
            tracing::info!(proxy = self.shown(), "the proxy works again");
        }
    }

    /// It was the proxy's fault.
    pub(crate) fn failed(&self, error: &FetchError) {
        if let Some(used) = &self.used {
            let rest = lock(&used.health).failed(used.at, &error.message, Instant::now());
            self.say(rest, error);
        }
    }

    /// Whose fault an error was, as far as the proxy may be at fault.
    fn fault(&self, error: &FetchError) -> Option<Fault> {
        let reads_http = self.route.gate.as_ref().is_some_and(Gate::reads_http);
        match error.kind {
            // The connection that broke, or from which nothing came, was the proxy's.
            FetchErrorKind::Connection | FetchErrorKind::Timeout if reads_http => Some(Fault::Either),
            _ => error.fault(),
        }
    }

    /// Notes what became of a page that was tried here only.
    pub(crate) fn note(&self, error: Option<&FetchError>, site: &str) {
        match error.map(|error| (error, self.fault(error))) {
            None => self.works(),
            Some((error, Some(Fault::Own))) => self.failed(error),
            Some((error, Some(Fault::Either))) => self.unreached(site, error),
            Some((_, None)) => {}
        }
    }

    /// Notes what became of a page that was tried at `first`, which gave that error, and then here.
    pub(crate) fn note_second(
        &self,
        error: Option<&FetchError>,
        first: &Way,
        first_error: &FetchError,
        site: &str,
    ) {
        self.note(error, site);
        match (first.fault(first_error), error) {
            (Some(Fault::Own), _) | (Some(Fault::Either), None) => first.failed(first_error),
            (Some(Fault::Either), Some(_)) => first.unreached(site, first_error),
            (None, _) => {}
        }
    }

    /// It may have been the proxy's fault or the site's.
    pub(crate) fn unreached(&self, site: &str, error: &FetchError) {
        if let Some(used) = &self.used {
            let rest = lock(&used.health).unreached(used.at, site, &error.message, Instant::now());
            self.say(rest, error);
        }
    }

    fn say(&self, rest: Option<std::time::Duration>, error: &FetchError) {
        if let Some(rest) = rest {
            let rest_ms = rest.as_millis();
            tracing::warn!(proxy = self.shown(), %error, rest_ms, "the proxy failed and rests");
        }
    }

    fn shown(&self) -> String {
        self.route.gate.as_ref().map(|gate| gate.proxy.shown()).unwrap_or_default()
    }
}

impl FetchError {
    /// Whose fault it was, as far as a proxy may be at fault.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self.kind {
            FetchErrorKind::Proxy => Some(Fault::Own),
            FetchErrorKind::Gateway => Some(Fault::Either),
            _ => None,
        }
    }
}

fn none_fits(why: &str) -> FetchError {
    FetchError::new(FetchErrorKind::NoProxy, format!("no proxy can be used: {why}"))
}

fn describe(demand: Demand<'_>) -> String {
    let mut wanted = Vec::new();
    wanted.extend(demand.country.map(|country| format!("country `{country}`")));
    wanted.extend(demand.label.map(|label| format!("label `{label}`")));
    if demand.in_session {
        wanted.push("for a session".to_owned());
    }
    match wanted.len() {
        0 => "`fetch.proxy` has none that fits".to_owned(),
        _ => format!("`fetch.proxy` has none of {}", wanted.join(", ")),
    }
}
