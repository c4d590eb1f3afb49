//! The site as a value: start it, ask it what it saw, drop it.

use crate::http::{Connection, without_body};
use crate::route::{Answer, World};
use crate::runner::Runner;
use crate::stats::Stats;
use crate::tls::Doors;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Bytes of a request's body; nothing here wants one.
const BODY_BYTES_MAX: usize = 16 << 20;

/// How the site is to be.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// Port; 0 finds one.
    pub port: u16,
    /// It listens on `127.0.0.1` to `127.0.0.{hosts}`.
    pub hosts: u8,
    /// Products, ids from 0.
    pub pages: u64,
    /// Products' pages are sent as gzip to clients that accept it.
    pub gzip: bool,
    /// Milliseconds before each answer (but not before `/stats`).
    pub delay_ms: u64,
    /// Products' pages are made before it starts and kept in memory (46 KB each, 9 KB more with gzip).
    pub prebuilt: bool,
    /// Requests kept in [`Stats::log`].
    pub log: usize,
    /// Opens doors with TLS, each on a port of its own ([`Site::tls`]).
    pub tls: bool,
}

impl Default for SiteOptions {
    fn default() -> Self {
        Self {
            port: 0,
            hosts: 1,
            pages: 1_000,
            gzip: false,
            delay_ms: 0,
            prebuilt: false,
            log: 10_000,
            tls: false,
        }
    }
}

/// An answer of the test's own.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Status.
    pub status: u16,
    /// Header lines; `Content-Length` is added.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl File {
    /// 200 with this type and body.
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: vec![("Content-Type".into(), content_type.into())], body: body.into() }
    }
}

/// A running site. Dropping it closes every connection, at once.
pub struct Site {
    runner: Runner,
    world: Arc<World>,
    doors: Option<Doors>,
}

impl Site {
    /// Starts on a thread of its own and returns when it accepts connections.
    ///
    /// # Errors
    /// If the port is taken or the system gives no thread.
    pub fn start(options: SiteOptions) -> io::Result<Self> {
        let world = Arc::new(World::new(&options)?);
        let handler = world.clone();
        let runner = Runner::start("site", options.hosts, options.port, move |stream| {
            serve(handler.clone(), Connection::new(stream))
        })?;
        let doors = options.tls.then(|| Doors::open(&world)).transpose()?;
        Ok(Self { runner, world, doors })
    }

    /// Its first address.
    pub fn addr(&self) -> SocketAddr {
        self.runner.address()
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.host_url(1)
    }

    /// `http://127.0.0.{host}:PORT`; hosts count from 1.
    pub fn host_url(&self, host: u8) -> String {
        format!("http://127.0.0.{host}:{}", self.addr().port())
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        self.base_url() + path
    }

    /// Name and address of each door with TLS.
    pub fn tls(&self) -> Vec<(&'static str, SocketAddr)> {
        self.doors.iter().flat_map(Doors::addresses).collect()
    }

    /// The certificate of the authority that the good doors' certificates are of, PEM; empty without TLS.
    pub fn authority(&self) -> &str {
        self.doors.as_ref().map_or("", |doors| &doors.authority)
    }

    /// What it saw so far.
    pub fn stats(&self) -> Stats {
        self.world.ledger.stats()
    }

    /// Forgets what it saw.
    pub fn reset_stats(&self) {
        self.world.ledger.reset();
    }

    /// Waits until `met` holds for what it saw; `false` if that took longer than `limit`.
    pub async fn wait_for(&self, limit: Duration, met: impl Fn(&Stats) -> bool) -> bool {
        self.world.ledger.wait_for(limit, met).await
    }

    /// Answers `path` (without query) with `file` from now on, whatever stood there before.
    pub fn put(&self, path: &str, file: &File) {
        self.world.put(path, file);
    }

    /// Serves until the process ends.
    pub fn run(self) {
        self.runner.join();
    }
}

async fn serve(world: Arc<World>, mut connection: Connection) {
    world.ledger.connected();
    while let Some(request) = connection.head().await {
        let Ok(body) = connection.body(&request, BODY_BYTES_MAX).await else { return };
        let is_stats = request.path() == "/stats";
        let open = (!is_stats).then(|| world.ledger.arrived(&request));
        let mut delay = if is_stats { Duration::ZERO } else { world.delay };
        let mut response = match world.answer(&request, &body) {
            Answer::Whole(bytes) => bytes,
            Answer::Later(after, bytes) => {
                delay += after;
                bytes
            }
            Answer::Trick(trick) => return trick.play(connection).await,
        };
        if request.method() == "HEAD" {
            response = without_body(&response);
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if !is_stats {
            world.ledger.sent(response.len());
        }
        let sent = connection.stream.write_all(&response).await;
        drop(open);
        if sent.is_err() || request.wants_close() {
            return;
        }
    }
}
