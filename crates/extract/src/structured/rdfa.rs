//! RDFa as JSON items: RDFa Core 1.1 as HTML pages write it (RDFa Lite, `about`, `rel` with a pending object), in the shape of
//! the other structured data. Lists (`inlist`), `rev` and datatypes are not read: no reader here would tell them apart.
//!
//! Owns: subjects of a page, vocabularies and prefixes, how they become nested items. Must not know: what a property means.

use crate::limit;
use crate::value::url;
use ::url::Url;
use html::Node;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The top-level items of a page, in order.
pub(crate) fn items(root: Node<'_>, base: &Url) -> Vec<Value> {
    let mut graph = Graph {
        base,
        subjects: vec![Subject { id: Some(base.to_string()), ..Subject::default() }],
        by_id: HashMap::from([(base.to_string(), 0)]),
        left: limit::MICRODATA_ITEMS,
        bytes: limit::PAGE_BUDGET_BYTES,
    };
    let context = Context { vocabulary: None, prefixes: None, subject: 0, pending: None };
    graph.children(root, &context);
    graph.into_items()
}

/// Prefixes of the initial context that pages use without declaring them.
const PREFIXES: &[(&str, &str)] = &[
    ("schema", "http://schema.org/"),
    ("dc", "http://purl.org/dc/terms/"),
    ("dcterms", "http://purl.org/dc/terms/"),
    ("foaf", "http://xmlns.com/foaf/0.1/"),
    ("gr", "http://purl.org/goodrelations/v1#"),
    ("og", "http://ogp.me/ns#"),
    ("v", "http://rdf.data-vocabulary.org/#"),
];
/// Words of `rel` that speak of links, not of things, where a vocabulary is in force.
const LINK_TYPES: &[&str] = &[
    "alternate",
    "bookmark",
    "canonical",
    "external",
    "icon",
    "license",
    "me",
    "next",
    "nofollow",
    "noopener",
    "noreferrer",
    "prev",
    "search",
    "stylesheet",
    "tag",
    "ugc",
];
/// Items within items: deeper than anything real, shallow enough for the stack.
const DEPTH: usize = 64;
/// Names in one attribute.
const NAMES: usize = 16;

#[derive(Default)]
struct Subject {
    /// Its address; none for a blank node.
    id: Option<String>,
    types: Vec<String>,
    properties: Vec<(String, Object)>,
    /// It is the value of a property.
    is_value: bool,
}

enum Object {
    Text(String),
    Subject(usize),
}

/// Declared prefixes, inner before outer.
struct Prefixes<'c> {
    own: Vec<(&'c str, &'c str)>,
    outer: Option<&'c Prefixes<'c>>,
}

impl<'c> Prefixes<'c> {
    fn get(&self, name: &str) -> Option<&'c str> {
        let own = self.own.iter().find(|(prefix, _)| prefix.eq_ignore_ascii_case(name)).map(|(_, iri)| *iri);
        own.or_else(|| self.outer?.get(name))
    }
}

/// What an element inherits.
struct Context<'c> {
    vocabulary: Option<&'c str>,
    prefixes: Option<&'c Prefixes<'c>>,
    /// The thing that is spoken of.
    subject: usize,
    /// A `rel` without a resource: whatever thing comes next below is its value.
    pending: Option<(usize, &'c [String])>,
}

impl Context<'_> {
    fn expand(&self, prefix: &str) -> Option<&str> {
        let declared = self.prefixes.and_then(|prefixes| prefixes.get(prefix));
        declared.or_else(|| PREFIXES.iter().find(|(name, _)| *name == prefix).map(|(_, iri)| *iri))
    }

    /// A property's name: without vocabulary where that is in force or schema.org's, else as written.
    fn name(&self, word: &str) -> Option<String> {
        let Some((prefix, rest)) = word.split_once(':') else {
            return self.vocabulary.map(|_| word.to_owned());
        };
        if rest.starts_with("//") {
            return Some(self.local(word).unwrap_or(word).to_owned());
        }
        let whole = self.expand(prefix).map(|iri| format!("{iri}{rest}"));
        Some(match whole.as_deref().and_then(|whole| self.local(whole)) {
            Some(local) => local.to_owned(),
            None => word.to_owned(),
        })
    }

    fn local<'w>(&self, iri: &'w str) -> Option<&'w str> {
        let schema = ["http://schema.org/", "https://schema.org/"];
        self.vocabulary
            .into_iter()
            .chain(schema)
            .find_map(|v| iri.strip_prefix(v))
            .filter(|rest| !rest.is_empty())
    }

    /// A type's address.
    fn kind(&self, word: &str) -> String {
        match word.split_once(':') {
            Some((_, rest)) if rest.starts_with("//") => word.to_owned(),
            Some((prefix, rest)) => {
                self.expand(prefix).map_or_else(|| word.to_owned(), |iri| format!("{iri}{rest}"))
            }
            None => format!("{}{word}", self.vocabulary.unwrap_or_default()),
        }
    }
}

struct Graph<'b> {
    base: &'b Url,
    subjects: Vec<Subject>,
    by_id: HashMap<String, usize>,
    /// Properties that may still be read.
    left: usize,
    /// Bytes of text that may still be taken.
    bytes: usize,
}

impl Graph<'_> {
    /// The tree's depth is bounded by the parser, so is this walk's.
    fn children(&mut self, node: Node<'_>, context: &Context<'_>) {
        let mut at = node.first_child();
        while let Some(child) = at {
            if self.left == 0 || self.bytes == 0 {
                return;
            }
            if child.is_element() {
                self.element(child, context);
            }
            at = child.next_sibling();
        }
    }

    fn element(&mut self, node: Node<'_>, outer: &Context<'_>) {
        const SPEAKS: &[&str] =
            &["property", "typeof", "vocab", "about", "resource", "rel", "prefix", "href", "src"];
        if !SPEAKS.iter().any(|name| node.attr(name).is_some()) {
            return self.children(node, outer);
        }
        let declared = node.attr("prefix").map(|text| {
            let words: Vec<&str> = text.split_ascii_whitespace().take(2 * NAMES).collect();
            let own = words.chunks_exact(2).map(|pair| (pair[0].trim_end_matches(':'), pair[1])).collect();
            Prefixes { own, outer: outer.prefixes }
        });
        let vocabulary = match node.attr("vocab") {
            Some(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            None => outer.vocabulary,
        };
        let mut context = Context {
            vocabulary,
            prefixes: declared.as_ref().or(outer.prefixes),
            subject: outer.subject,
            pending: outer.pending,
        };
        let words =
            |name: &str| node.attr(name).into_iter().flat_map(str::split_ascii_whitespace).take(NAMES);
        let names: Vec<String> = words("property").filter_map(|word| context.name(word)).collect();
        let has_property = node.attr("property").is_some();
        let is_relation = |word: &&str| {
            word.contains(':') || (!has_property && !LINK_TYPES.contains(&word.to_ascii_lowercase().as_str()))
        };
        let relations: Vec<String> =
            words("rel").filter(is_relation).filter_map(|word| context.name(word)).collect();
        let kinds: Vec<String> = words("typeof").map(|word| context.kind(word)).collect();
        let is_typed = node.attr("typeof").is_some();
        let about = node.attr("about");
        let resource = node.attr("resource").or_else(|| node.attr("href")).or_else(|| node.attr("src"));
        let is_plain = node.attr("content").is_none() && node.attr("datatype").is_none();

        let subject = match about {
            Some(iri) => self.named(iri, &context),
            // The resource is the value of the property, or of the relation, not who is spoken of.
            None if !relations.is_empty() || (has_property && is_plain) => outer.subject,
            None => match (resource, is_typed) {
                (Some(iri), _) => self.named(iri, &context),
                (None, true) => self.blank(),
                (None, false) => outer.subject,
            },
        };
        let object = match resource {
            _ if relations.is_empty() && !(has_property && is_plain) => subject,
            _ if relations.is_empty() && !is_typed => subject,
            _ if about.is_some() && relations.is_empty() => subject,
            Some(iri) => self.named(iri, &context),
            None if is_typed && about.is_none() => self.blank(),
            None => subject,
        };
        let typed = if about.is_some() { subject } else { object };
        self.subjects[typed].types.extend(kinds);

        let is_new = about.is_some() || is_typed || (resource.is_some() && !has_property);
        if let (Some((of, names)), true) = (outer.pending, is_new) {
            context.pending = None;
            self.add(of, names, &Object::Subject(subject));
        }
        if !relations.is_empty() {
            if object == subject {
                context.pending = Some((subject, &relations));
            } else {
                self.add(subject, &relations, &Object::Subject(object));
            }
        }
        if !names.is_empty() {
            let value = if !is_plain || !relations.is_empty() {
                Object::Text(literal(node))
            } else if is_typed && about.is_none() {
                Object::Subject(object)
            } else if let Some(iri) = resource {
                Object::Subject(self.named(iri, &context))
            } else {
                Object::Text(literal(node))
            };
            self.add(subject, &names, &value);
        }
        context.subject = object;
        self.children(node, &context);
    }

    fn blank(&mut self) -> usize {
        self.subjects.push(Subject::default());
        self.subjects.len() - 1
    }

    /// The subject of an address (or `_:name`).
    fn named(&mut self, reference: &str, context: &Context<'_>) -> usize {
        let reference = reference.trim();
        let curie = reference.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let id = match curie {
            Some(curie) => context.kind(curie),
            None if reference.starts_with("_:") => reference.to_owned(),
            None => url::resolve(self.base, reference).map_or_else(|| reference.to_owned(), String::from),
        };
        if let Some(at) = self.by_id.get(&id) {
            return *at;
        }
        let at = self.blank();
        self.subjects[at].id = Some(id.clone());
        self.by_id.insert(id, at);
        at
    }

    fn add(&mut self, subject: usize, names: &[String], value: &Object) {
        for name in names {
            self.left = self.left.saturating_sub(1);
            let value = match value {
                Object::Text(text) => {
                    self.bytes = self.bytes.saturating_sub(text.len());
                    Object::Text(text.clone())
                }
                Object::Subject(at) => {
                    self.subjects[*at].is_value |= *at != subject;
                    Object::Subject(*at)
                }
            };
            self.subjects[subject].properties.push((name.clone(), value));
        }
    }

    /// Things with a type that are no value of another; of things that lead to each other in a circle, the first.
    fn into_items(self) -> Vec<Value> {
        let mut shown = vec![false; self.subjects.len()];
        let mut out = Vec::new();
        for only_outer in [true, false] {
            for at in 0..self.subjects.len() {
                let subject = &self.subjects[at];
                let is_later = only_outer && subject.is_value;
                if !subject.types.is_empty() && !shown[at] && !is_later {
                    out.push(self.item(at, &mut shown, 0));
                }
            }
        }
        out
    }

    /// A thing whole where it is met first, then by its address.
    fn item(&self, at: usize, shown: &mut [bool], depth: usize) -> Value {
        let subject = &self.subjects[at];
        if subject.types.is_empty() && subject.properties.is_empty() {
            return subject.id.clone().map_or(Value::Null, Value::String);
        }
        let mut map = Map::new();
        if !shown[at] {
            match subject.types.as_slice() {
                [] => {}
                [one] => drop(map.insert("@type".into(), Value::String(one.clone()))),
                many => drop(map.insert("@type".into(), many.iter().cloned().map(Value::String).collect())),
            }
        }
        if let Some(id) = &subject.id {
            map.insert("@id".into(), Value::String(id.clone()));
        }
        if shown[at] || depth >= DEPTH {
            return Value::Object(map);
        }
        shown[at] = true;
        for (name, value) in &subject.properties {
            let value = match value {
                Object::Text(text) => Value::String(text.clone()),
                Object::Subject(of) => self.item(*of, shown, depth + 1),
            };
            match map.get_mut(name) {
                None => drop(map.insert(name.clone(), value)),
                Some(Value::Array(list)) => list.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Value::Object(map)
    }
}

/// The text of a property: `content`, what the element says for machines, or what it shows.
fn literal(node: Node<'_>) -> String {
    let machine = match node.name() {
        "time" => node.attr("datetime"),
        "data" | "meter" => node.attr("value"),
        _ => None,
    };
    match node.attr("content").or(machine) {
        Some(text) => text.trim().to_owned(),
        None => node.visible_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(html: &str) -> Value {
        let page = html::Document::parse(html);
        Value::Array(items(page.root(), &Url::parse("https://a.example/p").unwrap()))
    }

    #[test]
    fn lite() {
        let page = "<div vocab='https://schema.org/' typeof=Product resource=#it><h1 property=name> A  b </h1>\
            <a property=url href=/x>x</a><img property=image src=1.jpg><meta property=sku content=S1>\
            <div property=offers typeof=Offer><span property=price content=5>five</span>\
            <time property=validFrom datetime=2026-01-02>soon</time></div></div>";
        assert_eq!(
            read(page),
            json!([{"@type": "https://schema.org/Product", "@id": "https://a.example/p#it", "name": "A b",
                "url": "https://a.example/x", "image": "https://a.example/1.jpg", "sku": "S1",
                "offers": {"@type": "https://schema.org/Offer", "price": "5", "validFrom": "2026-01-02"}}])
        );
    }

    #[test]
    fn prefixes_relations_and_things_named_twice() {
        let page = "<body prefix='s: http://schema.org/ x: http://x.example/#'>\
            <div typeof='s:Recipe x:Dish' about=#r><p property='s:name x:label'>Soup</p>\
            <div rel=s:author><div typeof=s:Person resource=#me><b property=s:name>Ann</b></div></div>\
            <a rel=s:publisher href=#firm>by</a></div>\
            <div about=#firm typeof=s:Organization><i property=s:name>Firm</i></div>\
            <a href=/next rel=nofollow>more</a><p property=stray>not in a vocabulary</p>";
        let name = |text: &str| json!({"@type": "http://schema.org/Organization", "@id": "https://a.example/p#firm", "name": text});
        assert_eq!(
            read(page),
            json!([{"@type": ["http://schema.org/Recipe", "http://x.example/#Dish"], "@id": "https://a.example/p#r",
                "name": "Soup", "x:label": "Soup",
                "author": {"@type": "http://schema.org/Person", "@id": "https://a.example/p#me", "name": "Ann"},
                "publisher": name("Firm")}])
        );
    }

    #[test]
    fn breadcrumbs_as_search_engines_show_them() {
        let page = "<ol vocab=https://schema.org/ typeof=BreadcrumbList>\
            <li property=itemListElement typeof=ListItem><a property=item typeof=WebPage href=/b><span property=name>Books</span></a>\
            <meta property=position content=1></li></ol>";
        assert_eq!(
            read(page),
            json!([{"@type": "https://schema.org/BreadcrumbList", "itemListElement": {"@type": "https://schema.org/ListItem",
                "item": {"@type": "https://schema.org/WebPage", "@id": "https://a.example/b", "name": "Books"}, "position": "1"}}])
        );
    }

    #[test]
    fn circles_and_floods_end() {
        let circle = "<div vocab=https://schema.org/><p about=#a typeof=T><a property=x resource=#b></a></p>\
            <p about=#b typeof=T><a property=x resource=#a></a></p></div>";
        let told = read(circle);
        assert_eq!(told[0]["x"]["x"], json!({"@id": "https://a.example/p#a"}), "{told}");
        let deep = format!(
            "<div vocab=https://schema.org/>{}",
            "<p property=x typeof=T><b property=x typeof=T>".repeat(5_000)
        );
        assert!(read(&deep).as_array().is_some());
        let wide = format!(
            "<div vocab=https://schema.org/ typeof=T>{}",
            "<i property='a b c d'>x</i>".repeat(50_000)
        );
        assert!(read(&wide)[0]["a"].as_array().unwrap().len() <= limit::MICRODATA_ITEMS);
    }
}
