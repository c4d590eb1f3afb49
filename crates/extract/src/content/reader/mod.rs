//! What a reading view would show of the page: the judgement that browsers have taught people to expect of an article.
//!
//! Follows Mozilla's Readability (0.6, Apache-2.0) step by step on a copy of the page: `word` its word lists, `tree` the
//! copy, `grab` the search for the article, `clean` what is then taken out of it. A heading that repeats the title stays, as
//! Markdown is read without a title above it. It says nothing of pages that are not
//! articles; `judge` weighs it among what else is known, and `main` shows an article's Markdown by it.
//!
//! Must not know: the model. Linear in the page, times the depth that the parser allows.

mod clean;
mod grab;
mod tree;
mod word;

use html::Node;
use tree::{NONE, Tree};

/// Articles have at least this many characters; with less the search is repeated less strictly.
const ENOUGH: u32 = 500;

/// How strict a search is.
#[derive(Clone, Copy, Debug)]
struct Strict {
    /// Parts with unlikely names are dropped.
    names: bool,
    /// Good and bad names are weighed.
    weights: bool,
    /// Parts that look like lists of links, forms and so on are dropped.
    shapes: bool,
}

/// What a reading view shows: for each node below the root (by its number, counted from the root's).
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// It is shown.
    pub(super) shown: Vec<bool>,
    /// It is in the article, shown or taken out of it.
    pub(super) inside: Vec<bool>,
}

/// Reads what is below `root`, which has `len` nodes with itself. `has_author`: the head names an author, so that a line that
/// does is part of the text.
pub(super) fn read(root: Node<'_>, len: usize, has_author: bool) -> Reading {
    let tries = [(true, true, true), (false, true, true), (false, false, true), (false, false, false)];
    let whole = Tree::of(root);
    let mut best: Option<(u32, Reading)> = None;
    for (names, weights, shapes) in tries {
        let strict = Strict { names, weights, shapes };
        let mut tree = whole.clone();
        let article = grab::article(&mut tree, has_author, strict);
        let mut reading = Reading { shown: vec![false; len], inside: vec![false; len] };
        mark(&tree, article, root, &mut reading.inside);
        let chars = clean::clean(&mut tree, article, strict);
        mark(&tree, article, root, &mut reading.shown);
        if best.as_ref().is_none_or(|(most, _)| chars > *most || chars >= ENOUGH) {
            best = Some((chars, reading));
        }
        if chars >= ENOUGH {
            break;
        }
    }
    best.map(|(_, reading)| reading).unwrap_or_default()
}

fn mark(tree: &Tree<'_>, article: u32, root: Node<'_>, marks: &mut [bool]) {
    for item in tree.order(article) {
        let place = tree.at(item).node.and_then(|node| node.id().checked_sub(root.id()));
        if let Some(mark) = place.and_then(|p| marks.get_mut(p)) {
            *mark = true;
        }
    }
}

/// The text of what is below an item, at most `most` bytes of it.
fn text(tree: &Tree<'_>, item: u32, most: usize) -> String {
    let mut out = String::new();
    let mut open = vec![item];
    while let Some(item) = open.pop() {
        if out.len() > most {
            break;
        }
        if let Some(text) = tree.at(item).node.and_then(Node::text_node) {
            out.push_str(crate::value::text::head(text, most));
        }
        let mut child = tree.at(item).last;
        while child != NONE {
            open.push(child);
            child = tree.at(child).prev;
        }
    }
    out
}

#[cfg(test)]
mod tests;
