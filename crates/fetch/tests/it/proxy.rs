//! Through forward proxies: absolute form for http, CONNECT for https, no local names.

use crate::h2::{self, secure};
use crate::origin::{Origin, answer, ok, splice};
use crate::{fetch, fetcher, get, settings};
use fetch::FetchErrorKind::{Proxy, Refused};
use fetch::Settings;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn through(proxies: &[String]) -> Settings {
    // No address is opened: the proxy's own is the operator's word.
    Settings { allow_networks: Vec::new(), proxy: proxies.to_vec(), ..settings() }
}

#[tokio::test]
async fn http_is_asked_for_in_absolute_form_with_credentials() {
    let proxy = Origin::always(ok("by proxy")).await;
    let fetcher = fetcher(through(&[format!("http://user:p%40ss@{}", proxy.addr)]));
    for _ in 0..2 {
        let page = fetch(&fetcher, get("http://unresolvable.example:81/a?b")).await.expect("page");
        assert_eq!(
            (&page.body[..], page.url.as_str()),
            (&b"by proxy"[..], "http://unresolvable.example:81/a?b")
        );
    }
    let seen = &proxy.seen()[1];
    assert!(seen.head.starts_with("GET http://unresolvable.example:81/a?b HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.header("proxy-authorization"), Some("Basic dXNlcjpwQHNz"));
    assert_eq!(seen.header("host"), Some("unresolvable.example:81"));
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn addresses_off_limits_are_refused_through_a_proxy_too() {
    let proxy = Origin::always(ok("inside")).await;
    let fetcher = fetcher(through(&[format!("http://{}", proxy.addr)]));
    for url in [
        "http://127.0.0.1/",
        "http://169.254.169.254/",
        "https://[::1]/",
        "http://localhost/",
        "https://a.localhost./",
    ] {
        assert_eq!(fetch(&fetcher, get(url)).await.expect_err(url).kind, Refused, "{url}");
    }
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn proxies_take_turns() {
    let (one, two) = (Origin::always(ok("1")).await, Origin::always(ok("2")).await);
    let fetcher = fetcher(through(&[format!("http://{}", one.addr), format!("http://{}", two.addr)]));
    for _ in 0..6 {
        fetch(&fetcher, get("http://example.com/")).await.expect("page");
    }
    assert_eq!((one.seen().len(), two.seen().len()), (3, 3));
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_gone_is_a_proxy_error() {
    let refusing = Origin::always(answer("407 Proxy Authentication Required", &[], "")).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let gone_addr = gone.local_addr().expect("address");
    drop(gone);
    for addr in [refusing.addr, gone_addr] {
        for url in ["http://example.com/", "https://example.com/"] {
            let error = fetch(&fetcher(through(&[format!("http://u:secret@{addr}")])), get(url))
                .await
                .expect_err(url);
            assert_eq!(error.kind, Proxy, "{url}");
            assert!(!error.message.contains("secret"));
        }
    }
}

#[tokio::test]
async fn answers_to_connect_that_are_not_consent_are_proxy_errors() {
    for bytes in [
        "HTTP/1.1 403 Forbidden\r\n\r\n".to_owned(),
        "SSH-2.0-x\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\n\r\nearly bytes".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000)),
    ] {
        let proxy = Origin::always(bytes.clone()).await;
        let error =
            fetch(&fetcher(through(&[format!("http://{}", proxy.addr)])), get("https://example.com/")).await;
        assert_eq!(error.expect_err("refused").kind, Proxy, "{}", &bytes[..20]);
    }
}

/// A proxy that tunnels everything to one address and remembers the heads.
async fn tunnel_to(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let addr = listener.local_addr().expect("address");
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("head"));
            }
            seen.lock().expect("lock").push(String::from_utf8(head).expect("text"));
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.expect("write");
            tokio::spawn(splice(stream, TcpStream::connect(target).await.expect("target")));
        }
    });
    (addr, heads)
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    for protocol in ["h2", "http/1.1"] {
        let server = secure(&[protocol.as_bytes()]).await;
        let (proxy, heads) = tunnel_to(server.addr).await;
        let settings =
            Settings { extra_ca: Some(h2::ca()), ..through(&[format!("http://user:pass@{proxy}")]) };
        let page = fetch(&fetcher(settings), get("https://secure.test/x")).await.expect("page");
        assert_eq!(page.header("x-path"), Some("/x"));
        assert_eq!(
            page.header("x-credentials"),
            Some("none"),
            "the target does not see the proxy's credentials"
        );
        let heads = heads.lock().expect("lock");
        assert!(
            heads[0].starts_with("CONNECT secure.test:443 HTTP/1.1\r\nHost: secure.test:443\r\n"),
            "{}",
            heads[0]
        );
        assert!(heads[0].contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{}", heads[0]);
    }
}
