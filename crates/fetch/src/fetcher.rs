//! Plain HTTP: waits for the host's turn, follows redirects by hand, reads the page within its bounds.
//!
//! Every hop of a page is vetted and paced like a request of its own. Retries belong to the caller, except the one
//! after a pooled connection turned out to be closed.

use crate::body::{Bounds, collect, decoded};
use crate::client::{Client, Pool, Whole, client, head_error, was_stale};
use crate::clock::now;
use crate::connect::{Connector, Parts, refused};
use crate::decode::encodings;
use crate::guard::{Guard, is_localhost};
use crate::message::Hop;
use crate::pace::{Limits, Pacer, Turn, Want};
use crate::proxy::{Proxy, proxy_error};
use crate::resolve::{Names, Resolver};
use crate::settings::{Settings, SettingsError};
use crate::stats::{Counters, Stats};
use crate::stream::Answers;
use crate::{AllowList, FetchError, FetchErrorKind, Fetcher, retry_after, tls};
use async_trait::async_trait;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, Response};
use hyper::body::Incoming;
use model::{Method, Needs, Page, Request};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use url::{Host, Url};

/// Bytes of a redirect's body that are read so that its connection can be used again.
const REDIRECT_BODY_MAX: u64 = 64 << 10;
/// And the time that is spent on it.
const REDIRECT_BODY_PATIENCE: Duration = Duration::from_secs(2);

/// Fetches pages over plain HTTP. Cheap to clone; clones share pace, connections and counters.
#[derive(Clone)]
pub struct HttpFetcher(Arc<Inner>);

struct Inner {
    /// One without proxies, else one for each proxy, taken in turn.
    routes: Vec<Route>,
    next_route: AtomicUsize,
    guard: Guard,
    pacer: Arc<Pacer>,
    counters: Counters,
    user_agent: HeaderValue,
    settings: Settings,
}

/// A way to the web, with its own pool of connections.
struct Route {
    client: Client<Whole>,
    proxy: Option<Proxy>,
    connector: Connector,
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
        let mut proxies = settings
            .proxy
            .iter()
            .map(|text| Proxy::parse(text).map(Some).map_err(|reason| SettingsError::new("proxy", reason)))
            .collect::<Result<Vec<_>, _>>()?;
        if proxies.is_empty() {
            proxies.push(None);
        }
        let pool = Pool {
            idle: Duration::from_millis(settings.idle_ms),
            idle_per_host: settings.idle_per_host,
            head_bytes_max: settings.head_bytes_max,
        };
        let routes = proxies
            .into_iter()
            .map(|proxy| {
                let connector = Connector::new(Parts {
                    guard: guard.clone(),
                    names: Arc::clone(&names),
                    tls: Arc::clone(&tls),
                    proxy: proxy.clone(),
                    timeout: Duration::from_millis(settings.connect_timeout_ms),
                });
                Route { client: client(connector.clone(), &pool), proxy, connector }
            })
            .collect();
        let pacer = Pacer::new(Limits {
            concurrency: settings.concurrency,
            host_concurrency: settings.host_concurrency,
            host_delay: Duration::from_millis(settings.host_delay_ms),
        });
        Ok(Self(Arc::new(Inner {
            routes,
            next_route: AtomicUsize::new(0),
            guard,
            pacer,
            counters: Counters::default(),
            user_agent,
            settings,
        })))
    }

    /// The counters as they stand.
    pub fn stats(&self) -> Stats {
        let (waiting, in_flight) = self.0.pacer.counts();
        self.0.counters.read(waiting as u64, u64::from(in_flight))
    }
}

/// What the browser shares with plain fetching.
impl HttpFetcher {
    /// Everything that comes before a request for a page: vetting, and the host's turn.
    pub(crate) async fn admit(&self, url: &Url, needs: &Needs, express: bool) -> Result<Turn, FetchError> {
        self.0.vet(url, &self.0.routes[0])?;
        Ok(self.0.pacer.turn(lane(url).into(), want(needs, express)).await)
    }

    /// The way to the web for the next page, by the next proxy if there are any.
    pub(crate) fn connector(&self) -> &Connector {
        let routes = &self.0.routes;
        &routes[self.0.next_route.fetch_add(1, Ordering::Relaxed) % routes.len()].connector
    }

    pub(crate) fn user_agent(&self) -> String {
        self.0.settings.user_agent.clone()
    }

    pub(crate) fn page_bytes_max(&self) -> u64 {
        self.0.settings.page_bytes_max
    }

    /// Obeys a `Retry-After`.
    pub(crate) fn hold(&self, turn: &Turn, retry_after: Option<&str>) {
        self.0.hold_for(turn, retry_after);
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
    async fn page(&self, request: Request, express: bool) -> Result<Page, FetchError> {
        let want = want(&request.needs, express);
        let mut hop = Hop::first(request, &self.user_agent)?;
        // One proxy for all hops: a site that sees the address change between them may take it for theft.
        let route = &self.routes[self.next_route.fetch_add(1, Ordering::Relaxed) % self.routes.len()];
        let mut time_left = Duration::from_millis(self.settings.page_timeout_ms);
        let mut redirects = 0;
        loop {
            self.vet(&hop.url, route)?;
            let turn = self.pacer.turn(lane(&hop.url).into(), want).await;
            let began = Instant::now();
            let bounds = Bounds {
                // A time that does not fit is as good as none; a day is one, too.
                deadline: began.checked_add(time_left).unwrap_or(began + Duration::from_secs(86_400)),
                idle: Duration::from_millis(self.settings.idle_timeout_ms),
                bytes_max: self.settings.page_bytes_max,
            };
            let (status, target) = match self.step(route, &hop, &bounds, &turn).await? {
                Step::Page(page) => return Ok(page),
                Step::Redirect(status, target) => (status, target),
            };
            drop(turn);
            time_left = time_left.saturating_sub(began.elapsed());
            redirects += 1;
            if redirects > self.settings.redirects_max {
                return Err(FetchError::new(
                    FetchErrorKind::Redirects,
                    format!("more than {} redirects", self.settings.redirects_max),
                ));
            }
            hop.follow(status, target);
        }
    }

    /// What can be refused before anybody is asked. Names are vetted where they are connected to, except behind a
    /// proxy, which resolves them itself.
    fn vet(&self, url: &Url, route: &Route) -> Result<(), FetchError> {
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
            Some(Host::Domain(name)) if route.proxy.is_some() && is_localhost(name) => {
                Ipv4Addr::LOCALHOST.into()
            }
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(FetchError::new(FetchErrorKind::Refused, "the address names no host")),
        };
        let address = SocketAddr::new(ip, url.port_or_known_default().unwrap_or(0));
        let host = url.host_str().unwrap_or_default();
        self.guard.check(address).map_err(|refusal| refused(host, &refusal))
    }

    /// One request and its answer.
    async fn step(&self, route: &Route, hop: &Hop, bounds: &Bounds, turn: &Turn) -> Result<Step, FetchError> {
        let host = hop.url.host_str().unwrap_or_default();
        let answer = self.head(route, hop, bounds, host).await?;
        let (head, mut body) = answer.into_parts();
        let status = head.status.as_u16();
        self.counters.answer(status);
        if status == 407 && route.proxy.is_some() {
            return Err(proxy_error("the proxy refuses our credentials (407)"));
        }
        if let Some(target) = hop.target(head.status, &head.headers) {
            let bounds = Bounds {
                deadline: bounds.deadline.min(Instant::now() + REDIRECT_BODY_PATIENCE),
                bytes_max: REDIRECT_BODY_MAX,
                ..*bounds
            };
            // Whatever it says, it is only read so that the connection is free again.
            _ = collect(&mut body, host, &bounds).await;
            return target.map(|target| Step::Redirect(head.status, target));
        }
        if matches!(status, 429 | 503) {
            self.hold(turn, &head.headers);
        }
        let encodings = encodings(head.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        let wire = collect(&mut body, host, bounds).await?;
        let wire_bytes = wire.len() as u64;
        let body = decoded(wire, encodings, self.settings.page_bytes_max).await?;
        self.counters.body(wire_bytes, body.len() as u64);
        Ok(Step::Page(Page {
            url: hop.url.clone(),
            status,
            headers: lines(&head.headers),
            body,
            fetched_at: now(),
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
    ) -> Result<Response<Incoming>, FetchError> {
        let connecting = Duration::from_millis(self.settings.connect_timeout_ms);
        // In a tunnel the proxy has had its credentials with CONNECT.
        let proxy = route.proxy.as_ref().filter(|_| hop.url.scheme() == "http");
        let credentials = proxy.and_then(|proxy| proxy.credentials.as_ref());
        let mut again = hop.method == Method::Get;
        loop {
            let message = hop.message(credentials)?;
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

    /// Obeys `Retry-After` for the whole host, within the operator's bound.
    fn hold(&self, turn: &Turn, headers: &HeaderMap) {
        self.hold_for(turn, headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()));
    }

    fn hold_for(&self, turn: &Turn, value: Option<&str>) {
        if let Some(ms) = value.and_then(|value| retry_after::value_ms(value, now())) {
            turn.hold(Duration::from_millis(ms.min(self.settings.retry_after_max_ms)));
        }
    }
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

fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}
