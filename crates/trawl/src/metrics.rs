//! `/metrics`: what the store, the fetcher and the catalogue count, in Prometheus' text format 0.0.4.

use crate::catalogue::Catalogue;
use fetch::{BrowserFetcher, BrowserStats, HttpFetcher};
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use store::Store;

/// Makes the text anew at each call.
pub type Source = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// Over these.
pub fn source(
    store: Arc<dyn Store>,
    fetcher: Arc<HttpFetcher>,
    browser: BrowserFetcher,
    catalogue: Arc<Catalogue>,
) -> Source {
    Arc::new(move || {
        let (store, fetcher, catalogue) = (store.clone(), fetcher.clone(), catalogue.clone());
        let browser = browser.clone();
        Box::pin(async move {
            let mut out = text(&*store, &fetcher, &catalogue).await;
            rendering(&mut out, &browser.stats());
            out
        })
    })
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
