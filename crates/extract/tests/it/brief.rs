//! What is read without a tree of the body is what is read with one, on every saved page.

use crate::{saved, shipped};
use extract::Scraper;
use std::sync::Arc;

const HEAD: &str = r#"
dataset_id = "gd_t"
title = "T"
description = "T"
[doors.collect_by_url]
start = "page"
inputs.url = { type = "url", required = true }
[pages.page]
record = true
[fields]
title = { from = [{ page = "title" }] }
language = { from = [{ page = "language" }] }
canonical = { type = "url", from = [{ page = "canonical" }] }
metadata = { type = "json", from = [{ content = "metadata" }] }
opengraph = { type = "json", from = [{ content = "opengraph" }] }
ld_json = { type = "json", from = [{ content = "ld_json" }] }
image = { type = "image", from = [{ json_ld = "*.image" }, { meta = ["og:image"] }] }
date = { type = "datetime", from = [{ json_ld = "*.datePublished" }, { meta = ["article:published_time"] }] }
"#;

fn scraper(more: &str) -> Arc<Scraper> {
    Scraper::compile("t", &format!("{HEAD}{more}")).unwrap_or_else(|e| panic!("{e:?}"))
}

#[test]
fn a_page_without_its_tree_says_the_same() {
    let Some(set) = saved::folder() else { return };
    let brief = scraper("");
    // One field that asks for an element, and there is a tree.
    let whole = scraper("tree = { from = [{ css = \"no-such-element\" }] }\n");
    let mut wrong = Vec::new();
    for page in saved::pages(&set).into_values() {
        let (a, mut b) = (shipped::read(&brief, &page).records, shipped::read(&whole, &page).records);
        b.iter_mut().for_each(|record| drop(record.remove("tree")));
        for (a, b) in a.iter().zip(&b) {
            let differ: Vec<&String> =
                a.iter().filter(|(key, value)| b[*key] != **value).map(|(key, _)| key).collect();
            if !differ.is_empty() {
                wrong.push(format!("{}: {differ:?}", page.id));
            }
        }
        assert_eq!(a.len(), b.len(), "{}", page.id);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
