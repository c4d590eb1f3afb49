//! Every part, built once and stopped in order. The server, the demo and `trawl run` are the same parts.

use crate::api::{self, Api};
use crate::cache;
use crate::catalogue::Catalogue;
use crate::changes::Changes;
use crate::clock::{Clock, SteadyClock, SystemClock};
use crate::config::Config;
use crate::deliver::{Courier, CourierParts, CourierSettings, MailSettings, Mailer};
use crate::hosts;
use crate::nodes::{self, Nodes};
use crate::rows::Rows;
use crate::shards::Shards;
use crate::vault::Vault;
use crate::worker::{self, DeliverSettings, Pool, Worker};
use anyhow::{Context, Result, anyhow, bail};
use fetch::{
    BrowserFetcher, BrowserSettings, BucketConnector, Fetcher, HttpFetcher, Outbound, OutboundSettings,
    Router,
};
use model::{FetchMode, Patience, RetryPolicy, Reuse};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{
    Bucket, BucketUrl, FolderBucket, ObjectBucket, PostgresSettings, PostgresStore, SchemaVersions,
    SqliteStore, Store,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where a start tries the bucket out.
pub(crate) const PROBES: &str = "probes/";

/// Every part of a running server.
pub struct App {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// The scrapers.
    pub catalogue: Arc<Catalogue>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Rows back out.
    pub rows: Rows,
    fetcher: Arc<HttpFetcher>,
    browser: BrowserFetcher,
    worker: Arc<Worker>,
    pool: Pool,
    config: Config,
    nodes: Arc<Nodes>,
    steady: Arc<SteadyClock>,
    stop: watch::Sender<bool>,
    parts: Vec<JoinHandle<()>>,
    /// Held while this process owns the data folder; with a shared database nobody owns it.
    _lock: Option<std::fs::File>,
}

impl App {
    /// Opens what survives and builds the rest; nothing runs yet.
    pub async fn open(config: Config) -> Result<Self> {
        Self::open_with(config, None).await
    }

    /// As [`App::open`]; pages come from elsewhere than the web if `pages` says so.
    pub async fn open_with(config: Config, pages: Option<Arc<dyn Fetcher>>) -> Result<Self> {
        let data = config.data.clone();
        std::fs::create_dir_all(&data)
            .with_context(|| format!("the data folder `{}` cannot be made", data.display()))?;
        let lock = config.is_alone().then(|| lock_folder(&data)).transpose()?;
        let store = open_store(&config).await?;
        let bucket = open_bucket(&config).await?;
        let steady = follow(&*store).await?;
        let clock: Arc<dyn Clock> = steady.clone();
        let folder = (!config.scrapers.is_empty()).then(|| PathBuf::from(&config.scrapers));
        let catalogue = Arc::new(Catalogue::load(folder.as_deref(), bucket.clone())?);
        catalogue.know_secrets(config.secrets.clone());
        catalogue.recover().await;
        let fetcher = Arc::new(HttpFetcher::new(fetch_settings(&config)?)?);
        let browser = BrowserFetcher::new(&fetcher, browser_settings(&config));
        tell_if_missing(&browser, &catalogue, config.browser.mode);
        let strangers = OutboundSettings {
            user_agent: config.fetch.user_agent.clone(),
            allow_networks: config.deliver.allow_networks.clone(),
            extra_ca: path(&config.deliver.extra_ca),
            names: names(&config.fetch.names)?,
            ..OutboundSettings::default()
        };
        let outbound = Arc::new(Outbound::new(&strangers)?);
        let courier = Arc::new(courier(&config, &store, &outbound, &strangers)?);
        hosts::load(&*store, &fetcher, clock.now()).await;
        let pool = Pool::new(config.worker.extract_threads).context("reading threads")?;
        let is_replay = pages.is_some();
        let parts = worker::Parts {
            store: store.clone(),
            bucket: bucket.clone(),
            fetcher: pages
                .unwrap_or_else(|| Arc::new(Router::new(fetcher.clone(), Arc::new(browser.clone())))),
            outbound,
            courier,
            catalogue: catalogue.clone(),
            clock: clock.clone(),
            pool: pool.clone(),
            pace: Some(Arc::new(hosts::Handover { fetcher: fetcher.clone(), clock: clock.clone() })),
        };
        let mut settings = worker_settings(&config, &*clock)?;
        if is_replay {
            settings.retry = RetryPolicy::once();
        }
        let (who, shared) = ((settings.node.clone(), config.role), settings.shared);
        let worker = Worker::new(parts, settings);
        let worked = worker.clone();
        let nodes = Nodes::new(
            store.clone(),
            clock.clone(),
            shared,
            who,
            move || worked.load(),
            worker.workers.clone(),
        );
        let rows = Rows::new(store.clone(), bucket.clone());
        let (stop, _) = watch::channel(false);
        Ok(Self {
            store,
            catalogue,
            clock,
            rows,
            fetcher,
            browser,
            worker,
            pool,
            config,
            nodes: Arc::new(nodes),
            steady,
            stop,
            parts: Vec::new(),
            _lock: lock,
        })
    }

    /// Sets going what the role asks for: the workers, and what every node does.
    pub fn start_workers(&mut self) {
        if self.config.role.works() {
            let (worker, stop) = (self.worker.clone(), self.stop.subscribe());
            self.parts.push(tokio::spawn(async move { worker.run(stop).await }));
            let (store, fetcher, clock) = (self.store.clone(), self.fetcher.clone(), self.clock.clone());
            let stop = self.stop.subscribe();
            self.parts.push(tokio::spawn(async move { hosts::keep(&*store, &fetcher, &*clock, stop).await }));
        }
        let (nodes, stop) = (self.nodes.clone(), self.stop.subscribe());
        self.parts.push(tokio::spawn(async move { nodes.beat(stop).await }));
        let (store, steady, stop) = (self.store.clone(), self.steady.clone(), self.stop.subscribe());
        self.parts.push(tokio::spawn(async move { steady.follow(&*store, stop).await }));
        let (catalogue, stop) = (self.catalogue.clone(), self.stop.subscribe());
        self.parts.push(tokio::spawn(async move { catalogue.watch(stop).await }));
    }

    /// Opens the door: binds, and answers from then on. Gives the URL that it is reached at, or `None` for a worker that
    /// is not to be reached.
    pub async fn listen(&mut self) -> Result<Option<String>> {
        let listen = self.config.listen.clone();
        if listen.is_empty() {
            return Ok(None);
        }
        let listener =
            TcpListener::bind(&listen).await.with_context(|| format!("cannot listen on `{listen}`"))?;
        let at = listener.local_addr().context("the listening address")?;
        let tls = match (path(&self.config.tls.cert), path(&self.config.tls.key)) {
            (Some(cert), Some(key)) => Some(api::tls_config(&cert, &key)?),
            _ => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let api = Arc::new(self.api());
        let settings = api.settings.clone();
        let mut stop = self.stop.subscribe();
        let router = if self.config.role.serves() {
            let keeper = self.stop.subscribe();
            let router = api::router(&api);
            self.parts.push(tokio::spawn(api::keep_schedules(api, keeper)));
            router
        } else {
            api::worker_router(&api)
        };
        self.parts.push(tokio::spawn(async move {
            let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
            api::serve(listener, router, tls, &settings, stopped).await;
        }));
        Ok(Some(format!("{scheme}://{at}")))
    }

    /// The HTTP API's parts.
    pub fn api(&self) -> Api {
        let config = &self.config;
        let metrics = crate::metrics::source(
            self.store.clone(),
            self.fetcher.clone(),
            self.browser.clone(),
            self.catalogue.clone(),
            self.worker.cache.clone(),
        );
        let fetcher = self.fetcher.clone();
        Api {
            proxies: Arc::new(move || fetcher.proxies()),
            courier: self.worker.courier.clone(),
            store: self.store.clone(),
            rows: self.rows.clone(),
            archive: self.worker.archive.clone(),
            changes: Changes::new(
                self.store.clone(),
                self.worker.bucket.clone(),
                config.data.join("scratch"),
            ),
            catalogue: self.catalogue.clone(),
            clock: self.clock.clone(),
            hosts: self.fetcher.clone(),
            metrics: config.metrics.enabled.then_some(metrics),
            nodes: self.nodes.clone(),
            schedules: Arc::default(),
            settings: api::Settings {
                api_token: Some(config.api_token.0.clone()).filter(|t| !t.is_empty()),
                body_bytes_max: config.api.body_bytes_max,
                sync_inputs_max: config.api.sync_inputs_max,
                sync_wait: Duration::from_secs(config.api.sync_wait_secs),
                running_jobs_max: config.api.running_jobs_max,
                requests_per_sec: config.api.requests_per_sec,
                connections_max: config.api.connections_max,
                head_timeout: Duration::from_secs(config.api.head_timeout_secs),
                body_idle_timeout: Duration::from_secs(config.api.body_idle_timeout_secs),
                shutdown: Duration::from_secs(config.shutdown_secs),
                quarantine: config.quality.quarantine,
                shards: self.worker.settings.shards.clone(),
            },
        }
    }

    /// Counters of the fetcher, for `trawl run`'s last line and the demo.
    pub fn fetched(&self) -> fetch::Stats {
        self.fetcher.stats()
    }

    /// Stops: the door first, then the workers hand back what they hold, then the store closes. Within
    /// `shutdown_secs`; what is cut off then is taken up at the next start.
    pub async fn stop(mut self) {
        // No receiver means that nothing was started.
        let _ = self.stop.send(true);
        let patience = tokio::time::sleep(Duration::from_secs(self.config.shutdown_secs));
        tokio::pin!(patience);
        for mut part in self.parts.drain(..) {
            tokio::select! {
                _ = &mut part => {}
                () = &mut patience => part.abort(),
            }
        }
        self.browser.close().await;
        self.pool.close();
        // After the workers, so that what their last requests taught is kept, too.
        hosts::save(&*self.store, &self.fetcher, self.clock.now()).await;
        self.store.close().await;
    }
}

/// What hands files over, with the keys of their credentials.
fn courier(
    config: &Config,
    store: &Arc<dyn Store>,
    outbound: &Arc<Outbound>,
    strangers: &OutboundSettings,
) -> Result<Courier> {
    let old: Vec<&str> = config.secret_keys_old.iter().map(|key| key.0.as_str()).collect();
    let shared = !config.is_alone();
    let vault = Vault::open(&config.secret_key.0, &old, shared, &config.data)?;
    let timeout = Duration::from_secs(config.deliver.timeout_secs);
    let mail = (!config.email.smtp_url.0.is_empty()).then(|| MailSettings {
        smtp_url: config.email.smtp_url.0.clone(),
        from: config.email.from.clone(),
        attach_bytes_max: config.email.attach_bytes_max,
        public_url: config.public_url.clone(),
        timeout,
    });
    let extra_ca = path(&config.deliver.extra_ca);
    let parts = CourierParts {
        vault: Arc::new(vault),
        outbound: outbound.clone(),
        connector: BucketConnector::guarded(strangers)?,
        store: store.clone(),
        mailer: mail.map(|mail| Mailer::new(&mail, extra_ca.as_deref())).transpose()?,
    };
    let still = Duration::from_secs(config.deliver.upload_idle_secs);
    Ok(Courier::new(parts, CourierSettings { timeout, still }))
}

/// One process per data folder: a second would take the first one's leases for its own former life.
fn lock_folder(data: &Path) -> Result<std::fs::File> {
    let path = data.join("lock");
    let file =
        std::fs::File::create(&path).with_context(|| format!("`{}` cannot be made", path.display()))?;
    file.try_lock().map_err(|_| anyhow::anyhow!("another trawl process works in `{}`", data.display()))?;
    Ok(file)
}

/// The store that the settings name; also used by the command line beside a running server.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>> {
    if !config.is_alone() {
        let (url, settings) = postgres(config);
        if !config.migrate_at_start {
            let SchemaVersions { found, known } =
                PostgresStore::versions(url, &settings).await.context("the database")?;
            if found < known {
                bail!(
                    "the database has schema version {found} and this program wants {known}: run `trawl migrate` first"
                );
            }
        }
        return Ok(Arc::new(
            PostgresStore::open(url, settings).await.context("the database cannot be opened")?,
        ));
    }
    let path = config.data.join("trawl.sqlite");
    let store = SqliteStore::open_with(&path, config.migrate_at_start);
    Ok(Arc::new(store.with_context(|| format!("the database `{}` cannot be opened", path.display()))?))
}

/// The address of the PostgreSQL database, and how it is used.
fn postgres(config: &Config) -> (&str, PostgresSettings) {
    let pool = config.database_connections;
    (&config.database.0, PostgresSettings { pool, ..PostgresSettings::default() })
}

/// Brings the database to this version's form; its schema version before and after. 0 before: it was made.
pub async fn migrate(config: &Config) -> Result<(u32, u32)> {
    if !config.is_alone() {
        let (url, settings) = postgres(config);
        let SchemaVersions { found, known } =
            PostgresStore::migrate(url, &settings).await.context("the database")?;
        let version = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        return Ok((version(found), version(known)));
    }
    let path = config.data.join("trawl.sqlite");
    SqliteStore::migrate(&path).with_context(|| format!("the database `{}`", path.display()))
}

/// The clock that this process goes by: the store's, if it has one.
pub async fn follow(store: &dyn Store) -> Result<Arc<SteadyClock>> {
    /// Calls of which the quickest tells best.
    const CALLS: usize = 3;
    let clock = SteadyClock::default();
    for _ in 0..CALLS {
        if !clock.ask(store).await.context("the database's time")? {
            break;
        }
    }
    Ok(Arc::new(clock))
}

/// The bucket that the settings name, after it has been written to, read from and deleted from once.
pub async fn open_bucket(config: &Config) -> Result<Arc<dyn Bucket>> {
    let (bucket, what): (Arc<dyn Bucket>, _) = if config.storage == "file" {
        let folder = FolderBucket::open(config.data.join("bucket")).context("the bucket's folder")?;
        (Arc::new(folder), "the bucket's folder")
    } else {
        let url = BucketUrl::parse(&config.storage).map_err(|why| anyhow!("`storage`: an address {why}"))?;
        // The operator names the bucket, so it may lie in a private network.
        let connector = BucketConnector::open(&OutboundSettings {
            user_agent: config.fetch.user_agent.clone(),
            extra_ca: path(&config.storage_extra_ca),
            names: names(&config.fetch.names)?,
            ..OutboundSettings::default()
        })
        .map_err(|error| anyhow!("`storage_{}`: {}", error.setting, error.reason))?;
        let store = url.open(connector).map_err(|why| anyhow!("`storage`: {why}"))?;
        (Arc::new(ObjectBucket::new(store, &url.prefix)), config.storage.as_str())
    };
    let key = format!("{PROBES}{:016x}", SystemClock.random());
    store::probe(&*bucket, &key).await.with_context(|| format!("`storage`: {what} cannot be worked with"))?;
    Ok(bucket)
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn names(lines: &[String]) -> Result<Vec<(String, std::net::IpAddr)>> {
    lines
        .iter()
        .map(|line| {
            let (name, address) = line
                .split_once('=')
                .with_context(|| format!("`fetch.names`: `{line}` should be name=address"))?;
            let address = address
                .trim()
                .parse()
                .with_context(|| format!("`fetch.names`: `{address}` is no IP address"))?;
            Ok((name.trim().to_owned(), address))
        })
        .collect()
}

fn fetch_settings(config: &Config) -> Result<fetch::Settings> {
    let fetch = &config.fetch;
    Ok(fetch::Settings {
        user_agent: fetch.user_agent.clone(),
        allow_networks: fetch.allow_networks.clone(),
        proxy: fetch.proxy.iter().map(|p| p.0.clone()).collect(),
        extra_ca: path(&fetch.extra_ca),
        host_concurrency: fetch.host_concurrency,
        host_delay_ms: fetch.host_delay_ms,
        concurrency: fetch.concurrency,
        connect_timeout_ms: fetch.connect_timeout_ms,
        idle_timeout_ms: fetch.idle_timeout_ms,
        page_timeout_ms: fetch.page_timeout_ms,
        page_bytes_max: fetch.page_bytes_max,
        redirects_max: fetch.redirects_max,
        sessions_max: fetch.sessions_max,
        retry_after_max_ms: fetch.retry_after_max_ms,
        robots: fetch.robots,
        robots_timeout_ms: fetch.robots_timeout_ms,
        crawl_delay_max_ms: fetch.crawl_delay_max_ms,
        names: names(&fetch.names)?,
        ..fetch::Settings::default()
    })
}

fn browser_settings(config: &Config) -> BrowserSettings {
    let browser = &config.browser;
    BrowserSettings {
        path: path(&browser.path),
        contexts: browser.contexts,
        pages_per_process: browser.pages_per_process,
        idle_ms: browser.idle_secs * 1_000,
        page_timeout_ms: browser.page_timeout_ms,
        memory_mb: browser.memory_mb,
        page_memory_mb: browser.page_memory_mb,
        block: browser.block.clone(),
        extra_ca: path(&config.fetch.extra_ca),
        user_agent: Some(config.fetch.user_agent.clone()),
        arguments: browser.arguments.clone(),
        profiles: config.data.join("browser"),
    }
}

/// A line at the start, if a scraper wants a browser and there is none, or one that trusts less than it should: everything
/// else works.
fn tell_if_missing(browser: &BrowserFetcher, catalogue: &Catalogue, default: FetchMode) {
    let (missing, distrusts) = (browser.missing(), browser.distrusts());
    if missing.is_none() && distrusts.is_none() {
        return;
    }
    let scrapers = catalogue.all();
    let wanting: Vec<&str> = scrapers
        .iter()
        .filter(|scraper| scraper.modes().any(|mode| mode.unwrap_or(default) != FetchMode::Plain))
        .map(|scraper| scraper.name())
        .collect();
    if wanting.is_empty() {
        return;
    }
    let wanting = wanting.join(", ");
    if let Some(missing) = missing {
        tracing::warn!("{missing}; pages of these scrapers that need one become error rows: {wanting}");
    } else if let Some(distrusts) = distrusts {
        tracing::warn!("{distrusts}; these scrapers render pages: {wanting}");
    }
}

fn worker_settings(config: &Config, clock: &dyn Clock) -> Result<worker::Settings> {
    let deliver = &config.deliver;
    let shards = Shards::parse(&config.fetch.host_shards, config.fetch.host_concurrency)
        .map_err(|fault| anyhow::anyhow!("`fetch.host_shards`: {fault}"))?;
    let node = match config.node.as_str() {
        // With one process always the same, so that it knows the leases of its former life.
        "" if config.is_alone() => "local".to_owned(),
        "" => nodes::unique_name(clock),
        name => name.to_owned(),
    };
    Ok(worker::Settings {
        node,
        shared: !config.is_alone(),
        shards: Arc::new(shards),
        jobs: config.worker.jobs,
        express_jobs: config.worker.express_jobs,
        deliveries: config.worker.deliveries,
        lease_ms: i64::from(config.worker.lease_secs) * 1_000,
        // With a delay between requests, more at once would only wait inside the fetcher while the slice ages.
        slice_parallel: if config.fetch.host_delay_ms > 0 {
            2
        } else {
            config.fetch.host_concurrency as usize
        },
        retry: RetryPolicy::default(),
        deliver: DeliverSettings {
            timeout_ms: deliver.timeout_secs * 1_000,
            window_ms: deliver.retry_hours * 3_600_000,
            patience: Patience { attempts: u32::MAX, base_ms: 1_000, max_ms: deliver.retry_max_secs * 1_000 },
            signing_secret: Some(deliver.signing_secret.0.clone()).filter(|s| !s.is_empty()),
        },
        retention_ms: i64::from(config.retention.days) * 86_400_000,
        archive_always: config.archive.always,
        page_bytes_max: config.fetch.page_bytes_max,
        cache: cache::Settings {
            reuse: Reuse {
                revalidate: config.cache.revalidate.then_some(true),
                max_age_ms: config.cache.max_age_ms().context("`cache.max_age`")?,
            },
            bytes_max: config.cache.bytes_max,
        },
        scratch: config.data.join("scratch"),
        way: worker::WaySettings {
            mode: config.browser.mode,
            remember_ms: i64::from(config.browser.remember_hours) * 3_600_000,
        },
    })
}
