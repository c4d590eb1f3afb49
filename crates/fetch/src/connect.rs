//! The one place where a connection to a stranger begins: resolve, vet, connect to exactly what was vetted.
//!
//! Invariant: with no proxy, no socket is opened to an address that the guard has not passed in the same call, so a
//! name that changes its answer (rebinding) has no window. Everything here ends within the connect timeout.

use crate::guard::{Guard, is_localhost};
use crate::proxy::{Gate, Scheme, Target, bare_host, gateway_error, proxy_error};
use crate::resolve::Names;
use crate::stream::Stream;
use crate::{FetchError, FetchErrorKind};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderValue, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

/// The next address is tried after this long without an answer from the one before (RFC 8305 section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Addresses of a name that are tried.
const ADDRESSES_TRIED: usize = 6;

/// Makes connections for one client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) guard: Guard,
    pub(crate) names: Arc<dyn Names>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) gate: Option<Gate>,
    pub(crate) timeout: Duration,
}

impl Connector {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// A connection to the target of a tunnel, vetted like any other: for the browser's gate.
    pub(crate) async fn tunnel(&self, target: &Url) -> Result<TcpStream, FetchError> {
        let (host, port) = ends(target);
        let late = AtomicU8::new(Stage::Site as u8);
        self.within(host, &late, async {
            let Some(gate) = &self.0.gate else {
                return connect_any(&self.0.vetted(host, port).await?, host).await;
            };
            self.vet_behind_proxy(host, port)?;
            self.0.through(gate, host, port, true, &late).await
        })
        .await
    }

    /// A connection without any proxy, vetted like any other.
    pub(crate) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let late = AtomicU8::new(Stage::Site as u8);
        self.within(host, &late, async { connect_any(&self.0.vetted(host, port).await?, host).await }).await
    }

    /// A connection that plain HTTP can be spoken on, and the credentials of the proxy if it leads to one that reads it.
    pub(crate) async fn forward(
        &self,
        target: &Url,
    ) -> Result<(TcpStream, Option<Option<HeaderValue>>), FetchError> {
        let (host, port) = ends(target);
        let late = AtomicU8::new(Stage::Site as u8);
        self.within(host, &late, async {
            let Some(gate) = &self.0.gate else {
                return Ok((connect_any(&self.0.vetted(host, port).await?, host).await?, None));
            };
            self.vet_behind_proxy(host, port)?;
            let tcp = self.0.through(gate, host, port, false, &late).await?;
            Ok((tcp, gate.reads_http().then(|| gate.header.clone())))
        })
        .await
    }

    /// A proxy resolves names by itself; what can be refused before is.
    fn vet_behind_proxy(&self, host: &str, port: u16) -> Result<(), FetchError> {
        let ip = if is_localhost(host) { Some(Ipv4Addr::LOCALHOST.into()) } else { host.parse().ok() };
        ip.map_or(Ok(()), |ip| self.0.guard.check(SocketAddr::new(ip, port)))
            .map_err(|refusal| refused(host, &refusal))
    }

    async fn connect(self, uri: Uri) -> Result<Stream, FetchError> {
        let late = AtomicU8::new(Stage::Site as u8);
        self.within(uri.host().unwrap_or_default(), &late, self.0.open(&uri, &late)).await
    }

    /// Within the time for connecting. `late`: who is too slow makes a difference, a proxy or what is behind it.
    async fn within<T>(
        &self,
        host: &str,
        late: &AtomicU8,
        opening: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let timeout = self.0.timeout;
        match tokio::time::timeout(timeout, opening).await {
            // Names, addresses and TLS belong to reaching the host; what the guard refuses is not the host's doing.
            Ok(result) => result.map_err(FetchError::unreached),
            Err(_) => {
                let ms = timeout.as_millis();
                let error = match late.load(Ordering::Relaxed) {
                    stage if stage == Stage::Proxy as u8 => {
                        proxy_error(format!("no connection to the proxy within {ms} ms"))
                    }
                    stage if stage == Stage::Behind as u8 => {
                        gateway_error(format!("no connection to `{host}` through the proxy within {ms} ms"))
                    }
                    _ => FetchError::new(
                        FetchErrorKind::Timeout,
                        format!("no connection to `{host}` within {ms} ms"),
                    ),
                };
                Err(error.unreached())
            }
        }
    }
}

/// Where a URL of a browser leads.
fn ends(target: &Url) -> (&str, u16) {
    (bare_host(target.host_str().unwrap_or_default()), target.port_or_known_default().unwrap_or(0))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.connect(uri).await.map(TokioIo::new) })
    }
}

/// What a connection waits for.
#[derive(Clone, Copy)]
enum Stage {
    Site,
    Proxy,
    Behind,
}

impl Parts {
    async fn open(&self, uri: &Uri, stage: &AtomicU8) -> Result<Stream, FetchError> {
        let secure = uri.scheme_str() == Some("https");
        let host = bare_host(uri.host().unwrap_or_default());
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });

        let tcp = match &self.gate {
            None => connect_any(&self.vetted(host, port).await?, host).await?,
            Some(gate) => self.through(gate, host, port, secure, stage).await?,
        };
        if !secure {
            return Ok(Stream::plain(tcp, self.gate.as_ref().is_some_and(Gate::reads_http)));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            FetchError::new(FetchErrorKind::Tls, format!("`{host}` cannot be the name of a certificate"))
        })?;
        let tls = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await
            .map_err(|error| tls_error(host, &error))?;
        Ok(Stream::tls(tls))
    }

    /// The addresses of a host, every one of them passed by the guard.
    async fn vetted(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let addresses = self.addresses(host, port).await?;
        self.guard.check_all(&addresses).map_err(|refusal| refused(host, &refusal))?;
        Ok(addresses)
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let ips = match host.parse::<IpAddr>() {
            Ok(ip) => vec![ip],
            Err(_) => self.names.addresses(host).await?,
        };
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// A connection to the proxy, and behind it to the host, unless the proxy is to read the request itself.
    async fn through(
        &self,
        gate: &Gate,
        host: &str,
        port: u16,
        secure: bool,
        stage: &AtomicU8,
    ) -> Result<TcpStream, FetchError> {
        // Where names are resolved here, the guard sees every address, as without a proxy.
        let vetted = match gate.proxy.scheme {
            Scheme::Socks5 => Some(self.vetted(host, port).await?),
            Scheme::Http | Scheme::Socks5h => None,
        };
        stage.store(Stage::Proxy as u8, Ordering::Relaxed);
        // The operator named the proxy, so its own address is not vetted.
        let failed = |error: FetchError| proxy_error(format!("the proxy cannot be reached: {error}"));
        let addresses = self.addresses(&gate.proxy.host, gate.proxy.port).await.map_err(failed)?;
        let mut tcp = connect_any(&addresses, &gate.proxy.host).await.map_err(failed)?;
        if gate.reads_http() && !secure {
            return Ok(tcp);
        }
        stage.store(Stage::Behind as u8, Ordering::Relaxed);
        let target = match vetted {
            None => Target::Host(host, port),
            // A proxy has IPv4 more often than IPv6.
            Some(vetted) => match vetted.iter().find(|address| address.is_ipv4()).or(vetted.first()) {
                Some(address) => Target::Address(*address),
                None => return Err(proxy_error("the host has no address")),
            },
        };
        gate.open(&mut tcp, &target).await?;
        stage.store(Stage::Site as u8, Ordering::Relaxed);
        Ok(tcp)
    }
}

/// The error of an address off limits.
pub(crate) fn refused(host: &str, refusal: &crate::guard::Refusal) -> FetchError {
    FetchError::new(FetchErrorKind::Refused, format!("`{host}` is refused: {refusal}"))
}

/// Tries the addresses in turn, the next one as soon as the one before failed or is slow; the first that answers wins.
async fn connect_any(addresses: &[SocketAddr], host: &str) -> Result<TcpStream, FetchError> {
    let mut rest = addresses.iter().copied().take(ADDRESSES_TRIED);
    let mut attempts = FuturesUnordered::new();
    let mut last: Option<std::io::Error> = None;
    loop {
        let more = match rest.next() {
            Some(address) => {
                attempts.push(TcpStream::connect(address));
                true
            }
            None => false,
        };
        let ended = if more {
            tokio::time::timeout(NEXT_ADDRESS_AFTER, attempts.next()).await
        } else {
            Ok(attempts.next().await)
        };
        match ended {
            Ok(Some(Ok(stream))) => {
                // Requests are one write each: waiting to fill a packet only adds latency. A socket that refuses the
                // option works all the same.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "no TCP_NODELAY");
                }
                return Ok(stream);
            }
            Ok(Some(Err(error))) => last = Some(error),
            // Nothing under way and nothing left.
            Ok(None) if !more => break,
            // Slow: on to the next.
            Ok(None) | Err(_) => {}
        }
    }
    let reason = last.map_or_else(|| "it has no address".to_owned(), |error| error.to_string());
    Err(FetchError::new(FetchErrorKind::Connection, format!("cannot connect to `{host}`: {reason}")))
}

fn tls_error(host: &str, error: &std::io::Error) -> FetchError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => FetchError::new(FetchErrorKind::Tls, format!("TLS with `{host}` failed: {tls}")),
        None => FetchError::new(
            FetchErrorKind::Connection,
            format!("the connection to `{host}` broke during the TLS handshake: {error}"),
        ),
    }
}
