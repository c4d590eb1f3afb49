//! Site scrapers against the truth of saved list pages: every record, nothing else, nothing wrong.

use crate::{folder, saved, shipped};
use serde_json::Value;

/// A field of the scraper, and the field of the truth that it must equal.
type Pair = (&'static str, &'static str);

/// Scraper, page, and which of its fields is which of the truth's.
const SITES: &[(&str, &str, &[Pair])] = &[
    ("justice_olc", "lists-court-o-ag", &[("url", "url"), ("title", "name"), ("date", "date")]),
    (
        "google_calendar_meetings",
        "lists-event-list-summ_veterans",
        &[("start", "date"), ("start", "time"), ("address", "address")],
    ),
    (
        "google_calendar_meetings",
        "lists-event-detail-summ_soil_water_conservation",
        &[
            ("start", "date"),
            ("start", "time"),
            ("title", "title"),
            ("location_name", "location_name"),
            ("address", "address"),
        ],
    ),
];

#[test]
fn site_scrapers_find_every_record() {
    let Some(set) = saved::folder() else { return };
    let pages = saved::pages(&set);
    let truths = saved::json_lines(&set.join("truth/lists.jsonl"));
    let mut wrong = String::new();
    for (name, id, fields) in SITES {
        let truth = truths.iter().find(|line| line["id"] == *id).expect("truth");
        let truth = truth["records"].as_array().expect("records");
        let extraction = shipped::read(&folder::one(name), &pages[*id]);
        let mut records = extraction.records;
        if records.len() != truth.len() {
            wrong += &format!("{name}, {id}: {} records, {} are true\n", records.len(), truth.len());
        }
        for expected in truth {
            let found = records.iter().position(|record| {
                fields.iter().all(|(ours, theirs)| same(theirs, &record[*ours], &expected[*theirs]))
            });
            match found {
                Some(at) => drop(records.remove(at)),
                None => wrong += &format!("{name}, {id}: no record is {expected}\n"),
            }
        }
    }
    let scrapers: std::collections::BTreeSet<&str> = SITES.iter().map(|(name, ..)| *name).collect();
    if wrong.is_empty() {
        println!("site scrapers right: {} ({} pages)", scrapers.len(), SITES.len());
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The truth names a field shortly: a day or an hour of a moment, a title without its last word.
fn same(field: &str, got: &Value, truth: &Value) -> bool {
    let (got, truth) = (got.as_str().unwrap_or_default(), truth.as_str().unwrap_or_default());
    match field {
        "date" => got.split('T').next() == Some(truth),
        "time" => got.split_once('T').is_some_and(|(_, time)| time.starts_with(truth)),
        "title" => got.starts_with(truth) && !truth.is_empty(),
        // The truth has plain quotation marks.
        _ => got.replace('’', "'") == truth,
    }
}
