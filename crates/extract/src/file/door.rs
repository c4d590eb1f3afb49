//! Doors: the ways in, with their input schemas.

use super::reader::{Item, Table};
use super::source::pattern;
use crate::spec::{DoorPlan, DoorSpec, InputSpec, InputType, Target};
use crate::template::Template;
use serde_json::Value;

/// Reads `[doors.<name>]`.
pub(super) fn doors(file: &Table<'_>, pages: &[&str]) -> (Vec<DoorPlan>, Vec<DoorSpec>) {
    let named = file.named("doors");
    if named.is_empty() {
        file.missing("doors", "at least [doors.collect_by_url]");
    }
    let (mut plans, mut specs): (Vec<DoorPlan>, Vec<DoorSpec>) = (Vec::new(), Vec::new());
    for (name, at, item) in named {
        let method = match name.strip_prefix("discover_by_") {
            Some(method) if !method.is_empty() => Some(method.to_owned()),
            None if name == "collect_by_url" => None,
            _ => {
                let message =
                    format!("a door is called `collect_by_url` or `discover_by_<method>`, not `{name}`");
                file.errors.at(at, message);
                continue;
            }
        };
        let Some(table) = item.table(&format!("the door `{name}`"), file.errors) else { continue };
        let made = if table.has("same_as") {
            same_as(name, &table, &plans, &specs)
        } else {
            door(name, &table, pages)
        };
        table.finish();
        if let Some((start, target, spec)) = made {
            plans.push(DoorPlan { method, start, target });
            specs.push(spec);
        }
    }
    (plans, specs)
}

type Made = Option<(usize, Target, DoorSpec)>;

/// A door that takes the same inputs to the same pages as an earlier one.
fn same_as(name: &str, table: &Table<'_>, plans: &[DoorPlan], specs: &[DoorSpec]) -> Made {
    let words: Vec<(&str, usize)> = specs.iter().enumerate().map(|(i, s)| (s.name.as_str(), i)).collect();
    let description = table.text("description");
    let i = table.word("same_as", &words)?;
    let mut spec = specs[i].clone();
    spec.name = name.to_owned();
    if let Some(description) = description {
        spec.description = description.to_owned();
    }
    Some((plans[i].start, plans[i].target.clone(), spec))
}

fn door(name: &str, table: &Table<'_>, pages: &[&str]) -> Made {
    let description = table.text("description").unwrap_or_default().to_owned();
    let words: Vec<(&str, usize)> = pages.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    if !table.has("start") {
        table.missing("start", "the page kind of the first page");
    }
    let start = table.word("start", &words);
    let mut inputs = Vec::new();
    for (name, _, item) in table.named("inputs") {
        inputs.extend(input(name, item, table));
    }
    if inputs.is_empty() {
        table.missing("inputs", "at least one input");
    }
    let target = target(table, &inputs);
    let samples = match table.get("sample") {
        Some(item) => item
            .elements()
            .into_iter()
            .filter_map(|e| match e.json() {
                Value::Object(map) => Some(map),
                _ => {
                    table.errors.at(e.at, "a sample is a table of inputs");
                    None
                }
            })
            .collect(),
        None => Vec::new(),
    };
    Some((start?, target?, DoorSpec { name: name.to_owned(), description, inputs, samples }))
}

fn target(table: &Table<'_>, inputs: &[InputSpec]) -> Option<Target> {
    let Some(item) = table.get("url") else {
        let index = inputs.iter().position(|i| i.kind == InputType::Url && i.required);
        if index.is_none() && !inputs.is_empty() {
            table.missing(
                "url",
                "a template such as \"https://site/search?q={keyword}\", or a required input of type url",
            );
        }
        return index.map(Target::Input);
    };
    let text = item.text("`url`", table.errors)?;
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err((at, message)) => {
            table.errors.at_column(item.text_start(), at, message);
            return None;
        }
    };
    let known: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
    for name in template.names() {
        if !known.contains(&name) {
            let hint = super::reader::nearest(name, &known)
                .map(|k| format!("; did you mean `{k}`?"))
                .unwrap_or_default();
            table.errors.at(item.at, format!("`{{{name}}}` is not an input of this door{hint}"));
        }
    }
    let absolute = ["http://", "https://"]
        .iter()
        .filter_map(|scheme| template.prefix().strip_prefix(scheme))
        .any(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if !absolute && !template.begins_with_url() {
        table
            .errors
            .at(item.at, "`url` must begin with http://, https:// and a host, or with an input as {+name}");
    }
    Some(Target::Template(template))
}

fn input(name: &str, item: Item<'_>, owner: &Table<'_>) -> Option<InputSpec> {
    let table = item.table(&format!("the input `{name}`"), owner.errors)?;
    if !table.has("type") {
        table.missing("type", "one of url, text, number, boolean, array, object, country");
    }
    let kind = table.word("type", InputType::WORDS);
    let spec = InputSpec {
        name: name.to_owned(),
        also: table.texts("also"),
        kind: kind.unwrap_or(InputType::Text),
        required: table.boolean("required").unwrap_or(false),
        description: table.text("description").unwrap_or_default().to_owned(),
        pattern: table.get("pattern").and_then(|item| pattern(item, "`pattern`", &table)),
        choices: table
            .get("enum")
            .map(|item| item.elements().iter().map(Item::json).collect())
            .unwrap_or_default(),
        minimum: table.number("minimum"),
        maximum: table.number("maximum"),
        default: table.get("default").map(|item| item.json()),
    };
    table.finish();
    kind.map(|_| spec)
}
