//! A JSON text → leaves: the levels that say where lists begin and what is null, and the values.
//!
//! Invariant: every leaf of a node gets at least one entry for every value of the node, whatever the value is.

use super::leaf::Leaf;
use crate::keys::Keys;
use serde_json::value::RawValue;
use std::ops::Range;

/// A column, or a part of one.
pub(super) struct Node {
    pub(super) form: Form,
    /// Its leaves.
    pub(super) leaves: Range<usize>,
}

pub(super) enum Form {
    Leaf,
    List(Box<Node>),
    /// A node for each key.
    Object(Keys, Vec<Node>),
}

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) struct At {
    /// Optional nodes and lists above it.
    definition: i16,
    /// The list whose next element begins here; 0 for a new row.
    repetition: i16,
    /// Lists above it.
    lists: i16,
}

impl At {
    /// A column.
    pub(super) const TOP: Self = Self { definition: 0, repetition: 0, lists: 0 };
}

impl Node {
    /// Puts the value into the leaves; false if any of it did not fit (and is null there).
    pub(super) fn shred(&self, raw: &str, at: At, leaves: &mut [Leaf]) -> bool {
        if raw == "null" {
            self.absent(at.definition, at, leaves);
            return true;
        }
        let fits = match &self.form {
            Form::Leaf => {
                let Some(leaf) = leaves.get_mut(self.leaves.start) else { return false };
                return leaf.value(raw, at.definition, at.repetition);
            }
            Form::List(of) => raw.starts_with('[').then(|| list(of, raw, at, leaves)).flatten(),
            Form::Object(keys, nodes) => {
                raw.starts_with('{').then(|| object(keys, nodes, raw, at, leaves)).flatten()
            }
        };
        fits.unwrap_or_else(|| {
            self.absent(at.definition, at, leaves);
            false
        })
    }

    fn absent(&self, definition: i16, at: At, leaves: &mut [Leaf]) {
        for leaf in leaves.get_mut(self.leaves.clone()).into_iter().flatten() {
            leaf.absent(definition, at.repetition);
        }
    }
}

/// None if it is no list, and then nothing was put anywhere.
fn list(of: &Node, raw: &str, at: At, leaves: &mut [Leaf]) -> Option<bool> {
    let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    if elements.is_empty() {
        of.absent(at.definition + 1, at, leaves);
    }
    let mut below = At { definition: at.definition + 2, lists: at.lists + 1, ..at };
    let mut fits = true;
    for element in elements {
        fits &= of.shred(element.get(), below, leaves);
        below.repetition = below.lists;
    }
    Some(fits)
}

/// None if it is no object, and then nothing was put anywhere.
fn object(keys: &Keys, nodes: &[Node], raw: &str, at: At, leaves: &mut [Leaf]) -> Option<bool> {
    let cells = keys.read(raw).ok()?;
    let below = At { definition: at.definition + 1, ..at };
    let mut fits = cells.unknown.is_empty();
    for (node, cell) in nodes.iter().zip(cells.known) {
        fits &= node.shred(cell, below, leaves);
    }
    Some(fits)
}
