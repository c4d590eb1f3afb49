//! Texts of a scraper file with places for secrets: `Bearer {secret.API_KEY}`. The file holds the names, never the values.

use serde_json::{Map, Value};

/// What begins a place.
const OPEN: &str = "{secret.";
/// Characters of a name.
const NAME_CHARS: usize = 64;

/// A text with places for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretText {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Secret(String),
}

/// Finds the value of a secret by its name.
pub type Secrets<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

impl SecretText {
    /// Reads it, or says what is wrong at which character.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(OPEN) {
            let at = text[..text.len() - rest.len() + open].chars().count();
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_owned()));
            }
            let inner = &rest[open + OPEN.len()..];
            let Some(close) = inner.find('}') else { return Err((at, "`{secret.` without `}`".into())) };
            let name = &inner[..close];
            if !is_name(name) {
                return Err((
                    at,
                    format!(
                        "`{name}` is not the name of a secret: letters, digits and `_`, at most {NAME_CHARS}"
                    ),
                ));
            }
            pieces.push(Piece::Secret(name.to_ascii_uppercase()));
            rest = &inner[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// Names of its secrets, in upper case.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Secret(name) => Some(name.as_str()),
        })
    }

    /// The text with its secrets, or the name of the one that is not there.
    pub(crate) fn fill(&self, secrets: Secrets<'_>) -> Result<String, String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Secret(name) => out.push_str(&secrets(name).ok_or_else(|| name.clone())?),
            }
        }
        Ok(out)
    }
}

/// May a secret be called so?
pub fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The texts within a JSON value, to be checked or listed.
pub(crate) fn texts<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(list) => list.iter().for_each(|item| texts(item, out)),
        Value::Object(map) => map.values().for_each(|item| texts(item, out)),
        _ => {}
    }
}

/// A JSON value with its secrets. Its depth is that of a scraper file.
pub(crate) fn fill_json(value: &Value, secrets: Secrets<'_>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match SecretText::parse(text) {
            Ok(text) => Value::String(text.fill(secrets)?),
            Err(_) => value.clone(),
        },
        Value::Array(list) => {
            Value::Array(list.iter().map(|item| fill_json(item, secrets)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let filled = map.iter().map(|(key, item)| Ok((key.clone(), fill_json(item, secrets)?)));
            Value::Object(filled.collect::<Result<Map<_, _>, String>>()?)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_filled_by_name() {
        let text = SecretText::parse("Bearer {secret.api_Key}{x}").unwrap();
        assert_eq!(text.names().collect::<Vec<_>>(), ["API_KEY"]);
        assert_eq!(text.fill(&|name| Some(name.to_lowercase())), Ok("Bearer api_key{x}".into()));
        assert_eq!(text.fill(&|_| None), Err("API_KEY".into()));
        assert_eq!(SecretText::parse("a {secret.x").unwrap_err().0, 2);
        assert!(SecretText::parse("{secret.}").is_err());
        let json = serde_json::json!({"user": "{secret.U}", "keep": [true, "{secret.P}!"]});
        let filled = fill_json(&json, &|name| Some(name.repeat(2)));
        assert_eq!(filled, Ok(serde_json::json!({"user": "UU", "keep": [true, "PP!"]})));
    }
}
