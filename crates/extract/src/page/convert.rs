//! From what was found to a value of the field's type. What does not fit is refused, never bent.

use super::look::{Raw, json_text};
use super::parts::Reader;
use crate::limit;
use crate::spec::{Field, Scalar};
use crate::value::number::Lone;
use crate::value::{date, image, number, price, rating, text, url as address, word};
use html::Node;
use serde_json::{Number, Value};
use std::borrow::Cow;

/// Why there is no value.
pub(crate) enum Not {
    /// Nothing was there.
    Empty,
    /// Something was there that is not of the type.
    Fits(String),
}

impl<'p> Reader<'p> {
    /// The value of the type, out of what was found.
    pub(crate) fn convert(&self, scalar: Scalar, raw: Raw<'p>, field: &Field) -> Result<Value, Not> {
        match scalar {
            Scalar::Text => self.as_text(raw),
            Scalar::Html => self.as_html(raw),
            Scalar::Markdown => self.as_markdown(raw),
            Scalar::Json => self.as_json(raw),
            Scalar::Url => {
                let reference = self.reference(
                    &raw,
                    &["href", "src", "content", "data-href"],
                    &["url", "@id", "contentUrl"],
                )?;
                let url =
                    address::resolve(self.base(), &reference).ok_or_else(|| misfit("a url", &reference))?;
                Ok(Value::String(url.into()))
            }
            Scalar::Image => {
                let reference = self.image(&raw)?;
                let url = address::resolve(self.base(), &reference)
                    .ok_or_else(|| misfit("an image's url", &reference))?;
                Ok(Value::String(url.into()))
            }
            Scalar::Number => self.number(&raw, "a number"),
            Scalar::Rating => self.rating(&raw, |r| Some(r.value), "a rating"),
            Scalar::BestRating => self.rating(&raw, |r| r.best, "a rating with its scale"),
            Scalar::Integer => match self.number(&raw, "an integer")? {
                Value::Number(n) => whole(&n).ok_or_else(|| misfit("an integer", &n.to_string())),
                _ => Err(Not::Empty),
            },
            Scalar::Price => self.price(&raw),
            Scalar::Currency => {
                let text = self.short(&raw)?;
                let code = price::currency(&text).ok_or_else(|| misfit("a currency", &text))?;
                Ok(Value::String(code.to_owned()))
            }
            Scalar::Availability => {
                let text = self.availability_text(&raw)?;
                let known = word::availability(&text).ok_or_else(|| misfit("an availability", &text))?;
                Ok(Value::String(known.to_owned()))
            }
            Scalar::CurrencySign
            | Scalar::Condition
            | Scalar::Duration
            | Scalar::Minutes
            | Scalar::Grams
            | Scalar::Metres
            | Scalar::Litres
            | Scalar::Phone
            | Scalar::Email
            | Scalar::Breadcrumbs
            | Scalar::Categories => self.special(scalar, &raw),
            Scalar::Boolean => {
                // Of JSON's own booleans the text is one of the words.
                let text = self.short(&raw)?;
                word::boolean(&text).map(Value::Bool).ok_or_else(|| misfit("a boolean", &text))
            }
            Scalar::Date | Scalar::Datetime => self.date(scalar, &raw, field),
        }
    }

    fn as_text(&self, raw: Raw<'p>) -> Result<Value, Not> {
        // The whole page as text has its own bound and was counted when it was made.
        if let Raw::Made(Value::String(text)) = raw {
            return if text.trim().is_empty() { Err(Not::Empty) } else { Ok(Value::String(text)) };
        }
        let text = self.text_of(&raw).ok_or(Not::Empty)?;
        Ok(Value::String(text::cut(text.into_owned(), limit::TEXT_BYTES)))
    }

    fn as_html(&self, raw: Raw<'p>) -> Result<Value, Not> {
        match raw {
            Raw::Node(node) => {
                let html = node.inner_html();
                if html.trim().is_empty() || !self.spend(html.len()) {
                    return Err(Not::Empty);
                }
                Ok(Value::String(text::cut(html, limit::PAGE_TEXT_BYTES)))
            }
            other => self.as_text(other),
        }
    }

    fn as_markdown(&self, raw: Raw<'p>) -> Result<Value, Not> {
        match raw {
            Raw::Node(node) => {
                let markdown = crate::markdown::markdown(node, self.base());
                if markdown.trim().is_empty() || !self.spend(markdown.len()) {
                    return Err(Not::Empty);
                }
                Ok(Value::String(text::cut(markdown, limit::PAGE_TEXT_BYTES)))
            }
            other => self.as_text(other),
        }
    }

    fn as_json(&self, raw: Raw<'p>) -> Result<Value, Not> {
        let value = match raw {
            Raw::Made(value) => value,
            Raw::Json(value) => value.clone(),
            other => {
                let text = self.text_of(&other).ok_or(Not::Empty)?;
                serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()))
            }
        };
        if value.is_null() { Err(Not::Empty) } else { Ok(value) }
    }

    /// A short text: numbers, dates and words have no use for more.
    pub(crate) fn short(&self, raw: &Raw<'p>) -> Result<String, Not> {
        let text = match raw {
            Raw::Node(node) => machine_text(*node).map_or_else(|| self.node_text(*node), str::to_owned),
            raw => self.text_of(raw).ok_or(Not::Empty)?.into_owned(),
        };
        let text = text::head(&text, limit::SHORT_VALUE_BYTES).trim();
        if text.is_empty() { Err(Not::Empty) } else { Ok(text.to_owned()) }
    }

    fn number(&self, raw: &Raw<'p>, what: &str) -> Result<Value, Not> {
        if let Raw::Json(Value::Number(n)) | Raw::Made(Value::Number(n)) = raw {
            return Ok(Value::Number(n.clone()));
        }
        let text = self.short(raw)?;
        let value = plain(&text).or_else(|| number::first(&text, Lone::CommaGroups));
        value.and_then(to_json).ok_or_else(|| misfit(what, &text))
    }

    fn rating(
        &self,
        raw: &Raw<'p>,
        part: fn(rating::Rating) -> Option<f64>,
        what: &str,
    ) -> Result<Value, Not> {
        // Structured data names the value and its scale apart.
        if let Raw::Json(Value::Number(n)) = raw {
            return Ok(Value::Number(n.clone()));
        }
        // Stars are often told only to those who cannot see them.
        if let Raw::Node(node) = raw {
            let read = rating::of_node(*node).and_then(part).and_then(to_json);
            return read.ok_or_else(|| misfit(what, &self.node_text(*node)));
        }
        let text = self.short(raw)?;
        rating::parse(&text).and_then(part).and_then(to_json).ok_or_else(|| misfit(what, &text))
    }

    fn price(&self, raw: &Raw<'p>) -> Result<Value, Not> {
        if let Raw::Json(Value::Number(n)) | Raw::Made(Value::Number(n)) = raw {
            return Ok(Value::Number(n.clone()));
        }
        let text = self.short(raw)?;
        // Written for machines, a point is a decimal point, also before three digits.
        let machine = match raw {
            Raw::Json(_) => plain(&text),
            Raw::Node(node) => machine_text(*node).and_then(plain),
            Raw::Text(_) | Raw::Made(_) => None,
        };
        let value = machine.or_else(|| price::parse(&text).map(|p| p.amount));
        value.and_then(to_json).ok_or_else(|| misfit("a price", &text))
    }

    fn availability_text(&self, raw: &Raw<'p>) -> Result<String, Not> {
        match raw {
            Raw::Node(node) if node.attr("content").is_none() => match node.attr("href") {
                Some(href) if href.contains("schema.org/") => Ok(href.to_owned()),
                _ => self.short(raw),
            },
            raw => self.short(raw),
        }
    }

    fn date(&self, scalar: Scalar, raw: &Raw<'p>, field: &Field) -> Result<Value, Not> {
        let text = self.short(raw)?;
        let language = self.head().language_tag();
        let how = date::Reading { day_first: field.day_first, now: self.parts.page.fetched_at, language };
        let moment = date::parse(&text, how).ok_or_else(|| misfit("a date", &text))?;
        Ok(Value::String(if scalar == Scalar::Date { moment.date_text() } else { moment.datetime_text() }))
    }

    /// The address of a page that was found, without fragment.
    pub(crate) fn page_url(&self, raw: &Raw<'p>) -> Option<url::Url> {
        let reference = self.reference(raw, &["href", "src", "content"], &["url", "@id"]).ok()?;
        address::page(self.base(), &reference)
    }

    pub(crate) fn reference<'r>(
        &self,
        raw: &'r Raw<'p>,
        attrs: &[&str],
        keys: &[&str],
    ) -> Result<Cow<'r, str>, Not> {
        let found = match raw {
            Raw::Node(node) => match attrs.iter().find_map(|a| node.attr(a)) {
                Some(value) => Some(Cow::Borrowed(value.trim())),
                None => Some(Cow::Owned(self.node_text(*node))),
            },
            Raw::Text(text) => Some(Cow::Borrowed(text.trim())),
            Raw::Json(value) => json_reference(value, keys),
            Raw::Made(value) => json_reference(value, keys),
        };
        found.filter(|text| !text.is_empty()).ok_or(Not::Empty)
    }

    fn image<'r>(&self, raw: &'r Raw<'p>) -> Result<Cow<'r, str>, Not> {
        if let Raw::Node(node) = raw {
            let own = image::best(|name| node.attr(name));
            let inner = || {
                node.descendants()
                    .filter(|n| shows_a_picture(*n))
                    .find_map(|n| image::best(|name| n.attr(name)))
            };
            return own.or_else(inner).map(|s| Cow::Borrowed(s.trim())).ok_or(Not::Empty);
        }
        self.reference(raw, &[], &["url", "contentUrl", "@id"])
    }
}

/// An image, or one of the choices of a `picture`.
fn shows_a_picture(node: Node<'_>) -> bool {
    match node.name() {
        "img" => true,
        "source" => node.parent().is_some_and(|p| p.name() == "picture"),
        _ => false,
    }
}

fn json_reference<'v>(value: &'v Value, keys: &[&str]) -> Option<Cow<'v, str>> {
    match value {
        Value::Object(map) => keys.iter().find_map(|k| map.get(*k)).and_then(json_text),
        Value::Array(list) => list.first().and_then(|v| match v {
            Value::Array(_) => None,
            other => json_reference(other, keys),
        }),
        other => json_text(other),
    }
}

/// What an element says to machines.
fn machine_text<'p>(node: Node<'p>) -> Option<&'p str> {
    let text = match node.name() {
        "time" => node.attr("datetime").or(node.attr("content")),
        "data" | "meter" | "input" | "option" => node.attr("value").or(node.attr("content")),
        _ => node.attr("content"),
    }?;
    let text = text.trim();
    (!text.is_empty()).then_some(text)
}

/// A number as programs write it.
fn plain(text: &str) -> Option<f64> {
    let fits = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    if fits { text.parse::<f64>().ok().filter(|n| n.is_finite()) } else { None }
}

pub(crate) fn to_json(value: f64) -> Option<Value> {
    // A whole number is written without a point.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

fn whole(n: &Number) -> Option<Value> {
    if n.is_i64() || n.is_u64() {
        return Some(Value::Number(n.clone()));
    }
    n.as_f64().filter(|f| f.fract() == 0.0).and_then(to_json)
}

pub(crate) fn misfit(what: &str, text: &str) -> Not {
    Not::Fits(format!("`{}` is not {what}", text::head(&text::one_line(text), 60)))
}
