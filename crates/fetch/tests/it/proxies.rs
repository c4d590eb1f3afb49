//! Pools of proxies: rotation, countries, labels, sessions, and what happens when some do not work.

use crate::origin::{Act, Origin, answer, ok};
use crate::{fetch, fetcher, get, settings};
use fetch::FetchErrorKind::{Gateway, NoProxy, Proxy};
use fetch::{HttpFetcher, ProxyState, Settings};
use model::{Exit, Method, Request, Trouble};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

fn through(proxies: &[String]) -> Settings {
    Settings { allow_networks: Vec::new(), proxy: proxies.to_vec(), ..settings() }
}

async fn body(fetcher: &HttpFetcher, request: Request) -> String {
    String::from_utf8(fetch(fetcher, request).await.expect("page").body.to_vec()).expect("text")
}

/// An address where nobody listens.
async fn gone() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    listener.local_addr().expect("address").to_string()
}

fn wanting(change: impl FnOnce(&mut model::Needs)) -> Request {
    let mut request = get("http://example.com/");
    change(&mut request.needs);
    request
}

#[tokio::test]
async fn country_and_label_choose_and_nothing_else_is_taken_for_them() {
    let (us, de) = (Origin::always(ok("us")).await, Origin::always(ok("de")).await);
    let fetcher = fetcher(through(&[
        format!("http://{}#country=us", us.addr),
        format!("http://{}#country=de,label=homes", de.addr),
    ]));
    for country in ["us", "de", "de", "us"] {
        assert_eq!(body(&fetcher, wanting(|needs| needs.country = Some(country.into()))).await, country);
    }
    assert_eq!(body(&fetcher, wanting(|needs| needs.exit = Exit::Label("homes".into()))).await, "de");
    for request in [
        wanting(|needs| needs.country = Some("fr".into())),
        wanting(|needs| needs.exit = Exit::Label("offices".into())),
        wanting(|needs| {
            needs.country = Some("us".into());
            needs.exit = Exit::Label("homes".into());
        }),
        wanting(|needs| {
            needs.country = Some("us".into());
            needs.exit = Exit::Direct;
        }),
    ] {
        let error = fetch(&fetcher, request).await.expect_err("none fits");
        assert_eq!((error.kind, error.trouble()), (NoProxy, None), "{error}");
    }
    let requests: Vec<_> = fetcher.proxies().iter().map(|proxy| (proxy.requests, proxy.answered)).collect();
    assert_eq!(requests, [(2, 2), (3, 3)]);
}

#[tokio::test]
async fn without_proxies_a_country_cannot_be_had_and_direct_is_direct() {
    let site = Origin::always(ok("direct")).await;
    let direct = fetcher(settings());
    let mut request = get(&site.url("/"));
    assert_eq!(body(&direct, request.clone()).await, "direct");
    request.needs.country = Some("us".into());
    assert_eq!(fetch(&direct, request).await.expect_err("none").kind, NoProxy);
    let proxied = fetcher(Settings { proxy: vec![format!("http://{}", gone().await)], ..settings() });
    let mut request = get(&site.url("/"));
    request.needs.exit = Exit::Direct;
    assert_eq!(body(&proxied, request).await, "direct");
}

#[tokio::test]
async fn a_page_is_tried_once_more_through_another_and_the_broken_one_rests() {
    let good = Origin::always(ok("good")).await;
    let refusing = Origin::always(answer("407 Proxy Authentication Required", &[], "")).await;
    let fetcher = fetcher(through(&[
        format!("http://{}", gone().await),
        format!("http://u:hunter2@{}", refusing.addr),
        format!("http://{}", good.addr),
    ]));
    for _ in 0..20 {
        // The first page may meet both broken ones; then they rest.
        match fetch(&fetcher, get("http://example.com/")).await {
            Ok(page) => assert_eq!(&page.body[..], b"good"),
            Err(error) => assert_eq!((error.kind, error.trouble()), (Proxy, Some(Trouble::Proxy))),
        }
    }
    let stats = fetcher.proxies();
    assert_eq!(
        (stats[0].state, stats[1].state, stats[2].state),
        (ProxyState::Resting, ProxyState::Resting, ProxyState::Healthy)
    );
    assert_eq!((stats[0].failures, stats[1].failures, stats[2].failures), (1, 1, 0));
    assert_eq!(stats[2].answered, 19);
    assert!(stats[0].rests_ms <= 1_000 && stats[0].in_flight == 0);
    assert!(!format!("{stats:?}").contains("hunter2"));
}

#[tokio::test]
async fn when_all_rest_the_page_is_told_when_to_come_back() {
    let fetcher = fetcher(through(&[format!("http://{}", gone().await)]));
    let first = fetch(&fetcher, get("http://example.com/")).await.expect_err("gone");
    assert_eq!((first.kind, first.again_ms), (Proxy, None));
    let second = fetch(&fetcher, get("http://example.com/")).await.expect_err("resting");
    assert_eq!(second.kind, Proxy);
    assert!(second.again_ms.is_some_and(|ms| (1..=1_000).contains(&ms)), "{second:?}");
    assert_eq!(fetcher.proxies()[0].requests, 1, "a proxy that rests is left alone");
}

#[tokio::test]
async fn a_flapping_proxy_comes_back() {
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let proxy = Origin::start(move |_| match switch.load(Ordering::SeqCst) {
        true => vec![Act::Send(ok("back"))],
        false => vec![Act::Send(answer("407 Proxy Authentication Required", &[], ""))],
    })
    .await;
    let fetcher = fetcher(through(&[format!("http://{}", proxy.addr)]));
    fetch(&fetcher, get("http://example.com/")).await.expect_err("refused");
    works.store(true, Ordering::SeqCst);
    while fetcher.proxies()[0].state == ProxyState::Resting {
        tokio::task::yield_now().await;
    }
    let page = fetch(&fetcher, get("http://example.com/")).await.expect("it is tried again");
    assert_eq!(&page.body[..], b"back");
    assert_eq!(fetcher.proxies()[0].state, ProxyState::Healthy);
}

#[tokio::test]
async fn a_dead_site_does_not_take_the_pool_with_it() {
    // Both answer 502 to CONNECT to the dead site, and serve plain requests.
    let proxy = || {
        Origin::start(|seen| {
            vec![Act::Send(match seen.head.starts_with("CONNECT") {
                true => answer("502 Bad Gateway", &[], ""),
                false => ok("fine"),
            })]
        })
    };
    let (one, two) = (proxy().await, proxy().await);
    let fetcher = fetcher(through(&[format!("http://{}", one.addr), format!("http://{}", two.addr)]));
    for _ in 0..4 {
        let error = fetch(&fetcher, get("https://dead.example/")).await.expect_err("dead");
        assert_eq!((error.kind, error.trouble()), (Gateway, Some(Trouble::Reset)), "it counts as the site's");
    }
    assert_eq!(body(&fetcher, get("http://example.com/")).await, "fine");
    let stats = fetcher.proxies();
    assert!(
        stats.iter().all(|proxy| proxy.state == ProxyState::Healthy && proxy.unreached == 4),
        "{stats:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_swallows_requests_is_found_out() {
    let swallows = Origin::start(|_| vec![Act::Hang]).await;
    let good = Origin::always(ok("good")).await;
    let fetcher = fetcher(through(&[format!("http://{}", swallows.addr), format!("http://{}", good.addr)]));
    assert_eq!(body(&fetcher, get("http://example.com/")).await, "good");
    assert_eq!(body(&fetcher, get("http://example.com/")).await, "good");
    let stats = fetcher.proxies();
    assert_eq!((stats[0].state, stats[0].requests), (ProxyState::Resting, 1), "{stats:?}");
}

#[tokio::test]
async fn a_request_that_may_have_been_done_is_not_sent_twice() {
    let proxy = || Origin::start(|_| vec![Act::Close]);
    let (one, two) = (proxy().await, proxy().await);
    let fetcher = fetcher(through(&[format!("http://{}", one.addr), format!("http://{}", two.addr)]));
    let mut post = get("http://example.com/");
    post.method = Method::Post;
    post.body = Some("order=1".into());
    fetch(&fetcher, post).await.expect_err("closed");
    assert_eq!(one.seen().len() + two.seen().len(), 1);
    fetch(&fetcher, get("http://example.com/")).await.expect_err("closed");
    assert_eq!(one.seen().len() + two.seen().len(), 3);
}

#[tokio::test]
async fn a_session_keeps_its_proxy_and_tells_it_who_it_is() {
    let echo = || {
        Origin::start(|seen| {
            vec![Act::Send(ok(format!(
                "{} {}",
                seen.connection,
                seen.header("proxy-authorization").unwrap_or("none")
            )))]
        })
    };
    let (one, two) = (echo().await, echo().await);
    let fetcher = fetcher(through(&[
        format!("http://u-{{country}}-{{session}}:p@{}#country=de", one.addr),
        format!("http://u-{{country}}-{{session}}:p@{}#country=de", two.addr),
    ]));
    let of = |key: &str, country: Option<&str>| {
        wanting(|needs| {
            needs.session = Some(key.into());
            needs.country = country.map(str::to_owned);
        })
    };
    let mut answers = std::collections::BTreeSet::new();
    for _ in 0..5 {
        answers.insert(body(&fetcher, of("a", Some("us"))).await);
    }
    assert_eq!(answers.len(), 1, "one proxy, one connection, one name: {answers:?}");
    let other = body(&fetcher, of("b", Some("us"))).await;
    assert!(!answers.contains(&other), "another session shares neither name nor connection");
    assert!(one.seen().len().abs_diff(two.seen().len()) >= 4, "the five stayed together");
    body(&fetcher, wanting(|_| ())).await;
}
