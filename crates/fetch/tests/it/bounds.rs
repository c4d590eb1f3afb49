//! Every answer ends within its time and its size.

use crate::origin::{Act, Origin, ok};
use crate::{fails, fetch, fetcher, get, settings};
use fetch::FetchErrorKind::{Connection, Timeout, TooLarge};
use fetch::Settings;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";

#[tokio::test]
async fn a_head_that_never_comes_is_a_timeout() {
    let origin = Origin::start(|_| vec![Act::Hang]).await;
    let settings = Settings { connect_timeout_ms: 300, ..settings() };
    let began = Instant::now();
    let error = fetch(&fetcher(settings), get(&origin.url("/"))).await.expect_err("hangs");
    assert_eq!(error.kind, Timeout);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_body_that_stalls_is_a_timeout() {
    let origin = Origin::start(|_| vec![Act::Send([HEAD, b"some"].concat()), Act::Hang]).await;
    let began = Instant::now();
    assert_eq!(fails(&origin.url("/")).await, Timeout);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_trickle_ends_with_the_page_s_time_though_it_never_idles() {
    for acts in [
        vec![Act::Send(HEAD.to_vec()), Act::Trickle(vec![b'x'; 100_000], Duration::from_millis(20))],
        vec![Act::Trickle(
            [b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 10_000][..]].concat(),
            Duration::from_millis(20),
        )],
    ] {
        let origin = Origin::start(move |_| acts.clone()).await;
        let settings = Settings { page_timeout_ms: 700, idle_timeout_ms: 600, ..settings() };
        let began = Instant::now();
        let error = fetch(&fetcher(settings), get(&origin.url("/"))).await.expect_err("trickles");
        assert_eq!(error.kind, Timeout);
        assert!((Duration::from_millis(650)..Duration::from_secs(2)).contains(&began.elapsed()));
    }
}

#[tokio::test]
async fn redirects_share_the_page_s_time() {
    let origin = Origin::start(|seen| {
        let location =
            format!("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /{}\r\n\r\n", seen.number);
        vec![Act::Trickle(location.into_bytes(), Duration::from_millis(4))]
    })
    .await;
    let settings = Settings { page_timeout_ms: 800, redirects_max: 1_000, ..settings() };
    let began = Instant::now();
    let error = fetch(&fetcher(settings), get(&origin.url("/"))).await.expect_err("too slow");
    assert_eq!(error.kind, Timeout);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_closed_port_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}/", listener.local_addr().expect("address"));
    drop(listener);
    assert_eq!(fails(&url).await, Connection);
}

#[tokio::test]
async fn tls_that_is_never_answered_is_a_timeout() {
    let origin = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://{}/", origin.local_addr().expect("address"));
    let settings = Settings { connect_timeout_ms: 300, ..settings() };
    let error = fetch(&fetcher(settings), get(&url)).await.expect_err("silence");
    assert_eq!(error.kind, Timeout);
}

#[tokio::test]
async fn an_announced_length_beyond_the_bound_is_refused_unread() {
    let origin = Origin::start(|_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec()), Act::Hang]
    })
    .await;
    let began = Instant::now();
    assert_eq!(fails(&origin.url("/")).await, TooLarge);
    assert!(began.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let origin = Origin::start(|_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Act::Endless(vec![b'x'; 65_536])]
    })
    .await;
    assert_eq!(fails(&origin.url("/")).await, TooLarge);
    let origin = Origin::start(|_| {
        vec![
            Act::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
            Act::Endless(b"4\r\nxxxx\r\n".repeat(5_000)),
        ]
    })
    .await;
    assert_eq!(fails(&origin.url("/")).await, TooLarge);
}

#[tokio::test]
async fn the_bound_itself_is_allowed() {
    let origin = Origin::always(ok(vec![b'x'; 1 << 20])).await;
    assert_eq!(crate::page(&origin.url("/")).await.body.len(), 1 << 20);
    let origin = Origin::always(ok(vec![b'x'; (1 << 20) + 1])).await;
    assert_eq!(fails(&origin.url("/")).await, TooLarge);
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let one_line = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(fails(&Origin::always(one_line).await.url("/")).await, TooLarge);
    let many_lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(2_000));
    assert_eq!(fails(&Origin::always(many_lines).await.url("/")).await, TooLarge);
    let endless = Origin::start(|_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Act::Endless(b"X: y\r\n".repeat(1_000))]
    })
    .await;
    assert_eq!(fails(&endless.url("/")).await, TooLarge);
}

#[tokio::test]
async fn many_headers_within_the_bounds_are_fine() {
    let head = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "Set-Cookie: a=b\r\n".repeat(200));
    let page = crate::page(&Origin::always(head).await.url("/")).await;
    assert_eq!(page.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 200);
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_named() {
    for (setting, settings) in [
        ("allow_networks", Settings { allow_networks: vec!["10.0.0.0/99".into()], ..settings() }),
        ("proxy", Settings { proxy: vec!["socks4://x".into()], ..settings() }),
        ("extra_ca", Settings { extra_ca: Some("/nowhere/ca.pem".into()), ..settings() }),
        ("user_agent", Settings { user_agent: "a\nb".into(), ..settings() }),
        ("host_concurrency", Settings { host_concurrency: 0, ..settings() }),
        ("concurrency", Settings { concurrency: 0, ..settings() }),
        ("head_bytes_max", Settings { head_bytes_max: 100, ..settings() }),
        ("page_timeout_ms", Settings { page_timeout_ms: 0, ..settings() }),
    ] {
        let error = fetch::HttpFetcher::new(settings).err().expect(setting);
        assert_eq!(error.setting, setting);
        assert!(!error.reason.is_empty());
    }
    let error = fetch::HttpFetcher::new(Settings { proxy: vec!["http//user:secret@x".into()], ..settings() });
    assert!(!error.err().expect("refused").to_string().contains("secret"));
}

#[tokio::test]
async fn extreme_times_do_not_overflow() {
    let origin = Origin::always(ok("x")).await;
    let settings = Settings {
        page_timeout_ms: u64::MAX,
        idle_timeout_ms: u64::MAX,
        connect_timeout_ms: u64::MAX,
        retry_after_max_ms: u64::MAX,
        ..settings()
    };
    let mut request = get(&origin.url("/"));
    request.needs.host_delay_ms = Some(u64::MAX);
    request.needs.host_concurrency = Some(0);
    assert!(fetch(&fetcher(settings), request).await.is_ok());
}
