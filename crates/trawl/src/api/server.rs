//! The server beneath the API: connections in, HTTP/1.1 and 2, plain or TLS.
//!
//! Invariants: connections are bounded in number; a client that sends its head (or its TLS hello) too slowly, or does
//! not take its answer, is cut off; a stop lets open answers end, but no longer than `shutdown`.

use super::Settings;
use super::access::Peer;
use super::patience::Patient;
use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// How often a quiet HTTP/2 connection is asked whether it lives, and how long it may think.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WAIT: Duration = Duration::from_secs(20);
/// How long a client may take none of its answer.
const WRITE_STALL: Duration = Duration::from_secs(60);

/// Told to every request: turns true when the server stops, so that answers without an end can end.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

impl Stopping {
    /// Ready when the server stops.
    pub(super) async fn stopped(&mut self) {
        // The sender goes away with the server: as good as a stop.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// Serves until `shutdown` is ready, then lets open answers end within `settings.shutdown`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<rustls::ServerConfig>,
    settings: &Settings,
    shutdown: impl Future<Output = ()>,
) {
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let room = Arc::new(Semaphore::new(settings.connections_max.max(1)));
    let graceful = GracefulShutdown::new();
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Tasks that have ended are let go, so that the set stays as large as the number of connections.
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let connection = Connection {
            router: router.clone(),
            peer,
            head_timeout: settings.head_timeout,
            watcher: graceful.watcher(),
            stopping: Stopping(stopping.clone()),
        };
        let tls = tls.clone();
        connections.spawn(async move {
            connection.accept(stream, tls).await;
            drop(permit);
        });
    }
    drop(listener);
    // Every connection may have ended already.
    let _ = stop.send(true);
    if tokio::time::timeout(settings.shutdown, graceful.shutdown()).await.is_err() {
        tracing::warn!(open = connections.len(), "cutting off connections that did not end in time");
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    head_timeout: Duration,
    watcher: Watcher,
    stopping: Stopping,
}

impl Connection {
    async fn accept(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Small answers must not wait for company. Fails only on a connection that is gone.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return self.speak(stream).await };
        match tokio::time::timeout(self.head_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "no TLS session"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS hello too slow"),
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let peer = Peer(self.peer);
        let stopping = self.stopping;
        let router = TowerToHyperService::new(self.router);
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(stopping.clone());
            router.call(request.map(Body::new))
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_buf_size(HEAD_BYTES.max(256 * 1024));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            // Cast: 64 KiB fits.
            .max_header_list_size(HEAD_BYTES as u32)
            .adaptive_window(true)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WAIT);
        let stream = TokioIo::new(Patient::new(stream, self.head_timeout, WRITE_STALL));
        let connection = builder.serve_connection(stream, service);
        if let Err(error) = self.watcher.watch(connection.into_owned()).await {
            tracing::debug!(peer = %peer.0, %error, "connection ended early");
        }
    }
}

/// TLS from PEM files: the certificate chain, leaf first, and its key. Offers HTTP/2 and HTTP/1.1.
pub fn tls_config(cert: &Path, key: &Path) -> Result<rustls::ServerConfig> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificates in {}", cert.display()))?;
    anyhow::ensure!(!chain.is_empty(), "no certificate in {}", cert.display());
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the private key in {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no TLS version")?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .context("the certificate and the key do not fit")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
