//! What is kept of a page, written as text and as HTML.

use super::main::Kept;
use html::Node;

/// As text: a blank line between paragraphs, one line for each item and row, cells parted by tabs.
pub(super) fn text(kept: &Kept<'_>) -> String {
    let mut out = String::new();
    let mut before = "";
    let mut row = None;
    let mut nodes = kept.scope.descendants();
    for block in &kept.blocks {
        let name = kept.name(block.owner);
        let gap = match (before, name) {
            ("", _) => "",
            ("td" | "th", "td" | "th")
                if row.replace(kept.parent(block.owner)) == Some(kept.parent(block.owner)) =>
            {
                "\t"
            }
            ("td" | "th" | "tr", "td" | "th" | "tr") | ("li" | "dd" | "dt", "li" | "dd" | "dt") => "\n",
            _ => "\n\n",
        };
        before = name;
        out.push_str(gap);
        if name == "pre" {
            let raw: String = nodes
                .by_ref()
                .skip_while(|n| n.id() < block.first)
                .take_while(|n| n.id() <= block.last)
                .filter_map(|n| if n.name() == "br" { Some("\n") } else { n.text_node() })
                .collect();
            out.push_str(raw.trim_matches(['\n', '\r']).trim_end());
        } else {
            out.push_str(&block.text);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// As HTML, from the deepest element that holds everything.
pub(super) fn html(kept: &Kept<'_>) -> String {
    if kept.blocks.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    let scope = kept.view_scope;
    let mut node = scope;
    'walk: loop {
        if node == scope || is_written(kept, node) {
            match node.text_node() {
                Some(text) => escape(text, &mut out, false),
                None => open(node, &mut out),
            }
            if let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            close(node, &mut out);
        }
        while node != scope {
            if let Some(next) = node.next_sibling() {
                node = next;
                continue 'walk;
            }
            let Some(parent) = node.parent() else { break };
            node = parent;
            close(node, &mut out);
        }
        return out;
    }
}

fn is_written(kept: &Kept<'_>, node: Node<'_>) -> bool {
    match node.text_node() {
        // White space between words and elements belongs to no block.
        Some(text) if text.trim().is_empty() => true,
        Some(_) => kept.shows(node),
        None => node.is_element() && kept.shows(node),
    }
}

fn open(node: Node<'_>, out: &mut String) {
    if node.name().is_empty() {
        return;
    }
    out.push('<');
    out.push_str(node.name());
    for (name, value) in node.attrs() {
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        escape(value, out, true);
        out.push('"');
    }
    out.push('>');
}

fn close(node: Node<'_>, out: &mut String) {
    let name = node.name();
    if !name.is_empty()
        && !matches!(
            name,
            "area"
                | "base"
                | "br"
                | "col"
                | "embed"
                | "hr"
                | "img"
                | "input"
                | "link"
                | "meta"
                | "source"
                | "track"
                | "wbr"
        )
    {
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}

/// HTML, 13.3 (serialising fragments).
fn escape(text: &str, out: &mut String, in_attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}
