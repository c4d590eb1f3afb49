//! What object stores are asked through, against servers that misbehave.

use crate::origin::{Act, Origin};
use fetch::{BucketConnector, OutboundSettings};
use http::Method;
use object_store::ClientOptions;
use object_store::client::{
    HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
};
use std::time::Duration;

fn guarded() -> BucketConnector {
    BucketConnector::guarded(&OutboundSettings::default()).expect("settings")
}

fn open() -> BucketConnector {
    BucketConnector::open(&OutboundSettings::default()).expect("settings")
}

async fn ask(connector: &BucketConnector, method: Method, url: &str) -> Result<HttpResponse, HttpError> {
    let client = connector.connect(&ClientOptions::new().with_allow_http(true)).expect("client");
    client.execute(request(method, url)).await
}

fn request(method: Method, url: &str) -> HttpRequest {
    let mut request = HttpRequest::new(HttpRequestBody::from(b"payload".to_vec()));
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().expect(url);
    request
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_bucket_that_a_caller_names_is_guarded_and_the_operators_own_is_not() {
    let origin = Origin::always(answer("200 OK", "fine")).await;
    for url in [origin.url("/"), "http://169.254.169.254/latest".into(), "http://localhost/".into()] {
        let refused = ask(&guarded(), Method::PUT, &url).await.expect_err(&url);
        assert_eq!(refused.kind(), HttpErrorKind::Unknown, "not asked again: {refused}");
        assert!(refused.to_string().contains("off limits"), "{refused}");
    }
    assert_eq!(origin.connections(), 0);

    let opened =
        OutboundSettings { allow_networks: vec!["127.0.0.0/8".into()], ..OutboundSettings::default() };
    let opened = BucketConnector::guarded(&opened).expect("settings");
    for connector in [opened, open()] {
        let said = ask(&connector, Method::PUT, &origin.url("/")).await.expect("an answer");
        assert_eq!(said.into_body().bytes().await.expect("a body"), "fine");
    }
    assert_eq!(
        origin.seen().iter().map(|seen| seen.body.clone()).collect::<Vec<_>>(),
        [b"payload", b"payload"]
    );
}

#[tokio::test]
async fn plain_http_is_spoken_only_where_the_store_allows_it() {
    let origin = Origin::always(answer("200 OK", "")).await;
    let client = open().connect(&ClientOptions::new()).expect("client");
    let refused = client.execute(request(Method::GET, &origin.url("/"))).await.expect_err("no TLS");
    assert_eq!(refused.kind(), HttpErrorKind::Unknown);
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn endless_bodies_end() {
    let endless = |status: &str| {
        let head = format!("HTTP/1.1 {status}\r\n\r\n").into_bytes();
        vec![Act::Send(head), Act::Endless(vec![b'x'; 65_536])]
    };
    let failing = Origin::start(move |_| endless("500 Oh")).await;
    let said = ask(&open(), Method::PUT, &failing.url("/")).await.expect("an answer");
    assert_eq!(said.status(), 500);
    assert_eq!(said.into_body().bytes().await.expect("as much as is let through").len(), 16 << 10);

    let babbling = Origin::start(move |_| endless("200 OK")).await;
    let opened =
        OutboundSettings { allow_networks: vec!["127.0.0.0/8".into()], ..OutboundSettings::default() };
    let said =
        ask(&BucketConnector::guarded(&opened).expect("settings"), Method::GET, &babbling.url("/")).await;
    let too_large = said.expect("an answer").into_body().bytes().await.expect_err("no end");
    assert_eq!(too_large.kind(), HttpErrorKind::Unknown, "{too_large}");
}

#[tokio::test]
async fn what_breaks_off_may_be_asked_again() {
    let gone = Origin::start(|_| vec![Act::Close]).await;
    let error = ask(&open(), Method::PUT, &gone.url("/")).await.expect_err("closed");
    assert_eq!(error.kind(), HttpErrorKind::Interrupted, "{error}");

    let short = Origin::start(|_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec()), Act::Close]
    })
    .await;
    let said = ask(&open(), Method::GET, &short.url("/")).await.expect("a head");
    let error = said.into_body().bytes().await.expect_err("cut");
    assert_eq!(error.kind(), HttpErrorKind::Interrupted, "{error}");

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}/", nobody.local_addr().expect("address"));
    drop(nobody);
    let error = ask(&open(), Method::PUT, &url).await.expect_err("nobody listens");
    assert_eq!(error.kind(), HttpErrorKind::Connect, "{error}");
}

#[tokio::test]
async fn a_body_that_stops_is_a_timeout() {
    let origin = Origin::start(|_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec()), Act::Hang]
    })
    .await;
    let said = ask(&open(), Method::GET, &origin.url("/")).await.expect("a head");
    // Nothing else is waited for from here on, so the clock jumps to the timeout.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let error = said.into_body().bytes().await.expect_err("it stops");
    assert_eq!(error.kind(), HttpErrorKind::Timeout, "{error}");
    assert!(began.elapsed() <= Duration::from_secs(21), "{:?}", began.elapsed());
}
