//! Name → addresses: the operator's table, then DNS with a bounded cache.
//!
//! The system's hosts file and search domains are not asked: a name means the same on every node, and names of the
//! machine's neighbourhood do not come in by the back door.

use crate::guard::is_localhost;
use crate::{FetchError, FetchErrorKind};
use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Answers kept.
const CACHE_ENTRIES: u64 = 4_096;
/// An answer is believed this long at most, whatever it says, so that a moved site is found again.
const POSITIVE_TTL_MAX: Duration = Duration::from_secs(600);
/// And this long at least, so that a TTL of 0 does not double the cost of every connection.
const POSITIVE_TTL_MIN: Duration = Duration::from_secs(5);
/// "No such name" is believed this long at most.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(30);
/// One question to one server.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
/// Addresses of one name that are looked at. More is not a web site.
const ADDRESSES_MAX: usize = 32;

/// Name → addresses. A seam, so that tests can script the answers.
#[async_trait]
pub trait Names: Send + Sync + 'static {
    /// Every address of a name (never of a literal), at least one.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, FetchError>;
}

/// The operator's table, then DNS.
pub struct Resolver {
    table: HashMap<String, Vec<IpAddr>>,
    /// The reason if the system's configuration could not be read: literals and the table still work.
    dns: Result<TokioResolver, String>,
}

impl Resolver {
    /// With the operator's own names, which win over DNS.
    pub fn new(names: &[(String, IpAddr)]) -> Self {
        let mut table: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for (name, ip) in names {
            table.entry(normal(name)).or_default().push(*ip);
        }
        Self { table, dns: system().map_err(|error| error.to_string()) }
    }
}

fn system() -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = TokioResolver::builder_tokio()?;
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = CACHE_ENTRIES;
    options.positive_min_ttl = Some(POSITIVE_TTL_MIN);
    options.positive_max_ttl = Some(POSITIVE_TTL_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    options.timeout = QUESTION_TIMEOUT;
    options.attempts = 2;
    // Both families: the guard wants to see every address there is.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}

/// Lower case, without the root's dot.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[async_trait]
impl Names for Resolver {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, FetchError> {
        let name = normal(host);
        if let Some(addresses) = self.table.get(&name) {
            return Ok(addresses.clone());
        }
        // RFC 6761 6.3: never ask DNS. The guard decides whether loopback may be reached.
        if is_localhost(&name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        let dns = self.dns.as_ref().map_err(|reason| {
            FetchError::new(FetchErrorKind::Dns, format!("`{name}` cannot be resolved: {reason}"))
        })?;
        // The root's dot keeps search domains out.
        let found = dns.lookup_ip(format!("{name}.")).await.map_err(|error| {
            // No such name, or no address under it: both are the zone's own word.
            if error.is_nx_domain() || error.is_no_records_found() {
                no_such_host(&name)
            } else {
                FetchError::new(FetchErrorKind::Dns, format!("`{name}` cannot be resolved: {error}"))
            }
        })?;
        let addresses: Vec<IpAddr> = found.iter().take(ADDRESSES_MAX + 1).collect();
        match addresses.len() {
            0 => Err(no_such_host(&name)),
            // Looking at some of them only would let the others past the guard.
            n if n > ADDRESSES_MAX => Err(FetchError::new(
                FetchErrorKind::Dns,
                format!("`{name}` has more than {ADDRESSES_MAX} addresses"),
            )),
            _ => Ok(addresses),
        }
    }
}

fn no_such_host(name: &str) -> FetchError {
    FetchError::new(FetchErrorKind::NoSuchHost, format!("there is no host `{name}`"))
}
