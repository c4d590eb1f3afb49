//! Every shipped scraper passes its cases, and reads any saved page without complaint.

use crate::{folder, saved};
use extract::{Scraper, run_cases};
use model::{Door, Input, Page, Timestamp};
use serde_json::json;

#[test]
fn every_scraper_passes_its_cases() {
    let mut wrong = String::new();
    for (scraper, cases) in folder::all() {
        assert!(cases.len() >= 2, "{}: at least two cases, one of them awkward", scraper.name());
        for result in run_cases(&scraper, &cases) {
            if !result.passed() {
                let lines = result.difference.join("\n  ");
                wrong += &format!("{}/{}: {:?}\n  {lines}\n", scraper.name(), result.name, result.error);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_wrong_expectation_fails() {
    let (scraper, mut cases) = folder::all().into_iter().next().expect("a scraper");
    cases[0].expected = r#"[{"url": "https://elsewhere.example/"}]"#.to_owned();
    assert!(!run_cases(&scraper, &cases)[0].passed());
}

/// What a saved page gives.
pub(crate) fn read(scraper: &Scraper, page: &saved::Saved) -> extract::Extraction {
    let url: url::Url = page.url.parse().expect("URL");
    let input = Input::given(0, json!({ "url": page.url }).to_string(), model::host_of(&url));
    let content_type = page.content_type.clone().unwrap_or_default();
    let page = Page {
        url,
        status: 200,
        headers: vec![("content-type".into(), content_type)],
        wire_bytes: page.bytes.len() as u64,
        extras: model::Extras::default(),
        body: page.bytes.clone().into(),
        // 2026-01-01.
        fetched_at: Timestamp::from_ms(1_767_225_600_000),
    };
    scraper.extract(&Door::Collect, &input, &page)
}

#[test]
fn generic_scrapers_read_every_saved_page() {
    let Some(set) = saved::folder() else { return };
    let (web_page, product) = (folder::one("web_page"), folder::one("product"));
    for page in saved::pages(&set).into_values() {
        let extraction = read(&web_page, &page);
        assert_eq!(extraction.records.len(), 1, "{}: {:?}", page.id, extraction.problem);
        let text = extraction.records[0]["html2text"].as_str().unwrap_or_default();
        assert!(text.len() < 2 * page.bytes.len() + 1_000, "{}", page.id);
        // A page that is no product says so; none gives two.
        let extraction = read(&product, &page);
        assert_eq!(extraction.records.len() + usize::from(extraction.problem.is_some()), 1, "{}", page.id);
    }
}
