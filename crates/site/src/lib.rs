//! A small web for tests, the demo and benchmarks: a shop whose truth is known, every way of misbehaving that a scraper
//! must survive, and a receiver of webhooks.
//!
//! It speaks raw HTTP/1.1 on loopback, because a proper server library would not let it break the protocol. It knows
//! nothing of Trawl, and nothing of it is used in production code.
//!
//! ```text
//! /p/{id}  /c/{category}?page=N  /  /list/{n}  /robots.txt  /sitemap.xml       the shop
//! /json/{id}  /json/list?page=N  /enc/{encoding}/{id}  /charset/{charset}/{id} the shop in other clothes
//! /etag/{id}  /cookie  /echo  /status/{code}  /stats                           small services
//! /app/…                                                                       the shop as an application of scripts
//! /bad/…                                                                       misbehaviours, listed at /bad/
//! ```

mod app;
mod bad;
mod bomb;
mod charset;
mod http;
mod receiver;
mod route;
mod runner;
mod server;
pub mod shop;
mod stats;
mod trick;

pub use receiver::{Received, Receiver, Reply};
pub use server::{File, Site, SiteOptions};
pub use stats::{Hit, HostStats, Stats};
