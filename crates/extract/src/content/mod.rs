//! The part of a page that is its content.
mod block;
mod feature;
mod hint;
mod old;
mod phrase;

pub use old::main_content;

use crate::structured::head::Head;
use feature::{Facts, Features, squash};
use html::Document;

/// For learning: each block's text, whether tags.
pub fn learning_rows(doc: &Document) -> (Vec<&'static str>, Vec<(String, Vec<f32>)>) {
    let blocks = read(doc);
    let facts = facts(doc);
    let features = Features::of(&blocks, &facts);
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for (n, block) in blocks.list.iter().enumerate() {
        let mut row = Vec::new();
        names.clear();
        features.each(n, |name, value| {
            names.push(name);
            row.push(value);
        });
        rows.push((block.text.clone(), row));
    }
    (names, rows)
}

fn read(doc: &Document) -> block::Blocks<'_> {
    let root = doc.root();
    let body = root.descendants().find(|n| n.name() == "body").unwrap_or(root);
    block::Blocks::of(body)
}

fn facts(doc: &Document) -> Facts {
    let head = Head::of(doc.root());
    let title = head.meta("og:title").map(str::to_owned).or_else(|| head.title_text()).unwrap_or_default();
    let mut facts = Facts { title: squash(&title), ..Facts::default() };
    let kind = head.meta("og:type").unwrap_or_default().to_ascii_lowercase();
    facts.article = kind.contains("article") || head.meta("article:published_time").is_some();
    facts.product = kind.contains("product");
    for script in head.ld.iter().take(50) {
        let text = script.text();
        let says = |names: &[&str]| names.iter().any(|n| text.contains(&format!("\"{n}\"")));
        facts.article |= says(&["Article", "NewsArticle", "BlogPosting", "TechArticle", "Report"]);
        facts.product |= says(&["Product", "ProductGroup"]);
        facts.forum |= says(&["DiscussionForumPosting", "QAPage", "Question"]);
        facts.listing |= says(&["ItemList", "CollectionPage", "SearchResultsPage"]);
    }
    facts
}
