//! The floor: hyper alone, connections kept open, bodies collected and dropped; no pace, no guard, no redirects, no bounds.

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Pages that `at_once` connections fetched in that time.
pub(crate) fn pages(
    runtime: &tokio::runtime::Runtime,
    addr: SocketAddr,
    at_once: usize,
    time: Duration,
) -> Result<u64, Failed> {
    let pages = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            let pages = Arc::clone(&pages);
            runtime.spawn(async move {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                while began.elapsed() < time {
                    let request = hyper::Request::get("/page")
                        .header("host", addr.to_string())
                        .header("accept-encoding", "gzip, deflate, br, zstd")
                        .body(Empty::<bytes::Bytes>::new())?;
                    sender.ready().await?;
                    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
                    std::hint::black_box(body);
                    pages.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Failed>(())
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task)??;
    }
    Ok(pages.load(Ordering::Relaxed))
}
