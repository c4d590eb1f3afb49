//! Takes a page through the tokenizer and the tree builder, and stops when the page is built to be expensive.
//!
//! html5ever's tree builder walks its stack of open elements at most tags, so deep nesting costs the square of the page's
//! length (servo/html5ever#788). That work is counted; past the allowance the rest of the page is dropped and the tree says so.

use crate::build::Builder;
use crate::locate;
use crate::token::{Place, Tokenizer};
use crate::tree::Document;
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts, TreeSink};

/// Bytes of a page past this number are dropped.
const MAX_BYTES: usize = 256 << 20;
/// Steps over the stack of open elements that any page may cost.
const FREE_WORK: u64 = 20_000_000;
/// Steps that each byte adds to that. Ordinary pages take about one.
const WORK_PER_BYTE: u64 = 32;

/// Parses a page, scripting switched off.
pub(crate) fn parse(text: &str) -> Document {
    build(text, Builder::new).0
}

/// The same, keeping where elements stand.
pub(crate) fn parse_located(text: &str) -> Document {
    let (mut document, begun) = build(text, |bytes| Builder::new(bytes).noting_places());
    document.ranges = locate::ranges(&document, &begun, text);
    document
}

fn build(text: &str, builder: impl FnOnce(usize) -> Builder) -> (Document, Vec<Option<Place>>) {
    let kept = &text[..text.floor_char_boundary(MAX_BYTES)];
    let opts = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let tree = TreeBuilder::new(builder(kept.len()), opts);
    let mut tokenizer = Tokenizer::new(kept, &tree);
    let mut stopped = kept.len() < text.len();
    while tokenizer.step() {
        let allowance = FREE_WORK + WORK_PER_BYTE * tokenizer.position() as u64;
        if tree.sink.work() > allowance || tree.sink.is_full() {
            stopped = true;
            break;
        }
    }
    stopped |= tokenizer.has_dropped();
    tokenizer.finish();
    let (mut document, begun) = tree.sink.finish();
    document.truncated |= stopped;
    (document, begun)
}
