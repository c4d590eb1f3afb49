//! One source of a value: `{ css = "h1" }`, `{ json = "$.a", script = "#state" }`, `{ json_ld = "Product.name" }`, …

use super::reader::{Item, Table, pick_word};
use crate::jsonpath::JsonPath;
use crate::limit;
use crate::spec::{
    ArticleProperty, Content, ItemPath, ListingProperty, Origin, PageProperty, ProductProperty,
    RecipeProperty, Source, Take, Within,
};
use regex::{Regex, RegexBuilder};

/// One source or an array of them, tried in order.
pub(super) fn sources(owner: &Table<'_>, key: &'static str) -> Vec<Source> {
    let Some(item) = owner.get(key) else { return Vec::new() };
    item.elements().into_iter().filter_map(|e| one(e, owner)).collect()
}

pub(super) fn one(item: Item<'_>, owner: &Table<'_>) -> Option<Source> {
    let table = item.table("a source", owner.errors)?;
    let regex = table.get("regex").and_then(|item| pattern(item, "`regex`", &table));
    let had_regex = table.has("regex");
    let mut origins: Vec<(&str, Option<Origin>)> = Vec::new();
    if let Some(item) = table.get("css") {
        origins.push(("css", css(item, &table)));
    }
    if let Some(item) = table.get("xpath") {
        origins.push(("xpath", xpath(item, &table)));
    }
    if let Some(item) = table.get("json") {
        origins.push(("json", json(item, &table)));
    }
    if let Some(item) = table.get("json_ld") {
        origins.push(("json_ld", item_path(item, "`json_ld`", &table).map(Origin::JsonLd)));
    }
    if let Some(item) = table.get("microdata") {
        origins.push(("microdata", item_path(item, "`microdata`", &table).map(Origin::Microdata)));
    }
    if let Some(item) = table.get("rdfa") {
        origins.push(("rdfa", item_path(item, "`rdfa`", &table).map(Origin::Rdfa)));
    }
    if let Some(item) = table.get("meta") {
        let names: Vec<String> = item
            .elements()
            .iter()
            .filter_map(|e| e.text("`meta`", table.errors))
            .map(str::to_lowercase)
            .collect();
        origins.push(("meta", Some(Origin::Meta(names))));
    }
    if let Some(item) = table.get("const") {
        origins.push(("const", Some(Origin::Const(item.json()))));
    }
    if let Some(name) = table.text("input") {
        origins.push(("input", Some(Origin::Input(name.to_owned()))));
    }
    if let Some(name) = table.text("header") {
        origins.push(("header", Some(Origin::Header(name.to_ascii_lowercase()))));
    }
    if let Some(item) = table.get("page") {
        let word = item.text("`page`", table.errors);
        let property = word.and_then(|w| pick_word(item, "page", w, PageProperty::WORDS, table.errors));
        origins.push(("page", property.map(Origin::Page)));
    }
    if let Some(item) = table.get("content") {
        let word = item.text("`content`", table.errors);
        let content = word.and_then(|w| pick_word(item, "content", w, Content::WORDS, table.errors));
        origins.push(("content", content.map(Origin::Content)));
    }
    if let Some(item) = table.get("recipe") {
        let word = item.text("`recipe`", table.errors);
        let property = word.and_then(|w| pick_word(item, "recipe", w, RecipeProperty::WORDS, table.errors));
        origins.push(("recipe", property.map(Origin::Recipe)));
    }
    if let Some(item) = table.get("product") {
        let word = item.text("`product`", table.errors);
        let property = word.and_then(|w| pick_word(item, "product", w, ProductProperty::WORDS, table.errors));
        origins.push(("product", property.map(Origin::Product)));
    }
    if let Some(item) = table.get("article") {
        let word = item.text("`article`", table.errors);
        let property = word.and_then(|w| pick_word(item, "article", w, ArticleProperty::WORDS, table.errors));
        origins.push(("article", property.map(Origin::Article)));
    }
    if let Some(item) = table.get("listing") {
        let word = item.text("`listing`", table.errors);
        let property = word.and_then(|w| pick_word(item, "listing", w, ListingProperty::WORDS, table.errors));
        origins.push(("listing", property.map(Origin::Listing)));
    }
    if let Some(name) = table.text("search") {
        origins.push(("search", Some(Origin::Search(name.to_owned()))));
    }
    let all = table.boolean("all").unwrap_or(false);
    let join = table.text("join").map(str::to_owned);
    let split = table.text("split").filter(|s| !s.is_empty()).map(str::to_owned);
    let whole_page = table.word("scope", &[("row", false), ("page", true)]).unwrap_or(false);
    table.finish();
    let (origin, regex) = match origins.len() {
        // A regular expression alone looks in the whole answer.
        0 if had_regex => (Origin::Body(regex?), None),
        0 => {
            let known = "css, xpath, json, json_ld, microdata, rdfa, meta, regex, const, input, header, page, content, article, \
                         product, recipe, listing, search";
            table.errors.at(table.at, format!("a source needs one of {known}"));
            return None;
        }
        1 => (origins.pop()?.1?, regex),
        _ => {
            let names: Vec<&str> = origins.iter().map(|(name, _)| *name).collect();
            let message =
                format!("a source has one place to look, not {}; write several sources", names.join(" and "));
            table.errors.at(table.at, message);
            return None;
        }
    };
    let at = table.errors.place(table.at);
    Some(Source { origin, all, join, regex, split, whole_page, at })
}

/// A regular expression within its bounds of memory.
pub(super) fn pattern(item: Item<'_>, what: &str, table: &Table<'_>) -> Option<Regex> {
    let text = item.text(what, table.errors)?;
    match RegexBuilder::new(text).size_limit(limit::REGEX_BYTES).dfa_size_limit(limit::REGEX_BYTES).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let last = error.to_string();
            let reason =
                last.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
            table.errors.at(item.at, format!("{what} is not a regular expression: {reason}"));
            None
        }
    }
}

/// A CSS selector without pseudo-elements.
pub(super) fn selector(text: &str, at: usize, table: &Table<'_>) -> Option<html::Selector> {
    match html::Selector::parse(text) {
        Ok(selector) => Some(selector),
        Err(error) => {
            let inside = error.column.saturating_sub(1);
            table.errors.at_column(at, inside, format!("`{text}` is not a CSS selector: {}", error.message));
            None
        }
    }
}

fn css(item: Item<'_>, table: &Table<'_>) -> Option<Origin> {
    let attr = table.text("attr");
    let text = item.text("`css`", table.errors)?;
    let (text, take) = match text.rsplit_once("::") {
        Some((before, "text")) => (before, Take::OwnText),
        Some((before, pseudo)) if pseudo.starts_with("attr(") && pseudo.ends_with(')') => {
            (before, Take::Attr(pseudo[5..pseudo.len() - 1].trim().to_ascii_lowercase()))
        }
        Some((_, pseudo)) => {
            let message = format!("unknown pseudo-element `::{pseudo}`; known: ::text, ::attr(name)");
            table.errors.at(item.text_start(), message);
            return None;
        }
        None => (text, Take::Element),
    };
    let take = match (attr, take) {
        (None, take) => take,
        (Some(name), Take::Element) => Take::Attr(name.to_ascii_lowercase()),
        (Some(_), _) => {
            table.errors.at(table.at, "`attr` and a pseudo-element exclude each other");
            return None;
        }
    };
    // `:scope` alone is the row itself.
    let selector = match text.trim() {
        ":scope" | "" => None,
        text => Some(selector(text, item.text_start(), table)?),
    };
    Some(Origin::Css { selector, take })
}

fn xpath(item: Item<'_>, table: &Table<'_>) -> Option<Origin> {
    let text = item.text("`xpath`", table.errors)?;
    match html::XPath::parse(text) {
        Ok(path) => Some(Origin::XPath(path)),
        Err(error) => {
            let inside = text[..error.offset.min(text.len())].chars().count();
            let message = format!("`{text}` is not an XPath 1.0 expression: {}", error.message);
            table.errors.at_column(item.text_start(), inside, message);
            None
        }
    }
}

fn json(item: Item<'_>, table: &Table<'_>) -> Option<Origin> {
    let script = table.get("script");
    let variable = table.text("variable");
    let text = item.text("`json`", table.errors)?;
    let path = match JsonPath::parse(text) {
        Ok(path) => path,
        Err(error) => {
            let message = format!("`{text}` is not a JSON path: {}", error.message);
            table.errors.at_column(item.text_start(), error.column, message);
            return None;
        }
    };
    let within = match (script, variable) {
        (None, None) => Within::Scope,
        (Some(item), None) => {
            let text = item.text("`script`", table.errors)?;
            let selector = selector(text, item.text_start(), table)?;
            Within::Element { selector, script: table.errors.script(text) }
        }
        (None, Some(name)) => {
            let script = table.errors.script(&format!("{name} ="));
            Within::Variable { name: name.to_owned(), script }
        }
        (Some(_), Some(_)) => {
            table.errors.at(table.at, "`script` and `variable` exclude each other");
            return None;
        }
    };
    Some(Origin::Json { path, within })
}

fn item_path(item: Item<'_>, what: &str, table: &Table<'_>) -> Option<ItemPath> {
    let text = item.text(what, table.errors)?;
    let mut parts = text.split('.').map(str::trim);
    let types: Vec<String> =
        parts.next().unwrap_or_default().split('|').map(|t| t.trim().to_owned()).collect();
    let path: Vec<String> = parts.map(str::to_owned).collect();
    if types.iter().any(String::is_empty) || path.iter().any(String::is_empty) {
        let message =
            format!("{what} is `Type.property.property` (`A|B` for either type, `*` for any), not `{text}`");
        table.errors.at(item.at, message);
        return None;
    }
    Some(ItemPath { types, path })
}
