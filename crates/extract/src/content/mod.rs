//! The part of a page that is its content, on any page of any site: article, documentation, thread, list, product.
//!
//! The page is cut into blocks (`block`); what is known of each (`hint`, `phrase`, `feature`) is weighed (`judge`, with
//! `context` and the learned `weights`); what is kept can be had as text, Markdown and HTML (`main`, `write`). Applications
//! that carry their text only as data are read there (`state`).
//!
//! Must not know: scrapers, sites. Total, and linear in the page: a page without content gives nothing.

mod block;
mod context;
mod feature;
mod hint;
mod judge;
mod main;
mod phrase;
mod reader;
mod state;
mod weights;
mod write;

pub use main::{MainContent, main_content};

pub(crate) use block::is_block;

use crate::structured::head::Head;
use block::Blocks;
use feature::{Facts, Features, squash};
use html::{Document, Node};

/// One block of a page as the weights are learned from it.
#[derive(Clone, Debug)]
pub struct LearningRow {
    /// Its text.
    pub text: String,
    /// Its features, in the order of their names.
    pub features: Vec<f32>,
    /// Groups of blocks it belongs to; numbers are equal within a group only.
    pub groups: [u64; 5],
}

/// The blocks of a page with their features, and the names of these: what `learn/content.py` learns from.
pub fn learning_rows(doc: &Document) -> (Vec<&'static str>, Vec<LearningRow>) {
    let blocks = Blocks::of(body(doc));
    let facts = facts(doc);
    let reading = reader::read(blocks.root, blocks.sums.len(), facts.has_author);
    let made = Features::of(&blocks, &facts, &reading);
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for (n, block) in blocks.list.iter().enumerate() {
        let mut features = Vec::new();
        names.clear();
        made.each(n, |name, value| {
            names.push(name);
            features.push(value);
        });
        rows.push(LearningRow { text: block.text.clone(), features, groups: made.groups(n) });
    }
    (names, rows)
}

fn body(doc: &Document) -> Node<'_> {
    let root = doc.root();
    root.descendants().find(|n| n.name() == "body").unwrap_or(root)
}

/// Scripts of structured data that are looked at for what the page is.
const SCRIPTS: usize = 50;

/// Do the head's tags name an author?
fn names_author(head: &Head<'_>) -> bool {
    let tags = [
        "author",
        "article:author",
        "dc:creator",
        "dcterm:creator",
        "dc.creator",
        "dcterms.creator",
        "parsely-author",
    ];
    let named = |name: &&str| head.meta(name).is_some_and(|v| !v.trim().is_empty() && !v.contains("://"));
    tags.iter().any(named) || head.ld.iter().take(SCRIPTS).any(|s| s.text().contains("\"author\""))
}

fn facts(doc: &Document) -> Facts {
    let head = Head::of(doc.root());
    let title = head.meta("og:title").map(str::to_owned).or_else(|| head.title_text()).unwrap_or_default();
    let kind = head.meta("og:type").unwrap_or_default().to_ascii_lowercase();
    let mut facts = Facts {
        has_author: names_author(&head),
        title: squash(&title),
        article: kind.contains("article") || head.meta("article:published_time").is_some(),
        product: kind.contains("product"),
        ..Facts::default()
    };
    for script in head.ld.iter().take(SCRIPTS) {
        let text = script.text();
        let says = |names: &[&str]| names.iter().any(|n| text.contains(n));
        facts.article |=
            says(&["\"Article\"", "\"NewsArticle\"", "\"BlogPosting\"", "\"TechArticle\"", "\"Report\""]);
        facts.product |= says(&["\"Product\"", "\"ProductGroup\""]);
        facts.forum |= says(&["\"DiscussionForumPosting\"", "\"QAPage\"", "\"Question\""]);
        facts.listing |= says(&["\"ItemList\"", "\"CollectionPage\"", "\"SearchResultsPage\""]);
    }
    facts
}
