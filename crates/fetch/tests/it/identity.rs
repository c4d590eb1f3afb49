//! Sessions and cookies, secret headers, private exchanges: what is sent to whom.

use crate::origin::{Act, Origin, Seen, answer, ok};
use crate::{fetch, fetcher, get, settings};
use fetch::FetchErrorKind::Redirects;
use fetch::{HttpFetcher, Settings};
use model::{HiddenLines, Method, Request};

fn in_session(key: &str, url: &str) -> Request {
    let mut request = get(url);
    request.needs.session = Some(key.into());
    request
}

/// `/set/x` sets a cookie, `/hop` sets one and redirects, everything else answers with the cookies that it was sent.
async fn site() -> Origin {
    Origin::start(|seen| {
        let path = seen.path();
        let cookies = seen.header("cookie").unwrap_or("none").to_owned();
        vec![Act::Send(match path.strip_prefix("/set/") {
            Some(name) => answer("200 OK", &[("Set-Cookie", &format!("{name}=1; Path=/"))], "set"),
            None if path == "/hop" => {
                answer("302 Found", &[("Location", "/show"), ("Set-Cookie", "hop=1")], "")
            }
            None => ok(cookies),
        })]
    })
    .await
}

async fn body(fetcher: &HttpFetcher, request: Request) -> String {
    String::from_utf8(fetch(fetcher, request).await.expect("page").body.to_vec()).expect("text")
}

#[tokio::test]
async fn a_session_keeps_its_cookies_and_another_does_not_see_them() {
    let site = site().await;
    let fetcher = fetcher(settings());
    let set = fetch(&fetcher, in_session("a", &site.url("/set/one"))).await.expect("page");
    assert_eq!(set.header("set-cookie"), None, "the cookies of a session are not on its pages");
    body(&fetcher, in_session("a", &site.url("/hop"))).await;
    assert_eq!(body(&fetcher, in_session("a", &site.url("/show"))).await, "one=1; hop=1");
    assert_eq!(body(&fetcher, in_session("b", &site.url("/show"))).await, "none");
    assert_eq!(body(&fetcher, get(&site.url("/show"))).await, "none");
    assert_eq!(fetcher.stats().sessions, 2);
    let fresh = |url: &str| {
        let mut request = in_session("a", url);
        request.needs.fresh = true;
        request
    };
    assert_eq!(body(&fetcher, fresh(&site.url("/show"))).await, "none", "a new beginning");
}

#[tokio::test]
async fn without_a_session_cookies_live_for_the_redirects_of_one_page() {
    let site = site().await;
    let fetcher = fetcher(settings());
    assert_eq!(body(&fetcher, get(&site.url("/hop"))).await, "hop=1");
    assert_eq!(body(&fetcher, get(&site.url("/show"))).await, "none");
    let set = fetch(&fetcher, get(&site.url("/set/x"))).await.expect("page");
    assert_eq!(set.header("set-cookie"), Some("x=1; Path=/"));
    assert_eq!(fetcher.stats().sessions, 0);
}

#[tokio::test]
async fn cookies_and_secret_headers_do_not_go_to_another_host() {
    let other = Origin::start(|seen| {
        let got = |name| seen.header(name).unwrap_or("none").to_owned();
        vec![Act::Send(ok(format!("{} {} {}", got("cookie"), got("x-key"), got("accept-language"))))]
    })
    .await;
    let target = format!("http://other.test:{}/", other.addr.port());
    let away = target.clone();
    let first = Origin::start(move |_| {
        let lines = [("Location", away.as_str()), ("Set-Cookie", "sid=1; Domain=test; Path=/")];
        vec![Act::Send(answer("302 Found", &lines, ""))]
    })
    .await;
    let names = vec![
        ("first.test".to_owned(), "127.0.0.1".parse().expect("address")),
        ("other.test".to_owned(), "127.0.0.1".parse().expect("address")),
    ];
    let fetcher = fetcher(Settings { names, ..settings() });
    let mut request = in_session("a", &format!("http://first.test:{}/", first.addr.port()));
    request.headers = vec![("cookie".into(), "own=1".into()), ("accept-language".into(), "de".into())];
    request.needs.secret_headers = HiddenLines(vec![("x-key".into(), "hunter2".into())]);
    assert_eq!(body(&fetcher, request).await, "none none de");
    assert_eq!(first.seen()[0].header("x-key"), Some("hunter2"));
    assert_eq!(first.seen()[0].header("cookie"), Some("own=1"));
}

#[tokio::test]
async fn a_private_body_stays_with_its_origin_and_tells_its_cookies() {
    let elsewhere = Origin::always(ok("stolen")).await;
    let target = elsewhere.url("/");
    let site = Origin::start(move |seen: &Seen| {
        vec![Act::Send(match seen.path() {
            "/away" => answer("307 Temporary Redirect", &[("Location", target.as_str())], ""),
            "/here" => answer("307 Temporary Redirect", &[("Location", "/in")], ""),
            _ => answer("200 OK", &[("Set-Cookie", "sid=1")], "in"),
        })]
    })
    .await;
    let fetcher = fetcher(settings());
    let post = |path: &str| {
        let mut request = in_session("a", &site.url(path));
        request.method = Method::Post;
        request.body = Some("password=hunter2".into());
        request.needs.private = true;
        request
    };
    assert_eq!(fetch(&fetcher, post("/away")).await.expect_err("refused").kind, Redirects);
    assert!(elsewhere.seen().is_empty());
    let page = fetch(&fetcher, post("/here")).await.expect("page");
    assert_eq!(page.extras.cookies, ["sid"]);
    assert_eq!(site.seen().last().map(|seen| seen.body.clone()), Some(b"password=hunter2".to_vec()));
}
