//! TLS with an authority of our own, HTTP/2 by negotiation.

use crate::{fetch, fetcher, get, settings};
use bytes::Bytes;
use fetch::FetchErrorKind::{Protocol, Tls, TooLarge};
use fetch::{Fetcher, Settings};
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "it", "certs", name].iter().collect()
}

/// The authority's certificate.
pub(crate) fn ca() -> PathBuf {
    file("ca.pem")
}

pub(crate) struct Secure {
    pub(crate) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Secure {
    fn url(&self, path: &str) -> String {
        format!("https://secure.test:{}{path}", self.addr.port())
    }
}

fn acceptor(alpn: &[&[u8]]) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(file("server.pem"))
        .expect("pem")
        .collect::<Result<_, _>>()
        .expect("pem");
    let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("certificate");
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A server for `secure.test` that answers with what it saw in headers.
pub(crate) async fn secure(alpn: &[&[u8]]) -> Secure {
    let acceptor = acceptor(alpn);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let addr = listener.local_addr().expect("address");
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    Ok::<_, Infallible>(respond(&request))
                });
                _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(tls), service)
                    .await;
            });
        }
    });
    Secure { addr, connections }
}

fn respond(request: &http::Request<hyper::body::Incoming>) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::builder()
        .header("x-version", format!("{:?}", request.version()))
        .header("x-path", request.uri().path())
        .header(
            "x-credentials",
            if request.headers().contains_key("proxy-authorization") { "some" } else { "none" },
        );
    let body = match request.uri().path() {
        "/huge-head" => {
            response = response.header("x-huge", "x".repeat(200_000));
            Bytes::new()
        }
        "/large" => Bytes::from(vec![b'x'; 3 << 20]),
        "/bad-gzip" => {
            response = response.header("content-encoding", "gzip");
            Bytes::from_static(b"not gzip")
        }
        _ => Bytes::from_static(b"hello"),
    };
    response.body(Full::new(body)).expect("response")
}

fn trusting(server: &Secure) -> Settings {
    Settings {
        extra_ca: Some(ca()),
        names: vec![("secure.test".into(), server.addr.ip()), ("other.test".into(), server.addr.ip())],
        ..settings()
    }
}

#[tokio::test]
async fn the_protocol_is_negotiated() {
    for (offered, version) in
        [(&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0"), (&[b"http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let server = secure(offered).await;
        let page = fetch(&fetcher(trusting(&server)), get(&server.url("/p"))).await.expect("page");
        assert_eq!((page.header("x-version"), &page.body[..]), (Some(version), &b"hello"[..]));
    }
}

#[tokio::test]
async fn http2_shares_a_connection() {
    let server = secure(&[b"h2"]).await;
    let fetcher = fetcher(trusting(&server));
    fetch(&fetcher, get(&server.url("/"))).await.expect("page");
    let pages = join_all((0..50).map(|_| fetcher.fetch(get(&server.url("/")), false))).await;
    assert!(pages.iter().all(Result::is_ok));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_literal_address_may_have_a_certificate() {
    let server = secure(&[b"h2"]).await;
    let url = format!("https://{}/", server.addr);
    assert!(fetch(&fetcher(trusting(&server)), get(&url)).await.is_ok());
}

#[tokio::test]
async fn whom_we_do_not_trust_is_a_tls_error() {
    let server = secure(&[b"h2"]).await;
    let stranger = Settings { extra_ca: None, ..trusting(&server) };
    let error = fetch(&fetcher(stranger), get(&server.url("/"))).await.expect_err("unknown authority");
    assert_eq!((error.kind, error.trouble()), (Tls, Some(model::Trouble::Other)));
    let wrong_name = server.url("/").replace("secure.test", "other.test");
    assert_eq!(fetch(&fetcher(trusting(&server)), get(&wrong_name)).await.expect_err("wrong name").kind, Tls);
}

#[tokio::test]
async fn what_does_not_speak_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://{}/", listener.local_addr().expect("address"));
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            _ = tokio::io::AsyncWriteExt::write_all(&mut tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    assert_eq!(crate::fails(&url).await, Tls);
}

#[tokio::test]
async fn bounds_hold_over_http2() {
    let server = secure(&[b"h2"]).await;
    let fetcher = fetcher(trusting(&server));
    for (path, kind) in [("/huge-head", Protocol), ("/large", TooLarge), ("/bad-gzip", Protocol)] {
        assert_eq!(fetch(&fetcher, get(&server.url(path))).await.expect_err(path).kind, kind, "{path}");
    }
    assert!(fetch(&fetcher, get(&server.url("/"))).await.is_ok());
}
