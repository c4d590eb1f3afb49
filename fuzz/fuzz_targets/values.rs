//! Every value parser on any text, also as a page. What must hold is what the tests of `extract` hold.
#![no_main]

#[path = "../../crates/extract/tests/values/every.rs"]
mod every;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| every::all(input));
