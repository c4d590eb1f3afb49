//! Fields → record: sources in order, the first that gives a value of the type wins.

use super::convert::Not;
use super::look::Raw;
use super::parts::{Reader, Scope};
use crate::limit;
use crate::spec::{Field, Kind, Source};
use ::url::Url;
use serde_json::{Map, Value};
use std::collections::HashSet;

impl<'p> Reader<'p> {
    /// A record with every field, null where nothing fits. `begun` fills what this page does not know.
    pub(crate) fn record(
        &self,
        fields: &[Field],
        scope: Scope<'p>,
        begun: Option<&Map<String, Value>>,
    ) -> Map<String, Value> {
        let mut record = Map::with_capacity(fields.len() + 3);
        for field in fields {
            let mut value = self.value(field, scope);
            if value.is_null()
                && let Some(known) = begun.and_then(|b| b.get(&field.name))
            {
                value = known.clone();
            }
            record.insert(field.name.clone(), value);
        }
        record
    }

    /// Only the fields that have a value: a record begun.
    pub(crate) fn beginning(&self, fields: &[Field], scope: Scope<'p>) -> Option<Map<String, Value>> {
        let mut record = Map::new();
        for field in fields {
            let value = self.value(field, scope);
            if !value.is_null() {
                record.insert(field.name.clone(), value);
            }
        }
        (!record.is_empty()).then_some(record)
    }

    pub(super) fn value(&self, field: &Field, scope: Scope<'p>) -> Value {
        let mut misfit = None;
        let mut note = |not: Not| {
            if let Not::Fits(reason) = not {
                misfit.get_or_insert(reason);
            }
        };
        let value = match &field.kind {
            Kind::One(scalar) => field.from.iter().find_map(|source| {
                let raw = self.look(source, scope, false).into_iter().next()?;
                self.convert(*scalar, raw, field).map_err(&mut note).ok()
            }),
            Kind::List(of) => {
                let mut lists = field.from.iter().map(|source| {
                    let found = self.look(source, scope, true).into_iter().take(limit::LIST_ITEMS);
                    let fitting = found.filter_map(|raw| match of.as_ref() {
                        Kind::One(scalar) => self.convert(*scalar, raw, field).map_err(&mut note).ok(),
                        Kind::Object(fields) => self.object(fields, scope_of(raw)?),
                        Kind::List(_) => None,
                    });
                    fitting.collect::<Vec<Value>>()
                });
                let list = if field.merge {
                    each_once(lists)
                } else {
                    lists.find(|list| !list.is_empty()).unwrap_or_default()
                };
                (!list.is_empty()).then_some(Value::Array(list))
            }
            Kind::Object(fields) if field.from.is_empty() => self.object(fields, scope),
            Kind::Object(fields) => field.from.iter().find_map(|source| {
                let raw = self.look(source, scope, false).into_iter().next()?;
                self.object(fields, scope_of(raw)?)
            }),
        };
        if value.is_none()
            && let Some(reason) = misfit
        {
            self.warn(|| format!("{}: {reason}", field.name));
        }
        value.unwrap_or(Value::Null)
    }

    /// An object with every field, or nothing if all are null.
    fn object(&self, fields: &[Field], scope: Scope<'p>) -> Option<Value> {
        let record = self.record(fields, scope, None);
        record.values().any(|v| !v.is_null()).then_some(Value::Object(record))
    }

    /// The rows of a list page: those of the first source that has any.
    pub(crate) fn rows(&self, sources: &[Source]) -> Vec<Scope<'p>> {
        let Some(whole) = self.whole() else { return Vec::new() };
        sources
            .iter()
            .map(|source| self.look(source, whole, true).into_iter().filter_map(scope_of).collect::<Vec<_>>())
            .find(|rows| !rows.is_empty())
            .unwrap_or_default()
    }

    /// Addresses of pages, those of the first source that has any; only the first of them if not `many`.
    pub(crate) fn addresses(&self, sources: &[Source], scope: Scope<'p>, many: bool) -> Vec<Url> {
        for source in sources {
            let found: Vec<Url> =
                self.look(source, scope, many).iter().filter_map(|raw| self.page_url(raw)).collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }
}

/// The values of all lists, in order, without repetitions.
fn each_once(lists: impl Iterator<Item = Vec<Value>>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let mut out: Vec<Value> = lists.flatten().filter(|value| seen.insert(value.to_string())).collect();
    out.truncate(limit::LIST_ITEMS);
    out
}

/// A place that fields can be read from.
pub(super) fn scope_of(raw: Raw<'_>) -> Option<Scope<'_>> {
    match raw {
        Raw::Node(node) => Some(Scope::Html(node)),
        Raw::Json(value) => Some(Scope::Json(value)),
        Raw::Text(_) | Raw::Made(_) => None,
    }
}
