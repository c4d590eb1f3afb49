//! Time as a value: milliseconds since 1970 UTC, its ISO 8601 words, and durations as callers write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than everything: "when somebody wakes it".
    pub const NEVER: Self = Self(i64::MAX);

    /// From milliseconds since 1970.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This moment and `ms` more, never past [`Timestamp::NEVER`].
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this, zero if it lies ahead.
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// Takes `2026-09-01`, `2026-09-01T10:00:00`, with or without fractions, `Z` or an offset. No zone means UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(at.timestamp_millis()));
        }
        let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
            .ok()
            .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
        Some(Self(naive.and_utc().timestamp_millis()))
    }
}

/// The latest moment that a sitemap's `lastmod` can mean: a day without a time lasts until it has ended everywhere.
pub fn lastmod(text: &str) -> Option<Timestamp> {
    /// A day, and the twelve hours by which the last time zone is behind UTC.
    const DAY_EVERYWHERE_MS: i64 = 36 * 3_600_000;
    let text = text.trim();
    match text.len() {
        // W3C datetime also knows a year, and a year with its month: too coarse to say anything.
        0..10 => None,
        10 => Some(Timestamp::parse(text)?.plus_ms(DAY_EVERYWHERE_MS)),
        // Seconds may be cut off; no zone is read as UTC, though it may be any.
        _ => DateTime::parse_from_rfc3339(text)
            .map(|at| Timestamp(at.timestamp_millis()))
            .or_else(|_| {
                DateTime::parse_from_str(&text.replace('Z', "+00:00"), "%Y-%m-%dT%H:%M%:z")
                    .map(|at| Timestamp(at.timestamp_millis()))
            })
            .ok()
            .or_else(|| Some(Timestamp::parse(text)?.plus_ms(DAY_EVERYWHERE_MS))),
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 with milliseconds and `Z`, as in `timestamp` of a record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => f.write_str("never"),
        }
    }
}

/// Milliseconds of a duration as callers write it (api.md 2.1): `30s`, `3m`, `15min`, `2h`, `3d`. `None` for other
/// words, zero, or what does not fit.
pub fn duration_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let unit_ms: i64 = match unit.trim() {
        "ms" => 1,
        "s" | "sec" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let ms = number.parse::<i64>().ok()?.checked_mul(unit_ms)?;
    (ms > 0).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_api_does() {
        assert_eq!(Timestamp::from_ms(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::NEVER.to_string(), "never");
    }

    #[test]
    fn moments_are_read_in_the_forms_callers_use() {
        let noon = Timestamp::from_ms(1_788_264_000_000);
        for text in [
            "2026-09-01T12:00:00Z",
            "2026-09-01T12:00:00.000Z",
            "2026-09-01T14:00:00+02:00",
            "2026-09-01 12:00:00",
            "2026-09-01T12:00",
        ] {
            assert_eq!(Timestamp::parse(text), Some(noon), "{text}");
        }
        assert_eq!(Timestamp::parse("2026-09-01"), Some(noon.plus_ms(-12 * 3_600_000)));
        assert_eq!(Timestamp::parse("soon"), None);
    }

    #[test]
    fn a_lastmod_is_read_at_its_latest() {
        let at = |text: &str| lastmod(text).map(|at| at.to_string());
        assert_eq!(at(" 2026-03-04T05:06:07+01:00 ").as_deref(), Some("2026-03-04T04:06:07.000Z"));
        assert!(at("2026-03-04T05:06Z").is_some_and(|at| at.as_str() >= "2026-03-04T05:06:00.000Z"));
        assert_eq!(at("2026-03-04T05:06+01:00").as_deref(), Some("2026-03-04T04:06:00.000Z"));
        assert_eq!(at("2026-03-04").as_deref(), Some("2026-03-05T12:00:00.000Z"));
        for vague in ["", "2026", "2026-03", "yesterday", "2026-13-40"] {
            assert_eq!(at(vague), None, "{vague}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration_ms("30s"), Some(30_000));
        assert_eq!(duration_ms("15min"), Some(900_000));
        assert_eq!(duration_ms("3m"), Some(180_000));
        assert_eq!(duration_ms("2h"), Some(7_200_000));
        assert_eq!(duration_ms("3d"), Some(259_200_000));
        for bad in ["", "s", "0s", "-3s", "3", "3w", "99999999999999999999d", "9223372036854775807d"] {
            assert_eq!(duration_ms(bad), None, "{bad}");
        }
    }
}
