//! Looking where a source says: what is there, before it is converted to a type.

use super::parts::{Reader, Scope};
use crate::limit;
use crate::spec::{Content, ItemPath, Origin, PageProperty, Source, Take};
use crate::structured::{self, Ids};
use crate::value::{image, text, url as address};
use html::Node;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Something found.
pub(crate) enum Raw<'p> {
    /// An element.
    Node(Node<'p>),
    /// A text, as written.
    Text(Cow<'p, str>),
    /// JSON of the page.
    Json(&'p Value),
    /// Made of the whole page; as large as the page may be.
    Made(Value),
}

impl<'p> Reader<'p> {
    /// What a source finds; only the first thing if not `many`. `regex`, `split` and `join` are applied.
    pub(crate) fn look(&self, source: &Source, scope: Scope<'p>, many: bool) -> Vec<Raw<'p>> {
        let found = self.found(source, scope, many);
        self.note(source, !found.is_empty());
        found
    }

    fn found(&self, source: &Source, scope: Scope<'p>, many: bool) -> Vec<Raw<'p>> {
        let many = many || source.all || source.join.is_some();
        let scope = if source.whole_page { self.whole().unwrap_or(scope) } else { scope };
        let mut found = self.places(&source.origin, scope, many);
        if many {
            found = spread(found);
        }
        if let Some(regex) = &source.regex {
            found = found
                .into_iter()
                .filter_map(|raw| {
                    let text = self.text_of(&raw)?;
                    let hit = regex.captures(&text)?;
                    let hit = hit.get(1).or_else(|| hit.get(0))?.as_str();
                    Some(Raw::Text(Cow::Owned(hit.to_owned())))
                })
                .collect();
        }
        if let Some(mark) = &source.split {
            found = found
                .into_iter()
                .flat_map(|raw| {
                    let text = self.text_of(&raw).unwrap_or_default();
                    let part = |part: &str| Raw::Text(Cow::Owned(part.trim().to_owned()));
                    text.split(mark.as_str()).map(part).take(limit::LIST_ITEMS).collect::<Vec<Raw<'p>>>()
                })
                .collect();
        }
        if let Some(mark) = &source.join {
            let mut joined = String::new();
            for text in found.iter().filter_map(|raw| self.text_of(raw)) {
                if !joined.is_empty() {
                    joined.push_str(mark);
                }
                joined.push_str(&text);
            }
            return if joined.is_empty() { Vec::new() } else { vec![Raw::Text(Cow::Owned(joined))] };
        }
        found.truncate(limit::LIST_ITEMS);
        found
    }

    pub(super) fn places(&self, origin: &Origin, scope: Scope<'p>, many: bool) -> Vec<Raw<'p>> {
        match origin {
            Origin::Css { selector, take } => {
                let Scope::Html(node) = scope else { return Vec::new() };
                let taken = |node: Node<'p>| take_from(node, take);
                match selector {
                    None => taken(node).into_iter().collect(),
                    Some(s) if many => s.select(node).filter_map(taken).take(limit::LIST_ITEMS).collect(),
                    // An element without the attribute, or without text, does not end the search.
                    Some(s) => s.select(node).find_map(taken).into_iter().collect(),
                }
            }
            Origin::XPath(path) => match scope {
                Scope::Html(node) => self.xpath(path, node, many),
                Scope::Json(_) => Vec::new(),
            },
            Origin::Json { path, within } => {
                let Some(value) = self.json_within(within, scope) else { return Vec::new() };
                if many {
                    path.select(value).into_iter().map(Raw::Json).collect()
                } else {
                    path.first(value).map(Raw::Json).into_iter().collect()
                }
            }
            Origin::JsonLd(path) => {
                items(self.ld(), &|| self.ld_ids(), path, many).into_iter().map(plain).collect()
            }
            Origin::Microdata(path) => items(self.microdata(), &|| self.microdata_ids(), path, many),
            Origin::Rdfa(path) => items(self.rdfa(), &|| self.rdfa_ids(), path, many),
            Origin::Meta(names) => {
                let head = self.head();
                let hits = names.iter().flat_map(|name| head.all(name)).map(|c| Raw::Text(Cow::Borrowed(c)));
                hits.take(if many { limit::LIST_ITEMS } else { 1 }).collect()
            }
            Origin::Body(regex) => {
                let body: &'p str = self.parts.body;
                let hits = regex.captures_iter(body).filter_map(|hit| {
                    let hit = hit.get(1).or_else(|| hit.get(0))?;
                    Some(Raw::Text(Cow::Borrowed(&body[hit.range()])))
                });
                hits.take(if many { limit::LIST_ITEMS } else { 1 }).collect()
            }
            Origin::Const(value) => vec![Raw::Made(value.clone())],
            Origin::Input(key) => self.parts.input(key).map(Raw::Json).into_iter().collect(),
            Origin::Page(property) => self.property(*property).map(Raw::Made).into_iter().collect(),
            Origin::Header(name) => {
                let text = self.parts.page.header(name);
                text.map(|t| Raw::Text(Cow::Borrowed(t))).into_iter().collect()
            }
            Origin::Content(content) => self.content(*content).map(Raw::Made).into_iter().collect(),
            Origin::Product(property) => self.product_says(*property).map(Raw::Made).into_iter().collect(),
            Origin::Article(property) => self.article_says(*property).map(Raw::Made).into_iter().collect(),
            Origin::Listing(property) => self.listed(*property, many).into_iter().map(Raw::Made).collect(),
            Origin::Search(input) => self.search(input).map(Raw::Made).into_iter().collect(),
            Origin::Recipe(property) => self.recipe_says(*property).map(Raw::Made).into_iter().collect(),
        }
    }

    /// What an XPath gives: nodes, or what its functions make.
    fn xpath(&self, path: &html::XPath, node: Node<'p>, many: bool) -> Vec<Raw<'p>> {
        let most = if many { limit::LIST_ITEMS } else { 1 };
        match path.evaluate_within(node, &self.work) {
            Ok(html::Value::Nodes(nodes)) => {
                let found = nodes.into_iter().filter_map(|found| match found {
                    html::Found::Node(node) if node.is_element() => Some(Raw::Node(node)),
                    html::Found::Node(_) => {
                        let text = found.string().trim().to_owned();
                        (!text.is_empty()).then_some(Raw::Text(Cow::Owned(text)))
                    }
                    html::Found::Attribute { value, .. } => {
                        let value = value.trim();
                        (!value.is_empty()).then_some(Raw::Text(Cow::Borrowed(value)))
                    }
                });
                found.take(most).collect()
            }
            Ok(html::Value::Boolean(is)) => vec![Raw::Made(Value::Bool(is))],
            Ok(html::Value::Number(n)) if n.is_nan() => Vec::new(),
            Ok(other) => {
                let text = other.string();
                if text.trim().is_empty() { Vec::new() } else { vec![Raw::Text(Cow::Owned(text))] }
            }
            Err(error) => {
                self.warn(|| error.to_string());
                Vec::new()
            }
        }
    }

    fn property(&self, property: PageProperty) -> Option<Value> {
        let page = self.parts.page;
        Some(match property {
            PageProperty::Url => Value::String(page.url.to_string()),
            PageProperty::Host => Value::String(page.url.host_str()?.to_owned()),
            PageProperty::Status => Value::from(page.status),
            PageProperty::Title => Value::String(self.head().title_text()?),
            PageProperty::Language => Value::String(self.head().language_tag()?.to_owned()),
            PageProperty::Canonical => Value::String(self.canonical()?),
            PageProperty::FetchedAt => Value::String(page.fetched_at.to_string()),
        })
    }

    pub(crate) fn canonical(&self) -> Option<String> {
        let href = self.head().canonical?;
        address::resolve(self.base(), href).map(String::from)
    }

    fn content(&self, content: Content) -> Option<Value> {
        let whole = |text: String| {
            (!text.is_empty() && self.spend(text.len()))
                .then(|| Value::String(text::cut(text, limit::PAGE_TEXT_BYTES)))
        };
        match content {
            Content::Markdown => whole(crate::markdown::markdown(self.body(), self.base())),
            Content::MainMarkdown => whole(self.main().markdown(self.base())),
            Content::Text => whole(self.body().visible_text()),
            Content::MainText => whole(self.main().text()),
            Content::Html => whole(self.parts.body.to_owned()),
            Content::MainHtml => whole(self.main().html()),
            Content::Links => Some(self.links()),
            Content::Images => Some(self.images()),
            Content::Metadata => Some(self.head().metadata(self.canonical())),
            Content::LdJson => {
                let lists = self.ld().iter().flat_map(|value| match value {
                    Value::Array(list) => list.as_slice(),
                    one => std::slice::from_ref(one),
                });
                let found: Vec<Value> = lists.take(limit::LIST_ITEMS).cloned().collect();
                (!found.is_empty()).then_some(Value::Array(found))
            }
            Content::OpenGraph => {
                let found = self.head().opengraph();
                (!found.is_empty()).then_some(Value::Object(found))
            }
            Content::Microdata => {
                let items = structured::standard_microdata(self.root(), self.base());
                (items != json!([])).then_some(items)
            }
        }
    }

    fn body(&self) -> Node<'p> {
        self.root().descendants().find(|n| n.name() == "body").unwrap_or_else(|| self.root())
    }

    /// Every link of the page once: address and text.
    fn links(&self) -> Value {
        let mut seen = std::collections::HashSet::new();
        let mut out = Vec::new();
        for node in self.root().descendants().filter(|n| n.name() == "a") {
            let Some(url) = node.attr("href").and_then(|href| address::resolve(self.base(), href)) else {
                continue;
            };
            if out.len() >= limit::LIST_ITEMS || !seen.insert(url.clone()) {
                continue;
            }
            let label = text::cut(text::one_line(&node.text()), limit::SHORT_VALUE_BYTES);
            if !self.spend(label.len() + url.as_str().len()) {
                break;
            }
            let mut link = Map::new();
            link.insert("url".into(), Value::String(url.into()));
            link.insert("text".into(), Value::String(label));
            out.push(Value::Object(link));
        }
        Value::Array(out)
    }

    /// Every picture of the page once: address and alternative text.
    fn images(&self) -> Value {
        let mut seen = std::collections::HashSet::new();
        let mut out = Vec::new();
        for node in self.root().descendants().filter(|n| n.name() == "img") {
            let source = image::source(|name| node.attr(name));
            let Some(url) = source.and_then(|s| address::resolve(self.base(), s)) else { continue };
            if out.len() < limit::LIST_ITEMS && seen.insert(url.clone()) {
                out.push(json!({"url": String::from(url), "alt": node.attr("alt").unwrap_or_default()}));
            }
        }
        Value::Array(out)
    }

    /// The text of what was found, as a person would read it; `None` if it has none.
    pub(crate) fn text_of<'r>(&self, raw: &'r Raw<'p>) -> Option<Cow<'r, str>> {
        let text: Cow<'r, str> = match raw {
            Raw::Text(text) => Cow::Borrowed(text.trim()),
            Raw::Node(node) => Cow::Owned(self.node_text(*node)),
            Raw::Json(value) => json_text(value)?,
            Raw::Made(value) => json_text(value)?,
        };
        (!text.is_empty() && self.spend(text.len())).then_some(text)
    }

    /// What an element says: what it says to machines (`content`), else what it shows.
    pub(crate) fn node_text(&self, node: Node<'p>) -> String {
        if let Some(text) = node.text_node() {
            return text.trim().to_owned();
        }
        match node.name() {
            "meta" => node.attr("content").unwrap_or_default().trim().to_owned(),
            "input" => node.attr("value").unwrap_or_default().trim().to_owned(),
            "script" | "style" | "title" => node.text().trim().to_owned(),
            _ => node.visible_text(),
        }
    }
}

/// Texts of JSON-LD are often escaped as if they were HTML.
fn plain(raw: Raw<'_>) -> Raw<'_> {
    match raw {
        Raw::Json(Value::String(text)) if text.contains('&') => match html::unescape(text) {
            Cow::Owned(plain) if plain != *text => Raw::Text(Cow::Owned(plain)),
            _ => raw,
        },
        other => other,
    }
}

fn items<'p: 'r, 'r>(
    roots: &'p [Value],
    ids: &dyn Fn() -> &'r Ids<'p>,
    path: &ItemPath,
    many: bool,
) -> Vec<Raw<'p>> {
    structured::values(roots, ids, path, many).into_iter().map(Raw::Json).collect()
}

pub(super) fn take_from<'p>(node: Node<'p>, take: &Take) -> Option<Raw<'p>> {
    match take {
        Take::Element => Some(Raw::Node(node)),
        Take::Attr(name) => {
            let value = node.attr(name)?.trim();
            (!value.is_empty()).then_some(Raw::Text(Cow::Borrowed(value)))
        }
        Take::OwnText => {
            let own: String = node.children().filter_map(Node::text_node).collect();
            let own = text::one_line(&own);
            (!own.is_empty()).then_some(Raw::Text(Cow::Owned(own)))
        }
    }
}

/// Lists of values become values.
fn spread(found: Vec<Raw<'_>>) -> Vec<Raw<'_>> {
    if !found.iter().any(|raw| matches!(raw, Raw::Json(Value::Array(_)) | Raw::Made(Value::Array(_)))) {
        return found;
    }
    let mut out = Vec::with_capacity(found.len());
    for raw in found {
        match raw {
            Raw::Json(Value::Array(list)) => out.extend(list.iter().map(Raw::Json)),
            Raw::Made(Value::Array(list)) => out.extend(list.into_iter().map(Raw::Made)),
            other => out.push(other),
        }
    }
    out
}

/// The text of a JSON value: itself, or what an object calls itself.
pub(crate) fn json_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text.trim())),
        Value::Number(n) => Some(Cow::Owned(n.to_string())),
        Value::Bool(b) => Some(Cow::Borrowed(if *b { "true" } else { "false" })),
        Value::Null => None,
        Value::Array(list) => list.iter().find_map(json_text_shallow),
        Value::Object(_) => json_text_shallow(value),
    }
}

fn json_text_shallow(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Object(map) => ["@value", "name", "text", "value", "@id"]
            .iter()
            .find_map(|key| map.get(*key))
            .and_then(|v| if v.is_object() || v.is_array() { None } else { json_text(v) }),
        Value::Array(_) => None,
        other => json_text(other),
    }
}
