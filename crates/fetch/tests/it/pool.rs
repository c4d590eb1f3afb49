//! Connections are used again, and a stale one costs one silent retry.

use crate::origin::{Act, Origin, Seen, answer, ok};
use crate::{fetch, fetcher, get, settings};
use fetch::{FetchErrorKind, Fetcher, Settings};
use model::Method;

#[tokio::test]
async fn one_connection_serves_many_pages() {
    let origin = Origin::always(ok("x")).await;
    let fetcher = fetcher(settings());
    for _ in 0..20 {
        fetch(&fetcher, get(&origin.url("/"))).await.expect("page");
    }
    assert_eq!((origin.connections(), origin.seen().len()), (1, 20));
    let stats = fetcher.stats();
    assert_eq!((stats.requests, stats.answers, stats.wire_bytes), (20, [0, 20, 0, 0, 0], 20));
}

#[tokio::test]
async fn a_server_that_closes_is_believed() {
    let origin =
        Origin::start(|_| vec![Act::Send(answer("200 OK", &[("Connection", "close")], "x")), Act::Close])
            .await;
    let fetcher = fetcher(settings());
    for _ in 0..3 {
        fetch(&fetcher, get(&origin.url("/"))).await.expect("page");
    }
    assert_eq!(origin.connections(), 3);
}

/// Answers the first request of each connection and closes on the second, after it came.
async fn closes_under_the_second(reset: bool) -> Origin {
    let last = std::sync::Mutex::new(usize::MAX);
    Origin::start(move |seen: &Seen| {
        let mut last = last.lock().expect("lock");
        if std::mem::replace(&mut *last, seen.connection) == seen.connection {
            vec![if reset { Act::Reset } else { Act::Close }]
        } else {
            vec![Act::Send(ok("x"))]
        }
    })
    .await
}

#[tokio::test]
async fn a_stale_connection_is_replaced_silently() {
    for reset in [false, true] {
        let origin = closes_under_the_second(reset).await;
        let fetcher = fetcher(settings());
        for _ in 0..4 {
            fetch(&fetcher, get(&origin.url("/"))).await.expect("page");
        }
        assert_eq!(origin.connections(), 4);
        assert_eq!(fetcher.stats().requests, 7);
    }
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let origin = closes_under_the_second(false).await;
    let fetcher = fetcher(settings());
    let post = || {
        let mut request = get(&origin.url("/"));
        request.method = Method::Post;
        request
    };
    fetch(&fetcher, post()).await.expect("page");
    assert_eq!(fetch(&fetcher, post()).await.expect_err("stale").kind, FetchErrorKind::Connection);
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn a_fresh_connection_that_fails_is_not_tried_again() {
    let origin = Origin::start(|_| vec![Act::Close]).await;
    assert_eq!(
        fetch(&fetcher(settings()), get(&origin.url("/"))).await.expect_err("x").kind,
        FetchErrorKind::Connection
    );
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_cancelled_fetch_leaves_nothing_behind() {
    let origin = Origin::start(|_| vec![Act::Hang]).await;
    let fetcher = fetcher(Settings { host_concurrency: 1, ..settings() });
    let mut hanging = Box::pin(fetcher.fetch(get(&origin.url("/")), false));
    tokio::select! {
        _ = &mut hanging => panic!("it hangs"),
        () = origin.requests(1) => {}
    }
    assert_eq!(fetcher.stats().in_flight, 1);
    drop(hanging);
    assert_eq!(fetcher.stats().in_flight, 0);
}
