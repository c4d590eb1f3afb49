//! The saved pages of the public set, for tests and the `predict` example: where they are, what they are called.
//!
//! Owns: finding the set (`TRAWL_PAGES`) and unpacking pages. Must not know: what is asked of a page.
#![allow(dead_code, reason = "each user needs a part of it")]
#![allow(clippy::disallowed_methods, reason = "the set is files; the crate itself reads none")]
#![allow(unreachable_pub, reason = "a module of several binaries")]

use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use url::Url;

/// One saved page.
pub struct Saved {
    pub id: String,
    pub url: Url,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// The folder of the set: `TRAWL_PAGES`, else beside the workspace. `None`, said aloud, when it is not there; under CI a
/// missing set is a failure, lest the scores be asserted of nothing.
pub fn set() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/public");
    let folder = std::env::var_os("TRAWL_PAGES").map_or(beside, PathBuf::from);
    if folder.join("manifest.jsonl").is_file() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "the saved pages are not in {}", folder.display());
    eprintln!("LEFT OUT: no saved pages in {} (set TRAWL_PAGES)", folder.display());
    None
}

/// The lines of a file of JSON lines.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.split('\n').filter(|l| !l.trim().is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The pages that the truth of a suite speaks of, unpacked one at a time; some suites ask for pages of others.
pub fn pages(set: &Path, suite: &str) -> impl Iterator<Item = Saved> {
    let set = set.to_owned();
    let truth = lines(&set.join(format!("truth/{suite}.jsonl")));
    let wanted: HashSet<String> =
        truth.iter().filter_map(|line| line["id"].as_str()).map(str::to_owned).collect();
    let pages = lines(&set.join("manifest.jsonl"));
    pages.into_iter().filter(move |line| line["id"].as_str().is_some_and(|id| wanted.contains(id))).map(
        move |line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            let file = std::fs::read(set.join(text("file"))).unwrap();
            let mut body = Vec::new();
            GzDecoder::new(&file[..]).read_to_end(&mut body).unwrap();
            let url = Url::parse(&text("url")).unwrap();
            Saved { id: text("id"), url, content_type: text("content_type"), body }
        },
    )
}
