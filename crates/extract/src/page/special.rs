//! Types with a form of their own: trails, spans of time, measures, telephone numbers, e-mail addresses, words of
//! schema.org.

use super::convert::{Not, misfit, to_json};
use super::look::Raw;
use super::parts::Reader;
use crate::spec::Scalar;
use crate::value::breadcrumb::{self, Crumb};
use crate::value::{contact, duration, measure, price, word};
use html::Node;
use serde_json::Value;

impl<'p> Reader<'p> {
    /// The value of one of these types, out of what was found.
    pub(crate) fn special(&self, scalar: Scalar, raw: &Raw<'p>) -> Result<Value, Not> {
        let text = |what: &'static str, read: fn(&str) -> Option<String>| {
            let text = self.short(raw)?;
            read(&text).map(Value::String).ok_or_else(|| misfit(what, &text))
        };
        match scalar {
            Scalar::CurrencySign => text("a currency", price::sign),
            Scalar::Condition => text("a condition", |t| word::condition(t).map(str::to_owned)),
            Scalar::Phone => self.contact(raw, &["href"], "a telephone number", contact::phone),
            Scalar::Email => {
                if let Raw::Node(node) = raw
                    && let Some(address) = shield(*node).and_then(contact::shielded_email)
                {
                    return Ok(Value::String(address));
                }
                self.contact(raw, &["href"], "an e-mail address", contact::email)
            }
            Scalar::Duration => self.seconds(raw).and_then(|s| to_json(s).ok_or(Not::Empty)),
            Scalar::Minutes => self.seconds(raw).and_then(|s| to_json((s / 60.0).round()).ok_or(Not::Empty)),
            Scalar::Grams => self.measure(raw, "a weight", measure::grams),
            Scalar::Metres => self.measure(raw, "a length", measure::metres),
            Scalar::Litres => self.measure(raw, "a volume", measure::litres),
            Scalar::Breadcrumbs => self.trail(raw).map(|trail| breadcrumb::to_json(&trail)),
            Scalar::Categories => {
                let names = breadcrumb::without_home(self.trail(raw)?).into_iter().filter_map(|c| c.name);
                let names: Vec<Value> = names.map(Value::String).collect();
                if names.is_empty() { Err(Not::Empty) } else { Ok(Value::Array(names)) }
            }
            _ => Err(Not::Empty),
        }
    }

    /// What the text says, else what the link behind it does.
    fn contact(
        &self,
        raw: &Raw<'p>,
        attrs: &[&str],
        what: &str,
        read: fn(&str) -> Option<String>,
    ) -> Result<Value, Not> {
        let linked = match raw {
            Raw::Node(node) => attrs.iter().find_map(|a| read(node.attr(a)?)),
            _ => None,
        };
        if let Some(value) = linked {
            return Ok(Value::String(value));
        }
        let text = self.short(raw)?;
        read(&text).map(Value::String).ok_or_else(|| misfit(what, &text))
    }

    fn seconds(&self, raw: &Raw<'p>) -> Result<f64, Not> {
        let text = self.short(raw)?;
        duration::seconds(&text).ok_or_else(|| misfit("a span of time", &text))
    }

    fn measure(&self, raw: &Raw<'p>, what: &str, read: fn(&str) -> Option<f64>) -> Result<Value, Not> {
        let text = self.short(raw)?;
        read(&text).and_then(to_json).ok_or_else(|| misfit(what, &text))
    }

    fn trail(&self, raw: &Raw<'p>) -> Result<Vec<Crumb>, Not> {
        let trail = match raw {
            Raw::Node(node) => breadcrumb::of_node(*node, self.base()),
            Raw::Json(Value::String(text)) | Raw::Made(Value::String(text)) => breadcrumb::of_text(text),
            Raw::Json(value) => breadcrumb::of_json(value, self.base()),
            Raw::Made(value) => breadcrumb::of_json(value, self.base()),
            Raw::Text(text) => breadcrumb::of_text(text),
        };
        let bytes: usize = trail.iter().filter_map(|c| c.name.as_ref()).map(String::len).sum();
        if trail.is_empty() || !self.spend(bytes) { Err(Not::Empty) } else { Ok(trail) }
    }
}

/// The hidden address of an element, or of one inside of it.
fn shield<'p>(node: Node<'p>) -> Option<&'p str> {
    const INSIDE: usize = 20;
    std::iter::once(node).chain(node.descendants().take(INSIDE)).find_map(|n| n.attr("data-cfemail"))
}
