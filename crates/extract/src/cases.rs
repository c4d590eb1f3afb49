//! Cases of a scraper: saved pages with what they must give, and a difference a person can read.
//!
//! A case is a folder with the page, `input.json` and `expected.json`; the caller reads them (this crate opens no files).
//!
//! `input.json`: `input` (the row), and optionally `door` (default `collect_by_url`), `kind` (page kind of a page that was
//! followed), `url` (where the answer came from; default: what the row asks for), `status` (200), `content_type`
//! (`text/html; charset=utf-8`), `fetched_at` (ISO 8601), `discovery_input`, `begun`, `depth`.
//! `expected.json`: the records as an array, or an object with `records`, `follow` and `problem` (an `error_code`); what
//! is left out must be empty.

use crate::{Extraction, Scraper};
use model::{Door, Failure, Input, Page, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A case, read from its folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of its folder.
    pub name: String,
    /// Bytes of `page.html` (or `page.json`).
    pub page: Vec<u8>,
    /// Text of `input.json`.
    pub input: String,
    /// Text of `expected.json`.
    pub expected: String,
}

/// Why a case could not be run at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseError {
    /// `input.json` cannot be read.
    Input(String),
    /// `expected.json` is not JSON.
    Expected(String),
    /// The row is refused, or cannot be planned.
    Row(String),
}

/// How a case went.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// Name of the case.
    pub name: String,
    /// One line per place that differs, `records[0].price: expected 5, got null`; empty if it passed.
    pub difference: Vec<String>,
    /// Warnings of the extraction.
    pub warnings: Vec<String>,
    /// What the page gave, in the form of `expected.json`.
    pub got: Value,
    /// It could not be run.
    pub error: Option<CaseError>,
    /// Selectors (CSS, XPath, JSON path) that were looked with, by their line and column in the file, and whether they found anything.
    pub tried: BTreeMap<(usize, usize), bool>,
}

/// Selectors that were looked with in some of the cases and found nothing in any: line and column, in order.
pub fn never_found(results: &[CaseResult]) -> Vec<(usize, usize)> {
    let mut all: BTreeMap<(usize, usize), bool> = BTreeMap::new();
    for (at, has_found) in results.iter().flat_map(|r| &r.tried) {
        *all.entry(*at).or_default() |= has_found;
    }
    all.into_iter().filter(|(_, has_found)| !has_found).map(|(at, _)| at).collect()
}

impl CaseResult {
    /// Did it give what was expected?
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.difference.is_empty()
    }

    /// What it gave, as the shortest `expected.json` that says the same.
    pub fn expectation(&self) -> Value {
        let mut short = self.got.as_object().cloned().unwrap_or_default();
        short.retain(|_, value| !value.is_null() && *value != json!([]));
        match short.get("records") {
            Some(records) if short.len() == 1 => records.clone(),
            _ => Value::Object(short),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseInput {
    input: Map<String, Value>,
    door: Option<String>,
    #[serde(default)]
    kind: String,
    url: Option<url::Url>,
    status: Option<u16>,
    content_type: Option<String>,
    fetched_at: Option<String>,
    discovery_input: Option<Map<String, Value>>,
    begun: Option<Map<String, Value>>,
    #[serde(default)]
    depth: u32,
}

/// Runs cases against a scraper.
pub fn run_cases(scraper: &Scraper, cases: &[Case]) -> Vec<CaseResult> {
    cases
        .iter()
        .map(|case| match run(scraper, case) {
            Ok(result) => result,
            Err(error) => CaseResult {
                name: case.name.clone(),
                difference: Vec::new(),
                warnings: Vec::new(),
                got: Value::Null,
                error: Some(error),
                tried: BTreeMap::new(),
            },
        })
        .collect()
}

fn run(scraper: &Scraper, case: &Case) -> Result<CaseResult, CaseError> {
    let said: CaseInput = serde_json::from_str(&case.input).map_err(|e| CaseError::Input(e.to_string()))?;
    let expected: Value =
        serde_json::from_str(&case.expected).map_err(|e| CaseError::Expected(e.to_string()))?;
    let door = match said.door.as_deref() {
        None | Some("collect_by_url") => Door::Collect,
        Some(name) => match name.strip_prefix("discover_by_") {
            Some(method) => Door::Discover(method.to_owned()),
            None => return Err(CaseError::Input(format!("`{name}` is not a door"))),
        },
    };
    let host = if said.kind.is_empty() {
        let believed = scraper.believe(&door, &said.input, &[]).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.reason)).collect();
            CaseError::Row(lines.join("; "))
        })?;
        believed.host
    } else {
        String::new()
    };
    let text = |map: &Map<String, Value>| Value::Object(map.clone()).to_string();
    let mut input = Input::given(0, text(&said.input), host);
    input.kind = said.kind;
    input.depth = said.depth;
    input.discovery = said.discovery_input.as_ref().map(text);
    input.begun = said.begun.as_ref().map(text);
    let row = |failure: Failure| CaseError::Row(failure.message);
    let url = match said.url {
        Some(url) => url,
        None => scraper.plan(&door, &input).map_err(row)?.url,
    };
    let fetched_at = match &said.fetched_at {
        Some(text) => {
            Timestamp::parse(text).ok_or_else(|| CaseError::Input(format!("`{text}` is not a moment")))?
        }
        None => Timestamp::from_ms(0),
    };
    let content_type = said.content_type.unwrap_or_else(|| "text/html; charset=utf-8".into());
    let page = Page {
        url,
        status: said.status.unwrap_or(200),
        headers: vec![("content-type".into(), content_type)],
        wire_bytes: u64::try_from(case.page.len()).unwrap_or(u64::MAX),
        extras: model::Extras::default(),
        body: case.page.clone().into(),
        fetched_at,
    };
    let (extraction, tried) = scraper.read(&door, &input, &page, true);
    let got = shown(&extraction);
    let mut difference = Vec::new();
    compare("", &normal(expected), &got, &mut difference);
    Ok(CaseResult {
        name: case.name.clone(),
        difference,
        warnings: extraction.warnings,
        got,
        error: None,
        tried,
    })
}

fn shown(extraction: &Extraction) -> Value {
    let follow: Vec<Value> = extraction
        .follow
        .iter()
        .map(|f| {
            let mut out = json!({"url": f.url.as_str(), "kind": f.kind, "found": f.found});
            if let (Some(begun), Some(map)) = (&f.begun, out.as_object_mut()) {
                map.insert("begun".into(), Value::Object(begun.clone()));
            }
            out
        })
        .collect();
    json!({
        "records": extraction.records,
        "follow": follow,
        "problem": extraction.problem.as_ref().map(|p| p.code.as_str()),
    })
}

/// The long form of what `expected.json` says.
fn normal(expected: Value) -> Value {
    let mut map = match expected {
        Value::Array(records) => Map::from_iter([("records".to_owned(), Value::Array(records))]),
        Value::Object(map) => map,
        other => return other,
    };
    for (key, empty) in [("records", json!([])), ("follow", json!([])), ("problem", Value::Null)] {
        map.entry(key).or_insert(empty);
    }
    Value::Object(map)
}

/// Lines of difference kept of one case.
const LINES: usize = 50;

fn compare(path: &str, expected: &Value, got: &Value, out: &mut Vec<String>) {
    if out.len() >= LINES {
        return;
    }
    match (expected, got) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match b.get(key) {
                    Some(other) => compare(&path, value, other, out),
                    None => out.push(format!("{path}: expected {}, got nothing", short(value))),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                out.push(format!("{path}.{key}: not expected, got {}", short(value)));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{i}]"), x, y, out);
            }
            if a.len() != b.len() {
                out.push(format!("{path}: expected {} elements, got {}", a.len(), b.len()));
                for (i, extra) in b.iter().enumerate().skip(a.len()).take(5) {
                    out.push(format!("{path}[{i}]: not expected, got {}", short(extra)));
                }
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{path}: expected {}, got {}", short(a), short(b))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
