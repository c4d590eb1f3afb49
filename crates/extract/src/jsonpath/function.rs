//! The functions of RFC 9535 section 2.4: `length`, `count`, `value`, `match`, `search`, with their types.

use super::eval::Eval;
use super::{Operand, Query};
use crate::limit;
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::borrow::Cow;

/// Steps that compiling a pattern of the data counts.
const COMPILING: usize = 1_000;
/// Bytes of a text that a pattern reads for one step.
const BYTES_A_STEP: usize = 64;

/// A function with its arguments, of the right types.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Length(Operand),
    Count(Query),
    Value(Query),
    /// The whole text.
    Match(Operand, Pattern),
    /// A part of it.
    Search(Operand, Pattern),
}

/// A regular expression of RFC 9485.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// As written in the path; `None` if it is none, which matches nothing.
    Fixed(Option<Regex>),
    /// Of the data.
    Of(Operand),
}

impl Call {
    /// The function of that name; an error says what its arguments must be.
    pub(super) fn of(name: &str, args: Vec<Operand>) -> Result<Self, String> {
        let count = args.len();
        let mut args = args.into_iter();
        let mut next = || args.next();
        match (name, count) {
            ("length", 1) => Ok(Self::Length(value(name, next())?)),
            ("count", 1) => Ok(Self::Count(nodes(name, next())?)),
            ("value", 1) => Ok(Self::Value(nodes(name, next())?)),
            ("match", 2) => Ok(Self::Match(value(name, next())?, pattern(value(name, next())?, true))),
            ("search", 2) => Ok(Self::Search(value(name, next())?, pattern(value(name, next())?, false))),
            ("length" | "count" | "value", _) => Err(format!("`{name}()` takes one argument, not {count}")),
            ("match" | "search", _) => Err(format!("`{name}()` takes two arguments, not {count}")),
            _ => {
                Err(format!("there is no function `{name}()`; there are length, count, value, match, search"))
            }
        }
    }

    /// Does it give true or false rather than a value?
    pub(super) fn is_test(&self) -> bool {
        matches!(self, Self::Match(..) | Self::Search(..))
    }

    pub(super) fn holds<'v>(&self, eval: &mut Eval<'v>, at: &'v Value) -> bool {
        let (text, pattern, whole) = match self {
            Self::Match(text, pattern) => (text, pattern, true),
            Self::Search(text, pattern) => (text, pattern, false),
            _ => return false,
        };
        let Some(text) = eval.operand(text, at) else { return false };
        let Some(text) = text.as_str() else { return false };
        eval.steps += text.len() / BYTES_A_STEP;
        match pattern {
            Pattern::Fixed(regex) => regex.as_ref().is_some_and(|r| r.is_match(text)),
            Pattern::Of(operand) => {
                eval.steps += COMPILING;
                let written = eval.operand(operand, at);
                let regex = written.as_ref().and_then(|w| compile(w.as_str()?, whole));
                regex.is_some_and(|r| r.is_match(text))
            }
        }
    }

    /// `None` is the standard's Nothing.
    pub(super) fn value<'v>(&self, eval: &mut Eval<'v>, at: &'v Value) -> Option<Cow<'v, Value>> {
        match self {
            Self::Length(operand) => {
                let len = match eval.operand(operand, at)?.as_ref() {
                    Value::String(text) => text.chars().count(),
                    Value::Array(list) => list.len(),
                    Value::Object(map) => map.len(),
                    _ => return None,
                };
                Some(Cow::Owned(Value::from(len)))
            }
            Self::Count(query) => Some(Cow::Owned(Value::from(eval.query(query, at).len()))),
            Self::Value(query) => match eval.query(query, at).as_slice() {
                [only] => Some(Cow::Borrowed(*only)),
                _ => None,
            },
            Self::Match(..) | Self::Search(..) => None,
        }
    }
}

fn value(name: &str, arg: Option<Operand>) -> Result<Operand, String> {
    match arg {
        Some(Operand::Query(query)) if !query.is_singular() => {
            Err(format!("`{name}()` needs one value; the path may give several"))
        }
        Some(Operand::Call(call)) if call.is_test() => {
            Err(format!("`{name}()` needs a value; the function inside gives true or false"))
        }
        Some(operand) => Ok(operand),
        None => Err(format!("`{name}()` needs an argument")),
    }
}

fn nodes(name: &str, arg: Option<Operand>) -> Result<Query, String> {
    match arg {
        Some(Operand::Query(query)) => Ok(query),
        _ => Err(format!("`{name}()` needs a path")),
    }
}

fn pattern(operand: Operand, whole: bool) -> Pattern {
    match operand {
        Operand::Literal(Value::String(text)) => Pattern::Fixed(compile(&text, whole)),
        Operand::Literal(_) => Pattern::Fixed(None),
        operand => Pattern::Of(operand),
    }
}

/// RFC 9485 by way of RFC 9535 section 2.4.6: a point is any character but the ends of a line.
fn compile(text: &str, whole: bool) -> Option<Regex> {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut in_class, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class => {
                out.push_str(r"[^\n\r]");
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    let out = if whole { format!(r"\A(?:{out})\z") } else { out };
    RegexBuilder::new(&out).size_limit(limit::REGEX_BYTES).dfa_size_limit(limit::REGEX_BYTES).build().ok()
}
