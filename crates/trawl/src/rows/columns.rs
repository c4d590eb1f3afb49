//! The columns of a snapshot's rows, and their types: from the output schema of the scraper's version that the run began
//! with, and from what was asked for.

use extract::Scraper;
use model::{Column, ColumnKind, Door, Snapshot};

/// The columns with their types. Keys that no schema knows are JSON, and so are inputs, which carry what the caller sent.
pub(crate) fn typed(snapshot: &Snapshot, scraper: Option<&Scraper>) -> Vec<Column> {
    names(snapshot, scraper)
        .into_iter()
        .map(|name| {
            let field = scraper.and_then(|s| s.fields().iter().find(|f| f.name == name));
            let kind = match (name.as_str(), field) {
                ("timestamp", _) => ColumnKind::Moment,
                ("error" | "error_code", _) => ColumnKind::Text,
                ("url", _) if snapshot.trigger.discover_only => ColumnKind::Text,
                (_, Some(field)) => field.shape.clone(),
                (_, None) => ColumnKind::Json,
            };
            Column { name, kind }
        })
        .collect()
}

pub(super) fn names(snapshot: &Snapshot, scraper: Option<&Scraper>) -> Vec<String> {
    let trigger = &snapshot.trigger;
    let mut columns: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !columns.iter().any(|c| c == name) {
            columns.push(name.to_owned());
        }
    };
    match &trigger.custom_output_fields {
        // A dotted path keeps its nesting: its column is the outermost name, unless the field itself has a dot.
        Some(paths) => {
            for path in paths {
                let whole = scraper.is_some_and(|s| s.fields().iter().any(|f| f.name == *path));
                add(if whole { path } else { path.split('.').next().unwrap_or(path) });
            }
        }
        None => {
            if trigger.discover_only {
                add("url");
            } else {
                for field in scraper.map(Scraper::fields).unwrap_or_default() {
                    add(&field.name);
                }
            }
            add("timestamp");
            add("input");
            if matches!(trigger.door, Door::Discover(_)) && !trigger.discover_only {
                add("discovery_input");
            }
            for extra in &snapshot.extra_columns {
                add(extra);
            }
        }
    }
    if trigger.include_errors {
        ["timestamp", "input", "error", "error_code"].into_iter().for_each(add);
    }
    columns
}
