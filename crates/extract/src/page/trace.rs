//! The way to a value, told: each source looked with once more, with what it found and where that stands on the page.
//!
//! Owns: nothing that extraction uses; an explanation is a pass of its own, so that reading pages costs nothing for it.

use super::convert::Not;
use super::look::{Raw, take_from};
use super::parts::{Reader, Scope};
use super::record::scope_of;
use crate::explain::{Outcome, Place, Rule, Step, Trace, Try, Within};
use crate::limit;
use crate::spec::{Field, Kind, Origin, Source};
use crate::value::text;
use serde_json::Value;
use std::borrow::Cow;

/// Places told of one source.
const PLACES: usize = 20;
/// Bytes told of a text that was found.
const TEXT_BYTES: usize = 300;

impl<'p> Reader<'p> {
    /// Why a field is what it is. `prefix` is the name of what it is within, with its point.
    pub(crate) fn trace(&self, field: &Field, scope: Scope<'p>, file: &str, prefix: &str) -> Trace {
        let many = matches!(field.kind, Kind::List(_));
        let mut tried = Vec::new();
        for source in field.from.iter() {
            let one = self.attempt(source, field, scope, many, file);
            let has_given = one.outcome == Outcome::Gave;
            tried.push(one);
            if has_given && !field.merge {
                break;
            }
        }
        let name = format!("{prefix}{}", field.name);
        let inner = self.scopes_within(field, scope).into_iter().next();
        let within = match (field.kind.fields(), inner) {
            (Some(fields), Some(scope)) => {
                let prefix = if many { format!("{name}[0].") } else { format!("{name}.") };
                fields.iter().map(|f| self.trace(f, scope, file, &prefix)).collect()
            }
            _ => Vec::new(),
        };
        Trace {
            field: name,
            type_word: field.kind.word(),
            value: self.value(field, scope),
            begun: false,
            tried,
            fields: within,
        }
    }

    /// The same of a field within others. `None` if there is no such field, or no such element of a list.
    pub(crate) fn trace_within(
        &self,
        fields: &[Field],
        scope: Scope<'p>,
        file: &str,
        steps: &[Step<'_>],
        prefix: &str,
    ) -> Option<Trace> {
        let (first, rest) = steps.split_first()?;
        let field = fields.iter().find(|f| f.name == first.name)?;
        if rest.is_empty() {
            return Some(self.trace(field, scope, file, prefix));
        }
        let scope = self.scopes_within(field, scope).into_iter().nth(first.index)?;
        let prefix = match field.kind {
            Kind::List(_) => format!("{prefix}{}[{}].", field.name, first.index),
            _ => format!("{prefix}{}.", field.name),
        };
        self.trace_within(field.kind.fields()?, scope, file, rest, &prefix)
    }

    /// What the fields of an object, or of each object of a list, are read from.
    fn scopes_within(&self, field: &Field, scope: Scope<'p>) -> Vec<Scope<'p>> {
        let Some(fields) = field.kind.fields() else { return Vec::new() };
        if field.from.is_empty() {
            return vec![scope];
        }
        let many = matches!(field.kind, Kind::List(_));
        let has_any = |scope: &Scope<'p>| self.record(fields, *scope, None).values().any(|v| !v.is_null());
        field
            .from
            .iter()
            .map(|source| {
                let found = self.look(source, scope, many).into_iter().filter_map(scope_of);
                found.filter(has_any).take(limit::LIST_ITEMS).collect::<Vec<_>>()
            })
            .find(|scopes| !scopes.is_empty())
            .unwrap_or_default()
    }

    fn attempt(&self, source: &Source, field: &Field, scope: Scope<'p>, many: bool, file: &str) -> Try {
        let places = self.places_of(source, scope, many);
        let found = self.look(source, scope, many);
        let text =
            found.first().and_then(|raw| self.text_of(raw)).map(|t| text::cut(t.into_owned(), TEXT_BYTES));
        let (outcome, reason) = if found.is_empty() {
            (if places.is_empty() { Outcome::FoundNothing } else { Outcome::Empty }, None)
        } else {
            self.outcome(field, found)
        };
        Try { rule: Rule::of(source, file), outcome, reason, text, places }
    }

    /// Do the things that were found make a value?
    fn outcome(&self, field: &Field, found: Vec<Raw<'p>>) -> (Outcome, Option<String>) {
        let scalar = match &field.kind {
            Kind::One(scalar) => *scalar,
            Kind::List(of) => match of.as_ref() {
                Kind::One(scalar) => *scalar,
                Kind::List(_) | Kind::Object(_) => return self.has_objects(field, found),
            },
            Kind::Object(_) => return self.has_objects(field, found),
        };
        let most = if matches!(field.kind, Kind::List(_)) { limit::LIST_ITEMS } else { 1 };
        let mut reason = None;
        for raw in found.into_iter().take(most) {
            match self.convert(scalar, raw, field) {
                Ok(_) => return (Outcome::Gave, None),
                Err(Not::Fits(why)) => {
                    reason.get_or_insert(why);
                }
                Err(Not::Empty) => {}
            }
        }
        (if reason.is_some() { Outcome::Misfit } else { Outcome::Empty }, reason)
    }

    fn has_objects(&self, field: &Field, found: Vec<Raw<'p>>) -> (Outcome, Option<String>) {
        let fields = field.kind.fields().unwrap_or_default();
        let mut scopes = found.into_iter().filter_map(scope_of).peekable();
        if scopes.peek().is_none() {
            return (Outcome::Misfit, Some("what was found has no parts".into()));
        }
        let has_any = scopes.any(|scope| self.record(fields, scope, None).values().any(|v| !v.is_null()));
        (if has_any { Outcome::Gave } else { Outcome::Empty }, None)
    }

    /// Where a row is.
    pub(crate) fn place_of_scope(&self, scope: Scope<'p>) -> Option<Place> {
        match scope {
            Scope::Html(node) => self.place(&Raw::Node(node)),
            Scope::Json(value) => self.place(&Raw::Json(value)),
        }
    }

    fn places_of(&self, source: &Source, scope: Scope<'p>, many: bool) -> Vec<Place> {
        let many = many || source.all || source.join.is_some();
        let scope = if source.whole_page { self.whole().unwrap_or(scope) } else { scope };
        // An element's own text is made of its pieces: the element is the place.
        if let (Origin::Css { selector: Some(selector), take }, Scope::Html(node)) = (&source.origin, scope) {
            let nodes = selector.select(node).filter(|n| take_from(*n, take).is_some());
            let name = match take {
                crate::spec::Take::Attr(name) => Some(name.as_str()),
                _ => None,
            };
            let at = |n: html::Node<'p>| {
                let path = name.map_or_else(|| n.path(), |name| format!("{}/@{name}", n.path()));
                Place { within: Within::Html, path: Some(path), element: None, bytes: n.range() }
            };
            return nodes.take(if many { PLACES } else { 1 }).map(at).collect();
        }
        let found = self.places(&source.origin, scope, many);
        let mut places: Vec<Place> = found.iter().take(PLACES).filter_map(|raw| self.place(raw)).collect();
        if let (Origin::Json { within, .. }, false) = (&source.origin, places.is_empty())
            && let Some(script) = self.script_of(within)
        {
            for place in &mut places {
                place.within = Within::Script;
                place.element = Some(script.path());
                place.bytes = script.range();
            }
        }
        places
    }

    fn place(&self, raw: &Raw<'p>) -> Option<Place> {
        match raw {
            Raw::Node(node) => {
                let path = Some(node.path());
                Some(Place { within: Within::Html, path, element: None, bytes: node.range() })
            }
            Raw::Text(Cow::Borrowed(text)) => self.place_of_text(text),
            Raw::Text(Cow::Owned(_)) | Raw::Made(_) => None,
            Raw::Json(value) => self.roots().into_iter().find_map(|(within, root)| {
                let path = pointer(root, value)?;
                let owner = self.owner(within, &path, value);
                Some(Place {
                    within,
                    path: Some(path),
                    element: owner.map(|node| node.path()),
                    bytes: owner.and_then(|node| node.range()),
                })
            }),
        }
    }

    /// A text that is part of the answer, of an attribute or of a text node.
    fn place_of_text(&self, text: &str) -> Option<Place> {
        if let Some(bytes) = part_of(self.parts.body, text) {
            return Some(Place { within: Within::Body, path: None, element: None, bytes: Some(bytes) });
        }
        self.root().descendants().find_map(|node| {
            let (path, owner) = if let Some(whole) = node.text_node() {
                let owner = part_of(whole, text).and_then(|_| node.parent())?;
                (owner.path(), owner)
            } else {
                let (name, _) = node.attrs().find(|(_, value)| part_of(value, text).is_some())?;
                (format!("{}/@{name}", node.path()), node)
            };
            Some(Place { within: Within::Html, path: Some(path), element: None, bytes: owner.range() })
        })
    }

    /// Every JSON that a source may have looked into and that is made already.
    fn roots(&self) -> Vec<(Within, Root<'p>)> {
        let mut roots = Vec::new();
        if let Some(page) = self.parts.json() {
            roots.push((Within::Json, Root::One(page)));
        }
        roots.extend(self.parts.made_ld().map(|list| (Within::JsonLd, Root::Many(list))));
        roots.extend(self.parts.made_microdata().map(|list| (Within::Microdata, Root::Many(list))));
        roots.extend(self.parts.made_rdfa().map(|list| (Within::Rdfa, Root::Many(list))));
        roots.extend(self.parts.made_scripts().map(|value| (Within::Script, Root::One(value))));
        roots.extend(self.parts.inputs().map(|value| (Within::Input, Root::One(value))));
        roots
    }
}

#[derive(Clone, Copy)]
enum Root<'v> {
    One(&'v Value),
    Many(&'v [Value]),
}

/// Begin and end of a text within another that it is a part of, not a copy.
fn part_of(whole: &str, part: &str) -> Option<(usize, usize)> {
    let (outer, inner) = (whole.as_bytes().as_ptr_range(), part.as_bytes().as_ptr_range());
    let is_inside = !part.is_empty() && outer.start <= inner.start && inner.end <= outer.end;
    is_inside.then(|| {
        let start = inner.start as usize - outer.start as usize;
        (start, start + part.len())
    })
}

/// The JSON pointer (RFC 6901) to a value that is a part of `root`, not a copy.
fn pointer(root: Root<'_>, target: &Value) -> Option<String> {
    enum Key<'v> {
        Name(&'v str),
        Index(usize),
        Root,
    }
    let mut all: Vec<(usize, Key<'_>, &Value)> = match root {
        Root::One(value) => vec![(0, Key::Root, value)],
        Root::Many(list) => list.iter().enumerate().map(|(i, v)| (usize::MAX, Key::Index(i), v)).collect(),
    };
    let mut at = 0;
    while let Some((_, _, value)) = all.get(at) {
        if std::ptr::eq(*value, target) {
            let mut keys = Vec::new();
            let mut here = at;
            while let Some((parent, key, _)) = all.get(here) {
                match key {
                    Key::Name(name) => keys.push(name.replace('~', "~0").replace('/', "~1")),
                    Key::Index(i) => keys.push(i.to_string()),
                    Key::Root => break,
                }
                here = *parent;
            }
            return Some(keys.iter().rev().map(|key| format!("/{key}")).collect());
        }
        match value {
            Value::Object(map) => {
                let entries: Vec<_> = map.iter().map(|(k, v)| (at, Key::Name(k.as_str()), v)).collect();
                all.extend(entries);
            }
            Value::Array(list) => {
                let entries: Vec<_> = list.iter().enumerate().map(|(i, v)| (at, Key::Index(i), v)).collect();
                all.extend(entries);
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pointers_lead_to_parts_not_copies() {
        let value = json!({"a/b": [{"c~": 1}, {"c~": 1}]});
        let part = &value["a/b"][1]["c~"];
        assert_eq!(pointer(Root::One(&value), part).as_deref(), Some("/a~1b/1/c~0"));
        assert_eq!(pointer(Root::One(&value), &value).as_deref(), Some(""));
        assert_eq!(pointer(Root::One(&value), &json!(1)), None);
        let list = [json!(1), json!({"x": true})];
        assert_eq!(pointer(Root::Many(&list), &list[1]["x"]).as_deref(), Some("/1/x"));
    }

    #[test]
    fn parts_of_texts_have_places() {
        let text = String::from("price: 12");
        assert_eq!(part_of(&text, &text[7..]), Some((7, 9)));
        assert_eq!(part_of(&text, "12"), None);
        assert_eq!(part_of(&text, ""), None);
    }
}
