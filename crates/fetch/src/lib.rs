//! URL → page, and everything else that is sent to strangers. The only door to other people's machines.
//!
//! Owns: HTTP, the address guard, pace per host, sessions and their cookies, proxies, name resolution, decoding and bounds of bodies.
//! Must not know: databases, scrapers, snapshots.
//!
//! Invariants:
//! - No address off limits is connected to, whatever the name, redirect or resolver says: the guard looks at the
//!   address that is connected to, once, and connects to exactly that address.
//! - One host never sees more requests at once, nor closer together, than configured, whatever the callers do.
//! - Every answer ends within its time and size, whatever the other side does.

mod allow;
mod body;
mod browser;
mod bucket;
mod client;
mod clock;
mod connect;
mod cookie;
mod decode;
mod error;
mod fetcher;
mod guard;
mod message;
mod outbound;
pub mod pace;
mod proxy;
mod replay;
mod resolve;
mod retry_after;
pub mod robots;
mod session;
mod settings;
mod stats;
mod stream;
mod tap;
mod tls;
pub mod validate;
pub mod warc;

pub use allow::{AllowList, BadNetwork};
pub use browser::{BrowserFetcher, BrowserSettings, BrowserStats, Router};
pub use bucket::BucketConnector;
pub use error::{FetchError, FetchErrorKind};
pub use fetcher::{HttpFetcher, RobotsView, SiteView};
pub use guard::{Guard, Refusal, Zone, is_localhost, zone};
pub use outbound::{Answer, Outbound, Payload, basic_authorization};
pub use pace::HostState;
pub use proxy::{ProxyState, ProxyStats, Scheme as ProxyScheme};
pub use replay::{Opened, ReplayFetcher, not_archived};
pub use resolve::{Names, Resolver};
pub use retry_after::retry_after;
pub use settings::{OutboundSettings, Settings, SettingsError};
pub use stats::Stats;

use async_trait::async_trait;
use model::{Page, Request};

/// A request becomes a page. Plain HTTP here; a browser, an archive or a script of a test elsewhere.
#[async_trait]
pub trait Fetcher: Send + Sync + 'static {
    /// Waits for the host's turn, then fetches. Cancel by dropping.
    ///
    /// `express` takes the host's next turn ahead of ordinary waiters (a synchronous caller waits for it).
    async fn fetch(&self, request: Request, express: bool) -> Result<Page, FetchError>;
}
