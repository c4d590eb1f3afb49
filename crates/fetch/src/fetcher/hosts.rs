//! The hosts that are known, for people and for the next start.

use super::HttpFetcher;
use crate::FetchError;
use crate::pace::{HostState, HostView};
use crate::proxy::Wish;
use crate::robots::{Known, Said};
use model::{Request, Timestamp};
use serde::Serialize;
use url::Url;

/// A host as it stands, with what its robots.txt says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteView {
    /// Pace, latency, trouble.
    #[serde(flatten)]
    pub pace: HostView,
    /// One for each scheme that was asked.
    pub robots: Vec<RobotsView>,
}

/// What a robots.txt says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RobotsView {
    /// `https://host`.
    pub site: String,
    /// `rules`, `none` (everything is allowed) or `unreachable` (nothing is, for now).
    pub state: &'static str,
    /// Seconds since it was fetched.
    pub age_secs: u64,
    /// What it asks between two requests, milliseconds, before the cap.
    pub crawl_delay_ms: Option<u64>,
    /// Sitemaps that it names, at most twenty.
    pub sitemaps: Vec<String>,
    /// Why it could not be had.
    pub error: Option<String>,
}

/// Sitemaps shown of one file.
const SITEMAPS: usize = 20;

impl HttpFetcher {
    /// Hosts whose name contains `part`, those with most to tell first, at most `most`; and how many there are.
    pub fn hosts(&self, part: &str, most: usize) -> (Vec<SiteView>, usize) {
        let (views, all) = self.0.pacer.views(part, most);
        (views.into_iter().map(|view| self.with_robots(view)).collect(), all)
    }

    /// One host, if it is known.
    pub fn host(&self, name: &str) -> Option<SiteView> {
        self.0.pacer.view(name).map(|view| self.with_robots(view))
    }

    fn with_robots(&self, pace: HostView) -> SiteView {
        let sites = ["https", "http"].map(|scheme| format!("{scheme}://{}", pace.host));
        let robots = sites.into_iter().filter_map(|site| {
            let known = self.0.shelf.known(&site)?;
            Some(self.robots_view(site, &known))
        });
        SiteView { robots: robots.collect(), pace }
    }

    fn robots_view(&self, site: String, known: &Known) -> RobotsView {
        let mut view = RobotsView {
            site,
            state: "none",
            age_secs: known.at.elapsed().as_secs(),
            crawl_delay_ms: None,
            sitemaps: Vec::new(),
            error: None,
        };
        match &known.said {
            Said::Anything(_) => {}
            Said::Nothing(error) => {
                view.state = "unreachable";
                view.error = Some(error.message.clone());
            }
            Said::Rules(robots) => {
                view.state = "rules";
                let delay = robots.crawl_delay(&self.0.product);
                view.crawl_delay_ms = delay.and_then(|d| u64::try_from(d.as_millis()).ok());
                view.sitemaps = robots.sitemaps().iter().take(SITEMAPS).cloned().collect();
            }
        }
        view
    }

    /// The sitemaps that the robots.txt of a site names, as written there. Asks for it if need be.
    pub async fn sitemaps(&self, url: &Url) -> Result<Vec<String>, FetchError> {
        let needs = model::Needs::default();
        let way = self.0.ways.choose(Wish { needs: &needs, session: None }, &[])?;
        self.0.vet(url, way.proxy().is_some())?;
        // Credentials do not belong into the name of a site.
        let url = crate::message::Hop::first(Request::get(url.clone()), &self.0.user_agent)?.url;
        let known = self.0.book(&url, &way.route).await;
        match &known.said {
            Said::Rules(robots) => Ok(robots.sitemaps().to_vec()),
            Said::Anything(_) => Ok(Vec::new()),
            Said::Nothing(error) => Err(known.error(error)),
        }
    }

    /// Hosts of which something was learnt since the last call, at most `most`, to be kept over a restart.
    pub fn export_hosts(&self, most: usize, now: Timestamp) -> Vec<(String, HostState)> {
        self.0.pacer.export(most, unix_ms(now))
    }

    /// Takes back what was kept.
    pub fn import_hosts(&self, hosts: &[(String, HostState)], now: Timestamp) {
        self.0.pacer.import(hosts, unix_ms(now));
    }

    /// This process has `held` of `of` shares of a host: it asks it so much less.
    pub fn set_share(&self, host: &str, held: u32, of: u32) {
        self.0.pacer.set_share(host, held, of);
    }

    /// Another process may have asked this host until now.
    pub fn take_over_host(&self, host: &str) {
        self.0.pacer.take_over(host);
    }

    /// What another process has learnt of a host since this one let it go.
    pub fn learn_host(&self, host: &str, kept: &HostState, now: Timestamp) {
        self.0.pacer.learn_from(host, kept, unix_ms(now));
    }

    /// What was learnt of a host since it was last exported, if anything.
    pub fn export_host(&self, host: &str, now: Timestamp) -> Option<HostState> {
        self.0.pacer.export_one(host, unix_ms(now))
    }
}

fn unix_ms(now: Timestamp) -> u64 {
    u64::try_from(now.ms()).unwrap_or(0)
}
