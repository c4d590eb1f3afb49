//! URL templates: RFC 6570 as far as addresses of searches and lists need it.
//!
//! `{name}` is percent-encoded, `{+name}` keeps what URLs reserve, `{?a,b}` and `{&a,b}` write query parameters of what
//! is there. Must not know: inputs, pages. Invariant: an expansion is never longer than its bound.

use crate::limit;
use serde_json::Value;

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value { name: String, reserved: bool },
    Query { names: Vec<String>, first: char },
}

/// What is wrong, and at which character.
pub(crate) type TemplateError = (usize, String);

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let at = text[..text.len() - rest.len() + open].chars().count();
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let Some(close) = rest[open..].find('}') else {
                return Err((at, "`{` without `}`".into()));
            };
            let inner = &rest[open + 1..open + close];
            parts.push(expression(inner).map_err(|message| (at, message))?);
            rest = &rest[open + close + 1..];
        }
        if rest.contains('}') {
            return Err((text.chars().count(), "`}` without `{`".into()));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Names used, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flat_map(|part| match part {
            Part::Text(_) => Vec::new(),
            Part::Value { name, .. } => vec![name.as_str()],
            Part::Query { names, .. } => names.iter().map(String::as_str).collect(),
        })
    }

    /// The fixed beginning.
    pub(crate) fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// Is the beginning a value that keeps its signs, as in `{+url}`?
    pub(crate) fn begins_with_url(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Value { reserved: true, .. }))
    }

    /// The URL text with the values that `get` gives; absent ones are empty.
    pub(crate) fn expand(&self, get: impl Fn(&str) -> Option<Value>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { name, reserved } => {
                    if let Some(value) = get(name) {
                        write(&value, *reserved, &mut out);
                    }
                }
                Part::Query { names, first } => {
                    let mut sign = *first;
                    for name in names {
                        let Some(value) = get(name).filter(|v| !is_empty(v)) else { continue };
                        out.push(sign);
                        sign = '&';
                        out.push_str(name);
                        out.push('=');
                        write(&value, false, &mut out);
                    }
                }
            }
            if out.len() > limit::URL_BYTES {
                // Longer than any server takes; the caller refuses it.
                return out;
            }
        }
        out
    }
}

fn expression(inner: &str) -> Result<Part, String> {
    let name = |name: &str| {
        let fits = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if fits { Ok(name.to_owned()) } else { Err(format!("`{name}` is not the name of an input")) }
    };
    match inner.chars().next() {
        Some('+') => Ok(Part::Value { name: name(&inner[1..])?, reserved: true }),
        Some(first @ ('?' | '&')) => {
            let names = inner[1..].split(',').map(|n| name(n.trim())).collect::<Result<_, _>>()?;
            Ok(Part::Query { names, first })
        }
        _ => Ok(Part::Value { name: name(inner)?, reserved: false }),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn write(value: &Value, reserved: bool, out: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => encode(text, reserved, out),
        Value::Array(list) => {
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                // A list within a list has no form in a URL.
                if !item.is_array() {
                    write(item, reserved, out);
                }
                if out.len() > limit::URL_BYTES {
                    return;
                }
            }
        }
        other => encode(&other.to_string(), reserved, out),
    }
}

fn encode(text: &str, reserved: bool, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes().take(limit::URL_BYTES + 1) {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let kept = reserved && b":/?#[]@!$&'()*+,;=%".contains(&byte);
        if plain || kept {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expand(template: &str) -> String {
        let values =
            json!({"q": "a b&c/é", "n": 3, "u": "https://a/b?c=d", "list": ["x", "y z"], "none": ""});
        Template::parse(template).unwrap().expand(|name| values.get(name).cloned())
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(expand("https://s/search?q={q}&n={n}"), "https://s/search?q=a%20b%26c%2F%C3%A9&n=3");
        assert_eq!(expand("{+u}"), "https://a/b?c=d");
        assert_eq!(
            expand("https://s/{?q,none,missing,list}"),
            "https://s/?q=a%20b%26c%2F%C3%A9&list=x,y%20z"
        );
        assert_eq!(expand("https://s/?a=1{&n}{&missing}"), "https://s/?a=1&n=3");
    }

    #[test]
    fn errors_have_places() {
        assert_eq!(Template::parse("ab{c").unwrap_err().0, 2);
        assert_eq!(Template::parse("ab{}").unwrap_err().0, 2);
        assert!(Template::parse("ab}").is_err());
    }
}
