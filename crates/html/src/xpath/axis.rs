//! Where an axis leads: from one node in the axis's own order, and from many nodes at once in linear time.

use super::Exhausted;
use super::ast::{Axis, NodeTest};
use super::eval::Evaluation;
use crate::tree::{Kind, NONE};
use std::collections::HashSet;

/// A node or an attribute, ordered as the document is: an element, its attributes, its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Item(u64);

impl Item {
    pub(super) fn node(at: u32) -> Item {
        Item(u64::from(at) << 32)
    }

    /// The attribute `rank`, from 0, of the element `at`.
    pub(super) fn attribute(at: u32, rank: u16) -> Item {
        Item((u64::from(at) << 32) | (u64::from(rank) + 1))
    }

    /// The node, or the element that has the attribute.
    pub(super) fn at(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The attribute's rank in its element.
    pub(super) fn rank(self) -> Option<usize> {
        // The low word alone.
        (self.0 as u32).checked_sub(1).map(|rank| rank as usize)
    }
}

/// Whether a walk goes on.
pub(super) type Go = Result<bool, Exhausted>;

impl<'a> Evaluation<'a> {
    /// Does the node test accept what an axis came upon?
    #[inline]
    pub(super) fn accepts(&self, axis: Axis, test: &NodeTest, item: Item) -> bool {
        if let Some(rank) = item.rank() {
            return match test {
                NodeTest::Node => true,
                // Elsewhere than on the attribute axis, a name is that of an element.
                NodeTest::AnyName => axis == Axis::Attribute,
                NodeTest::Name(name) => axis == Axis::Attribute && self.attr(item.at(), rank).name == *name,
                NodeTest::Prefix(prefix) => {
                    axis == Axis::Attribute && self.attr(item.at(), rank).name.starts_with(&**prefix)
                }
                _ => false,
            };
        }
        match (&self.doc.nodes[item.at() as usize].kind, test) {
            (Kind::Doctype(_), _) => false,
            (_, NodeTest::Node) => true,
            (Kind::Element { name, .. }, NodeTest::Name(wanted)) => name == wanted,
            (Kind::Element { .. }, NodeTest::AnyName) => true,
            (Kind::Element { name, .. }, NodeTest::Prefix(prefix)) => name.starts_with(&**prefix),
            (Kind::Text(_), NodeTest::Text) | (Kind::Comment(_), NodeTest::Comment) => true,
            _ => false,
        }
    }

    /// Calls `visit` with what the axis leads to and the test accepts, in the order of the axis, until it says false.
    pub(super) fn walk(
        &self,
        axis: Axis,
        test: &NodeTest,
        from: Item,
        mut visit: impl FnMut(Item) -> Go,
    ) -> Go {
        let nodes = &self.doc.nodes;
        let mut go = |item: Item| -> Go {
            self.work.spend(1)?;
            if self.accepts(axis, test, item) { visit(item) } else { Ok(true) }
        };
        let (at, is_attr) = (from.at(), from.rank().is_some());
        let (end, parent) = (nodes[at as usize].end, nodes[at as usize].parent);
        let siblings_end = if is_attr || parent == NONE { end } else { nodes[parent as usize].end };
        if matches!(axis, Axis::Itself | Axis::DescendantOrSelf | Axis::AncestorOrSelf) && !go(from)? {
            return Ok(false);
        }
        match axis {
            Axis::Itself | Axis::Namespace => {}
            Axis::Child if !is_attr => {
                let mut child = at + 1;
                while child < end {
                    if !go(Item::node(child))? {
                        return Ok(false);
                    }
                    child = nodes[child as usize].end;
                }
            }
            Axis::Descendant | Axis::DescendantOrSelf if !is_attr => {
                for below in at + 1..end {
                    if !go(Item::node(below))? {
                        return Ok(false);
                    }
                }
            }
            Axis::Parent | Axis::Ancestor | Axis::AncestorOrSelf => {
                let mut above = if is_attr { at } else { parent };
                while above != NONE {
                    if !go(Item::node(above))? {
                        return Ok(false);
                    }
                    if axis == Axis::Parent {
                        break;
                    }
                    above = nodes[above as usize].parent;
                }
            }
            Axis::FollowingSibling if !is_attr => {
                let mut next = end;
                while next < siblings_end {
                    if !go(Item::node(next))? {
                        return Ok(false);
                    }
                    next = nodes[next as usize].end;
                }
            }
            Axis::PrecedingSibling if !is_attr => {
                let mut prev = nodes[at as usize].prev;
                while prev != NONE {
                    if !go(Item::node(prev))? {
                        return Ok(false);
                    }
                    prev = nodes[prev as usize].prev;
                }
            }
            Axis::Following => {
                let start = if is_attr { at + 1 } else { end };
                for after in start..nodes.len() as u32 {
                    if !go(Item::node(after))? {
                        return Ok(false);
                    }
                }
            }
            Axis::Preceding => {
                for before in (1..at).rev() {
                    let is_ancestor = nodes[before as usize].end > at;
                    if !is_ancestor && !go(Item::node(before))? {
                        return Ok(false);
                    }
                }
            }
            Axis::Attribute if !is_attr => {
                if let Kind::Element { attr_count, .. } = nodes[at as usize].kind {
                    for rank in 0..attr_count {
                        if !go(Item::attribute(at, rank))? {
                            return Ok(false);
                        }
                    }
                }
            }
            // An attribute has neither children nor siblings nor attributes.
            _ => {}
        }
        Ok(true)
    }

    /// What the axis leads to from any of the nodes: in document order, each once. Walks that overlap are walked once,
    /// so the cost is that of the page at most.
    pub(super) fn reach(&self, axis: Axis, test: &NodeTest, from: &[Item]) -> Result<Vec<Item>, Exhausted> {
        let mut found = Vec::new();
        let nodes = &self.doc.nodes;
        let mut take = |item| {
            found.push(item);
            Ok(true)
        };
        match axis {
            _ if from.len() < 2 => {
                for &item in from {
                    self.walk(axis, test, item, &mut take)?;
                }
            }
            Axis::Descendant | Axis::DescendantOrSelf => {
                let mut covered = 0;
                for &item in from {
                    if item.rank().is_some() {
                        self.walk(axis, test, item, &mut take)?;
                    } else if item.at() >= covered {
                        self.walk(axis, test, item, &mut take)?;
                        covered = nodes[item.at() as usize].end;
                    }
                }
            }
            // The one that begins first holds the others, and the one that begins last.
            Axis::Following => {
                let start = |item: &Item| match item.rank() {
                    Some(_) => item.at() + 1,
                    None => nodes[item.at() as usize].end,
                };
                if let Some(&first) = from.iter().min_by_key(|item| start(item)) {
                    self.walk(axis, test, first, &mut take)?;
                }
            }
            Axis::Preceding => {
                if let Some(&last) = from.last() {
                    self.walk(axis, test, last, &mut take)?;
                }
            }
            Axis::FollowingSibling | Axis::PrecedingSibling => {
                let mut parents = HashSet::new();
                let mut outermost = |item: Item, take: &mut dyn FnMut(Item) -> Go| -> Go {
                    self.work.spend(1)?;
                    let is_new = item.rank().is_none() && parents.insert(nodes[item.at() as usize].parent);
                    if is_new { self.walk(axis, test, item, take) } else { Ok(true) }
                };
                if axis == Axis::FollowingSibling {
                    for &item in from {
                        outermost(item, &mut take)?;
                    }
                } else {
                    for &item in from.iter().rev() {
                        outermost(item, &mut take)?;
                    }
                }
            }
            Axis::Ancestor | Axis::AncestorOrSelf => {
                let mut seen = HashSet::new();
                for &item in from {
                    if axis == Axis::AncestorOrSelf && item.rank().is_some() {
                        self.walk(Axis::Itself, test, item, &mut take)?;
                    }
                    let mut at = match item.rank() {
                        None if axis == Axis::Ancestor => nodes[item.at() as usize].parent,
                        _ => item.at(),
                    };
                    while at != NONE && seen.insert(at) {
                        self.walk(Axis::Itself, test, Item::node(at), &mut take)?;
                        at = nodes[at as usize].parent;
                    }
                }
            }
            Axis::Child | Axis::Parent | Axis::Attribute | Axis::Itself | Axis::Namespace => {
                for &item in from {
                    self.work.spend(1)?;
                    self.walk(axis, test, item, &mut take)?;
                }
            }
        }
        self.in_order(&mut found)?;
        Ok(found)
    }

    /// Sorts in document order, each item once.
    pub(super) fn in_order(&self, items: &mut Vec<Item>) -> Result<(), Exhausted> {
        if !items.is_sorted_by(|a, b| a < b) {
            self.work.spend(items.len() as u64)?;
            items.sort_unstable();
            items.dedup();
        }
        Ok(())
    }
}
