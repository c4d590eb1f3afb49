//! A copy of the page's elements that can be changed: taken apart, renamed, wrapped, without touching the page.
//!
//! Owns: the copy, sums over what is below an element. Must not know: what is content. Each operation is linear in what
//! it changes; the copy has at most [`MOST`] items.

use super::word;
use html::Node;

/// Items past this number are not copied: the longest real pages have a tenth of it.
const MOST: usize = 300_000;
/// No item.
pub(super) const NONE: u32 = u32::MAX;

/// An element or a text.
#[derive(Clone, Debug)]
pub(super) struct Item<'d> {
    /// The element's name, `""` for a text.
    pub(super) name: &'d str,
    /// What it is a copy of; nothing for a wrapper.
    pub(super) node: Option<Node<'d>>,
    pub(super) parent: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) next: u32,
    pub(super) prev: u32,
    /// Of a text only.
    text: Sum,
    /// How much it looks like an article, where that was asked.
    pub(super) score: Option<f64>,
    /// A table of data rather than of layout.
    pub(super) is_data: bool,
}

/// Sums over what is below an element.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    /// Characters, white space collapsed.
    pub(super) chars: u32,
    /// Commas of any script, and of ASCII.
    pub(super) commas: u32,
    pub(super) plain_commas: u32,
    /// Characters in links; those within the page count less.
    pub(super) linked: f64,
    /// Characters in headings, in lists, and in elements made for text; those within two of a kind count twice.
    pub(super) headings: u32,
    pub(super) lists: u32,
    pub(super) textual: u32,
    pub(super) paragraphs: u32,
    pub(super) images: u32,
    pub(super) items: u32,
    pub(super) inputs: u32,
    pub(super) embeds: u32,
    pub(super) elements: u32,
    pub(super) breaks: u32,
    pub(super) has_video: bool,
    pub(super) has_data: bool,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.chars = self.chars.saturating_add(other.chars);
        self.commas = self.commas.saturating_add(other.commas);
        self.plain_commas = self.plain_commas.saturating_add(other.plain_commas);
        self.linked += other.linked;
        self.headings = self.headings.saturating_add(other.headings);
        self.lists = self.lists.saturating_add(other.lists);
        self.textual = self.textual.saturating_add(other.textual);
        self.paragraphs = self.paragraphs.saturating_add(other.paragraphs);
        self.images = self.images.saturating_add(other.images);
        self.items = self.items.saturating_add(other.items);
        self.inputs = self.inputs.saturating_add(other.inputs);
        self.embeds = self.embeds.saturating_add(other.embeds);
        self.elements = self.elements.saturating_add(other.elements);
        self.breaks = self.breaks.saturating_add(other.breaks);
        self.has_video |= other.has_video;
        self.has_data |= other.has_data;
    }

    /// Share of the characters that are in links.
    pub(super) fn link_density(&self) -> f64 {
        if self.chars == 0 { 0.0 } else { self.linked / f64::from(self.chars) }
    }

    /// Adds an element itself, of which `self` is what is below.
    fn close(&mut self, item: &Item<'_>) {
        self.elements = self.elements.saturating_add(1);
        match item.name {
            "p" => self.paragraphs += 1,
            "img" => self.images += 1,
            "li" => self.items += 1,
            "input" => self.inputs += 1,
            "br" | "hr" => self.breaks += 1,
            "object" | "embed" | "iframe" => {
                self.embeds += 1;
                self.has_video |= item.node.is_some_and(word::is_video);
            }
            "table" => self.has_data |= item.is_data,
            "ul" | "ol" => self.lists = self.lists.saturating_add(self.chars),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.headings = self.headings.saturating_add(self.chars);
            }
            "a" => {
                let within =
                    item.node.and_then(|n| n.attr("href")).is_some_and(|h| h.len() > 1 && h.starts_with('#'));
                self.linked += f64::from(self.chars) * if within { 0.3 } else { 1.0 };
            }
            _ => {}
        }
        if matches!(
            item.name,
            "span" | "li" | "td" | "blockquote" | "dl" | "div" | "ol" | "p" | "pre" | "table" | "ul"
        ) {
            self.textual = self.textual.saturating_add(self.chars);
        }
    }
}

/// The copy. Item 0 is the body.
#[derive(Clone, Debug)]
pub(super) struct Tree<'d> {
    pub(super) items: Vec<Item<'d>>,
}

impl<'d> Tree<'d> {
    /// Copies what is below `root`, without programs and comments.
    pub(super) fn of(root: Node<'d>) -> Self {
        let mut tree = Self { items: Vec::new() };
        tree.add("body", Some(root));
        let mut above = 0;
        let mut node = root;
        'walk: loop {
            let mut inside = None;
            if node == root {
                inside = node.first_child();
            } else if let Some(text) = node.text_node() {
                let made = tree.add("", Some(node));
                tree.items[made as usize].text = measure(text);
                tree.append(above, made);
            } else if node.is_element() && tree.items.len() < MOST {
                match node.name() {
                    "script" | "style" | "template" | "link" | "meta" | "title" => {}
                    "noscript" => tree.stand_in(node, above),
                    "img" if !names_picture(node) => {}
                    name => {
                        let made = tree.add(if name == "font" { "span" } else { name }, Some(node));
                        tree.append(above, made);
                        inside = node.first_child();
                        if inside.is_some() {
                            above = made;
                        }
                    }
                }
            }
            if let Some(child) = inside {
                node = child;
                continue;
            }
            while node != root {
                if let Some(next) = node.next_sibling() {
                    node = next;
                    continue 'walk;
                }
                let Some(parent) = node.parent() else { break };
                node = parent;
                above = if node == root { 0 } else { tree.items[above as usize].parent };
            }
            break;
        }
        tree.part_by_breaks();
        tree
    }

    pub(super) fn add(&mut self, name: &'d str, node: Option<Node<'d>>) -> u32 {
        self.items.push(Item {
            name,
            node,
            parent: NONE,
            first: NONE,
            last: NONE,
            next: NONE,
            prev: NONE,
            text: Sum::default(),
            score: None,
            is_data: false,
        });
        u32::try_from(self.items.len() - 1).unwrap_or(NONE)
    }

    pub(super) fn at(&self, item: u32) -> &Item<'d> {
        &self.items[item as usize]
    }

    pub(super) fn name(&self, item: u32) -> &'d str {
        self.at(item).name
    }

    pub(super) fn is_text(&self, item: u32) -> bool {
        self.name(item).is_empty()
    }

    /// Characters of a text.
    pub(super) fn text_chars(&self, item: u32) -> u32 {
        self.at(item).text.chars
    }

    /// A text without words.
    pub(super) fn is_blank(&self, item: u32) -> bool {
        self.is_text(item) && self.at(item).text.chars == 0
    }

    pub(super) fn children(&self, item: u32) -> impl Iterator<Item = u32> + '_ {
        let some = |n: u32| (n != NONE).then_some(n);
        std::iter::successors(some(self.at(item).first), move |n| some(self.at(*n).next))
    }

    pub(super) fn elements(&self, item: u32) -> impl Iterator<Item = u32> + '_ {
        self.children(item).filter(|n| !self.is_text(*n))
    }

    pub(super) fn ancestors(&self, item: u32) -> impl Iterator<Item = u32> + '_ {
        let some = |n: u32| (n != NONE).then_some(n);
        std::iter::successors(some(self.at(item).parent), move |n| some(self.at(*n).parent))
    }

    /// Is one of the four elements around it of this name?
    pub(super) fn is_within(&self, item: u32, name: &str) -> bool {
        self.ancestors(item).take(4).any(|n| self.name(n) == name)
    }

    pub(super) fn append(&mut self, parent: u32, item: u32) {
        self.unlink(item);
        let last = self.at(parent).last;
        let moved = &mut self.items[item as usize];
        (moved.parent, moved.prev, moved.next) = (parent, last, NONE);
        match last {
            NONE => self.items[parent as usize].first = item,
            last => self.items[last as usize].next = item,
        }
        self.items[parent as usize].last = item;
    }

    /// Takes an item with what is below it out.
    pub(super) fn unlink(&mut self, item: u32) {
        let Item { parent, prev, next, .. } = *self.at(item);
        if parent == NONE {
            return;
        }
        match prev {
            NONE => self.items[parent as usize].first = next,
            prev => self.items[prev as usize].next = next,
        }
        match next {
            NONE => self.items[parent as usize].last = prev,
            next => self.items[next as usize].prev = prev,
        }
        let gone = &mut self.items[item as usize];
        (gone.parent, gone.prev, gone.next) = (NONE, NONE, NONE);
    }

    /// Puts `new` where `old` is.
    pub(super) fn replace(&mut self, old: u32, new: u32) {
        self.unlink(new);
        let Item { parent, prev, next, .. } = *self.at(old);
        if parent == NONE {
            return;
        }
        let put = &mut self.items[new as usize];
        (put.parent, put.prev, put.next) = (parent, prev, next);
        match prev {
            NONE => self.items[parent as usize].first = new,
            prev => self.items[prev as usize].next = new,
        }
        match next {
            NONE => self.items[parent as usize].last = new,
            next => self.items[next as usize].prev = new,
        }
        let gone = &mut self.items[old as usize];
        (gone.parent, gone.prev, gone.next) = (NONE, NONE, NONE);
    }

    /// The next element in the order of the page; with `past`, behind all that is below `item`.
    pub(super) fn following(&self, item: u32, past: bool) -> Option<u32> {
        if !past && let Some(child) = self.elements(item).next() {
            return Some(child);
        }
        let mut at = item;
        loop {
            let mut next = self.at(at).next;
            while next != NONE {
                if !self.is_text(next) {
                    return Some(next);
                }
                next = self.at(next).next;
            }
            at = self.at(at).parent;
            if at == NONE {
                return None;
            }
        }
    }

    /// Everything below `root` and itself, parents before children.
    pub(super) fn order(&self, root: u32) -> Vec<u32> {
        let mut out = Vec::new();
        let mut open = vec![root];
        while let Some(item) = open.pop() {
            out.push(item);
            let mut child = self.at(item).last;
            while child != NONE {
                open.push(child);
                child = self.at(child).prev;
            }
        }
        out
    }

    /// Sums over what is below each item, by its number. What `drop` says goes is taken out, children before parents.
    pub(super) fn sweep(&mut self, root: u32, mut drop: impl FnMut(&Self, u32, &Sum) -> bool) -> Vec<Sum> {
        let mut sums = vec![Sum::default(); self.items.len()];
        for item in self.order(root).into_iter().rev() {
            let place = item as usize;
            if self.is_text(item) {
                sums[place] = self.items[place].text;
            } else if item != root && drop(self, item, &sums[place]) {
                self.unlink(item);
                continue;
            }
            let parent = self.items[place].parent;
            if item != root && parent != NONE {
                let mut sum = sums[place];
                if !self.is_text(item) {
                    sum.close(&self.items[place]);
                }
                sums[parent as usize].add(&sum);
            }
        }
        sums
    }

    /// Text, links and other pieces of a paragraph.
    pub(super) fn is_phrasing(&self, item: u32) -> bool {
        let mut open = vec![item];
        while let Some(item) = open.pop() {
            match self.name(item) {
                "a" | "del" | "ins" => open.extend(self.children(item)),
                name => {
                    if !word::is_phrasing(name) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// A picture for readers without scripts takes the place of the one right before it.
    fn stand_in(&mut self, noscript: Node<'d>, above: u32) {
        let before = self.at(above).last;
        let before = if before != NONE && self.is_blank(before) { self.at(before).prev } else { before };
        let Some(picture) = single_picture(noscript).filter(|_| before != NONE && !self.is_text(before))
        else {
            return;
        };
        let mut at = before;
        for _ in 0..4 {
            if self.name(at) == "img" {
                let put = self.add("img", Some(picture));
                self.replace(before, put);
                return;
            }
            let mut inside = self.children(at).filter(|n| !self.is_blank(*n));
            match (inside.next(), inside.next()) {
                (Some(only), None) => at = only,
                _ => return,
            }
        }
    }

    /// Two line breaks part paragraphs: what stands behind them becomes one.
    fn part_by_breaks(&mut self) {
        for first in 0..u32::try_from(self.items.len()).unwrap_or(NONE) {
            if self.name(first) != "br" || self.at(first).parent == NONE {
                continue;
            }
            let mut parted = false;
            while let Some(next) = self.next_break(first) {
                self.unlink(next);
                parted = true;
            }
            if !parted {
                continue;
            }
            let made = self.add("p", None);
            self.replace(first, made);
            let mut next = self.at(made).next;
            while next != NONE {
                let ends = self.name(next) == "br" && self.next_break(next).is_some();
                if ends || !self.is_phrasing(next) {
                    break;
                }
                let behind = self.at(next).next;
                self.append(made, next);
                next = behind;
            }
            self.trim(made);
            let parent = self.at(made).parent;
            if self.name(parent) == "p" {
                self.items[parent as usize].name = "div";
            }
        }
    }

    /// The line break behind one, if nothing but white space is between them.
    fn next_break(&self, item: u32) -> Option<u32> {
        let mut next = self.at(item).next;
        while next != NONE && self.is_blank(next) {
            next = self.at(next).next;
        }
        (next != NONE && self.name(next) == "br").then_some(next)
    }

    /// Takes white space and line breaks off the end.
    pub(super) fn trim(&mut self, item: u32) {
        loop {
            let last = self.at(item).last;
            if last == NONE || !(self.is_blank(last) || self.name(last) == "br") {
                return;
            }
            self.unlink(last);
        }
    }
}

/// Characters as a reader counts them: white space in a text is one, and none where there is nothing else.
fn measure(text: &str) -> Sum {
    let mut sum = Sum::default();
    let (mut chars, mut gaps, mut space, mut commas, mut plain) = (0u32, 0u32, false, 0u32, 0u32);
    for c in text.chars() {
        if c.is_whitespace() {
            gaps += u32::from(!space);
            space = true;
            continue;
        }
        space = false;
        chars += 1;
        plain += u32::from(c == ',');
        commas += u32::from(matches!(
            c,
            ',' | '\u{60c}'
                | '\u{fe50}'
                | '\u{fe10}'
                | '\u{fe11}'
                | '\u{2e41}'
                | '\u{2e34}'
                | '\u{2e32}'
                | '\u{ff0c}'
        ));
    }
    if chars > 0 {
        (sum.chars, sum.commas, sum.plain_commas) = (chars + gaps, commas, plain);
    }
    sum
}

/// Does an image element name a picture at all?
fn names_picture(node: Node<'_>) -> bool {
    node.attrs().any(|(name, value)| {
        matches!(name, "src" | "srcset" | "data-src" | "data-srcset") || word::names_picture(value)
    })
}

/// The picture of a `<noscript>` that holds nothing else.
fn single_picture(noscript: Node<'_>) -> Option<Node<'_>> {
    let mut picture = None;
    for node in noscript.descendants().take(8) {
        match node.text_node() {
            Some(text) if !text.trim().is_empty() => return None,
            None if node.name() == "img" && picture.is_none() => picture = Some(node),
            None if node.name() == "img" => return None,
            _ => {}
        }
    }
    picture
}
