//! No saved page of a real site is taken for a refusal, except those that are one.

use crate::saved;
use extract::refusal;
use model::{Page, Timestamp};
use std::collections::BTreeMap;

/// Pages of the set that are refusals in truth: looked at, one by one.
const TRULY: &[(&str, &str)] = &[];

#[test]
fn good_pages_are_let_through() {
    let Some(folder) = saved::folder() else { return };
    let mut found = BTreeMap::new();
    for (id, saved) in saved::pages(&folder) {
        let page = Page {
            url: saved.url.parse().expect("url"),
            status: 200,
            headers: saved.content_type.map(|value| ("content-type".to_owned(), value)).into_iter().collect(),
            wire_bytes: saved.bytes.len() as u64,
            body: saved.bytes.into(),
            fetched_at: Timestamp::from_ms(0),
            extras: model::Extras::default(),
        };
        if let Some(refusal) = refusal(&page, None) {
            found.insert(id, format!("{refusal:?}"));
        }
    }
    let strangers: Vec<_> =
        found.iter().filter(|(id, _)| TRULY.iter().all(|(true_id, _)| id != true_id)).collect();
    assert!(strangers.is_empty(), "taken for refusals: {strangers:#?}");
    assert!(TRULY.iter().all(|(id, _)| found.contains_key(*id)), "no longer told: {found:?}");
}
