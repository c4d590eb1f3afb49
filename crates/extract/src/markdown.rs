//! A part of a page as Markdown: CommonMark with GFM's tables, strikethrough and task lists.
//!
//! Owns the walk over the tree and what each element becomes; its parts own the layout of blocks (`block`), the text of
//! one block (`line`), tables (`table`) and escaping (`escape`). Addresses come out absolute. What a browser would not
//! show (scripts, templates, `hidden` …) and form controls are left out.
//!
//! The walk is a loop and containers are capped, so depth costs nothing and the result stays proportional to the page.

mod block;
mod escape;
mod line;
mod table;
#[cfg(test)]
mod tests;

use crate::content::is_block;
use crate::value::image;
use block::Blocks;
use html::Node;
use line::{Line, Mark};
use table::Table;
use url::Url;

/// Longest address that is written: a page's own `<base>` could otherwise lend each of its links a megabyte.
const MAX_URL: usize = 8 << 10;

/// Converts `scope` with what is below it. `base` resolves relative addresses. No white space at either end; `""` when
/// nothing is visible.
pub fn markdown(scope: Node<'_>, base: &Url) -> String {
    markdown_of(scope, base, &|node| !node.is_hidden())
}

/// The same of what `shows` says is a part of it; asked of the elements and texts below `scope`.
pub(crate) fn markdown_of(scope: Node<'_>, base: &Url, shows: &dyn Fn(Node<'_>) -> bool) -> String {
    let mut writer = Writer {
        shows,
        base,
        blocks: Blocks::default(),
        line: Line::default(),
        table: None,
        heading: 0,
        open: Vec::new(),
    };
    let mut node = scope;
    'walk: loop {
        if writer.enter(node, node == scope) {
            if let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            writer.leave(node);
        }
        while node != scope {
            if let Some(next) = node.next_sibling() {
                node = next;
                continue 'walk;
            }
            let Some(parent) = node.parent() else { break };
            node = parent;
            writer.leave(node);
        }
        break;
    }
    writer.flush();
    writer.blocks.finish()
}

/// What an element that was entered needs when it ends.
enum Open {
    Mark,
    Quotation,
    Block,
    Heading,
    Container,
    List,
    Table,
    Row,
    Cell,
}

struct Writer<'d, 'b> {
    shows: &'b dyn Fn(Node<'_>) -> bool,
    base: &'b Url,
    blocks: Blocks,
    /// The text of the block being gathered.
    line: Line,
    /// The table being gathered; everything inside is inline.
    table: Option<Table>,
    /// The level of the open heading, 0 outside.
    heading: usize,
    open: Vec<(Node<'d>, Open)>,
}

impl<'d> Writer<'d, '_> {
    /// Begins a node; true to go on with its children, after which `leave` follows.
    fn enter(&mut self, node: Node<'d>, is_scope: bool) -> bool {
        if let Some(text) = node.text_node() {
            if !is_scope && !text.trim().is_empty() && !(self.shows)(node) {
                return false;
            }
            self.line.text(text, self.table.is_some());
            return false;
        }
        let name = node.name();
        if name.is_empty() {
            return true;
        }
        if !is_scope && (!(self.shows)(node) || is_decoration(node)) {
            return name == "noscript" && holds_picture(node);
        }
        match name {
            "svg" | "button" | "select" | "textarea" | "progress" | "meter" | "embed" | "map" => false,
            "input" => {
                self.check_box(node);
                false
            }
            "br" => {
                self.line_break();
                false
            }
            "hr" => {
                self.flush();
                if self.table.is_none() {
                    // Not `---`, which in a list item would end the list.
                    self.blocks.block("* * *");
                }
                false
            }
            "img" => {
                self.image(node);
                false
            }
            "math" if node.attr("alttext").is_some_and(|tex| !tex.trim().is_empty()) => {
                let tex = node.attr("alttext").unwrap_or_default();
                self.line.raw(&format!("${}$", collapse(tex)));
                false
            }
            "code" | "kbd" | "samp" | "tt" => {
                self.line.code(&node.text(), self.table.is_some());
                false
            }
            "pre" | "listing" | "xmp" | "plaintext" => {
                self.code_block(node);
                false
            }
            _ => {
                if let Some(open) = self.element(node, name) {
                    self.open.push((node, open));
                }
                true
            }
        }
    }

    /// Begins an element whose children count; says what its end needs.
    fn element(&mut self, node: Node<'d>, name: &str) -> Option<Open> {
        Some(match name {
            "a" => {
                // A place within the page is none in its Markdown.
                let href = node.attr("href").filter(|href| !href.trim_start().starts_with('#'));
                let mark = href.and_then(|href| self.address(href)).map_or(Mark::None, Mark::Link);
                self.line.open(mark);
                Open::Mark
            }
            "b" | "strong" => {
                self.line.open(if self.heading > 0 { Mark::None } else { Mark::Strong });
                Open::Mark
            }
            "i" | "em" | "cite" | "dfn" | "var" => {
                self.line.open(Mark::Emphasis);
                Open::Mark
            }
            "del" | "s" | "strike" => {
                self.line.open(Mark::Strike);
                Open::Mark
            }
            "q" => {
                self.line.raw("“");
                Open::Quotation
            }
            "table" => {
                self.flush();
                if self.table.is_none() && table::is_data(node) {
                    self.table = Some(Table::default());
                    return Some(Open::Table);
                }
                Open::Block
            }
            "tr" => {
                self.flush();
                Open::Row
            }
            "td" | "th" => {
                self.flush();
                if let Some(table) = &mut self.table {
                    table.open_cell(node);
                }
                Open::Cell
            }
            _ if !is_block(name) => return None,
            _ => {
                self.flush();
                if self.table.is_some() { Open::Block } else { self.block(node, name) }
            }
        })
    }

    /// Begins a block element outside tables.
    fn block(&mut self, node: Node<'d>, name: &str) -> Open {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.heading = name[1..].parse().unwrap_or(1);
                Open::Heading
            }
            "blockquote" => {
                self.blocks.open_quote();
                Open::Container
            }
            "ul" | "menu" | "dir" => {
                self.blocks.open_list(None);
                Open::List
            }
            "ol" => {
                let start = node
                    .attr("start")
                    .and_then(|s| s.trim().parse().ok())
                    .filter(|s| (0..=999_999).contains(s));
                self.blocks.open_list(Some(start.unwrap_or(1)));
                Open::List
            }
            "li" => {
                self.blocks.open_item();
                Open::Container
            }
            _ => Open::Block,
        }
    }

    /// Ends a node that was entered.
    fn leave(&mut self, node: Node<'d>) {
        let Some((_, open)) = self.open.pop_if(|(opened, _)| *opened == node) else { return };
        match open {
            Open::Mark => self.line.close(),
            Open::Quotation => self.line.raw("”"),
            Open::Block => self.flush(),
            Open::Heading => {
                self.flush();
                self.heading = 0;
            }
            Open::Container => {
                self.flush();
                self.blocks.close_container();
            }
            Open::List => {
                self.flush();
                self.blocks.close_list();
            }
            Open::Row | Open::Cell => {
                self.flush();
                if let Some(table) = &mut self.table {
                    if matches!(open, Open::Row) { table.close_row() } else { table.close_cell() }
                }
            }
            Open::Table => {
                self.flush();
                if let Some(table) = self.table.take() {
                    self.blocks.block(&table.finish());
                }
            }
        }
    }

    /// Ends the text being gathered: it becomes a block, or a part of the open cell.
    fn flush(&mut self) {
        let text = self.line.take();
        if text.is_empty() {
            return;
        }
        match &mut self.table {
            Some(table) if table.in_cell() => table.add(&text),
            _ if self.heading > 0 => self.blocks.block(&escape::heading(self.heading, &text)),
            _ => self.blocks.block(&escape::paragraph(&text)),
        }
    }

    fn line_break(&mut self) {
        if self.table.is_some() || self.heading > 0 {
            self.line.space();
        } else if self.line.is_broken() {
            // Two in a row are how many pages part their paragraphs.
            self.flush();
        } else {
            self.line.hard_break();
        }
    }

    /// A task list's box.
    fn check_box(&mut self, node: Node<'_>) {
        let in_item = node.ancestors().take(3).any(|n| n.name() == "li");
        if in_item && node.attr("type").is_some_and(|t| t.eq_ignore_ascii_case("checkbox")) {
            self.line.raw(if node.attr("checked").is_some() { "[x]" } else { "[ ]" });
            self.line.space();
        }
    }

    fn image(&mut self, node: Node<'_>) {
        if is_tiny(node) || is_stand_in(node) {
            return;
        }
        let source = image::source(|name| node.attr(name));
        let Some(address) = source.and_then(|src| self.address(src)) else { return };
        let alt = collapse(node.attr("alt").unwrap_or_default());
        let mut escaped = String::new();
        escape::text(&alt, &mut escaped, self.table.is_some());
        self.line.raw(&format!("![{escaped}]({address})"));
    }

    fn code_block(&mut self, node: Node<'_>) {
        self.flush();
        let mut text = String::new();
        for part in node.descendants() {
            match part.text_node() {
                Some(data) => text.push_str(data),
                None if part.name() == "br" => text.push('\n'),
                None => {}
            }
        }
        if self.table.is_some() {
            self.line.code(&text, true);
            return;
        }
        let text = text.trim_end().trim_start_matches(['\n', '\r']);
        if !text.is_empty() {
            self.blocks.block(&escape::fenced(text, language(node).unwrap_or_default()));
        }
    }

    /// An absolute address as Markdown takes it; `None` for one that leads nowhere outside a browser.
    fn address(&self, written: &str) -> Option<String> {
        let written = written.trim();
        if written.len() > MAX_URL || self.base.as_str().len() > MAX_URL {
            return None;
        }
        let url = self.base.join(written).ok()?;
        if matches!(url.scheme(), "javascript" | "data" | "blob" | "about" | "file") {
            return None;
        }
        Some(escape::address(url.as_str()))
    }
}

/// True for a picture of one pixel, as counters use. A zero beside a real size only leaves it open.
fn is_tiny(node: Node<'_>) -> bool {
    let side = |name| node.attr(name).map(str::trim).filter(|v| !v.is_empty());
    matches!(
        (side("width"), side("height")),
        (Some("1"), _) | (_, Some("1")) | (Some("0"), Some("0") | None) | (None, Some("0"))
    )
}

/// True for a picture that another stands for: a lazy loader's, whose real one is in a `<noscript>` beside it.
fn is_stand_in(node: Node<'_>) -> bool {
    let inside = || node.ancestors().take(3).any(|n| n.name() == "noscript");
    let beside = |n: Node<'_>| n.children().take(20).any(|c| c.name() == "noscript" && holds_picture(c));
    node.ancestors().take(2).any(beside) && !inside()
}

/// True for a `<noscript>` with a picture and nothing to read.
fn holds_picture(noscript: Node<'_>) -> bool {
    let mut picture = false;
    for node in noscript.descendants().take(20) {
        if node.text_node().is_some_and(|t| !t.trim().is_empty()) {
            return false;
        }
        picture |= node.name() == "img" && image::source(|name| node.attr(name)).is_some();
    }
    picture
}

/// The language that a code block's classes name, on itself, its `<code>` or the element around it.
fn language<'a>(pre: Node<'a>) -> Option<&'a str> {
    let inner = pre.children().find(|n| n.name() == "code");
    let outer = pre.parent();
    [inner, Some(pre), outer, outer.and_then(Node::parent)].into_iter().flatten().find_map(|node| {
        let named = node.attr("data-lang").or_else(|| node.attr("data-language"));
        let classes = node.attr("class").unwrap_or_default().split_whitespace();
        let prefixes = ["language-", "lang-", "highlight-source-", "highlight-text-", "brush:"];
        named
            .or_else(|| classes.into_iter().find_map(|c| prefixes.iter().find_map(|p| c.strip_prefix(p))))
            .map(|language| language.trim_matches(';'))
            .filter(|l| !l.is_empty() && l.len() < 32 && !l.contains(|c: char| c.is_whitespace() || c == '`'))
    })
}

/// True for what a page says is decoration: an icon, a heading's anchor sign. Only for small elements, as pages also mark
/// their whole body so while a dialogue is open.
fn is_decoration(node: Node<'_>) -> bool {
    matches!(node.name(), "a" | "span" | "i" | "em" | "sup") && node.attr("aria-hidden") == Some("true")
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
