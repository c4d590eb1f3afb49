//! Anything at all as a page, a feed, a selector or a scraper file: nothing panics, and what comes out keeps its promises.
//!
//! The same checks are the fuzz targets' (`fuzz/`). What they find is kept under `found/<target>/` and tried here.

mod feed;
mod file;
mod generated;
mod page;
mod read;
mod selector;

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "the ban on files is for the crate, not for its tests")]
fn found(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/found").join(target);
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file")).collect()
}

#[test]
fn what_fuzzing_found() {
    found("page").iter().for_each(|bytes| page::all(bytes));
    found("feed").iter().for_each(|bytes| feed::all(bytes));
    found("selector").iter().for_each(|bytes| selector::all(&String::from_utf8_lossy(bytes)));
    found("file").iter().for_each(|bytes| file::all(&String::from_utf8_lossy(bytes)));
}
