//! The clock: fetching is I/O, so it may look.

use model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// This moment; 1970 on a machine whose clock stands before it.
pub(crate) fn now() -> Timestamp {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}
