//! The keys of an object, known beforehand: reads a row into the JSON text of each, without copying any of it.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// Names in order, each once.
pub(crate) struct Keys {
    names: Vec<String>,
    index: HashMap<String, usize>,
}

impl Keys {
    /// A name that is given twice is one key, where it stands first.
    pub(crate) fn new(given: impl IntoIterator<Item = String>) -> Self {
        let (mut names, mut index) = (Vec::new(), HashMap::new());
        for name in given {
            if !index.contains_key(&name) {
                index.insert(name.clone(), names.len());
                names.push(name);
            }
        }
        Self { names, index }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The value of each key as JSON text, `null` where there is none; and what has another key.
    pub(crate) fn read<'t>(&self, object: &'t str) -> Result<Cells<'t>, serde_json::Error> {
        let mut cells = Cells { known: vec!["null"; self.names.len()], unknown: Vec::new() };
        let mut parser = serde_json::Deserializer::from_str(object);
        Object { keys: self, cells: &mut cells }.deserialize(&mut parser)?;
        parser.end()?;
        Ok(cells)
    }
}

/// What an object held, as JSON texts.
pub(crate) struct Cells<'t> {
    /// In the order of the names.
    pub(crate) known: Vec<&'t str>,
    /// Keys that are none of the names, with their values.
    pub(crate) unknown: Vec<(String, &'t str)>,
}

struct Object<'k, 'c, 't> {
    keys: &'k Keys,
    cells: &'c mut Cells<'t>,
}

impl<'t> DeserializeSeed<'t> for Object<'_, '_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Object<'_, '_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        loop {
            let Some(key) = map.next_key_seed(Key { keys: self.keys, next })? else { return Ok(()) };
            let raw: &'t RawValue = map.next_value()?;
            match key {
                Ok(at) => {
                    self.cells.known[at] = raw.get();
                    next = at + 1;
                }
                Err(name) => self.cells.unknown.push((name, raw.get())),
            }
        }
    }
}

/// Turns a key into its index without copying it, or gives the key back.
struct Key<'k> {
    keys: &'k Keys,
    /// The key after the last one seen: rows mostly follow the order of the names.
    next: usize,
}

impl<'t> DeserializeSeed<'t> for Key<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        if self.keys.names.get(self.next).is_some_and(|name| name == key) {
            return Ok(Ok(self.next));
        }
        Ok(self.keys.index.get(key).copied().ok_or_else(|| key.to_owned()))
    }
}
