//! Any text as a scraper file: it compiles, or every complaint has a place within it. What compiles reads pages.

use super::read::read;
use extract::Scraper;
use model::Door;

const PAGE: &str = r#"<html lang="en"><head><title>T</title><meta property="og:title" content="O">
<script type="application/ld+json">{"@type": "Product", "name": "N", "offers": {"price": "1.50"}}</script>
<script>window.state = {"a": [1, {"b": "c"}]};</script></head>
<body><h1 class="title">Head</h1><ul><li><a href="/1">one</a> <b>$1.50</b></li><li><a href="/2">two</a></li></ul>
<p>A paragraph, of 3 March 2024.</p><a rel="next" href="?page=2">next</a></body></html>"#;

/// Compiles the text; tries what compiles on a small page and on small JSON.
pub(crate) fn all(text: &str) {
    match Scraper::compile("t", text) {
        Ok(scraper) => {
            let methods: Vec<Door> =
                scraper.discover_methods().into_iter().map(|m| Door::Discover(m.to_owned())).collect();
            for door in std::iter::once(Door::Collect).chain(methods) {
                read(&scraper, &door, "", PAGE.as_bytes(), "text/html");
                read(&scraper, &door, "", br#"{"a": [1, {"b": "c"}], "url": "/x"}"#, "application/json");
            }
            for field in scraper.fields() {
                let rules = scraper.rules(&field.name).expect("a field that there is");
                assert!(rules.iter().all(|r| !r.source.is_empty()), "{rules:?}");
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            let lines: Vec<&str> = text.split('\n').collect();
            for error in &errors {
                let line = lines.get(error.line - 1).expect("a line of the file");
                assert!((1..=line.chars().count() + 1).contains(&error.column), "{error} in {line:?}");
                assert!(!error.message.is_empty());
            }
        }
    }
}
