//! The shipped scrapers: their own cases, and the saved pages of real sites.

mod brief;
mod docs;
mod explain;
mod feeds;
#[expect(clippy::disallowed_methods, reason = "the ban on files is for the crate, not for its tests")]
mod folder;
mod jsonpath;
mod login;
mod refusals;
mod render;
#[path = "../../../html/tests/saved/mod.rs"]
mod saved;
mod shells;
mod shipped;
mod sites;
mod sources;
