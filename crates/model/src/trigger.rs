//! A request that has been believed: every field checked, every default filled.

use crate::{DatasetId, HiddenLines, Notice, Promise, Reuse, Sealed, SnapshotId, Timestamp};
use serde::{Deserialize, Serialize};

/// The way in to a scraper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// Each input is a page to collect.
    #[default]
    Collect,
    /// Each input leads to pages to collect; the word of `discover_by`.
    Discover(String),
}

impl Door {
    /// The catalogue's word: `collect_by_url`, `discover_by_<method>`.
    pub fn name(&self) -> String {
        match self {
            Self::Collect => "collect_by_url".into(),
            Self::Discover(by) => format!("discover_by_{by}"),
        }
    }
}

/// A request that has been believed. The inputs are apart: they stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// The id as the caller said it (an alias stays the alias).
    pub dataset_id: DatasetId,
    /// Name of the scraper that it meant.
    pub scraper: String,
    /// Version of the scraper's file: the job keeps the version it began with.
    pub scraper_version: String,
    /// The way in.
    pub door: Door,
    /// Put error rows in the result.
    #[serde(default)]
    pub include_errors: bool,
    /// Only these fields, dotted paths allowed.
    #[serde(default)]
    pub custom_output_fields: Option<Vec<String>>,
    /// Keys of input rows that are carried but not part of the schema.
    #[serde(default)]
    pub custom_input_fields: Vec<String>,
    /// Most records for one of the caller's rows.
    #[serde(default)]
    pub limit_per_input: Option<u64>,
    /// Most records in all.
    #[serde(default)]
    pub limit_multiple_results: Option<u64>,
    /// Stop then, keep what there is.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// The rows are the inputs found; nothing is collected.
    #[serde(default)]
    pub discover_only: bool,
    /// Deliver also when nothing was collected.
    #[serde(default)]
    pub force_deliver: bool,
    /// Where the data goes when it is ready (the `endpoint` webhook, the `deliver` object).
    #[serde(default)]
    pub promises: Vec<Promise>,
    /// Who is told that it ended.
    #[serde(default)]
    pub notice: Option<Notice>,
    /// Hold the rows back if the quality gate fails them, until an operator releases them.
    #[serde(default)]
    pub quarantine: bool,
    /// A synchronous call: few inputs and somebody waiting, so it uses the express slots.
    #[serde(default)]
    pub express: bool,
    /// What is wanted beyond the documented API.
    #[serde(default)]
    pub wishes: Wishes,
    /// For the log of the snapshot.
    #[serde(default)]
    pub origin: Origin,
}

/// What a trigger may ask for beyond the documented API: pages kept, only what changed, and the like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Whether kept pages are used instead of fetching anew.
    #[serde(default)]
    pub reuse: Reuse,
    /// The snapshot's rows are only the records that the earlier run did not give, or gave otherwise.
    #[serde(default)]
    pub only_changed: bool,
    /// That earlier run; every record is new if there is none.
    #[serde(default)]
    pub since: Option<SnapshotId>,
    /// Pages are collected in a session of this name, shared by the caller's jobs of this scraper that name it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Header lines for the pages, names in lower case.
    #[serde(default, skip_serializing_if = "HiddenLines::is_empty")]
    pub request_headers: HiddenLines,
    /// Keep every page fetched.
    #[serde(default)]
    pub archive: bool,
    /// Read the pages that this run kept, and ask no site.
    #[serde(default)]
    pub replay: Option<SnapshotId>,
    /// What of the pages is delivered beside the rows.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
}

/// What a page leaves for callers beside its records: a word of `download_fields`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Artifact {
    /// The text of the pages.
    Html,
    /// The archive.
    Warc,
    /// Pictures of rendered pages.
    Screenshot,
}

impl Artifact {
    /// The artifact of that word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "html" => Some(Self::Html),
            "warc" => Some(Self::Warc),
            "screenshot" => Some(Self::Screenshot),
            _ => None,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Warc => "warc",
            Self::Screenshot => "screenshot",
        }
    }
}

impl Trigger {
    /// The credentials of its deliveries and its notice, to be sealed.
    pub fn credentials_mut(&mut self) -> Vec<&mut Sealed> {
        let of_promises = self.promises.iter_mut().flat_map(|promise| promise.destination.credentials_mut());
        of_promises.chain(self.notice.iter_mut().flat_map(|notice| &mut notice.auth_header)).collect()
    }

    /// Runs with the same words here give the same kind of rows: the quality gate compares them with each other.
    pub fn alike(&self) -> String {
        let what = if self.discover_only { "/inputs" } else { "" };
        format!("{}/{}{what}", self.scraper, self.door.name())
    }
}

/// Who triggered, for `GET /datasets/v3/log/{id}` and the list's `trigger`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `API`, `CP` (control panel: the web page), or `SCHEDULE`, whose user is the schedule's id.
    pub kind: String,
    /// Name of the token.
    pub user: String,
    /// Its id: names need not be told apart.
    #[serde(default)]
    pub token: String,
    /// Address of the caller.
    pub ip: String,
    /// Path and query of the request.
    pub trigger_url: String,
}
