//! Any text as a CSS selector, an XPath and a JSON path. What must hold is what the tests of `extract` hold.
#![no_main]

#[path = "../../crates/extract/tests/fuzzed/selector.rs"]
mod selector;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| selector::all(input));
