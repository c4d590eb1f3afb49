//! A tree back to HTML ("serializing HTML fragments" of WHATWG HTML), by a loop, whatever the depth.

use crate::tree::{Kind, NONE, Node};

impl Node<'_> {
    /// The HTML of the children.
    pub fn inner_html(self) -> String {
        let mut out = String::new();
        write(self, &mut out, false);
        out
    }

    /// The HTML of this node with its children.
    pub fn outer_html(self) -> String {
        let mut out = String::new();
        write(self, &mut out, true);
        out
    }
}

fn write(scope: Node<'_>, out: &mut String, with_scope: bool) {
    let nodes = &scope.doc.nodes;
    let first = if with_scope { scope.at } else { scope.at + 1 };
    let mut open: Vec<u32> = Vec::new();
    for at in first..scope.end() {
        let node = Node { doc: scope.doc, at };
        while let Some(&last) = open.last() {
            if at < nodes[last as usize].end {
                break;
            }
            close(Node { doc: scope.doc, at: last }, out);
            open.pop();
        }
        match &node.data().kind {
            Kind::Document => {}
            Kind::Doctype(span) => {
                out.push_str("<!DOCTYPE ");
                out.push_str(scope.doc.str(*span));
                out.push('>');
            }
            Kind::Comment(span) => {
                out.push_str("<!--");
                out.push_str(scope.doc.str(*span));
                out.push_str("-->");
            }
            Kind::Text(span) => {
                let parent = node.data().parent;
                if parent != NONE && is_raw(Node { doc: scope.doc, at: parent }) {
                    out.push_str(scope.doc.str(*span));
                } else {
                    escape(scope.doc.str(*span), out, false);
                }
            }
            Kind::Element { name, foreign, .. } => {
                out.push('<');
                out.push_str(name);
                for (name, value) in node.attrs() {
                    out.push(' ');
                    out.push_str(name);
                    out.push_str("=\"");
                    escape(value, out, true);
                    out.push('"');
                }
                out.push('>');
                if *foreign || !is_void(name) {
                    // The parser drops a line break that opens one of these, so it takes two to keep one.
                    if matches!(&**name, "pre" | "textarea" | "listing")
                        && node.first_child().and_then(Node::text_node).is_some_and(|t| t.starts_with('\n'))
                    {
                        out.push('\n');
                    }
                    open.push(at);
                }
            }
        }
    }
    while let Some(last) = open.pop() {
        close(Node { doc: scope.doc, at: last }, out);
    }
}

fn close(node: Node<'_>, out: &mut String) {
    out.push_str("</");
    out.push_str(node.name());
    out.push('>');
}

fn escape(text: &str, out: &mut String, attribute: bool) {
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let entity = match c {
            '&' => "&amp;",
            '\u{a0}' => "&nbsp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' if attribute => "&quot;",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(entity);
        from = at + c.len_utf8();
    }
    out.push_str(&text[from..]);
}

/// Elements whose text is not escaped.
fn is_raw(node: Node<'_>) -> bool {
    !node.is_foreign()
        && matches!(node.name(), "style" | "script" | "xmp" | "iframe" | "noembed" | "noframes" | "plaintext")
}

/// Elements without an end tag.
fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "basefont"
            | "bgsound"
            | "br"
            | "col"
            | "embed"
            | "frame"
            | "hr"
            | "img"
            | "input"
            | "keygen"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}
