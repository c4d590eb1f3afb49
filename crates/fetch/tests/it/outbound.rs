//! Webhooks and notices.

use crate::AT_MOST;
use crate::h2::{ca, secure};
use crate::origin::{Act, Origin, answer, ok};
use bytes::Bytes;
use fetch::FetchErrorKind::{Connection, Refused, Timeout};
use fetch::{Answer, FetchError, Outbound, OutboundSettings, Payload};
use futures_util::stream;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn settings() -> OutboundSettings {
    OutboundSettings { allow_networks: vec!["127.0.0.0/8".into()], ..OutboundSettings::default() }
}

async fn send(settings: &OutboundSettings, url: &str, body: Payload) -> Result<Answer, FetchError> {
    let outbound = Outbound::new(settings).expect("settings");
    let headers = [("X-Snapshot-Id".to_owned(), "s_1".to_owned())];
    let url: url::Url = url.parse().expect(url);
    let sent = outbound.post(&url, &headers, body, Duration::from_millis(800));
    tokio::time::timeout(AT_MOST, sent).await.expect("it ends in time")
}

async fn post(url: &str, body: Payload) -> Result<Answer, FetchError> {
    send(&settings(), url, body).await
}

fn pieces(count: usize, size: usize, taken: &Arc<AtomicUsize>) -> Payload {
    let taken = Arc::clone(taken);
    let piece = Bytes::from(vec![b'x'; size]);
    Payload::Stream(Box::new(stream::iter((0..count).map(move |_| {
        taken.fetch_add(1, Ordering::SeqCst);
        Ok(piece.clone())
    }))))
}

#[tokio::test]
async fn a_whole_body_is_posted_with_its_length() {
    let origin = Origin::always(ok("thanks")).await;
    let said =
        post(&origin.url("/hook").replace("//", "//user:pw@"), Bytes::from_static(b"[1]").into()).await;
    assert_eq!(said, Ok(Answer { status: 200, retry_after_ms: None }));
    let seen = &origin.seen()[0];
    assert!(seen.head.starts_with("POST /hook HTTP/1.1\r\n"));
    assert_eq!((&seen.body[..], seen.header("x-snapshot-id")), (&b"[1]"[..], Some("s_1")));
    assert_eq!(seen.header("authorization"), Some("Basic dXNlcjpwdw=="));
}

#[tokio::test]
async fn a_stream_arrives_whole() {
    let origin = Origin::always(ok("")).await;
    let taken = Arc::default();
    let said = post(&origin.url("/"), pieces(300, 10_000, &taken)).await.expect("accepted");
    assert!(said.accepted());
    assert_eq!(origin.seen()[0].body.len(), 3_000_000);
}

#[tokio::test]
async fn a_stream_waits_for_its_receiver() {
    // Nobody reads: what was taken from the stream lies in socket buffers and nowhere else.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}/", listener.local_addr().expect("address"));
    let taken = Arc::default();
    let error = post(&url, pieces(16_000, 65_536, &taken)).await.expect_err("nobody reads");
    assert_eq!(error.kind, Timeout);
    let megabytes = taken.load(Ordering::SeqCst) / 16;
    assert!(megabytes < 32, "{megabytes} MB of 1,000 were taken");
}

#[tokio::test]
async fn a_source_that_breaks_is_not_the_receiver_s_fault() {
    let origin = Origin::always(ok("")).await;
    let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(io::Error::other("the disk is gone"))]);
    let error = post(&origin.url("/"), Payload::Stream(Box::new(broken))).await.expect_err("broken");
    assert_eq!(error.kind, Connection);
    assert!(error.message.contains("the disk is gone"), "{}", error.message);
    assert_eq!(origin.seen().len(), 0, "a body that broke off is no request");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Origin::always(ok("")).await;
    let location = target.url("/");
    let origin =
        Origin::start(move |_| vec![Act::Send(answer("307 Temporary", &[("Location", &location)], ""))])
            .await;
    let said = post(&origin.url("/"), Bytes::new().into()).await.expect("an answer");
    assert_eq!((said.status, said.accepted()), (307, false));
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let origin = Origin::always(answer("429 Slow", &[("Retry-After", "7")], "")).await;
    let said = post(&origin.url("/"), Bytes::new().into()).await;
    assert_eq!(said, Ok(Answer { status: 429, retry_after_ms: Some(7_000) }));
}

#[tokio::test]
async fn a_receiver_that_hangs_is_a_timeout_and_one_that_babbles_is_not() {
    let origin = Origin::start(|_| vec![Act::Hang]).await;
    assert_eq!(post(&origin.url("/"), Bytes::new().into()).await.expect_err("hangs").kind, Timeout);
    let origin = Origin::start(|_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Act::Endless(vec![b'x'; 65_536])]
    })
    .await;
    assert_eq!(post(&origin.url("/"), Bytes::new().into()).await.map(|said| said.status), Ok(200));
}

#[tokio::test]
async fn receivers_off_limits_are_refused() {
    let origin = Origin::always(ok("")).await;
    let closed = OutboundSettings::default();
    for url in [
        origin.url("/").as_str(),
        "http://169.254.169.254/",
        "http://localhost/",
        "ftp://example.com/",
        "file:///x",
    ] {
        assert_eq!(send(&closed, url, Bytes::new().into()).await.expect_err(url).kind, Refused, "{url}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn tls_trusts_the_operator_s_authority() {
    let server = secure(&[b"http/1.1"]).await;
    let settings = OutboundSettings {
        extra_ca: Some(ca()),
        names: vec![("secure.test".into(), server.addr.ip())],
        ..settings()
    };
    let url = format!("https://secure.test:{}/", server.addr.port());
    assert_eq!(send(&settings, &url, Bytes::from_static(b"x").into()).await.map(|said| said.status), Ok(200));
}
