//! Pages → records, by scraper files. Pure: a scraper is a function of its page.
//!
//! Owns: the scraper file (parsed, checked, compiled), input schemas, planning, extraction, structured data, values.
//! Must not know: I/O, async, clocks. "2 hours ago" is read against `page.fetched_at`.
//!
//! Reading order: `spec` (what a compiled file is), `file` (how it is compiled), `schema` (how a row is believed),
//! `scraper` (what the server calls), `page` (how a page is read), `structured` and `value` (what it is read with).
#![warn(missing_docs)]

mod article;
mod cases;
mod content;
mod docs;
mod explain;
mod feed;
mod file;
mod jsonpath;
pub mod limit;
mod line;
mod listing;
mod login;
mod markdown;
mod page;
mod pagination;
mod product;
mod recipe;
mod refusal;
mod refused;
mod rendered;
mod said;
mod schema;
mod scraper;
mod shell;
mod spec;
mod structured;
mod template;
mod trap;
pub mod value;
mod walk;

pub use article::{Article, article};
pub use cases::{Case, CaseError, CaseResult, never_found, run_cases};
pub use content::{LearningRow, MainContent, learning_rows, main_content};
pub use docs::docs_page;
pub use explain::{ExplainError, Explanation, Outcome, Place, Rule, Trace, Try, Within};
pub use file::json_schema;
pub use jsonpath::{JsonPath, JsonPathError};
pub use listing::listing;
pub use login::{Login, Secrets, Session, is_name as is_secret_name};
pub use markdown::markdown;
pub use pagination::{Pagination, pagination};
pub use recipe::Recipe;
pub use refusal::{Refusal, RefusalKind, refusal};
pub use scraper::Scraper;
pub use shell::{Shell, shell};
pub use spec::{DoorSpec, FieldSpec, InputSpec, InputType};

use serde_json::{Map, Value};

/// What is wrong with a header line that goes with the requests for pages; `None` if nothing is.
pub fn header_fault(name: &str, value: &str) -> Option<String> {
    file::header_fault(name, value)
}

/// One error of a scraper file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// `[field, reason]` of a validation error (api.md 2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field of the row.
    pub field: String,
    /// Why it is refused.
    pub reason: String,
}

/// A row that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// The host whose lane it takes.
    pub host: String,
}

/// What reading one page gave. Never an error: what went wrong is in `problem` or `warnings`.
#[derive(Clone, Debug, Default)]
pub struct Extraction {
    /// Records, each with every field of the output schema (null where unknown).
    pub records: Vec<Map<String, Value>>,
    /// Pages it leads to: found inputs and further listing pages.
    pub follow: Vec<Follow>,
    /// The page is of no use: becomes the input's error row.
    pub problem: Option<model::Failure>,
    /// The first page that it leads to beyond a bound: told, not followed.
    pub beyond: Option<(Follow, model::TrailEnd)>,
    /// Values that did not fit their type and such.
    pub warnings: Vec<String>,
}

/// A page that a page leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Absolute, `http` or `https`, without fragment.
    pub url: url::Url,
    /// Page kind that reads it.
    pub kind: String,
    /// A record begun here, to be completed there.
    pub begun: Option<Map<String, Value>>,
    /// True for an input found to be collected, false for a further listing page of the same discovery.
    pub found: bool,
    /// When the sitemap says that the page was last changed, at the latest.
    pub modified: Option<model::Timestamp>,
}
