//! The main content of a page: which of its nodes are kept, and its forms as text, Markdown and HTML.
//!
//! Invariants: a node with text is kept exactly when a block within it is; one without (a picture, a rule) when the block
//! before or behind it is.

use super::block::{Block, Blocks};
use super::feature::{is_marked, ratio};
use super::judge::{Verdict, judge};
use super::reader::{self, Reading};
use super::{body, facts, state, write};
use html::{Document, Node};
use url::Url;

/// Pages with less text than this are looked at again, for text that they carry as data.
const LITTLE: usize = 250;

/// How far the two judgements must agree for the page to be an article: a reading view of a list or a shop's page leaves
/// out what these pages are for.
const AGREE: f32 = 0.5;

/// The content of a page.
pub struct MainContent<'d> {
    pub(super) kept: Kept<'d>,
    /// Text that the page carries only as data, parsed as a page of its own.
    carried: Option<Document>,
}

/// The nodes that are kept.
pub(super) struct Kept<'d> {
    root: Node<'d>,
    /// The deepest element with everything that is kept.
    pub(super) scope: Node<'d>,
    pub(super) blocks: Vec<Block>,
    /// By the number of the node, counted from `root`'s.
    marks: Vec<u8>,
    /// What a reading view shows, where the page is an article: Markdown and HTML follow it.
    view: Option<Vec<bool>>,
    /// The deepest element with everything that these show.
    pub(super) view_scope: Node<'d>,
    /// Names by the same number.
    names: Vec<&'d str>,
    parents: Vec<u32>,
}

const SEEN: u8 = 1;
const KEPT: u8 = 2;
const NEAR: u8 = 4;

/// Finds the content of a page.
pub fn main_content(doc: &Document) -> MainContent<'_> {
    let blocks = Blocks::of(body(doc));
    let facts = facts(doc);
    let reading = reader::read(blocks.root, blocks.sums.len(), facts.has_author);
    let keep = judge(&blocks, &facts, &reading);
    let is_article = agree(&blocks, &keep, &reading) >= AGREE;
    let mut kept = Kept::of(blocks, &keep);
    if is_article {
        kept.view = Some(kept.around(reading.shown));
        kept.view_scope = kept.only();
    }
    let chars: usize = kept.blocks.iter().map(|b| b.text.len()).sum();
    let carried = (chars < LITTLE).then(|| state::text(doc)).flatten().filter(|html| html.len() > 2 * chars);
    MainContent { kept, carried: carried.map(|html| Document::parse(&html)) }
}

/// How much of what one of the two judgements keeps the other does too: by characters, of both together, 0 to 1.
fn agree(blocks: &Blocks<'_>, keep: &[Verdict], reading: &Reading) -> f32 {
    let (mut both, mut all) = (0u32, 0u32);
    for (block, verdict) in blocks.list.iter().zip(keep) {
        let votes =
            u32::from(*verdict == Verdict::Kept) + u32::from(is_marked(&reading.shown, blocks, block));
        both = both.saturating_add(if votes == 2 { 2 * block.chars } else { 0 });
        all = all.saturating_add(votes * block.chars);
    }
    ratio(both, all)
}

impl MainContent<'_> {
    /// As text: white space collapsed except in code, blocks on lines of their own.
    pub fn text(&self) -> String {
        match &self.carried {
            Some(doc) => doc.root().visible_text(),
            None => write::text(&self.kept),
        }
    }

    /// As Markdown; `base` resolves relative addresses.
    pub fn markdown(&self, base: &Url) -> String {
        match &self.carried {
            Some(doc) => crate::markdown::markdown(doc.root(), base),
            None => crate::markdown::markdown_of(self.kept.view_scope, base, &|node| self.kept.shows(node)),
        }
    }

    /// As HTML: the elements as they stand in the page, without what is not content.
    pub fn html(&self) -> String {
        match &self.carried {
            Some(doc) => body(doc).inner_html(),
            None => write::html(&self.kept),
        }
    }
}

impl<'d> Kept<'d> {
    fn of(blocks: Blocks<'d>, keep: &[Verdict]) -> Self {
        let root = blocks.root;
        let mut marks = vec![0u8; blocks.sums.len()];
        let (list, names) = (blocks.list, blocks.names);
        let mark = |marks: &mut Vec<u8>, from: usize, to: usize, bits: u8| {
            let (from, to) = (from.saturating_sub(root.id()), (to + 1).saturating_sub(root.id()));
            if let Some(part) = marks.get_mut(from..to) {
                part.iter_mut().for_each(|m| *m |= bits);
            }
        };
        let shown: Vec<bool> = keep.iter().map(|v| *v != Verdict::Dropped).collect();
        for (n, block) in list.iter().enumerate() {
            mark(&mut marks, block.first, block.last, if shown[n] { SEEN | KEPT } else { SEEN });
            let next = list.get(n + 1);
            // What stands between two blocks belongs to either.
            if shown[n] || next.is_some() && shown[n + 1] {
                let end = next.map_or(root.id() + marks.len(), |b| b.first);
                mark(&mut marks, block.last + 1, end - 1, NEAR);
            }
        }
        if let Some(first) = list.first().filter(|_| shown[0]) {
            mark(&mut marks, root.id(), first.first.saturating_sub(1), NEAR);
        }
        for node in root.descendants().rev() {
            let place = node.id() - root.id();
            if let Some(parent) = node.parent() {
                let bits = marks[place] & (SEEN | KEPT);
                if let Some(above) = parent.id().checked_sub(root.id()).and_then(|p| marks.get_mut(p)) {
                    *above |= bits;
                }
            }
        }
        let kept: Vec<Block> =
            list.into_iter().zip(keep).filter(|(_, v)| **v == Verdict::Kept).map(|(b, _)| b).collect();
        let mut made = Self {
            root,
            scope: root,
            blocks: kept,
            marks,
            view: None,
            view_scope: root,
            names,
            parents: blocks.parents,
        };
        made.scope = made.deepest();
        made.view_scope = made.scope;
        made
    }

    /// The deepest element with every kept block.
    fn deepest(&self) -> Node<'d> {
        let (Some(first), Some(last)) = (self.blocks.first(), self.blocks.last()) else { return self.root };
        let mut scope = self.root;
        loop {
            let holds = |node: &Node<'d>| {
                node.is_element() && node.id() <= first.first && {
                    let end = node.next_sibling().map_or(usize::MAX, Node::id);
                    last.last < end
                }
            };
            // A child that begins before the first and is the last to do so, if it also ends behind the last.
            match scope.children().filter(holds).last() {
                Some(child) if super::is_block(child.name()) => scope = child,
                _ => return scope,
            }
        }
    }

    /// The deepest element around everything that is shown.
    fn only(&self) -> Node<'d> {
        let mut scope = self.root;
        loop {
            let mut shown = scope.children().filter(|n| {
                self.shows(*n) && (n.is_element() || n.text_node().is_some_and(|t| !t.trim().is_empty()))
            });
            match (shown.next(), shown.next()) {
                (Some(child), None) if super::is_block(child.name()) => scope = child,
                _ => return scope,
            }
        }
    }

    /// The name of the element at a place.
    pub(super) fn name(&self, place: usize) -> &'d str {
        self.names.get(place).copied().unwrap_or_default()
    }

    /// The place of the element around the one at a place.
    pub(super) fn parent(&self, place: usize) -> u32 {
        self.parents.get(place).copied().unwrap_or(0)
    }

    /// What is shown, with all elements around it.
    fn around(&self, mut shown: Vec<bool>) -> Vec<bool> {
        let place = |node: Node<'_>| node.id().checked_sub(self.root.id());
        for node in self.root.descendants().rev() {
            if place(node).and_then(|p| shown.get(p)).copied().unwrap_or(false)
                && let Some(above) = node.parent().and_then(place).and_then(|p| shown.get_mut(p))
            {
                *above = true;
            }
        }
        shown
    }

    /// Is the node a part of the content?
    pub(super) fn shows(&self, node: Node<'_>) -> bool {
        let place = node.id().checked_sub(self.root.id());
        if let Some(shown) = &self.view {
            return place.and_then(|p| shown.get(p)).copied().unwrap_or(false) && !node.is_hidden();
        }
        let mark = place.and_then(|p| self.marks.get(p)).copied().unwrap_or(0);
        match mark & (SEEN | KEPT) {
            0 => mark & NEAR != 0 && !node.is_hidden(),
            SEEN => false,
            _ => true,
        }
    }
}
