//! Cron expressions in time zones, as instants. Pure.
//!
//! Daylight saving (as in Vixie's cron): an expression that names its hours fires once at the first moment that exists if
//! its time is left out, and once, at the first of the two, if its time comes twice. An expression of intervals
//! (`*/5 * * * *`) follows the clock as it runs.

use chrono::{DateTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use model::Timestamp;

/// Characters of an expression.
const EXPRESSION_CHARS: usize = 200;

/// When a schedule is due.
pub(crate) struct Calendar {
    cron: Cron,
    zone: Tz,
}

/// What is wrong, by field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CalendarFault {
    Cron(String),
    TimeZone(String),
}

impl Calendar {
    /// Reads an expression of five fields, or of six beginning with seconds, and an IANA time zone.
    pub(crate) fn read(cron: &str, time_zone: &str) -> Result<Self, CalendarFault> {
        let zone = time_zone.parse().map_err(|_| {
            CalendarFault::TimeZone("must be an IANA time zone such as `Europe/Berlin` or `UTC`".to_owned())
        })?;
        if cron.chars().count() > EXPRESSION_CHARS {
            return Err(CalendarFault::Cron(format!("must have at most {EXPRESSION_CHARS} characters")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(cron.trim()).map_err(|error| {
            CalendarFault::Cron(format!(
                "must be a cron expression of 5 fields, or 6 with seconds first: {error}"
            ))
        })?;
        Ok(Self { cron, zone })
    }

    /// The first planned time after that one; `None` if none comes.
    pub(crate) fn after(&self, at: Timestamp) -> Option<Timestamp> {
        instant(&self.cron.find_next_occurrence(&self.local(at)?, false).ok()?).filter(|next| *next > at)
    }

    /// The last planned time up to that one, which counts.
    pub(crate) fn up_to(&self, at: Timestamp) -> Option<Timestamp> {
        instant(&self.cron.find_previous_occurrence(&self.local(at)?, true).ok()?).filter(|last| *last <= at)
    }

    /// The next planned times.
    pub(crate) fn next(&self, from: Timestamp, most: usize) -> Vec<Timestamp> {
        std::iter::successors(self.after(from), |at| self.after(*at)).take(most).collect()
    }

    /// To the second: expressions know no parts of one, and what is planned for this second is not after it.
    fn local(&self, at: Timestamp) -> Option<DateTime<Tz>> {
        let utc = DateTime::<Utc>::from_timestamp(at.ms().div_euclid(1_000), 0)?;
        Some(self.zone.from_utc_datetime(&utc.naive_utc()))
    }
}

fn instant(at: &DateTime<Tz>) -> Option<Timestamp> {
    Timestamp::parse(&at.with_timezone(&Utc).to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn next(cron: &str, zone: &str, from: &str, most: usize) -> Vec<String> {
        let calendar = Calendar::read(cron, zone).map_err(|e| format!("{e:?}")).unwrap();
        calendar.next(at(from), most).iter().map(|t| t.to_string().replace(":00.000Z", "Z")).collect()
    }

    #[test]
    fn five_fields_or_six() {
        assert_eq!(next("30 6 * * *", "UTC", "2026-01-01T07:00:00Z", 1), ["2026-01-02T06:30Z"]);
        assert_eq!(next("0 0 6 * * MON", "UTC", "2026-01-01T07:00:00Z", 1), ["2026-01-05T06:00Z"]);
        assert_eq!(next("0 6 * * *", "America/New_York", "2026-01-01T00:00:00Z", 1), ["2026-01-01T11:00Z"]);
    }

    #[test]
    fn parts_of_a_second_neither_repeat_nor_lose() {
        let calendar = Calendar::read("* * * * * *", "UTC").map_err(|e| format!("{e:?}")).unwrap();
        assert_eq!(calendar.after(at("2026-01-01T00:00:00.400Z")), Some(at("2026-01-01T00:00:01Z")));
        assert_eq!(calendar.after(at("2026-01-01T00:00:01Z")), Some(at("2026-01-01T00:00:02Z")));
        assert_eq!(calendar.up_to(at("2026-01-01T00:00:01.999Z")), Some(at("2026-01-01T00:00:01Z")));
    }

    #[test]
    fn a_time_that_does_not_exist_fires_once_at_the_next_that_does() {
        // Berlin leaves out 2:00 to 3:00 on 29 March 2026, New York on 8 March.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]
        );
        assert_eq!(
            next("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2),
            ["2026-03-08T07:00Z", "2026-03-09T06:30Z"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_fires_once() {
        // Berlin has 2:00 to 3:00 twice on 25 October 2026, New York 1:00 to 2:00 on 1 November.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]
        );
        assert_eq!(
            next("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2),
            ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]
        );
    }

    #[test]
    fn intervals_follow_the_clock_as_it_runs() {
        let fired = next("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:59:00Z", 6);
        assert_eq!(fired.first().map(String::as_str), Some("2026-10-25T00:00Z"));
        assert_eq!(fired.last().map(String::as_str), Some("2026-10-25T02:30Z"), "{fired:?}");
    }

    #[test]
    fn backwards_and_forwards_agree_over_the_changes() {
        for (cron, zone, from) in [
            ("30 2 * * *", "Europe/Berlin", "2026-03-27T00:00:00Z"),
            ("30 2 * * *", "Europe/Berlin", "2026-10-23T00:00:00Z"),
            ("30 1 * * *", "America/New_York", "2026-10-30T00:00:00Z"),
            ("15 0 * * *", "America/Havana", "2026-03-06T00:00:00Z"),
            ("0 2 * * *", "Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
        ] {
            let calendar = Calendar::read(cron, zone).map_err(|e| format!("{e:?}")).unwrap();
            for planned in calendar.next(at(from), 6) {
                assert_eq!(calendar.up_to(planned), Some(planned), "{cron} {zone} {planned}");
            }
        }
    }

    #[test]
    fn faults_name_their_field() {
        assert!(matches!(Calendar::read("* * *", "UTC"), Err(CalendarFault::Cron(_))));
        assert!(matches!(Calendar::read("61 * * * *", "UTC"), Err(CalendarFault::Cron(_))));
        assert!(matches!(Calendar::read("0 0 0 * * * 2030", "UTC"), Err(CalendarFault::Cron(_))));
        assert!(matches!(Calendar::read(&"1,".repeat(400), "UTC"), Err(CalendarFault::Cron(_))));
        assert!(matches!(Calendar::read("* * * * *", "Mars/Olympus"), Err(CalendarFault::TimeZone(_))));
        let never = Calendar::read("0 0 31 2 *", "UTC").map(|c| c.after(at("2026-01-01T00:00:00Z")));
        assert!(matches!(never, Ok(None) | Err(CalendarFault::Cron(_))));
    }
}
