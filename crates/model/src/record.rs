//! One row of result, as the JSON text that is stored and downloaded verbatim.

use crate::{Failure, Input, Timestamp};
use serde_json::{Map, Value};

/// One record: the root input it counts for, and its JSON object as one line of text without a line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Row number in the trigger, for `limit_per_input`.
    pub root: u64,
    /// One JSON object, no line feed.
    pub json: String,
}

/// Adds `timestamp`, `input` and, for what was found, `discovery_input` behind the scraper's fields, and picks
/// `custom_output_fields` if there are any (api.md 10.1, 15.11).
///
/// `raw` fields keep their text: `input` is shown exactly as the caller sent it.
pub fn record_json(
    fields: Map<String, Value>,
    input: &Input,
    at: Timestamp,
    only: Option<&[String]>,
) -> String {
    let mut row = fields;
    row.insert("timestamp".into(), Value::String(at.to_string()));
    row.insert("input".into(), parse_row(&input.row));
    if let Some(discovery) = &input.discovery {
        row.insert("discovery_input".into(), parse_row(discovery));
    }
    let row = match only {
        Some(paths) => pick(&row, paths),
        None => row,
    };
    Value::Object(row).to_string()
}

/// The four keys of an error row (api.md 10.2).
pub fn error_json(input_row: &str, failure: &Failure, at: Timestamp) -> String {
    let mut row = Map::with_capacity(4);
    row.insert("timestamp".into(), Value::String(at.to_string()));
    row.insert("input".into(), parse_row(input_row));
    row.insert("error".into(), Value::String(failure.message.clone()));
    row.insert("error_code".into(), Value::String(failure.code.as_str().into()));
    Value::Object(row).to_string()
}

fn parse_row(text: &str) -> Value {
    // An input row was parsed when it was accepted; what cannot be read again is shown as text rather than lost.
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Keeps only the listed fields; a dotted path keeps its nesting. What is missing in the row stays missing.
pub fn pick(row: &Map<String, Value>, paths: &[String]) -> Map<String, Value> {
    let mut out = Map::new();
    for path in paths {
        if let Some(value) = row.get(path) {
            out.insert(path.clone(), value.clone());
            continue;
        }
        let parts: Vec<&str> = path.split('.').collect();
        if parts.len() > 1
            && let Some(value) = parts.iter().try_fold(None::<&Value>, |at, part| match at {
                None => row.get(*part).map(Some),
                Some(Value::Object(map)) => map.get(*part).map(Some),
                Some(_) => None,
            })
            && let Some(value) = value
        {
            place(&mut out, &parts, value.clone());
        }
    }
    out
}

fn place(out: &mut Map<String, Value>, parts: &[&str], value: Value) {
    match parts {
        [] => {}
        [last] => {
            out.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = out.entry(*first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = inner {
                place(map, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn dotted_paths_keep_their_nesting() {
        let row = object(json!({"url": "u", "about": {"updated_on": 1, "by": 2}, "a.b": 3}));
        let paths = ["about.updated_on", "url", "a.b", "nothing.here"].map(String::from);
        assert_eq!(
            Value::Object(pick(&row, &paths)),
            json!({"about": {"updated_on": 1}, "url": "u", "a.b": 3})
        );
    }

    #[test]
    fn a_record_ends_with_its_metadata() {
        let input = Input::given(0, r#"{"url":"http://a/"}"#.into(), "a".into());
        let text = record_json(object(json!({"title": "x"})), &input, Timestamp::from_ms(0), None);
        assert_eq!(
            text,
            r#"{"title":"x","timestamp":"1970-01-01T00:00:00.000Z","input":{"url":"http://a/"}}"#
        );
    }
}
