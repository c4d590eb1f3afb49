//! Counts as databases have them, and back; what is said of values that make no sense.

use crate::StoreError;

/// A count as databases have it. Counts beyond 2^63 do not occur; they would stop at the end of the range.
pub(crate) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A count as we have it; what is negative in a damaged database reads as zero.
pub(crate) fn uint(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A length as databases have it.
pub(crate) fn len(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A length as we have it elsewhere.
pub(crate) fn len_u64<T>(list: &[T]) -> u64 {
    uint(len(list.len()))
}

/// What was read back does not make sense.
pub(crate) fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}
