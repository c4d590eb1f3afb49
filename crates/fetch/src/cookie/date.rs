//! Dates in cookies, as RFC 6265 5.1.1 reads them: any order, any separators, two-digit years.

/// Characters of a date that are looked at: a date is short.
const CHARS_MAX: usize = 128;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Seconds since 1970; `None` if it is no date.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == ':' || !c.is_ascii();
    let mut time = None;
    let (mut day, mut month, mut year) = (None, None, None);
    let text: String = text.chars().take(CHARS_MAX).collect();
    for part in text.split(|c| !is_part(c)).filter(|part| !part.is_empty()) {
        if time.is_none() && part.contains(':') {
            time = clock(part);
            if time.is_some() {
                continue;
            }
        }
        if day.is_none()
            && let Some(n) = digits(part, 1, 2)
        {
            day = Some(n);
            continue;
        }
        let lower = part.to_ascii_lowercase();
        if month.is_none()
            && let Some(at) = MONTHS.iter().position(|name| lower.starts_with(name))
        {
            month = i64::try_from(at + 1).ok();
            continue;
        }
        if year.is_none()
            && let Some(n) = digits(part, 2, 4)
        {
            year = Some(match n {
                0..=69 => n + 2000,
                70..=99 => n + 1900,
                _ => n,
            });
        }
    }
    let ((hour, minute, second), day, month, year) = (time?, day?, month?, year?);
    let fits = (1..=31).contains(&day) && year >= 1601 && hour <= 23 && minute <= 59 && second <= 59;
    fits.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The number at the beginning, if it has so many digits and no more.
fn digits(text: &str, least: usize, most: usize) -> Option<i64> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    (least..=most).contains(&len).then(|| text[..len].parse().ok())?
}

fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.splitn(3, ':');
    let whole = |part: &str| digits(part, 1, 2).filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
    Some((whole(parts.next()?)?, whole(parts.next()?)?, digits(parts.next()?, 1, 2)?))
}

/// Days since 1970-01-01 (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_servers_write_them() {
        let wanted = Some(1_445_412_480);
        for text in [
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wed, 21-Oct-2015 07:28:00 GMT",
            "Wednesday, 21-Oct-15 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2015",
            "21 october 2015 7:28:0",
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for text in
            ["", "soon", "Wed, 32 Oct 2015 07:28:00", "21 Oct 2015", "21 Oct 2015 25:00:00", "0:0:0 é"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
