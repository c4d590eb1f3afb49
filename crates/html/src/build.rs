//! Takes the parser's orders (html5ever's `TreeSink`) into an arena, then lays it out in document order.
//!
//! Owns: the growing tree and the limits that keep it small. Text and attribute values go into one store; a text that
//! grows at two places at once (text moved out of a table) gets a string of its own, so that no text is copied twice.
//! Past [`MAX_NODES`] and the store's allowance orders are obeyed without effect: a handle carries its own name, so the parser
//! can go on with nodes that were never stored.

use crate::name::{self, Name};
use crate::token::Place;
use crate::tree::{Attr, Data, Document, Kind, NONE, Span};
use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElemName, ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, LocalName, Namespace, QualName, local_name, ns};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

/// Nodes past this number are not kept.
const MAX_NODES: usize = 2_000_000;
/// Bytes of text and attribute values kept per byte of the page, past [`FREE_STORE`]: a reopened formatting element repeats
/// its attributes, so a small page could otherwise fill the memory.
const STORE_PER_BYTE: usize = 4;
/// Bytes of text and attribute values that any page may have.
const FREE_STORE: usize = 1 << 20;
/// Attributes past this number are not kept when a second `<html>` or `<body>` tag adds them, which copies the list.
const MAX_ATTRS: usize = 256;
/// Elements nested deeper are laid out as following siblings, as Blink does.
const MAX_DEPTH: usize = 512;

/// The parser's reference to a node.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    at: u32,
    integration_point: bool,
    ns: Namespace,
    local: LocalName,
}

/// The name of a handle, without a look into the arena.
#[derive(Debug)]
pub(crate) struct HandleName<'a>(&'a Handle);

impl ElemName for HandleName<'_> {
    fn ns(&self) -> &Namespace {
        &self.0.ns
    }
    fn local_name(&self) -> &LocalName {
        &self.0.local
    }
}

/// A node while the tree grows.
struct Growing {
    parent: u32,
    first: u32,
    last: u32,
    prev: u32,
    next: u32,
    kind: GrowingKind,
}

enum GrowingKind {
    Plain(Kind),
    /// A text in `loose`.
    Loose(u32),
}

#[derive(Default)]
struct Arena {
    nodes: Vec<Growing>,
    attrs: Vec<Attr>,
    store: String,
    loose: Vec<String>,
    loose_bytes: usize,
    /// Bytes that `store` and `loose` may take.
    max_store: usize,
    full: bool,
}

/// The sink: see the head of the file.
pub(crate) struct Builder {
    arena: RefCell<Arena>,
    /// Nodes asked for, stored or not: gives each its own handle.
    asked: Cell<u32>,
    /// Steps the parser took over its stack of open elements: what deep nesting costs.
    work: Cell<u64>,
    /// Where the token stands that is being worked in.
    place: Cell<Place>,
    /// Where each stored element was begun, if that is wanted.
    begun: Option<RefCell<Vec<Option<Place>>>>,
}

impl Builder {
    /// `bytes` is the length of the page: what to reserve, and the measure of what it may grow to.
    pub(crate) fn new(bytes: usize) -> Self {
        let max_store = FREE_STORE + bytes.saturating_mul(STORE_PER_BYTE);
        let mut arena = Arena { max_store, ..Arena::default() };
        arena.nodes.reserve((bytes / 24).min(MAX_NODES));
        arena.attrs.reserve(bytes / 48);
        arena.store.reserve(bytes);
        arena.push(Kind::Document);
        Builder {
            arena: RefCell::new(arena),
            asked: Cell::new(1),
            work: Cell::new(0),
            place: Cell::new(Place(0)),
            begun: None,
        }
    }

    /// The same, keeping where elements begin.
    pub(crate) fn noting_places(mut self) -> Self {
        self.begun = Some(RefCell::default());
        self
    }

    /// Notes that the element `at` was begun here.
    fn note(&self, at: u32) {
        if let Some(begun) = self.begun.as_ref().filter(|_| self.arena.borrow().has(at)) {
            let mut begun = begun.borrow_mut();
            let len = begun.len().max(at as usize + 1);
            begun.resize(len, None);
            begun[at as usize] = Some(self.place.get());
        }
    }

    /// Steps over the stack of open elements so far.
    pub(crate) fn work(&self) -> u64 {
        self.work.get()
    }

    /// True once something was not kept.
    pub(crate) fn is_full(&self) -> bool {
        self.arena.borrow().full
    }

    fn handle(&self, at: u32, name: QualName, integration_point: bool) -> Handle {
        self.asked.set(self.asked.get().saturating_add(1));
        Handle { at, integration_point, ns: name.ns, local: name.local }
    }

    fn store(&self, kind: impl FnOnce(&mut Arena) -> Kind) -> u32 {
        let mut arena = self.arena.borrow_mut();
        if arena.nodes.len() >= MAX_NODES {
            arena.full = true;
            return self.asked.get().max(arena.nodes.len() as u32);
        }
        let kind = kind(&mut arena);
        arena.push(kind)
    }

    fn count(&self) {
        self.work.set(self.work.get() + 1);
    }
}

impl Arena {
    fn push(&mut self, kind: Kind) -> u32 {
        self.nodes.push(Growing {
            parent: NONE,
            first: NONE,
            last: NONE,
            prev: NONE,
            next: NONE,
            kind: GrowingKind::Plain(kind),
        });
        (self.nodes.len() - 1) as u32
    }

    fn has(&self, at: u32) -> bool {
        (at as usize) < self.nodes.len()
    }

    fn node(&mut self, at: u32) -> &mut Growing {
        // Callers check `has`, and links are made only between stored nodes.
        &mut self.nodes[at as usize]
    }

    fn keep(&mut self, text: &str) -> Span {
        if self.store.len() + self.loose_bytes + text.len() > self.max_store {
            self.full = true;
            return Span::default();
        }
        let start = self.store.len() as u32;
        self.store.push_str(text);
        Span { start, len: text.len() as u32 }
    }

    fn keep_attrs(&mut self, attrs: Vec<Attribute>) -> (u32, u16) {
        let start = self.attrs.len();
        for attr in attrs.into_iter().take(usize::from(u16::MAX)) {
            let name = attr_name(attr.name);
            let value = self.keep(&attr.value);
            self.attrs.push(Attr { name, value });
        }
        (start as u32, (self.attrs.len() - start) as u16)
    }

    fn detach(&mut self, at: u32) {
        let Growing { parent, prev, next, .. } = *self.node(at);
        if parent == NONE {
            return;
        }
        match prev {
            NONE => self.node(parent).first = next,
            _ => self.node(prev).next = next,
        }
        match next {
            NONE => self.node(parent).last = prev,
            _ => self.node(next).prev = prev,
        }
        let node = self.node(at);
        (node.parent, node.prev, node.next) = (NONE, NONE, NONE);
    }

    /// Puts a detached node before `next`, or last when `next` is `NONE`.
    fn attach(&mut self, at: u32, parent: u32, next: u32) {
        let prev = match next {
            NONE => self.node(parent).last,
            _ => self.node(next).prev,
        };
        let node = self.node(at);
        (node.parent, node.prev, node.next) = (parent, prev, next);
        match prev {
            NONE => self.node(parent).first = at,
            _ => self.node(prev).next = at,
        }
        match next {
            NONE => self.node(parent).last = at,
            _ => self.node(next).prev = at,
        }
    }

    /// Adds to the text node `at`; false when it is not one.
    fn extend_text(&mut self, at: u32, text: &str) -> bool {
        if self.store.len() + self.loose_bytes + text.len() > self.max_store {
            self.full = true;
            return true;
        }
        match self.nodes[at as usize].kind {
            GrowingKind::Plain(Kind::Text(ref mut span)) => {
                if (span.start + span.len) as usize == self.store.len() {
                    span.len += text.len() as u32;
                    self.store.push_str(text);
                } else {
                    let range = span.start as usize..(span.start + span.len) as usize;
                    let loose = self.store[range].to_owned() + text;
                    self.loose_bytes += loose.len();
                    self.loose.push(loose);
                    self.nodes[at as usize].kind = GrowingKind::Loose((self.loose.len() - 1) as u32);
                }
                true
            }
            GrowingKind::Loose(index) => {
                self.loose[index as usize].push_str(text);
                self.loose_bytes += text.len();
                true
            }
            GrowingKind::Plain(_) => false,
        }
    }

    /// Inserts under `parent` before `next` (`NONE`: last), joining texts.
    fn insert(&mut self, parent: u32, next: u32, child: NodeOrText<Handle>) {
        match child {
            NodeOrText::AppendNode(handle) => {
                if self.has(handle.at) {
                    self.detach(handle.at);
                    self.attach(handle.at, parent, next);
                }
            }
            NodeOrText::AppendText(text) => {
                let prev = match next {
                    NONE => self.node(parent).last,
                    _ => self.node(next).prev,
                };
                if prev != NONE && self.extend_text(prev, &text) {
                    return;
                }
                if self.nodes.len() >= MAX_NODES {
                    self.full = true;
                    return;
                }
                let span = self.keep(&text);
                let at = self.push(Kind::Text(span));
                self.attach(at, parent, next);
            }
        }
    }

    /// Lays the tree out in document order. What was never attached, or was removed, is left behind.
    fn lay_out(mut self, begun: Option<Vec<Option<Place>>>) -> (Document, Vec<Option<Place>>) {
        let mut placed = Vec::new();
        let mut nodes: Vec<Data> = Vec::with_capacity(self.nodes.len());
        nodes.push(Data { parent: NONE, end: 0, prev: NONE, last: NONE, kind: Kind::Document });
        // The way down: the old index, and the new index under which its children go.
        let mut open: Vec<(u32, u32)> = vec![(0, 0)];
        let mut at = self.nodes[0].first;
        'down: loop {
            while at == NONE {
                let Some((old, new)) = open.pop() else { break 'down };
                nodes[new as usize].end = nodes.len() as u32;
                at = self.nodes[old as usize].next;
            }
            let new = nodes.len() as u32;
            let parent = open.last().map_or(0, |&(_, new)| new);
            let old = &mut self.nodes[at as usize];
            let first = old.first;
            let kind = match std::mem::replace(&mut old.kind, GrowingKind::Plain(Kind::Document)) {
                GrowingKind::Plain(kind) => kind,
                GrowingKind::Loose(index) => {
                    let start = self.store.len() as u32;
                    let text = &self.loose[index as usize];
                    self.store.push_str(text);
                    Kind::Text(Span { start, len: text.len() as u32 })
                }
            };
            let above = &mut nodes[parent as usize];
            let prev = std::mem::replace(&mut above.last, new);
            nodes.push(Data { parent, end: new + 1, prev, last: NONE, kind });
            if let Some(begun) = &begun {
                placed.resize(nodes.len(), None);
                placed[new as usize] = begun.get(at as usize).copied().flatten();
            }
            if first == NONE {
                at = self.nodes[at as usize].next;
            } else {
                open.push((at, if open.len() > MAX_DEPTH { parent } else { new }));
                at = first;
            }
        }
        let document = Document {
            nodes,
            attrs: self.attrs,
            store: self.store,
            truncated: self.full,
            filters: OnceLock::new(),
            ranks: OnceLock::new(),
            ranges: Vec::new(),
        };
        (document, placed)
    }
}

/// The name of an attribute as the tree holds it: lower-case, with its prefix.
fn attr_name(name: QualName) -> Name {
    match name.prefix {
        Some(prefix) if !prefix.is_empty() => name::lower(&format!("{prefix}:{}", name.local)),
        _ if name.ns == ns!() && !name.local.bytes().any(|b| b.is_ascii_uppercase()) => name.local,
        _ => name::lower(&name.local),
    }
}

impl TreeSink for Builder {
    type Handle = Handle;
    /// The tree, and where its elements were begun if that was wanted.
    type Output = (Document, Vec<Option<Place>>);
    type ElemName<'a> = HandleName<'a>;

    fn finish(self) -> (Document, Vec<Option<Place>>) {
        self.arena.into_inner().lay_out(self.begun.map(RefCell::into_inner))
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn set_current_line(&self, line: u64) {
        self.place.set(Place(line));
    }

    fn get_document(&self) -> Handle {
        Handle { at: 0, integration_point: false, ns: ns!(), local: local_name!("") }
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> HandleName<'a> {
        self.count();
        HandleName(target)
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, flags: ElementFlags) -> Handle {
        let foreign = name.ns != ns!(html);
        let local = if foreign { name::lower(&name.local) } else { name.local.clone() };
        let at = self.store(|arena| {
            let (attrs, attr_count) = arena.keep_attrs(attrs);
            Kind::Element { name: local, attrs, attr_count, foreign }
        });
        self.note(at);
        self.handle(at, name, flags.mathml_annotation_xml_integration_point)
    }

    fn create_comment(&self, text: StrTendril) -> Handle {
        let at = self.store(|arena| Kind::Comment(arena.keep(&text)));
        self.handle(at, QualName::new(None, ns!(), local_name!("")), false)
    }

    fn create_pi(&self, _target: StrTendril, data: StrTendril) -> Handle {
        // HTML has no processing instructions: the tokenizer makes comments of them.
        self.create_comment(data)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        let mut arena = self.arena.borrow_mut();
        if arena.has(parent.at) {
            arena.insert(parent.at, NONE, child);
        }
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        prev_element: &Handle,
        child: NodeOrText<Handle>,
    ) {
        let attached = {
            let mut arena = self.arena.borrow_mut();
            arena.has(element.at) && arena.node(element.at).parent != NONE
        };
        if attached { self.append_before_sibling(element, child) } else { self.append(prev_element, child) }
    }

    fn append_doctype_to_document(&self, name: StrTendril, _public_id: StrTendril, _system_id: StrTendril) {
        let at = self.store(|arena| Kind::Doctype(arena.keep(&name)));
        let mut arena = self.arena.borrow_mut();
        if arena.has(at) {
            arena.attach(at, 0, NONE);
        }
    }

    fn get_template_contents(&self, target: &Handle) -> Handle {
        // The content of a template is its children here: for a reader it is as good as any other content.
        target.clone()
    }

    fn same_node(&self, x: &Handle, y: &Handle) -> bool {
        self.count();
        x.at == y.at
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, new_node: NodeOrText<Handle>) {
        let mut arena = self.arena.borrow_mut();
        if !arena.has(sibling.at) {
            return;
        }
        let parent = arena.node(sibling.at).parent;
        if parent != NONE {
            arena.insert(parent, sibling.at, new_node);
        }
    }

    fn add_attrs_if_missing(&self, target: &Handle, attrs: Vec<Attribute>) {
        let mut arena = self.arena.borrow_mut();
        let arena = &mut *arena;
        let Some(Growing {
            kind: GrowingKind::Plain(Kind::Element { attrs: start, attr_count, .. }), ..
        }) = arena.nodes.get(target.at as usize)
        else {
            return;
        };
        let (start, count) = (*start as usize, *attr_count as usize);
        let mut merged = arena.attrs[start..start + count].to_vec();
        for attr in attrs {
            let name = attr_name(attr.name);
            if merged.len() < MAX_ATTRS && !merged.iter().any(|a| a.name == name) {
                let value = arena.keep(&attr.value);
                merged.push(Attr { name, value });
            }
        }
        if merged.len() == count {
            return;
        }
        let new_start = arena.attrs.len() as u32;
        let new_count = merged.len() as u16;
        arena.attrs.append(&mut merged);
        if let GrowingKind::Plain(Kind::Element { attrs, attr_count, .. }) = &mut arena.node(target.at).kind {
            (*attrs, *attr_count) = (new_start, new_count);
        }
    }

    fn remove_from_parent(&self, target: &Handle) {
        let mut arena = self.arena.borrow_mut();
        if arena.has(target.at) {
            arena.detach(target.at);
        }
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        let mut arena = self.arena.borrow_mut();
        if !arena.has(node.at) || !arena.has(new_parent.at) {
            return;
        }
        let mut at = arena.node(node.at).first;
        while at != NONE {
            let next = arena.node(at).next;
            arena.detach(at);
            arena.attach(at, new_parent.at, NONE);
            at = next;
        }
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        handle.integration_point
    }
}
