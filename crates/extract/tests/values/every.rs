//! Every value parser on one text, and what must hold of what it gives. Shared with the fuzz targets.

use chrono::Datelike;
use extract::value::{
    breadcrumb, contact, currency, date, duration, image, measure, number, price, rating, url, word,
};
use html::Document;
use model::Timestamp;

pub(crate) fn reading(language: Option<&str>) -> date::Reading<'_> {
    date::Reading { day_first: false, now: Timestamp::from_ms(1_789_000_000_000), language }
}

/// Runs every parser; checks what each gives against the size of its input.
pub(crate) fn all(input: &str) {
    // A date, a number or a code has a form of its own and a bounded length; the rest may not outgrow the input.
    const FORM: usize = 64;
    let base = ::url::Url::parse("https://a.example/x/").unwrap();
    for language in [None, Some("de"), Some("en-GB"), Some("th")] {
        if let Some(moment) = date::parse(input, reading(language)) {
            assert!((1000..=2999).contains(&moment.date.year()) || !moment.datetime_text().is_empty());
            assert!(moment.datetime_text().len() <= FORM);
        }
    }
    for lone in [number::Lone::Groups, number::Lone::CommaGroups] {
        let found = number::all(input, lone, 1000);
        assert!(found.windows(2).all(|w| w[0].end <= w[1].start), "numbers overlap in {input:?}");
        for f in found {
            assert!(f.value.is_finite() && f.value >= 0.0 && input.get(f.start..f.end).is_some());
        }
        number::first(input, lone);
    }
    if let Some(price) = price::parse(input) {
        assert!(price.amount.is_finite());
        assert!(price.plain.len() <= input.len() + FORM);
        assert!(price.sign.is_none_or(|s| input.contains(&s)));
    }
    if let Some(sign) = price::sign(input) {
        assert!(input.contains(&sign), "{sign:?} is not in {input:?}");
    }
    price::currency(input);
    if let Some(named) = currency::find(input) {
        assert_eq!(&input[named.start..named.end], named.sign);
    }
    if let Some(rating) = rating::parse(input) {
        assert!(rating.value >= 0.0 && rating.best.is_none_or(|b| b >= rating.value));
    }
    assert!(duration::seconds(input).is_none_or(|s| s.is_finite() && s >= 0.0));
    assert!(contact::phone(input).is_none_or(|p| p.len() <= input.len() + 1));
    assert!(
        contact::email(input)
            .is_none_or(|e| e.contains('@') && e.chars().count() <= input.chars().count() + FORM)
    );
    contact::shielded_email(input);
    for read in [measure::grams, measure::metres, measure::litres] {
        assert!(read(input).is_none_or(|n| n.is_finite() && n >= 0.0));
    }
    word::boolean(input);
    word::availability(input);
    word::condition(input);
    assert!(image::largest(input).is_none_or(|i| input.contains(i)));
    assert!(url::resolve(&base, input).is_none_or(|u| matches!(u.scheme(), "http" | "https")));
    let names = breadcrumb::of_text(input);
    assert!(names.iter().filter_map(|c| c.name.as_ref()).map(String::len).sum::<usize>() <= input.len());
    // The same text as a page.
    let doc = Document::parse(input);
    rating::of_node(doc.root());
    let trail = breadcrumb::of_node(doc.root(), &base);
    assert!(trail.iter().all(|c| c.name.is_some() || c.url.is_some()));
}
