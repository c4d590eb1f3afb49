//! The public tables of small values (prices, dates, ratings, breadcrumbs) against the shares already reached.
//!
//! The data is not part of the repository. `TRAWL_PAGES` names its folder (default: `../shared/data/public` beside the
//! workspace); without it the test says so aloud and does nothing, except in CI, where that is a failure.
//! `TRAWL_MISSES=1` prints every row that is wrong. The rules are those of the data set's own scorer.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that reads its table from a file"
)]

mod tables;

use extract::value::{date, price};
use tables::{Score, rows, text};

#[test]
fn prices() {
    let Some(rows) = rows("prices") else { return };
    let (mut amount, mut currency, mut both) =
        (Score::new("amount"), Score::new("currency"), Score::new("both"));
    for row in &rows {
        let raw = text(row, "price_raw").unwrap_or_default();
        let price = price::parse(raw);
        let sign = price.as_ref().and_then(|p| p.sign.clone()).or_else(|| price::sign(raw));
        let sign = sign.or_else(|| price::sign(text(row, "currency_raw")?));
        let truth = row["truth"]["amount"].as_str();
        let got = price.as_ref().map(|p| p.plain.as_str());
        let is_amount = got.map(tables::decimal) == truth.map(tables::decimal);
        let is_currency = sign.as_deref() == row["truth"]["currency"].as_str();
        let shown =
            || format!("{raw:?} | {:?} want {} got {got:?} {sign:?}", row["currency_raw"], row["truth"]);
        amount.add(is_amount, shown);
        currency.add(is_currency, shown);
        both.add(is_amount && is_currency, shown);
    }
    // price-parser 0.5.1: amount .980, both .861.
    amount.at_least(1.0);
    currency.at_least(1.0);
    both.at_least(1.0);
}

#[test]
fn dates() {
    let Some(rows) = rows("dates") else { return };
    let (mut day, mut moment) = (Score::new("day"), Score::new("moment"));
    let now = model::Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    for row in &rows {
        let input = text(row, "text").unwrap();
        let read = date::parse(input, date::Reading { day_first: false, now, language: None });
        let truth = row["truth"].as_str().unwrap();
        let got = read
            .map(|m| m.date.and_time(m.time.unwrap_or_default()).format("%Y-%m-%dT%H:%M:%S%.f").to_string());
        let is_moment = got.as_deref().map(tables::decimal) == Some(tables::decimal(truth));
        let shown = || format!("{input:?} want {truth} got {got:?}");
        day.add(read.is_some_and(|m| truth.starts_with(&m.date_text())), shown);
        moment.add(is_moment, shown);
    }
    // dateparser 1.5 made these truths. The one that is not met is `11. 12. 2014`: with points it is December 11.
    day.at_least(57.0 / 58.0);
    moment.at_least(57.0 / 58.0);
}
