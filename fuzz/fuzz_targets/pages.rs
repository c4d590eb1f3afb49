//! Any bytes as a page, with every generic scraper. What must hold is what the tests of `extract` hold.
#![no_main]

#[path = "../../crates/extract/tests/fuzzed/page.rs"]
mod page;
#[path = "../../crates/extract/tests/fuzzed/read.rs"]
mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| page::all(input));
