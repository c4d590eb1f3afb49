//! Microdata (WHATWG HTML, section 5) as JSON items. `itemref` is followed one step.

use crate::limit;
use crate::value::{image, url};
use ::url::Url;
use html::Node;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The top-level items of a page, in order.
pub(crate) fn items(root: Node<'_>, base: &Url) -> Vec<Value> {
    read(root, base, false)
}

/// The same as found, in the JSON form of the HTML standard (5.4): `type`, `id`, and `properties` whose values are lists.
pub(crate) fn standard(root: Node<'_>, base: &Url) -> Value {
    read(root, base, true).iter().map(one_standard).collect()
}

fn read(root: Node<'_>, base: &Url, as_found: bool) -> Vec<Value> {
    let mut left = Left { properties: limit::MICRODATA_ITEMS, bytes: limit::PAGE_BUDGET_BYTES, as_found };
    let mut out = Vec::new();
    for node in root.descendants() {
        if left.none() {
            break;
        }
        if node.is_element() && node.attr("itemscope").is_some() && node.attr("itemprop").is_none() {
            out.push(item(node, root, base, &mut left, 0));
        }
    }
    out
}

fn one_standard(item: &Value) -> Value {
    let Value::Object(map) = item else { return item.clone() };
    let mut out = Map::new();
    let mut properties = Map::new();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("@type", Value::Array(_)) => drop(out.insert("type".into(), value.clone())),
            ("@type", _) => drop(out.insert("type".into(), Value::Array(vec![value.clone()]))),
            ("@id", _) => drop(out.insert("id".into(), value.clone())),
            (_, Value::Array(list)) => {
                properties.insert(key.clone(), list.iter().map(one_standard).collect());
            }
            _ => drop(properties.insert(key.clone(), Value::Array(vec![one_standard(value)]))),
        }
    }
    out.insert("properties".into(), Value::Object(properties));
    Value::Object(out)
}

/// What may still be read of one page: elements within elements would otherwise repeat its text for each level.
struct Left {
    properties: usize,
    bytes: usize,
    /// Values by the letter of the standard, not as pages mean them.
    as_found: bool,
}

impl Left {
    fn none(&self) -> bool {
        self.properties == 0 || self.bytes == 0
    }
}

/// A reference walks the page, so it costs as much as this many properties.
const REFERENCE_COST: usize = 400;

/// Items within items: deeper than anything real, shallow enough for the stack.
const DEPTH: usize = 64;

fn item<'a>(scope: Node<'a>, root: Node<'a>, base: &Url, left: &mut Left, depth: usize) -> Value {
    let mut map = Map::new();
    let kinds: Vec<Value> = scope
        .attr("itemtype")
        .into_iter()
        .flat_map(str::split_ascii_whitespace)
        .take(16)
        .map(|kind| Value::String(kind.to_owned()))
        .collect();
    match kinds.len() {
        0 => {}
        1 => map.extend(kinds.into_iter().map(|kind| ("@type".to_owned(), kind))),
        _ => drop(map.insert("@type".into(), Value::Array(kinds))),
    }
    if let Some(id) = scope.attr("itemid") {
        map.insert("@id".into(), Value::String(id.trim().to_owned()));
    }
    properties(scope, root, base, left, depth, &mut map);
    if let Some(refs) = scope.attr("itemref") {
        for id in refs.split_ascii_whitespace().take(16) {
            left.properties = left.properties.saturating_sub(REFERENCE_COST);
            if left.none() {
                break;
            }
            if let Some(node) = root.descendants().find(|n| n.attr("id") == Some(id)) {
                property(node, root, base, left, depth, &mut map);
                if node.attr("itemscope").is_none() {
                    properties(node, root, base, left, depth, &mut map);
                }
            }
        }
    }
    Value::Object(map)
}

/// The properties below a node, without those of items within it.
fn properties<'a>(
    scope: Node<'a>,
    root: Node<'a>,
    base: &Url,
    left: &mut Left,
    depth: usize,
    map: &mut Map<String, Value>,
) {
    let mut at = scope.first_child();
    while let Some(node) = at {
        if left.none() {
            return;
        }
        property(node, root, base, left, depth, map);
        let inner = if node.attr("itemscope").is_some() { None } else { node.first_child() };
        at = inner.or_else(|| after(node, scope));
    }
}

/// The node behind `node` and all below it, within `scope`.
fn after<'a>(node: Node<'a>, scope: Node<'a>) -> Option<Node<'a>> {
    let mut at = node;
    while at != scope {
        if let Some(next) = at.next_sibling() {
            return Some(next);
        }
        at = at.parent()?;
    }
    None
}

fn property<'a>(
    node: Node<'a>,
    root: Node<'a>,
    base: &Url,
    left: &mut Left,
    depth: usize,
    map: &mut Map<String, Value>,
) {
    let Some(names) = node.attr("itemprop") else { return };
    left.properties = left.properties.saturating_sub(1);
    let value = if node.attr("itemscope").is_some() {
        if depth >= DEPTH {
            return;
        }
        item(node, root, base, left, depth + 1)
    } else {
        let text = if left.as_found { written(node, base) } else { text(node, base) };
        left.bytes = left.bytes.saturating_sub(text.len());
        Value::String(text)
    };
    for name in names.split_ascii_whitespace() {
        match map.get_mut(name) {
            None => {
                map.insert(name.to_owned(), value.clone());
            }
            Some(Value::Array(list)) => list.push(value.clone()),
            Some(first) => {
                let both = vec![first.take(), value.clone()];
                *first = Value::Array(both);
            }
        }
    }
}

/// The value of a property element (5.2.4 of the standard).
fn written(node: Node<'_>, base: &Url) -> String {
    let address = |key: &str| {
        let reference = node.attr(key).unwrap_or_default().trim();
        // An absolute address stays as it is written.
        if Url::parse(reference).is_ok() || reference.is_empty() {
            return reference.to_owned();
        }
        if reference.starts_with("//") {
            return format!("{}:{reference}", base.scheme());
        }
        // Within a relative path a doubled slash is one, as other extractors have it.
        let path = reference.find(['?', '#']).unwrap_or(reference.len());
        let is_relative = !reference.starts_with('/') && reference[..path].contains("//");
        let mended = || format!("{}{}", reference[..path].replace("//", "/"), &reference[path..]);
        let reference = if is_relative { Cow::Owned(mended()) } else { Cow::Borrowed(reference) };
        url::resolve(base, &reference).map_or_else(|| reference.into_owned(), String::from)
    };
    let attr = |key: &str| node.attr(key).map(str::to_owned);
    match node.name() {
        "meta" => attr("content").unwrap_or_default(),
        "audio" | "embed" | "iframe" | "img" | "source" | "track" | "video" => address("src"),
        "a" | "area" | "link" => address("href"),
        "object" => address("data"),
        "data" | "meter" => attr("value").unwrap_or_default(),
        "time" => attr("datetime").unwrap_or_else(|| node.text()),
        // Beyond the standard, as pages write it.
        _ => attr("content").unwrap_or_else(|| node.text()),
    }
}

/// The value of a property element (5.2.4 of the standard), with `content` believed on every element.
fn text(node: Node<'_>, base: &Url) -> String {
    let absolute = |reference: Option<&str>| {
        reference
            .map(|r| url::resolve(base, r).map_or_else(|| r.trim().to_owned(), String::from))
            .unwrap_or_default()
    };
    if let Some(content) = node.attr("content") {
        return content.trim().to_owned();
    }
    match node.name() {
        "img" => absolute(image::source(|name| node.attr(name))),
        "audio" | "embed" | "iframe" | "source" | "track" | "video" => absolute(node.attr("src")),
        "a" | "area" | "link" => absolute(node.attr("href")),
        "object" => absolute(node.attr("data")),
        "data" | "meter" => node.attr("value").unwrap_or_default().trim().to_owned(),
        "time" if node.attr("datetime").is_some() => {
            node.attr("datetime").unwrap_or_default().trim().to_owned()
        }
        _ => node.visible_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_within_items() {
        let page = html::Document::parse(
            "<div itemscope itemtype='https://schema.org/Product' itemref=more><h1 itemprop=name> A  b </h1>\
             <img itemprop=image src=/1.jpg><img itemprop=image src=/2.jpg>\
             <div itemprop=offers itemscope itemtype='https://schema.org/Offer'><meta itemprop=price content=5></div></div>\
             <p id=more itemprop=sku>X</p>",
        );
        let base = Url::parse("https://a.example/").unwrap();
        assert_eq!(
            items(page.root(), &base),
            [json!({"@type": "https://schema.org/Product", "name": "A b",
                "image": ["https://a.example/1.jpg", "https://a.example/2.jpg"],
                "offers": {"@type": "https://schema.org/Offer", "price": "5"}, "sku": "X"})]
        );
    }
}
