//! Plain HTTP: waits for the host's turn, follows redirects by hand, reads the page within its bounds.
//!
//! Every hop of a page is vetted and paced like a request of its own. Retries belong to the caller, except the one
//! after a pooled connection turned out to be closed.

use crate::body::{Bounds, Broken, collect, decoded};
use crate::client::{Pool, client, head_error, was_stale};
use crate::clock::now;
use crate::connect::{Connector, Parts, refused};
use crate::decode::encodings;
use crate::guard::{Guard, is_localhost};
use crate::message::{self, Hop};
use crate::pace::{Limits, Pacer, Report, Turn, Want};
use crate::proxy::{Gate, Proxy, ProxyStats, Route, Way, Ways, Wish, proxy_error};
use crate::resolve::{Names, Resolver};
use crate::robots::Shelf;
use crate::session::{Cookies, Sessions};
use crate::settings::{Settings, SettingsError};
use crate::stats::{Counters, Stats};
use crate::stream::Answers;
use crate::tap::Tap;
use crate::{AllowList, FetchError, FetchErrorKind, Fetcher, retry_after, tls};
use async_trait::async_trait;
use http::header::{CONTENT_ENCODING, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response};
use hyper::body::Incoming;
use model::{Cut, Exchange, Method, Needs, Page, Request};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::{Host, Url};

mod hosts;
mod obey;
mod visit;

pub use hosts::{RobotsView, SiteView};
pub(crate) use visit::{Answered, Visit};

/// Bytes of a redirect's body that are read so that its connection can be used again.
const REDIRECT_BODY_MAX: u64 = 64 << 10;
/// And the time that is spent on it.
const REDIRECT_BODY_PATIENCE: Duration = Duration::from_secs(2);

/// Fetches pages over plain HTTP. Cheap to clone; clones share pace, connections and counters.
#[derive(Clone)]
pub struct HttpFetcher(Arc<Inner>);

struct Inner {
    ways: Ways,
    sessions: Sessions,
    guard: Guard,
    pacer: Arc<Pacer>,
    counters: Counters,
    user_agent: HeaderValue,
    /// What robots.txt files call us.
    product: String,
    shelf: Shelf,
    settings: Settings,
}

impl HttpFetcher {
    /// Reads the settings and the files that they name. Opens no connection.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let names = Arc::new(Resolver::new(&settings.names));
        Self::with_names(settings, names)
    }

    /// With names from elsewhere than DNS.
    pub fn with_names(settings: Settings, names: Arc<dyn Names>) -> Result<Self, SettingsError> {
        settings.check()?;
        let allow = AllowList::parse(&settings.allow_networks)
            .map_err(|error| SettingsError::new("allow_networks", error.to_string()))?;
        let guard = Guard::new(allow);
        let user_agent = HeaderValue::try_from(settings.user_agent.as_str())
            .map_err(|_| SettingsError::new("user_agent", "cannot be sent as a header"))?;
        let tls = tls::client_config(settings.extra_ca.as_deref(), &[b"h2", b"http/1.1"])?;
        let proxies = settings
            .proxy
            .iter()
            .map(|text| Proxy::parse(text).map_err(|reason| SettingsError::new("proxy", reason)))
            .collect::<Result<Vec<_>, _>>()?;
        let pool = Pool {
            idle: Duration::from_millis(settings.idle_ms),
            idle_per_host: settings.idle_per_host,
            head_bytes_max: settings.head_bytes_max,
        };
        let timeout = Duration::from_millis(settings.connect_timeout_ms);
        let parts = (guard.clone(), names, tls);
        let ways = Ways::new(proxies, move |gate: Option<Gate>| {
            let (guard, names, tls) = parts.clone();
            let connector = Connector::new(Parts { guard, names, tls, gate, timeout });
            (client(connector.clone(), &pool), connector)
        });
        let pacer = Pacer::new(Limits {
            concurrency: settings.concurrency,
            host_concurrency: settings.host_concurrency,
            host_delay: Duration::from_millis(settings.host_delay_ms),
        });
        Ok(Self(Arc::new(Inner {
            ways,
            sessions: Sessions::new(settings.sessions_max),
            guard,
            pacer,
            counters: Counters::default(),
            user_agent,
            product: Inner::product_of(&settings.user_agent),
            shelf: Shelf::default(),
            settings,
        })))
    }

    /// The counters as they stand.
    pub fn stats(&self) -> Stats {
        self.0.counters.read(self.0.pacer.counts(), self.0.sessions.count() as u64)
    }

    /// How the proxies fare, in the order of the setting, without their credentials.
    pub fn proxies(&self) -> Vec<ProxyStats> {
        self.0.ways.stats()
    }

    pub(crate) fn user_agent(&self) -> String {
        self.0.settings.user_agent.clone()
    }

    pub(crate) fn page_bytes_max(&self) -> u64 {
        self.0.settings.page_bytes_max
    }

    pub(crate) fn note_request(&self) {
        self.0.counters.request();
    }

    pub(crate) fn note_answer(&self, status: u16, wire: u64, body: u64) {
        self.0.counters.answer(status);
        self.0.counters.body(wire, body);
    }

    pub(crate) fn note_error(&self, error: &FetchError) {
        self.0.counters.error(error);
    }
}

#[async_trait]
impl Fetcher for HttpFetcher {
    async fn fetch(&self, request: Request, express: bool) -> Result<Page, FetchError> {
        let result = self.0.page(request, express).await;
        if let Err(error) = &result {
            self.0.counters.error(error);
        }
        result
    }
}

/// What one hop led to.
enum Step {
    Page(Page),
    Redirect(http::StatusCode, Url),
}

impl Inner {
    /// The page, or why there is none; with what was exchanged on the way, if it is to be kept.
    async fn page(&self, request: Request, express: bool) -> Result<Page, FetchError> {
        // Nothing of a login is kept.
        if !request.needs.archive || request.needs.private {
            return self.hops(request, express, None).await;
        }
        Tap::want();
        let mut exchanges = Vec::new();
        match self.hops(request, express, Some(&mut exchanges)).await {
            Ok(mut page) => {
                page.extras.exchanges = exchanges;
                Ok(page)
            }
            Err(error) => Err(FetchError { exchanges, ..error }),
        }
    }

    async fn hops(
        &self,
        request: Request,
        express: bool,
        mut exchanges: Option<&mut Vec<Exchange>>,
    ) -> Result<Page, FetchError> {
        let (needs, want) = (request.needs.clone(), want(&request.needs, express));
        let mut hop = Hop::first(request, &self.user_agent)?;
        let session = needs.session.as_deref().map(|key| self.sessions.get(key, Instant::now()));
        if let Some(session) = session.as_deref().filter(|_| needs.fresh) {
            session.begin_anew();
        }
        let mut cookies = Cookies::of(session.clone());
        let wish = Wish { needs: &needs, session: session.as_deref() };
        // One proxy for all hops: a site that sees the address change between them may take it for theft.
        let mut way = self.ways.choose(wish, &[])?;
        let mut time_left = Duration::from_millis(self.settings.page_timeout_ms);
        let mut redirects = 0;
        loop {
            self.vet(&hop.url, way.proxy().is_some())?;
            let want = self.obey(&needs, &hop.url, &way.route, want).await?;
            let turn = self.turn(&lane(&hop.url), want).await?;
            let began = Instant::now();
            let bounds = Bounds {
                // A time that does not fit is as good as none; a day is one, too.
                deadline: began.checked_add(time_left).unwrap_or(began + Duration::from_secs(86_400)),
                idle: Duration::from_millis(self.settings.idle_timeout_ms),
                bytes_max: self.settings.page_bytes_max,
            };
            let step =
                self.reach(wish, &mut way, &hop, &bounds, &mut cookies, exchanges.as_deref_mut()).await;
            self.end(turn, &step);
            let (status, target) = match step? {
                Step::Page(mut page) => {
                    if needs.private {
                        page.extras.cookies = cookies.names(&page.url);
                    }
                    return Ok(page);
                }
                Step::Redirect(status, target) => (status, target),
            };
            time_left = time_left.saturating_sub(began.elapsed());
            redirects += 1;
            if redirects > self.settings.redirects_max {
                return Err(FetchError::new(
                    FetchErrorKind::Redirects,
                    format!("more than {} redirects", self.settings.redirects_max),
                ));
            }
            if needs.private && hop.hands_on_its_body(status, &target) {
                return Err(FetchError::new(
                    FetchErrorKind::Redirects,
                    "the redirect would send the login to another site",
                ));
            }
            hop.follow(status, target);
        }
    }

    /// What can be refused before anybody is asked. Names are vetted where they are connected to, except behind a
    /// proxy, which resolves them itself.
    fn vet(&self, url: &Url, through_proxy: bool) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            let scheme: String = url.scheme().chars().take(40).collect();
            return Err(FetchError::new(
                FetchErrorKind::Refused,
                format!("`{scheme}:` addresses cannot be fetched"),
            ));
        }
        let ip: IpAddr = match url.host() {
            Some(Host::Ipv4(ip)) => ip.into(),
            Some(Host::Ipv6(ip)) => ip.into(),
            Some(Host::Domain(name)) if through_proxy && is_localhost(name) => Ipv4Addr::LOCALHOST.into(),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(FetchError::new(FetchErrorKind::Refused, "the address names no host")),
        };
        let address = SocketAddr::new(ip, url.port_or_known_default().unwrap_or(0));
        let host = url.host_str().unwrap_or_default();
        self.guard.check(address).map_err(|refusal| refused(host, &refusal))
    }

    /// One request and its answer, once more through another proxy where the first was at fault.
    async fn reach(
        &self,
        wish: Wish<'_>,
        way: &mut Way,
        hop: &Hop,
        bounds: &Bounds,
        cookies: &mut Cookies,
        mut kept: Option<&mut Vec<Exchange>>,
    ) -> Result<Step, FetchError> {
        let result = self.step(&way.route, hop, bounds, cookies, kept.as_deref_mut()).await;
        if way.proxy().is_none() {
            return result;
        }
        let site = hop.url.host_str().unwrap_or_default();
        let error = match result {
            Ok(step) => {
                way.note(None, site);
                return Ok(step);
            }
            Err(error) => error,
        };
        let Some(other) = self.ways.instead(wish, way, &error, hop.method) else {
            way.note(Some(&error), site);
            return Err(error);
        };
        let first = std::mem::replace(way, other);
        tracing::debug!(site, %error, "the proxy failed, trying another");
        let second = self.step(&way.route, hop, bounds, cookies, kept).await;
        way.note_second(second.as_ref().err(), &first, &error, site);
        second
    }

    /// One request and its answer; both are added to `kept`.
    async fn step(
        &self,
        route: &Route,
        hop: &Hop,
        bounds: &Bounds,
        cookies: &mut Cookies,
        kept: Option<&mut Vec<Exchange>>,
    ) -> Result<Step, FetchError> {
        let host = hop.url.host_str().unwrap_or_default();
        let answer = match self.head(route, hop, bounds, host, cookies).await {
            Ok(answer) => answer,
            Err(error) => {
                if let Some(kept) = kept.filter(|_| was_asked(&error)) {
                    kept.push(hop.unanswered(now()));
                }
                return Err(error);
            }
        };
        let (mut head, mut body) = answer.into_parts();
        if kept.is_some() {
            message::note_raw_head(&mut head);
        }
        let status = head.status.as_u16();
        self.counters.answer(status);
        if status == 407 && route.gate.as_ref().is_some_and(Gate::reads_http) {
            return Err(proxy_error("the proxy refuses our credentials (407)"));
        }
        let target = hop.target(head.status, &head.headers);
        cookies.take(&hop.url, &head.headers, target.is_some());
        if let Some(target) = target {
            let bounds = Bounds {
                deadline: bounds.deadline.min(Instant::now() + REDIRECT_BODY_PATIENCE),
                bytes_max: REDIRECT_BODY_MAX,
                ..*bounds
            };
            // Whatever it says, it is only read so that the connection is free again.
            let wire = match collect(&mut body, host, &bounds).await {
                Ok(wire) => (wire, None),
                Err(_) => (bytes::Bytes::new(), Some(Cut::Unspecified)),
            };
            if let Some(kept) = kept {
                kept.push(hop.exchange(&head, wire, route.gate.is_none(), now()));
            }
            return target.map(|target| Step::Redirect(head.status, target));
        }
        let wire = match collect(&mut body, host, bounds).await {
            Ok(wire) => wire,
            Err(Broken { error, came }) => {
                if let Some(kept) = kept {
                    kept.push(hop.exchange(&head, (came, Some(cut_of(&error))), route.gate.is_none(), now()));
                }
                return Err(error);
            }
        };
        let wire_bytes = wire.len() as u64;
        let fetched_at = now();
        if let Some(kept) = kept {
            kept.push(hop.exchange(&head, (wire.clone(), None), route.gate.is_none(), fetched_at));
        }
        let encodings = encodings(head.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        let body = decoded(wire, encodings, self.settings.page_bytes_max).await?;
        self.counters.body(wire_bytes, body.len() as u64);
        Ok(Step::Page(Page {
            url: hop.url.clone(),
            status,
            headers: lines(&head.headers, cookies.session().is_some()),
            body,
            fetched_at,
            wire_bytes,
            extras: model::Extras::default(),
        }))
    }

    /// Sends the request and waits for the head of the answer.
    async fn head(
        &self,
        route: &Route,
        hop: &Hop,
        bounds: &Bounds,
        host: &str,
        cookies: &Cookies,
    ) -> Result<Response<Incoming>, FetchError> {
        let connecting = Duration::from_millis(self.settings.connect_timeout_ms);
        // In a tunnel the proxy has had its credentials with CONNECT.
        let gate = route.gate.as_ref().filter(|gate| gate.reads_http() && hop.url.scheme() == "http");
        let credentials = gate.and_then(|gate| gate.header.as_ref());
        let mut again = hop.method == Method::Get;
        loop {
            let message = hop.message(credentials, cookies)?;
            self.counters.request();
            let answer = route.client.request(message);
            let patience = connecting.saturating_add(bounds.idle);
            match bounds.within(patience, host, "the head of the answer", answer).await? {
                Ok(answer) => {
                    if let Some(answers) = answer.extensions().get::<Answers>() {
                        answers.count();
                    }
                    return Ok(answer);
                }
                Err(error) if again && was_stale(&error) => {
                    again = false;
                    tracing::debug!(host, "a pooled connection was closed, asking again");
                }
                Err(error) => return Err(head_error(host, &error)),
            }
        }
    }

    /// A turn at that host, unless it does not answer anybody.
    async fn turn(&self, lane: &str, want: Want) -> Result<Turn, FetchError> {
        /// A host that was tried in vain so often is given up sooner: about a minute after it went.
        const OPENINGS: u32 = 6;
        self.pacer.turn(lane, want).await.map_err(|shut| {
            let kind = if shut.openings < OPENINGS { FetchErrorKind::Down } else { FetchErrorKind::Gone };
            let ms = u64::try_from(shut.wait.as_millis()).unwrap_or(u64::MAX);
            let message =
                format!("`{lane}` did not answer the last requests and is not asked again for {ms} ms");
            FetchError::new(kind, message).again(ms)
        })
    }

    /// Ends a turn: `Retry-After` holds the whole host, within the operator's bound, and the pace learns.
    fn end(&self, turn: Turn, step: &Result<Step, FetchError>) {
        let report = match step {
            Err(error) => report_of_error(error),
            Ok(Step::Redirect(..)) => Report::Answer,
            Ok(Step::Page(page)) if matches!(page.status, 429 | 503) => {
                let asked = retry_after::retry_after(&page.headers, page.fetched_at);
                if let Some(ms) = asked {
                    turn.hold(Duration::from_millis(ms.min(self.settings.retry_after_max_ms)));
                }
                report_of_status(page.status, asked.is_some())
            }
            Ok(Step::Page(_)) => Report::Answer,
        };
        turn.end(report);
    }
}

/// Whether the site was asked before no head of an answer came: it was not where no connection was made.
fn was_asked(error: &FetchError) -> bool {
    use FetchErrorKind::{Connection, Protocol, Timeout, TooLarge};
    !error.unreached && matches!(error.kind, Connection | Protocol | Timeout | TooLarge)
}

/// Why a body did not come whole.
fn cut_of(error: &FetchError) -> Cut {
    match error.kind {
        FetchErrorKind::TooLarge => Cut::Length,
        FetchErrorKind::Timeout => Cut::Time,
        FetchErrorKind::Connection | FetchErrorKind::Protocol => Cut::Disconnect,
        _ => Cut::Unspecified,
    }
}

/// What a status says of its host.
fn report_of_status(status: u16, asked: bool) -> Report {
    match status {
        429 | 503 => Report::SlowDown { hard: status == 429, asked },
        _ => Report::Answer,
    }
}

/// What an error says of its host.
fn report_of_error(error: &FetchError) -> Report {
    match error.kind {
        FetchErrorKind::Connection | FetchErrorKind::Timeout | FetchErrorKind::Dns if error.unreached => {
            Report::Unreached
        }
        FetchErrorKind::Timeout => Report::Silent,
        FetchErrorKind::Connection | FetchErrorKind::Protocol => Report::Broken,
        FetchErrorKind::TooLarge | FetchErrorKind::Redirects => Report::Answer,
        FetchErrorKind::Refused
        | FetchErrorKind::NoSuchHost
        | FetchErrorKind::Dns
        | FetchErrorKind::Tls
        | FetchErrorKind::Proxy
        | FetchErrorKind::Gateway
        | FetchErrorKind::NoProxy
        | FetchErrorKind::Robots
        | FetchErrorKind::NoRobots
        | FetchErrorKind::Down
        | FetchErrorKind::Gone
        | FetchErrorKind::NotArchived
        | FetchErrorKind::NoBrowser
        | FetchErrorKind::BrowserGone
        | FetchErrorKind::PageCrashed
        | FetchErrorKind::WaitElement
        | FetchErrorKind::ClickElement
        | FetchErrorKind::Script => Report::Nothing,
    }
}

fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    value.and_then(|value| retry_after::value_ms(value, now()))
}

fn want(needs: &Needs, express: bool) -> Want {
    Want {
        host_concurrency: needs.host_concurrency,
        host_delay: needs.host_delay_ms.map(Duration::from_millis),
        express,
    }
}

/// The host as the pacer knows it: with or without the root's dot it is one machine.
fn lane(url: &Url) -> String {
    let mut lane = model::host_of(url);
    if url.host_str().is_some_and(|host| host.ends_with('.')) {
        lane = lane.replacen(".:", ":", 1);
        if lane.ends_with('.') {
            lane.pop();
        }
    }
    lane
}

/// The cookies of a session are nobody else's business: they are in its jar, not on its pages.
fn lines(headers: &HeaderMap, in_session: bool) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| !in_session || **name != SET_COOKIE)
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}
