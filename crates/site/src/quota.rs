//! `/quota/…`: a site that counts: so many requests in so many milliseconds, and 429 to the others.
//!
//! Owns: the count for each host and path. `/quota/{n}/{ms}/{id}` says `Retry-After` with its 429, `/quota/silent/{n}/{ms}/{id}`
//! does not.

use crate::http::{Head, TEXT, response};
use crate::route::{Answer, World};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Hosts counted; when there are more, all are forgotten.
const HOSTS_MAX: usize = 1_000;
/// Most requests of a window, and its longest time.
const WINDOW_MAX: u64 = 10_000;
const WINDOW_MS_MAX: u64 = 600_000;

/// The requests let through of late, by host and limit.
#[derive(Default)]
pub(crate) struct Quota {
    passed: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl Quota {
    /// `None` if one more may pass now, else how long until one may.
    fn wait(&self, key: &str, most: usize, window: Duration, now: Instant) -> Option<Duration> {
        let mut all = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= HOSTS_MAX && !all.contains_key(key) {
            all.clear();
        }
        let passed = all.entry(key.to_owned()).or_default();
        while passed.front().is_some_and(|at| now.saturating_duration_since(*at) >= window) {
            passed.pop_front();
        }
        match passed.front() {
            Some(first) if passed.len() >= most => {
                Some(window.saturating_sub(now.saturating_duration_since(*first)))
            }
            _ => {
                passed.push_back(now);
                None
            }
        }
    }
}

/// The answer to `/quota/{path}`.
pub(crate) fn answer(world: &World, path: &str, request: &Head) -> Option<Answer> {
    let (is_silent, path) = match path.strip_prefix("silent/") {
        Some(rest) => (true, rest),
        None => (false, path),
    };
    let mut numbers = path.split('/').map(|part| part.parse::<u64>().ok());
    let (most, ms, id) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let page = world.product(id, request)?;
    let most = usize::try_from(most.clamp(1, WINDOW_MAX)).ok()?;
    let key = format!("{} {most} {ms}", request.header("host").unwrap_or_default());
    let window = Duration::from_millis(ms.min(WINDOW_MS_MAX));
    let Some(wait) = world.quota.wait(&key, most, window, Instant::now()) else {
        return Some(Answer::Whole(page));
    };
    let secs = wait.as_millis().div_ceil(1_000).to_string();
    let mut headers = vec![("Content-Type", TEXT)];
    if !is_silent {
        headers.push(("Retry-After", secs.as_str()));
    }
    Some(Answer::Whole(response(429, &headers, b"too many requests")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides() {
        let quota = Quota::default();
        let start = Instant::now();
        let window = Duration::from_secs(1);
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(quota.wait("a", 2, window, at(0)), None);
        assert_eq!(quota.wait("a", 2, window, at(400)), None);
        assert_eq!(quota.wait("a", 2, window, at(500)), Some(Duration::from_millis(500)));
        assert_eq!(quota.wait("b", 2, window, at(500)), None, "each host has its own");
        assert_eq!(quota.wait("a", 2, window, at(1_000)), None);
        assert_eq!(quota.wait("a", 2, window, at(1_100)), Some(Duration::from_millis(300)));
    }
}
