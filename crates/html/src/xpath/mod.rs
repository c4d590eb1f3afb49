//! XPath 1.0 over the tree.
//!
//! [`XPath`] is compiled once and used on many pages and threads. All of the standard, with what HTML makes of it: names
//! of elements and attributes are compared in lower case, SVG and MathML elements by their local name, and a prefix is a
//! part of the name (`@xlink:href`, `//fb:like`); no namespace and no processing instruction exists; `lang()` reads
//! `lang`; the doctype is no node. Variables are refused. Beside the core library: `has-class()`, `re:test()`,
//! `re:replace()` and EXSLT's `set:…`.
//!
//! Bounded: length and nesting of an expression when it is parsed, and [`Work`] when it is evaluated, so neither a
//! hostile expression nor a deep page overflows the stack, runs away or fills the memory.

mod ast;
mod axis;
mod call;
mod eval;
mod function;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;
mod value;

use crate::tree::Node;
use ast::Expr;
use eval::Evaluation;
use std::borrow::Cow;
use std::cell::Cell;

/// White space of XML: `&nbsp;` is none.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// An expression that could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XPathError {
    /// The byte at which it is noticed, from 0; the length of the text for its end.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

impl XPathError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        XPathError { offset, message: message.into() }
    }
}

impl std::fmt::Display for XPathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for XPathError {}

/// An evaluation took more [`Work`] than there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl std::fmt::Display for Exhausted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the XPath takes too many steps on this page")
    }
}

impl std::error::Error for Exhausted {}

/// What evaluations may still cost, in steps: a node visited is one step, four bytes of text made are one. A step takes
/// some nanoseconds. It may be shared by the expressions of one page.
#[derive(Clone, Debug)]
pub struct Work(Cell<u64>);

impl Work {
    /// So many steps.
    pub fn new(steps: u64) -> Work {
        Work(Cell::new(steps))
    }

    fn spend(&self, steps: u64) -> Result<(), Exhausted> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(steps));
        if steps > left { Err(Exhausted) } else { Ok(()) }
    }
}

/// 2²⁶ steps: some hundred times what a large page needs, and less than a second.
impl Default for Work {
    fn default() -> Work {
        Work::new(1 << 26)
    }
}

/// A compiled expression. `Send + Sync`.
#[derive(Clone, Debug)]
pub struct XPath {
    expr: Expr,
    /// Paths in it whose result is remembered during one evaluation.
    slots: usize,
}

/// What an expression gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// In document order, each once.
    Nodes(Vec<Found<'a>>),
    String(String),
    Number(f64),
    Boolean(bool),
}

/// A node in the sense of XPath, to which attributes belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// An element, a text, a comment or the document node.
    Node(Node<'a>),
    Attribute {
        /// The element that has it.
        owner: Node<'a>,
        name: &'a str,
        value: &'a str,
    },
}

impl<'a> Found<'a> {
    /// The string-value of the standard: all text below a node, as written, that of scripts too; an attribute's value;
    /// a comment's text.
    pub fn string(self) -> Cow<'a, str> {
        match self {
            Found::Attribute { value, .. } => Cow::Borrowed(value),
            Found::Node(node) => value::string_of_node(node.doc, node.at),
        }
    }
}

impl Value<'_> {
    /// As `string()` makes it: of nodes, the first one's string-value.
    pub fn string(&self) -> String {
        match self {
            Value::Nodes(nodes) => nodes.first().map(|n| n.string().into_owned()).unwrap_or_default(),
            Value::String(text) => text.clone(),
            Value::Number(n) => value::string_of_number(*n),
            Value::Boolean(b) => b.to_string(),
        }
    }
}

impl XPath {
    /// Compiles an expression.
    pub fn parse(text: &str) -> Result<XPath, XPathError> {
        parser::parse(text).map(|(expr, slots)| XPath { expr, slots })
    }

    /// The value seen from `node`, position and size being 1; an absolute path begins at the document.
    pub fn evaluate<'a>(&self, node: Node<'a>) -> Result<Value<'a>, Exhausted> {
        self.evaluate_within(node, &Work::default())
    }

    /// As [`XPath::evaluate`], with the work that others left.
    pub fn evaluate_within<'a>(&self, node: Node<'a>, work: &Work) -> Result<Value<'a>, Exhausted> {
        Evaluation::new(node.doc, work, self.slots).whole(&self.expr, node)
    }
}
