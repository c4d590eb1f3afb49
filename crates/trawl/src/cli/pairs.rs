//! Two results beside each other, record by record. Pure.
//!
//! Owns: which records belong together (what differs in two of them is `model::diff`'s). Must not know: where rows come
//! from, how it is shown.
//! Invariant: every record of either side is told at most once; records that are alike are only counted.

use model::diff::{FieldChange, differences};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// What makes two records of two results the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// They come from the same input, and are at the same place among its records.
    Input,
    /// They have the same value in this field (dotted paths allowed); several with one value go by their order.
    Field(String),
}

/// What differs for one record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(super) enum Difference {
    /// Only the second result has it.
    Added {
        /// The record.
        record: Map<String, Value>,
    },
    /// Only the first result has it.
    Removed {
        /// The record.
        record: Map<String, Value>,
    },
    /// Both have it, with other values.
    Changed {
        /// What it was found by: its input, or its value in the field.
        of: Value,
        /// Which of the records with that input (or value), from 0.
        number: usize,
        /// What is not alike.
        fields: Vec<FieldChange>,
    },
}

/// How many records of what kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Differences {
    /// Only the second result has them.
    pub(super) added: u64,
    /// Both have them, with other values.
    pub(super) changed: u64,
    /// Both have them, alike.
    pub(super) unchanged: u64,
    /// Only the first result has them.
    pub(super) removed: u64,
}

/// The first result, ready to be compared with the second one row after row.
#[derive(Debug)]
pub(super) struct Differ {
    by: Match,
    /// Rows of the first result by identity; `None` once their counterpart has come.
    old: HashMap<String, Vec<Option<Map<String, Value>>>>,
    /// Identities in the order in which they came.
    order: Vec<String>,
    /// Rows of the second result so far.
    seen: HashMap<String, usize>,
    counts: Differences,
}

impl Differ {
    /// Nothing yet.
    pub(super) fn new(by: Match) -> Self {
        Self {
            by,
            old: HashMap::new(),
            order: Vec::new(),
            seen: HashMap::new(),
            counts: Differences::default(),
        }
    }

    /// A row of the first result; all of them come before the first [`Differ::after`].
    pub(super) fn before(&mut self, row: Map<String, Value>) {
        let key = self.identity(&row).to_string();
        let rows = self.old.entry(key.clone()).or_default();
        if rows.is_empty() {
            self.order.push(key);
        }
        rows.push(Some(row));
    }

    /// A row of the second result; `None` if the first has one that is alike.
    pub(super) fn after(&mut self, row: Map<String, Value>) -> Option<Difference> {
        let of = self.identity(&row);
        let key = of.to_string();
        let number = {
            let n = self.seen.entry(key.clone()).or_insert(0);
            *n += 1;
            *n - 1
        };
        let old = self.old.get_mut(&key).and_then(|rows| rows.get_mut(number)).and_then(Option::take);
        let Some(old) = old else {
            self.counts.added += 1;
            return Some(Difference::Added { record: row });
        };
        let fields = differences(&old, &row);
        if fields.is_empty() {
            self.counts.unchanged += 1;
            return None;
        }
        self.counts.changed += 1;
        Some(Difference::Changed { of, number, fields })
    }

    /// What only the first result has, and the counts.
    pub(super) fn finish(mut self) -> (Vec<Difference>, Differences) {
        let mut removed = Vec::new();
        for key in &self.order {
            for record in self.old.remove(key).unwrap_or_default().into_iter().flatten() {
                removed.push(Difference::Removed { record });
            }
        }
        // Cast: a usize fits u64.
        self.counts.removed = removed.len() as u64;
        (removed, self.counts)
    }

    fn identity(&self, row: &Map<String, Value>) -> Value {
        match &self.by {
            // What was found is told by its own page; its `discovery_input` is that of many.
            Match::Input => row.get("input").cloned().unwrap_or(Value::Null),
            Match::Field(path) => {
                let found = row.get(path).or_else(|| {
                    let mut steps = path.split('.');
                    let first = row.get(steps.next()?)?;
                    steps.try_fold(first, |at, step| at.get(step))
                });
                found.cloned().unwrap_or(Value::Null)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn records_are_told_by_their_input_and_place() {
        let of = |url: &str, title: &str, at: &str| {
            row(json!({"title": title, "input": {"url": url}, "timestamp": at}))
        };
        let mut differ = Differ::new(Match::Input);
        for (url, title) in [("a", "1"), ("a", "2"), ("b", "3"), ("gone", "4")] {
            differ.before(of(url, title, "then"));
        }
        assert_eq!(differ.after(of("b", "3", "now")), None);
        assert_eq!(differ.after(of("a", "1", "now")), None);
        let changed = differ.after(of("a", "zwei", "now")).unwrap();
        assert_eq!(
            serde_json::to_value(&changed).unwrap(),
            json!({"change": "changed", "of": {"url": "a"}, "number": 1,
                   "fields": [{"path": "title", "before": "2", "after": "zwei"}]})
        );
        assert!(matches!(differ.after(of("a", "3", "now")), Some(Difference::Added { .. })));
        let (removed, counts) = differ.finish();
        assert_eq!(removed, [Difference::Removed { record: of("gone", "4", "then") }]);
        assert_eq!(counts, Differences { added: 1, changed: 1, unchanged: 2, removed: 1 });
    }

    #[test]
    fn or_by_a_field_within() {
        let mut differ = Differ::new(Match::Field("about.sku".into()));
        differ.before(row(json!({"about": {"sku": 7}, "price": 1, "old": true})));
        let told = differ.after(row(json!({"about": {"sku": 7}, "price": 2}))).unwrap();
        let Difference::Changed { of, fields, .. } = told else { panic!("{told:?}") };
        assert_eq!(of, json!(7));
        let paths: Vec<&str> = fields.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["price", "old"]);
    }
}
