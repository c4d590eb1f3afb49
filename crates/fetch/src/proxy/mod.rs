//! Forward proxies: what an operator's line says of one, who it is spoken to as, and which one a page goes through.
//!
//! `address` reads the lines, `http` and `socks` speak to a proxy, `health` decides (pure), `ways` holds the clients.
//! Must not know: what is sent through. Invariant: credentials are in no `Debug`, no error and no statistics.

mod address;
mod health;
mod http;
mod socks;
mod ways;

pub use address::Scheme;
pub(crate) use address::{Credentials, Proxy, bare_host, basic};
pub use health::{ProxyState, ProxyStats};
pub(crate) use ways::{Route, Way, Ways, Wish};

use crate::{FetchError, FetchErrorKind};
use ::http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// A proxy, and who it is spoken to as.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) credentials: Option<Credentials>,
    /// The same as `Proxy-Authorization`.
    pub(crate) header: Option<HeaderValue>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxy.fmt(f)
    }
}

/// Where a connection through a proxy leads.
pub(crate) enum Target<'a> {
    /// Named: the proxy resolves it.
    Host(&'a str, u16),
    /// An address that the guard passed.
    Address(std::net::SocketAddr),
}

impl Gate {
    pub(crate) fn new(proxy: Arc<Proxy>, country: Option<&str>, session: &str) -> Self {
        let credentials = proxy.credentials(country, session);
        let header = credentials.as_ref().and_then(Credentials::basic);
        Self { proxy, credentials, header }
    }

    /// Are plain requests written to it whole, as to a proxy? Else it only carries bytes.
    pub(crate) fn reads_http(&self) -> bool {
        self.proxy.scheme == Scheme::Http
    }

    /// Asks for a connection to the target.
    pub(crate) async fn open<S>(&self, stream: &mut S, target: &Target<'_>) -> Result<(), FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.proxy.scheme {
            Scheme::Http => http::tunnel(stream, self.header.as_ref(), target).await,
            Scheme::Socks5 | Scheme::Socks5h => socks::open(stream, self.credentials.as_ref(), target).await,
        }
    }
}

/// The proxy itself failed or refused.
pub(crate) fn proxy_error(message: impl Into<String>) -> FetchError {
    FetchError::new(FetchErrorKind::Proxy, message)
}

/// The proxy says that it does not reach the site: the fault of either.
pub(crate) fn gateway_error(message: impl Into<String>) -> FetchError {
    FetchError::new(FetchErrorKind::Gateway, message)
}
