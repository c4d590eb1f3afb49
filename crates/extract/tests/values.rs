//! The public tables of small values (prices, dates, ratings, breadcrumbs) against the shares already reached.
//!
//! The data is not part of the repository. `TRAWL_PAGES` names its folder (default: `../shared/data/public` beside the
//! workspace); without it the test says so aloud and does nothing, except in CI, where that is a failure.
//! `TRAWL_MISSES=1` prints every row that is wrong. The rules are those of the data set's own scorer.
#![expect(clippy::unwrap_used, reason = "test")]

mod tables;

use extract::value::price;
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
