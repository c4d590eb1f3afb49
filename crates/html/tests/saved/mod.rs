//! The set of saved pages: where it lies and how a page of it is read.
//!
//! `TRAWL_PAGES` names the folder; without it, `../shared/data/public` beside the workspace. Where there is no set, that is
//! said aloud, and with `CI` set it is a failure.

use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One saved page.
pub(crate) struct Saved {
    pub(crate) id: String,
    /// Its original address.
    #[allow(dead_code, reason = "not every user asks where a page came from")]
    pub(crate) url: String,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// The folder of the set, if it is there; says so if not.
///
/// # Panics
/// In CI, where it must be there.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRAWL_PAGES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/public"),
        PathBuf::from,
    );
    if folder.join("manifest.jsonl").is_file() {
        return Some(folder);
    }
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "the saved pages are not in {}", folder.display());
    eprintln!("LEFT OUT: no saved pages (set TRAWL_PAGES)");
    None
}

/// The lines of a file of JSON lines.
pub(crate) fn json_lines(file: &Path) -> Vec<Value> {
    let text = String::from_utf8(read(file)).expect("UTF-8");
    text.split('\n')
        .filter(|l| !l.trim().is_empty())
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect()
}

/// Every page of the set, by id.
pub(crate) fn pages(folder: &Path) -> HashMap<String, Saved> {
    json_lines(&folder.join("manifest.jsonl"))
        .into_iter()
        .map(|line| {
            let field = |name: &str| line[name].as_str().map(str::to_owned);
            let (id, file) = (field("id").expect("id"), field("file").expect("file"));
            let url = field("url").expect("url");
            let mut bytes = Vec::new();
            flate2::read::MultiGzDecoder::new(&*read(&folder.join(file)))
                .read_to_end(&mut bytes)
                .expect("gzip");
            (id.clone(), Saved { id, url, content_type: field("content_type"), bytes })
        })
        .collect()
}

#[allow(clippy::disallowed_methods, reason = "the ban on files is for the crate, not for its tests")]
fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
