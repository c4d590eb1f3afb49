//! The rendering fetcher: pages that need scripts, by a Chromium of our own over DevTools.
//!
//! Owns: the path request → turn → place → page. Must not know: databases, scraper files.
//!
//! Invariants:
//! - A page reaches only what the guard passes: every context's only way out is a gate of its own (`gate`).
//! - Only `http` and `https` are gone to: over DevTools a browser would read local files.
//! - A browser that dies, hangs or outgrows its memory costs its open pages an attempt, and nobody else anything.

mod act;
mod gate;
mod pipe;
mod pool;
mod process;
mod script;
mod seen;
mod settings;
mod tab;

pub use pool::BrowserStats;
pub use settings::BrowserSettings;

use crate::clock::now;
use crate::fetcher::HttpFetcher;
use crate::pace::Turn;
use crate::{FetchError, FetchErrorKind, Fetcher};
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use gate::Gate;
use model::{FetchMode, Method, Page, Rendering, Request};
use pool::{Place, Pool};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tab::{Plan, Tab};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use url::Url;

/// For the host's turn while a place is held: longer would let one slow host hold up others.
const TURN_PATIENCE: Duration = Duration::from_millis(50);
/// Highest page that is pictured whole, in pixels.
const PICTURE_HEIGHT_MAX: f64 = 12_000.0;
/// Widest.
const PICTURE_WIDTH_MAX: f64 = 4_000.0;

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

impl Inner {
    async fn page(&self, request: &Request, express: bool) -> Result<Page, FetchError> {
        if request.method != Method::Get {
            return Err(FetchError::new(FetchErrorKind::Refused, "a browser can only ask for pages (GET)"));
        }
        self.pool
            .settings()
            .program()
            .map_err(|message| FetchError::new(FetchErrorKind::NoBrowser, message))?;
        let (turn, room) = self.turn_and_room(request, express).await?;
        let mut room = Some(room);
        let mut again = 2;
        let opened = loop {
            let permit = match room.take() {
                Some(room) => room,
                None => self.room().await?,
            };
            match self.open(request, permit).await {
                // A browser that was ending just when it was asked: nothing has been asked of the site yet.
                Err(error) if error.kind == FetchErrorKind::BrowserGone && again > 0 => again -= 1,
                opened => break opened?,
            }
        };
        self.render(opened, request, express, &turn).await
    }

    async fn room(&self) -> Result<OwnedSemaphorePermit, FetchError> {
        let room = self.pool.room().await;
        room.ok_or_else(|| FetchError::new(FetchErrorKind::BrowserGone, "the browser is closed"))
    }

    /// The host's turn and a place, neither held while the other is waited for: a place held would let one slow host
    /// hold up others, a turn held would let requests that waited together start together.
    async fn turn_and_room(
        &self,
        request: &Request,
        express: bool,
    ) -> Result<(Turn, OwnedSemaphorePermit), FetchError> {
        loop {
            let turn = self.http.admit(&request.url, &request.needs, express).await?;
            if let Some(room) = self.pool.try_room() {
                return Ok((turn, room));
            }
            drop(turn);
            let room = self.room().await?;
            let turn = self.http.admit(&request.url, &request.needs, express);
            match tokio::time::timeout(TURN_PATIENCE, turn).await {
                Ok(turn) => return Ok((turn?, room)),
                Err(_) => drop(room),
            }
        }
    }

    async fn open(&self, request: &Request, room: OwnedSemaphorePermit) -> Result<(Tab, Plan), FetchError> {
        let settings = self.pool.settings();
        let rendering = request.needs.rendering.as_deref();
        let time = rendering.and_then(|r| r.timeout_ms).unwrap_or(u64::MAX).min(settings.page_timeout_ms);
        let connector = self.http.connector(&request.needs)?;
        let place: Place = self.pool.place(room, &connector).await?;
        // Starting the browser is not the page's time.
        let deadline = Instant::now() + Duration::from_millis(time.min(86_400_000));
        let bytes_max = self.http.page_bytes_max();
        let gate = Gate::open(connector, bytes_max.saturating_mul(4)).await.map_err(|error| {
            FetchError::new(FetchErrorKind::BrowserGone, format!("no port on loopback: {error}"))
        })?;
        let mut headers = request.headers.clone();
        let own_agent = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
        let plan = Plan {
            url: request.url.clone(),
            user_agent: match own_agent {
                Some(at) => headers.swap_remove(at).1,
                None => self.http.user_agent(),
            },
            headers,
            block: rendering.and_then(|r| r.block.clone()).unwrap_or_else(|| settings.block.clone()),
            capture: rendering.and_then(|r| r.capture.clone()),
            bytes_max,
        };
        Ok((Tab::open(place, gate, &plan, deadline).await?, plan))
    }

    async fn render(
        &self,
        (mut tab, plan): (Tab, Plan),
        request: &Request,
        express: bool,
        turn: &Turn,
    ) -> Result<Page, FetchError> {
        let asks_nothing = Rendering::default();
        let rendering = request.needs.rendering.as_deref().unwrap_or(&asks_nothing);
        tab.pace(self.http.clone(), request.needs.clone(), express);
        self.http.note_request();
        tab.go(&plan.url).await?;
        act::carry_out(&mut tab, rendering).await?;
        let screenshot = match rendering.screenshot {
            true => Some(picture(&mut tab).await?),
            false => None,
        };
        let (text, content_type, url) = document(&mut tab, plan.bytes_max).await?;
        let main = tab.seen().main.clone();
        let Some(main) = main else {
            return Err(FetchError::new(
                FetchErrorKind::Protocol,
                "the browser showed a page that no site sent",
            ));
        };
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https")).or(main.url);
        let Some(mut url) = url else {
            return Err(FetchError::new(FetchErrorKind::Protocol, "the page has no address"));
        };
        url.set_fragment(None);
        let headers = told(main.headers, &content_type);
        let (wire_bytes, _) = tab.traffic();
        self.http.note_answer(main.status, wire_bytes, text.len() as u64);
        if matches!(main.status, 429 | 503) {
            let asked =
                headers.iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value.as_str());
            self.http.hold(turn, asked);
        }
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

/// The header lines for what the body is now: text in UTF-8, with no coding.
fn told(lines: Vec<(String, String)>, content_type: &str) -> Vec<(String, String)> {
    let stale = ["content-type", "content-encoding", "content-length", "transfer-encoding"];
    let mut headers: Vec<(String, String)> =
        lines.into_iter().filter(|(name, _)| !stale.contains(&name.as_str())).collect();
    headers.push(("content-type".into(), format!("{content_type}; charset=utf-8")));
    headers
}

/// The document as it stands: its text, its type and its address.
async fn document(tab: &mut Tab, bytes_max: u64) -> Result<(String, String, Option<Url>), FetchError> {
    let mut answer = tab.within(script::DOCUMENT, &[bytes_max.into()], Duration::MAX).await?;
    let too_large = || {
        FetchError::new(
            FetchErrorKind::TooLarge,
            format!("the rendered page is larger than {bytes_max} bytes"),
        )
    };
    let serde_json::Value::String(text) = answer["text"].take() else {
        return Err(if answer.get("over").is_some() {
            too_large()
        } else {
            FetchError::new(FetchErrorKind::Protocol, "the browser gave no document")
        });
    };
    // Characters were counted in the page; here they are bytes.
    if text.len() as u64 > bytes_max {
        return Err(too_large());
    }
    let kind = answer["type"].as_str().unwrap_or("text/html").to_owned();
    let url = answer["url"].as_str().and_then(|url| Url::parse(url).ok());
    Ok((text, kind, url))
}

/// The whole page as a PNG, within bounds.
async fn picture(tab: &mut Tab) -> Result<Bytes, FetchError> {
    let extent = tab.within(script::EXTENT, &[], Duration::MAX).await?;
    let side = |at: usize, most: f64| extent[at].as_f64().unwrap_or(1_280.0).clamp(1.0, most);
    let clip = json!({ "x": 0, "y": 0, "width": side(0, PICTURE_WIDTH_MAX),
        "height": side(1, PICTURE_HEIGHT_MAX), "scale": 1 });
    let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
    let answer = tab.call("Page.captureScreenshot", params).await?;
    let png = BASE64_STANDARD.decode(answer["data"].as_str().unwrap_or_default()).unwrap_or_default();
    if png.is_empty() {
        return Err(FetchError::new(FetchErrorKind::Protocol, "the browser took no picture"));
    }
    Ok(Bytes::from(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_what_the_body_is_now() {
        let sent =
            [("content-type", "text/html; charset=iso-8859-1"), ("content-encoding", "br"), ("x-a", "b")];
        let sent = sent.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        let now = told(sent, "text/html");
        assert_eq!(now.len(), 2);
        assert_eq!(now[1], ("content-type".into(), "text/html; charset=utf-8".into()));
    }
}
