//! Any text as a scraper file. What must hold is what the tests of `extract` hold.
#![no_main]

#[path = "../../crates/extract/tests/fuzzed/file.rs"]
mod file;
#[path = "../../crates/extract/tests/fuzzed/read.rs"]
mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| file::all(input));
