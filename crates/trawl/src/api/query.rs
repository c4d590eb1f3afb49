//! Query parameters: one table per endpoint, used both to check what comes and to describe it in `/openapi.json`.
//!
//! Pure. Invariants: every fault of a query is reported at once, in sentences of the documented form
//! (`"limit" must be a number`); parameters not in the table are tolerated (api.md 1.5) unless the endpoint says no.

use super::error::{ApiError, Result};
use model::{Format, Timestamp};
use serde_json::{Value, json};

/// Bytes of a query string: a webhook address and a few words fit many times.
const QUERY_BYTES: usize = 32 * 1024;
/// Bytes of one text value.
const TEXT_BYTES: usize = 8 * 1024;

/// Formats a caller may name.
pub(super) const FORMATS: &[&str] = &["json", "ndjson", "jsonl", "csv", "parquet", "xlsx"];

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text that is not empty.
    Text,
    /// A pipe list of names: `url|about.updated_on`.
    Fields,
    /// A format of rows. `raw`, which an official client can send, means JSON.
    Format,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A comma list of these words.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count(u64, u64),
    /// An address, `http` or `https`.
    Url,
    /// `true`, `false` or an address.
    FlagOrUrl,
    /// A date or moment, ISO 8601.
    Date,
    /// A moment, or a duration such as `30s`, `15min`, `2h`, `3d`.
    Deadline,
    /// A duration, or `0`.
    Age,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    /// Its name.
    pub(super) name: &'static str,
    /// What it may be.
    pub(super) kind: Kind,
    /// It has to be there; the endpoint itself refuses its absence, in its own documented words.
    pub(super) required: bool,
    /// For people.
    pub(super) about: &'static str,
}

/// A parameter that may be left out.
pub(super) const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, required: false, about }
}

/// A parameter that has to be there.
pub(super) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, required: true, about }
}

/// A query whose known parameters fit their table.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Checks a raw query string against a table; every fault at once.
    pub(super) fn read(raw: Option<&str>, table: &[Param]) -> Result<Self> {
        let raw = raw.unwrap_or_default();
        if raw.len() > QUERY_BYTES {
            return Err(ApiError::option(format!("the query must not be longer than {QUERY_BYTES} bytes")));
        }
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
        let mut faults = Vec::new();
        for param in table {
            let mut values = pairs.iter().filter(|(name, _)| name == param.name).map(|(_, value)| value);
            if let Some(value) = values.next() {
                if values.next().is_some() {
                    faults.push(format!("\"{}\" must be given once", param.name));
                } else if let Err(fault) = param.kind.check(value) {
                    faults.push(format!("\"{}\" {fault}", param.name));
                }
            }
        }
        if faults.is_empty() { Ok(Self { pairs }) } else { Err(ApiError::options(faults)) }
    }

    /// As [`Query::read`], but a parameter outside the table is a fault.
    pub(super) fn read_only(raw: Option<&str>, table: &[Param]) -> Result<Self> {
        let query = Self::read(raw, table)?;
        let faults: Vec<String> = query
            .pairs
            .iter()
            .filter(|(name, _)| table.iter().all(|param| param.name != name))
            .map(|(name, _)| format!("\"{}\" is not allowed", name.chars().take(100).collect::<String>()))
            .collect();
        if faults.is_empty() { Ok(query) } else { Err(ApiError::options(faults)) }
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A flag; absent is false.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|word| word.eq_ignore_ascii_case("true"))
    }

    /// A number.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A date or moment, and whether it named a day only.
    pub(super) fn date(&self, name: &str) -> Option<(Timestamp, bool)> {
        let text = self.text(name)?;
        Some((Timestamp::parse(text)?, !text.contains(':')))
    }

    /// Adds a parameter of the body, which the query's own wins over.
    pub(super) fn add(&mut self, name: &str, value: String) {
        if self.text(name).is_none() {
            self.pairs.push((name.to_owned(), value));
        }
    }

    /// The format asked for; `raw` is JSON.
    pub(super) fn format(&self) -> Option<Format> {
        self.text("format").map(|word| Format::parse(word).unwrap_or_default())
    }

    /// Every pair, in order.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

impl Kind {
    /// Why a value does not fit, in the words of the documented validator.
    pub(super) fn check(self, value: &str) -> std::result::Result<(), String> {
        if value.is_empty() && matches!(self, Self::Text | Self::Fields | Self::Url | Self::FlagOrUrl) {
            return Err("is not allowed to be empty".into());
        }
        if value.len() > TEXT_BYTES {
            return Err(format!("length must be less than or equal to {TEXT_BYTES} characters long"));
        }
        match self {
            Self::Text => Ok(()),
            Self::Fields if value.split('|').any(|name| name.trim().is_empty()) => {
                Err("must be a list of field names separated by |".into())
            }
            Self::Fields => Ok(()),
            Self::Format if value == "raw" => Ok(()),
            Self::Format => Self::Word(FORMATS).check(value),
            Self::Word(words) if words.contains(&value) => Ok(()),
            Self::Word(words) => Err(format!("must be one of [{}]", words.join(", "))),
            Self::Words(words) if value.split(',').all(|word| words.contains(&word.trim())) => Ok(()),
            Self::Words(words) => Err(format!("must be a comma list of [{}]", words.join(", "))),
            Self::Flag if is_flag(value) => Ok(()),
            Self::Flag => Err("must be a boolean".into()),
            Self::Count(least, most) => check_count(value, least, most),
            Self::Url => check_url(value),
            Self::FlagOrUrl if is_flag(value) => Ok(()),
            Self::FlagOrUrl => check_url(value).map_err(|_| "must be a boolean or a valid uri".into()),
            Self::Date if Timestamp::parse(value).is_some() => Ok(()),
            Self::Date => Err("must be a date in ISO 8601 format".into()),
            Self::Age if age_ms(value).is_some() => Ok(()),
            Self::Age => Err("must be a duration such as 30min, 1h, 7d, or 0".into()),
            Self::Deadline if Timestamp::parse(value).or(duration(value)).is_some() => Ok(()),
            Self::Deadline => {
                Err("must be a moment in ISO 8601 format or a duration such as 30s, 15min, 2h, 3d".into())
            }
        }
    }

    /// JSON Schema of the value.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string", "minLength": 1, "maxLength": TEXT_BYTES / 4 }),
            Self::Fields => json!({
                "type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_.-]+(\\|[A-Za-z0-9_.-]+)*$",
                "maxLength": TEXT_BYTES / 4, "example": "url|title",
            }),
            Self::Format => Self::Word(FORMATS).schema(),
            Self::Word(words) => json!({ "type": "string", "enum": words }),
            Self::Words(words) => {
                let any = words.join("|");
                json!({ "type": "string", "pattern": format!("^({any})(,({any}))*$") })
            }
            Self::Flag => json!({ "type": "boolean" }),
            Self::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Url => json!({
                "type": "string", "format": "uri", "pattern": "^https?://", "maxLength": TEXT_BYTES / 4,
            }),
            Self::FlagOrUrl => json!({ "anyOf": [Self::Flag.schema(), Self::Url.schema()] }),
            Self::Date => json!({ "anyOf": [
                { "type": "string", "format": "date" }, { "type": "string", "format": "date-time" },
            ] }),
            Self::Age => json!({ "type": "string", "pattern": "^(0|[1-9][0-9]{0,5}(s|sec|m|min|h|d))$" }),
            Self::Deadline => json!({ "anyOf": [
                { "type": "string", "pattern": "^[1-9][0-9]{0,5}(s|sec|m|min|h|d)$" },
                { "type": "string", "format": "date-time" },
            ] }),
        }
    }
}

fn is_flag(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

fn duration(text: &str) -> Option<Timestamp> {
    model::duration_ms(text).map(Timestamp::from_ms)
}

/// An age in milliseconds.
pub(super) fn age_ms(text: &str) -> Option<i64> {
    if text.trim() == "0" { Some(0) } else { model::duration_ms(text) }
}

fn check_count(value: &str, least: u64, most: u64) -> std::result::Result<(), String> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(match value.parse::<f64>() {
            Ok(n) if n.is_finite() => "must be an integer".into(),
            _ => "must be a number".into(),
        });
    }
    // What does not fit an i128 is out of bounds on its own side.
    let n = value.parse::<i128>().unwrap_or(if value.starts_with('-') { i128::MIN } else { i128::MAX });
    if n < i128::from(least) {
        Err(format!("must be greater than or equal to {least}"))
    } else if n > i128::from(most) {
        Err(format!("must be less than or equal to {most}"))
    } else {
        Ok(())
    }
}

/// An address that something may be sent to: `http` or `https`, with a host.
pub(super) fn check_url(value: &str) -> std::result::Result<(), String> {
    match url::Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err("must be a valid uri with a scheme matching the http|https pattern".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &[Param] = &[
        optional("type", Kind::Word(&["discover_new", "url_collection"]), ""),
        optional("limit", Kind::Count(1, 100), ""),
        optional("flag", Kind::Flag, ""),
        optional("endpoint", Kind::Url, ""),
        optional("fields", Kind::Fields, ""),
        optional("deadline", Kind::Deadline, ""),
    ];

    fn faults(raw: &str) -> Vec<String> {
        match Query::read(Some(raw), TABLE) {
            Ok(_) => Vec::new(),
            Err(error) => serde_json::from_value(error.body()["validation_errors"].clone()).unwrap(),
        }
    }

    #[test]
    fn faults_are_said_in_the_documented_words() {
        assert_eq!(faults("type=zzz"), [r#""type" must be one of [discover_new, url_collection]"#]);
        assert_eq!(faults("limit=0"), [r#""limit" must be greater than or equal to 1"#]);
        assert_eq!(faults("limit=101"), [r#""limit" must be less than or equal to 100"#]);
        assert_eq!(faults("limit=x"), [r#""limit" must be a number"#]);
        assert_eq!(faults("limit=1.5"), [r#""limit" must be an integer"#]);
        assert_eq!(faults("limit=+5").len(), 1);
        assert_eq!(faults("limit=99999999999999999999999999999999999999999999").len(), 1);
        assert_eq!(faults("flag=maybe"), [r#""flag" must be a boolean"#]);
        assert_eq!(faults("flag=1&flag=2"), [r#""flag" must be given once"#]);
        assert_eq!(faults("endpoint=ftp://x/").len(), 1);
        assert_eq!(faults("fields=a||b").len(), 1);
        assert_eq!(faults("limit=0&flag=maybe").len(), 2);
    }

    #[test]
    fn what_fits_is_read_and_strangers_are_tolerated() {
        let raw = "limit=7&flag=True&endpoint=https%3A%2F%2Fa.example%2Fx&sdk_function=me&deadline=15min";
        let query = Query::read(Some(raw), TABLE).unwrap();
        assert_eq!(query.count("limit"), Some(7));
        assert!(query.flag("flag"));
        assert_eq!(query.text("endpoint"), Some("https://a.example/x"));
        assert_eq!(query.text("sdk_function"), Some("me"));
        assert!(Query::read_only(Some(raw), TABLE).is_err());
    }

    proptest! {
        #[test]
        fn no_query_panics(raw in ".{0,200}") {
            let _ = Query::read(Some(&raw), TABLE);
        }

        #[test]
        fn a_number_is_taken_exactly_within_its_bounds(n in -5_i64..200) {
            prop_assert_eq!(faults(&format!("limit={n}")).is_empty(), (1..=100).contains(&n));
        }
    }
}
