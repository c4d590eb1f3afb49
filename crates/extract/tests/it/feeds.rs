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

#[test]
fn what_a_sitemap_says_of_its_pages_goes_with_them() {
    let url: url::Url = "http://www.example.com/sitemap.xml".parse().expect("a URL");
    let rules = "follow = [{ link = { json = \"$.sitemaps[*].url\", all = true }, to = \"feed\" }, \
                 { link = { json = \"$.entries[*].url\", all = true }, to = \"page\", found = true }]\n\
                 max_pages = 4\n[pages.page]\nrecord = true";
    let file = FILE.replace("records = [{ json = \"$.entries[*]\", all = true }]", rules);
    let scraper = Scraper::compile("t", &file).unwrap_or_else(|e| panic!("{e:?}"));
    let input = Input::given(0, json!({ "url": url }).to_string(), model::host_of(&url));
    let modified = |body: &str| {
        let page = Page {
            url: url.clone(),
            status: 200,
            headers: vec![("content-type".into(), "text/xml".into())],
            wire_bytes: 0,
            extras: model::Extras::default(),
            body: body.as_bytes().to_vec().into(),
            fetched_at: Timestamp::from_ms(1_767_225_600_000),
        };
        let found = scraper.extract(&Door::Collect, &input, &page);
        found.follow.iter().map(|f| f.modified.map(|at| at.to_string())).collect::<Vec<_>>()
    };
    let at = |text: &str| Some(text.to_owned());
    assert_eq!(
        modified(
            "<urlset><url><loc>/a?x=1&amp;y=2</loc><lastmod>2026-01-02T03:04:05Z</lastmod></url>\
             <url><loc>/b</loc><lastmod>2026-01-02</lastmod></url><url><loc>/c</loc></url>\
             <url><loc>/d</loc><lastmod>soon</lastmod></url></urlset>"
        ),
        [at("2026-01-02T03:04:05.000Z"), at("2026-01-03T12:00:00.000Z"), None, None]
    );
    assert_eq!(
        modified(
            "<sitemapindex><sitemap><loc>/1.xml</loc><lastmod>2026-01-02T00:00:00Z</lastmod></sitemap></sitemapindex>"
        ),
        [at("2026-01-02T00:00:00.000Z")]
    );
    // A feed dates what it tells of.
    assert_eq!(
        modified(
            "<feed><entry><link href=\"http://a.example/1\"/><updated>2026-01-02T00:00:00Z</updated></entry></feed>"
        ),
        [None]
    );
}

#[test]
fn what_a_file_says_of_kept_pages_and_keys() {
    let with = |more: &str| Scraper::compile("t", &FILE.replace("[doors", &format!("{more}\n[doors")));
    let scraper = with("key = [\"url\"]\n[fetch]\ncache = \"90min\"\nrevalidate = false").expect("a scraper");
    assert_eq!(scraper.key(), ["url"]);
    let reuse = scraper.reuse();
    assert_eq!((reuse.max_age_ms, reuse.revalidate), (Some(5_400_000), Some(false)));
    assert_eq!(with("").expect("a scraper").reuse(), model::Reuse::default());
    for (wrong, said) in [
        ("key = [\"ulr\"]", "did you mean `url`"),
        ("key = [\"sku\"]", "fields: url, updated"),
        ("[fetch]\ncache = \"soon\"", "must be an age"),
        ("[fetch]\ncache = 5", "must be a string"),
        ("[fetch]\nrevalidate = \"yes\"", "must be true or false"),
    ] {
        let errors = with(wrong).expect_err(wrong);
        assert!(errors.iter().any(|e| e.message.contains(said)), "{wrong}: {errors:?}");
    }
}
