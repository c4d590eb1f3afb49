//! A scraper file → [`Spec`], or everything that is wrong with it.
//!
//! Owns: the keys of the file and what they mean together. Must not know: pages.

mod door;
mod field;
mod grammar;
mod page;
mod reader;
pub(crate) mod render;
mod render_grammar;
mod source;

use crate::spec::Spec;
use crate::{FileError, limit};
pub use grammar::json_schema;
use reader::{Errors, Table};

/// Compiles a file.
pub(crate) fn compile(text: &str) -> Result<Spec, Vec<FileError>> {
    let errors = Errors::new(text);
    if text.len() > limit::FILE_BYTES {
        errors.at(0, format!("the file is longer than {} bytes", limit::FILE_BYTES));
        return Err(errors.into_list());
    }
    let (root, broken) = toml::de::DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        for error in broken {
            errors.at(error.span().map_or(0, |s| s.start), error.message().to_owned());
        }
        return Err(errors.into_list());
    }
    let spec = whole(&Table::root(&root, &errors));
    match spec {
        Some(spec) if errors.is_empty() => Ok(spec),
        _ => {
            if errors.is_empty() {
                errors.at(0, "the file could not be compiled");
            }
            Err(errors.into_list())
        }
    }
}

fn whole(file: &Table<'_>) -> Option<Spec> {
    let errors = file.errors;
    let required = |key: &'static str, what: &str| {
        let text = file.text(key);
        if text.is_none() && !file.has(key) {
            file.missing(key, what);
        }
        text.unwrap_or_default().to_owned()
    };
    let dataset_id = required("dataset_id", "the id that callers send, such as \"gd_my_shop\"");
    let title = required("title", "a name for people");
    let description = file.text("description").unwrap_or_default().to_owned();
    let aliases = file.texts("aliases");
    let sites = file.texts("sites");
    let carries_extra_inputs = file.boolean("carries_extra_inputs").unwrap_or(false);
    let min_inputs = file.whole("min_inputs", 1..1_000_001).and_then(|n| u64::try_from(n).ok()).unwrap_or(1);
    if let Some(id) = file.get("dataset_id")
        && let Some(problem) = bad_id(&dataset_id)
    {
        errors.at(id.at, problem);
    }
    if let Some(list) = file.get("aliases") {
        for (item, alias) in list.elements().iter().zip(&aliases) {
            if let Some(problem) = bad_id(alias) {
                errors.at(item.at, problem);
            }
        }
    }
    let (needs, headers) = fetch_needs(file);
    let schema = field::schema(file);
    let pages = page::pages(file, &schema);
    let names: Vec<&str> = pages.iter().map(|p| p.name.as_str()).collect();
    let (doors, door_specs) = door::doors(file, &names);
    let fields = schema.specs;
    file.finish();
    Some(Spec {
        dataset_id,
        aliases,
        title,
        description,
        sites,
        carries_extra_inputs,
        min_inputs,
        needs,
        headers,
        doors,
        door_specs,
        pages,
        fields,
        scripts: errors.scripts(),
    })
}

/// Ids stand in URLs, CSV cells and file names.
fn bad_id(id: &str) -> Option<String> {
    let fits = !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    (!fits).then(|| format!("`{id}` is not an id: letters, digits, `_`, `-` and `.` only"))
}

fn fetch_needs(file: &Table<'_>) -> (model::Needs, Vec<(String, String)>) {
    let Some(item) = file.get("fetch") else { return Default::default() };
    // `fetch = "auto"` says the mode and nothing else.
    if let Some(how) = render::word(item, file) {
        return (model::Needs { mode: how.mode, ..model::Needs::default() }, Vec::new());
    }
    let Some(table) = item.table("`[fetch]`", file.errors) else { return Default::default() };
    let how = render::of_table(&table);
    let needs = model::Needs {
        host_concurrency: table.whole("host_concurrency", 1..1_001).and_then(|n| u32::try_from(n).ok()),
        host_delay_ms: table.whole("host_delay_ms", 0..86_400_001).and_then(|n| u64::try_from(n).ok()),
        mode: how.mode,
        rendering: how.rendering,
    };
    let mut headers = Vec::new();
    for (name, at, value) in table.named("headers") {
        let value_text = value.text(&format!("the header `{name}`"), file.errors).unwrap_or_default();
        let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !token {
            file.errors.at(at, format!("`{name}` is not the name of a header"));
        } else if FETCHER_OWNS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            file.errors.at(at, format!("the header `{name}` is the fetcher's own and cannot be set"));
        } else if value_text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            file.errors.at(value.at, format!("the header `{name}` must be one line of visible characters"));
        } else {
            headers.push((name.to_ascii_lowercase(), value_text.to_owned()));
        }
    }
    table.finish();
    (needs, headers)
}

/// Headers that say how bytes travel: a scraper that sets one breaks the connection for others.
const FETCHER_OWNS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "te",
    "upgrade",
    "proxy-authorization",
];
