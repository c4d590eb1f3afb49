//! Any bytes as a sitemap and as a feed. What must hold is what the tests of `extract` hold.
#![no_main]

#[path = "../../crates/extract/tests/fuzzed/feed.rs"]
mod feed;
#[path = "../../crates/extract/tests/fuzzed/read.rs"]
mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| feed::all(input));
