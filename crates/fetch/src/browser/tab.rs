//! One page in a browser: a context of its own, its events, and questions to it.
//!
//! Owns: opening and closing, what is let through (schemes, blocked kinds, captured responses), time. Must not know:
//! what is waited for and done there.
//!
//! Invariant: however it ends, dropped halfway included, its context is closed before its place is free; a browser that
//! does not close it in time is killed.

use super::cookies;
use super::gate::Gate;
use super::pipe::CallError;
use super::plan::Plan;
use super::pool::Place;
use super::pump::{Pump, Rules, patterns};
use super::script;
use super::seen::Seen;
use crate::cookie::Cookie;
use crate::fetcher::Visit;
use crate::pace::Turn;
use crate::{FetchError, FetchErrorKind};
use model::Captured;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use url::Url;

/// For a context to close. A page in an endless loop takes 20 ms.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
/// For an answer that costs the browser nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// For the cookies of a page that may have used up its time.
const COOKIES_PATIENCE: Duration = Duration::from_secs(5);
/// The window.
const WINDOW: (u32, u32) = (1_280, 1_024);

/// An open page.
pub(super) struct Tab {
    place: Option<Place>,
    gate: Option<Gate>,
    context: String,
    session: String,
    shared: Arc<Shared>,
    pump: Option<AbortHandle>,
    /// The world that our questions are asked in; made anew for each document.
    world: Option<i64>,
    pub(super) deadline: Instant,
}

/// What the pump of events tells the driver.
pub(super) struct Shared {
    seen: Mutex<Seen>,
    pub(super) captured: Mutex<Vec<Captured>>,
    /// How other hosts are asked that the page itself goes on to.
    pub(super) visit: OnceLock<Arc<Visit>>,
    stay: Mutex<Option<Stay>>,
    /// Why the page itself was not let go on.
    pub(super) halted: Mutex<Option<FetchError>>,
    /// Counts up with each change.
    pub(super) changes: watch::Sender<u64>,
}

/// Where the page itself is.
pub(super) struct Stay {
    pub(super) origin: url::Origin,
    /// At its host.
    pub(super) turn: Turn,
}

impl Shared {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stay(&self) -> MutexGuard<'_, Option<Stay>> {
        self.stay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.abort();
        }
        let (Some(place), Ok(runtime)) = (self.place.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (context, session) = (std::mem::take(&mut self.context), std::mem::take(&mut self.session));
        let gate = self.gate.take();
        runtime.spawn(async move {
            place.browser.wire.forget(&session);
            // Nothing comes in any more while it closes.
            drop(gate);
            if !context.is_empty() {
                let params = json!({ "browserContextId": context });
                let closed =
                    place.browser.wire.call("", "Target.disposeBrowserContext", params, CLOSE_PATIENCE).await;
                if matches!(closed, Err(CallError::Late(_))) {
                    place.browser.give_up();
                }
            }
        });
    }
}

impl Tab {
    /// Opens an empty page in a context of its own, which knows the plan's cookies.
    pub(super) async fn open(
        place: Place,
        gate: Gate,
        plan: &Plan,
        deadline: Instant,
    ) -> Result<Self, FetchError> {
        let wire = place.browser.wire.clone();
        let proxy = gate.address();
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen::new(Instant::now())),
            captured: Mutex::default(),
            visit: OnceLock::new(),
            stay: Mutex::default(),
            halted: Mutex::default(),
            changes: watch::channel(0).0,
        });
        let mut tab = Self {
            place: Some(place),
            gate: Some(gate),
            context: String::new(),
            session: String::new(),
            shared,
            pump: None,
            world: None,
            deadline,
        };
        let context =
            json!({ "disposeOnDetach": true, "proxyServer": proxy, "proxyBypassList": "<-loopback>" });
        tab.context = text(&tab.browser("Target.createBrowserContext", context).await?["browserContextId"]);
        let target = json!({ "url": "about:blank", "browserContextId": tab.context,
            "width": WINDOW.0, "height": WINDOW.1 });
        let downloads = json!({ "behavior": "deny", "browserContextId": tab.context });
        let ((), _, target) = tokio::try_join!(
            tab.put_cookies(&plan.cookies),
            tab.browser("Browser.setDownloadBehavior", downloads),
            tab.browser("Target.createTarget", target)
        )?;
        let target = text(&target["targetId"]);
        let attach = json!({ "targetId": target, "flatten": true });
        tab.session = text(&tab.browser("Target.attachToTarget", attach).await?["sessionId"]);
        let events = wire.listen(&tab.session);
        // The frame of a page is called like its target.
        tab.shared.seen().frame = target;
        let pump =
            Pump { wire, session: tab.session.clone(), shared: tab.shared.clone(), rules: Rules::of(plan) };
        tab.pump = Some(tokio::spawn(pump.run(events)).abort_handle());
        let patterns = patterns(plan);
        let mut agent = json!({ "userAgent": plan.user_agent });
        if let Some(languages) = &plan.accept_language {
            agent["acceptLanguage"] = languages.as_str().into();
        }
        tokio::try_join!(
            tab.call("Page.enable", json!({})),
            tab.call("Inspector.enable", json!({})),
            // Bodies are taken at the gate or not at all: the browser need not keep them.
            tab.call("Network.enable", json!({ "maxTotalBufferSize": 0, "maxResourceBufferSize": 0 })),
            tab.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true })),
            tab.call("Network.setBypassServiceWorker", json!({ "bypass": true })),
            tab.call("Network.setUserAgentOverride", agent),
            tab.call("Fetch.enable", json!({ "patterns": patterns })),
        )?;
        Ok(tab)
    }

    async fn put_cookies(&self, cookies: &[Cookie]) -> Result<(), FetchError> {
        if cookies.is_empty() {
            return Ok(());
        }
        let put = |cookies: Vec<Value>| {
            self.browser(
                "Storage.setCookies",
                json!({ "cookies": cookies, "browserContextId": self.context }),
            )
        };
        match put(cookies.iter().map(cookies::told).collect()).await {
            Err(error) if error.kind == FetchErrorKind::Protocol => {}
            put => return put.map(|_| ()),
        }
        // One that it takes for wrong keeps out all others.
        for cookie in cookies {
            match put(vec![cookies::told(cookie)]).await {
                Err(error) if error.kind == FetchErrorKind::Protocol => {
                    tracing::debug!(domain = cookie.domain, "the browser refused a cookie");
                }
                put => drop(put?),
            }
        }
        Ok(())
    }

    /// The cookies that the sites have by now which the page itself was on; `None` if the browser does not tell.
    pub(super) async fn cookies(&self) -> Option<Vec<Cookie>> {
        let place = self.place.as_ref()?;
        let context = json!({ "browserContextId": self.context });
        let answer =
            place.browser.wire.call("", "Storage.getCookies", context, COOKIES_PATIENCE).await.ok()?;
        let seen = self.shared.seen();
        let all = answer["cookies"].as_array()?.iter().filter_map(cookies::read);
        // What others set that are only embedded (advertisers) would fill the jar.
        Some(all.filter(|cookie| seen.hosts.iter().any(|host| cookie.is_of_site(host))).collect())
    }

    /// From now on the page takes a turn at each further host that it goes on to; `turn` is that at its first.
    pub(super) fn pace(&self, visit: Arc<Visit>, turn: Turn, url: &Url) {
        *self.shared.stay() = Some(Stay { origin: url.origin(), turn });
        // Said once for each page; a second time would say the same.
        _ = self.shared.visit.set(visit);
    }

    /// Where the page is, and its turn there.
    pub(super) fn take_stay(&self) -> Option<Stay> {
        self.shared.stay().take()
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn browser(&self, method: &'static str, params: Value) -> Result<Value, FetchError> {
        self.ask("", method, params, PATIENCE.min(self.left())).await
    }

    /// Asks the page's own session.
    pub(super) async fn call(&self, method: &'static str, params: Value) -> Result<Value, FetchError> {
        self.ask(&self.session, method, params, PATIENCE.min(self.left())).await
    }

    async fn ask(
        &self,
        session: &str,
        method: &'static str,
        params: Value,
        patience: Duration,
    ) -> Result<Value, FetchError> {
        let Some(place) = &self.place else { return Err(gone()) };
        match place.browser.wire.call(session, method, params, patience).await {
            Ok(answer) => Ok(answer),
            Err(CallError::Gone) => Err(gone()),
            Err(_) if self.shared.seen().is_crashed => Err(crashed()),
            Err(CallError::Late(_)) if session.is_empty() && self.left() > Duration::ZERO => {
                // The browser itself is silent, not the page.
                place.browser.give_up();
                Err(gone())
            }
            Err(CallError::Late(_)) => Err(FetchError::new(
                FetchErrorKind::Timeout,
                "the page did not answer the browser in time: its scripts may run without end",
            )),
            Err(CallError::Refused(why)) => Err(FetchError::new(
                FetchErrorKind::Protocol,
                format!("the browser refused `{method}`: {why}"),
            )),
        }
    }

    /// Goes to an address, and waits until its document begins or there is none.
    pub(super) async fn go(&mut self, url: &Url, referrer: Option<&str>) -> Result<(), FetchError> {
        let mut params = json!({ "url": url.as_str() });
        if let Some(referrer) = referrer {
            params["referrer"] = referrer.into();
        }
        let going = self.ask(&self.session, "Page.navigate", params, self.left()).await;
        self.world = None;
        let answer = going.map_err(|error| match error.kind {
            FetchErrorKind::Timeout => self.refusal_of(url).unwrap_or_else(|| {
                FetchError::new(FetchErrorKind::Timeout, format!("`{}` did not answer in time", host(url)))
            }),
            _ => error,
        })?;
        match answer["errorText"].as_str() {
            None | Some("") => Ok(()),
            Some(reason) => Err(self.refusal_of(url).unwrap_or_else(|| no_document(url, reason))),
        }
    }

    /// Why the page itself was not let go where it went last, if it was not.
    pub(super) fn refusal(&self) -> Option<FetchError> {
        let halted = self.shared.halted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        halted.or_else(|| {
            let asked = self.shared.seen().asked.clone();
            self.gate.as_ref()?.refusal(asked.as_ref()?)
        })
    }

    fn refusal_of(&self, url: &Url) -> Option<FetchError> {
        self.refusal().or_else(|| self.gate.as_ref()?.refusal(url))
    }

    /// Waits until `holds` says so, at most until `until`; `false` if it did not. `holds` may name a moment at which to
    /// ask again.
    pub(super) async fn until(
        &self,
        until: Instant,
        mut holds: impl FnMut(&Seen, Instant) -> Result<(), Option<Instant>>,
    ) -> Result<bool, FetchError> {
        let mut changes = self.shared.changes.subscribe();
        let until = until.min(self.deadline);
        loop {
            let now = Instant::now();
            changes.mark_unchanged();
            let again = {
                let seen = self.shared.seen();
                if seen.is_crashed {
                    return Err(crashed());
                }
                match holds(&seen, now) {
                    Ok(()) => return Ok(true),
                    Err(again) => again.unwrap_or(until).min(until),
                }
            };
            if now >= until {
                return Ok(false);
            }
            let Some(place) = &self.place else { return Err(gone()) };
            tokio::select! {
                // An error means that the pump has ended: then the wire has, or the page is too far behind.
                changed = changes.changed() => if changed.is_err() { return Err(gone()) },
                () = tokio::time::sleep_until(again) => {}
                () = place.browser.wire.ended() => return Err(gone()),
            }
        }
    }

    /// Calls a function of [`script`] in the page. A document that goes away meanwhile is asked again in the next.
    pub(super) async fn within(
        &mut self,
        function: &str,
        arguments: &[Value],
        patience: Duration,
    ) -> Result<Value, FetchError> {
        let mut again = 3;
        loop {
            match self.evaluate(&script::call(function, arguments), patience).await {
                Err(error) if error.kind == FetchErrorKind::Protocol && again > 0 => {
                    again -= 1;
                    self.world = None;
                    tokio::time::sleep(Duration::from_millis(50).min(self.left())).await;
                }
                answer => return answer,
            }
        }
    }

    async fn evaluate(&mut self, expression: &str, patience: Duration) -> Result<Value, FetchError> {
        let world = match self.world {
            Some(world) => world,
            None => {
                let frame = self.shared.seen().frame.clone();
                let params = json!({ "frameId": frame, "worldName": "reader" });
                let made =
                    self.ask(&self.session, "Page.createIsolatedWorld", params, patience.min(self.left()));
                let world = made.await?["executionContextId"].as_i64().unwrap_or_default();
                *self.world.insert(world)
            }
        };
        let params = json!({ "expression": expression, "contextId": world, "awaitPromise": true,
            "returnByValue": true });
        let mut answer =
            self.ask(&self.session, "Runtime.evaluate", params, patience.min(self.left())).await?;
        if let Some(exception) = answer.get("exceptionDetails") {
            let why = exception["exception"]["description"].as_str().or(exception["text"].as_str());
            let why: String =
                why.unwrap_or_default().lines().next().unwrap_or_default().chars().take(200).collect();
            return Err(FetchError::new(FetchErrorKind::Script, why));
        }
        Ok(answer["result"]["value"].take())
    }

    /// What is known of the page.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }

    /// Responses that were kept.
    pub(super) fn captured(&self) -> Vec<Captured> {
        std::mem::take(&mut *self.shared.captured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes that came in, and requests that went out.
    pub(super) fn traffic(&self) -> (u64, u64) {
        self.gate.as_ref().map_or((0, 0), |gate| (gate.bytes(), gate.requests()))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

fn gone() -> FetchError {
    FetchError::new(FetchErrorKind::BrowserGone, "the browser ended while it rendered the page")
}

fn crashed() -> FetchError {
    FetchError::new(
        FetchErrorKind::PageCrashed,
        "the page crashed in the browser: it may have outgrown its memory",
    )
}

/// What the browser's own words for a missing document mean.
fn no_document(url: &Url, reason: &str) -> FetchError {
    let host = host(url);
    let kind = match reason {
        "net::ERR_TOO_MANY_REDIRECTS" => FetchErrorKind::Redirects,
        "net::ERR_BLOCKED_BY_CLIENT" | "net::ERR_UNSAFE_PORT" | "net::ERR_UNKNOWN_URL_SCHEME" => {
            FetchErrorKind::Refused
        }
        "net::ERR_TIMED_OUT" | "net::ERR_CONNECTION_TIMED_OUT" => FetchErrorKind::Timeout,
        "net::ERR_ABORTED" => {
            return FetchError::new(
                FetchErrorKind::Protocol,
                format!("`{host}` sent something that is no page (a download, or no content)"),
            );
        }
        _ if reason.contains("CERT") || reason.contains("SSL") => FetchErrorKind::Tls,
        _ => FetchErrorKind::Connection,
    };
    FetchError::new(kind, format!("the browser got no page from `{host}`: {reason}"))
}
