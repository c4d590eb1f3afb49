//! Sitemaps, RSS and Atom out of XML, believed as far as it goes: what cannot be read ends it, what was read before stays.

use crate::limit;
use crate::value::text;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value, json};

/// Elements within elements that are counted; deeper ones say nothing here.
const DEPTH: usize = 10_000;

/// Where in the document the reader is.
#[derive(Default)]
struct State {
    depth: usize,
    kind: Option<&'static str>,
    title: Option<String>,
    entries: Vec<Value>,
    sitemaps: Vec<Value>,
    /// The entry that is open, and the depth of its element.
    open: Option<(usize, Map<String, Value>)>,
    /// The value that is read: its key, the depth of its element, its text.
    value: Option<(&'static str, usize, String)>,
    /// Within the author of an entry, whose name is an element of its own.
    author: Option<usize>,
}

/// Reads a document that begins with `<`.
pub(super) fn read(written: &str) -> Option<Value> {
    let mut reader = Reader::from_str(written);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut state = State::default();
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) => {
                state.depth += 1;
                state.start(&element);
            }
            Event::Empty(element) => {
                state.depth += 1;
                state.start(&element);
                state.end();
            }
            Event::End(_) => state.end(),
            Event::Text(part) => state.text(&String::from_utf8_lossy(&part)),
            Event::CData(part) => state.text(&String::from_utf8_lossy(&part)),
            Event::GeneralRef(name) => {
                if let Some(c) = reference(&name) {
                    state.text(c.encode_utf8(&mut [0; 4]));
                }
            }
            Event::Eof => break,
            _ => {}
        }
        if state.depth > DEPTH || state.entries.len() + state.sitemaps.len() >= limit::FEED_ENTRIES {
            break;
        }
    }
    let kind = state.kind?;
    Some(json!({ "kind": kind, "title": state.title, "entries": state.entries, "sitemaps": state.sitemaps }))
}

impl State {
    fn start(&mut self, element: &BytesStart<'_>) {
        let name = element.local_name();
        let name = name.as_ref().to_ascii_lowercase();
        let depth = self.depth;
        match (name.as_slice(), self.kind) {
            (b"urlset", None) => self.kind = Some("urlset"),
            (b"sitemapindex", None) => self.kind = Some("index"),
            (b"rss" | b"rdf", None) => self.kind = Some("rss"),
            (b"feed", None) => self.kind = Some("atom"),
            (b"url" | b"sitemap" | b"item" | b"entry", Some(_)) if self.open.is_none() => {
                self.open = Some((depth, Map::new()));
                return;
            }
            (b"title", Some(_)) if self.open.is_none() && self.title.is_none() && self.value.is_none() => {
                self.value = Some(("feed title", depth, String::new()));
                return;
            }
            _ => {}
        }
        let Some((at, entry)) = &mut self.open else { return };
        if self.author.is_some_and(|author| depth == author + 1) && name == b"name" {
            self.value = Some(("author", depth, String::new()));
            return;
        }
        if depth != *at + 1 {
            return;
        }
        let key = match name.as_slice() {
            b"loc" => "url",
            b"link" => match link(element) {
                Some(Some(href)) => {
                    entry.entry("url").or_insert(Value::String(href));
                    return;
                }
                Some(None) => return,
                None => "url",
            },
            // An identity that says it is no address is none.
            b"guid" if attribute(element, b"isPermaLink").is_some_and(|is| is == "false") => return,
            b"guid" | b"id" => "id",
            b"title" => "title",
            b"pubdate" | b"published" | b"date" | b"issued" => "published",
            b"lastmod" | b"updated" | b"modified" => "updated",
            b"description" | b"summary" => "summary",
            b"author" => {
                self.author = Some(depth);
                "author"
            }
            b"creator" => "author",
            _ => return,
        };
        self.value = Some((key, depth, String::new()));
    }

    fn text(&mut self, part: &str) {
        if let Some((_, _, held)) = &mut self.value {
            let left = limit::FEED_VALUE_BYTES.saturating_sub(held.len());
            held.push_str(text::head(part, left));
        }
    }

    fn end(&mut self) {
        let depth = self.depth;
        self.depth = depth.saturating_sub(1);
        if self.author == Some(depth) {
            self.author = None;
        }
        if let Some((key, _, held)) = self.value.take_if(|(_, at, _)| *at >= depth) {
            let held = held.trim();
            match &mut self.open {
                _ if held.is_empty() => {}
                None => self.title = Some(text::one_line(held)),
                Some((_, entry)) => {
                    entry.entry(key).or_insert_with(|| Value::String(held.to_owned()));
                }
            }
        }
        if let Some((_, mut entry)) = self.open.take_if(|(at, _)| *at >= depth) {
            // Without a link the identity is one, if it is an address.
            let id = entry.remove("id");
            if !entry.contains_key("url")
                && let Some(Value::String(id)) = id
                && id.starts_with("http")
            {
                entry.insert("url".into(), Value::String(id));
            }
            if entry.contains_key("url") {
                let list = if self.kind == Some("index") { &mut self.sitemaps } else { &mut self.entries };
                list.push(Value::Object(entry));
            }
        }
    }
}

fn attribute(element: &BytesStart<'_>, wanted: &[u8]) -> Option<String> {
    let mut attributes = element.attributes();
    let found = attributes.with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == wanted)?;
    let written = String::from_utf8_lossy(&found.value).into_owned();
    Some(unescape(&written).map_or_else(|_| written.clone(), |plain| plain.into_owned()))
}

/// The address of an Atom link: `None` if the element has none (RSS), `Some(None)` if it is not the entry's own.
fn link(element: &BytesStart<'_>) -> Option<Option<String>> {
    let href = attribute(element, b"href")?;
    let is_own = attribute(element, b"rel").is_none_or(|rel| rel == "alternate");
    Some(is_own.then(|| text::head(href.trim(), limit::URL_BYTES).to_owned()))
}

/// The character of `&amp;`, `&#228;`; entities that a document declares are none.
fn reference(name: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(c)) = name.resolve_char_ref() {
        return Some(c);
    }
    match &**name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        b"nbsp" => Some('\u{a0}'),
        _ => None,
    }
}
