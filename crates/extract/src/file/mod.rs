//! A scraper file → [`Spec`], or everything that is wrong with it.
//!
//! Owns: the keys of the file and what they mean together. Must not know: pages.

mod door;
mod field;
mod grammar;
mod identity;
mod page;
mod reader;
mod refused;
pub(crate) mod render;
mod render_grammar;
mod source;

use crate::login::Session;
use crate::login::secret::SecretText;
use crate::spec::{FieldSpec, Spec};
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
    let Fetch { needs, headers, secret_headers, session } = fetch_needs(file);
    if let Some(item) = file.get("fetch").filter(|_| !secret_headers.is_empty() && sites.is_empty()) {
        errors.at(
            item.at,
            "a header with a secret is sent to the scraper's own sites only: the file needs `sites`",
        );
    }
    let login = identity::login(file, &sites, &headers);
    let session = match (session, &login) {
        (Session::Input, Some(_)) => Session::Named("login".into()),
        (session, _) => session,
    };
    let schema = field::schema(file);
    let pages = page::pages(file, &schema);
    let names: Vec<&str> = pages.iter().map(|p| p.name.as_str()).collect();
    let (doors, door_specs) = door::doors(file, &names);
    let hints = refused::hints(file);
    let refusals = file.boolean("refusals").unwrap_or(true);
    let fields = schema.specs;
    let key = key(file, &fields);
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
        secret_headers,
        session,
        login,
        doors,
        door_specs,
        pages,
        fields,
        hints,
        refusals,
        key,
        scripts: errors.scripts(),
    })
}

/// The fields by which a record is the same record in another run.
fn key(file: &Table<'_>, fields: &[FieldSpec]) -> Vec<String> {
    let key = file.texts("key");
    if let Some(list) = file.get("key") {
        let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        for (item, name) in list.elements().iter().zip(&key) {
            if !known.contains(&name.as_str()) {
                let hint = reader::nearest(name, &known).map_or_else(
                    || format!("; fields: {}", known.join(", ")),
                    |k| format!("; did you mean `{k}`?"),
                );
                file.errors.at(item.at, format!("`key` names `{name}`, which is not a field{hint}"));
            }
        }
    }
    key
}

/// Ids stand in URLs, CSV cells and file names.
fn bad_id(id: &str) -> Option<String> {
    let fits = !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    (!fits).then(|| format!("`{id}` is not an id: letters, digits, `_`, `-` and `.` only"))
}

/// What `[fetch]` says.
#[derive(Default)]
struct Fetch {
    needs: model::Needs,
    headers: Vec<(String, String)>,
    secret_headers: Vec<(String, SecretText)>,
    session: Session,
}

/// `[fetch] cache` and `revalidate`.
fn reuse(table: &Table<'_>) -> model::Reuse {
    let max_age_ms = table.get("cache").and_then(|item| {
        let text = item.text("`cache`", table.errors)?;
        let age = if text.trim() == "0" { Some(0) } else { model::duration_ms(text) };
        if age.is_none() {
            table.errors.at(
                item.at,
                format!("`cache` must be an age such as \"30min\", \"1h\" or \"7d\", not \"{text}\""),
            );
        }
        age
    });
    model::Reuse { revalidate: table.boolean("revalidate"), max_age_ms }
}

fn fetch_needs(file: &Table<'_>) -> Fetch {
    let Some(item) = file.get("fetch") else { return Fetch::default() };
    // `fetch = "auto"` says the mode and nothing else.
    if let Some(how) = render::word(item, file) {
        return Fetch {
            needs: model::Needs { mode: how.mode, ..model::Needs::default() },
            ..Fetch::default()
        };
    }
    let Some(table) = item.table("`[fetch]`", file.errors) else { return Fetch::default() };
    let how = render::of_table(&table);
    let (session, exit, user_agent) = identity::fetch_keys(&table);
    let needs = model::Needs {
        host_concurrency: table.whole("host_concurrency", 1..1_001).and_then(|n| u32::try_from(n).ok()),
        host_delay_ms: table.whole("host_delay_ms", 0..86_400_001).and_then(|n| u64::try_from(n).ok()),
        robots: table.word(
            "robots",
            &[("respect", model::RobotsPolicy::Respect), ("ignore", model::RobotsPolicy::Ignore)],
        ),
        exit,
        archive: table.boolean("archive").unwrap_or(false),
        reuse: reuse(&table),
        mode: how.mode,
        rendering: how.rendering,
        ..model::Needs::default()
    };
    let mut headers: Vec<_> = user_agent.map(|value| ("user-agent".to_owned(), value)).into_iter().collect();
    let mut secret_headers = Vec::new();
    for (name, at, value) in table.named("headers") {
        let Some(text) = identity::secret_text(value, &format!("the header `{name}`"), &table) else {
            continue;
        };
        let plain = value.text("a header", file.errors).unwrap_or_default();
        if let Some(fault) = header_fault(name, plain) {
            file.errors.at(if is_header_name(name) { value.at } else { at }, fault);
        } else if text.names().next().is_some() {
            secret_headers.push((name.to_ascii_lowercase(), text));
        } else {
            headers.push((name.to_ascii_lowercase(), plain.to_owned()));
        }
    }
    table.finish();
    Fetch { needs, headers, secret_headers, session }
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// What is wrong with a header line for pages; also for those of a trigger.
pub(crate) fn header_fault(name: &str, value: &str) -> Option<String> {
    if !is_header_name(name) {
        return Some(format!("`{name}` is not the name of a header"));
    }
    if FETCHER_OWNS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Some(format!("the header `{name}` is the fetcher's own and cannot be set"));
    }
    if value.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Some(format!("the header `{name}` must be one line of visible characters"));
    }
    None
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
