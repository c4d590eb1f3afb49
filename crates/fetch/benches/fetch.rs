//! What a page costs: requests per second and CPU time per page, against an origin on threads of its own that writes
//! the same bytes over and over; hyper alone, and `wrk` where it is installed, on the same origin; and the memory of open
//! connections. `cargo bench -p fetch [-- SECONDS]`; `cargo xtask bench fetch` holds the figures against their bars.

#[path = "parts/bare.rs"]
mod bare;
#[path = "parts/slow.rs"]
mod slow;

use fetch::{Fetcher, HttpFetcher, Settings};
use flate2::Compression;
use flate2::write::GzEncoder;
use model::Request;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the server runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// CPU time of the threads whose names begin like that, from `/proc`; 0 where there is none.
fn cpu(prefix: &str) -> Duration {
    // Clock ticks are 10 ms on every Linux that Rust runs on.
    const TICK: Duration = Duration::from_millis(10);
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    tasks
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            let mut fields = rest.split_whitespace().skip(11);
            let user: u32 = fields.next()?.parse().ok()?;
            let system: u32 = fields.next()?.parse().ok()?;
            name.starts_with(prefix).then(|| TICK * (user + system))
        })
        .sum()
}

fn serve(mut stream: TcpStream, answer: &[u8]) {
    let mut request = [0; 4_096];
    // One small GET is one read; the client never pipelines.
    while matches!(stream.read(&mut request), Ok(n) if n > 0) && stream.write_all(answer).is_ok() {}
}

fn origin(answer: Vec<u8>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let answer: Arc<[u8]> = answer.into();
    std::thread::Builder::new().name("origin".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            _ = std::thread::Builder::new().name("origin".into()).spawn(move || serve(stream, &answer));
        }
    })?;
    Ok(addr)
}

/// Prose-like HTML of that size: gzip brings it to about a fifth.
fn html(bytes: usize) -> Vec<u8> {
    let mut seed = 1_u32;
    let mut out = b"<!doctype html><title>bench</title>".to_vec();
    while out.len() < bytes {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend(
            format!(
                "<div class=\"item\"><a href=\"/item/{}\">item number {}</a></div>\n",
                seed >> 14,
                seed >> 20
            )
            .bytes(),
        );
    }
    out
}

fn gz(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain)?;
    encoder.finish()
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/html\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("fetch").enable_all().build()
}

/// Pages per second of processor time of the fetching thread.
fn per_core(name: &str, at_once: usize, pages: u64, wall: Duration, spent: Duration) -> f64 {
    let pages = pages.max(1);
    let per_second = u128::from(pages) * 1_000 / wall.as_millis().max(1);
    let micros = spent.as_micros() / u128::from(pages);
    println!("{name:<24} {at_once:>3} at once {per_second:>7} pages/s {micros:>5} µs of CPU per page");
    #[expect(clippy::cast_precision_loss, reason = "counts of pages are small")]
    let pages = pages as f64;
    // Without /proc there is no processor time: the wall's, then.
    pages / (if spent.is_zero() { wall } else { spent }).as_secs_f64()
}

fn run(
    name: &str,
    addr: SocketAddr,
    at_once: usize,
    time: Duration,
) -> Result<f64, Box<dyn std::error::Error>> {
    let runtime = runtime()?;
    let fetcher = HttpFetcher::new(Settings {
        allow_networks: vec!["127.0.0.0/8".into()],
        host_concurrency: u32::try_from(at_once)?,
        idle_per_host: at_once,
        robots: model::RobotsPolicy::Ignore,
        ..Settings::default()
    })?;
    let pages = Arc::new(AtomicU64::new(0));
    let (cpu_before, began) = (cpu("fetch"), Instant::now());
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            let (fetcher, pages) = (fetcher.clone(), Arc::clone(&pages));
            runtime.spawn(async move {
                let url = url::Url::parse(&format!("http://{addr}/page"))?;
                while began.elapsed() < time {
                    fetcher.fetch(Request::get(url.clone()), false).await?;
                    pages.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task)?.map_err(|error| error.to_string())?;
    }
    let spent = cpu("fetch").saturating_sub(cpu_before);
    Ok(per_core(name, at_once, pages.load(Ordering::Relaxed), began.elapsed(), spent))
}

fn floor(
    name: &str,
    addr: SocketAddr,
    at_once: usize,
    time: Duration,
) -> Result<f64, Box<dyn std::error::Error>> {
    let runtime = runtime()?;
    let (cpu_before, began) = (cpu("fetch"), Instant::now());
    let pages = bare::pages(&runtime, addr, at_once, time).map_err(|error| error.to_string())?;
    let spent = cpu("fetch").saturating_sub(cpu_before);
    Ok(per_core(name, at_once, pages, began.elapsed(), spent))
}

/// Another's client on the same origin, where it is installed.
fn wrk(addr: SocketAddr, at_once: usize, time: Duration) {
    let seconds = time.as_secs().max(1);
    let words =
        ["-t1".to_owned(), format!("-c{at_once}"), format!("-d{seconds}s"), format!("http://{addr}/page")];
    let Ok(told) = std::process::Command::new("wrk").args(words).output() else {
        println!("wrk                      is not installed");
        return;
    };
    let told = String::from_utf8_lossy(&told.stdout);
    let rate = told.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")).unwrap_or("?").trim();
    println!("{:<24} {at_once:>3} at once {rate:>7} pages/s", "46 KB plain, wrk");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test` runs benches too, with another argument: a moment is enough there.
    let seconds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(3_u64);
    let time = Duration::from_secs(seconds);
    let page = html(46_000);
    let packed = gz(&page)?;
    println!("page: {} bytes, {} gzipped", page.len(), packed.len());
    let small = origin(answer("", &page[..64]))?;
    let plain = origin(answer("", &page))?;
    let gzip = origin(answer("Content-Encoding: gzip\r\n", &packed))?;
    for at_once in [1, 8, 32] {
        run("64 bytes", small, at_once, time)?;
        run("46 KB plain", plain, at_once, time)?;
        run("46 KB gzip", gzip, at_once, time)?;
    }
    floor("64 bytes, hyper alone", small, 32, time)?;
    let floor = floor("46 KB, hyper alone", plain, 32, time)?;
    let ours = run("46 KB plain", plain, 32, time)?;
    wrk(plain, 32, time);
    println!("pages per core against hyper alone: {:.2}", ours / floor);
    println!("MiB for 1000 slow connections: {:.1}", slow::mib()?);
    Ok(())
}
