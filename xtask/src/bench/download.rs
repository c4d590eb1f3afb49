//! Downloading a snapshot of 1 GB as NDJSON, and in the other formats beside it.

use super::figure;
use super::http::Caller;
use super::process::{Folder, Running, TOKEN, origin};
use anyhow::{Result, bail};
use std::time::Instant;

/// Pages whose `page_html` rows come to somewhat over 1 GB.
const PAGES: u64 = 21_000;

pub(super) fn run() -> Result<()> {
    let origin = origin(None, 2_000)?;
    let folder = Folder::new("download")?;
    let server = Running::server(None, &folder.0, &["fetch.host_concurrency=64"])?;
    let mut caller = Caller::new(&server.address, TOKEN)?;
    let rows: Vec<String> = (0..PAGES)
        .map(|n| format!(r#"{{"url":"http://{}/p/{}?n={n}"}}"#, origin.address, n % 2_000))
        .collect();
    let body = format!("[{}]", rows.join(","));
    let query = "dataset_id=web_page&custom_output_fields=url|page_html";
    let (id, _) = caller.job(query, "application/json", body.as_bytes())?;
    server.stop()?;
    drop(origin);
    // A server that did not collect it: its memory is the download's.
    let server = Running::server(None, &folder.0, &[])?;
    let mut caller = Caller::new(&server.address, TOKEN)?;
    for format in ["ndjson", "json", "csv", "parquet", "xlsx"] {
        server.reset_peak()?;
        let began = Instant::now();
        let answer = caller.drain(&format!("/datasets/v3/snapshot/{id}?format={format}"))?;
        if answer.status != 200 {
            bail!("the download answered {}", answer.status);
        }
        let rate = answer.bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
        let (_, peak) = server.memory_mib()?;
        let first = answer.first_byte.as_secs_f64() * 1e3;
        let size = answer.bytes as f64 / 1e9;
        // Nothing of it can flow before the first rows are packed.
        let is_packed = matches!(format, "parquet" | "xlsx");
        let bar = if format == "ndjson" { "at least 300" } else { "-" };
        figure(
            &format!("download: MB/s, {format}, {size:.2} GB"),
            &format!("{rate:.0}"),
            bar,
            format != "ndjson" || rate >= 300.0,
        );
        figure(
            &format!("download: first byte, {format}, ms"),
            &format!("{first:.1}"),
            if is_packed { "-" } else { "at most 50" },
            is_packed || first <= 50.0,
        );
        figure(
            &format!("download: most memory, {format}, MiB"),
            &format!("{peak:.0}"),
            "at most 200",
            peak <= 200.0,
        );
    }
    Ok(())
}
