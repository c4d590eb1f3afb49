//! What differs between two records, and between two sets of records sorted by key.
//!
//! Owns: what counts as a difference, how records of two sets are paired. Must not know: where records come from, how
//! they are sorted, hash functions (keys and digests are the caller's).
//! Bounded: [`FIELDS_MAX`] differences of one record, [`SAME_KEY_MAX`] records of one key in memory per side.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::iter::Peekable;

/// Keys of a row that tell how it was collected and not what was found: never a difference.
pub const BESIDE: [&str; 3] = ["timestamp", "input", "discovery_input"];
/// Differences that are told of one record; further ones are told as one of the object or list around them.
pub const FIELDS_MAX: usize = 1_000;
/// Records with one key that are paired with each other; a key that more records share is paired in portions.
pub const SAME_KEY_MAX: usize = 1_024;

/// What became of a record between two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Only the later run has it.
    Added,
    /// Both have it, with other fields.
    Changed,
    /// Both have it, with the same fields.
    Unchanged,
    /// Only the earlier run has it.
    Removed,
}

impl ChangeKind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Added, Self::Changed, Self::Unchanged, Self::Removed];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
        }
    }
}

/// One place at which two records differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Where, as `explain` names places: `price`, `offers[0].price`.
    pub path: String,
    /// The earlier value; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The later value; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The fields in which two records differ, without [`BESIDE`], in the order of the later record, then what only the
/// earlier one has. Empty exactly if [`canonical`] gives the same text for both.
pub fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<FieldChange> {
    let mut out = Vec::new();
    let keys = after.keys().chain(before.keys().filter(|key| !after.contains_key(*key)));
    for key in keys.filter(|key| !BESIDE.contains(&key.as_str())) {
        compare(key, before.get(key), after.get(key), &mut out);
    }
    out
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    let began = out.len();
    match (before, after) {
        (Some(Value::Object(was)), Some(Value::Object(is))) => {
            for key in is.keys().chain(was.keys().filter(|key| !is.contains_key(*key))) {
                compare(&format!("{path}.{key}"), was.get(key), is.get(key), out);
                if out.len() > FIELDS_MAX {
                    break;
                }
            }
        }
        (Some(Value::Array(was)), Some(Value::Array(is))) => {
            for at in 0..was.len().max(is.len()) {
                compare(&format!("{path}[{at}]"), was.get(at), is.get(at), out);
                if out.len() > FIELDS_MAX {
                    break;
                }
            }
        }
        _ => {}
    }
    // A pair of other kinds, or one that differs in too many places to list them.
    if out.len() == began || out.len() > FIELDS_MAX {
        out.truncate(began);
        out.push(FieldChange { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
    }
}

/// A record as one text that is the same for every order of its keys, without [`BESIDE`]: what a record's hash is
/// taken over.
pub fn canonical(record: &Map<String, Value>) -> String {
    let mut out = String::new();
    write_object(record, &BESIDE, &mut out);
    out
}

/// Any value as one text that is the same for every order of its keys.
pub fn canonical_value(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => write_object(map, &[], out),
        Value::Array(list) => {
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn write_object(map: &Map<String, Value>, without: &[&str], out: &mut String) {
    let mut keys: Vec<&String> = map.keys().filter(|key| !without.contains(&key.as_str())).collect();
    keys.sort_unstable();
    out.push('{');
    for (at, key) in keys.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        if let Some(value) = map.get(key) {
            write(value, out);
        }
    }
    out.push('}');
}

/// A record on its way through [`merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed<K, R> {
    /// What makes it the same record in another run. Streams are sorted by it.
    pub key: K,
    /// Digest of its fields.
    pub digest: K,
    /// The record itself, or where it lies.
    pub record: R,
}

/// Two records of one key, or one without a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pair<R> {
    /// See [`ChangeKind::Added`].
    Added(R),
    /// See [`ChangeKind::Changed`].
    Changed {
        /// The earlier record.
        before: R,
        /// The later record.
        after: R,
    },
    /// See [`ChangeKind::Unchanged`]; the later record.
    Unchanged(R),
    /// See [`ChangeKind::Removed`].
    Removed(R),
}

impl<R> Pair<R> {
    /// What it is.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Added(_) => ChangeKind::Added,
            Self::Changed { .. } => ChangeKind::Changed,
            Self::Unchanged(_) => ChangeKind::Unchanged,
            Self::Removed(_) => ChangeKind::Removed,
        }
    }
}

/// Pairs two streams that are sorted by key (ascending, both the same way). Records that share a key are paired by
/// equal digests first, the rest in their order.
pub fn merge<K: Ord, R>(
    before: impl Iterator<Item = Keyed<K, R>>,
    after: impl Iterator<Item = Keyed<K, R>>,
) -> impl Iterator<Item = Pair<R>> {
    let mut merge = Merge { before: before.peekable(), after: after.peekable(), ready: Vec::new() };
    std::iter::from_fn(move || merge.next())
}

struct Merge<K, R, B: Iterator<Item = Keyed<K, R>>, A: Iterator<Item = Keyed<K, R>>> {
    before: Peekable<B>,
    after: Peekable<A>,
    /// Pairs of the last key, the next one at the end.
    ready: Vec<Pair<R>>,
}

impl<K: Ord, R, B: Iterator<Item = Keyed<K, R>>, A: Iterator<Item = Keyed<K, R>>> Merge<K, R, B, A> {
    fn next(&mut self) -> Option<Pair<R>> {
        loop {
            if let Some(pair) = self.ready.pop() {
                return Some(pair);
            }
            let side = match (self.before.peek(), self.after.peek()) {
                (None, None) => return None,
                (Some(was), Some(is)) => was.key.cmp(&is.key),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
            };
            match side {
                std::cmp::Ordering::Less => return self.before.next().map(|was| Pair::Removed(was.record)),
                std::cmp::Ordering::Greater => return self.after.next().map(|is| Pair::Added(is.record)),
                std::cmp::Ordering::Equal => {
                    self.ready = pair_up(same_key(&mut self.before), same_key(&mut self.after));
                    self.ready.reverse();
                }
            }
        }
    }
}

/// The next records that share a key.
fn same_key<K: Ord, R>(stream: &mut Peekable<impl Iterator<Item = Keyed<K, R>>>) -> Vec<Keyed<K, R>> {
    let mut out: Vec<Keyed<K, R>> = Vec::new();
    while out.len() < SAME_KEY_MAX {
        let first = out.first();
        match stream.next_if(|next| first.is_none_or(|first| first.key == next.key)) {
            Some(next) => out.push(next),
            None => break,
        }
    }
    out
}

fn pair_up<K: Ord, R>(before: Vec<Keyed<K, R>>, after: Vec<Keyed<K, R>>) -> Vec<Pair<R>> {
    let mut before: Vec<Option<Keyed<K, R>>> = before.into_iter().map(Some).collect();
    let mut out = Vec::new();
    let mut rest = Vec::new();
    for is in after {
        let same = before.iter_mut().find(|was| was.as_ref().is_some_and(|was| was.digest == is.digest));
        match same.and_then(Option::take) {
            Some(_) => out.push(Pair::Unchanged(is.record)),
            None => rest.push(is),
        }
    }
    let mut before = before.into_iter().flatten();
    for is in rest {
        out.push(match before.next() {
            Some(was) => Pair::Changed { before: was.record, after: is.record },
            None => Pair::Added(is.record),
        });
    }
    out.extend(before.map(|was| Pair::Removed(was.record)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn differences_name_their_place() {
        let before = object(json!({"a": 1, "o": {"x": [1, {"y": 2}], "z": 0}, "gone": 1, "timestamp": "t"}));
        let after =
            object(json!({"new": null, "a": 1.0, "o": {"x": [1, {"y": 3}, 4], "z": 0}, "timestamp": "u"}));
        let got: Vec<(String, Option<Value>, Option<Value>)> =
            differences(&before, &after).into_iter().map(|d| (d.path, d.before, d.after)).collect();
        assert_eq!(
            got,
            [
                ("new".into(), None, Some(Value::Null)),
                ("a".into(), Some(json!(1)), Some(json!(1.0))),
                ("o.x[1].y".into(), Some(json!(2)), Some(json!(3))),
                ("o.x[2]".into(), None, Some(json!(4))),
                ("gone".into(), Some(json!(1)), None),
            ]
        );
    }

    #[test]
    fn too_many_differences_are_told_as_one() {
        let list = |n: u32| json!({"l": (0..5_000).map(|i| i + n).collect::<Vec<_>>(), "a": n});
        let got = differences(&object(list(0)), &object(list(1)));
        assert_eq!(got.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["l", "a"]);
    }

    #[test]
    fn the_canonical_text_knows_no_order_and_no_metadata() {
        let one = object(json!({"b": {"d": 1, "c": [true, null, "é\n"]}, "a": 1.50, "input": {"url": "u"}}));
        let other = object(json!({"a": 1.5, "timestamp": "t", "b": {"c": [true, null, "é\n"], "d": 1}}));
        assert_eq!(canonical(&one), canonical(&other));
        assert_eq!(canonical(&one), "{\"a\":1.5,\"b\":{\"c\":[true,null,\"é\\n\"],\"d\":1}}");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0_i64..4).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn record() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[a-d]", value(), 0..4).prop_map(|map| map.into_iter().collect())
    }

    type Side = Vec<(u8, u8)>;

    fn keyed(mut side: Side) -> impl Iterator<Item = Keyed<u8, (u8, u8)>> {
        side.sort_by_key(|(key, _)| *key);
        side.into_iter().map(|(key, digest)| Keyed { key, digest, record: (key, digest) })
    }

    fn counted(side: impl IntoIterator<Item = (u8, u8)>) -> BTreeMap<(u8, u8), usize> {
        side.into_iter().fold(BTreeMap::new(), |mut counts, row| {
            *counts.entry(row).or_insert(0) += 1;
            counts
        })
    }

    proptest! {
        #[test]
        fn no_difference_means_the_same_text(a in record(), b in record()) {
            prop_assert_eq!(differences(&a, &b).is_empty(), canonical(&a) == canonical(&b));
            prop_assert!(differences(&a, &a).is_empty());
            let back: Vec<String> = differences(&b, &a).into_iter().map(|d| d.path).collect();
            let mut there: Vec<String> = differences(&a, &b).into_iter().map(|d| d.path).collect();
            there.sort();
            let mut sorted = back.clone();
            sorted.sort();
            prop_assert_eq!(there, sorted);
        }

        #[test]
        fn every_record_of_both_sides_is_told_once(
            before in prop::collection::vec((0_u8..6, 0_u8..3), 0..30),
            after in prop::collection::vec((0_u8..6, 0_u8..3), 0..30),
        ) {
            let (mut was, mut is) = (Vec::new(), Vec::new());
            for pair in merge(keyed(before.clone()), keyed(after.clone())) {
                match pair {
                    Pair::Added(row) => is.push(row),
                    Pair::Removed(row) => was.push(row),
                    Pair::Unchanged(row) => { is.push(row); was.push(row); }
                    Pair::Changed { before, after } => {
                        prop_assert_eq!(before.0, after.0);
                        prop_assert_ne!(before.1, after.1);
                        was.push(before);
                        is.push(after);
                    }
                }
            }
            prop_assert_eq!(counted(was), counted(before.clone()));
            prop_assert_eq!(counted(is), counted(after));
            // A side against itself is all unchanged.
            prop_assert!(merge(keyed(before.clone()), keyed(before)).all(|p| p.kind() == ChangeKind::Unchanged));
        }
    }

    #[test]
    fn a_key_that_all_share_stays_bounded_and_whole() {
        let side = |n: usize| (0..n).map(|at| Keyed { key: 0_usize, digest: at, record: at });
        let n = 3 * SAME_KEY_MAX + 7;
        assert_eq!(merge(side(n), side(n)).filter(|p| p.kind() == ChangeKind::Unchanged).count(), n);
        assert_eq!(merge(side(n), side(n + 2)).filter(|p| p.kind() == ChangeKind::Added).count(), 2);
    }
}
