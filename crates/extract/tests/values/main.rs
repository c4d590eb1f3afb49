//! Tests of the value parsers: their scores on the public tables, what they hold on any text, and the types of a scraper
//! file that stand on them.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests that read tables from files and bound a runaway"
)]

mod every;
mod hold;
mod scores;
mod scraper;
mod tables;
