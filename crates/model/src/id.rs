//! Identifiers: prefixed, sortable by the moment they were made, never mixed up with each other.
//!
//! The shape follows the documented API (api.md 1.2): a prefix, eight base-36 digits of a millisecond clock, then
//! random digits. Callers treat them as opaque.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const CLOCK_DIGITS: usize = 8;
const RANDOM_DIGITS: usize = 9;

fn base36(mut n: u64, width: usize) -> String {
    let mut out = vec![b'0'; width];
    for slot in out.iter_mut().rev() {
        // Cast: a remainder below 36 indexes the table.
        *slot = DIGITS[(n % 36) as usize];
        n /= 36;
    }
    out.into_iter().map(char::from).collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new id from the clock and 64 random bits of the caller.
            pub fn new(now: Timestamp, random: u64) -> Self {
                let clock = base36(now.ms().max(0).unsigned_abs(), CLOCK_DIGITS);
                Self(format!(concat!($prefix, "{}{}"), clock, base36(random, RANDOM_DIGITS)))
            }

            /// Takes an id from outside: the prefix, then 1 to 40 ASCII letters, digits, `_` or `-`; `None` for
            /// anything else (an id of another shape cannot exist, so callers answer "does not exist").
            pub fn parse(text: &str) -> Option<Self> {
                let rest = text.strip_prefix($prefix)?;
                let fits = (1..=40).contains(&rest.len())
                    && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                fits.then(|| Self(text.to_owned()))
            }

            /// The whole id, with its prefix.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One run of a scraper over some inputs.
    SnapshotId,
    "sd_"
);
id!(
    /// One promise to hand a snapshot over.
    DeliveryId,
    "d_"
);
id!(
    /// One bearer token (its public half; the secret is never stored).
    TokenId,
    "tk_"
);

/// One leased slice of inputs. Unique in a store, given by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub i64);

/// The name by which callers know a scraper: `gd_…`, an alias of it, or the scraper's own name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatasetId(pub String);

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_survive_parsing() {
        let early = SnapshotId::new(Timestamp::from_ms(1_000), 7);
        let late = SnapshotId::new(Timestamp::from_ms(2_000), 3);
        assert!(early < late);
        assert_eq!(SnapshotId::parse(late.as_str()), Some(late.clone()));
        assert_eq!(late.as_str().len(), 3 + CLOCK_DIGITS + RANDOM_DIGITS);
    }

    #[test]
    fn the_clock_is_readable_as_base_36_milliseconds() {
        // The sample of the reference page.
        let id = SnapshotId::new(Timestamp::from_ms(1_789_577_279_104), 0);
        assert!(id.as_str().starts_with("sd_mu"), "{id}");
    }

    #[test]
    fn strangers_are_refused() {
        for text in ["", "sd_", "d_abc", "sd_a b", "sd_../x", "sd_é"] {
            assert_eq!(SnapshotId::parse(text), None, "{text:?}");
        }
    }
}
