//! What a connection costs that is open and slow: a thousand of them in the middle of a page.

use fetch::{Fetcher, HttpFetcher, Settings};
use model::Request;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Connections.
const OPEN: usize = 1_000;
/// Bytes of the page that have come when it stalls.
const BEGUN: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// Resident bytes of this process, from `/proc`.
fn resident() -> Option<u64> {
    // Pages are 4 KiB where benchmarks are run.
    let pages: u64 =
        std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

/// MiB of memory for [`OPEN`] connections that have sent a part of their page and nothing more.
pub(crate) fn mib() -> Result<f64, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    std::thread::Builder::new().name("origin".into()).spawn(move || {
        let mut held: Vec<TcpStream> = Vec::with_capacity(OPEN);
        let part = [
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 46000\r\n\r\n".as_slice(),
            &[b'x'; BEGUN],
        ]
        .concat();
        let mut request = [0; 4_096];
        for mut stream in listener.incoming().flatten() {
            if stream.read(&mut request).is_ok() && stream.write_all(&part).is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
                held.push(stream);
            }
        }
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let fetcher = HttpFetcher::new(Settings {
        allow_networks: vec!["127.0.0.0/8".into()],
        // A host that has not answered yet gets no more than a part of all places.
        concurrency: u32::try_from(2 * OPEN)?,
        host_concurrency: u32::try_from(OPEN)?,
        idle_timeout_ms: 600_000,
        robots: model::RobotsPolicy::Ignore,
        page_timeout_ms: 600_000,
        ..Settings::default()
    })?;
    let before = resident().ok_or("no /proc")?;
    let tasks: Vec<_> = (0..OPEN)
        .map(|_| {
            let fetcher = fetcher.clone();
            let url = url::Url::parse(&format!("http://{addr}/slow"));
            runtime.spawn(async move {
                if let Ok(url) = url {
                    _ = fetcher.fetch(Request::get(url), false).await;
                }
            })
        })
        .collect();
    let waited = Instant::now();
    while begun.load(Ordering::Relaxed) < OPEN {
        if waited.elapsed() > PATIENCE {
            return Err(format!("only {} connections came", begun.load(Ordering::Relaxed)).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // What was sent last is read by now or soon.
    std::thread::sleep(Duration::from_millis(500));
    let after = resident().ok_or("no /proc")?;
    for task in tasks {
        task.abort();
    }
    #[expect(clippy::cast_precision_loss, reason = "mebibytes")]
    Ok(after.saturating_sub(before) as f64 / f64::from(1 << 20))
}
