//! What listing pages on the way to an input were like, so that endless ones end.

use crate::{Failure, FailureCode, limit};
use serde::{Deserialize, Serialize};

/// The trail that leads to an input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Listing pages in a row just before it that brought nothing new to the run.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    pub barren: u32,
    /// Digest of what the page before it gave; 0 if that was nothing.
    #[serde(rename = "g", default, skip_serializing_if = "is_none")]
    pub gave: u64,
    /// It is beyond a bound, and is told instead of fetched.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub end: Option<TrailEnd>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

/// Why a trail ends before its last page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrailEnd {
    /// More listing pages than the scraper allows (`max_pages`).
    Pages,
    /// Its address repeats itself or is longer than an address of a page.
    Address,
}

impl Trail {
    /// Nothing of it is worth keeping.
    pub fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// Why an input on this trail is not fetched.
    pub fn failure(&self) -> Option<Failure> {
        let message = match self.end {
            Some(TrailEnd::Pages) => {
                "Too many pages were followed: the next is beyond `max_pages` of the scraper".into()
            }
            Some(TrailEnd::Address) => {
                "Too many pages were followed: this address repeats itself or is too long".into()
            }
            None if self.barren >= limit::BARREN_PAGES => {
                format!("Too many pages were followed: {} in a row brought nothing new", limit::BARREN_PAGES)
            }
            None => return None,
        };
        Some(Failure::new(FailureCode::TooManyPages, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_ends_by_its_bounds_and_is_short_to_write() {
        assert_eq!(serde_json::to_string(&Trail::default()).unwrap(), "{}");
        assert!(Trail::default().failure().is_none());
        let barren = Trail { barren: limit::BARREN_PAGES, ..Trail::default() };
        assert_eq!(barren.failure().unwrap().code, FailureCode::TooManyPages);
        assert!(Trail { barren: limit::BARREN_PAGES - 1, ..Trail::default() }.failure().is_none());
        let far = Trail { end: Some(TrailEnd::Pages), ..Trail::default() };
        assert_eq!(serde_json::from_str::<Trail>(&serde_json::to_string(&far).unwrap()).unwrap(), far);
        assert!(far.failure().is_some());
    }
}
