//! Redirects, followed by hand.

use crate::origin::{Act, Origin, Seen, answer, ok};
use crate::{fails, fetch, fetcher, get, page, settings};
use fetch::FetchErrorKind::{Redirects, Refused};
use model::Method;

fn to(status: &str, location: &str) -> Vec<Act> {
    vec![Act::Send(answer(status, &[("Location", location)], "moved"))]
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_connection() {
    let origin = Origin::start(|seen: &Seen| match seen.path() {
        "/a/b" => to("301 Moved", "../c?d=1#frag"),
        "/c?d=1" => to("302 Found", "/e"),
        _ => vec![Act::Send(ok("here"))],
    })
    .await;
    let page = page(&origin.url("/a/b")).await;
    assert_eq!((page.url.as_str(), &page.body[..]), (origin.url("/e").as_str(), &b"here"[..]));
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn loops_end() {
    let origin = Origin::start(|_| to("302 Found", "/again")).await;
    assert_eq!(fails(&origin.url("/")).await, Redirects);
    assert_eq!(origin.seen().len(), 11);
}

#[tokio::test]
async fn a_redirect_to_an_address_off_limits_is_refused() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "//0xa9fea9fe/",
        "http://2852039166/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "javascript:alert(1)",
        "data:text/html,x",
        "gopher://x/",
    ] {
        let origin = Origin::start(move |_| to("302 Found", location)).await;
        assert_eq!(fails(&origin.url("/")).await, Refused, "{location}");
    }
}

#[tokio::test]
async fn a_redirect_to_loopback_is_refused_where_only_another_port_is_open() {
    let target = Origin::always(ok("secret")).await;
    let location = target.url("/");
    let origin = Origin::start(move |_| to("307 Temporary", &location)).await;
    let settings = fetch::Settings { allow_networks: vec![origin.addr.to_string()], ..settings() };
    let error = fetch(&fetcher(settings), get(&origin.url("/"))).await.expect_err("refused");
    assert_eq!(error.kind, Refused);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_an_error_and_one_without_address_a_page() {
    let origin = Origin::start(|_| to("302 Found", "http://")).await;
    assert_eq!(fails(&origin.url("/")).await, Redirects);
    let origin = Origin::always(answer("302 Found", &[], "no address")).await;
    assert_eq!(page(&origin.url("/")).await.status, 302);
    let origin = Origin::always(answer("304 Not Modified", &[("Location", "/x")], "")).await;
    assert_eq!(page(&origin.url("/")).await.status, 304);
}

#[tokio::test]
async fn methods_change_as_in_browsers() {
    for (status, method, body) in [
        ("301 Moved", "GET", ""),
        ("302 Found", "GET", ""),
        ("303 See Other", "GET", ""),
        ("307 Temporary Redirect", "POST", "q=1"),
        ("308 Permanent Redirect", "POST", "q=1"),
    ] {
        let origin = Origin::start(move |seen: &Seen| match seen.path() {
            "/" => to(status, "/there"),
            _ => vec![Act::Send(ok("x"))],
        })
        .await;
        let mut request = get(&origin.url("/"));
        request.method = Method::Post;
        request.body = Some("q=1".into());
        request.headers = vec![("Content-Type".into(), "application/x-www-form-urlencoded".into())];
        fetch(&fetcher(settings()), request).await.expect("page");
        let seen = &origin.seen()[1];
        assert!(seen.head.starts_with(method), "{status}");
        assert_eq!(seen.body, body.as_bytes(), "{status}");
        assert_eq!(seen.header("content-type").is_some(), method == "POST", "{status}");
    }
}

#[tokio::test]
async fn secrets_do_not_cross_to_another_origin() {
    let other = Origin::always(ok("other")).await;
    let location = other.url("/");
    let origin = Origin::start(move |seen: &Seen| match seen.path() {
        "/" => to("302 Found", "/same"),
        _ => to("302 Found", &location),
    })
    .await;
    let mut request = get(&origin.url("/"));
    request.headers = vec![
        ("Authorization".into(), "Bearer secret".into()),
        ("Cookie".into(), "session=secret".into()),
        ("X-Plain".into(), "kept".into()),
    ];
    fetch(&fetcher(settings()), request).await.expect("page");
    assert_eq!(origin.seen()[1].header("authorization"), Some("Bearer secret"));
    let seen = &other.seen()[0];
    assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None));
    assert_eq!(seen.header("x-plain"), Some("kept"));
}

#[tokio::test]
async fn a_redirect_with_an_endless_body_is_followed_all_the_same() {
    let origin = Origin::start(|seen: &Seen| match seen.path() {
        "/" => vec![
            Act::Send(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n".to_vec()),
            Act::Endless(vec![b'x'; 65_536]),
        ],
        _ => vec![Act::Send(ok("there"))],
    })
    .await;
    assert_eq!(page(&origin.url("/")).await.body, &b"there"[..]);
}
