//! Pages → records, by scraper files. Pure: a scraper is a function of its page.
//!
//! Owns: the scraper file (parsed, checked, compiled), input schemas, planning, extraction, structured data, values.
//! Must not know: I/O, async, clocks. "2 hours ago" is read against `page.fetched_at`.
//!
//! The public surface that the server uses (the author of this crate keeps these signatures):

mod markdown;

use model::{Door, Input, Page, Request};
use serde_json::{Map, Value};
use std::sync::Arc;

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
}

/// A compiled scraper file. Cheap to share, immutable; its version is a digest of the file.
#[derive(Debug)]
pub struct Scraper {
    _private: (),
}

#[expect(unused_variables, reason = "signatures first")]
impl Scraper {
    /// Compiles a file, or says everything that is wrong with it.
    pub fn compile(name: &str, text: &str) -> Result<Arc<Self>, Vec<FileError>> {
        Err(Vec::new())
    }

    /// Believes a row of the caller: every field error at once. `carried` are `custom_input_fields`.
    pub fn believe(
        &self,
        door: &Door,
        row: &Map<String, Value>,
        carried: &[String],
    ) -> Result<Believed, Vec<FieldError>> {
        Err(Vec::new())
    }

    /// What to ask the web for an input.
    pub fn plan(&self, door: &Door, input: &Input) -> Result<Request, model::Failure> {
        Err(model::FailureCode::BadInput.into())
    }

    /// Reads the page of an input.
    pub fn extract(&self, door: &Door, input: &Input, page: &Page) -> Extraction {
        Extraction::default()
    }
}
