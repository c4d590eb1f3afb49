//! What the shipped scrapers give for the saved pages, as the scorers of the public set want it: one NDJSON file for each
//! suite.
//!
//! `TRAWL_PAGES=FOLDER cargo run --release -p extract --example records -- OUT [SUITE=SCRAPER…]`
#![allow(clippy::disallowed_methods, reason = "a tool: it reads the set, writes files and takes the time")]
#![allow(clippy::unwrap_used, reason = "a tool for developers: it ends where it cannot go on")]

#[path = "../tests/suites/mod.rs"]
mod suites;

use extract::Scraper;
use model::{Door, Input, Page, Timestamp};
use serde_json::{Value, json};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use suites::Saved;

/// Which scraper reads which suite, where the command line does not say.
const USUAL: [(&str, &str); 7] = [
    ("content", "article"),
    ("news", "article"),
    ("markdown", "article"),
    ("recipes", "recipe"),
    ("products", "product"),
    ("structured", "web_page"),
    ("lists", "the site's"),
];

fn main() {
    let mut args = std::env::args().skip(1);
    let out = args.next().unwrap_or_else(|| "predictions".to_owned());
    let wanted: Vec<String> = args.collect();
    let pairs: Vec<(&str, &str)> = if wanted.is_empty() {
        USUAL.to_vec()
    } else {
        wanted.iter().filter_map(|pair| pair.split_once('=')).collect()
    };
    let Some(set) = suites::set() else { return };
    std::fs::create_dir_all(&out).unwrap();
    for (suite, name) in pairs {
        // Lists are read by the scraper of their site that finds the most.
        let scrapers = if suite == "lists" { of_sites() } else { vec![compile(name)] };
        let file = std::fs::File::create(Path::new(&out).join(format!("{suite}.ndjson"))).unwrap();
        let mut file = BufWriter::new(file);
        let (mut reading, mut count) = (Duration::ZERO, 0u32);
        for saved in suites::pages(&set, suite) {
            let start = Instant::now();
            let host = saved.url.host_str().unwrap_or_default();
            let reads = |s: &&Arc<Scraper>| s.domain().is_none_or(|site| host.ends_with(site));
            let found = scrapers.iter().filter(reads).map(|scraper| read(scraper, &saved));
            let records = found.max_by_key(Vec::len).unwrap_or_default();
            reading += start.elapsed();
            count += 1;
            for mut record in records {
                record["id"] = Value::String(saved.id.clone());
                writeln!(file, "{record}").unwrap();
            }
        }
        let each = reading.as_secs_f64() * 1e3 / f64::from(count.max(1));
        eprintln!("{suite}: {count} pages read by `{name}`, {each:.2} ms a page");
    }
}

fn of_sites() -> Vec<Arc<Scraper>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scrapers");
    let names =
        std::fs::read_dir(folder).unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let mut all: Vec<Arc<Scraper>> =
        names.map(|name| compile(&name)).filter(|s| s.domain().is_some()).collect();
    all.sort_by(|a, b| a.name().cmp(b.name()));
    all
}

fn compile(name: &str) -> Arc<Scraper> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scrapers").join(name);
    let text = std::fs::read_to_string(folder.join("scraper.toml")).unwrap();
    Scraper::compile(name, &text).unwrap_or_else(|errors| {
        errors.iter().for_each(|error| eprintln!("{name}: {error}"));
        std::process::exit(1)
    })
}

fn read(scraper: &Scraper, saved: &Saved) -> Vec<Value> {
    let page = Page {
        url: saved.url.clone(),
        status: 200,
        headers: vec![("content-type".into(), saved.content_type.clone())],
        wire_bytes: saved.body.len() as u64,
        extras: model::Extras::default(),
        body: saved.body.clone().into(),
        fetched_at: Timestamp::parse("2026-06-01T00:00:00Z").unwrap(),
    };
    let input = Input::given(0, json!({ "url": saved.url }).to_string(), model::host_of(&saved.url));
    scraper.extract(&Door::Collect, &input, &page).records.into_iter().map(Value::Object).collect()
}
