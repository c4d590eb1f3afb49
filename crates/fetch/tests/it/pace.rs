//! Pace as the server sees it.

use crate::origin::{Act, Origin, Seen, answer, ok};
use crate::{fetch, fetcher, get, settings};
use fetch::{Fetcher, Settings};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_never_sees_more_at_once() {
    // Two writes, so that requests overlap for as long as the limits let them.
    let origin = Origin::start(|_| {
        let bytes = ok("x".repeat(2_000));
        let (head, body) = bytes.split_at(100);
        vec![
            Act::Send(head.to_vec()),
            Act::Trickle(body[..3].to_vec(), Duration::from_millis(2)),
            Act::Send(body[3..].to_vec()),
        ]
    })
    .await;
    let fetcher = fetcher(Settings { host_concurrency: 3, ..settings() });
    let pages = join_all((0..60).map(|i| fetcher.fetch(get(&origin.url("/")), i % 5 == 0))).await;
    assert!(pages.iter().all(Result::is_ok));
    assert_eq!(origin.at_once_max(), 3);
}

#[tokio::test]
async fn a_request_may_lower_the_bound() {
    let origin = Origin::start(|_| {
        let bytes = ok("xy");
        let (head, body) = bytes.split_at(30);
        vec![Act::Send(head.to_vec()), Act::Send(body.to_vec())]
    })
    .await;
    let fetcher = fetcher(settings());
    let request = || {
        let mut request = get(&origin.url("/"));
        request.needs.host_concurrency = Some(1);
        request
    };
    assert!(join_all((0..20).map(|_| fetcher.fetch(request(), false))).await.iter().all(Result::is_ok));
    assert_eq!(origin.at_once_max(), 1);
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let origin = Origin::start(|seen: &Seen| match seen.path() {
        "/moved" => vec![Act::Send(answer("302 Found", &[("Location", "/")], ""))],
        _ => vec![Act::Send(ok("x"))],
    })
    .await;
    let fetcher = fetcher(Settings { host_delay_ms: 60, ..settings() });
    let paths = ["/", "/moved", "/", "/"];
    assert!(
        join_all(paths.map(|path| fetcher.fetch(get(&origin.url(path)), false)))
            .await
            .iter()
            .all(Result::is_ok)
    );
    let seen = origin.seen();
    assert_eq!(seen.len(), 5);
    for pair in seen.windows(2) {
        // The server looks a little later than the pacer, by an amount that varies.
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(40), "{:?}", pair[1].at - pair[0].at);
    }
    assert!(seen[4].at - seen[0].at >= Duration::from_millis(220));
}

#[tokio::test]
async fn express_requests_go_first() {
    let bell = Arc::new(Notify::new());
    let gate = Arc::clone(&bell);
    let origin = Origin::start(move |seen: &Seen| match seen.path() {
        "/first" => vec![Act::Wait(Arc::clone(&gate)), Act::Send(ok("x"))],
        _ => vec![Act::Send(ok("x"))],
    })
    .await;
    let fetcher = fetcher(Settings { host_concurrency: 1, idle_timeout_ms: 5_000, ..settings() });
    let paths = [
        ("/first", false),
        ("/plain-1", false),
        ("/plain-2", false),
        ("/express-1", true),
        ("/express-2", true),
    ];
    // Joined futures are polled in order, so they queue in order.
    let all = join_all(paths.map(|(path, express)| fetcher.fetch(get(&origin.url(path)), express)));
    let release = async {
        origin.requests(1).await;
        assert_eq!(fetcher.stats().waiting, 4);
        bell.notify_one();
    };
    let (pages, ()) = futures_util::join!(all, release);
    assert!(pages.iter().all(Result::is_ok));
    let order: Vec<_> = origin.seen().iter().map(|seen| seen.path().to_owned()).collect();
    assert_eq!(order, ["/first", "/express-1", "/express-2", "/plain-1", "/plain-2"]);
}

#[tokio::test]
async fn waiting_for_a_turn_does_not_use_up_the_page_s_time() {
    let origin = Origin::always(ok("x")).await;
    let fetcher = fetcher(Settings { host_delay_ms: 150, page_timeout_ms: 250, ..settings() });
    let pages = join_all((0..4).map(|_| fetcher.fetch(get(&origin.url("/")), false))).await;
    assert!(pages.iter().all(Result::is_ok), "{pages:?}");
}

#[tokio::test]
async fn retry_after_holds_the_host_and_the_page_still_comes() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let origin = Origin::start(move |seen: &Seen| match seen.number {
            0 => vec![Act::Send(answer(status, &[("Retry-After", "3600")], "slow down"))],
            _ => vec![Act::Send(ok("x"))],
        })
        .await;
        let fetcher = fetcher(Settings { retry_after_max_ms: 300, ..settings() });
        let page = fetch(&fetcher, get(&origin.url("/"))).await.expect("page");
        assert_eq!(page.body, &b"slow down"[..]);
        assert_eq!(fetch::retry_after(&page.headers, page.fetched_at), Some(3_600_000));
        let began = Instant::now();
        fetch(&fetcher, get(&origin.url("/"))).await.expect("page");
        assert!(began.elapsed() >= Duration::from_millis(280), "{:?}", began.elapsed());
    }
}
