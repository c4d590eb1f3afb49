//! A page for a scraper, and what must hold of every extraction.

use extract::{Extraction, Scraper, limit};
use model::{Door, Input, Page, Timestamp};
use serde_json::json;

/// Reads the bytes as the answer of one site; checks what it gives.
pub(crate) fn read(
    scraper: &Scraper,
    door: &Door,
    kind: &str,
    body: &[u8],
    content_type: &str,
) -> Extraction {
    let url: url::Url = "https://a.example/x/y?q=1".parse().expect("a URL");
    let row = json!({ "url": url, "keyword": "tea" }).to_string();
    let input = Input { kind: kind.to_owned(), ..Input::given(0, row, "a.example".into()) };
    let page = Page {
        url,
        status: 200,
        headers: vec![("content-type".into(), content_type.into())],
        body: body.to_vec().into(),
        fetched_at: Timestamp::from_ms(1_789_000_000_000),
        wire_bytes: 0,
        extras: model::Extras::default(),
    };
    let out = scraper.extract(door, &input, &page);
    assert!(out.records.len() <= limit::RECORDS_PER_PAGE);
    let columns: Vec<&str> = scraper.fields().iter().map(|f| f.name.as_str()).collect();
    for record in &out.records {
        assert!(record.keys().eq(columns.iter().copied()), "a record has every column, in order");
    }
    for follow in &out.follow {
        assert!(matches!(follow.url.scheme(), "http" | "https"), "{}", follow.url);
        assert_eq!(follow.url.fragment(), None);
    }
    if out.problem.is_none() && !out.records.is_empty() {
        let told = scraper.explain(door, &input, &page, 0, None).expect("a record that there is");
        for (field, (name, value)) in told.fields.iter().zip(&out.records[0]) {
            assert_eq!(
                (&field.field, &field.value),
                (name, value),
                "the explanation tells what extraction gives"
            );
        }
    }
    out
}
