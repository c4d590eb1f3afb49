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
//! /limit/{rate}/{burst}/{after}/{id}                                           the product, or 429 with Retry-After
//! /robots.txt under the names robots-{variant}.…                               see `polite`
//! /login  /logout  /account  /account/{id}                                     for members only (`ada`, `brief`)
//! /app/…                                                                       the shop as an application of scripts
//! /bad/…                                                                       misbehaviours, listed at /bad/
//! /wall/…                                                                      refusals dressed as pages, listed at /wall/
//! /trap/{calendar|same|session|deeper}                                         lists and addresses without end
//! /maps/{files}/{entries}/index.xml                                            sitemaps of any size
//! /quota/{n}/{ms}/{id}  /quota/silent/{n}/{ms}/{id}                            429 beyond n requests in so many milliseconds
//! /cookie/needed/{id}                                                          a page for those who keep cookies
//! ```

mod app;
mod bad;
mod bomb;
mod changing;
mod charset;
mod h2;
mod http;
mod lure;
mod member;
mod polite;
mod quota;
mod receiver;
mod route;
mod runner;
mod server;
pub mod shop;
mod stats;
mod tls;
mod trick;
mod wall;

pub use receiver::{Received, Receiver, Reply};
pub use server::{File, Site, SiteOptions};
pub use stats::{Hit, HostStats, Stats};
pub use tls::TLS_NAME;
