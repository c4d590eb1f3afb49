//! Bytes → tree → selection: decoding, the HTML tree, and CSS selectors and XPath over it.
//!
//! Owns: the encoding sniffed from bytes, the tree (an immutable arena in document order), its text and serialisation,
//! and selectors. Must not know: I/O, async, what a record is.
//!
//! Invariants: no type of the parser underneath is public; a tree is the tree a browser with scripting switched off
//! would build (WHATWG HTML), except that it is cut ([`Document::is_truncated`]) or flattened past fixed limits, so that
//! a hostile page costs time and memory linear in its size; nothing here recurses on the depth of a page.

mod brief;
mod build;
mod decode;
mod locate;
mod name;
mod parse;
mod select;
mod serialize;
mod text;
mod token;
mod tree;
mod xpath;

/// The text with its character references replaced (`&amp;`, `&#039;`), as an attribute's value would be.
pub fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    token::unescape(text)
}

pub use decode::decode;
pub use select::{Selector, SelectorError};
pub use tree::{Document, Node};
pub use xpath::{Exhausted, Found, Value, Work, XPath, XPathError};
