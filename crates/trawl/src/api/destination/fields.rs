//! The fields of one object of a caller's, each believed once or refused by its full name. Pure.

use super::{ApiError, Result};
use serde_json::{Map, Value};

/// Characters of a text that has no bound of its own.
const TEXT_CHARS: usize = 2_000;

/// An object and the path to it.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// Of a value that has to be an object.
    pub(super) fn of(value: &'a Value, path: &str) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, path: path.to_owned() }),
            _ => Err(ApiError::option(format!("\"{path}\" must be an object"))),
        }
    }

    /// A refusal of one field.
    pub(super) fn fault(&self, name: &str, what: &str) -> ApiError {
        let blank = if what.starts_with(':') { "" } else { " " };
        ApiError::option(format!("\"{}.{name}\"{blank}{what}", self.path))
    }

    /// A field's value; null is as good as absent.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A text that is not empty, of bounded length.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.text_up_to(name, TEXT_CHARS)
    }

    /// A text that is not empty, of at most so many characters.
    pub(super) fn text_up_to(&self, name: &str, most: usize) -> Result<Option<&'a str>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => {
                Err(self.fault(name, "is not allowed to be empty"))
            }
            Some(Value::String(text)) if text.chars().count() > most => {
                let what = format!("length must be less than or equal to {most} characters long");
                Err(self.fault(name, &what))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(name, "must be a string")),
        }
    }

    /// A text that has to be there.
    pub(super) fn needed(&self, name: &str) -> Result<&'a str> {
        self.text(name)?.ok_or_else(|| self.fault(name, "is required"))
    }

    /// A flag; absent is false.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.fault(name, "must be a boolean")),
        }
    }

    /// An object within.
    pub(super) fn inner(&self, name: &str) -> Result<Option<Fields<'a>>> {
        self.value(name).map(|value| Fields::of(value, &format!("{}.{name}", self.path))).transpose()
    }

    /// Refuses every key but these.
    pub(super) fn only(&self, names: &[&str]) -> Result<()> {
        match self.map.keys().find(|key| !names.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let shown: String = key.chars().take(60).collect();
                let known = names.join(", ");
                Err(self.fault(&shown, &format!("is not allowed; known here are {known}")))
            }
        }
    }
}
