//! One row to collect.

use crate::{Timestamp, Trail};
use serde::{Deserialize, Serialize};

/// One row to collect: a row of the caller, or one found by discovery.
///
/// Invariant: `row` is one JSON object, exactly what a record's `input` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Row number in the trigger, from 0. Found inputs keep the number of the row that led to them.
    #[serde(rename = "i")]
    pub root: u64,
    /// The row as JSON text.
    #[serde(rename = "r")]
    pub row: String,
    /// Lane: the host (with its port if it is not the scheme's own) whose pace this input keeps.
    #[serde(rename = "h")]
    pub host: String,
    /// Page kind of the scraper that reads the answer; empty for the start page of the trigger's door.
    #[serde(rename = "k", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The caller's row as JSON text, if this input was found: a record's `discovery_input`.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<String>,
    /// A record begun on the page that led here, as JSON text, to be completed.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<String>,
    /// Pages followed from the caller's row to here; bounds endless "next" links.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// How often it failed and was put back.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// How often it was put back for a fault that was not the site's.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub detours: u32,
    /// True for what was found to be collected (counts as found); false for the caller's rows and listing pages.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
    /// What the listing pages before it were like.
    #[serde(rename = "t", default, skip_serializing_if = "Trail::is_new")]
    pub trail: Trail,
    /// When the sitemap that led here says that the page was last changed, at the latest.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Input {
    /// A row of the caller.
    pub fn given(root: u64, row: String, host: String) -> Self {
        Self {
            root,
            row,
            host,
            kind: String::new(),
            discovery: None,
            begun: None,
            depth: 0,
            failures: 0,
            detours: 0,
            found: false,
            trail: Trail::default(),
            modified: None,
        }
    }
}
