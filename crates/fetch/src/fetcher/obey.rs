//! Before a page is fetched: what the robots.txt of its host says.
//!
//! The file is fetched like a page of its host: through the same proxy, guard and pace, with a time and a size of its own.
//! What it says is shared by everybody and kept (`robots::shelf`). A host that cannot be reached fails as its page would;
//! one that answers with a server's error disallows everything until it answers better (RFC 9309, section 2.3.1.4).
//! That never turns into permission by lasting: whoever knows better says `robots = "ignore"` for the scraper.

use super::{Inner, lane};
use crate::body::{Bounds, beginning, decoded};
use crate::decode::encodings;
use crate::message::Hop;
use crate::pace::Want;
use crate::proxy::{Gate, Route};
use crate::robots::{BYTES, Known, Robots, Said, product_token};
use crate::session::Cookies;
use crate::{FetchError, FetchErrorKind};
use http::HeaderValue;
use http::header::CONTENT_ENCODING;
use model::{Needs, Request, RobotsPolicy};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::{Position, Url};

/// Redirects followed to a robots.txt (RFC 9309, section 2.3.1.2); more are no file.
const REDIRECTS: u32 = 5;
/// A compressed file may unpack to that; more is no file that anybody meant.
const UNPACKED_BYTES: u64 = 4 << 20;

impl Inner {
    /// Lets the page through, with the pace that its host asks for, or not.
    pub(super) async fn obey(
        &self,
        needs: &Needs,
        url: &Url,
        route: &Route,
        want: Want,
    ) -> Result<Want, FetchError> {
        if needs.robots.unwrap_or(self.settings.robots) == RobotsPolicy::Ignore || url.path() == "/robots.txt"
        {
            return Ok(want);
        }
        let known = self.book(url, route).await;
        let host = url.host_str().unwrap_or_default();
        match &known.said {
            Said::Anything(_) => Ok(want),
            Said::Nothing(error) => Err(known.error(error)),
            Said::Rules(robots) => {
                let verdict = robots.ask(&self.product, url);
                if !verdict.allowed {
                    let rule = verdict.line.map(|line| robots.rule(line)).unwrap_or_default();
                    let line = verdict.line.unwrap_or_default();
                    return Err(FetchError::new(
                        FetchErrorKind::Robots,
                        format!("robots.txt of `{host}` disallows this page: line {line}, `{rule}`"),
                    ));
                }
                let most = Duration::from_millis(self.settings.crawl_delay_max_ms);
                let asked = robots.crawl_delay(&self.product).map(|delay| delay.min(most));
                Ok(Want { host_delay: want.host_delay.max(asked), ..want })
            }
        }
    }

    /// What the host of that address says, asked for if need be.
    pub(super) async fn book(&self, url: &Url, route: &Route) -> Arc<Known> {
        let site = &url[..Position::BeforePath];
        match self.shelf.fresh(site) {
            Some(known) => known,
            None => self.shelf.learn(site, || self.ask_robots(url, route)).await,
        }
    }

    /// Fetches a robots.txt: what it says and its bytes.
    async fn ask_robots(&self, url: &Url, route: &Route) -> (Said, usize) {
        match self.robots(url, route).await {
            Ok(answer) => answer,
            Err(error) => {
                let host = url.host_str().unwrap_or_default();
                tracing::debug!(host, %error, "robots.txt could not be had");
                // What keeps the host from being reached is told as it is; what is the file's own trouble, as that.
                let is_own = !error.unreached
                    && !matches!(
                        error.kind,
                        FetchErrorKind::Refused
                            | FetchErrorKind::Proxy
                            | FetchErrorKind::Gateway
                            | FetchErrorKind::NoRobots
                            | FetchErrorKind::Down
                            | FetchErrorKind::Gone
                    );
                let message =
                    format!("robots.txt could not be had, so nothing may be fetched: {}", error.message);
                let error = if is_own { FetchError { message, ..error } } else { error };
                (Said::Nothing(error), 0)
            }
        }
    }

    async fn robots(&self, url: &Url, route: &Route) -> Result<(Said, usize), FetchError> {
        let Ok(target) = url.join("/robots.txt") else { return Ok((Said::Anything(0), 0)) };
        let mut request = Request::get(target);
        request.headers.push(("accept".into(), "text/plain, */*;q=0.8".into()));
        // A packed file that is cut off cannot be read, a plain one can.
        request.headers.push(("accept-encoding".into(), "identity".into()));
        let mut hop = Hop::first(request, &self.user_agent)?;
        let mut time_left = Duration::from_millis(self.settings.robots_timeout_ms);
        for redirects in 0..=REDIRECTS {
            // What a file leads to is its own trouble, not the page's.
            let elsewhere = |error: FetchError| match (redirects, error.kind) {
                (1.., FetchErrorKind::Refused) => FetchError::new(
                    error.kind,
                    format!(
                        "robots.txt of `{}` redirects to where nothing may be fetched: {}",
                        url.host_str().unwrap_or_default(),
                        error.message
                    ),
                ),
                _ => error,
            };
            self.vet(&hop.url, route.gate.is_some()).map_err(elsewhere)?;
            let want = Want { express: true, ..Want::default() };
            let turn = self.turn(&lane(&hop.url), want).await?;
            self.counters.robots();
            let began = Instant::now();
            let bounds = Bounds { deadline: began + time_left, idle: time_left, bytes_max: BYTES as u64 };
            let result = self.robots_hop(route, &hop, &bounds).await;
            time_left = time_left.saturating_sub(began.elapsed());
            let report = match &result {
                Ok(answer) => super::report_of_status(answer.status, answer.retry_after_ms.is_some()),
                Err(error) => super::report_of_error(error),
            };
            if let Ok(RobotsAnswer { status: 429 | 503, retry_after_ms: Some(ms), .. }) = &result {
                turn.hold(Duration::from_millis((*ms).min(self.settings.retry_after_max_ms)));
            }
            turn.end(report);
            let answer = result.map_err(elsewhere)?;
            match (answer.status, answer.target) {
                (status, Some(target)) => {
                    let status = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::FOUND);
                    hop.follow(status, target?);
                }
                (200..=299, None) => {
                    return Ok((Said::Rules(Robots::parse(&answer.body)), answer.body.len()));
                }
                (status @ (429 | 500..), None) => {
                    let host = url.host_str().unwrap_or_default();
                    let message =
                        format!("robots.txt of `{host}` answers HTTP {status}, so nothing may be fetched");
                    return Err(FetchError::new(FetchErrorKind::NoRobots, message));
                }
                (status, None) => return Ok((Said::Anything(status), 0)),
            }
        }
        Ok((Said::Anything(310), 0))
    }

    async fn robots_hop(
        &self,
        route: &Route,
        hop: &Hop,
        bounds: &Bounds,
    ) -> Result<RobotsAnswer, FetchError> {
        let host = hop.url.host_str().unwrap_or_default();
        let (head, mut body) = self.head(route, hop, bounds, host, &Cookies::of(None)).await?.into_parts();
        let status = head.status.as_u16();
        self.counters.answer(status);
        if status == 407 && route.gate.as_ref().is_some_and(Gate::reads_http) {
            return Err(crate::proxy::proxy_error("the proxy refuses our credentials (407)"));
        }
        let mut answer = RobotsAnswer {
            status,
            target: hop.target(head.status, &head.headers),
            retry_after_ms: super::retry_after_ms(&head.headers),
            body: bytes::Bytes::new(),
        };
        if answer.target.is_some() || !head.status.is_success() {
            return Ok(answer);
        }
        let encodings = encodings(head.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        let wire = beginning(&mut body, host, bounds).await?;
        let wire_bytes = wire.len() as u64;
        answer.body = decoded(wire, encodings, UNPACKED_BYTES).await?;
        self.counters.body(wire_bytes, answer.body.len() as u64);
        Ok(answer)
    }

    /// The name by which robots.txt files speak of us: what is in front of the version in the user agent, or the name
    /// in its comment if the agent says that it is compatible with a browser.
    pub(super) fn product_of(user_agent: &str) -> String {
        let inner = user_agent.split_once("compatible;").map(|(_, rest)| product_token(rest));
        inner
            .filter(|token| !token.is_empty())
            .unwrap_or_else(|| product_token(user_agent))
            .to_ascii_lowercase()
    }
}

struct RobotsAnswer {
    status: u16,
    target: Option<Result<Url, FetchError>>,
    retry_after_ms: Option<u64>,
    body: bytes::Bytes,
}
