//! The one clock and the one dice. Everything below `trawl` takes `now` and randomness as arguments.
//!
//! Owns: which clock this process goes by, and that it never goes back. Must not know: where the database is.

use crate::worker::uptime;
use model::Timestamp;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::Store;
use tokio::sync::watch;

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
        Timestamp::from_ms(wall_us() / 1_000)
    }

    fn random(&self) -> u64 {
        // The kernel's generator fails only where there is no kernel generator; a clock's nanoseconds are then the
        // best there is, and ids stay unique by their clock half.
        getrandom::u64().unwrap_or_else(|_| {
            u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos())
        })
    }
}

fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The time of the store, where it has a clock of its own that several nodes follow; else the system's. Either way it
/// never goes back, whatever is done to the clocks: a lease that was given ends no later for it.
#[derive(Debug, Default)]
pub struct SteadyClock(Mutex<Steady>);

#[derive(Debug, Default)]
struct Steady {
    /// What was told last, microseconds since 1970, and when by the machine's uptime.
    told: i64,
    at: Duration,
    follows: Heard,
}

impl SteadyClock {
    fn lock(&self) -> std::sync::MutexGuard<'_, Steady> {
        // Each change is one assignment or two; a panic between them leaves a clock that is late by one reading.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store for its time now; false if it has none.
    pub async fn ask(&self, store: &dyn Store) -> store::Result<bool> {
        let sent = uptime();
        let Some(time) = store.time().await? else { return Ok(false) };
        let got = uptime();
        self.lock().follows.hear(sent, got, time.ms().saturating_mul(1_000));
        Ok(true)
    }

    /// Asks the store every so often, until it is time to stop.
    pub async fn follow(&self, store: &dyn Store, mut stop: watch::Receiver<bool>) {
        /// Clocks drift by some ten microseconds a second.
        const EVERY: Duration = Duration::from_secs(30);
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.changed() => return,
            }
            match self.ask(store).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "the store's time could not be asked for"),
            }
        }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let up = uptime();
        let mut steady = self.lock();
        let wanted = steady.follows.at(up).unwrap_or_else(wall_us);
        steady.told = onward(steady.told, us(up.saturating_sub(steady.at)), wanted);
        steady.at = up;
        Timestamp::from_ms(steady.told / 1_000)
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }
}

/// The time to tell `elapsed` microseconds after `told` was told, if the clock says `wanted`. A clock that was put back
/// is waited for at half speed: time goes on, so that what is due becomes due.
fn onward(told: i64, elapsed: i64, wanted: i64) -> i64 {
    if wanted >= told.saturating_add(elapsed) { wanted } else { wanted.max(told.saturating_add(elapsed / 2)) }
}

/// What is known of another's clock from asking it.
#[derive(Debug, Default)]
struct Heard {
    /// Its time in the middle of the call that is believed, microseconds since 1970, and our uptime then.
    heard: Option<(i64, Duration)>,
    /// How long the latest calls took.
    took: VecDeque<Duration>,
}

impl Heard {
    /// Calls by which it is judged how long one takes.
    const CALLS: usize = 8;
    /// After so long any answer is better than the last one that was believed.
    const STALE: Duration = Duration::from_secs(600);

    /// An answer is off by half the time of its call at most, so one that took much longer than usual is not believed.
    fn hear(&mut self, sent: Duration, got: Duration, time_us: i64) {
        let took = got.saturating_sub(sent);
        let usual = self.took.iter().min().copied();
        self.took.push_back(took);
        if self.took.len() > Self::CALLS {
            self.took.pop_front();
        }
        let is_good = usual.is_none_or(|usual| took <= usual * 2 + Duration::from_millis(5));
        let is_stale = self.heard.is_none_or(|(_, at)| got.saturating_sub(at) > Self::STALE);
        if is_good || is_stale {
            self.heard = Some((time_us, sent + took / 2));
        }
    }

    /// Its time now.
    fn at(&self, up: Duration) -> Option<i64> {
        let (time, at) = self.heard?;
        Some(time.saturating_add(us(up.saturating_sub(at))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_put_back_stands_still_for_nobody() {
        assert_eq!(onward(1_000, 10, 1_010), 1_010);
        assert_eq!(onward(1_000, 10, 5_000), 5_000, "ahead at once");
        assert_eq!(onward(1_000, 10, 400), 1_005, "back at half speed");
        let mut told = 10_000;
        for step in 1..=2_000 {
            // Ten minutes back, in small.
            let now = onward(told, 10, 4_000 + 10 * step);
            assert!(now > told);
            told = now;
        }
        assert_eq!(told, 24_000, "and meets it again");
    }

    #[test]
    fn the_middle_of_a_call_is_believed_and_slow_answers_are_not() {
        let s = Duration::from_millis;
        let mut heard = Heard::default();
        assert_eq!(heard.at(s(0)), None);
        heard.hear(s(1_000), s(1_010), 50_000_000);
        assert_eq!(heard.at(s(1_005)), Some(50_000_000));
        assert_eq!(heard.at(s(2_005)), Some(51_000_000));
        // Took 800 ms, of which nobody knows how much after the look at the clock.
        heard.hear(s(3_000), s(3_800), 52_000_000);
        assert_eq!(heard.at(s(3_005)), Some(52_000_000), "as before");
        heard.hear(s(31_000), s(31_014), 80_100_000);
        assert_eq!(heard.at(s(31_007)), Some(80_100_000));
        // A net that has become slow for good is believed in the end.
        heard.hear(s(700_000), s(700_900), 800_000_000);
        assert_eq!(heard.at(s(700_450)), Some(800_000_000));
    }

    #[tokio::test]
    async fn the_stores_time_wins_over_a_wrong_clock_and_never_goes_back() {
        let clock = SteadyClock::default();
        let before = clock.now();
        let ahead = before.ms() + 600_000;
        let up = uptime();
        clock.lock().follows.hear(up, up, ahead * 1_000);
        let now = clock.now();
        assert!((ahead..ahead + 5_000).contains(&now.ms()), "{now:?}");
        clock.lock().follows.hear(up, up, (ahead - 1_200_000) * 1_000);
        assert!(clock.now() >= now);
    }
}
