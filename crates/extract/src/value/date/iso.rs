//! Dates written for machines: ISO 8601 and its relaxations, RFC 2822, seconds since 1970.

use super::{Moment, moment, sane};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Utc};

/// The whole text as one of the forms.
pub(super) fn read(input: &str) -> Option<Moment> {
    iso(input).or_else(|| unix(input)).or_else(|| DateTime::parse_from_rfc2822(input).ok().map(moment))
}

fn iso(input: &str) -> Option<Moment> {
    let bytes = input.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(input) {
        return sane(moment(at));
    }
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%dT%H:%M%z",
        "%Y-%m-%d %H:%M:%S%.f %z",
        "%Y-%m-%d %H:%M:%S%.f%z",
        "%Y%m%dT%H%M%S%z",
    ] {
        if let Ok(at) = DateTime::parse_from_str(input, form) {
            return sane(moment(at));
        }
    }
    let (plain, offset) = match input
        .strip_suffix("UTC")
        .or_else(|| input.strip_suffix("GMT"))
        .or_else(|| input.strip_suffix('Z'))
    {
        Some(rest) => (rest.trim_end(), FixedOffset::east_opt(0)),
        None => (input, None),
    };
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%Y/%m/%d %H:%M",
        "%Y%m%dT%H%M%S",
        "%Y%m%d%H%M%S",
    ] {
        if let Ok(at) = NaiveDateTime::parse_from_str(plain, form) {
            return sane(Moment { date: at.date(), time: Some(at.time()), offset });
        }
    }
    for form in ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%G-W%V-%u", "%Y-%j"] {
        if let Ok(date) = NaiveDate::parse_from_str(plain, form) {
            return sane(Moment { date, time: None, offset: None });
        }
    }
    None
}

/// Seconds or milliseconds since 1970, by the number of digits.
fn unix(input: &str) -> Option<Moment> {
    if !input.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: i64 = input.parse().ok()?;
    let ms = match input.len() {
        10 => n.checked_mul(1000)?,
        13 => n,
        _ => return None,
    };
    DateTime::<Utc>::from_timestamp_millis(ms).map(|at| moment(at.fixed_offset()))
}
