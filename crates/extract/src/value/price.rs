//! Prices: `US$ 3.5k`, `1.299,00 €`, `₹1,23,456`, `CHF 12.-`, `from £5`, `10 – 20 €`.
//!
//! Of several numbers the one beside a currency is the price; of a range the lower bound; a percentage never.

use super::currency::{self, Named};
use super::number::{self, Found, Lone};
use super::text;
use crate::limit;
use std::ops::Range;

/// A price.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// In units of the currency, not cents.
    pub amount: f64,
    /// The same, exact: an optional `-`, ASCII digits, at most one point.
    pub plain: String,
    /// ISO 4217 code, if the text names a currency.
    pub currency: Option<&'static str>,
    /// The currency as written: `$`, `руб.`, `EUR`.
    pub sign: Option<String>,
}

/// Numbers and currencies looked at in one text.
const MOST: usize = 16;

/// The price in a short text.
pub fn parse(input: &str) -> Option<Price> {
    let input = text::head(input, limit::SHORT_VALUE_BYTES);
    let numbers: Vec<Found> =
        number::all(input, Lone::Groups, MOST).into_iter().filter(|f| !is_percent(input, f)).collect();
    let named = currency::all(input, MOST);
    let beside: Vec<(usize, Named<'_>)> =
        named.iter().filter_map(|n| Some((owner(input, &numbers, n)?, *n))).collect();
    // A word that may be something else (`R`, `kr`) counts where no sign does.
    let first = |word: bool| {
        beside.iter().filter(|(_, n)| (n.kind == currency::Kind::Word) == word).map(|(i, _)| *i).min()
    };
    let chosen = first(false).or_else(|| first(true)).or(if numbers.is_empty() { None } else { Some(0) });
    let Some(mut at) = chosen else {
        let free = is_free(input);
        let named = currency::find(input);
        return free.then(|| Price {
            amount: 0.0,
            plain: "0".into(),
            currency: named.map(|n| n.code),
            sign: named.map(|n| n.sign.to_owned()),
        });
    };
    let own: Vec<&Named<'_>> = beside.iter().filter(|(i, _)| *i == at).map(|(_, n)| n).collect();
    // The first as written; for the code, letters of ISO 4217 say more than a sign that many countries share.
    let fallback = currency::find(input);
    let sign = own.first().copied().or(fallback.as_ref());
    let code = own.iter().find(|n| n.kind == currency::Kind::Code).copied().or(sign);
    // The lower bound of a range: `10 – 20 €`.
    if at > 0 && is_range(&input[numbers[at - 1].end..numbers[at].start]) {
        at -= 1;
    }
    // `1299:50 kr`: Swedish crowns and öre.
    let mut joined = None;
    if at > 0 && numbers[at].plain.len() == 2 && &input[numbers[at - 1].end..numbers[at].start] == ":" {
        let plain = format!("{}.{}", numbers[at - 1].plain, numbers[at].plain);
        joined = plain.parse().ok().map(|value| Found {
            value,
            plain,
            start: numbers[at - 1].start,
            end: numbers[at].end,
        });
    }
    // `19€99`: the sign in the place of the point.
    if let Some(cents) =
        numbers.get(at + 1).filter(|c| c.plain.len() == 2 && !numbers[at].plain.contains('.'))
    {
        let between = &input[numbers[at].end..cents.start];
        if own.iter().any(|n| n.sign == between && !is_leading(n)) {
            let plain = format!("{}.{}", numbers[at].plain, cents.plain);
            let (start, end) = (numbers[at].start, cents.end);
            joined = plain.parse().ok().map(|value| Found { value, plain, start, end });
        }
    }
    let found = joined.as_ref().unwrap_or(&numbers[at]);
    let scale = number::multiplier(&input[found.end..]);
    let front = own.iter().map(|n| n.start).filter(|s| *s < found.start).min().unwrap_or(found.start);
    let negative = is_tight_minus(input, front..found.start);
    let amount = found.value * scale * if negative { -1.0 } else { 1.0 };
    #[expect(clippy::float_cmp, reason = "1.0 is what the multiplier gives for none")]
    let mut plain = if scale == 1.0 { found.plain.clone() } else { (found.value * scale).to_string() };
    if negative {
        plain.insert(0, '-');
    }
    Some(Price { amount, plain, currency: code.map(|n| n.code), sign: sign.map(|n| n.sign.to_owned()) })
}

fn is_percent(input: &str, found: &Found) -> bool {
    input[found.end..].trim_start().starts_with(['%', '٪', '％'])
}

/// The number that a currency belongs to: right behind it, or right before it; the nearer of both.
fn owner(input: &str, numbers: &[Found], named: &Named<'_>) -> Option<usize> {
    let before = numbers.iter().rposition(|f| f.end <= named.start);
    let after = numbers.iter().position(|f| f.start >= named.end);
    let scaled = |f: &Found| {
        #[expect(clippy::float_cmp, reason = "1.0 is what the multiplier gives for none")]
        let has = number::multiplier(&input[f.end..]) != 1.0;
        has
    };
    let left =
        before.and_then(|i| gap(&input[numbers[i].end..named.start], scaled(&numbers[i])).map(|g| (g, 1, i)));
    let right = after.and_then(|i| gap(&input[named.end..numbers[i].start], false).map(|g| (g, 0, i)));
    // `3 €5` and `3 $ 5`: signs of the dollar kind stand before their number, others behind it.
    [left, right]
        .into_iter()
        .flatten()
        .min_by_key(|(gap, side, _)| (*gap, if is_leading(named) { *side } else { 1 - *side }))
        .map(|(_, _, i)| i)
}

/// Signs of the dollar kind stand before their number.
fn is_leading(named: &Named<'_>) -> bool {
    named.sign.ends_with(['$', '£', '¥', '₹', '￥', '＄', '₱', '₩', '₦'])
}

/// Characters between a number and its currency; `None` if something else is said between them.
fn gap(between: &str, scaled: bool) -> Option<usize> {
    if scaled {
        // `3,5 Mio. €`
        return Some(between.split_whitespace().count());
    }
    let inner = between.trim_matches([
        ' ', '\u{a0}', '\u{202f}', '\t', '\n', '\r', ':', '-', '.', ',', '*', '–', '—', '\'', '$', '€', '£',
    ]);
    (inner.is_empty() && between.chars().count() <= 6).then(|| between.chars().count())
}

fn is_range(between: &str) -> bool {
    let between = between.trim().to_lowercase();
    // A currency of its own may stand behind the lower bound: `841,00 zł – 995,00 zł` is chosen by that.
    ["-", "–", "—", "~", "〜", "to", "bis", "à", "a", "до", "do", "al", "até", "tot", "till", "...", "…"]
        .contains(&between.as_str())
}

/// `-5`, `-$5`, `$-5`: a minus that touches what it belongs to, with nothing before it.
fn is_tight_minus(input: &str, front: Range<usize>) -> bool {
    let outer = input[..front.start].trim_end_matches(['(', '[']);
    let minus = |t: &str| t.strip_suffix(['-', '\u{2212}']).map(|rest| rest.trim_end().is_empty());
    minus(outer) == Some(true) || input[front].ends_with(['-', '\u{2212}'])
}

/// Words for a price of nothing.
const FREE: &str = "free|for free|free of charge|gratis|kostenlos|umsonst|gratuit|gratuite|gratuito|grátis|gratuita|бесплатно|\
        безкоштовно|за darmo|darmowe|bezpłatnie|zdarma|zadarmo|ingyenes|ücretsiz|bedava|ilmainen|gratuït|δωρεάν|\
        безплатно|besplatno|無料|免费|免費|무료|مجاني|مجانا|חינם|मुफ्त|miễn phí|ฟรี";

fn is_free(input: &str) -> bool {
    let word = input.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    FREE.split('|').any(|w| w == word)
}

/// The currency that a text names, as its ISO 4217 code: that of its price, else a sign, a code or a word.
pub fn currency(input: &str) -> Option<&'static str> {
    let input = text::head(input, limit::SHORT_VALUE_BYTES);
    parse(input).and_then(|p| p.currency).or_else(|| currency::find(input).map(|n| n.code))
}

/// The currency that a text names, as it is written there.
pub fn sign(input: &str) -> Option<String> {
    let input = text::head(input, limit::SHORT_VALUE_BYTES);
    parse(input).and_then(|p| p.sign).or_else(|| currency::find(input).map(|n| n.sign.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_the_world() {
        let cases = [
            ("1.299,00 €", 1299.0, Some("EUR")),
            ("US$ 3.5k", 3500.0, Some("USD")),
            ("₹1,23,456", 123_456.0, Some("INR")),
            ("Rs. 1,299.50", 1299.5, Some("INR")),
            ("20% off £15.99", 15.99, Some("GBP")),
            ("2 for $5", 5.0, Some("USD")),
            ("Pack of 3 $5.00", 5.0, Some("USD")),
            ("3 Stück 4,50 €", 4.5, Some("EUR")),
            ("$ 5 CAD", 5.0, Some("CAD")),
            ("CHF 12.-", 12.0, Some("CHF")),
            ("CHF 1’299.50", 1299.5, Some("CHF")),
            ("R$ 1.234,56", 1234.56, Some("BRL")),
            ("499,- Kč", 499.0, Some("CZK")),
            ("12.50", 12.5, None),
            ("1 299 kr", 1299.0, Some("SEK")),
            ("1299:50 kr", 1299.5, Some("SEK")),
            ("19€99", 19.99, Some("EUR")),
            ("12.50 $ CAD", 12.5, Some("CAD")),
            ("AU $12.99", 12.99, Some("AUD")),
            ("R 1 299.00", 1299.0, Some("ZAR")),
            ("R2 figure 5 €", 5.0, Some("EUR")),
            ("from €19,90", 19.9, Some("EUR")),
            ("10 – 20 €", 10.0, Some("EUR")),
            ("$10 - $20", 10.0, Some("USD")),
            ("-$5.00", -5.0, Some("USD")),
            ("Price - $5.00", 5.0, Some("USD")),
            ("3,5 Mio. €", 3_500_000.0, Some("EUR")),
            ("12万円", 120_000.0, Some("JPY")),
            ("٦٤٤٫٠٠ جنيه", 644.0, Some("EGP")),
            ("₹१,२३,४५६", 123_456.0, Some("INR")),
            ("Free", 0.0, None),
            ("Kostenlos!", 0.0, None),
        ];
        for (text, amount, currency) in cases {
            let price = parse(text);
            assert_eq!(price.as_ref().map(|p| p.amount), Some(amount), "{text}");
            assert_eq!(price.and_then(|p| p.currency), currency, "{text}");
        }
        assert_eq!(parse("ask us"), None);
        assert_eq!(parse("20%"), None);
        assert_eq!(parse("1.2.3"), None);
    }

    #[test]
    fn currencies() {
        assert_eq!(currency("usd"), Some("USD"));
        assert_eq!(currency("EUR"), Some("EUR"));
        assert_eq!(currency("all of it"), None);
        assert_eq!(currency("try it"), None);
        assert_eq!(sign("AED 8000 (USD 2179)").as_deref(), Some("AED"));
    }
}
