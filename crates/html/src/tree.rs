//! The finished tree: a flat arena in document order, and [`Node`], a copyable place in it.
//!
//! Invariants: a node's index is its rank in document order; the descendants of node `i` are exactly `i + 1 .. end(i)`,
//! so walking a subtree is a loop over a range; node 0 is the document node; nothing changes after parsing.

use crate::name::Name;
use crate::select::{Filters, Ranks};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// No such node.
pub(crate) const NONE: u32 = u32::MAX;

/// A span of the document's text store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// An attribute: its lower-case name (with prefix, such as `xlink:href`) and its value.
#[derive(Clone, Debug)]
pub(crate) struct Attr {
    pub(crate) name: Name,
    pub(crate) value: Span,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Document,
    Doctype(Span),
    Comment(Span),
    Text(Span),
    /// `attrs` is the index of the first of `attr_count` attributes.
    Element {
        name: Name,
        attrs: u32,
        attr_count: u16,
        foreign: bool,
    },
}

/// A node of the arena.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) parent: u32,
    /// One past the last descendant.
    pub(crate) end: u32,
    /// The sibling before this node.
    pub(crate) prev: u32,
    /// The last child.
    pub(crate) last: u32,
    pub(crate) kind: Kind,
}

/// A parsed page. Immutable, `Send + Sync`.
#[derive(Debug)]
pub struct Document {
    pub(crate) nodes: Vec<Data>,
    pub(crate) attrs: Vec<Attr>,
    /// Every text, comment and attribute value, one after the other.
    pub(crate) store: String,
    pub(crate) truncated: bool,
    /// For selectors, made at the first use: what an element's id, classes and attribute names hash to.
    pub(crate) filters: OnceLock<Filters>,
    /// For selectors, made at the first use: the rank of each element among its siblings.
    pub(crate) ranks: OnceLock<Ranks>,
    /// By [`Document::parse_located`], for each node where it stands in the text.
    pub(crate) ranges: Vec<Option<(u32, u32)>>,
}

impl Document {
    /// Parses HTML text, scripting switched off (so `<noscript>` holds a tree). Never fails: any text is a page.
    pub fn parse(text: &str) -> Document {
        crate::parse::parse(text)
    }

    /// Parses only what the page says of itself, wherever in it that stands: `html` with its attributes, `base`, `link`,
    /// `meta`, `title`, and scripts of JSON-LD. Many times as fast as [`Document::parse`]; these elements are those of the
    /// whole tree, in their order.
    pub fn parse_brief(text: &str) -> Document {
        Self::parse(&crate::brief::brief(text))
    }

    /// [`Document::parse`] that keeps where each element stands in the text: see [`Node::range`].
    pub fn parse_located(text: &str) -> Document {
        crate::parse::parse_located(text)
    }

    /// Decodes bytes as a browser would ([`crate::decode`]), then parses them. `content_type` is the HTTP header's value.
    pub fn parse_bytes(bytes: &[u8], content_type: Option<&str>) -> Document {
        crate::parse::parse(&crate::decode::decode(bytes, content_type))
    }

    /// The document node, whose children are the doctype, comments and the `html` element.
    pub fn root(&self) -> Node<'_> {
        Node { doc: self, at: 0 }
    }

    /// The `href` of the first `<base>` that has one, as written.
    pub fn base_href(&self) -> Option<&str> {
        self.root().descendants().filter(|n| n.name() == "base").find_map(|n| n.attr("href"))
    }

    /// True when the nesting, size or work guard dropped a part of the page.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub(crate) fn str(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.store.get(start..start + span.len as usize).unwrap_or_default()
    }

    fn data(&self, at: u32) -> &Data {
        // Indices come only from this document, which never shrinks.
        &self.nodes[at as usize]
    }
}

/// A place in a [`Document`]. `Copy`; equal when it is the same node of the same document; ordered by document order.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub(crate) doc: &'a Document,
    pub(crate) at: u32,
}

impl<'a> Node<'a> {
    pub(crate) fn data(self) -> &'a Data {
        self.doc.data(self.at)
    }

    fn at(self, at: u32) -> Option<Node<'a>> {
        (at != NONE).then_some(Node { doc: self.doc, at })
    }

    /// One past the last descendant.
    pub(crate) fn end(self) -> u32 {
        self.data().end
    }

    /// True for elements, false for text, comments, the doctype and the document node.
    pub fn is_element(self) -> bool {
        matches!(self.data().kind, Kind::Element { .. })
    }

    /// Lower-case local name of an element; `""` for any other node.
    pub fn name(self) -> &'a str {
        match &self.data().kind {
            Kind::Element { name, .. } => name,
            _ => "",
        }
    }

    /// True for an SVG or MathML element.
    pub fn is_foreign(self) -> bool {
        matches!(self.data().kind, Kind::Element { foreign: true, .. })
    }

    pub(crate) fn raw_attrs(self) -> &'a [Attr] {
        match self.data().kind {
            Kind::Element { attrs, attr_count, .. } => {
                let start = attrs as usize;
                &self.doc.attrs[start..start + attr_count as usize]
            }
            _ => &[],
        }
    }

    /// The value of an attribute, by its lower-case name (`xlink:href` with its prefix). Empty when it has no value.
    pub fn attr(self, name: &str) -> Option<&'a str> {
        self.raw_attrs().iter().find(|a| *a.name == *name).map(|a| self.doc.str(a.value))
    }

    /// The attributes, in the order of the page, each name once.
    pub fn attrs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.raw_attrs().iter().map(move |a| (&*a.name, self.doc.str(a.value)))
    }

    /// The data of a text node; `None` for any other node.
    pub fn text_node(self) -> Option<&'a str> {
        match self.data().kind {
            Kind::Text(span) => Some(self.doc.str(span)),
            _ => None,
        }
    }

    /// The data of a comment; `None` for any other node.
    pub fn comment(self) -> Option<&'a str> {
        match self.data().kind {
            Kind::Comment(span) => Some(self.doc.str(span)),
            _ => None,
        }
    }

    /// The parent; `None` for the document node.
    pub fn parent(self) -> Option<Node<'a>> {
        self.at(self.data().parent)
    }

    /// The first child of any kind. The content of a `<template>` is its children.
    pub fn first_child(self) -> Option<Node<'a>> {
        let next = self.at + 1;
        (next < self.end()).then_some(Node { doc: self.doc, at: next })
    }

    /// The last child of any kind.
    pub fn last_child(self) -> Option<Node<'a>> {
        self.at(self.data().last)
    }

    /// The sibling after this node, of any kind.
    pub fn next_sibling(self) -> Option<Node<'a>> {
        let (end, parent) = (self.end(), self.data().parent);
        (parent != NONE && end < self.doc.data(parent).end).then_some(Node { doc: self.doc, at: end })
    }

    /// The sibling before this node, of any kind.
    pub fn prev_sibling(self) -> Option<Node<'a>> {
        self.at(self.data().prev)
    }

    /// The children of any kind, in order.
    pub fn children(self) -> impl Iterator<Item = Node<'a>> {
        std::iter::successors(self.first_child(), |n| n.next_sibling())
    }

    /// The nodes below this one in document order, without itself.
    pub fn descendants(self) -> impl DoubleEndedIterator<Item = Node<'a>> {
        (self.at + 1..self.end()).map(move |at| Node { doc: self.doc, at })
    }

    /// The parent, its parent and so on, up to the document node.
    pub fn ancestors(self) -> impl Iterator<Item = Node<'a>> {
        std::iter::successors(self.parent(), |n| n.parent())
    }

    /// True when `other` is this node or below it.
    pub fn contains(self, other: Node<'_>) -> bool {
        std::ptr::eq(self.doc, other.doc) && (self.at..self.end()).contains(&other.at)
    }

    /// A stable index in the document: the rank in document order, 0 for the document node.
    pub fn id(self) -> usize {
        self.at as usize
    }

    /// Begin and end of the element in bytes of the text, from its start tag to behind its end tag (or to where it ended
    /// without one). `None` of elements that have no tag there, of other nodes, and without [`Document::parse_located`].
    pub fn range(self) -> Option<(usize, usize)> {
        let (start, end) = (*self.doc.ranges.get(self.at as usize)?)?;
        Some((start as usize, end as usize))
    }

    /// The way down from the document, as XPath writes it: `/html/body/div[2]/p[1]`. An index stands only where siblings
    /// share the name.
    pub fn path(self) -> String {
        let mut steps = Vec::new();
        let mut at = Some(self);
        while let Some(node) = at {
            let step = match &node.data().kind {
                Kind::Document => break,
                Kind::Doctype(_) => "doctype()",
                Kind::Comment(_) => "comment()",
                Kind::Text(_) => "text()",
                Kind::Element { name, .. } => name,
            };
            let same = |n: &Node<'a>| n.step_name() == node.step_name();
            let before =
                std::iter::successors(node.prev_sibling(), |n| n.prev_sibling()).filter(same).count();
            let alone = before == 0
                && !std::iter::successors(node.next_sibling(), |n| n.next_sibling()).any(|n| same(&n));
            steps.push(if alone { step.to_owned() } else { format!("{step}[{}]", before + 1) });
            at = node.parent();
        }
        if steps.is_empty() {
            return "/".to_owned();
        }
        steps.iter().rev().fold(String::new(), |path, step| path + "/" + step)
    }

    fn step_name(self) -> (u8, &'a str) {
        match &self.data().kind {
            Kind::Document => (0, ""),
            Kind::Doctype(_) => (1, ""),
            Kind::Comment(_) => (2, ""),
            Kind::Text(_) => (3, ""),
            Kind::Element { name, .. } => (4, name),
        }
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && std::ptr::eq(self.doc, other.doc)
    }
}

impl Eq for Node<'_> {}

impl Hash for Node<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.at.hash(state);
    }
}

impl PartialOrd for Node<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Node<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Nodes of two documents are ordered by where the documents lie, only so that equality and order agree.
        self.at.cmp(&other.at).then_with(|| std::ptr::from_ref(self.doc).cmp(&std::ptr::from_ref(other.doc)))
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({} {})", self.at, self.path())
    }
}
