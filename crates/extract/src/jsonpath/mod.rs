//! JSON paths in the syntax of RFC 9535: names, wildcards, indices, slices, unions, descendants, filters, functions.
//!
//! Owns: the compiled path. Its parts own parsing (`parse`), evaluation (`eval`) and the functions (`function`). Must not
//! know: pages or scraper files.
//! Invariant: evaluation visits at most [`crate::limit::JSON_STEPS`] nodes and gives at most [`crate::limit::JSON_NODES`].

mod eval;
mod function;
mod parse;
#[cfg(test)]
mod tests;

use eval::Eval;
use function::Call;
use serde_json::Value;

/// A compiled path.
#[derive(Clone, Debug)]
pub struct JsonPath {
    segments: Vec<Segment>,
}

/// Why a path is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPathError {
    /// What is wrong and what was expected.
    pub message: String,
    /// Column in the path, in characters, from 0.
    pub column: usize,
}

#[derive(Clone, Debug)]
struct Segment {
    descendants: bool,
    selectors: Vec<Select>,
}

#[derive(Clone, Debug)]
enum Select {
    Name(String),
    Any,
    Index(i64),
    Slice(Option<i64>, Option<i64>, i64),
    Filter(Test),
}

#[derive(Clone, Debug)]
enum Test {
    Or(Vec<Test>),
    And(Vec<Test>),
    Not(Box<Test>),
    Exists(Query),
    Holds(Box<Call>),
    Compare(Operand, Op, Operand),
}

#[derive(Clone, Debug)]
struct Query {
    from_root: bool,
    segments: Vec<Segment>,
}

impl Query {
    /// Does it give at most one node, whatever the value? (RFC 9535 section 2.3.5.1)
    fn is_singular(&self) -> bool {
        self.segments
            .iter()
            .all(|s| !s.descendants && matches!(s.selectors.as_slice(), [Select::Name(_) | Select::Index(_)]))
    }
}

#[derive(Clone, Debug)]
enum Operand {
    Literal(Value),
    /// Gives at most one node.
    Query(Query),
    Call(Box<Call>),
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl JsonPath {
    /// Parses a path that begins with `$`.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        Ok(Self { segments: parse::path(text)? })
    }

    /// All nodes of the path in the value, in order.
    pub fn select<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        Eval::new(root).run(&self.segments, root)
    }

    /// The first node of the path.
    pub fn first<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        // Most paths in scraper files are plain names: walk them without allocating.
        let mut at = root;
        for segment in &self.segments {
            match (segment.descendants, segment.selectors.as_slice()) {
                (false, [Select::Name(name)]) => at = at.as_object()?.get(name)?,
                (false, [Select::Index(index)]) => at = eval::element(at.as_array()?, *index)?,
                _ => return self.select(root).into_iter().next(),
            }
        }
        Some(at)
    }
}
