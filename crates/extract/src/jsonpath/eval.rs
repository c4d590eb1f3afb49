//! Walking a value along a path.

use super::{Op, Operand, Query, Segment, Select, Test};
use crate::limit;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// One evaluation.
pub(super) struct Eval<'v> {
    root: &'v Value,
    pub(super) steps: usize,
}

impl<'v> Eval<'v> {
    pub(super) fn new(root: &'v Value) -> Self {
        Self { root, steps: 0 }
    }

    pub(super) fn run(&mut self, segments: &[Segment], from: &'v Value) -> Vec<&'v Value> {
        let mut nodes = vec![from];
        for segment in segments {
            let mut next = Vec::new();
            for node in nodes {
                if segment.descendants {
                    self.descend(segment, node, &mut next);
                } else {
                    self.apply(segment, node, &mut next);
                }
            }
            nodes = next;
        }
        nodes
    }

    fn full(&self, out: &[&'v Value]) -> bool {
        self.steps >= limit::JSON_STEPS || out.len() >= limit::JSON_NODES
    }

    fn descend(&mut self, segment: &Segment, node: &'v Value, out: &mut Vec<&'v Value>) {
        // Depth is bounded by the JSON parser (128).
        if self.full(out) {
            return;
        }
        self.apply(segment, node, out);
        match node {
            Value::Array(list) => list.iter().for_each(|v| self.descend(segment, v, out)),
            Value::Object(map) => map.values().for_each(|v| self.descend(segment, v, out)),
            _ => {}
        }
    }

    fn apply(&mut self, segment: &Segment, node: &'v Value, out: &mut Vec<&'v Value>) {
        for select in &segment.selectors {
            self.steps += 1;
            if self.full(out) {
                return;
            }
            match (select, node) {
                (Select::Name(name), Value::Object(map)) => out.extend(map.get(name)),
                (Select::Any, Value::Object(map)) => {
                    self.steps += map.len();
                    out.extend(map.values());
                }
                (Select::Any, Value::Array(list)) => {
                    self.steps += list.len();
                    out.extend(list);
                }
                (Select::Index(index), Value::Array(list)) => out.extend(element(list, *index)),
                (Select::Slice(start, end, step), Value::Array(list)) => {
                    slice(list, *start, *end, *step, out);
                }
                (Select::Filter(test), Value::Object(map)) => {
                    for value in map.values() {
                        if self.test(test, value) {
                            out.push(value);
                        }
                    }
                }
                (Select::Filter(test), Value::Array(list)) => {
                    for value in list {
                        if self.test(test, value) {
                            out.push(value);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn test(&mut self, test: &Test, at: &'v Value) -> bool {
        self.steps += 1;
        if self.steps >= limit::JSON_STEPS {
            return false;
        }
        match test {
            Test::Or(list) => list.iter().any(|t| self.test(t, at)),
            Test::And(list) => list.iter().all(|t| self.test(t, at)),
            Test::Not(inner) => !self.test(inner, at),
            Test::Exists(query) => !self.query(query, at).is_empty(),
            Test::Holds(call) => call.holds(self, at),
            Test::Compare(a, op, b) => {
                let (a, b) = (self.operand(a, at), self.operand(b, at));
                compare(a.as_ref(), *op, b.as_ref())
            }
        }
    }

    pub(super) fn query(&mut self, query: &Query, at: &'v Value) -> Vec<&'v Value> {
        let from = if query.from_root { self.root } else { at };
        self.run(&query.segments, from)
    }

    /// `None` is the standard's Nothing.
    pub(super) fn operand(&mut self, operand: &Operand, at: &'v Value) -> Option<Cow<'v, Value>> {
        match operand {
            Operand::Literal(value) => Some(Cow::Owned(value.clone())),
            Operand::Call(call) => call.value(self, at),
            Operand::Query(query) => self.query(query, at).first().map(|v| Cow::Borrowed(*v)),
        }
    }
}

fn compare<'v>(a: Option<&Cow<'v, Value>>, op: Op, b: Option<&Cow<'v, Value>>) -> bool {
    let (a, b) = (a.map(std::convert::AsRef::as_ref), b.map(std::convert::AsRef::as_ref));
    let equal = match (a, b) {
        (None, None) => true,
        (Some(Value::Number(x)), Some(Value::Number(y))) => x.as_f64() == y.as_f64(),
        (Some(x), Some(y)) => x == y,
        _ => false,
    };
    let order = match (a, b) {
        (Some(Value::Number(x)), Some(Value::Number(y))) => x.as_f64().partial_cmp(&y.as_f64()),
        (Some(Value::String(x)), Some(Value::String(y))) => Some(x.cmp(y)),
        _ => None,
    };
    match op {
        Op::Eq => equal,
        Op::Ne => !equal,
        Op::Lt => order == Some(Ordering::Less),
        Op::Gt => order == Some(Ordering::Greater),
        Op::Le => equal || order == Some(Ordering::Less),
        Op::Ge => equal || order == Some(Ordering::Greater),
    }
}

pub(super) fn element(list: &[Value], index: i64) -> Option<&Value> {
    let index = if index < 0 { i64::try_from(list.len()).ok()?.checked_add(index)? } else { index };
    list.get(usize::try_from(index).ok()?)
}

fn slice<'v>(list: &'v [Value], start: Option<i64>, end: Option<i64>, step: i64, out: &mut Vec<&'v Value>) {
    // RFC 9535 section 2.3.4.2.2.
    let Ok(len) = i64::try_from(list.len()) else { return };
    let normal = |n: i64| if n >= 0 { n } else { len.saturating_add(n) };
    if step == 0 {
        return;
    }
    let (start, end) = if step > 0 {
        (normal(start.unwrap_or(0)).clamp(0, len), normal(end.unwrap_or(len)).clamp(0, len))
    } else {
        let first = start.map_or(len - 1, normal).clamp(-1, len - 1);
        (first, end.map_or(-1, |n| normal(n).clamp(-1, len - 1)))
    };
    let mut at = start;
    while (step > 0 && at < end) || (step < 0 && at > end) {
        out.extend(usize::try_from(at).ok().and_then(|i| list.get(i)));
        at = at.saturating_add(step);
    }
}
