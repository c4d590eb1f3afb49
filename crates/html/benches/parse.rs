//! Speed of parsing and of selecting: `cargo bench -p html`.
//!
//! On a generated page of about 46 KB, and on the saved pages when they are there (`TRAWL_PAGES`). Prints MB/s and pages
//! per second on one core, and microseconds per selector.

#[path = "../tests/saved/mod.rs"]
mod saved;

use html::{Document, Selector};
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

const SELECTORS: [&str; 8] = [
    "h1.title",
    "nav.breadcrumb li a",
    "script[type=\"application/ld+json\"]",
    "#product-12 .price",
    "div.card:nth-child(3) > a[href]",
    "[itemprop=name]",
    "ul li:not(:first-child) a, h2 ~ p",
    ".missing",
];

fn main() {
    let page = generated();
    parsing("generated", std::slice::from_ref(&page));
    if let Some(folder) = saved::folder() {
        let mut pages: Vec<_> = saved::pages(&folder).into_values().collect();
        pages.sort_by(|a, b| a.id.cmp(&b.id));
        let texts: Vec<String> =
            pages.iter().map(|p| html::decode(&p.bytes, p.content_type.as_deref()).into_owned()).collect();
        parsing("saved", &texts);
        let middle: Vec<String> = texts.into_iter().filter(|t| (20_000..80_000).contains(&t.len())).collect();
        parsing("saved, 20 to 80 KB", &middle);
    }
    let document = Document::parse(&page);
    println!(
        "first use of filters and ranks: {:?}",
        best(20, || {
            let fresh = Document::parse(&page);
            let start = now();
            black_box(Selector::parse(".x:nth-child(2)").map(|s| s.first(fresh.root())).ok());
            start.elapsed()
        })
    );
    for css in SELECTORS {
        let selector = Selector::parse(css).unwrap_or_else(|e| panic!("{css}: {e}"));
        let count = selector.select(document.root()).count();
        let time = best(20, || {
            let start = now();
            for _ in 0..100 {
                black_box(selector.select(black_box(document.root())).count());
            }
            start.elapsed() / 100
        });
        println!("{:>9.1} µs  {css}  ({count} found)", time.as_secs_f64() * 1e6);
    }
}

fn parsing(what: &str, pages: &[String]) {
    let bytes: usize = pages.iter().map(String::len).sum();
    let rounds = (100_000_000 / bytes.max(1)).clamp(1, 2000);
    let time = best(5, || {
        let start = now();
        for _ in 0..rounds {
            for page in pages {
                black_box(Document::parse(black_box(page)));
            }
        }
        start.elapsed()
    });
    let seconds = time.as_secs_f64() / rounds as f64;
    println!(
        "{what}: {} pages of {} KB: {:.1} MB/s, {:.0} pages/s",
        pages.len(),
        bytes / pages.len().max(1) / 1000,
        bytes as f64 / 1e6 / seconds,
        pages.len() as f64 / seconds
    );
}

/// The best of some measurements: what else the machine does only adds.
fn best(times: usize, mut measure: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| measure()).min().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// A shop's listing page, with what real ones carry: scripts, classes, long attributes, entities.
fn generated() -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Shop &amp; more</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/app.css?v=3\">\n<style>.card { margin: 0 } .card > a { color: #333 }</style>\n\
         <script type=\"application/ld+json\">{\"@type\": \"ItemList\", \"name\": \"Shop\"}</script>\n<script>\n",
    );
    for i in 0..60 {
        let _ = writeln!(
            page,
            "window.queue.push(function () {{ if (a[{i}] < 3 && b) {{ track('view', {{ id: {i} }}); }} }});"
        );
    }
    page.push_str("</script>\n</head>\n<body class=\"page listing\">\n<nav class=\"breadcrumb\"><ul>");
    for i in 0..5 {
        let _ = write!(page, "<li class=\"item\"><a href=\"/c/{i}\">Category {i}</a></li>");
    }
    page.push_str("</ul></nav>\n<main>\n<h1 class=\"title\">All things</h1>\n<div class=\"grid\">\n");
    for i in 0..60 {
        let _ = write!(
            page,
            "  <div class=\"card product col-sm-6\" id=\"product-{i}\" data-sku=\"A{i:05}\" itemscope \
             itemtype=\"https://schema.org/Product\">\n    <a class=\"image\" href=\"/p/{i}?ref=list&amp;pos={i}\">\
             <img src=\"/img/{i}.jpg\" alt=\"Thing {i}\" loading=\"lazy\" width=\"320\" height=\"240\"></a>\n    \
             <h2 itemprop=\"name\">Thing number {i} &ndash; blue</h2>\n    <p class=\"text\">A thing with <b>some</b> text, \
             which is about as long as such a text is on a page.</p>\n    \
             <span class=\"price\" itemprop=\"price\">&euro;&nbsp;{i},99</span>\n  </div>\n"
        );
    }
    page.push_str("</div>\n</main>\n<footer><ul>");
    for i in 0..30 {
        let _ = write!(page, "<li><a href=\"/help/{i}\">Help topic {i}</a></li>");
    }
    page.push_str("</ul></footer>\n</body>\n</html>\n");
    page
}
