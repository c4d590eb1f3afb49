//! A server on a free port of loopback, and a client of a few lines that hides nothing.

use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Bucket, FolderBucket, SqliteStore, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use trawl::api::{self, Api, Settings};
use trawl::archive::Archive;
use trawl::catalogue::Catalogue;
use trawl::clock::SystemClock;
use trawl::rows::Rows;

pub(super) const TOKEN: &str = "operator-token-of-the-tests";

/// Takes `url` and an optional `name`, nothing else, and at least one row.
const STRICT: &str = r#"
dataset_id = "gd_strict"
title = "Strict"

[doors.collect_by_url]
start = "page"
inputs.url = { type = "url", required = true }
inputs.name = { type = "text" }

[doors.discover_by_keyword]
start = "page"
inputs.url = { type = "url", required = true }

[pages.page]
record = true

[fields.title]
from = [{ css = "h1" }]
"#;

pub(super) struct Server {
    pub(super) at: SocketAddr,
    pub(super) store: Arc<dyn Store>,
    _folder: TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Status and `error`, which every refusal has, typed as JSON.
    pub(super) fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/json"), "{} {}", self.head, self.text());
        (self.status, self.json()["error"].as_str().expect("`error`").to_owned())
    }

    /// The id of a trigger's answer.
    pub(super) fn id(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["snapshot_id"].as_str().expect("`snapshot_id`").to_owned()
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scrapers = folder.path().join("scrapers");
        std::fs::create_dir_all(scrapers.join("strict")).unwrap();
        std::fs::write(scrapers.join("strict/scraper.toml"), STRICT).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path().join("trawl.sqlite")).unwrap());
        let bucket: Arc<dyn Bucket> = Arc::new(FolderBucket::open(folder.path().join("bucket")).unwrap());
        let catalogue = Arc::new(Catalogue::load(Some(&scrapers), bucket.clone()).unwrap());
        assert!(catalogue.find("gd_strict").is_some(), "{:?}", catalogue.faults());
        let mut settings = Settings {
            api_token: Some(TOKEN.into()),
            body_bytes_max: 64 << 20,
            sync_inputs_max: 20,
            sync_wait: Duration::from_millis(50),
            running_jobs_max: 1_000,
            requests_per_sec: 0,
            connections_max: 100,
            head_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(30),
            shutdown: Duration::from_secs(1),
            quarantine: false,
            shards: Arc::default(),
        };
        let who = ("here".to_owned(), trawl::config::Role::All);
        let nodes = trawl::nodes::Nodes::new(
            store.clone(),
            Arc::new(SystemClock),
            false,
            who,
            || (0, 0),
            Arc::default(),
        );
        change(&mut settings);
        let outbound = Arc::new(fetch::Outbound::new(&fetch::OutboundSettings::default()).unwrap());
        let api = Arc::new(Api {
            rows: Rows::new(store.clone(), bucket.clone()),
            archive: Archive::new(store.clone(), bucket.clone(), 20 << 20),
            changes: trawl::changes::Changes::new(store.clone(), bucket, folder.path().join("scratch")),
            store: store.clone(),
            catalogue,
            clock: Arc::new(SystemClock),
            hosts: Arc::new(NoHosts),
            metrics: None,
            proxies: Arc::new(Vec::new),
            nodes: Arc::new(nodes),
            schedules: Arc::default(),
            courier: crate::world::courier(store.clone(), outbound),
            settings: settings.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let router = api::router(&api);
        tokio::spawn(async move {
            api::serve(listener, router, None, &settings, std::future::pending()).await;
        });
        Self { at, store, _folder: folder }
    }

    /// One exchange. HTTP/1.0, so that the answer is plain and ends with the connection.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head =
            format!("{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // A refusal may come, and the connection go, before all is sent.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("Authorization", &format!("Bearer {TOKEN}"))], b"").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        self.post_as(path, "application/json", body).await
    }

    pub(super) async fn post_as(&self, path: &str, kind: &str, body: &str) -> Answer {
        let auth = format!("Bearer {TOKEN}");
        self.send("POST", path, &[("Authorization", &auth), ("Content-Type", kind)], body.as_bytes()).await
    }

    /// Triggers `gd_strict`.
    pub(super) async fn trigger(&self, query: &str, body: &str) -> Answer {
        self.post(&format!("/datasets/v3/trigger?dataset_id=gd_strict{query}"), body).await
    }

    /// Runs that callers see.
    pub(super) async fn listed(&self) -> usize {
        let answer = self.get("/datasets/v3/snapshots?dataset_id=gd_strict").await;
        answer.json().as_array().map_or(0, Vec::len)
    }
}

/// Nothing is fetched here.
struct NoHosts;

impl trawl::api::Hosts for NoHosts {
    fn list(&self, _: &str, _: usize) -> (Vec<serde_json::Value>, usize) {
        (Vec::new(), 0)
    }

    fn one(&self, _: &str) -> Option<serde_json::Value> {
        None
    }
}
