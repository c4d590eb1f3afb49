//! Speed of parse and extract on one core: `cargo bench -p extract`.
//!
//! Four scrapers on the same pages: one that asks by CSS, one for structured data alone, and the shipped `article` and
//! `web_page`. The pages are the saved recipes, products and news (`TRAWL_PAGES`), or generated ones. Then the main content of
//! the pages of the content suite, and how many times as fast the second scraper is as the first.
//! `--dump FOLDER` writes the pages instead, for the programs that are compared with.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads files and takes the time")]
#![allow(clippy::unwrap_used, reason = "a benchmark ends where it cannot go on")]

#[path = "../tests/suites/mod.rs"]
mod suites;

use extract::Scraper;
use model::{Door, Input, Page, Timestamp};
use serde_json::json;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HEAD: &str = "dataset_id = \"gd_t\"\ntitle = \"T\"\ndescription = \"T\"\n[doors.collect_by_url]\nstart = \"page\"\n\
    inputs.url = { type = \"url\", required = true }\n[pages.page]\nrecord = true\n[fields]\n";

const CSS: &str = r#"
title = { from = [{ css = "h1" }] }
description = { from = [{ css = "meta[name=description]", attr = "content" }] }
image = { type = "image", from = [{ css = "article img, main img, img" }] }
author = { from = [{ css = "[rel=author], .author, .byline" }] }
date = { type = "datetime", from = [{ css = "time[datetime]" }] }
price = { type = "price", from = [{ css = ".price, [itemprop=price]" }] }
links = { type = "list", of = "url", from = [{ css = "a[href]", attr = "href" }] }
paragraphs = { type = "list", from = [{ css = "p" }] }
"#;

const STRUCTURED: &str = r#"
title = { from = [{ json_ld = "*.headline" }, { json_ld = "*.name" }, { meta = ["og:title"] }] }
description = { from = [{ json_ld = "*.description" }, { meta = ["og:description", "description"] }] }
image = { type = "image", from = [{ json_ld = "*.image" }, { meta = ["og:image"] }] }
author = { from = [{ json_ld = "*.author.name" }, { meta = ["author"] }] }
date = { type = "datetime", from = [{ json_ld = "*.datePublished" }, { meta = ["article:published_time"] }] }
price = { type = "price", from = [{ json_ld = "*.offers.price" }, { meta = ["product:price:amount"] }] }
rating = { type = "rating", from = [{ json_ld = "*.aggregateRating.ratingValue" }] }
url = { type = "url", from = [{ page = "canonical" }, { page = "url" }] }
"#;

fn main() {
    let pages = pages();
    let mut words = std::env::args().skip_while(|word| word != "--dump");
    if let (Some(_), Some(folder)) = (words.next(), words.next()) {
        for (n, page) in pages.iter().enumerate() {
            let text = html::decode(&page.body, page.header("content-type"));
            std::fs::write(format!("{folder}/{n:04}.html"), text.as_bytes()).unwrap();
        }
        return;
    }
    let bytes: usize = pages.iter().map(|p| p.body.len()).sum();
    println!("{} pages, {} KB on average", pages.len(), bytes / pages.len() / 1024);
    let shipped = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scrapers");
        compile(name, &std::fs::read_to_string(format!("{folder}/{name}/scraper.toml")).unwrap())
    };
    let scrapers = [
        ("css only", compile("css", &format!("{HEAD}{CSS}"))),
        ("structured data only", compile("structured", &format!("{HEAD}{STRUCTURED}"))),
        ("article", shipped("article")),
        ("web_page", shipped("web_page")),
    ];
    let mut times = Vec::new();
    for (name, scraper) in &scrapers {
        let time = (0..5).map(|_| round(scraper, &pages)).min().unwrap().as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "counts of pages and bytes are small")]
        let (per_second, megabytes) = (pages.len() as f64 / time, bytes as f64 / 1e6 / time);
        println!("{name:<22} {per_second:>9.0} pages/s {megabytes:>9.1} MB/s");
        times.push(time);
    }
    println!("main content {:.2} ms a page", main_content_ms(&pages));
    println!("structured / css {:.2}", times[0] / times[1]);
}

/// Milliseconds for a page of the content suite, from bytes to the text of its main content.
fn main_content_ms(pages: &[Page]) -> f64 {
    let bodies: Vec<String> = match suites::set() {
        Some(set) => suites::pages(&set, "content")
            .map(|s| html::decode(&s.body, Some(&s.content_type)).into_owned())
            .collect(),
        None => pages.iter().map(|p| String::from_utf8_lossy(&p.body).into_owned()).collect(),
    };
    let epoch = Instant::now();
    let round = || {
        let start = spent(epoch);
        for body in &bodies {
            let document = html::Document::parse(body);
            black_box(extract::main_content(&document).text());
        }
        spent(epoch).saturating_sub(start)
    };
    let time = (0..3).map(|_| round()).min().unwrap();
    #[allow(clippy::cast_precision_loss, reason = "a few hundred pages")]
    let count = bodies.len() as f64;
    time.as_secs_f64() * 1e3 / count
}

/// Processor time of this thread so far, where the system tells it: what else runs on the machine costs none of it.
fn spent(since: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    ns.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

fn round(scraper: &Scraper, pages: &[Page]) -> Duration {
    let epoch = Instant::now();
    let start = spent(epoch);
    for page in pages {
        let input = Input::given(0, json!({ "url": page.url }).to_string(), model::host_of(&page.url));
        black_box(scraper.extract(&Door::Collect, &input, page));
    }
    spent(epoch).saturating_sub(start)
}

fn compile(name: &str, text: &str) -> Arc<Scraper> {
    Scraper::compile(name, text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
}

fn pages() -> Vec<Page> {
    let page = |url: url::Url, content_type: String, body: Vec<u8>| Page {
        url,
        status: 200,
        headers: vec![("content-type".into(), content_type)],
        wire_bytes: body.len() as u64,
        extras: model::Extras::default(),
        body: body.into(),
        fetched_at: Timestamp::from_ms(1_767_225_600_000),
    };
    let Some(set) = suites::set() else {
        let url: url::Url = "https://shop.example/p/1".parse().unwrap();
        return (0..100)
            .map(|n| page(url.clone(), "text/html; charset=utf-8".into(), generated(n).into()))
            .collect();
    };
    let saved = ["recipes", "products", "news"].into_iter().flat_map(|suite| suites::pages(&set, suite));
    saved.map(|s| page(s.url, s.content_type, s.body)).collect()
}

/// A page of a shop of some 60 KB, with the data that shops carry.
fn generated(n: usize) -> String {
    let mut out = format!(
        "<!doctype html><html lang=en><head><title>Chair {n}</title><meta property=og:title content='Chair {n}'>\
         <script type='application/ld+json'>{{\"@type\":\"Product\",\"name\":\"Chair {n}\",\"offers\":{{\"price\":\"{n}.50\"}}}}</script>\
         </head><body><h1>Chair {n}</h1><p class=price>{n}.50 €</p>"
    );
    for row in 0..400 {
        let _ = write!(
            out,
            "<div class='card c{row}'><a href='/p/{row}'><img src='/i/{row}.jpg' alt=''><span>Another chair, {row}</span></a><p>Text of some words.</p></div>"
        );
    }
    out
}
