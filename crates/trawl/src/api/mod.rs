//! HTTP in: the documented API, its door, and the server that speaks it.
//!
//! Owns: the wire (queries, bodies, answers), tokens at the door, `/openapi.json`.
//! Must not know: SQL, fetching, extraction. Handlers are thin; what can be pure is.

mod access;
mod account;
mod archive;
mod auth;
mod body;
mod changes;
mod datasets;
mod defaults;
mod delivery;
mod delivery_list;
mod destination;
mod error;
mod explain;
mod hosts;
mod ingest;
mod keeper;
mod lanes;
mod manage;
mod nodes;
mod openapi;
mod options;
mod patience;
mod progress;
mod proxies;
mod quality;
mod query;
mod routes;
mod schedules;
mod server;
mod snapshot;
mod submit;
mod trigger;

pub use auth::new_token;
pub use hosts::Hosts;
pub use keeper::keep_schedules;
pub use openapi::openapi;
pub use proxies::Source as Proxies;
pub use routes::{router, worker_router};
pub use server::{serve, tls_config};

use crate::archive::Archive;
use crate::catalogue::Catalogue;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::deliver::Courier;
use crate::metrics::Source;
use crate::nodes::Nodes;
use crate::rows::Rows;
use crate::schedule::shelf::Shelf;
use crate::shards::Shards;
use auth::Gate;
use body::Bounds;
use error::{ApiError, Result};
use extract::Scraper;
use model::{Snapshot, SnapshotId, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError};

/// Bounds of the API, from the settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A token that is always valid.
    pub api_token: Option<String>,
    /// Bytes of a body, as sent and unpacked.
    pub body_bytes_max: u64,
    /// Inputs of a synchronous call.
    pub sync_inputs_max: u64,
    /// How long a synchronous call waits.
    pub sync_wait: Duration,
    /// Unfinished runs of one dataset.
    pub running_jobs_max: u64,
    /// Requests per second of one token; 0 is without limit.
    pub requests_per_sec: u32,
    /// Connections at once.
    pub connections_max: usize,
    /// For a request's head.
    pub head_timeout: Duration,
    /// Between two pieces of a body.
    pub body_idle_timeout: Duration,
    /// For open answers at a stop.
    pub shutdown: Duration,
    /// Whether rows that the quality gate fails are held back, if the trigger does not say.
    pub quarantine: bool,
    /// Hosts with several lanes.
    pub shards: Arc<Shards>,
}

/// What the API works with.
pub struct Api {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// Rows back out.
    pub rows: Rows,
    /// Kept pages back out.
    pub archive: Archive,
    /// Runs against each other.
    pub changes: Changes,
    /// The scrapers.
    pub catalogue: Arc<Catalogue>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Hosts as the fetcher knows them.
    pub hosts: Arc<dyn Hosts>,
    /// The text of `/metrics`, if it is switched on.
    pub metrics: Option<Source>,
    /// How the proxies fare.
    pub proxies: Proxies,
    /// Who works on this store.
    pub nodes: Arc<Nodes>,
    /// Told when a schedule was made, changed or taken away.
    pub schedules: Arc<tokio::sync::Notify>,
    /// Files to other places.
    pub courier: Arc<Courier>,
    /// Bounds.
    pub settings: Settings,
}

/// What handlers share.
struct Shared {
    store: Arc<dyn Store>,
    rows: Rows,
    archive: Archive,
    changes: Changes,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    hosts: Arc<dyn Hosts>,
    metrics: Option<Source>,
    proxies: Proxies,
    nodes: Arc<Nodes>,
    schedules: Arc<tokio::sync::Notify>,
    courier: Arc<Courier>,
    settings: Settings,
    gate: Gate,
    /// Zones that clients said they made: name and type.
    zones: std::sync::Mutex<Vec<(String, String)>>,
}

impl Shared {
    fn of(api: &Api) -> Self {
        Self {
            store: api.store.clone(),
            rows: api.rows.clone(),
            archive: api.archive.clone(),
            changes: api.changes.clone(),
            catalogue: api.catalogue.clone(),
            clock: api.clock.clone(),
            hosts: api.hosts.clone(),
            metrics: api.metrics.clone(),
            proxies: api.proxies.clone(),
            nodes: api.nodes.clone(),
            schedules: api.schedules.clone(),
            courier: api.courier.clone(),
            settings: api.settings.clone(),
            gate: Gate::default(),
            zones: std::sync::Mutex::default(),
        }
    }

    fn shelf(&self) -> Shelf {
        Shelf { store: self.store.clone(), vault: self.courier.vault().clone() }
    }

    fn bounds(&self) -> Bounds {
        Bounds { bytes: self.settings.body_bytes_max, idle: self.settings.body_idle_timeout }
    }

    fn new_snapshot_id(&self, now: Timestamp) -> SnapshotId {
        SnapshotId::new(now, self.clock.random())
    }

    /// The run of that id, if the caller may see it.
    async fn snapshot(&self, principal: &auth::Principal, id: &str) -> Result<Snapshot> {
        let id = SnapshotId::parse(id).ok_or_else(ApiError::no_snapshot)?;
        let snapshot = match self.store.snapshot(&id).await {
            Err(StoreError::NotFound(_)) => return Err(ApiError::no_snapshot()),
            other => other?,
        };
        principal.check(self, &snapshot.trigger.dataset_id.0)?;
        Ok(snapshot)
    }

    /// The scraper that a run began with; `None` if its file is gone.
    async fn scraper_of(&self, snapshot: &Snapshot) -> Option<Arc<Scraper>> {
        self.catalogue.at_version(&snapshot.trigger.scraper, &snapshot.trigger.scraper_version).await.ok()
    }
}

/// Every name that means this scraper.
fn ids_of(scraper: &Scraper) -> Vec<String> {
    let own = [scraper.dataset_id().to_owned(), scraper.name().to_owned()];
    own.into_iter().chain(scraper.aliases().iter().cloned()).collect()
}

/// Rows of a CSV text with a header line, as a trigger's body would be read.
pub fn csv_rows(text: &[u8]) -> std::result::Result<Vec<Map<String, Value>>, String> {
    let mut rows = Vec::new();
    let mut take = |row: Map<String, Value>| -> Result<()> {
        rows.push(row);
        Ok(())
    };
    let mut csv = body::csv::CsvRows::default();
    let read = csv.feed(text, &mut take).and_then(|()| csv.finish(&mut take));
    read.map_err(|error| error.text())?;
    Ok(rows)
}
