//! The documentation page of a scraper, made from its file and its first case: inputs, doors, fields, an example.
//!
//! Must not know: where pages are written. Invariant: the same file and cases give the same page.

use crate::{Case, DoorSpec, InputSpec, Scraper};
use serde_json::Value;
use std::fmt::Write;

/// Characters of a text in the example, past which it is cut.
const TEXT_CHARS: usize = 160;
/// Elements of a list in the example, past which it is cut.
const ELEMENTS: usize = 3;

/// The page, in Markdown.
pub fn docs_page(scraper: &Scraper, cases: &[Case]) -> String {
    let mut out = format!("# {}\n\n{}\n\n", scraper.title(), scraper.description());
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("Dataset `{}`, scraper `{}`.", scraper.dataset_id(), scraper.name()));
    if let Some(site) = scraper.domain() {
        line(format!("Site: {site}."));
    }
    if !scraper.aliases().is_empty() {
        let ids: Vec<String> = scraper.aliases().iter().map(|id| format!("`{id}`")).collect();
        line(format!("Other ids that mean it: {}.", ids.join(", ")));
    }
    line("\n## Doors\n".to_owned());
    for door in scraper.doors() {
        line(door_section(scraper, door));
    }
    line("## Fields\n".to_owned());
    line("| field | type | |\n| --- | --- | --- |".to_owned());
    for field in scraper.fields() {
        let required = if field.required { "Required. " } else { "" };
        line(format!("| `{}` | {} | {required}{} |", field.name, field.type_word, cell(&field.description)));
    }
    if let Some(record) = example(cases) {
        line("\n## Example\n".to_owned());
        line(format!("```json\n{record}\n```"));
    }
    out
}

fn door_section(scraper: &Scraper, door: &DoorSpec) -> String {
    let mut out = format!("### `{}`\n\n", door.name);
    if !door.description.is_empty() {
        let _ = writeln!(out, "{}\n", door.description);
    }
    out.push_str("| input | type | |\n| --- | --- | --- |\n");
    for input in &door.inputs {
        let _ = writeln!(out, "| `{}` | {} | {} |", input.name, input.kind.as_str(), cell(&rules(input)));
    }
    if let Some(sample) = door.samples.first() {
        let query = match door.name.strip_prefix("discover_by_") {
            Some(method) => {
                format!("trigger?dataset_id={}&type=discover_new&discover_by={method}", scraper.dataset_id())
            }
            None => format!("scrape?dataset_id={}", scraper.dataset_id()),
        };
        let body = Value::Array(vec![Value::Object(sample.clone())]).to_string();
        let _ = write!(
            out,
            "\n```sh\ncurl \"$TRAWL/datasets/v3/{query}\" -H \"Authorization: Bearer $TRAWL_API_TOKEN\" \\\n  \
             -H \"Content-Type: application/json\" -d '{}'\n```\n",
            body.replace('\'', "'\\''")
        );
    }
    out
}

/// What an input must be, in words.
fn rules(input: &InputSpec) -> String {
    let mut parts = Vec::new();
    if input.required {
        parts.push("Required.".to_owned());
    }
    if !input.description.is_empty() {
        parts.push(input.description.clone());
    }
    if let Some(pattern) = &input.pattern {
        parts.push(format!("Matches `{pattern}`."));
    }
    if !input.choices.is_empty() {
        let all: Vec<String> = input.choices.iter().map(|c| format!("`{c}`")).collect();
        parts.push(format!("One of {}.", all.join(", ")));
    }
    if let Some(least) = input.minimum {
        parts.push(format!("At least {least}."));
    }
    if let Some(most) = input.maximum {
        parts.push(format!("At most {most}."));
    }
    if let Some(default) = &input.default {
        parts.push(format!("Default: `{default}`."));
    }
    parts.join(" ")
}

/// A text that fits a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The record of the cases that has the most to say.
fn example(cases: &[Case]) -> Option<String> {
    let records = cases.iter().filter_map(|case| {
        let expected: Value = serde_json::from_str(&case.expected).ok()?;
        let records = expected.get("records").unwrap_or(&expected);
        records.as_array()?.first().cloned()
    });
    let filled =
        |record: &Value| record.as_object().map_or(0, |o| o.values().filter(|v| !v.is_null()).count());
    let mut best: Option<Value> = None;
    for record in records {
        if best.as_ref().is_none_or(|b| filled(&record) > filled(b)) {
            best = Some(record);
        }
    }
    serde_json::to_string_pretty(&shortened(best?)).ok()
}

/// Long texts and lists cut.
fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > TEXT_CHARS => {
            Value::String(text.chars().take(TEXT_CHARS).chain(['…']).collect())
        }
        Value::Array(list) => list.into_iter().take(ELEMENTS).map(shortened).collect(),
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(key, value)| (key, shortened(value))).collect())
        }
        other => other,
    }
}
