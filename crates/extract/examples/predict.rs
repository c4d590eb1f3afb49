//! What the crate makes of the saved pages, as the scorers of the public set want it: one NDJSON file for each suite, and
//! the milliseconds a page took.
//!
//! `TRAWL_PAGES=FOLDER cargo run --release -p extract --example predict -- OUT [SUITE…]`
#![allow(clippy::disallowed_methods, reason = "a tool: it reads the set, writes files and takes the time")]
#![allow(clippy::unwrap_used, reason = "a tool for developers: it ends where it cannot go on")]

#[path = "../tests/suites/mod.rs"]
mod suites;

use html::Document;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use suites::Saved;

/// What a suite asks of a page.
type Predict = fn(&Saved, &Document) -> Value;

fn main() {
    let mut args = std::env::args().skip(1);
    let out = args.next().unwrap_or_else(|| "predictions".to_owned());
    let wanted: Vec<String> = args.collect();
    let Some(set) = suites::set() else { return };
    std::fs::create_dir_all(&out).unwrap();
    if wanted.first().is_some_and(|w| w == "learn") {
        for suite in ["content", "news", "markdown"] {
            let mut names = Vec::new();
            let mut file = std::io::BufWriter::new(
                std::fs::File::create(Path::new(&out).join(format!("{suite}.rows.jsonl"))).unwrap(),
            );
            for page in suites::pages(&set, suite) {
                let doc = Document::parse_bytes(&page.body, Some(&page.content_type));
                let (n, rows) = extract::learning_rows(&doc);
                if !n.is_empty() {
                    names = n;
                }
                writeln!(file, "{}", json!({"id": page.id, "url": page.url, "rows": rows.iter().map(|r| json!({"text": r.text, "features": r.features, "groups": r.groups.map(|g| g % (1 << 50))})).collect::<Vec<_>>()})).unwrap();
            }
            std::fs::write(Path::new(&out).join("names.json"), json!(names).to_string()).unwrap();
        }
        return;
    }
    let all: [(&str, Predict); 4] =
        [("content", content), ("news", article), ("markdown", markdown), ("pagination", pagination)];
    for (suite, predict) in all {
        if !wanted.is_empty() && !wanted.iter().any(|w| w == suite) {
            continue;
        }
        let file = std::fs::File::create(Path::new(&out).join(format!("{suite}.ndjson"))).unwrap();
        let mut file = std::io::BufWriter::new(file);
        let (mut parsing, mut reading, mut count) = (Duration::ZERO, Duration::ZERO, 0u32);
        let mut slowest = (Duration::ZERO, String::new());
        for page in suites::pages(&set, suite) {
            let start = Instant::now();
            let doc = Document::parse_bytes(&page.body, Some(&page.content_type));
            let parsed = Instant::now();
            let mut record = predict(&page, &doc);
            let read = parsed.elapsed();
            parsing += parsed - start;
            reading += read;
            count += 1;
            if read > slowest.0 {
                slowest = (read, page.id.clone());
            }
            record["id"] = Value::String(page.id);
            writeln!(file, "{record}").unwrap();
        }
        let each = |d: Duration| d.as_secs_f64() * 1e3 / f64::from(count.max(1));
        eprintln!(
            "{suite}: {count} pages, {:.2} ms parsing and {:.2} ms reading a page; slowest {:.1} ms ({})",
            each(parsing),
            each(reading),
            slowest.0.as_secs_f64() * 1e3,
            slowest.1
        );
    }
}

fn article(page: &Saved, doc: &Document) -> Value {
    let now = model::Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
    let article = extract::article(doc, &page.url, now);
    json!({
        "title": article.title,
        "authors": article.authors,
        "published": article.published.map(|m| m.datetime_text()),
        "topics": article.topics,
        "cover_image": article.cover_image,
        "body": article.body,
    })
}

fn content(page: &Saved, doc: &Document) -> Value {
    let mut record = article(page, doc);
    let found = extract::main_content(doc);
    record["main_content"] = found.text().into();
    record["markdown"] = found.markdown(&page.url).into();
    record
}

fn markdown(page: &Saved, doc: &Document) -> Value {
    json!({"markdown": extract::main_content(doc).markdown(&page.url)})
}

fn pagination(page: &Saved, doc: &Document) -> Value {
    let found = extract::pagination(doc, &page.url);
    json!({
        "next": found.next,
        "prev": found.prev,
        "first": found.first,
        "last": found.last,
        "pages": found.pages,
    })
}
