//! Prices and currencies: `US$ 3.5k`, `1.299,00 €`, `₹1,23,456`, `CHF 12.-`.

use super::number::{self, Found, Lone};

/// Signs and words of currencies with their ISO 4217 codes; longer signs stand before their parts.
const SIGNS: &[(&str, &str)] = &[
    ("US$", "USD"),
    ("U$S", "USD"),
    ("CA$", "CAD"),
    ("C$", "CAD"),
    ("AU$", "AUD"),
    ("A$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("MX$", "MXN"),
    ("SG$", "SGD"),
    ("S$", "SGD"),
    ("R$", "BRL"),
    ("RD$", "DOP"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₩", "KRW"),
    ("₪", "ILS"),
    ("฿", "THB"),
    ("₫", "VND"),
    ("₱", "PHP"),
    ("₴", "UAH"),
    ("₦", "NGN"),
    ("₸", "KZT"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("円", "JPY"),
    ("¥", "JPY"),
    ("￥", "JPY"),
    ("元", "CNY"),
    ("руб", "RUB"),
    ("грн", "UAH"),
    ("лв", "BGN"),
    ("د.إ", "AED"),
    ("$", "USD"),
];

/// Words that are currencies only as whole words.
const WORDS: &[(&str, &str)] = &[
    ("euro", "EUR"),
    ("euros", "EUR"),
    ("dollar", "USD"),
    ("dollars", "USD"),
    ("rs", "INR"),
    ("tl", "TRY"),
    ("ft", "HUF"),
    ("lei", "RON"),
    ("kr", "SEK"),
    ("dhs", "AED"),
];

/// ISO 4217 codes that shops use.
const CODES: &[&str] = &[
    "AED", "ARS", "AUD", "BDT", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "DOP",
    "EGP", "EUR", "GBP", "GHS", "HKD", "HRK", "HUF", "IDR", "ILS", "INR", "ISK", "JOD", "JPY", "KES", "KRW",
    "KWD", "KZT", "LKR", "MAD", "MXN", "MYR", "NGN", "NOK", "NPR", "NZD", "OMR", "PEN", "PHP", "PKR", "PLN",
    "QAR", "RON", "RSD", "RUB", "SAR", "SEK", "SGD", "THB", "TND", "TRY", "TWD", "UAH", "USD", "UYU", "VND",
    "ZAR",
];

/// A price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// In units of the currency, not cents.
    pub amount: f64,
    /// ISO 4217 code, if the text names one.
    pub currency: Option<&'static str>,
}

/// The price in a short text. Numbers beside a currency go before others, percentages never count, "free" is 0.
pub fn parse(text: &str) -> Option<Price> {
    let numbers = number::all(text, Lone::Groups, 16);
    let sign = currency_at(text);
    let near = |f: &Found| match sign {
        Some((start, end, _)) => {
            let gap =
                if f.start >= end { &text[end..f.start] } else { text.get(f.end..start).unwrap_or("far") };
            gap.trim().len() <= 1
        }
        None => false,
    };
    let counts = |f: &&Found| !text[f.end..].trim_start().starts_with('%');
    let found = numbers.iter().filter(counts).find(|f| near(f)).or_else(|| numbers.iter().find(counts));
    let currency = sign.map(|(_, _, code)| code);
    match found {
        Some(f) => {
            let amount = f.value * number::multiplier(&text[f.end..]);
            Some(Price { amount, currency })
        }
        None if says_free(text) => Some(Price { amount: 0.0, currency }),
        None => None,
    }
}

fn says_free(text: &str) -> bool {
    let word = text.trim().to_lowercase();
    ["free", "gratis", "kostenlos", "gratuit", "бесплатно"].contains(&word.as_str())
}

/// The currency that a text names, as its ISO 4217 code: a sign, a code or a word.
pub fn currency(text: &str) -> Option<&'static str> {
    currency_at(text).map(|(_, _, code)| code)
}

fn currency_at(text: &str) -> Option<(usize, usize, &'static str)> {
    // A code is the surest: `$ 5 CAD` is Canadian. A word must be a code as it stands, or in any case if it is all.
    let alone = text.trim();
    let mut word: Option<(usize, usize, &'static str)> = None;
    for (start, part) in words(text) {
        let end = start + part.len();
        let code = CODES.iter().find(|c| **c == part || (part == alone && part.eq_ignore_ascii_case(c)));
        if let Some(code) = code {
            return Some((start, end, code));
        }
        if word.is_none()
            && let Some((_, code)) = WORDS.iter().find(|(w, _)| part.eq_ignore_ascii_case(w))
        {
            word = Some((start, end, code));
        }
    }
    SIGNS.iter().find_map(|(sign, code)| text.find(sign).map(|at| (at, at + sign.len(), *code))).or(word)
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split(|c: char| !c.is_alphabetic()).filter_map(move |part| {
        let start = at;
        at = start + part.len();
        // Step over the separator, which may be longer than one byte.
        at += text[at..].chars().next().map_or(0, char::len_utf8);
        (!part.is_empty()).then_some((start, part))
    })
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
            ("$ 5 CAD", 5.0, Some("CAD")),
            ("CHF 12.-", 12.0, Some("CHF")),
            ("R$ 1.234,56", 1234.56, Some("BRL")),
            ("499,- Kč", 499.0, Some("CZK")),
            ("12.50", 12.5, None),
            ("1 299 kr", 1299.0, Some("SEK")),
            ("Free", 0.0, None),
        ];
        for (text, amount, currency) in cases {
            assert_eq!(parse(text), Some(Price { amount, currency }), "{text}");
        }
        assert_eq!(parse("ask us"), None);
        assert_eq!(parse("20%"), None);
    }

    #[test]
    fn currencies() {
        assert_eq!(currency("usd"), Some("USD"));
        assert_eq!(currency("EUR"), Some("EUR"));
        assert_eq!(currency("all of it"), None);
        assert_eq!(currency("try it"), None);
    }
}
