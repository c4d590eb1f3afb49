//! What one walk over a page collects for everybody: meta tags, the title, the language, the canonical address, and the
//! scripts with JSON-LD.

use crate::limit;
use crate::value::text::one_line;
use html::Node;
use serde_json::{Map, Value};

/// The page's statements about itself.
#[derive(Default)]
pub(crate) struct Head<'p> {
    /// Name (`name`, `property`, `itemprop` or `http-equiv`, as written) and content, in order.
    pub(crate) metas: Vec<(&'p str, &'p str)>,
    /// Those of `property` alone: Open Graph.
    pub(crate) properties: Vec<(&'p str, &'p str)>,
    pub(crate) title: Option<Node<'p>>,
    pub(crate) language: Option<&'p str>,
    pub(crate) canonical: Option<&'p str>,
    pub(crate) base: Option<&'p str>,
    pub(crate) ld: Vec<Node<'p>>,
}

/// Meta tags that are kept.
const MOST: usize = 2_000;

impl<'p> Head<'p> {
    pub(crate) fn of(root: Node<'p>) -> Self {
        let mut head = Self::default();
        for node in root.descendants() {
            match node.name() {
                "meta" => {
                    if let (Some(name), Some(content)) = (node.attr("property"), node.attr("content")) {
                        head.properties.push((name.trim(), content.trim()));
                    }
                    let name =
                        ["property", "name", "itemprop", "http-equiv"].iter().find_map(|a| node.attr(a));
                    if let (Some(name), Some(content)) = (name, node.attr("content")) {
                        head.metas.push((name.trim(), content.trim()));
                    }
                }
                "title" if head.title.is_none() && !node.is_foreign() => head.title = Some(node),
                "html" if head.language.is_none() => {
                    head.language = node.attr("lang").or(node.attr("xml:lang"))
                }
                "base" if head.base.is_none() => head.base = node.attr("href"),
                "link" if head.canonical.is_none() => {
                    let is =
                        |rel: &str| rel.split_ascii_whitespace().any(|r| r.eq_ignore_ascii_case("canonical"));
                    if node.attr("rel").is_some_and(is) {
                        head.canonical = node.attr("href");
                    }
                }
                "script" if head.ld.len() < limit::LD_SCRIPTS => {
                    let is = |t: &str| t.trim().to_ascii_lowercase().starts_with("application/ld+json");
                    if node.attr("type").is_some_and(is) {
                        head.ld.push(node);
                    }
                }
                _ => {}
            }
        }
        head
    }

    /// The first content that is not empty, of a name in lower case.
    pub(crate) fn meta(&self, name: &str) -> Option<&'p str> {
        self.all(name).next()
    }

    /// Every content of a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'p str> {
        self.metas.iter().filter(move |(n, c)| n.eq_ignore_ascii_case(name) && !c.is_empty()).map(|(_, c)| *c)
    }

    pub(crate) fn title_text(&self) -> Option<String> {
        self.title.map(|t| one_line(&t.text())).filter(|t| !t.is_empty())
    }

    /// Language of the page: `<html lang>`, else what meta tags say.
    pub(crate) fn language_tag(&self) -> Option<&'p str> {
        self.language
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .or_else(|| self.meta("og:locale"))
            .or_else(|| self.meta("content-language"))
    }

    /// Open Graph as found: each property, its value or the list of its values.
    pub(crate) fn opengraph(&self) -> Map<String, Value> {
        let mut out = Map::new();
        for (names, content) in self.properties.iter().take(MOST) {
            for name in names.split_ascii_whitespace().filter(|name| name.contains(':')) {
                let content = Value::String((*content).to_owned());
                match out.get_mut(name) {
                    None => drop(out.insert(name.to_owned(), content)),
                    Some(Value::Array(list)) => list.push(content),
                    Some(first) => *first = Value::Array(vec![first.take(), content]),
                }
            }
        }
        out
    }

    /// `metadata` of the generic scrapers: title, language, canonical address, and every meta tag by name.
    pub(crate) fn metadata(&self, canonical: Option<String>) -> Value {
        let mut out = Map::new();
        let text = |v: Option<String>| v.map_or(Value::Null, Value::String);
        out.insert("title".into(), text(self.title_text()));
        out.insert("language".into(), text(self.language_tag().map(str::to_owned)));
        out.insert("canonical".into(), text(canonical));
        for (name, content) in &self.metas {
            let key = name.to_lowercase();
            if key.is_empty() || content.is_empty() {
                continue;
            }
            match out.get_mut(&key) {
                None | Some(Value::Null) => {
                    out.insert(key, Value::String((*content).to_owned()));
                }
                Some(Value::Array(list)) if list.len() < 100 => {
                    list.push(Value::String((*content).to_owned()))
                }
                Some(Value::Array(_)) => {}
                Some(first) if *first != **content => {
                    let both = vec![first.take(), Value::String((*content).to_owned())];
                    *first = Value::Array(both);
                }
                Some(_) => {}
            }
        }
        Value::Object(out)
    }
}
