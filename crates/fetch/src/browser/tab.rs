//! One page in a browser: a context of its own, its events, and questions to it.
//!
//! Owns: opening and closing, what is let through (schemes, blocked kinds, captured responses), time. Must not know:
//! what is waited for and done there.
//!
//! Invariant: however it ends, dropped halfway included, its context is closed before its place is free; a browser that
//! does not close it in time is killed.

use super::gate::Gate;
use super::pipe::{CallError, Event};
use super::pool::Place;
use super::script;
use super::seen::Seen;
use crate::fetcher::HttpFetcher;
use crate::pace::Turn;
use crate::{FetchError, FetchErrorKind};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{Captured, Needs, ResourceKind};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use url::Url;

/// For a context to close. A page in an endless loop takes 20 ms.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
/// For an answer that costs the browser nothing.
const PATIENCE: Duration = Duration::from_secs(20);
/// Captured responses of one page.
const CAPTURED_MAX: usize = 500;
/// The window.
const WINDOW: (u32, u32) = (1_280, 1_024);

/// What a tab is opened with.
pub(super) struct Plan {
    pub(super) url: Url,
    pub(super) user_agent: String,
    /// Sent with the page itself to its own site, and to nobody else.
    pub(super) headers: Vec<(String, String)>,
    pub(super) block: Vec<ResourceKind>,
    pub(super) capture: Option<String>,
    pub(super) bytes_max: u64,
}

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
    captured: Mutex<Vec<Captured>>,
    /// How other hosts are asked that the page itself goes on to, and their turns.
    pace: OnceLock<(HttpFetcher, Needs, bool)>,
    turns: Mutex<Vec<Turn>>,
    /// Why the page itself was not let go on.
    halted: Mutex<Option<FetchError>>,
    /// Counts up with each change.
    changes: watch::Sender<u64>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Opens an empty page in a context of its own. A hook for sessions: a named one would keep its context.
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
            pace: OnceLock::new(),
            turns: Mutex::default(),
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
        let (_, target) = tokio::try_join!(
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
        let agent = json!({ "userAgent": plan.user_agent });
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

    /// From now on the page takes a turn at each further host that it goes on to.
    pub(super) fn pace(&self, http: HttpFetcher, needs: Needs, express: bool) {
        // Said once for each page; a second time would say the same.
        _ = self.shared.pace.set((http, needs, express));
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
    pub(super) async fn go(&mut self, url: &Url) -> Result<(), FetchError> {
        let params = json!({ "url": url.as_str() });
        let going = self.ask(&self.session, "Page.navigate", params, self.left()).await;
        self.world = None;
        let answer = going.map_err(|error| match error.kind {
            FetchErrorKind::Timeout => self.refusal(url).unwrap_or_else(|| {
                FetchError::new(FetchErrorKind::Timeout, format!("`{}` did not answer in time", host(url)))
            }),
            _ => error,
        })?;
        match answer["errorText"].as_str() {
            None | Some("") => Ok(()),
            Some(reason) => Err(self.refusal(url).unwrap_or_else(|| no_document(url, reason))),
        }
    }

    /// Why the gate refused the page itself, if it did.
    fn refusal(&self, url: &Url) -> Option<FetchError> {
        let halted = self.shared.halted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if halted.is_some() {
            return halted;
        }
        let asked = self.shared.seen().asked.clone();
        let gate = self.gate.as_ref()?;
        asked.as_ref().and_then(|asked| gate.refusal(asked)).or_else(|| gate.refusal(url))
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

fn patterns(plan: &Plan) -> Vec<Value> {
    let mut patterns = vec![json!({ "resourceType": "Document", "requestStage": "Request" })];
    for kind in &plan.block {
        let word = match kind {
            ResourceKind::Image => "Image",
            ResourceKind::Font => "Font",
            ResourceKind::Media => "Media",
            ResourceKind::Stylesheet => "Stylesheet",
        };
        patterns.push(json!({ "resourceType": word, "requestStage": "Request" }));
    }
    if let Some(pattern) = &plan.capture {
        // A path stands for itself on any host.
        let pattern = if pattern.starts_with('/') { format!("*{pattern}") } else { pattern.clone() };
        for kind in ["XHR", "Fetch"] {
            patterns.push(json!({ "urlPattern": pattern, "resourceType": kind, "requestStage": "Response" }));
        }
    }
    patterns
}

/// What the pump lets through.
struct Rules {
    origin: url::Origin,
    headers: Vec<(String, String)>,
    bytes_max: u64,
}

impl Rules {
    fn of(plan: &Plan) -> Self {
        Self { origin: plan.url.origin(), headers: plan.headers.clone(), bytes_max: plan.bytes_max }
    }
}

/// Takes the events of a page as they come.
struct Pump {
    wire: Arc<super::pipe::Wire>,
    session: String,
    shared: Arc<Shared>,
    rules: Rules,
}

impl Pump {
    async fn run(self, mut events: mpsc::Receiver<Event>) {
        let mut answers = FuturesUnordered::new();
        loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else { break };
                    self.shared.seen().note(&event, Instant::now());
                    self.shared.changes.send_modify(|n| *n += 1);
                    if matches!(event.method.as_str(), "Fetch.requestPaused" | "Page.javascriptDialogOpening") {
                        answers.push(self.answer(event));
                    }
                }
                Some(()) = answers.next() => self.shared.changes.send_modify(|n| *n += 1),
            }
        }
        // A page that sent more than it could be followed in is as good as crashed; so is one whose browser has gone,
        // which is told by its wire.
        self.shared.seen().is_crashed = true;
        self.shared.changes.send_modify(|n| *n += 1);
    }

    async fn answer(&self, event: Event) {
        let params = &event.params;
        let id = params["requestId"].clone();
        let answered = if event.method == "Page.javascriptDialogOpening" {
            self.call("Page.handleJavaScriptDialog", json!({ "accept": false })).await
        } else if params.get("responseStatusCode").is_some() || params.get("responseErrorReason").is_some() {
            self.capture(params).await;
            self.call("Fetch.continueRequest", json!({ "requestId": id })).await
        } else {
            match self.rules.verdict(params) {
                Some(headers) if self.has_turn(params).await => {
                    let mut go_on = json!({ "requestId": id });
                    if !headers.is_empty() {
                        go_on["headers"] = headers.into();
                    }
                    self.call("Fetch.continueRequest", go_on).await
                }
                _ => {
                    let fail = json!({ "requestId": id, "errorReason": "BlockedByClient" });
                    self.call("Fetch.failRequest", fail).await
                }
            }
        };
        if let Err(error) = answered {
            // The request has gone with its document, or everything is ending.
            tracing::trace!(%error, "a request of a page could not be answered");
        }
    }

    /// Takes a turn where the page itself goes on to another host; `false` if it may not.
    async fn has_turn(&self, params: &Value) -> bool {
        let is_main = params["frameId"].as_str() == Some(self.shared.seen().frame.as_str());
        let url = params["request"]["url"].as_str().and_then(|url| Url::parse(url).ok());
        let (true, Some(url), Some((http, needs, express))) = (is_main, url, self.shared.pace.get()) else {
            return true;
        };
        if url.origin() == self.rules.origin {
            return true;
        }
        match http.admit(&url, needs, *express).await {
            Ok(turn) => {
                let mut turns = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
                // The page has left the host before.
                turns.clear();
                turns.push(turn);
                true
            }
            Err(error) => {
                *self.shared.halted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        }
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, CallError> {
        self.wire.call(&self.session, method, params, PATIENCE).await
    }

    /// Keeps a response's body, within the bounds of a page.
    async fn capture(&self, params: &Value) {
        let Some(status) = params["responseStatusCode"].as_u64().and_then(|s| u16::try_from(s).ok()) else {
            return;
        };
        let Some(url) = params["request"]["url"].as_str().and_then(|url| Url::parse(url).ok()) else {
            return;
        };
        let Ok(answer) =
            self.call("Fetch.getResponseBody", json!({ "requestId": params["requestId"] })).await
        else {
            return;
        };
        let body = answer["body"].as_str().unwrap_or_default();
        let body = if answer["base64Encoded"].as_bool() == Some(true) {
            BASE64_STANDARD.decode(body).unwrap_or_default()
        } else {
            body.as_bytes().to_vec()
        };
        let content_type = params["responseHeaders"].as_array().into_iter().flatten().find_map(|line| {
            let is_it = line["name"].as_str()?.eq_ignore_ascii_case("content-type");
            is_it.then(|| line["value"].as_str().map(str::to_owned)).flatten()
        });
        let mut captured = self.shared.captured.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: u64 = captured.iter().map(|c| c.body.len() as u64).sum();
        if captured.len() < CAPTURED_MAX && bytes + body.len() as u64 <= self.rules.bytes_max {
            captured.push(Captured { url, status, content_type, body: Bytes::from(body) });
        }
    }
}

impl Rules {
    /// The headers to go on with (none: as they are); `None` if the request is not let through.
    fn verdict(&self, params: &Value) -> Option<Vec<Value>> {
        let is_document = params["resourceType"].as_str() == Some("Document");
        let url = params["request"]["url"].as_str().and_then(|url| Url::parse(url).ok())?;
        if !is_document || !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        if self.headers.is_empty() || url.origin() != self.origin {
            return Some(Vec::new());
        }
        let own = params["request"]["headers"].as_object();
        let mut lines: Vec<Value> = own
            .into_iter()
            .flatten()
            .filter(|(name, _)| !self.headers.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name)))
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        lines.extend(self.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })));
        Some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let url = Url::parse("http://shop.test/app").unwrap();
        Rules { origin: url.origin(), headers: vec![("x-key".into(), "secret".into())], bytes_max: 1 }
    }

    fn asked(kind: &str, url: &str) -> Value {
        json!({ "resourceType": kind, "request": { "url": url, "headers": { "X-Key": "page's", "A": "b" } } })
    }

    #[test]
    fn headers_of_the_scraper_go_to_its_site_only() {
        let own = rules().verdict(&asked("Document", "http://shop.test/other")).unwrap();
        assert_eq!(own, [json!({"name": "A", "value": "b"}), json!({"name": "x-key", "value": "secret"})]);
        assert!(rules().verdict(&asked("Document", "http://other.test/")).unwrap().is_empty());
    }

    #[test]
    fn blocked_kinds_and_other_schemes_do_not_pass() {
        for (kind, url) in [
            ("Image", "http://shop.test/a.png"),
            ("Font", "http://shop.test/a.woff"),
            ("Document", "file:///etc/passwd"),
            ("Document", "ftp://shop.test/"),
        ] {
            assert!(rules().verdict(&asked(kind, url)).is_none(), "{kind} {url}");
        }
    }
}
