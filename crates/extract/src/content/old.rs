//! The part of a page that is its content: what its markup says, else the densest text.
//!
//! Must not know: scrapers. Total: a page without content gives its body.

use html::{Document, Node, Selector};

/// Characters of text from which a part counts as content.
const ENOUGH: usize = 200;
/// Share of a part's text within links from which it is navigation.
const LINKS_MOST: f64 = 0.5;

/// The part of a page that is its content.
pub fn main_content(doc: &Document) -> Node<'_> {
    let body = first(doc, "body").unwrap_or_else(|| doc.root());
    for css in ["main", "[role=main]", "article"] {
        if let Some(node) = only(doc, css).filter(|node| measure(*node).0 >= ENOUGH) {
            return node;
        }
    }
    // The deepest part that still holds most of the page's plain text.
    let whole = score(body);
    let mut best = body;
    while let Some(child) =
        best.children().filter(|c| c.is_element()).max_by(|a, b| score(*a).total_cmp(&score(*b)))
    {
        if score(child) < whole * 0.7 {
            break;
        }
        best = child;
    }
    best
}

fn first<'a>(doc: &'a Document, css: &str) -> Option<Node<'a>> {
    Selector::parse(css).ok()?.first(doc.root())
}

/// The only match: several articles are a list, and the list is the content.
fn only<'a>(doc: &'a Document, css: &str) -> Option<Node<'a>> {
    let selector = Selector::parse(css).ok()?;
    let mut found = selector.select(doc.root());
    let node = found.next()?;
    found.next().is_none().then_some(node)
}

/// Characters of text, and those of them within links.
fn measure(node: Node<'_>) -> (usize, usize) {
    let (mut all, mut linked) = (0, 0);
    for text in node.descendants().filter(|n| n.text_node().is_some()) {
        let mut at = text.parent();
        let (mut skipped, mut link) = (false, false);
        while let Some(above) = at.filter(|above| *above != node) {
            skipped |= matches!(
                above.name(),
                "script" | "style" | "template" | "nav" | "header" | "footer" | "aside"
            );
            link |= above.name() == "a";
            at = above.parent();
        }
        if !skipped {
            let n = text.text_node().unwrap_or_default().trim().len();
            all += n;
            linked += if link { n } else { 0 };
        }
    }
    (all, linked)
}

fn score(node: Node<'_>) -> f64 {
    if matches!(node.name(), "script" | "style" | "template" | "nav" | "header" | "footer" | "aside") {
        return 0.0;
    }
    let (all, linked) = measure(node);
    // Casts: lengths of pages are far below 2^52.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let (all, linked) = (all as f64, linked as f64);
    if all > 0.0 && linked / all < LINKS_MOST { all - linked } else { (all - linked) / 4.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_says_it() {
        let text = "word ".repeat(60);
        let doc = Document::parse(&format!("<nav>{text}</nav><main><p>{text}</p></main>"));
        assert_eq!(main_content(&doc).name(), "main");
    }

    #[test]
    fn else_the_densest_text() {
        let text = "word ".repeat(60);
        let links = "<a href=/>link</a> ".repeat(20);
        let doc = Document::parse(&format!(
            "<div id=menu>{links}</div><div id=it><p>{text}</p><p>{text}</p></div>"
        ));
        assert_eq!(main_content(&doc).attr("id"), Some("it"));
    }
}
