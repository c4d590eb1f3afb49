//! The search of a site: the address of the results for a keyword, from its front page.
//!
//! Must not know: the results. In order: the search action of its structured data, then its search form.

use crate::said::Said;
use crate::value::url as address;
use html::Node;
use serde_json::Value;
use url::Url;

/// Names of fields that take what is searched for, likeliest first.
const NAMES: [&str; 20] = [
    "q",
    "query",
    "s",
    "search",
    "keyword",
    "keywords",
    "search_query",
    "searchterm",
    "search_term",
    "term",
    "text",
    "k",
    "kw",
    "searchtext",
    "wd",
    "word",
    "st",
    "p",
    "w",
    "suche",
];

/// The address of the results for a keyword; `None` if the page offers no search that a link can ask.
pub(crate) fn search(said: &Said<'_>, base: &Url, keyword: &str) -> Option<Url> {
    action(said, base, keyword).or_else(|| form(said.root, base, keyword))
}

/// schema.org's `SearchAction`: a template with the keyword's place in braces.
fn action(said: &Said<'_>, base: &Url, keyword: &str) -> Option<Url> {
    let targets = said.values("SearchAction", "target");
    targets.into_iter().find_map(|target| {
        let template = match target {
            Value::String(text) => text.as_str(),
            Value::Object(map) => map.get("urlTemplate").or_else(|| map.get("@id"))?.as_str()?,
            _ => return None,
        };
        let (before, rest) = template.split_once('{')?;
        let (_, behind) = rest.split_once('}')?;
        let encoded: String = url::form_urlencoded::byte_serialize(keyword.as_bytes()).collect();
        address::resolve(base, &format!("{before}{encoded}{behind}"))
    })
}

/// The form that looks most like a search.
fn form(root: Node<'_>, base: &Url, keyword: &str) -> Option<Url> {
    let forms = root.descendants().filter(|n| n.name() == "form").take(100);
    let mut best: Option<(u32, Node<'_>, &str)> = None;
    for form in forms {
        if form.attr("method").is_some_and(|m| m.eq_ignore_ascii_case("post")) {
            continue;
        }
        let Some((weight, field)) = field(form) else { continue };
        let weight = weight + if is_search(form) { 10 } else { 0 };
        if best.is_none_or(|(w, _, _)| weight > w) {
            best = Some((weight, form, field));
        }
    }
    let (_, form, field) = best?;
    let mut url = address::resolve(base, form.attr("action").unwrap_or_default())
        .filter(|_| form.attr("action").is_some_and(|a| !a.trim().is_empty()))
        .unwrap_or_else(|| base.clone());
    url.set_fragment(None);
    {
        let mut query = url.query_pairs_mut();
        query.clear();
        for hidden in
            form.descendants().filter(|n| n.name() == "input" && n.attr("type") == Some("hidden")).take(50)
        {
            if let (Some(name), Some(value)) = (hidden.attr("name"), hidden.attr("value")) {
                query.append_pair(name, value);
            }
        }
        query.append_pair(field, keyword);
    }
    Some(url)
}

/// The field for the keyword, and how sure it is one.
fn field<'p>(form: Node<'p>) -> Option<(u32, &'p str)> {
    let mut best: Option<(u32, &str)> = None;
    for input in form.descendants().filter(|n| n.name() == "input").take(100) {
        let kind = input.attr("type").unwrap_or("text").to_ascii_lowercase();
        let Some(name) = input.attr("name").filter(|n| !n.is_empty()) else { continue };
        let mut weight = match kind.as_str() {
            "search" => 8,
            "text" => 0,
            _ => continue,
        };
        if let Some(at) = NAMES.iter().position(|n| n.eq_ignore_ascii_case(name)) {
            weight += 6 - u32::try_from(at / 4).unwrap_or(5);
        } else if name.to_ascii_lowercase().contains("search") || name.to_ascii_lowercase().contains("query")
        {
            weight += 4;
        }
        if is_search(input) {
            weight += 3;
        }
        if weight > 0 && best.is_none_or(|(w, _)| weight > w) {
            best = Some((weight, name));
        }
    }
    best
}

fn is_search(node: Node<'_>) -> bool {
    let said = ["role", "class", "id", "action", "name", "placeholder", "aria-label"];
    said.iter().filter_map(|key| node.attr(key)).any(|text| {
        let low = text.to_lowercase();
        ["search", "such", "recherche", "buscar", "cerca", "zoek", "поиск", "szukaj", "検索", "搜索", "sök"]
            .iter()
            .any(|w| low.contains(w))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structured;
    use html::Document;
    use std::collections::HashMap;

    fn of(html: &str, keyword: &str) -> Option<String> {
        let doc = Document::parse(html);
        let ld: Vec<Value> = doc
            .root()
            .descendants()
            .filter(|n| n.attr("type") == Some("application/ld+json"))
            .filter_map(|n| structured::parse_json(&n.text()))
            .collect();
        let none = HashMap::new();
        let said = Said {
            root: doc.root(),
            ld: &ld,
            ld_ids: &none,
            microdata: &[],
            microdata_ids: &none,
            rdfa: &[],
            rdfa_ids: &none,
        };
        search(&said, &Url::parse("https://site.example/").unwrap(), keyword).map(String::from)
    }

    #[test]
    fn forms() {
        let form = "<form action=/login method=post><input name=q></form><form action=/news><input name=email></form>
            <form role=search action='/find?old=1'><input type=hidden name=lang value=en><input name=q><input type=submit></form>";
        assert_eq!(
            of(form, "red & blue").as_deref(),
            Some("https://site.example/find?lang=en&q=red+%26+blue")
        );
        assert_eq!(
            of("<form><input type=search name=s></form>", "x").as_deref(),
            Some("https://site.example/?s=x")
        );
        assert_eq!(of("<form action=/subscribe><input name=email></form>", "x"), None);
    }

    #[test]
    fn actions() {
        let html = r#"<script type="application/ld+json">{"@type":"WebSite","potentialAction":{"@type":"SearchAction",
            "target":{"@type":"EntryPoint","urlTemplate":"https://site.example/s?k={search_term_string}&x=1"}}}</script>"#;
        assert_eq!(of(html, "ä b").as_deref(), Some("https://site.example/s?k=%C3%A4+b&x=1"));
    }
}
