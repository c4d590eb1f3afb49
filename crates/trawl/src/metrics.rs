//! `/metrics`: what the store, the fetcher and the catalogue count, in Prometheus' text format 0.0.4.

use crate::cache::PageCache;
use crate::catalogue::Catalogue;
use fetch::{BrowserFetcher, BrowserStats, HttpFetcher, ProxyState, ProxyStats};
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::Store;

/// Makes the text anew at each call.
pub type Source = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// Over these.
pub fn source(
    store: Arc<dyn Store>,
    fetcher: Arc<HttpFetcher>,
    browser: BrowserFetcher,
    catalogue: Arc<Catalogue>,
    cache: Arc<PageCache>,
) -> Source {
    Arc::new(move || {
        let (store, fetcher, catalogue) = (store.clone(), fetcher.clone(), catalogue.clone());
        let (browser, cache) = (browser.clone(), cache.clone());
        Box::pin(async move {
            let mut out = text(&*store, &fetcher, &catalogue).await;
            rendering(&mut out, &browser.stats());
            kept_pages(&cache, &mut out);
            out
        })
    })
}

fn kept_pages(cache: &PageCache, out: &mut String) {
    let counters = &cache.counters;
    let _ = write!(
        out,
        "# HELP trawl_cache_pages_total What kept pages did.\n# TYPE trawl_cache_pages_total counter\n"
    );
    for (what, n) in [
        ("not_modified", &counters.not_modified),
        ("fresh", &counters.fresh),
        ("unasked", &counters.unasked),
        ("kept", &counters.kept),
        ("evicted", &counters.evicted),
    ] {
        let n = n.load(Ordering::Relaxed);
        let _ = writeln!(out, "trawl_cache_pages_total{{what=\"{what}\"}} {n}");
    }
    let held = cache.held_bytes();
    let _ = writeln!(
        out,
        "# HELP trawl_cache_bytes Bytes of kept pages.\n# TYPE trawl_cache_bytes gauge\ntrawl_cache_bytes {held}"
    );
}

async fn text(store: &dyn Store, fetcher: &HttpFetcher, catalogue: &Catalogue) -> String {
    let mut out = String::new();
    let head = |out: &mut String, name: &str, kind: &str, help: &str| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    };
    match store.gauges().await {
        Ok(gauges) => {
            head(&mut out, "trawl_snapshots", "gauge", "Snapshots by state.");
            for (state, n) in &gauges.snapshots {
                let _ = writeln!(out, "trawl_snapshots{{state=\"{state}\"}} {n}");
            }
            head(&mut out, "trawl_jobs", "gauge", "Slices of inputs by state.");
            let _ = writeln!(out, "trawl_jobs{{state=\"waiting\"}} {}", gauges.jobs_waiting);
            let _ = writeln!(out, "trawl_jobs{{state=\"leased\"}} {}", gauges.jobs_leased);
            head(&mut out, "trawl_deliveries", "gauge", "Deliveries by state.");
            for (state, n) in &gauges.deliveries {
                let _ = writeln!(out, "trawl_deliveries{{state=\"{state}\"}} {n}");
            }
            head(
                &mut out,
                "trawl_snapshot_quality",
                "gauge",
                "Snapshots by the verdict of the quality gate.",
            );
            for (grade, n) in &gauges.grades {
                let _ = writeln!(out, "trawl_snapshot_quality{{verdict=\"{grade}\"}} {n}");
            }
            let _ = writeln!(
                out,
                "# HELP trawl_store_up The store answers.\n# TYPE trawl_store_up gauge\ntrawl_store_up 1"
            );
        }
        Err(error) => {
            tracing::warn!(%error, "the store gave no numbers");
            let _ = writeln!(
                out,
                "# HELP trawl_store_up The store answers.\n# TYPE trawl_store_up gauge\ntrawl_store_up 0"
            );
        }
    }
    let stats = fetcher.stats();
    head(&mut out, "trawl_fetch_requests_total", "counter", "Requests sent to sites.");
    let _ = writeln!(out, "trawl_fetch_requests_total {}", stats.requests);
    head(&mut out, "trawl_fetch_bytes_total", "counter", "Bytes of bodies as they came over the wire.");
    let _ = writeln!(out, "trawl_fetch_bytes_total {}", stats.wire_bytes);
    head(&mut out, "trawl_fetch_in_flight", "gauge", "Requests under way.");
    let _ = writeln!(out, "trawl_fetch_in_flight {}", stats.in_flight);
    let _ = writeln!(
        out,
        "# HELP trawl_fetch_waiting Requests that wait for their host's turn.\n# TYPE trawl_fetch_waiting gauge\n\
         trawl_fetch_waiting {}",
        stats.waiting
    );
    head(&mut out, "trawl_fetch_answers_total", "counter", "Answers of sites by class.");
    for (class, n) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(stats.answers) {
        let _ = writeln!(out, "trawl_fetch_answers_total{{class=\"{class}\"}} {n}");
    }
    head(&mut out, "trawl_fetch_errors_total", "counter", "Fetches without a page by kind.");
    for (kind, n) in &stats.errors {
        let _ = writeln!(out, "trawl_fetch_errors_total{{kind=\"{}\"}} {n}", kind.as_str());
    }
    head(&mut out, "trawl_fetch_slow_downs_total", "counter", "Answers that ask to slow down: 429 and 503.");
    let _ = writeln!(out, "trawl_fetch_slow_downs_total {}", stats.slow_downs);
    head(&mut out, "trawl_robots_requests_total", "counter", "Requests for robots.txt.");
    let _ = writeln!(out, "trawl_robots_requests_total {}", stats.robots);
    head(&mut out, "trawl_hosts", "gauge", "Hosts that are remembered; each is at /hosts.");
    let _ = writeln!(out, "trawl_hosts {}", stats.hosts);
    head(&mut out, "trawl_hosts_down", "gauge", "Hosts that do not answer and are not asked now.");
    let _ = writeln!(out, "trawl_hosts_down {}", stats.hosts_down);
    head(&mut out, "trawl_fetch_sessions", "gauge", "Sessions whose cookies are remembered.");
    let _ = writeln!(out, "trawl_fetch_sessions {}", stats.sessions);
    proxies(&mut out, &fetcher.proxies());
    head(&mut out, "trawl_scraper_info", "gauge", "Scrapers that new jobs begin with, and their versions.");
    for scraper in catalogue.all() {
        let (name, version) = (scraper.name(), scraper.version());
        let _ = writeln!(out, "trawl_scraper_info{{scraper=\"{name}\",version=\"{version}\"}} 1");
    }
    head(&mut out, "trawl_scraper_fault", "gauge", "Scraper files that are broken; the last good one stays.");
    for (name, _) in catalogue.faults() {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = writeln!(out, "trawl_scraper_fault{{scraper=\"{name}\"}} 1");
    }
    head(&mut out, "trawl_scraper_loads_total", "counter", "Versions taken from the scraper folder.");
    let _ = writeln!(out, "trawl_scraper_loads_total {}", catalogue.reloads());
    out
}

/// Of each proxy; `number` is its place in the setting, since several may share an address.
fn proxies(out: &mut String, proxies: &[ProxyStats]) {
    type Value = fn(&ProxyStats) -> u64;
    const FAMILIES: &[(&str, &str, &str, Value)] = &[
        ("trawl_proxy_up", "gauge", "The proxy is not resting after a failure.", |p| {
            u64::from(p.state != ProxyState::Resting)
        }),
        ("trawl_proxy_in_flight", "gauge", "Requests under way through the proxy.", |p| p.in_flight),
        ("trawl_proxy_requests_total", "counter", "Requests given to the proxy.", |p| p.requests),
        ("trawl_proxy_answered_total", "counter", "Requests that the site answered.", |p| p.answered),
        ("trawl_proxy_failures_total", "counter", "Failures of the proxy itself.", |p| p.failures),
        ("trawl_proxy_unreached_total", "counter", "Times that it did not reach a site.", |p| p.unreached),
    ];
    if proxies.is_empty() {
        return;
    }
    for (name, kind, help, value) in FAMILIES {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (number, proxy) in proxies.iter().enumerate() {
            let _ =
                writeln!(out, "{name}{{proxy=\"{}\",number=\"{number}\"}} {}", proxy.address, value(proxy));
        }
    }
}

/// What the browser counts.
fn rendering(out: &mut String, stats: &BrowserStats) {
    let lines = [
        ("trawl_browser_pages_total", "counter", "Pages given to the browser.", stats.pages),
        ("trawl_browser_pages_open", "gauge", "Pages open in the browser.", stats.open),
        ("trawl_browser_starts_total", "counter", "Browser processes started.", stats.started),
        ("trawl_browser_lost_total", "counter", "Browser processes that died or hung.", stats.lost),
        ("trawl_browser_outgrown_total", "counter", "Pages ended for their memory.", stats.outgrown),
        ("trawl_browser_memory_bytes", "gauge", "Memory of all browser processes.", stats.memory),
    ];
    for (name, kind, help, value) in lines {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
}
