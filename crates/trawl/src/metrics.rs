//! `/metrics`: what the store and the fetcher count, in Prometheus' text format 0.0.4.

use fetch::HttpFetcher;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use store::Store;

/// Makes the text anew at each call.
pub type Source = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// Over these.
pub fn source(store: Arc<dyn Store>, fetcher: Arc<HttpFetcher>) -> Source {
    Arc::new(move || {
        let (store, fetcher) = (store.clone(), fetcher.clone());
        Box::pin(async move { text(&*store, &fetcher).await })
    })
}

async fn text(store: &dyn Store, fetcher: &HttpFetcher) -> String {
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
    out
}
