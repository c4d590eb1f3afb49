//! `Retry-After` (RFC 9110 10.2.3): seconds, or a date.

use model::Timestamp;
use std::time::UNIX_EPOCH;

/// Milliseconds to wait as of `now`; `None` if the header is missing or says nothing. Zero for a date that has passed.
pub fn retry_after(headers: &[(String, String)], now: Timestamp) -> Option<u64> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    value_ms(value, now)
}

/// The same for the bare value.
pub(crate) fn value_ms(value: &str, now: Timestamp) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More seconds than fit are still "a very long time".
        return Some(value.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1_000));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let at_ms = at.duration_since(UNIX_EPOCH).ok()?.as_millis();
    Some(Timestamp::from_ms(i64::try_from(at_ms).unwrap_or(i64::MAX)).ms_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<u64>) {
        // 2015-10-21T07:28:00Z.
        let now = Timestamp::from_ms(1_445_412_480_000);
        let headers = [("server".to_owned(), "x".to_owned()), ("retry-after".to_owned(), value.to_owned())];
        assert_eq!(retry_after(&headers, now), expected, "{value}");
    }

    #[test]
    fn seconds_and_dates() {
        check("0", Some(0));
        check("120", Some(120_000));
        check(" 7 ", Some(7_000));
        check("99999999999999999999999", Some(u64::MAX));
        check("Wed, 21 Oct 2015 07:28:30 GMT", Some(30_000));
        check("Wednesday, 21-Oct-15 07:29:00 GMT", Some(60_000));
        check("Wed Oct 21 07:28:01 2015", Some(1_000));
        check("Wed, 21 Oct 2015 07:00:00 GMT", Some(0));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
    }

    #[test]
    fn what_says_nothing() {
        for value in ["", "-1", "1.5", "soon", "+3", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            check(value, None);
        }
        assert_eq!(retry_after(&[], Timestamp::from_ms(0)), None);
    }
}
