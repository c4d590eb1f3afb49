//! Page kinds: what each yields, which links lead on, where the next page is.

use super::field::{Schema, overrides, with_overrides};
use super::reader::{Item, Table};
use super::render;
use super::source::sources;
use crate::limit;
use crate::spec::{FollowRule, Format, Next, PageKind, Yield};
use crate::template::Template;
use model::FetchMode;

/// Reads `[pages.<kind>]`.
pub(super) fn pages(file: &Table<'_>, schema: &Schema) -> Vec<PageKind> {
    let named = file.named("pages");
    if named.is_empty() {
        file.missing("pages", "at least one [pages.<kind>] table");
    }
    let names: Vec<&str> = named.iter().map(|(name, _, _)| *name).collect();
    named.iter().filter_map(|(name, _, item)| page(name, *item, file, &names, schema)).collect()
}

fn page(name: &str, item: Item<'_>, file: &Table<'_>, names: &[&str], schema: &Schema) -> Option<PageKind> {
    let table = item.table(&format!("the page kind `{name}`"), file.errors)?;
    let format = match table.text("format") {
        None | Some("html") => Format::Html,
        Some("json") => Format::Json,
        Some("feed") => Format::Feed,
        Some(_) => {
            table.word("format", &[("html", ()), ("json", ()), ("feed", ())]);
            Format::Html
        }
    };
    let record = table.boolean("record").unwrap_or(false);
    let rows = sources(&table, "records");
    let has_rows = table.has("records");
    if record && has_rows {
        table
            .errors
            .at(table.at, "a page is one record (`record = true`) or a list of them (`records`), not both");
    }
    let yields = match (record, has_rows) {
        (_, true) => Yield::Rows(rows),
        (true, false) => Yield::Record,
        (false, false) => Yield::Nothing,
    };
    let own = overrides(&table, "fields", schema);
    let follow: Vec<FollowRule> = match table.get("follow") {
        Some(item) => item.elements().into_iter().filter_map(|e| follow(e, &table, names, schema)).collect(),
        None => Vec::new(),
    };
    let next = table.get("next").and_then(|item| next(item, &table));
    let most = i64::from(model::limit::LISTING_PAGES_MAX);
    let max_pages = table.whole("max_pages", 1..most + 1).and_then(|n| u32::try_from(n).ok());
    let how = table.get("fetch").map(|item| render::of_page(item, &table)).unwrap_or_default();
    let capture = table.get("capture").and_then(|item| render::capture(item, &table));
    if table.has("capture") && format != Format::Json {
        table.errors.at(table.at, "a page kind with `capture` reads JSON: it needs `format = \"json\"`");
    }
    if table.has("capture") && matches!(how.mode, Some(FetchMode::Plain | FetchMode::Auto)) {
        table.errors.at(table.at, "a page kind with `capture` is always fetched by the browser");
    }
    if matches!(yields, Yield::Nothing) && follow.is_empty() && !table.has("follow") {
        table.missing("record", "or `records`, or `follow`; a page must lead to something");
    }
    table.finish();
    let mut kind = PageKind {
        name: name.to_owned(),
        format,
        is_brief: false,
        yields,
        fields: with_overrides(schema, &own),
        follow,
        next,
        max_pages: max_pages.unwrap_or(limit::LISTING_PAGES_DEFAULT),
        how,
        capture,
    };
    kind.is_brief = kind.asks_for_no_element();
    Some(kind)
}

fn follow(item: Item<'_>, owner: &Table<'_>, names: &[&str], schema: &Schema) -> Option<FollowRule> {
    let table = item.table("a `follow` rule", owner.errors)?;
    let link = sources(&table, "link");
    if !table.has("link") {
        table.missing("link", "where the address is, such as { css = \"a.item\" }");
    }
    let each = table.has("each").then(|| sources(&table, "each"));
    let words: Vec<(&str, usize)> = names.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    if !table.has("to") {
        table.missing("to", "the page kind that reads the linked page");
    }
    let to = table.word("to", &words);
    let found = table.boolean("found").unwrap_or(false);
    let begin = overrides(&table, "begin", schema);
    table.finish();
    Some(FollowRule { each, link, to: to?, found, begin })
}

fn next(item: Item<'_>, owner: &Table<'_>) -> Option<Next> {
    let table = item.table("`next`", owner.errors)?;
    let link = sources(&table, "link");
    let parameter = table.text("parameter").map(str::to_owned);
    let url = table.get("url");
    let cursor = sources(&table, "cursor");
    let start = table.whole("start", -1_000_000..1_000_001).unwrap_or(1);
    let step = table.whole("step", -1_000_000..1_000_001).unwrap_or(1);
    let ways = usize::from(table.has("link")) + usize::from(parameter.is_some()) + usize::from(url.is_some());
    table.finish();
    if ways != 1 {
        let message = "`next` needs one of `link` (a source), `parameter` (a query parameter that counts or takes \
                       `cursor`) and `url` (a template with {page} or {cursor})";
        table.errors.at(table.at, message);
        return None;
    }
    if let Some(parameter) = parameter {
        return Some(if cursor.is_empty() {
            Next::Count { parameter, start, step }
        } else {
            Next::Cursor { parameter, cursor }
        });
    }
    let Some(url) = url else { return Some(Next::Link(link)) };
    let text = url.text("`url`", table.errors)?;
    match Template::parse(text) {
        Ok(template) => Some(Next::Template { template, start, step, cursor }),
        Err((at, message)) => {
            table.errors.at_column(url.text_start(), at, message);
            None
        }
    }
}
