//! The tokenizer against html5ever's own: for any page the trees are the same.

#[path = "../../tests/saved/mod.rs"]
mod saved;

use super::Tokenizer;
use crate::build::Builder;
use crate::tree::Document;
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts, TreeSink};
use html5ever::{ParseOpts, parse_document};
use proptest::prelude::*;

fn opts() -> TreeBuilderOpts {
    TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() }
}

fn ours(page: &str) -> Document {
    let tree = TreeBuilder::new(Builder::new(page.len()), opts());
    let mut tokenizer = Tokenizer::new(page, &tree);
    while tokenizer.step() {}
    tokenizer.finish();
    tree.sink.finish().0
}

fn theirs(page: &str) -> Document {
    let opts = ParseOpts { tree_builder: opts(), ..ParseOpts::default() };
    parse_document(Builder::new(page.len()), opts).one(StrTendril::from_slice(page)).0
}

/// Every node with its depth.
fn dump(document: &Document) -> String {
    let mut out = String::new();
    for node in document.root().descendants() {
        let depth = std::iter::successors(node.parent(), |above| above.parent()).count();
        let kind = match &node.data().kind {
            crate::tree::Kind::Document => "document".to_owned(),
            crate::tree::Kind::Doctype(text) => format!("doctype {:?}", document.str(*text)),
            crate::tree::Kind::Comment(text) => format!("comment {:?}", document.str(*text)),
            crate::tree::Kind::Text(text) => format!("text {:?}", document.str(*text)),
            crate::tree::Kind::Element { name, foreign, .. } => {
                format!("{name} {foreign} {:?}", node.attrs().collect::<Vec<_>>())
            }
        };
        out.push_str(&format!("{depth} {kind}\n"));
    }
    out
}

fn same(page: &str) {
    pretty(page, &dump(&ours(page)), &dump(&theirs(page)));
}

fn pretty(page: &str, ours: &str, theirs: &str) {
    assert!(ours == theirs, "{page:?}\nours:\n{ours}\nhtml5ever's:\n{theirs}");
}

#[test]
fn each_construct() {
    for page in [
        "",
        "a",
        "a\rb\r\nc\n\rd",
        "\u{feff}a",
        "a\0b",
        "<",
        "</",
        "</>",
        "<a",
        "<a ",
        "<a b",
        "<a b=",
        "<a b=c",
        "<a b='c",
        "< a>",
        "<a b=c/>",
        "<a b/c>",
        "<a =b>",
        "<a b==c>",
        "<a b = c d= 'e' f =\"g\"h>x",
        "<a b='&amp;&copy=&copy;' c=&lt>",
        "<A HREF=X Href=y>",
        "<a\0b c\0=d\0>",
        "<a b='\0&amp;'>",
        "<!---->",
        "<!-->a-->",
        "<!--->a-->",
        "<!--a--!>b",
        "<!--a--!-->b",
        "<!--a---->b",
        "<!--a-",
        "<!--a--",
        "<!--a--!",
        "<!--a---",
        "<!--a--!-",
        "<!--a\0",
        "<!-",
        "<!",
        "<!a>b",
        "<?a>b",
        "</ a>b",
        "</3>x",
        "<!DOCTYPE>",
        "<!doctype html>",
        "<!doctype  HTML  >x",
        "<!doctype html PUBLIC \"-//W3C//DTD HTML 4.01//EN\">x<p><table>",
        "<!doctype html PUBLIC \"-//W3C//DTD HTML 3.2//EN\"><p><table>",
        "<!doctype html system 'about:legacy-compat'><p><table>",
        "<!doctype html public><p><table>",
        "<!doctype html public'a'b><p><table>",
        "<!doctype html public'a''b'c><p><table>",
        "<!doctype html system><p><table>",
        "<!doctype html system\"a><p><table>",
        "<!doctype html bogus \"><p><table>",
        "<!doctype html",
        "<!doctype html public 'a",
        "<!doctype",
        "<svg><![CDATA[a<b]]>c</svg><![CDATA[d]]>",
        "<svg><![CDATA[a\0]]",
        "<svg><![CDATA[",
        "<title>a&amp;b<i></title>c",
        "<title>a</titlex></title/>b",
        "<title>a</title",
        "<title>a</title ",
        "<title>\0&#0;&",
        "<textarea>\na",
        "<style><!--</style>b",
        "<style>a\0</STYLE >b",
        "<script><!--</script>b",
        "<script><!--<script></script>a</script>b",
        "<script><!--><script></script>b",
        "<script><!--<script>--></script>b",
        "<script><!--<scriptx></script>b</script>c",
        "<script><!--<script></scriptx></script></script>d",
        "<script>a</SCRIPT\n>b",
        "<plaintext>a</plaintext>\0",
        "<xmp></xm></xmp>a",
        "<noscript><p>a</noscript>",
        "<iframe><b></iframe>",
        "&",
        "&a",
        "&amp",
        "&ampx",
        "&notit;",
        "&#",
        "&#x",
        "&#x;",
        "&#65",
        "&#x80;a",
        "&#xd800;",
        "&#1114112;",
        "&nosuch;",
        "<table>a<tr>b<td>c",
        "<pre>\n\na",
        "<p><b>a<p>b",
        "<svg><foreignObject><p>a</svg>b",
        "<math><mi>&rang;<annotation-xml encoding=text/html><p>",
        "<frameset>\0a",
        "<body a=1><body a=2 b=3>",
        "<select><option>a<b>",
    ] {
        same(page);
    }
}

#[test]
fn a_comment_of_dashes_is_read_once() {
    let page = format!("<!--{}", "-".repeat(4 << 20));
    same(&page);
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "<", ">", "/", "!", "-", "--", "=", "'", "\"", "&", ";", "#", " ", "\n", "\r", "\0", "a", "b", "x", "é", "]]>", "<![CDATA[",
            "<!--", "-->", "<!doctype ", "html", "public", "system", "amp", "copy", "not", "&#x4", "1",
        ]),
        4 => prop::sample::select(vec![
            "<p>", "</p>", "<b>", "</b>", "<a href=", "<table>", "<tr>", "<td>", "</table>", "<script>", "</script>", "<script", "</script",
            "<title>", "</title>", "<textarea>", "</textarea ", "<style>", "</style>", "<svg>", "</svg>", "<math>", "<template>",
            "</template>", "<select>", "<option>", "<plaintext>", "<noscript>", "<body ", "<html ", "<br/>", "</br>", "<frameset>",
        ]),
        1 => Just("word"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_page(page in pieces()) {
        same(&page);
    }
}

#[test]
fn every_saved_page() {
    let Some(folder) = saved::folder() else { return };
    for page in saved::pages(&folder).into_values() {
        let text = crate::decode(&page.bytes, page.content_type.as_deref());
        assert!(dump(&ours(&text)) == dump(&theirs(&text)), "{}", page.id);
    }
}
