//! What a document computes once for selectors: a filter word per element and the rank of each among its siblings.
//!
//! A filter word has a bit for the id, each class and each attribute name. An element without all bits of a compound
//! cannot match it, so most elements are refused by one comparison.

use crate::name::Name;
use crate::tree::{Document, Kind, NONE};
use std::collections::HashMap;

/// One word per node.
#[derive(Debug)]
pub(crate) struct Filters(pub(crate) Vec<u64>);

/// Ranks from 1 among the element siblings; 0 for what is no element.
#[derive(Debug)]
pub(crate) struct Ranks {
    nodes: Vec<Rank>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rank {
    /// From the start, and from the end.
    pub(crate) any: (u32, u32),
    /// The same among siblings of the same name.
    pub(crate) same_name: (u32, u32),
}

pub(crate) fn id_bit(id: &str) -> u64 {
    bit(id.as_bytes(), 1)
}

pub(crate) fn class_bit(class: &str) -> u64 {
    bit(class.as_bytes(), 2)
}

pub(crate) fn attr_bit(name: &Name) -> u64 {
    1 << (name.get_hash() & 63)
}

/// One of 64 bits, by FNV-1a.
fn bit(bytes: &[u8], seed: u64) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325 ^ seed, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    1 << (hash >> 58)
}

/// The classes of a class attribute.
pub(crate) fn classes(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', '\n', '\r', '\x0c']).filter(|c| !c.is_empty())
}

impl Filters {
    fn new(doc: &Document) -> Self {
        let word = |kind: &Kind| {
            let Kind::Element { attrs, attr_count, .. } = kind else { return 0 };
            let attrs = &doc.attrs[*attrs as usize..*attrs as usize + usize::from(*attr_count)];
            attrs.iter().fold(0, |word, attr| {
                let value = || doc.str(attr.value);
                word | attr_bit(&attr.name)
                    | match &*attr.name {
                        "id" => id_bit(value()),
                        "class" => classes(value()).fold(0, |word, class| word | class_bit(class)),
                        _ => 0,
                    }
            })
        };
        Filters(doc.nodes.iter().map(|node| word(&node.kind)).collect())
    }
}

impl Ranks {
    fn new(doc: &Document) -> Self {
        let mut nodes = vec![Rank::default(); doc.nodes.len()];
        let mut any: Vec<u32> = vec![0; doc.nodes.len()];
        let mut same: HashMap<(u32, &Name), u32> = HashMap::new();
        for (rank, node) in nodes.iter_mut().zip(&doc.nodes) {
            if let Kind::Element { name, .. } = &node.kind {
                let count = &mut any[node.parent as usize];
                *count += 1;
                rank.any.0 = *count;
                let count = same.entry((node.parent, name)).or_default();
                *count += 1;
                rank.same_name.0 = *count;
            }
        }
        for (rank, node) in nodes.iter_mut().zip(&doc.nodes) {
            if let Kind::Element { name, .. } = &node.kind {
                rank.any.1 = any[node.parent as usize] + 1 - rank.any.0;
                rank.same_name.1 =
                    same.get(&(node.parent, name)).map_or(0, |count| count + 1 - rank.same_name.0);
            }
        }
        Ranks { nodes }
    }
}

impl Document {
    pub(crate) fn filters(&self) -> &[u64] {
        &self.filters.get_or_init(|| Filters::new(self)).0
    }

    pub(crate) fn rank(&self, at: u32) -> Rank {
        self.ranks.get_or_init(|| Ranks::new(self)).nodes[at as usize]
    }

    /// The element sibling before a node.
    pub(crate) fn prev_element(&self, at: u32) -> u32 {
        let mut at = self.nodes[at as usize].prev;
        while at != NONE && !matches!(self.nodes[at as usize].kind, Kind::Element { .. }) {
            at = self.nodes[at as usize].prev;
        }
        at
    }
}
