//! Where the elements of a tree stand in the text that it was made of.
//!
//! The parser says where each element was begun. Where it ended is read from the text: behind its last descendant, at its
//! end tag or at the tag that ended it. Of elements that the parser moved about this is the nearest guess, never outside
//! the text. Linear in the page, but for each end tag a look at the names around it.

use crate::token::{Place, end_of_comment, is_space};
use crate::tree::{Document, Node};
use std::collections::HashSet;

/// Elements without content (WHATWG HTML, 13.1.2).
const VOID: &[&str] =
    &["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

/// Elements whose content has no tags.
const RAW: &[&str] =
    &["iframe", "noembed", "noframes", "plaintext", "script", "style", "textarea", "title", "xmp"];

/// Range of each node of `doc` in `text`, by where the nodes were begun.
pub(crate) fn ranges(doc: &Document, begun: &[Option<Place>], text: &str) -> Vec<Option<(u32, u32)>> {
    let lines = Lines::of(text);
    let starts: HashSet<usize> = begun.iter().flatten().map(|place| lines.place(place.tag())).collect();
    let nodes: Vec<Node<'_>> = std::iter::once(doc.root()).chain(doc.root().descendants()).collect();
    let mut ends = vec![0; nodes.len()];
    let mut ranges = vec![None; nodes.len()];
    // Descendants come behind: theirs are known.
    for node in nodes.into_iter().rev().filter(|n| n.is_element()) {
        let at = node.id();
        let place = begun.get(at).copied().flatten().map(|p| (lines.place(p.tag()), lines.place(p.end())));
        if let Some((start, behind)) = place.filter(|(start, _)| says(text, *start, "<", node.name())) {
            let from = behind.max(ends[at]);
            ends[at] = if VOID.contains(&node.name()) || text[..behind].ends_with("/>") && node.is_foreign() {
                behind
            } else {
                end(node, text, from, &starts)
            };
            ranges[at] = u32::try_from(start).ok().zip(u32::try_from(ends[at]).ok());
        }
        if let Some(parent) = node.parent() {
            ends[parent.id()] = ends[parent.id()].max(ends[at]);
        }
    }
    ranges
}

/// Where an element ends whose descendants end at `from`.
fn end(node: Node<'_>, text: &str, from: usize, starts: &HashSet<usize>) -> usize {
    let bytes = text.as_bytes();
    let is_raw = RAW.contains(&node.name());
    let mut at = from;
    while let Some(next) = memchr::memchr(b'<', bytes.get(at..).unwrap_or_default()) {
        let tag = at + next;
        let behind = || memchr::memchr(b'>', &bytes[tag..]).map_or(bytes.len(), |close| tag + close + 1);
        at = match bytes.get(tag + 1) {
            Some(b'/') if says(text, tag, "</", node.name()) => return behind(),
            _ if is_raw => tag + 1,
            Some(b'/') if node.ancestors().any(|a| a.is_element() && says(text, tag, "</", a.name())) => {
                return tag;
            }
            // An end tag of nothing.
            Some(b'/') => behind(),
            Some(b'!') if bytes[tag..].starts_with(b"<!--") => end_of_comment(bytes, tag + 4).1,
            Some(b'!' | b'?') => behind(),
            _ if starts.contains(&tag) => return tag,
            _ => tag + 1,
        };
    }
    text.len()
}

/// Is there, at this place, a tag of this name?
fn says(text: &str, at: usize, mark: &str, name: &str) -> bool {
    let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix(mark)) else { return false };
    let is_name = rest.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
    let behind = rest.as_bytes().get(name.len()).copied();
    is_name && behind.is_none_or(|b| is_space(b) || matches!(b, b'/' | b'>'))
}

/// From places in the text that the tokenizer reads, without byte order mark and carriage returns, to the text as it came.
struct Lines {
    mark: usize,
    /// Where the tokenizer's text has a newline that was of two bytes.
    pairs: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let pairs = text[mark..].match_indices("\r\n").enumerate().map(|(before, (at, _))| at - before);
        Lines { mark, pairs: pairs.collect() }
    }

    fn place(&self, at: usize) -> usize {
        self.mark + at + self.pairs.partition_point(|pair| *pair < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
        let doc = Document::parse_located(text);
        let nodes = doc.root().descendants().filter(|n| n.name() == name);
        nodes.map(|n| n.range().map_or("none", |(start, end)| &text[start..end])).collect()
    }

    #[test]
    fn elements_stand_where_their_tags_do() {
        let page = "\u{feff}<!doctype html>\r\n<title>T<p></title>\r\n<p class=a>one<p>two <b>x</b> &amp;\r\n<br><img src='>'>y</p>\
                    <ul><li>1<li>2<!-- </ul> --></ul><table><tr><td>c</table><div>a</span>b</div><svg><path d=M0/><g></g></svg>end";
        assert_eq!(found(page, "title"), ["<title>T<p></title>"]);
        assert_eq!(found(page, "p"), ["<p class=a>one", "<p>two <b>x</b> &amp;\r\n<br><img src='>'>y</p>"]);
        assert_eq!(found(page, "b"), ["<b>x</b>"]);
        assert_eq!(found(page, "br"), ["<br>"]);
        assert_eq!(found(page, "img"), ["<img src='>'>"]);
        assert_eq!(found(page, "li"), ["<li>1", "<li>2<!-- </ul> -->"]);
        assert_eq!(found(page, "td"), ["<td>c"]);
        assert_eq!(found(page, "table"), ["<table><tr><td>c</table>"]);
        assert_eq!(found(page, "div"), ["<div>a</span>b</div>"]);
        assert_eq!(found(page, "g"), ["<g></g>"]);
        // Implied: there is no tag.
        assert_eq!(found(page, "tbody"), ["none"]);
        assert_eq!(found(page, "body"), ["none"]);
    }

    #[test]
    fn a_located_tree_is_the_same_tree() {
        for page in [
            "<b><p>x</b>y</p>",
            "<a><a>1",
            "<table><td>x<table>",
            "<svg><path/></svg><p/>q",
            "</p>",
            "<b",
            "",
        ] {
            let (plain, located) = (Document::parse(page), Document::parse_located(page));
            assert_eq!(plain.root().inner_html(), located.root().inner_html());
            assert!(plain.root().descendants().all(|n| n.range().is_none()));
            for (start, end) in located.root().descendants().filter_map(|n| n.range()) {
                assert!(page[start..end].starts_with('<'), "{page}: {start}..{end}");
            }
        }
    }
}
