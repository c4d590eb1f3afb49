//! When to try again: arithmetic over what happened, no clock and no dice.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// What kind of trouble it was; each has its own patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// No answer in time.
    Timeout,
    /// The connection failed or broke.
    Reset,
    /// 429 or 503: the site asks to slow down.
    SlowDown,
    /// Another 5xx.
    ServerError,
    /// The proxy's fault, not the site's: not counted among the input's attempts, but bounded by itself.
    Proxy,
    /// Anything else that may pass.
    Other,
}

/// Attempts and delays for one kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// Milliseconds before the second attempt, doubling after.
    pub base_ms: u64,
    /// Milliseconds between two attempts at most, `Retry-After` included.
    pub max_ms: u64,
}

impl Patience {
    /// When to try again after the `failures`-th failure, or `None` if that was the last.
    ///
    /// `asked_ms` is the site's own `Retry-After`: it wins over a shorter back-off. `jitter` in 0..1 spreads the
    /// back-off over its upper half, so that inputs that failed together do not come back together.
    pub fn next(
        &self,
        failures: u32,
        asked_ms: Option<u64>,
        now: Timestamp,
        jitter: f64,
    ) -> Option<Timestamp> {
        if failures >= self.attempts {
            return None;
        }
        let doubled = self.base_ms.saturating_mul(1_u64 << failures.saturating_sub(1).min(20));
        // Casts: delays are far below 2^53, and a float's fraction of a millisecond may go.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "see above"
        )]
        let spread = (doubled as f64 * (0.5 + 0.5 * jitter.clamp(0.0, 1.0))) as u64;
        let wait = spread.max(asked_ms.unwrap_or(0)).min(self.max_ms);
        Some(now.plus_ms(i64::try_from(wait).unwrap_or(i64::MAX)))
    }
}

/// The patience for each kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// For [`Trouble::Timeout`]: expensive, so few.
    pub timeout: Patience,
    /// For [`Trouble::Reset`].
    pub reset: Patience,
    /// For [`Trouble::SlowDown`].
    pub slow_down: Patience,
    /// For [`Trouble::ServerError`].
    pub server_error: Patience,
    /// For [`Trouble::Proxy`]: the site was not even asked, so an outage of some minutes costs no input.
    pub proxy: Patience,
    /// For [`Trouble::Other`].
    pub other: Patience,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let patience = |attempts, base_ms| Patience { attempts, base_ms, max_ms: 120_000 };
        Self {
            timeout: patience(2, 1_000),
            reset: patience(4, 500),
            slow_down: patience(6, 1_000),
            server_error: patience(4, 500),
            proxy: patience(20, 500),
            other: patience(2, 500),
        }
    }
}

impl RetryPolicy {
    /// One attempt: what answers the same again, as an archive does.
    pub fn once() -> Self {
        let once = Patience { attempts: 1, base_ms: 0, max_ms: 0 };
        Self { timeout: once, reset: once, slow_down: once, server_error: once, other: once, proxy: once }
    }

    /// The patience for that trouble.
    pub fn patience(&self, trouble: Trouble) -> &Patience {
        match trouble {
            Trouble::Timeout => &self.timeout,
            Trouble::Reset => &self.reset,
            Trouble::SlowDown => &self.slow_down,
            Trouble::ServerError => &self.server_error,
            Trouble::Proxy => &self.proxy,
            Trouble::Other => &self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const P: Patience = Patience { attempts: 4, base_ms: 1_000, max_ms: 10_000 };
    const NOW: Timestamp = Timestamp::from_ms(0);

    #[test]
    fn back_off_doubles_and_ends() {
        let waits: Vec<_> = (1..=4).map(|n| P.next(n, None, NOW, 1.0).map(Timestamp::ms)).collect();
        assert_eq!(waits, [Some(1_000), Some(2_000), Some(4_000), None]);
    }

    #[test]
    fn the_site_s_own_word_wins_up_to_the_cap() {
        assert_eq!(P.next(1, Some(7_000), NOW, 0.0).map(Timestamp::ms), Some(7_000));
        assert_eq!(P.next(1, Some(99_000), NOW, 0.0).map(Timestamp::ms), Some(10_000));
        assert_eq!(P.next(3, Some(1), NOW, 1.0).map(Timestamp::ms), Some(4_000));
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        assert_eq!(P.next(1, None, NOW, 0.0).map(Timestamp::ms), Some(500));
    }
}
