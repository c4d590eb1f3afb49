//! The blocks of a page: runs of text that a browser shows as one paragraph, cell or line, and sums over the elements
//! around them.
//!
//! Owns: the one walk over the page. Must not know: what is content. Linear in the page: each node is met once, and sums go
//! up by one sweep from the last node to the first.

use super::hint::{self, Hints};
use html::Node;

/// Blocks past this number are not looked at: the longest real pages have a tenth of it.
const MAX_BLOCKS: usize = 50_000;
/// Characters from which a block of plain text counts as prose.
pub(super) const PROSE: u32 = 80;

/// A run of text.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The first and the last text node, by their number.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The nearest element around it that is a block.
    pub(super) owner: usize,
    /// The text, white space collapsed.
    pub(super) text: String,
    /// Characters, and those of them within links.
    pub(super) chars: u32,
    pub(super) linked: u32,
    /// Everything said by the elements around it.
    pub(super) hints: Hints,
    /// 1 to 6 within a heading, else 0.
    pub(super) heading: u8,
    /// Depth of the owner.
    pub(super) depth: u16,
}

impl Block {
    pub(super) fn is_prose(&self) -> bool {
        self.chars >= PROSE && self.linked * 2 < self.chars
    }
}

/// Sums over the blocks within an element.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) chars: u32,
    pub(super) linked: u32,
    pub(super) prose: u32,
    pub(super) blocks: u32,
}

impl Sum {
    pub(super) fn add(&mut self, other: Self) {
        self.chars = self.chars.saturating_add(other.chars);
        self.linked = self.linked.saturating_add(other.linked);
        self.prose = self.prose.saturating_add(other.prose);
        self.blocks = self.blocks.saturating_add(other.blocks);
    }
}

/// A page as blocks.
pub(super) struct Blocks<'d> {
    pub(super) root: Node<'d>,
    pub(super) list: Vec<Block>,
    /// By the number of the node, counted from `root`'s.
    pub(super) sums: Vec<Sum>,
    /// The parent's place in `sums`, the root's being its own.
    pub(super) parents: Vec<u32>,
    /// A number that elements of the same tag and class share.
    pub(super) shapes: Vec<u64>,
    /// The element's name.
    pub(super) names: Vec<&'d str>,
}

struct Open<'d> {
    node: Node<'d>,
    hints: Hints,
    heading: u8,
    is_block: bool,
    owner: usize,
}

impl<'d> Blocks<'d> {
    /// Reads everything below `root`.
    pub(super) fn of(root: Node<'d>) -> Self {
        let len = root.descendants().next_back().map_or(0, Node::id).max(root.id()) - root.id() + 1;
        let mut made = Self {
            root,
            list: Vec::new(),
            sums: vec![Sum::default(); len],
            parents: vec![0; len],
            shapes: vec![0; len],
            names: vec![""; len],
        };
        let mut gather = Gather::default();
        let mut open =
            vec![Open { node: root, hints: 0, heading: 0, is_block: true, owner: made.place(root) }];
        let mut at = root.first_child();
        while let Some(node) = at {
            let Some(around) = open.last() else { break };
            if let Some(text) = node.text_node() {
                gather.text(node.id(), text, around, open.len());
            } else if node.is_element() {
                let name = node.name();
                if !is_read(name) {
                    at = made.after(node, &mut open, &mut gather);
                    continue;
                }
                let is_block = is_block(name);
                if is_block || matches!(name, "br" | "hr") && gather.is_break(name) {
                    gather.close(&mut made.list);
                }
                let place = made.place(node);
                made.parents[place] = u32::try_from(made.place(around.node)).unwrap_or(0);
                made.shapes[place] = shape(node);
                made.names[place] = name;
                let heading = match name.as_bytes() {
                    [b'h', n @ b'1'..=b'6'] => n - b'0',
                    _ => around.heading,
                };
                let hints = around.hints | hint::of(node);
                let owner = if is_block { place } else { around.owner };
                if let Some(child) = node.first_child() {
                    open.push(Open { node, hints, heading, is_block, owner });
                    at = Some(child);
                    continue;
                }
            }
            if made.list.len() >= MAX_BLOCKS {
                break;
            }
            at = made.after(node, &mut open, &mut gather);
        }
        gather.close(&mut made.list);
        made.sum_up();
        made
    }

    /// The next node behind `node` and all below it; closes what ends before it.
    fn after(&mut self, node: Node<'d>, open: &mut Vec<Open<'d>>, gather: &mut Gather) -> Option<Node<'d>> {
        let mut node = node;
        loop {
            if let Some(next) = node.next_sibling() {
                return Some(next);
            }
            let ended = open.pop()?;
            if ended.is_block {
                gather.close(&mut self.list);
            }
            if open.is_empty() {
                return None;
            }
            node = ended.node;
        }
    }

    /// The place of a node in the tables.
    pub(super) fn place(&self, node: Node<'_>) -> usize {
        (node.id() - self.root.id()).min(self.sums.len() - 1)
    }

    fn sum_up(&mut self) {
        for block in &self.list {
            let prose = if block.is_prose() { block.chars } else { 0 };
            self.sums[block.owner].add(Sum { chars: block.chars, linked: block.linked, prose, blocks: 1 });
        }
        // Parents stand before their children.
        for place in (1..self.sums.len()).rev() {
            let sum = self.sums[place];
            if sum.blocks > 0 {
                self.sums[self.parents[place] as usize].add(sum);
            }
        }
    }
}

#[derive(Default)]
struct Gather {
    block: Option<Block>,
    broken: bool,
    space: bool,
}

impl Gather {
    fn text(&mut self, id: usize, text: &str, around: &Open<'_>, depth: usize) {
        if text.trim().is_empty() {
            self.space = true;
            return;
        }
        self.broken = false;
        let block = self.block.get_or_insert_with(|| Block {
            first: id,
            last: id,
            owner: around.owner,
            text: String::new(),
            chars: 0,
            linked: 0,
            hints: around.hints & !(hint::LINK | hint::BUTTON),
            heading: around.heading,
            depth: u16::try_from(depth).unwrap_or(u16::MAX),
        });
        block.last = id;
        let mut chars = 0;
        self.space |= text.starts_with(char::is_whitespace);
        for word in text.split_whitespace() {
            if self.space && !block.text.is_empty() {
                block.text.push(' ');
                chars += 1;
            }
            block.text.push_str(word);
            chars += word.chars().count();
            self.space = true;
        }
        self.space = text.ends_with(char::is_whitespace);
        let chars = u32::try_from(chars).unwrap_or(u32::MAX);
        block.chars = block.chars.saturating_add(chars);
        if around.hints & (hint::LINK | hint::BUTTON) != 0 {
            block.linked = block.linked.saturating_add(chars);
        }
        block.hints |= around.hints & (hint::LINK | hint::BUTTON);
    }

    /// Two line breaks part paragraphs, one does not.
    fn is_break(&mut self, name: &str) -> bool {
        self.space = true;
        std::mem::replace(&mut self.broken, true) || name == "hr"
    }

    fn close(&mut self, list: &mut Vec<Block>) {
        list.extend(self.block.take());
        (self.broken, self.space) = (false, false);
    }
}

/// Elements whose inside can be content; the others are programs, media and controls.
fn is_read(name: &str) -> bool {
    !matches!(
        name,
        "script"
            | "style"
            | "template"
            | "head"
            | "iframe"
            | "object"
            | "audio"
            | "video"
            | "canvas"
            | "datalist"
            | "svg"
            | "select"
            | "textarea"
            | "progress"
            | "meter"
            | "embed"
            | "map"
            | "input"
            | "math"
    )
}

/// Elements that begin a line of their own, as a browser shows them without a style sheet.
pub(crate) fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "dir"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hgroup"
            | "html"
            | "legend"
            | "li"
            | "main"
            | "menu"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "search"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}

/// The same for elements of the same tag and class (FNV-1a).
fn shape(node: Node<'_>) -> u64 {
    let class = node.attr("class").unwrap_or_default();
    let bytes = node.name().bytes().chain([b'.']).chain(class.bytes().take(200));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
