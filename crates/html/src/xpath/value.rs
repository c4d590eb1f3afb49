//! Values and what the standard makes of one as another: conversions (section 4) and comparisons (section 3.4).

use super::ast::Op;
use super::axis::Item;
use super::eval::Evaluation;
use super::{Exhausted, SPACE};
use crate::tree::{Document, Kind};
use std::borrow::Cow;
use std::collections::HashSet;

/// A value during evaluation.
#[derive(Debug)]
pub(super) enum Val<'a> {
    /// In document order, each once.
    Nodes(Vec<Item>),
    String(Cow<'a, str>),
    Number(f64),
    Boolean(bool),
}

impl Val<'_> {
    pub(super) fn truth(&self) -> bool {
        match self {
            Val::Nodes(items) => !items.is_empty(),
            Val::String(text) => !text.is_empty(),
            Val::Number(n) => *n != 0.0 && !n.is_nan(),
            Val::Boolean(b) => *b,
        }
    }
}

/// `-1.5`, `NaN`, `Infinity`; no exponents, as the standard wants it.
pub(super) fn string_of_number(n: f64) -> String {
    match n {
        _ if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        0.0 => "0".to_owned(),
        n => n.to_string(),
    }
}

/// Digits with at most one point and a minus before; anything else is no number.
pub(super) fn number_of_string(text: &str) -> f64 {
    let text = text.trim_matches(SPACE);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let well_formed = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().filter(|b| *b == b'.').count() < 2;
    if well_formed { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

/// The string-value of a node; borrowed when a single text makes it up.
pub(super) fn string_of_node(doc: &Document, at: u32) -> Cow<'_, str> {
    match &doc.nodes[at as usize].kind {
        Kind::Text(span) | Kind::Comment(span) => return Cow::Borrowed(doc.str(*span)),
        Kind::Doctype(_) => return Cow::Borrowed(""),
        Kind::Document | Kind::Element { .. } => {}
    }
    let below = &doc.nodes[at as usize + 1..doc.nodes[at as usize].end as usize];
    let mut texts = below.iter().filter_map(|node| match &node.kind {
        Kind::Text(span) => Some(doc.str(*span)),
        _ => None,
    });
    let first = texts.next().unwrap_or_default();
    match texts.next() {
        None => Cow::Borrowed(first),
        Some(second) => {
            let mut all = [first, second].concat();
            all.extend(texts);
            Cow::Owned(all)
        }
    }
}

impl<'a> Evaluation<'a> {
    /// Pays for a text that was made.
    pub(super) fn made(&self, text: &str) -> Result<(), Exhausted> {
        self.work.spend(text.len() as u64 / 4)
    }

    pub(super) fn string_of_item(&self, item: Item) -> Result<Cow<'a, str>, Exhausted> {
        if let Some(rank) = item.rank() {
            return Ok(Cow::Borrowed(self.doc.str(self.attr(item.at(), rank).value)));
        }
        let node = &self.doc.nodes[item.at() as usize];
        self.work.spend(u64::from(node.end - item.at()))?;
        let text = string_of_node(self.doc, item.at());
        if let Cow::Owned(made) = &text {
            self.made(made)?;
        }
        Ok(text)
    }

    pub(super) fn string(&self, value: Val<'a>) -> Result<Cow<'a, str>, Exhausted> {
        Ok(match value {
            Val::Nodes(items) => match items.first() {
                Some(first) => self.string_of_item(*first)?,
                None => Cow::Borrowed(""),
            },
            Val::String(text) => text,
            Val::Number(n) => Cow::Owned(string_of_number(n)),
            Val::Boolean(b) => Cow::Borrowed(if b { "true" } else { "false" }),
        })
    }

    pub(super) fn number(&self, value: Val<'a>) -> Result<f64, Exhausted> {
        Ok(match value {
            Val::Number(n) => n,
            Val::Boolean(b) => f64::from(b),
            value => number_of_string(&self.string(value)?),
        })
    }

    /// `=`, `!=`, `<`, `<=`, `>`, `>=`. Of nodes, whether any of them (or any pair) compares so.
    pub(super) fn compare(&self, op: Op, a: &Val<'a>, b: &Val<'a>) -> Result<bool, Exhausted> {
        match (a, b) {
            (Val::Boolean(_), _) | (_, Val::Boolean(_)) => {
                Ok(holds(op, f64::from(a.truth()), f64::from(b.truth())))
            }
            (Val::Nodes(a), Val::Nodes(b)) => match op {
                Op::Equal => self.share_a_string(a, b),
                Op::NotEqual => self.differ(a, b),
                _ => self.some_numbers(op, a, b),
            },
            (Val::Nodes(items), scalar) => self.any(op, items, scalar),
            (scalar, Val::Nodes(items)) => self.any(mirrored(op), items, scalar),
            (Val::String(a), Val::String(b)) if op == Op::Equal => Ok(a == b),
            (Val::String(a), Val::String(b)) if op == Op::NotEqual => Ok(a != b),
            _ => Ok(holds(op, scalar_number(a), scalar_number(b))),
        }
    }

    fn any(&self, op: Op, items: &[Item], scalar: &Val<'a>) -> Result<bool, Exhausted> {
        let number = scalar_number(scalar);
        for item in items {
            self.work.spend(1)?;
            let text = self.string_of_item(*item)?;
            let found = match (op, scalar) {
                (Op::Equal, Val::String(wanted)) => text == *wanted,
                (Op::NotEqual, Val::String(wanted)) => text != *wanted,
                _ => holds(op, number_of_string(&text), number),
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Pays for a text that is kept until the comparison ends.
    pub(super) fn kept(&self, item: Item) -> Result<Cow<'a, str>, Exhausted> {
        let text = self.string_of_item(item)?;
        if let Cow::Owned(made) = &text {
            self.work.spend(made.len() as u64)?;
        }
        Ok(text)
    }

    fn share_a_string(&self, a: &[Item], b: &[Item]) -> Result<bool, Exhausted> {
        let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
        let texts = few.iter().map(|item| self.kept(*item)).collect::<Result<HashSet<_>, _>>()?;
        for item in many {
            self.work.spend(1)?;
            if !texts.is_empty() && texts.contains(&self.string_of_item(*item)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Is there a pair of unlike strings? Only if not all strings of both sides are the same.
    fn differ(&self, a: &[Item], b: &[Item]) -> Result<bool, Exhausted> {
        let (Some(first), false) = (a.first(), b.is_empty()) else { return Ok(false) };
        let first = self.string_of_item(*first)?;
        for item in b.iter().chain(a) {
            self.work.spend(1)?;
            if self.string_of_item(*item)? != first {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Is there a pair of numbers in this order? The extremes tell.
    fn some_numbers(&self, op: Op, a: &[Item], b: &[Item]) -> Result<bool, Exhausted> {
        let range = |items: &[Item]| -> Result<Option<(f64, f64)>, Exhausted> {
            let mut range: Option<(f64, f64)> = None;
            for item in items {
                self.work.spend(1)?;
                let n = number_of_string(&self.string_of_item(*item)?);
                if !n.is_nan() {
                    let (min, max) = range.unwrap_or((n, n));
                    range = Some((min.min(n), max.max(n)));
                }
            }
            Ok(range)
        };
        let (Some((a_min, a_max)), Some((b_min, b_max))) = (range(a)?, range(b)?) else { return Ok(false) };
        Ok(match op {
            Op::Less | Op::LessEqual => holds(op, a_min, b_max),
            _ => holds(op, a_max, b_min),
        })
    }
}

/// The number of what is no node-set.
fn scalar_number(value: &Val<'_>) -> f64 {
    match value {
        Val::Number(n) => *n,
        Val::Boolean(b) => f64::from(*b),
        Val::String(text) => number_of_string(text),
        Val::Nodes(_) => f64::NAN,
    }
}

fn holds(op: Op, a: f64, b: f64) -> bool {
    match op {
        Op::Equal => a == b,
        Op::NotEqual => a != b,
        Op::Less => a < b,
        Op::LessEqual => a <= b,
        Op::Greater => a > b,
        Op::GreaterEqual => a >= b,
        // The others are arithmetic.
        _ => false,
    }
}

/// The operator with its sides exchanged.
fn mirrored(op: Op) -> Op {
    match op {
        Op::Less => Op::Greater,
        Op::LessEqual => Op::GreaterEqual,
        Op::Greater => Op::Less,
        Op::GreaterEqual => Op::LessEqual,
        op => op,
    }
}
