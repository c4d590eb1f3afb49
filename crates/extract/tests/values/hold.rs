//! What every value parser holds on any text: it ends, does not panic, gives nothing larger than it was given, and reads
//! back what is written from a known value. Long hostile texts take time linear in what is looked at.

use crate::every::{all, reading};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use extract::value::{date, duration, price, rating};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Pieces that values are made of, so that random texts are near to values.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "12",
        "2024",
        "31",
        "0",
        "٣",
        "५",
        "９",
        ".",
        ",",
        "'",
        " ",
        "\u{a0}",
        "-",
        "–",
        "/",
        ":",
        "+",
        "%",
        "€",
        "$",
        "US$",
        "руб.",
        "kr",
        "EUR",
        "Jan",
        "märz",
        "января",
        "年",
        "月",
        "日",
        "時",
        "오후",
        "ก.พ.",
        "tháng",
        "كانون",
        "الثاني",
        "pm",
        "a.m.",
        "Z",
        "UTC",
        "ago",
        "vor",
        "Tagen",
        "前",
        "PT",
        "H",
        "M",
        "½",
        "★",
        "☆",
        "out of",
        "von",
        "@",
        "tel:",
        "(0)",
        "49",
        ">",
        "»",
        "«",
        "<a href=/>",
        "</a>",
        "<b>",
        "<li>",
        "\u{301}",
        "\u{200d}",
        "İ",
        "ß",
        "k",
        "Mio",
        "万",
        "元",
        "in stock",
        "2x",
        "w",
        "\n",
        "free",
        "T",
        "[at]",
        "%40",
        "xn--",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn any_text(input in ".{0,200}") {
        all(&input);
    }

    #[test]
    fn texts_near_to_values(input in pieces()) {
        all(&input);
    }

    #[test]
    fn a_written_moment_is_read_back(days in 0_i64..100_000, seconds in 0_u32..86_400, form in 0_usize..9) {
        let date = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap() + chrono::Duration::days(days);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0).unwrap();
        let at = NaiveDateTime::new(date, time);
        let (text, exact) = match form {
            0 => (at.format("%Y-%m-%dT%H:%M:%S").to_string(), true),
            1 => (at.format("%A, %B %-d, %Y at %-I:%M:%S %p").to_string(), true),
            2 => (at.format("%d %b %Y %H:%M:%S").to_string(), true),
            3 => (at.format("%d.%m.%Y, %H:%M:%S Uhr").to_string(), true),
            4 => (at.format("%Y年%-m月%-d日 %H時%M分%S秒").to_string(), true),
            5 => (at.format("%a %b %e %H:%M:%S %Y").to_string(), true),
            6 => (format!("{} de {} de {}", date.day(), SPANISH[date.month0() as usize], date.year()), false),
            7 => (format!("{} {} {} г.", date.day(), RUSSIAN[date.month0() as usize], date.year()), false),
            _ => (at.format("%Y/%m/%d").to_string(), false),
        };
        let read = date::parse(&text, reading(None));
        prop_assert_eq!(read.map(|m| m.date), Some(date), "{}", text);
        if exact {
            prop_assert_eq!(read.and_then(|m| m.time), Some(time), "{}", text);
        }
    }

    #[test]
    fn an_iso_moment_with_an_offset_keeps_it(minutes in -14 * 60..14 * 60, seconds in 0_i64..4_000_000_000) {
        let offset = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
        let at = chrono::DateTime::from_timestamp(seconds, 0).unwrap().with_timezone(&offset);
        let text = at.to_rfc3339();
        let read = date::parse(&text, reading(None)).unwrap();
        prop_assert_eq!(read.offset, Some(offset));
        prop_assert_eq!(chrono::DateTime::parse_from_rfc3339(&text).unwrap().second(), read.time.unwrap().second());
    }

    #[test]
    fn a_written_price_is_read_back(cents in 0_u64..100_000_000_000, form in 0_usize..7) {
        let (whole, rest) = (cents / 100, cents % 100);
        let grouped = |mark: &str| {
            let digits = whole.to_string();
            let head = digits.len() % 3;
            let groups = digits.as_bytes()[head..].chunks(3).map(|c| std::str::from_utf8(c).unwrap().to_owned());
            let mut parts: Vec<String> = if head > 0 { vec![digits[..head].to_owned()] } else { Vec::new() };
            parts.extend(groups);
            parts.join(mark)
        };
        let (text, code) = match form {
            0 => (format!("${}.{rest:02}", grouped(",")), "USD"),
            1 => (format!("{},{rest:02} €", grouped(".")), "EUR"),
            2 => (format!("{},{rest:02}\u{a0}zł", grouped("\u{a0}")), "PLN"),
            3 => (format!("CHF {}.{rest:02}", grouped("’")), "CHF"),
            4 => (format!("from £{}.{rest:02}", grouped(",")), "GBP"),
            5 => (format!("{}.{rest:02} USD", whole), "USD"),
            _ => (format!("{},{rest:02} руб.", grouped(" ")), "RUB"),
        };
        let price = price::parse(&text).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let amount = cents as f64 / 100.0;
        prop_assert!((price.amount - amount).abs() < 1e-6, "{text}: {}", price.amount);
        prop_assert_eq!(price.currency, Some(code), "{}", text);
    }

    #[test]
    fn a_written_span_is_read_back(hours in 0_u32..100, minutes in 0_u32..60, seconds in 0_u32..60, form in 0_usize..4) {
        let text = match form {
            0 => format!("PT{hours}H{minutes}M{seconds}S"),
            1 => format!("{hours} hours {minutes} min {seconds} sec"),
            2 => format!("{hours} Std. {minutes} Min. {seconds} Sek."),
            _ => format!("{hours}:{minutes:02}:{seconds:02}"),
        };
        let total = f64::from(hours * 3600 + minutes * 60 + seconds);
        prop_assert_eq!(duration::seconds(&text), Some(total), "{}", text);
    }

    #[test]
    fn a_written_rating_is_read_back(tenths in 0_u32..50, form in 0_usize..4) {
        let (a, b) = (tenths / 10, tenths % 10);
        let text = match form {
            0 => format!("{a}.{b} out of 5"),
            1 => format!("{a},{b} von 5 Sternen"),
            2 => format!("{a}.{b}/5"),
            _ => format!("Rated {a}.{b} of 5"),
        };
        let rating = rating::parse(&text).unwrap();
        prop_assert!((rating.value - f64::from(tenths) / 10.0).abs() < 1e-9, "{}", text);
        prop_assert_eq!(rating.best, Some(5.0), "{}", text);
    }
}

const SPANISH: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];
const RUSSIAN: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];

#[test]
fn long_hostile_texts_end_soon() {
    let seeds = [
        "1",
        "1.",
        "1 ",
        "1,1",
        "$",
        "$1",
        "Jan ",
        "1 Jan ",
        "年",
        "1年",
        ":",
        "1:",
        "@",
        "a@",
        "a.",
        "a.b",
        ">",
        "> a ",
        "★",
        "½",
        "+",
        "(0)",
        "1h",
        "PT1H",
        "ago ",
        "1 day ",
        "vor ",
        "%40",
        "[at]",
        "\u{301}",
        "<a>",
        "<b>x",
        "руб",
        "out of 5 ",
        ", ",
        "a 1w, ",
        "ก",
        "a.m.",
    ];
    let begun = Instant::now();
    for seed in seeds {
        let text = seed.repeat(100_000 / seed.len());
        all(&text);
    }
    // Quadratic work on 100 kB would take hours; the bound is generous because machines are shared.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
