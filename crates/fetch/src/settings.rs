//! What an operator may say about fetching and sending. Believed once, at construction.

use std::net::IpAddr;
use std::path::PathBuf;

/// How pages are fetched.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `User-Agent` header, unless the request brings its own.
    pub user_agent: String,
    /// Address ranges that may be reached although they are off limits, see [`crate::AllowList`].
    pub allow_networks: Vec<String>,
    /// `http://`, `socks5://` or `socks5h://user:password@host:port#country=us,…`: pages are fetched through these. None:
    /// directly.
    pub proxy: Vec<String>,
    /// PEM file of certificates trusted besides the compiled-in roots. Read at construction.
    pub extra_ca: Option<PathBuf>,
    /// Names answered before and instead of DNS, lower case: an operator's own hosts table.
    pub names: Vec<(String, IpAddr)>,
    /// Requests to one host at once.
    pub host_concurrency: u32,
    /// Milliseconds between the starts of two requests to one host.
    pub host_delay_ms: u64,
    /// Requests at once, to all hosts together.
    pub concurrency: u32,
    /// Milliseconds for resolving, connecting, the proxy's consent and TLS together.
    pub connect_timeout_ms: u64,
    /// Milliseconds without a byte while waiting for the head or for more of the body.
    pub idle_timeout_ms: u64,
    /// Milliseconds for a page in all, redirects included, waiting for its turn not included.
    pub page_timeout_ms: u64,
    /// Bytes of a body, as sent and as decoded.
    pub page_bytes_max: u64,
    /// Bytes of a head. At least 8 KiB.
    pub head_bytes_max: u32,
    /// Redirects followed for one page.
    pub redirects_max: u32,
    /// What is done about robots.txt, unless the request says otherwise.
    pub robots: model::RobotsPolicy,
    /// Milliseconds for a robots.txt in all, redirects included.
    pub robots_timeout_ms: u64,
    /// Longest `Crawl-delay` that is obeyed, milliseconds.
    pub crawl_delay_max_ms: u64,
    /// Milliseconds for which `Retry-After` may hold a host at most.
    pub retry_after_max_ms: u64,
    /// Sessions that are remembered; the one unused longest goes first.
    pub sessions_max: usize,
    /// Idle connections kept for each host.
    pub idle_per_host: usize,
    /// Milliseconds after which an idle connection is closed.
    pub idle_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!("Trawl/", env!("CARGO_PKG_VERSION")).into(),
            allow_networks: Vec::new(),
            proxy: Vec::new(),
            extra_ca: None,
            names: Vec::new(),
            host_concurrency: 8,
            host_delay_ms: 0,
            concurrency: 128,
            connect_timeout_ms: 10_000,
            idle_timeout_ms: 20_000,
            page_timeout_ms: 60_000,
            page_bytes_max: 20 << 20,
            head_bytes_max: 64 << 10,
            redirects_max: 10,
            robots: model::RobotsPolicy::Respect,
            robots_timeout_ms: 5_000,
            crawl_delay_max_ms: 30_000,
            retry_after_max_ms: 120_000,
            sessions_max: 2_000,
            idle_per_host: 8,
            idle_ms: 30_000,
        }
    }
}

/// How webhooks and notices are sent.
#[derive(Clone, Debug)]
pub struct OutboundSettings {
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Address ranges that may be reached although they are off limits, apart from those for pages.
    pub allow_networks: Vec<String>,
    /// PEM file of certificates trusted besides the compiled-in roots. Read at construction.
    pub extra_ca: Option<PathBuf>,
    /// Names answered before and instead of DNS.
    pub names: Vec<(String, IpAddr)>,
    /// Milliseconds for resolving, connecting and TLS together.
    pub connect_timeout_ms: u64,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        let pages = Settings::default();
        Self {
            user_agent: pages.user_agent,
            allow_networks: Vec::new(),
            extra_ca: None,
            names: Vec::new(),
            connect_timeout_ms: pages.connect_timeout_ms,
        }
    }
}

/// A setting that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct SettingsError {
    /// Its name, as in the struct.
    pub setting: &'static str,
    /// What is wrong with it, without secrets.
    pub reason: String,
}

impl SettingsError {
    pub(crate) fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        Self { setting, reason: reason.into() }
    }
}

impl Settings {
    /// Bounds that no part checks for itself.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let positive = [
            ("host_concurrency", u64::from(self.host_concurrency)),
            ("concurrency", u64::from(self.concurrency)),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("robots_timeout_ms", self.robots_timeout_ms),
            ("page_timeout_ms", self.page_timeout_ms),
            ("page_bytes_max", self.page_bytes_max),
        ];
        if let Some((setting, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(SettingsError::new(setting, "must be more than 0"));
        }
        // hyper refuses smaller buffers by a panic.
        if self.head_bytes_max < 8 << 10 {
            return Err(SettingsError::new("head_bytes_max", "must be at least 8192"));
        }
        Ok(())
    }
}
