//! Any text as a CSS selector, an XPath and a JSON path, each tried on a small page.

use extract::JsonPath;
use html::{Document, Selector, Work, XPath};
use serde_json::Value;
use std::sync::LazyLock;

static PAGE: LazyLock<Document> = LazyLock::new(|| {
    Document::parse(
        "<html lang=en><body><div id=a class='x y'><p>one <b>1.5</b></p><p title=t>two</p><!-- c --><ul><li>1<li>2<li>3</ul>\
         <table><tr><td>a<td>b</table><svg><path d=M0/></svg></div><a href='/u?x=1&y=2'>link</a><input disabled></body></html>",
    )
});

static JSON: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(
        r#"{"a": [1, 2.5, {"b": "c", "d": [null, true, {"e": "é😀"}]}], "f": {"g": {"a": [[], {}]}}, "": -1}"#,
    )
    .expect("JSON")
});

/// Compiles the text each way, and applies what it compiles to.
pub(crate) fn all(text: &str) {
    let root = PAGE.root();
    let nodes = root.descendants().count();
    match Selector::parse(text) {
        Ok(selector) => {
            let hits: Vec<_> = selector.select(root).collect();
            assert!(
                hits.len() <= nodes && hits.windows(2).all(|w| w[0] < w[1]),
                "each once, in order: {text:?}"
            );
            assert_eq!(selector.first(root), hits.first().copied());
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
    match XPath::parse(text) {
        Ok(path) => {
            if let Ok(html::Value::Nodes(found)) = path.evaluate_within(root, &Work::default()) {
                assert!(found.len() <= 20 * nodes, "{text:?}");
            }
        }
        Err(error) => assert!(error.offset <= text.len(), "{text:?}"),
    }
    match JsonPath::parse(text) {
        Ok(path) => {
            let found = path.select(&JSON);
            assert_eq!(path.first(&JSON).is_some(), !found.is_empty(), "{text:?}");
        }
        Err(error) => assert!(error.column <= text.chars().count() + 1, "{text:?}"),
    }
}
