//! robots.txt over the wire: when it is asked for, what becomes of what it says, and what a bad one costs.

use crate::origin::{Act, Origin, Seen, answer, ok};
use crate::{fetch, fetcher, get, settings};
use fetch::{FetchErrorKind, Fetcher, HttpFetcher, Settings};
use futures_util::future::join_all;
use model::{FailureCode, RobotsPolicy};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

fn polite() -> HttpFetcher {
    fetcher(Settings {
        robots: RobotsPolicy::Respect,
        robots_timeout_ms: 300,
        user_agent: "Mozilla/5.0 (compatible; Trawl/0.1; +https://example.org)".into(),
        ..settings()
    })
}

/// A site with that robots.txt.
async fn site(status: &'static str, text: &'static str) -> Origin {
    Origin::start(move |seen: &Seen| match seen.path() {
        "/robots.txt" => vec![Act::Send(answer(status, &[], text))],
        _ => vec![Act::Send(ok("page"))],
    })
    .await
}

fn paths(origin: &Origin) -> Vec<String> {
    origin.seen().iter().map(|seen| seen.path().to_owned()).collect()
}

#[tokio::test]
async fn it_is_asked_once_before_the_first_page_and_obeyed() {
    let origin =
        site("200 OK", "User-agent: *\nDisallow: /\n\nUser-agent: trawl\nAllow: /p/\nDisallow: /p/x*y$\n")
            .await;
    let fetcher = polite();
    let urls = ["/p/1", "/p/2", "/p/xay", "/p/3"].map(|path| origin.url(path));
    let pages = join_all(urls.iter().map(|url| fetcher.fetch(get(url), false))).await;
    let refused = pages[2].as_ref().expect_err("it is disallowed");
    assert_eq!((refused.kind, refused.trouble()), (FetchErrorKind::Robots, None));
    assert_eq!(refused.failure().code, FailureCode::RobotsDisallowed);
    assert!(refused.message.contains("line 6, `Disallow: /p/x*y$`"), "{}", refused.message);
    assert_eq!(pages.iter().filter(|page| page.is_ok()).count(), 3);
    let seen = paths(&origin);
    assert_eq!((seen[0].as_str(), seen.len()), ("/robots.txt", 4), "{seen:?}");
    let view = fetcher.host(&origin.addr.to_string()).expect("it is known");
    assert_eq!((view.robots[0].state, view.pace.answers), ("rules", 4));
}

#[tokio::test]
async fn a_request_may_ignore_it() {
    let origin = site("200 OK", "User-agent: *\nDisallow: /").await;
    let fetcher = polite();
    let mut request = get(&origin.url("/p"));
    request.needs.robots = Some(RobotsPolicy::Ignore);
    assert!(fetch(&fetcher, request).await.is_ok());
    assert_eq!(paths(&origin), ["/p"]);
}

#[tokio::test]
async fn no_file_allows_everything_and_a_failing_one_nothing() {
    for (status, allowed) in [
        ("404 Not Found", true),
        ("403 Forbidden", true),
        ("401 Unauthorized", true),
        ("410 Gone", true),
        ("429 Too Many Requests", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        let origin = site(status, "User-agent: *\nDisallow: /").await;
        let result = fetch(&polite(), get(&origin.url("/p"))).await;
        assert_eq!(result.is_ok(), allowed, "{status}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.kind, FetchErrorKind::NoRobots);
            assert!(error.trouble().is_some(), "it may pass");
            assert_eq!(error.failure().code, FailureCode::RobotsDisallowed);
            assert!(error.again_ms.is_some_and(|ms| (1..=1_000).contains(&ms)), "{error:?}");
        }
    }
}

#[tokio::test]
async fn redirects_lead_to_it_five_times_and_no_further() {
    for (hops, allowed) in [(5, false), (6, true)] {
        let origin = Origin::start(move |seen: &Seen| {
            let to = |n: u32| vec![Act::Send(answer("301 Moved", &[("Location", &format!("/r/{n}"))], ""))];
            match seen.path().strip_prefix("/r/").map(|n| n.parse::<u32>().unwrap_or(0)) {
                None if seen.path() == "/robots.txt" => to(hops - 1),
                None => vec![Act::Send(ok("page"))],
                Some(0) => vec![Act::Send(ok("User-agent: *\nDisallow: /p"))],
                Some(n) => to(n - 1),
            }
        })
        .await;
        let result = fetch(&polite(), get(&origin.url("/p"))).await;
        assert_eq!(result.is_ok(), allowed, "{hops}: {result:?}");
    }
}

#[tokio::test]
async fn a_redirect_of_a_page_is_asked_about_where_it_leads() {
    let target = site("200 OK", "User-agent: *\nDisallow: /secret").await;
    let to = target.url("/secret");
    let origin = Origin::start(move |seen: &Seen| match seen.path() {
        "/robots.txt" => vec![Act::Send(answer("404 Not Found", &[], ""))],
        _ => vec![Act::Send(answer("302 Found", &[("Location", &to)], ""))],
    })
    .await;
    let error = fetch(&polite(), get(&origin.url("/p"))).await.expect_err("it leads to what is disallowed");
    assert_eq!(error.kind, FetchErrorKind::Robots);
    assert_eq!(paths(&target), ["/robots.txt"]);
}

#[tokio::test]
async fn a_hung_file_stalls_nobody_longer_than_its_time() {
    let origin = Origin::start(|seen: &Seen| match seen.path() {
        "/robots.txt" => vec![Act::Hang],
        _ => vec![Act::Send(ok("page"))],
    })
    .await;
    let other = site("404 Not Found", "").await;
    let fetcher = polite();
    let began = Instant::now();
    let url = origin.url("/p");
    let all = join_all((0..20).map(|_| fetcher.fetch(get(&url), false)));
    let (hung, fine) = futures_util::join!(all, fetcher.fetch(get(&other.url("/p")), false));
    assert!(fine.is_ok());
    assert!(hung.iter().all(|r| r.as_ref().is_err_and(|e| e.kind == FetchErrorKind::Timeout)), "{hung:?}");
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!(paths(&origin), ["/robots.txt"], "one for all");
}

#[tokio::test]
async fn only_the_beginning_of_a_huge_file_counts() {
    let origin = Origin::start(|seen: &Seen| match seen.path() {
        "/robots.txt" => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /no\n".to_vec()),
            Act::Endless(b"# nothing to see here\n".repeat(1_000)),
        ],
        _ => vec![Act::Send(ok("page"))],
    })
    .await;
    let fetcher = fetcher(Settings { robots: RobotsPolicy::Respect, robots_timeout_ms: 3_000, ..settings() });
    assert!(fetch(&fetcher, get(&origin.url("/yes"))).await.is_ok());
    assert!(fetch(&fetcher, get(&origin.url("/no"))).await.is_err());
}

#[tokio::test]
async fn its_delay_is_a_pace_up_to_the_bound() {
    let origin = site("200 OK", "User-agent: *\nCrawl-delay: 3600").await;
    let fetcher = fetcher(Settings { robots: RobotsPolicy::Respect, crawl_delay_max_ms: 120, ..settings() });
    let url = origin.url("/p");
    let pages = join_all((0..3).map(|_| fetcher.fetch(get(&url), false))).await;
    assert!(pages.iter().all(Result::is_ok), "{pages:?}");
    let seen = origin.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen[3].at - seen[1].at >= Duration::from_millis(220), "{:?}", seen[3].at - seen[1].at);
}

#[tokio::test]
async fn the_guard_looks_at_where_it_is_redirected_to() {
    let origin = Origin::start(|seen: &Seen| match seen.path() {
        "/robots.txt" => {
            vec![Act::Send(answer("302 Found", &[("Location", "http://169.254.169.254/robots.txt")], ""))]
        }
        _ => vec![Act::Send(ok("page"))],
    })
    .await;
    let error = fetch(&polite(), get(&origin.url("/p"))).await.expect_err("nobody knows what is allowed");
    assert_eq!(error.kind, FetchErrorKind::Refused);
}

#[tokio::test]
async fn its_sitemaps_are_told() {
    let origin = site("200 OK", "Sitemap: https://a.example/1.xml\nSitemap: https://a.example/2.xml").await;
    let url = origin.url("/anything").parse().expect("URL");
    let sitemaps = polite().sitemaps(&url).await.expect("sitemaps");
    assert_eq!(sitemaps, ["https://a.example/1.xml", "https://a.example/2.xml"]);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_take_the_answer_away() {
    let bell = Arc::new(Notify::new());
    let gate = Arc::clone(&bell);
    let origin = Origin::start(move |seen: &Seen| match seen.path() {
        "/robots.txt" if seen.number == 0 => vec![Act::Wait(Arc::clone(&gate)), Act::Send(ok(""))],
        "/robots.txt" => vec![Act::Send(ok("User-agent: *\nDisallow: /no"))],
        _ => vec![Act::Send(ok("page"))],
    })
    .await;
    let fetcher = polite();
    let url = origin.url("/no");
    let (asker, request) = (fetcher.clone(), get(&url));
    let first = tokio::spawn(async move { asker.fetch(request, false).await });
    origin.requests(1).await;
    let mut second = Box::pin(fetcher.fetch(get(&url), false));
    assert!(futures_util::poll!(&mut second).is_pending(), "it waits for what the first one learns");
    first.abort();
    assert_eq!(second.await.expect_err("it is disallowed").kind, FetchErrorKind::Robots);
}
