//! The server: glue and faces, no rules of its own.
//!
//! Owns: the HTTP API (`api`), the workers (`worker`), reading rows back (`rows`), the scrapers that are loaded
//! (`catalogue`), the operator's web page (`ui`), what is learnt of hosts (`hosts`), files to where people keep their data (`deliver`), the keys of credentials (`vault`),
//! settings, the command line and the wiring of it all (`app`).
//! Must not know: SQL, HTTP clients, HTML. Those live behind `store`, `fetch` and `extract`.

pub mod api;
pub mod app;
pub mod archive;
pub mod cache;
pub mod catalogue;
pub mod changes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
mod documents;
mod hosts;
pub mod metrics;
pub mod nodes;
pub mod rows;
mod schedule;
pub mod shards;
mod ui;
pub mod vault;
pub mod worker;
