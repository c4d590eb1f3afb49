//! Dates and times as people write them, in some sixty languages → ISO 8601. Relative ones ("2 hours ago") count from
//! a given moment.
//!
//! Must not know: the clock. A date that could be two dates is read by `day_first` and the language; a word that is no
//! month is no date; a time zone is given only if it was said.

mod clock;
mod day;
mod iso;
mod relative;
mod token;
mod words;

use super::text;
use crate::limit;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveTime, SecondsFormat};
use model::Timestamp;

/// How to read what is ambiguous.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// `03/04/2026` is 3 April (true), or as the language has it (false): March 4 where nothing else is known.
    pub day_first: bool,
    /// What "ago" counts from.
    pub now: Timestamp,
    /// Language tag of the page (`de`, `en-GB`), if it names one.
    pub language: Option<&'a str>,
}

/// A date, perhaps with a time, perhaps with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The day as written.
    pub date: NaiveDate,
    /// The time of day as written.
    pub time: Option<NaiveTime>,
    /// Offset from UTC, if written.
    pub offset: Option<FixedOffset>,
}

impl Moment {
    /// `2026-09-01`: the day as written, without moving it to UTC.
    pub fn date_text(&self) -> String {
        self.date.format("%Y-%m-%d").to_string()
    }

    /// ISO 8601: with a time if there is one, with an offset if there is one (`Z` for UTC).
    pub fn datetime_text(&self) -> String {
        let Some(time) = self.time else { return self.date_text() };
        let at = self.date.and_time(time);
        let fractions = if at.and_utc().timestamp_subsec_millis() == 0 {
            SecondsFormat::Secs
        } else {
            SecondsFormat::Millis
        };
        match self.offset.and_then(|o| at.and_local_timezone(o).single()) {
            Some(at) => at.to_rfc3339_opts(fractions, true),
            None if fractions == SecondsFormat::Secs => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
            None => at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
        }
    }
}

/// Reads a date out of a short text.
pub fn parse(input: &str, how: Reading<'_>) -> Option<Moment> {
    let input = text::head(input, limit::SHORT_VALUE_BYTES).trim();
    if input.is_empty() {
        return None;
    }
    let folded = super::digit::fold(input);
    iso::read(&folded).or_else(|| {
        let tokens = token::tokens(&folded);
        let tongue = words::Tongue::of(&tokens, how.language);
        let day = day::find(&tokens, &tongue, how);
        let absolute = day.and_then(|(date, used)| {
            let (time, offset) = clock::find(&tokens, &used, &tongue);
            sane(Moment { date, time, offset })
        });
        absolute.or_else(|| relative::find(&tokens, &tongue, how.now))
    })
}

fn moment(at: DateTime<FixedOffset>) -> Moment {
    Moment { date: at.date_naive(), time: Some(at.time()), offset: Some(*at.offset()) }
}

/// Years outside of these are other numbers that look like dates.
fn sane(at: Moment) -> Option<Moment> {
    (1000..=2999).contains(&at.date.year()).then_some(at)
}

#[cfg(test)]
mod tests;
