//! The rendering fetcher: pages that need scripts, by a Chromium of our own over DevTools.
//!
//! Owns: the path request → turn → place → page. Must not know: databases, scraper files.
//!
//! Invariants:
//! - A page is fetched on the same terms as a plain one: robots.txt, turn, session, proxy (`fetcher::visit`).
//! - A page reaches only what the guard passes: every context's only way out is a gate of its own (`gate`).
//! - Only `http` and `https` are gone to: over DevTools a browser would read local files.
//! - A browser that dies, hangs or outgrows its memory costs its open pages an attempt, and nobody else anything.

mod act;
mod cookies;
mod document;
mod gate;
mod pipe;
mod plan;
mod pool;
mod process;
mod pump;
mod script;
mod seen;
mod settings;
mod tab;
mod trust;

pub use pool::BrowserStats;
pub use settings::BrowserSettings;

use crate::clock::now;
use crate::fetcher::{Answered, HttpFetcher, Visit};
use crate::pace::Turn;
use crate::{FetchError, FetchErrorKind, Fetcher};
use async_trait::async_trait;
use bytes::Bytes;
use gate::Gate;
use model::{FetchMode, Method, Page, Rendering, Request};
use plan::Plan;
use pool::{Place, Pool};
use seen::Main;
use std::sync::Arc;
use std::time::Duration;
use tab::Tab;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// For the host's turn while a place is held: longer would let one slow host hold up others.
const TURN_PATIENCE: Duration = Duration::from_millis(50);

/// Fetches pages with a browser. Cheap to clone; clones share the browser.
#[derive(Clone)]
pub struct BrowserFetcher(Arc<Inner>);

struct Inner {
    http: HttpFetcher,
    pool: Pool,
}

impl BrowserFetcher {
    /// Beside a plain fetcher, whose pace, guard, names and proxies it shares. Starts nothing yet.
    pub fn new(http: &HttpFetcher, settings: BrowserSettings) -> Self {
        Self(Arc::new(Inner { http: http.clone(), pool: Pool::new(settings) }))
    }

    /// A sentence that says what is missing, if no browser could be started.
    pub fn missing(&self) -> Option<String> {
        self.0.pool.settings().program().err()
    }

    /// A sentence that says what is missing to trust the authorities of `extra_ca`, if they cannot be trusted.
    pub fn distrusts(&self) -> Option<String> {
        self.0.pool.settings().extra_ca.as_ref().and_then(|_| trust::missing())
    }

    /// The counters as they stand.
    pub fn stats(&self) -> BrowserStats {
        self.0.pool.stats()
    }

    /// Ends the browser, and waits for that.
    pub async fn close(&self) {
        self.0.pool.close().await;
    }
}

#[async_trait]
impl Fetcher for BrowserFetcher {
    async fn fetch(&self, request: Request, express: bool) -> Result<Page, FetchError> {
        let result = self.0.page(&request, express).await;
        if let Err(error) = &result {
            self.0.http.note_error(error);
        }
        result
    }
}

/// Plain or browser, as each request says.
pub struct Router {
    plain: Arc<dyn Fetcher>,
    browser: Arc<dyn Fetcher>,
}

impl Router {
    /// Between these two.
    pub fn new(plain: Arc<dyn Fetcher>, browser: Arc<dyn Fetcher>) -> Self {
        Self { plain, browser }
    }
}

#[async_trait]
impl Fetcher for Router {
    async fn fetch(&self, request: Request, express: bool) -> Result<Page, FetchError> {
        match request.needs.mode.unwrap_or_default() {
            FetchMode::Browser => self.browser.fetch(request, express).await,
            // Whoever judges the page asks again with `Browser`.
            FetchMode::Plain | FetchMode::Auto => self.plain.fetch(request, express).await,
        }
    }
}

/// What one try for a page came to.
struct Attempt {
    result: Result<Page, FetchError>,
    /// The site answered, whatever became of that.
    answered: bool,
}

impl Attempt {
    /// The error, if nothing came of the site.
    fn unanswered(&self) -> Option<&FetchError> {
        self.result.as_ref().err().filter(|_| !self.answered)
    }
}

impl Inner {
    /// Through one proxy, and once more through another if the first was at fault.
    async fn page(&self, request: &Request, express: bool) -> Result<Page, FetchError> {
        if request.method != Method::Get {
            return Err(FetchError::new(FetchErrorKind::Refused, "a browser can only ask for pages (GET)"));
        }
        self.pool
            .settings()
            .program()
            .map_err(|message| FetchError::new(FetchErrorKind::NoBrowser, message))?;
        let site = request.url.host_str().unwrap_or_default();
        let visit = Arc::new(self.http.visit(&request.needs, express)?);
        let first = self.attempt(request, &visit).await;
        let error = first.unanswered();
        let Some((error, other)) = error.and_then(|error| Some((error, visit.instead(error)?))) else {
            visit.note(error, site);
            return first.result;
        };
        tracing::debug!(site, %error, "the proxy failed, trying another");
        let other = Arc::new(other);
        let second = self.attempt(request, &other).await;
        other.note_second(second.unanswered(), &visit, error, site);
        second.result
    }

    async fn attempt(&self, request: &Request, visit: &Arc<Visit>) -> Attempt {
        let (mut tab, plan) = match self.opened(request, visit).await {
            Ok(opened) => opened,
            Err(error) => return Attempt { result: Err(error), answered: false },
        };
        let rendered = self.render(&mut tab, &plan, request).await;
        let main = tab.seen().main.clone();
        let mut result = rendered.and_then(|rendered| self.made(&tab, rendered, main.as_ref(), visit));
        let is_private = request.needs.private;
        if visit.has_session() || is_private {
            // Also of a page that failed: what the site has set is set.
            if let Some(kept) = tab.cookies().await {
                if let Some(page) = result.as_mut().ok().filter(|_| is_private) {
                    let sent = kept.iter().filter(|cookie| cookie.fits(&page.url, now().ms()));
                    page.extras.cookies = sent.map(|cookie| cookie.name.clone()).collect();
                }
                visit.take_back(&plan.cookies, kept);
            }
        }
        report(&tab, visit, main.as_ref(), result.as_ref().err());
        Attempt { result, answered: main.is_some() }
    }

    /// An empty page in a place of its own, with the host's turn.
    async fn opened(&self, request: &Request, visit: &Arc<Visit>) -> Result<(Tab, Plan), FetchError> {
        let plan = Plan::of(request, self.pool.settings(), &self.http, visit)?;
        let (turn, room) = self.turn_and_room(&plan, visit).await?;
        let mut room = Some(room);
        let mut again = 2;
        loop {
            let permit = match room.take() {
                Some(room) => room,
                None => self.room().await?,
            };
            match self.open(request, &plan, visit, permit).await {
                // A browser that was ending just when it was asked: nothing has been asked of the site yet.
                Err(error) if error.kind == FetchErrorKind::BrowserGone && again > 0 => again -= 1,
                Err(error) => return Err(error),
                Ok(tab) => {
                    tab.pace(visit.clone(), turn, &plan.url);
                    return Ok((tab, plan));
                }
            }
        }
    }

    async fn room(&self) -> Result<OwnedSemaphorePermit, FetchError> {
        let room = self.pool.room().await;
        room.ok_or_else(|| FetchError::new(FetchErrorKind::BrowserGone, "the browser is closed"))
    }

    /// The host's turn and a place, neither held while the other is waited for: a place held would let one slow host
    /// hold up others, a turn held would let requests that waited together start together.
    async fn turn_and_room(
        &self,
        plan: &Plan,
        visit: &Visit,
    ) -> Result<(Turn, OwnedSemaphorePermit), FetchError> {
        loop {
            let turn = visit.turn(&plan.url).await?;
            if let Some(room) = self.pool.try_room() {
                return Ok((turn, room));
            }
            drop(turn);
            let room = self.room().await?;
            match tokio::time::timeout(TURN_PATIENCE, visit.turn(&plan.url)).await {
                Ok(turn) => return Ok((turn?, room)),
                Err(_) => drop(room),
            }
        }
    }

    async fn open(
        &self,
        request: &Request,
        plan: &Plan,
        visit: &Visit,
        room: OwnedSemaphorePermit,
    ) -> Result<Tab, FetchError> {
        let settings = self.pool.settings();
        let rendering = request.needs.rendering.as_deref();
        let time = rendering.and_then(|r| r.timeout_ms).unwrap_or(u64::MAX).min(settings.page_timeout_ms);
        let place: Place = self.pool.place(room, visit.connector()).await?;
        // Starting the browser is not the page's time.
        let deadline = Instant::now() + Duration::from_millis(time.min(86_400_000));
        let gate = Gate::open(visit.connector().clone(), plan.bytes_max.saturating_mul(4)).await;
        let gate = gate.map_err(|error| {
            FetchError::new(FetchErrorKind::BrowserGone, format!("no port on loopback: {error}"))
        })?;
        Tab::open(place, gate, plan, deadline).await
    }

    async fn render(&self, tab: &mut Tab, plan: &Plan, request: &Request) -> Result<Rendered, FetchError> {
        let asks_nothing = Rendering::default();
        let rendering = request.needs.rendering.as_deref().unwrap_or(&asks_nothing);
        self.http.note_request();
        tab.go(&plan.url, plan.referrer.as_deref()).await?;
        act::carry_out(tab, rendering).await?;
        let screenshot = match plan.screenshot {
            true => Some(document::picture(tab).await?),
            false => None,
        };
        let document = document::document(tab, plan.bytes_max).await?;
        Ok(Rendered { document, screenshot })
    }

    /// The page that was read.
    fn made(
        &self,
        tab: &Tab,
        rendered: Rendered,
        main: Option<&Main>,
        visit: &Visit,
    ) -> Result<Page, FetchError> {
        let wrong = |why: &str| FetchError::new(FetchErrorKind::Protocol, why);
        let main = main.cloned().ok_or_else(|| wrong("the browser showed a page that no site sent"))?;
        let Rendered { document: (text, content_type, url), screenshot } = rendered;
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https")).or(main.url);
        let mut url = url.ok_or_else(|| wrong("the page has no address"))?;
        url.set_fragment(None);
        let headers = document::told(main.headers, &content_type, visit.has_session());
        let (wire_bytes, _) = tab.traffic();
        self.http.note_answer(main.status, wire_bytes, text.len() as u64);
        #[allow(clippy::needless_update, reason = "other ways of fetching add fields of their own")]
        let extras = model::Extras {
            rendered: true,
            screenshot,
            captured: tab.captured(),
            ..model::Extras::default()
        };
        Ok(Page {
            url,
            status: main.status,
            headers,
            body: Bytes::from(text),
            fetched_at: now(),
            wire_bytes,
            extras,
        })
    }
}

/// What was read of a page.
struct Rendered {
    /// Text, type, address.
    document: document::Document,
    screenshot: Option<Bytes>,
}

/// Tells the pace how the host fared where the page is by now.
fn report(tab: &Tab, visit: &Visit, main: Option<&Main>, error: Option<&FetchError>) {
    let Some(stay) = tab.take_stay() else { return };
    let answer = main.filter(|main| main.url.as_ref().is_some_and(|url| url.origin() == stay.origin));
    match (answer, main) {
        (Some(main), _) => {
            let asked = main.headers.iter().find(|(name, _)| name == "retry-after");
            let asked = asked.map(|(_, value)| value.clone());
            visit.answered(stay.turn, &Answered { status: main.status, asked, took: main.took });
        }
        // A script led on to a host that did not answer: the page's own error is another.
        (None, Some(_)) => {
            if let Some(error) = tab.refusal() {
                visit.failed(stay.turn, &error);
            }
        }
        (None, None) => {
            if let Some(error) = error {
                visit.failed(stay.turn, error);
            }
        }
    }
}
