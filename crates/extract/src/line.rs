//! The lines of a page: runs of text that a browser shows as one paragraph, cell, item or line, in the page's order, with
//! what is said of them by the elements around them.
//!
//! Owns: one walk over the page. Must not know: what the marks mean. Linear and bounded.

use crate::content::is_block;
use crate::value::text;
use html::Node;

/// Lines past this number are not looked at.
const MAX_LINES: usize = 20_000;
/// Bytes of a line past which it is cut.
const LINE_BYTES: usize = 16 << 10;

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line<'d> {
    /// The nearest element around it that is a block.
    pub(crate) owner: Node<'d>,
    /// White space collapsed; never empty.
    pub(crate) text: String,
    /// 1 to 6 within a heading, else 0.
    pub(crate) heading: u8,
    /// What the elements around it were marked with.
    pub(crate) marks: u32,
}

struct Open<'d> {
    node: Node<'d>,
    owner: Node<'d>,
    heading: u8,
    marks: u32,
}

/// The lines below `root`. `mark` gives the marks of an element, which hold for everything within; `None` skips it.
pub(crate) fn lines<'d>(root: Node<'d>, mark: impl Fn(Node<'d>) -> Option<u32>) -> Vec<Line<'d>> {
    let mut out: Vec<Line<'d>> = Vec::new();
    let mut open = vec![Open { node: root, owner: root, heading: 0, marks: 0 }];
    let mut held = String::new();
    let mut at = root.first_child();
    while let Some(node) = at {
        let Some(around) = open.last() else { break };
        let mut inside = None;
        if let Some(written) = node.text_node() {
            if held.len() < LINE_BYTES {
                held.push_str(text::head(written, LINE_BYTES));
            }
        } else if node.is_element() {
            let name = node.name();
            let marks = if is_read(name) { mark(node) } else { None };
            if is_block(name) || name == "br" {
                close(&mut out, around, &mut held);
            }
            if let Some(marks) = marks {
                let heading = match name.as_bytes() {
                    [b'h', n @ b'1'..=b'6'] => n - b'0',
                    _ => around.heading,
                };
                let owner = if is_block(name) { node } else { around.owner };
                inside = Some(Open { node, owner, heading, marks: around.marks | marks });
            }
        }
        if let Some(inside) = inside
            && node.first_child().is_some()
        {
            open.push(inside);
            at = node.first_child();
            continue;
        }
        at = node.next_sibling();
        while at.is_none() && open.len() > 1 {
            let Some(done) = open.last() else { break };
            let done_node = done.node;
            if is_block(done_node.name()) {
                close(&mut out, done, &mut held);
            }
            open.pop();
            at = done_node.next_sibling();
        }
        if out.len() >= MAX_LINES {
            return out;
        }
    }
    if let Some(last) = open.last() {
        close(&mut out, last, &mut held);
    }
    out
}

fn close<'d>(out: &mut Vec<Line<'d>>, around: &Open<'d>, held: &mut String) {
    let text = text::one_line(held);
    held.clear();
    if !text.is_empty() {
        out.push(Line { owner: around.owner, text, heading: around.heading, marks: around.marks });
    }
}

/// Elements whose text is read.
fn is_read(name: &str) -> bool {
    !matches!(
        name,
        "script"
            | "style"
            | "noscript"
            | "template"
            | "svg"
            | "iframe"
            | "select"
            | "textarea"
            | "object"
            | "math"
            | "head"
            | "title"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use html::Document;

    #[test]
    fn lines_are_what_a_browser_breaks() {
        let doc = Document::parse(
            "<h2>A <b>b</b></h2><div class=x>one<br>two <i>2</i><ul><li>three<li>four</ul>five<script>no</script></div>six",
        );
        let found = lines(doc.root(), |node| Some(u32::from(node.attr("class") == Some("x"))));
        let shown: Vec<(&str, &str, u8, u32)> =
            found.iter().map(|l| (l.text.as_str(), l.owner.name(), l.heading, l.marks)).collect();
        assert_eq!(
            shown,
            [
                ("A b", "h2", 2, 0),
                ("one", "div", 0, 1),
                ("two 2", "div", 0, 1),
                ("three", "li", 0, 1),
                ("four", "li", 0, 1),
                ("five", "div", 0, 1),
                ("six", "body", 0, 0)
            ]
        );
    }

    #[test]
    fn skipped_elements_and_deep_ones() {
        let doc = Document::parse("<p>a<nav>b</nav><p>c");
        let found = lines(doc.root(), |node| (node.name() != "nav").then_some(0));
        assert_eq!(found.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        let deep = Document::parse(&"<div>x".repeat(5_000));
        assert!(!lines(deep.root(), |_| Some(0)).is_empty());
    }
}
