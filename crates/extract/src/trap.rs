//! Addresses that lead crawlers round and round: made anew by each page, never ending.
//!
//! Owns: which addresses are not worth following by their looks alone. What only time shows (calendars, next pages that
//! bring nothing new) is bounded by depth and by the trail that inputs carry (`model::Trail`).

use url::Url;

/// Bytes of an address that is followed (sitemaps.org: 2,048). Longer ones carry addresses within addresses.
const FOLLOW_BYTES: usize = 2_048;
/// Segments of its path.
const SEGMENTS: usize = 30;
/// Segments that may repeat as one sequence.
const SEQUENCE: usize = 4;
/// Times a sequence comes one after the other before it is a trap; numbers (`/2011/11/11/`) need one more.
const REPEATS: usize = 3;
/// Times the same segment comes anywhere in the path.
const SAME: usize = 5;
/// Times the same pair comes in the query.
const PAIRS: usize = 3;

/// Is it one?
pub(crate) fn is_trap(url: &Url) -> bool {
    if url.as_str().len() > FOLLOW_BYTES {
        return true;
    }
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().filter(|s| !s.is_empty()).collect();
    segments.len() > SEGMENTS
        || repeats(&segments)
        || has_many_of_one(&segments, url.query().unwrap_or_default())
}

fn repeats(segments: &[&str]) -> bool {
    (1..=SEQUENCE).any(|length| {
        let mut run = 0;
        // `run` counts how many segments in a row equal the one `length` before them.
        segments.iter().zip(&segments[length.min(segments.len())..]).any(|(before, here)| {
            run = if before == here { run + 1 } else { 0 };
            let is_number = here.bytes().all(|b| b.is_ascii_digit());
            let times = REPEATS + usize::from(is_number && length == 1);
            run >= length * (times - 1)
        })
    })
}

fn has_many_of_one(segments: &[&str], query: &str) -> bool {
    let is_word = |s: &&str| s.len() > 1 && !s.bytes().all(|b| b.is_ascii_digit());
    let segments: Vec<&str> = segments.iter().copied().filter(is_word).collect();
    let pairs: Vec<&str> = query.split('&').filter(|pair| pair.contains('=')).collect();
    most(segments) >= SAME || most(pairs) >= PAIRS
}

/// How often the most frequent one comes.
fn most(mut words: Vec<&str>) -> usize {
    words.sort_unstable();
    words.chunk_by(|a, b| a == b).map(<[&str]>::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trapped(path: &str) -> bool {
        is_trap(&Url::parse(&format!("http://a.example{path}")).unwrap())
    }

    #[test]
    fn traps_are_seen() {
        for path in [
            "/a/b/a/b/a/b/".to_owned(),
            "/shop/shop/shop".to_owned(),
            "/x/calendar/next/calendar/next/calendar/next".to_owned(),
            "/1/1/1/1".to_owned(),
            "/en/a/en/b/en/c/en/d/en".to_owned(),
            "/p?x=1&x=1&x=1".to_owned(),
            format!("/p?back={}", "x".repeat(3_000)),
            "/s".repeat(40),
        ] {
            assert!(trapped(&path), "{path}");
        }
    }

    #[test]
    fn ordinary_addresses_are_followed() {
        for path in [
            "/",
            "/p/1",
            "/2011/11/11/eleven",
            "/a/b/a/b",
            "/shop/shop",
            "/news/2026/01/02/a-b-c.html",
            "/p?x=1&x=2&x=3&y=1",
            "/p?x&x&x",
            "//a//b",
            "/de/de/moebel",
            "/w/index.php?title=A&action=edit",
        ] {
            assert!(!trapped(path), "{path}");
        }
    }
}
