//! Reading the tables, counting what is right, and showing what is not.

use serde_json::Value;
use std::path::PathBuf;

/// The rows of a table; `None`, said aloud, if the data is not here.
pub(crate) fn rows(table: &str) -> Option<Vec<Value>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/public");
    let folder = std::env::var_os("TRAWL_PAGES").map_or_else(beside, PathBuf::from);
    let path = folder.join("tables").join(format!("{table}.jsonl"));
    let Ok(lines) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "no table at {}: set TRAWL_PAGES", path.display());
        eprintln!("LEFT OUT: no table at {}; set TRAWL_PAGES", path.display());
        return None;
    };
    Some(lines.lines().filter(|l| !l.trim().is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect())
}

/// A text of a row.
pub(crate) fn text<'r>(row: &'r Value, key: &str) -> Option<&'r str> {
    row[key].as_str()
}

/// A decimal number as a scorer compares it: without the zeros that change nothing.
pub(crate) fn decimal(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{}.{}", whole.trim_start_matches('0'), fraction.trim_end_matches('0'))
}

/// A share of rows that are right.
pub(crate) struct Score {
    name: &'static str,
    right: u32,
    rows: u32,
    misses: Vec<String>,
}

impl Score {
    /// Nothing counted yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, right: 0, rows: 0, misses: Vec::new() }
    }

    /// Counts a row.
    pub(crate) fn add(&mut self, is_right: bool, shown: impl FnOnce() -> String) {
        self.rows += 1;
        if is_right {
            self.right += 1;
        } else {
            self.misses.push(shown());
        }
    }

    /// Prints the share (and the misses, if asked), and fails below the share already reached.
    pub(crate) fn at_least(self, share: f64) {
        let reached = f64::from(self.right) / f64::from(self.rows.max(1));
        eprintln!("{}: {reached:.4} of {}", self.name, self.rows);
        if std::env::var_os("TRAWL_MISSES").is_some() {
            for miss in &self.misses {
                eprintln!("  {miss}");
            }
        }
        assert!(
            reached >= share,
            "{}: {reached:.4}, was {share} before; misses: {:#?}",
            self.name,
            self.misses
        );
    }
}

/// An address as the scorer compares it: without scheme, `www.`, fragment and a slash at the end.
pub(crate) fn address(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_start_matches("www.").to_owned();
    let query = url.query().map_or_else(String::new, |q| format!("?{q}"));
    format!("{host}{}{query}", url.path().trim_end_matches('/'))
}
