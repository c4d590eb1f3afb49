//! Fetching and sending against servers that misbehave on purpose. Only loopback is touched.

mod bodies;
mod bounds;
mod bucket;
mod guard;
mod h2;
mod identity;
mod origin;
mod outbound;
mod pace;
mod pool;
mod proxies;
mod proxy;
mod redirects;
mod robots;
mod socks;

use fetch::{FetchError, FetchErrorKind, Fetcher, HttpFetcher, Settings};
use model::{Page, Request};
use std::time::Duration;

/// Nothing in these tests may take longer, whatever the other side does.
const AT_MOST: Duration = Duration::from_secs(8);

/// Settings for loopback, with short patience.
fn settings() -> Settings {
    Settings {
        allow_networks: vec!["127.0.0.0/8".into()],
        connect_timeout_ms: 2_000,
        idle_timeout_ms: 400,
        page_timeout_ms: 3_000,
        page_bytes_max: 1 << 20,
        // These tests count requests; those of robots.txt have tests of their own.
        robots: model::RobotsPolicy::Ignore,
        ..Settings::default()
    }
}

fn fetcher(settings: Settings) -> HttpFetcher {
    HttpFetcher::new(settings).expect("settings")
}

fn get(url: &str) -> Request {
    Request::get(url.parse().expect(url))
}

async fn fetch(fetcher: &HttpFetcher, request: Request) -> Result<Page, FetchError> {
    let result = tokio::time::timeout(AT_MOST, fetcher.fetch(request, false)).await.expect("it ends in time");
    let stats = fetcher.stats();
    assert_eq!((stats.waiting, stats.in_flight), (0, 0), "quiet afterwards");
    result
}

/// The kind of error with which a plain GET ends under the usual settings.
async fn fails(url: &str) -> FetchErrorKind {
    let error = fetch(&fetcher(settings()), get(url)).await.expect_err(url);
    assert!(!error.message.is_empty());
    error.kind
}

/// The page that a plain GET brings under the usual settings.
async fn page(url: &str) -> Page {
    fetch(&fetcher(settings()), get(url)).await.expect(url)
}
