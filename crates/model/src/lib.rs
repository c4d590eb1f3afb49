//! The nouns of Trawl and their rules, in reading order.
//!
//! Owns: what a trigger, an input, a job, a record, a snapshot and a delivery are, and how each may change.
//! Must not know: clocks, dice, files, sockets, async, HTTP, SQL. `now` and `jitter` are arguments.
//!
//! The serde form of these types is what `store` keeps, so a field is only ever added, with a default.
#![warn(missing_docs)]

mod archive;
mod canonical;
mod column;
mod delivery;
mod destination;
pub mod diff;
mod failure;
mod id;
mod identity;
mod input;
mod job;
pub mod limit;
mod page;
pub mod quality;
mod record;
mod render;
mod retry;
mod sealed;
mod segment;
mod snapshot;
mod time;
mod trail;
mod trigger;

pub use archive::*;
pub use canonical::*;
pub use column::*;
pub use delivery::*;
pub use destination::*;
pub use failure::*;
pub use id::*;
pub use identity::*;
pub use input::*;
pub use job::*;
pub use page::*;
pub use record::*;
pub use render::*;
pub use retry::*;
pub use sealed::*;
pub use segment::*;
pub use snapshot::*;
pub use time::*;
pub use trail::*;
pub use trigger::*;
