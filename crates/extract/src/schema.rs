//! Believing input rows: a row against the schema of its door, every field error at once, the reasons of api.md 2.4.
//!
//! Must not know: pages. Invariant: total, and fast for the usual row (`{"url": …}`): one URL parse, no copies.

use crate::spec::{DoorPlan, DoorSpec, InputSpec, InputType, Target};
use crate::{Believed, FieldError, limit};
use serde_json::{Map, Value};
use std::borrow::Cow;
use url::Url;

/// Believes a row. `extra` says whether a key outside of the schema is carried along.
pub(crate) fn believe(
    plan: &DoorPlan,
    door: &DoorSpec,
    row: &Map<String, Value>,
    extra: impl Fn(&str) -> bool,
) -> Result<Believed, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut target: Option<Url> = None;
    for (at, input) in door.inputs.iter().enumerate() {
        let value = value_of(input, row);
        let Some(value) = value.filter(|v| !is_absent(v, input)) else {
            if input.required && input.default.is_none() {
                errors.push(refuse(input, "Required field"));
            }
            continue;
        };
        let is_target = matches!(plan.target, Target::Input(index) if index == at);
        match check(input, value) {
            Ok(url) if is_target => target = url,
            Ok(_) => {}
            Err(reason) => errors.push(refuse(input, reason)),
        }
    }
    for key in row.keys() {
        let known = door.inputs.iter().any(|i| i.name == *key || i.also.contains(key));
        if !known && !extra(key) {
            errors.push(FieldError {
                field: key.clone(),
                reason: format!("This input should not contain a {key} field"),
            });
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let url = match target {
        Some(url) => url,
        None => target_url(plan, door, row).map_err(|(field, reason)| vec![FieldError { field, reason }])?,
    };
    Ok(Believed { host: model::host_of(&url) })
}

/// The first page of a row.
pub(crate) fn target_url(
    plan: &DoorPlan,
    door: &DoorSpec,
    row: &Map<String, Value>,
) -> Result<Url, (String, String)> {
    let get = |name: &str| {
        let input = door.inputs.iter().find(|i| i.name == name)?;
        let given = value_of(input, row).filter(|v| !is_absent(v, input));
        given.or(input.default.as_ref()).cloned()
    };
    let (field, text) = match &plan.target {
        Target::Input(index) => {
            let Some(input) = door.inputs.get(*index) else { return Err(bad_url("url")) };
            let text = match get(&input.name) {
                Some(Value::String(text)) => text,
                _ => return Err((input.name.clone(), "Required field".into())),
            };
            (input.name.clone(), text)
        }
        Target::Template(template) => {
            let first = template.names().next().unwrap_or("url").to_owned();
            (first, template.expand(get))
        }
    };
    parse_url(&text).ok_or_else(|| bad_url(&field))
}

const NOT_A_URL: &str = "This field must be a valid url";

fn bad_url(field: &str) -> (String, String) {
    (field.to_owned(), NOT_A_URL.to_owned())
}

/// An absolute `http` or `https` URL with a host, within its length.
pub(crate) fn parse_url(text: &str) -> Option<Url> {
    if text.len() > limit::URL_BYTES {
        return None;
    }
    let url = Url::parse(text.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| !h.is_empty())).then_some(url)
}

pub(crate) fn value_of<'v>(input: &InputSpec, row: &'v Map<String, Value>) -> Option<&'v Value> {
    row.get(&input.name).or_else(|| input.also.iter().find_map(|name| row.get(name)))
}

/// Null is absent; so is an empty text, which clients send for what they leave out.
fn is_absent(value: &Value, input: &InputSpec) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty() && input.required,
        _ => false,
    }
}

fn refuse(input: &InputSpec, reason: impl Into<String>) -> FieldError {
    FieldError { field: input.name.clone(), reason: reason.into() }
}

/// Checks one value; a URL is given back, so that it is parsed once.
fn check(input: &InputSpec, value: &Value) -> Result<Option<Url>, Cow<'static, str>> {
    let mut url = None;
    let mut number = None;
    match input.kind {
        InputType::Url => {
            url = value.as_str().and_then(parse_url);
            if url.is_none() {
                return Err(NOT_A_URL.into());
            }
        }
        InputType::Text if matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {}
        InputType::Text => return Err("This field must be a text".into()),
        InputType::Number => {
            number = value
                .as_f64()
                .or_else(|| value.as_str()?.trim().parse().ok())
                .filter(|n: &f64| n.is_finite());
            if number.is_none() {
                return Err("This field must be a number".into());
            }
        }
        InputType::Boolean => {
            let word = |t: &str| matches!(t.trim(), "true" | "false" | "True" | "False" | "1" | "0");
            if !value.is_boolean() && !value.as_str().is_some_and(word) {
                return Err("This field must be a boolean".into());
            }
        }
        InputType::Array => match value.as_array() {
            #[expect(clippy::cast_precision_loss, reason = "a row is at most a megabyte")]
            Some(list) => number = Some(list.len() as f64),
            None => return Err("This field must be an array".into()),
        },
        InputType::Object if value.is_object() => {}
        InputType::Object => return Err("This field must be an object".into()),
        InputType::Country => {
            let fits = |t: &str| t.trim().len() == 2 && t.trim().bytes().all(|b| b.is_ascii_alphabetic());
            if !value.as_str().is_some_and(fits) {
                return Err("This field must be a two-letter country code".into());
            }
        }
    }
    if let Some(pattern) = &input.pattern {
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        if !pattern.is_match(&text) {
            return Err(format!("Value should match pattern {}", pattern.as_str()).into());
        }
    }
    if !input.choices.is_empty() && !input.choices.iter().any(|c| same(c, value)) {
        let words: Vec<String> = input.choices.iter().map(plain).collect();
        return Err(format!("Value should be one of {}", words.join(", ")).into());
    }
    if let Some(n) = number {
        let unit = if input.kind == InputType::Array { " elements" } else { "" };
        if let Some(least) = input.minimum.filter(|least| n < *least) {
            return Err(format!("Value should be at least {least}{unit}").into());
        }
        if let Some(most) = input.maximum.filter(|most| n > *most) {
            return Err(format!("Value should be at most {most}{unit}").into());
        }
    }
    Ok(url)
}

/// Equal, also where one is the text of the other (numbers travel as strings).
fn same(choice: &Value, value: &Value) -> bool {
    choice == value || plain(choice) == plain(value)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
