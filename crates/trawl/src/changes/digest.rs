//! What makes a record the same record in another run, and whether it is still the same: two short hashes. Pure.
//!
//! Invariant: the hashes of a record follow from its stored row alone, so that a worker, which has it before it is
//! stored, and a comparison, which reads it back, agree.

use model::diff::{canonical, canonical_value};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Bytes of a hash: half of SHA-256, so that no two of the records of a lifetime meet.
pub(super) const HASH: usize = 16;

/// A hash.
pub(super) type Hash = [u8; HASH];

/// A record's identity and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The same for the same record of another run.
    pub(super) key: Hash,
    /// The same for the same fields.
    pub(super) record: Hash,
}

impl Digest {
    /// Of a row as it is stored. `key`: the fields that the scraper's file declares; without them, or where a record has
    /// none of them, its `url` and `input` are its identity, and without those its content.
    pub fn of(row: &Map<String, Value>, key: &[String]) -> Self {
        let content = hash("record", &canonical(row));
        let given = |name: &str| row.get(name).filter(|value| !value.is_null());
        let list = |names: &[&str]| {
            let values: Value = names.iter().map(|name| given(name).cloned().unwrap_or_default()).collect();
            canonical_value(&values)
        };
        let declared: Vec<&str> = key.iter().map(String::as_str).collect();
        let key = if declared.iter().any(|name| given(name).is_some()) {
            hash("key", &list(&declared))
        } else if given("url").or(given("input")).is_some() {
            hash("address", &list(&["url", "input"]))
        } else {
            content
        };
        Self { key, record: content }
    }

    /// Of a row as text; `None` if it is no JSON object.
    pub fn of_text(row: &[u8], key: &[String]) -> Option<Self> {
        Some(Self::of(&serde_json::from_slice(row).ok()?, key))
    }
}

fn hash(what: &str, text: &str) -> Hash {
    let mut hash = Sha256::new();
    hash.update(what.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    let mut out = [0; HASH];
    out.copy_from_slice(&hash.finalize()[..HASH]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(row: &str, key: &[&str]) -> Digest {
        let key: Vec<String> = key.iter().map(|k| (*k).to_owned()).collect();
        Digest::of_text(row.as_bytes(), &key).unwrap()
    }

    #[test]
    fn metadata_is_no_content() {
        let one = of(r#"{"a":1,"timestamp":"x","input":{"url":"u"}}"#, &[]);
        let other = of(r#"{"timestamp":"y","a":1,"input":{"url":"u"}}"#, &[]);
        assert_eq!(one, other);
        let elsewhere = of(r#"{"a":1,"timestamp":"x","input":{"url":"v"}}"#, &[]);
        assert_eq!(one.record, elsewhere.record);
        assert_ne!(one.key, elsewhere.key);
    }

    #[test]
    fn a_declared_key_wins_where_there_is_one() {
        let one = of(r#"{"sku":"7","price":1,"input":{"url":"u"}}"#, &["sku"]);
        let other = of(r#"{"sku":"7","price":2,"input":{"url":"v"}}"#, &["sku"]);
        assert_eq!(one.key, other.key);
        assert_ne!(one.record, other.record);
        let without = of(r#"{"sku":null,"price":2,"input":{"url":"v"}}"#, &["sku"]);
        assert_eq!(without.key, of(r#"{"price":9,"input":{"url":"v"}}"#, &["sku"]).key);
        let nothing = of(r#"{"price":2}"#, &["sku"]);
        assert_eq!(nothing.key, nothing.record);
    }
}
