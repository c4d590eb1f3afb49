//! Pages made to hurt: any bytes parse, trees stay sound, and what is expensive for the parser is cut or flattened.

use html::{Document, Node, Selector};
use proptest::prelude::*;

/// Every link of the tree agrees with every other, and document order is the order of indices.
fn check(document: &Document) {
    let root = document.root();
    for node in std::iter::once(root).chain(root.descendants()) {
        let children: Vec<Node<'_>> = node.children().collect();
        assert_eq!(node.first_child(), children.first().copied());
        assert_eq!(node.last_child(), children.last().copied());
        for pair in children.windows(2) {
            assert!(pair[0] < pair[1]);
            assert_eq!(pair[0].next_sibling(), Some(pair[1]));
            assert_eq!(pair[1].prev_sibling(), Some(pair[0]));
        }
        assert!(children.iter().all(|c| c.parent() == Some(node) && node.contains(*c)));
        // No two texts stand side by side.
        assert!(children.windows(2).all(|p| p[0].text_node().is_none() || p[1].text_node().is_none()));
        assert!(node.ancestors().count() <= 514);
    }
    let below: usize = root.children().map(|c| 1 + c.descendants().count()).sum();
    assert_eq!(below, root.descendants().count());
}

#[test]
fn deep_nesting_is_flattened_then_cut() {
    let some = Document::parse(&("<div>".repeat(2000) + "end"));
    check(&some);
    assert!(!some.is_truncated(), "some thousand levels are a sloppy page, not an attack");
    assert!(some.root().text().ends_with("end"));
    for tag in [
        "<div>",
        "<b>",
        "<span>",
        "<table><td>",
        "<svg>",
        "<ul><li>",
        "<b id=x><p>",
        "<template>",
        "<a><i><p>",
    ] {
        let document = Document::parse(&tag.repeat(500_000 / tag.len()));
        let root = document.root();
        assert!(root.descendants().all(|n| n.ancestors().take(600).count() < 520), "{tag}");
        assert!(root.outer_html().len() < 200_000_000, "{tag}");
        root.visible_text();
        assert_eq!(Selector::parse("h6 div p, :not(*)").unwrap().first(root), None, "{tag}");
    }
}

#[test]
fn a_flood_of_attributes_is_cut_but_a_long_value_is_not() {
    let many = |n: usize| (0..n).map(|i| format!("a{i} ")).collect::<String>();
    for page in [
        format!("<p>x<a {}>", many(300_000)),
        format!("<!-- <x y=' --><a b=\"<p>'\" {}>", many(300_000)),
        format!("<a {}>", many(300_000).replace(' ', "=\">\" ")),
    ] {
        assert!(Document::parse(&page).is_truncated());
    }
    let json = "{&quot;a b&quot;: \"<p class='x'>y z</p>\", [1, 2, 3]} ".repeat(20_000);
    let page =
        format!("<p>x<div data-page='{}' id=d>text</div>{}", json.replace('\'', "&#39;"), "<p>y".repeat(100));
    let document = Document::parse(&page);
    assert!(!document.is_truncated());
    let div = Selector::parse("#d").unwrap().first(document.root()).expect("the div");
    assert!(div.attr("data-page").is_some_and(|v| v.len() > 500_000));
    assert!(!Document::parse(&format!("<p><a {}>", many(500))).is_truncated());
}

#[test]
fn repeated_attributes_and_texts_do_not_fill_the_memory() {
    // Each paragraph opens the formatting element, with its attribute, anew.
    let value = "v".repeat(100_000);
    let document = Document::parse(&format!("<p><b class='{value}'>x{}", "<p>x".repeat(20_000)));
    assert!(document.is_truncated());
    assert!(document.root().outer_html().len() < 3_000_000);
    // Text moved out of a table grows in many places at once.
    let document = Document::parse(&format!("<table>{}", "<tr><td>x</td></tr>y".repeat(20_000)));
    assert!(!document.is_truncated());
    assert_eq!(document.root().text().matches('y').count(), 20_000);
    let bodies: String = (0..2_000).map(|n| format!("<body a{n}=1>")).collect();
    check(&Document::parse(&bodies));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_parse(bytes in proptest::collection::vec(any::<u8>(), 0..600), header in proptest::option::of("[ -~]{0,30}")) {
        check(&Document::parse_bytes(&bytes, header.as_deref()));
    }

    #[test]
    fn tag_soup_makes_a_sound_tree(parts in proptest::collection::vec((0..32usize, "[ a-z<>&;/=\"'!-]{0,5}"), 0..80)) {
        const TAGS: [&str; 32] = ["<p>", "</p>", "<b>", "</b>", "<a href=x>", "</a>", "<table>", "</table>", "<tr>", "<td>", "<div>", "</div>",
            "<i id=1>", "</i>", "<select>", "<option>", "</select>", "<svg>", "</svg>", "<math>", "<template>", "</template>", "<script>",
            "</script>", "<ul>", "<li>", "<form>", "</form>", "<frameset>", "<body x=y>", "<!-- c -->", "<title>"];
        let html: String = parts.iter().map(|(tag, text)| format!("{}{text}", TAGS[*tag])).collect();
        let document = Document::parse(&html);
        check(&document);
        document.root().visible_text();
        document.root().outer_html();
        for node in document.root().descendants() {
            node.path();
        }
    }

    #[test]
    fn text_survives_writing_and_reading(text in "[ -~éж\u{a0}\n]{0,60}", value in "[ -~é\n\"]{0,40}") {
        let escape = |s: &str| s.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let page = format!("<div title=\"{}\">{}</div>", escape(&value), escape(&text));
        let first = Document::parse(&page);
        let again = Document::parse(&first.root().outer_html());
        for document in [&first, &again] {
            let div = document.root().descendants().find(|n| n.name() == "div").expect("the div");
            prop_assert_eq!(div.text(), &*text);
            prop_assert_eq!(div.attr("title"), Some(&*value));
        }
    }

    #[test]
    fn any_selector_is_read_or_refused(css in "[-a-z#.:()\\[\\]=~|^$*>+, '\"\\\\0-9é]{0,40}") {
        if let Ok(selector) = Selector::parse(&css) {
            selector.select(Document::parse("<div class=a id=b><p>c<p>d</div>").root()).count();
        }
    }
}
