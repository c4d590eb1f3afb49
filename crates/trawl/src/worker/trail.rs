//! What a listing page adds to the trail that leads on from it, so that endless lists end.
//!
//! Owns: telling a page that is the one before it again, and what further listing pages carry. Must not know: what was
//! collected before (the store does, and starts a trail anew where a page brought something new).

use extract::Extraction;
use model::{Input, Trail};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Things that a page gives before it can be called the same as another: one row may be the same by chance.
const THINGS: usize = 2;

/// What the page of a list was like.
pub(super) struct Seen {
    /// It gives what the page before it gave, in the same order: the site shows its last page for ever.
    pub(super) is_echo: bool,
    /// What further listing pages carry.
    pub(super) trail: Trail,
}

/// Looks at what the page of an input gave.
pub(super) fn seen(input: &Input, extraction: &Extraction) -> Seen {
    let leads_on = extraction.follow.iter().any(|follow| !follow.found);
    // Only the pages of a list have a page before or behind them.
    if !leads_on && input.trail.gave == 0 {
        return Seen { is_echo: false, trail: Trail::default() };
    }
    let found = extraction.follow.iter().filter(|follow| follow.found);
    let mut hasher = DefaultHasher::new();
    let mut things = extraction.records.len();
    extraction.records.hash(&mut hasher);
    for follow in found {
        follow.url.hash(&mut hasher);
        things += 1;
    }
    let gave = if things >= THINGS { hasher.finish().max(1) } else { 0 };
    Seen {
        is_echo: gave != 0 && gave == input.trail.gave,
        trail: Trail { barren: input.trail.barren.saturating_add(1), gave, end: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use extract::Follow;

    fn page(urls: &[&str]) -> Extraction {
        let follow = |url: &str, found| Follow {
            url: url.parse().unwrap(),
            kind: "k".into(),
            begun: None,
            found,
            modified: None,
        };
        let follow =
            urls.iter().map(|url| follow(url, true)).chain([follow("http://a/next", false)]).collect();
        Extraction { follow, ..Extraction::default() }
    }

    fn input(trail: Trail) -> Input {
        Input { trail, ..Input::given(0, "{}".into(), "a".into()) }
    }

    #[test]
    fn the_same_page_again_is_an_echo() {
        let first = seen(&input(Trail::default()), &page(&["http://a/1", "http://a/2"]));
        assert!(!first.is_echo);
        assert_eq!(first.trail.barren, 1);
        assert!(seen(&input(first.trail.clone()), &page(&["http://a/1", "http://a/2"])).is_echo);
        assert!(!seen(&input(first.trail.clone()), &page(&["http://a/2", "http://a/1"])).is_echo);
        let alone = seen(&input(Trail::default()), &page(&["http://a/1"]));
        assert!(
            !seen(&input(alone.trail), &page(&["http://a/1"])).is_echo,
            "one thing may be the same by chance"
        );
    }

    #[test]
    fn a_page_outside_of_lists_costs_nothing() {
        let record = Extraction { records: vec![serde_json::Map::new(); 3], ..Extraction::default() };
        assert_eq!(seen(&input(Trail::default()), &record).trail, Trail::default());
    }
}
