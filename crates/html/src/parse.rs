//! Feeds a page to the parser in pieces, and stops when the page is built to be expensive.
//!
//! html5ever walks its stack of open elements at most tags, so deep nesting costs the square of the page's length
//! (servo/html5ever#788), and it compares a tag's attributes pairwise. Work is counted between the pieces; past the
//! allowance the rest of the page is dropped and the tree says so.

use crate::build::Builder;
use crate::flood::Flood;
use crate::tree::Document;
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};

/// Bytes fed at a time: within one piece nothing is checked.
const PIECE: usize = 4 << 10;
/// Bytes of a page past this number are dropped.
const MAX_BYTES: usize = 256 << 20;
/// Steps over the stack of open elements that any page may cost.
const FREE_WORK: u64 = 20_000_000;
/// Steps that each byte adds to that. Ordinary pages take about one.
const WORK_PER_BYTE: u64 = 32;

/// Parses a page, scripting switched off.
pub(crate) fn parse(text: &str) -> Document {
    let opts = ParseOpts {
        tree_builder: TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() },
        ..ParseOpts::default()
    };
    let mut parser = parse_document(Builder::new(text.len().min(MAX_BYTES)), opts);
    let mut rest = text;
    let mut fed = 0;
    let mut stopped = false;
    let mut flood = Flood::default();
    let mut before = "";
    let mut orders = 0;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        parser.process(StrTendril::from_slice(piece));
        rest = after;
        fed += piece.len();
        let sink = &parser.tokenizer.sink.sink;
        let silent = sink.orders() == orders;
        orders = sink.orders();
        let flooded = flood.is_in(before, piece, silent);
        before = piece;
        if flooded
            || sink.work() > FREE_WORK + WORK_PER_BYTE * fed as u64
            || sink.is_full()
            || fed >= MAX_BYTES
        {
            stopped = !rest.is_empty();
            break;
        }
    }
    let mut document = parser.finish();
    document.truncated |= stopped;
    document
}
