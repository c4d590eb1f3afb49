//! Credentials on their way to and from the store.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A credential of a delivery: never shown, and written to the store only in its sealed form.
///
/// How it is sealed is not known here. What this type holds to: a plain text cannot be serialized, so that a path
/// which forgets to seal fails instead of storing a password; what was read from the store is written back as it was.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Plain(String),
    Stored(String),
}

impl Sealed {
    /// As the caller gave it.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(Form::Plain(text.into()))
    }

    /// In the form that the store keeps. Rows of old versions hold the text itself there.
    pub fn stored(text: impl Into<String>) -> Self {
        Self(Form::Stored(text.into()))
    }

    /// The text as the caller gave it, if it was not sealed yet.
    pub fn as_plain(&self) -> Option<&str> {
        match &self.0 {
            Form::Plain(text) => Some(text),
            Form::Stored(_) => None,
        }
    }

    /// The form that the store keeps, if it has one.
    pub fn as_stored(&self) -> Option<&str> {
        match &self.0 {
            Form::Plain(_) => None,
            Form::Stored(text) => Some(text),
        }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Form::Stored(text) => serializer.serialize_str(text),
            Form::Plain(_) => Err(serde::ser::Error::custom("a credential was to be stored unsealed")),
        }
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_neither_shown_nor_stored() {
        let plain = Sealed::plain("hunter2");
        assert_eq!(format!("{plain:?}"), "***");
        let refusal = serde_json::to_string(&plain).unwrap_err().to_string();
        assert!(refusal.contains("unsealed") && !refusal.contains("hunter2"), "{refusal}");
    }

    #[test]
    fn what_was_stored_is_written_back_as_it_was() {
        let read: Sealed = serde_json::from_str("\"Token of an old row\"").unwrap();
        assert_eq!(read, Sealed::stored("Token of an old row"));
        assert_eq!(format!("{read:?}"), "***");
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"Token of an old row\"");
    }
}
