//! Sitemaps and feeds that other crawlers are tested with: every address of them is found.

use crate::saved;
use base64::Engine;
use extract::Scraper;
use model::{Door, Input, Page, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;

const FILE: &str = r#"
dataset_id = "gd_t"
title = "T"
description = "T"
[doors.collect_by_url]
start = "feed"
inputs.url = { type = "url", required = true }
[pages.feed]
format = "feed"
records = [{ json = "$.entries[*]", all = true }]
[fields]
url = { type = "url", required = true, from = [{ json = "$.url" }] }
updated = { type = "datetime", from = [{ json = "$.updated" }, { json = "$.published" }] }
"#;

#[test]
fn sitemaps_of_other_crawlers() {
    let Some(set) = saved::folder() else { return };
    let scraper = Scraper::compile("t", FILE).expect("a scraper");
    let cases = saved::json_lines(&set.join("tables/sitemaps.jsonl"));
    let mut wrong = Vec::new();
    for case in &cases {
        let body = case["body_base64"].as_str().expect("a body");
        let body = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
        let url: url::Url = "http://www.example.com/sitemap.xml".parse().expect("a URL");
        let input = Input::given(0, json!({ "url": url }).to_string(), model::host_of(&url));
        let page = Page {
            url,
            status: 200,
            headers: vec![("content-type".into(), "application/octet-stream".into())],
            wire_bytes: 0,
            extras: model::Extras::default(),
            body: body.into(),
            fetched_at: Timestamp::from_ms(1_767_225_600_000),
        };
        let found = scraper.extract(&Door::Collect, &input, &page);
        let ours: BTreeSet<&str> = found.records.iter().filter_map(|r| r["url"].as_str()).collect();
        let theirs: BTreeSet<&str> =
            case["truth"]["urls"].as_array().expect("URLs").iter().filter_map(|u| u.as_str()).collect();
        // Of the links of an Atom entry only its own is a page of the feed.
        let right = if case["truth"]["kind"] == "atom" {
            !ours.is_empty() && ours.is_subset(&theirs)
        } else {
            ours == theirs
        };
        if !right {
            let diff: Vec<_> = ours.symmetric_difference(&theirs).take(4).collect();
            wrong.push(format!("{}: {diff:?} {:?}", case["id"], found.problem));
        }
    }
    println!("sitemaps right: {} of {}", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sitemap_of_fifty_thousand_pages() {
    let url: url::Url = "http://www.example.com/sitemap.xml".parse().expect("a URL");
    let entries: String =
        (0..50_000).map(|n| format!("<url><loc>http://www.example.com/p/{n}</loc></url>")).collect();
    let file = FILE.replace("records = [{ json = \"$.entries[*]\", all = true }]", "follow = [{ link = { json = \"$.entries[*].url\", all = true }, to = \"page\", found = true }]\n[pages.page]\nrecord = true");
    let scraper = Scraper::compile("t", &file).unwrap_or_else(|e| panic!("{e:?}"));
    let input = Input::given(0, json!({ "url": url }).to_string(), model::host_of(&url));
    let page = Page {
        url,
        status: 200,
        headers: vec![("content-type".into(), "text/xml".into())],
        wire_bytes: 0,
        extras: model::Extras::default(),
        body: format!("<urlset>{entries}</urlset>").into_bytes().into(),
        fetched_at: Timestamp::from_ms(1_767_225_600_000),
    };
    let found = scraper.extract(&Door::Collect, &input, &page);
    assert_eq!(found.follow.len(), 50_000, "{:?}", found.warnings);
}
