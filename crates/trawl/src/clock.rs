//! The one clock and the one dice. Everything below `trawl` takes `now` and randomness as arguments.

use model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Time and chance, so that a test may script both.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// 64 random bits, unpredictable to strangers.
    fn random(&self) -> u64;
    /// A random share in 0..1.
    fn jitter(&self) -> f64 {
        // Cast: 53 bits fit a float's mantissa exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let share = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        share
    }
}

/// The system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn random(&self) -> u64 {
        // The kernel's generator fails only where there is no kernel generator; a clock's nanoseconds are then the
        // best there is, and ids stay unique by their clock half.
        getrandom::u64().unwrap_or_else(|_| {
            u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos())
        })
    }
}
