//! Site scrapers against the truth of saved list pages: every record, nothing else, nothing wrong.

use crate::{folder, saved, shipped};
use serde_json::{Map, Value};

/// Scrapers and the pages that they read.
const SITES: &[(&str, &[&str])] = &[
    (
        "cuyahoga_county_events",
        &[
            "lists-event-detail-cuya_archives_advisory",
            "lists-event-detail-cuya_audit",
            "lists-event-detail-cuya_board_control",
            "lists-event-detail-cuya_board_revision",
            "lists-event-detail-cuya_budget_commission",
            "lists-event-detail-cuya_children_family_advisory",
            "lists-event-detail-cuya_citizens_advisory_equity",
            "lists-event-detail-cuya_homeless_services",
            "lists-event-detail-cuya_investment_advisory_committee",
            "lists-event-detail-cuya_regional_data_sharing",
            "lists-event-detail-cuya_technical_advisory_committee",
            "lists-event-detail-cuya_workforce_development",
        ],
    ),
    ("adamhs_meetings", &["lists-event-list-cuya_mental_health_response"]),
    ("cuyahoga_elections_events", &["lists-event-detail-cuya_elections"]),
    ("dc_court_of_appeals", &["lists-court-o-dc"]),
    ("delaware_courts", &["lists-court-o-delctcompl"]),
    (
        "detroit_events",
        &[
            "lists-event-detail-det_city_council",
            "lists-event-detail-det_emergency_planning",
            "lists-event-detail-det_transportation",
            "lists-event-detail-det_zoning_appeals",
        ],
    ),
    (
        "google_calendar_meetings",
        &["lists-event-list-summ_veterans", "lists-event-detail-summ_soil_water_conservation"],
    ),
    ("justice_olc", &["lists-court-o-ag"]),
    ("nc_business_court", &["lists-court-o-ncbizct"]),
    ("nj_courts", &["lists-court-o-nj", "lists-court-o-njtaxct_u"]),
    ("ny_appellate_division", &["lists-court-o-nyappdiv_1st", "lists-court-o-nyappdiv_2nd"]),
    ("scotus_opinions", &["lists-court-o-scotus_slip"]),
    ("uscg_cca", &["lists-court-o-uscgcoca", "lists-court-o-uscgcoca_2"]),
    ("utah_courts", &["lists-court-o-utah", "lists-court-o-utahctapp"]),
    ("vermont_judiciary", &["lists-court-o-vt_criminal", "lists-court-o-vt"]),
];

/// What the truth calls a field, and what scrapers do.
const NAMES: &[(&str, &[&str])] = &[
    ("url", &["url"]),
    ("name", &["name", "title"]),
    ("docket", &["docket"]),
    ("date", &["date", "start"]),
    ("time", &["time", "start"]),
    ("title", &["title"]),
    ("location_name", &["location_name"]),
    ("address", &["address"]),
    ("links", &["links"]),
];

#[test]
fn site_scrapers_find_every_record() {
    let Some(set) = saved::folder() else { return };
    let pages = saved::pages(&set);
    let truths = saved::json_lines(&set.join("truth/lists.jsonl"));
    let mut wrong = String::new();
    let mut lists = 0;
    for (name, ids) in SITES {
        let scraper = folder::one(name);
        for id in *ids {
            let truth = truths.iter().find(|line| line["id"] == *id).expect("truth");
            let truth = truth["records"].as_array().expect("records");
            let mut records = shipped::read(&scraper, &pages[*id]).records;
            if records.len() != truth.len() {
                wrong += &format!("{name}, {id}: {} records, {} are true\n", records.len(), truth.len());
            }
            for expected in truth {
                match records.iter().position(|record| is_same(record, expected)) {
                    Some(at) => drop(records.remove(at)),
                    None => wrong += &format!("{name}, {id}: no record is {expected}\n"),
                }
            }
            lists += 1;
        }
    }
    if wrong.is_empty() {
        println!("site scrapers right: {lists} lists of {} sites", SITES.len());
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn is_same(record: &Map<String, Value>, truth: &Value) -> bool {
    truth.as_object().expect("a record").iter().all(|(field, value)| {
        let names = NAMES.iter().find(|(f, _)| f == field).expect("a known field").1;
        let got = names.iter().filter_map(|name| record.get(*name)).find(|v| !v.is_null());
        got.map_or_else(|| value.as_array().is_some_and(Vec::is_empty), |got| same(field, got, value))
    })
}

/// The truth names a field shortly: a day or an hour of a moment, words without their marks.
fn same(field: &str, got: &Value, truth: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match field {
        "date" => text(got).split('T').next() == truth.as_str(),
        "time" => clock(&text(got)).as_deref() == truth.as_str(),
        "url" => address(&text(got)) == address(&text(truth)),
        "links" => {
            let all = |value: &Value| {
                let mut all: Vec<String> =
                    value.as_array().into_iter().flatten().map(|v| address(&text(v))).collect();
                all.sort();
                all.dedup();
                all
            };
            all(got) == all(truth)
        }
        _ => {
            let (got, truth) = (letters(&text(got)), letters(&text(truth)));
            // The truth's words, and at most half as many more around them.
            got.contains(&truth) && 2 * got.len() <= 3 * truth.len() + 12
        }
    }
}

/// `14:30` of `2:30 PM` or of an ISO moment.
fn clock(written: &str) -> Option<String> {
    if let Some((_, time)) = written.split_once('T') {
        return time.get(..5).map(str::to_owned);
    }
    let (hour, rest) = written.split_once(':')?;
    let hour: u32 = hour.trim().parse().ok()?;
    let afternoon = rest.to_lowercase().contains('p');
    let hour = hour % 12 + if afternoon { 12 } else { 0 };
    Some(format!("{hour:02}:{}", rest.get(..2)?))
}

/// Without scheme, fragment, and the difference between a space and `%20`.
fn address(url: &str) -> String {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind.split('#').next().unwrap_or_default().replace("%20", " ").replace("&amp;", "&")
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
