//! Pages kept from before: what to ask the site about them (RFC 9110, 13), and how old they are (RFC 9111, 4).
//!
//! Owns: validators and age as arithmetic over header lines. Pure; must not know where pages are kept.

use model::Timestamp;
use std::time::UNIX_EPOCH;

/// Header lines as pages carry them: names in lower case.
type Lines = [(String, String)];

/// What a site gave to ask with later whether a page has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`, as sent.
    pub etag: Option<String>,
    /// `Last-Modified`, as sent.
    pub last_modified: Option<String>,
}

impl Validators {
    /// Those of an answer. A `Last-Modified` within the second in which the answer was made is none: the page may have
    /// changed again within that second (RFC 9110, 8.8.2.2).
    pub fn of(headers: &Lines) -> Self {
        let etag = line(headers, "etag").filter(|tag| is_etag(tag)).map(str::to_owned);
        let last_modified = line(headers, "last-modified").filter(|text| match date_ms(text) {
            Some(modified) => date(headers).is_none_or(|made| made.ms() - modified.ms() >= 1_000),
            None => false,
        });
        Self { etag, last_modified: last_modified.map(str::to_owned) }
    }

    /// Nothing to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// The header lines of a conditional request. Both, as a site may know only one of them; one that knows both goes by
    /// the tag.
    pub fn lines(&self) -> Vec<(String, String)> {
        let line = |name: &str, value: &Option<String>| value.clone().map(|value| (name.to_owned(), value));
        [line("if-none-match", &self.etag), line("if-modified-since", &self.last_modified)]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Whether a 304 speaks of the kept answer: a tag that it names must be the kept one (weak comparison).
pub fn confirms(kept: &Lines, not_modified: &Lines) -> bool {
    let bare = |tag: &'_ str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    match (line(kept, "etag"), line(not_modified, "etag")) {
        (Some(kept), Some(said)) => bare(kept) == bare(said),
        _ => true,
    }
}

/// The kept header lines with what a 304 says newer (RFC 9111, 3.2 and 4.3.4). What describes the bytes of a body stays,
/// as the body does; cookies are not kept.
pub fn freshen(kept: &mut Vec<(String, String)>, not_modified: &Lines) {
    let newer: Vec<&(String, String)> =
        not_modified.iter().filter(|(name, _)| is_kept(name) && !name.starts_with("content-")).collect();
    kept.retain(|(name, _)| !newer.iter().any(|(n, _)| n == name));
    kept.extend(newer.into_iter().cloned());
}

/// Whether a header line is kept with its page: not what belongs to the connection, and no cookies.
pub fn is_kept(name: &str) -> bool {
    const NOT: &[&str] = &[
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "set-cookie",
        "set-cookie2",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    !NOT.contains(&name)
}

/// `Vary: *`: the answer was made for this very request, and stands for no other.
pub fn is_for_once(headers: &Lines) -> bool {
    headers
        .iter()
        .filter(|(name, _)| name == "vary")
        .any(|(_, value)| value.split(',').any(|v| v.trim() == "*"))
}

/// How old an answer is, milliseconds: what caches on the way say or its date says, and the time since it arrived
/// (RFC 9111, 4.2.3).
pub fn age_ms(headers: &Lines, arrived: Timestamp, now: Timestamp) -> u64 {
    let said =
        line(headers, "age").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1_000);
    let apparent = date(headers).map_or(0, |made| arrived.ms_since(made));
    said.max(apparent).saturating_add(now.ms_since(arrived))
}

/// When an answer was made, by the site's own clock if that is behind ours: what the site says happened later was not in
/// it.
pub fn made_at(headers: &Lines, arrived: Timestamp) -> Timestamp {
    date(headers).map_or(arrived, |made| made.min(arrived))
}

fn line<'h>(headers: &'h Lines, name: &str) -> Option<&'h str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim())
}

fn date(headers: &Lines) -> Option<Timestamp> {
    line(headers, "date").and_then(date_ms)
}

fn date_ms(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp::from_ms)
}

/// `"…"` or `W/"…"`, of characters that a tag may have.
fn is_etag(tag: &str) -> bool {
    let opaque =
        tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    tag.len() <= 1_024
        && opaque.is_some_and(|inside| inside.bytes().all(|b| b == 0x21 || (0x23..0x7f).contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    const NOON: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
    const NOON_MS: i64 = 1_445_412_480_000;

    #[test]
    fn validators_that_can_be_trusted() {
        let of = |pairs: &[(&str, &str)]| Validators::of(&lines(pairs)).lines();
        assert_eq!(of(&[("etag", "W/\"a\"")]), lines(&[("if-none-match", "W/\"a\"")]));
        assert_eq!(
            of(&[("etag", "\"\""), ("last-modified", NOON)]),
            lines(&[("if-none-match", "\"\""), ("if-modified-since", NOON)])
        );
        for nothing in ["a", "\"a", "w/\"a\"", "\"a\" \"b\"", "\"\u{e9}\"", ""] {
            assert!(of(&[("etag", nothing)]).is_empty(), "{nothing}");
        }
        // Made in the second in which it was changed.
        assert!(of(&[("last-modified", NOON), ("date", NOON)]).is_empty());
        assert_eq!(of(&[("last-modified", NOON), ("date", "Wed, 21 Oct 2015 07:28:01 GMT")]).len(), 1);
        assert!(of(&[("last-modified", "soon")]).is_empty());
    }

    #[test]
    fn a_304_must_speak_of_the_kept_page() {
        let kept = lines(&[("etag", "\"a\"")]);
        assert!(confirms(&kept, &lines(&[("etag", "W/\"a\"")])));
        assert!(confirms(&kept, &[]) && confirms(&[], &kept));
        assert!(!confirms(&kept, &lines(&[("etag", "\"b\"")])));
    }

    #[test]
    fn a_304_renews_what_it_names() {
        let mut kept = lines(&[("content-type", "text/html"), ("x", "1"), ("x", "2"), ("age", "9")]);
        freshen(&mut kept, &lines(&[("x", "3"), ("content-type", "text/plain"), ("set-cookie", "a=b")]));
        assert_eq!(kept, lines(&[("content-type", "text/html"), ("age", "9"), ("x", "3")]));
    }

    #[test]
    fn age_counts_what_happened_before_it_arrived() {
        let at = |ms: i64| Timestamp::from_ms(NOON_MS + ms);
        assert_eq!(age_ms(&[], at(0), at(5_000)), 5_000);
        assert_eq!(age_ms(&lines(&[("age", "60")]), at(0), at(5_000)), 65_000);
        assert_eq!(age_ms(&lines(&[("age", "60"), ("date", NOON)]), at(100_000), at(100_000)), 100_000);
        // A clock ahead of ours says nothing.
        assert_eq!(age_ms(&lines(&[("date", NOON)]), at(-9_000), at(0)), 9_000);
        assert_eq!(made_at(&lines(&[("date", NOON)]), at(60_000)), at(0));
        assert_eq!(made_at(&lines(&[("date", NOON)]), at(-60_000)), at(-60_000));
    }

    #[test]
    fn vary_star_stands_for_nothing_else() {
        assert!(is_for_once(&lines(&[("vary", "accept, *")])));
        assert!(!is_for_once(&lines(&[("vary", "accept-encoding")])));
    }

    proptest! {
        #[test]
        fn no_header_panics_and_age_never_shrinks(
            name in "(etag|date|age|last-modified|vary|x)", value in "\\PC{0,40}", arrived: i64, later in 0_i64..1 << 40,
        ) {
            let headers = vec![(name, value)];
            let _ = Validators::of(&headers).lines();
            let (arrived, now) = (Timestamp::from_ms(arrived), Timestamp::from_ms(arrived).plus_ms(later));
            prop_assert!(age_ms(&headers, arrived, now) >= now.ms_since(arrived));
            prop_assert!(made_at(&headers, arrived) <= arrived);
            let mut kept = headers.clone();
            freshen(&mut kept, &headers);
            prop_assert!(kept.len() <= 1);
        }
    }
}
