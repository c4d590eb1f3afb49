//! CSS selectors: Selectors 3 and the part of 4 that asks about the tree alone.
//!
//! [`Selector`] is compiled once and used on many pages and threads. States that only a live browser knows (`:hover`,
//! `:target` …) match nothing. Ids, classes and attribute values are compared with case, except for the attributes that
//! HTML lists as insensitive (`type`, `rel`, `lang` …) and with the `i` flag. A namespace prefix may only be `*|`.

mod ast;
mod index;
mod matching;
mod parser;
#[cfg(test)]
mod tests;

use crate::tree::Node;
use ast::{Combinator, Complex};
pub(crate) use index::{Filters, Ranks, classes};
use matching::Matcher;

/// A selector that could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    /// What is wrong.
    pub message: String,
    /// The character at which it is noticed, from 1.
    pub column: usize,
}

impl std::fmt::Display for SelectorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at column {}", self.message, self.column)
    }
}

impl std::error::Error for SelectorError {}

/// A compiled selector list. `Send + Sync`.
#[derive(Clone, Debug)]
pub struct Selector {
    list: Vec<Complex>,
}

impl Selector {
    /// Compiles a selector list. A leading combinator (`> a`, `+ a`, `~ a`) is relative to the scope.
    pub fn parse(css: &str) -> Result<Selector, SelectorError> {
        parser::parse(css).map(|list| Selector { list })
    }

    /// True when the node is an element that matches, `:scope` being the document's root element.
    pub fn matches(&self, node: Node<'_>) -> bool {
        let matcher = Matcher::new(node.doc, 0);
        node.is_element() && self.list.iter().any(|complex| matcher.complex(complex, node.at))
    }

    /// The matching descendants of `scope` in document order. As with `querySelectorAll`, the selector's left parts may
    /// match outside the scope; `:scope` and leading combinators hold them inside. After a leading `+` or `~` the matches
    /// are siblings of the scope or below them.
    pub fn select<'a>(&self, scope: Node<'a>) -> impl Iterator<Item = Node<'a>> {
        let sideways = |c: &Complex| matches!(c.anchor, Some(Combinator::Next | Combinator::Later));
        let inside = scope.end();
        let end = match scope.parent() {
            Some(parent) if self.list.iter().any(sideways) => parent.end(),
            _ => inside,
        };
        let matcher = Matcher::new(scope.doc, scope.at);
        let mut at = scope.at + 1;
        std::iter::from_fn(move || {
            while at < end {
                let here = at;
                at += 1;
                let fits = |c: &Complex| (here < inside || sideways(c)) && matcher.complex(c, here);
                if self.list.iter().any(fits) {
                    return Some(Node { doc: scope.doc, at: here });
                }
            }
            None
        })
    }

    /// The first match of [`Selector::select`].
    pub fn first<'a>(&self, scope: Node<'a>) -> Option<Node<'a>> {
        self.select(scope).next()
    }
}
