//! What the records of a run are like, what they were like before, and whether that is still the same thing.
//!
//! Owns: the profile of a run, its comparison with earlier runs, the verdict. Pure: the store merges profiles and asks
//! for the verdict in the transaction that ends the run.
//! Must not know: scraper files, where rows lie.
//!
//! Invariants: a profile grows with fields, never with rows; merging is the same in any order; small runs never alarm.

mod judge;
mod measure;
mod profile;

#[cfg(test)]
mod tests;

pub use judge::{BASELINE_RUNS, before, judge};
pub use profile::{Field, Kind, PROFILE_FIELDS, Profile, Stats};

use serde::{Deserialize, Serialize};

/// How a run compares with those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As before, or nothing to compare with.
    #[default]
    Ok,
    /// Something is different; somebody should look.
    Warn,
    /// So different that a broken scraper or a changed site is the likely cause.
    Fail,
}

impl Grade {
    /// Every grade.
    pub const ALL: &[Self] = &[Self::Ok, Self::Warn, Self::Fail];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// The grade of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|g| g.as_str() == word)
    }
}

/// The verdict on a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The worst of the reasons.
    pub grade: Grade,
    /// What is different, for people; the worst first.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// How many earlier runs it was compared with.
    #[serde(default)]
    pub runs: u32,
}
