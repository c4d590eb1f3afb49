//! No request without a lease: work for an input goes on only while its lease is known to hold.
//!
//! Owns: the end of a lease by this machine's own clock, and the gate in front of the work. Must not know: the store.
//!
//! Invariant: work within [`Permit::guard`] is not polled after the end of its lease, however long this process, or its
//! whole machine, stood still. It waits there until the lease is renewed, or until whoever asked for it drops it.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// Time since this machine started, its sleep included: nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Uptime(Duration);

impl Uptime {
    pub(super) fn now() -> Self {
        Self(uptime())
    }

    fn nanos(self) -> u64 {
        // Cast: 584 years.
        self.0.as_nanos() as u64
    }
}

/// Counts while the machine sleeps, too, unlike the clock behind `Instant`.
#[cfg(target_os = "linux")]
pub(crate) fn uptime() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // Neither is ever negative.
    Duration::new(u64::try_from(at.tv_sec).unwrap_or(0), u32::try_from(at.tv_nsec).unwrap_or(0))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn uptime() -> Duration {
    use std::sync::OnceLock;
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Whether a lease holds, by this machine's own clock.
pub(super) struct Permit {
    /// Nanoseconds of [`Uptime`].
    until: AtomicU64,
    /// Those who wait for it to be renewed.
    waiting: Mutex<Vec<Waker>>,
    /// Rung when somebody needs it to be renewed at once.
    wanted: Arc<Notify>,
}

impl Permit {
    /// Of a lease that was asked for at `asked` and lasts `lease_ms` from then on, by the store's clock.
    pub(super) fn new(asked: Uptime, lease_ms: i64, wanted: Arc<Notify>) -> Arc<Self> {
        let until = AtomicU64::new(end(asked, lease_ms));
        Arc::new(Self { until, waiting: Mutex::default(), wanted })
    }

    /// It was renewed by a call that began at `asked`.
    pub(super) fn extend(&self, asked: Uptime, lease_ms: i64) {
        self.until.fetch_max(end(asked, lease_ms), Ordering::AcqRel);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain(..).for_each(Waker::wake);
    }

    fn holds(&self) -> bool {
        Uptime::now().nanos() < self.until.load(Ordering::Acquire)
    }

    /// Ready while it holds; else the task is woken when it was renewed.
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.holds() {
            return Poll::Ready(());
        }
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
        }
        self.wanted.notify_one();
        // It may have been renewed just before this task stood in the list.
        if self.holds() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The work, as long as the lease holds.
    pub(super) async fn guard<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(move |cx| self.step(work.as_mut(), cx)).await
    }

    fn step<F: Future>(&self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.poll(cx) {
            Poll::Ready(()) => work.poll(cx),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The nodes' ideas of the store's time differ by less than a tenth of a lease.
fn end(asked: Uptime, lease_ms: i64) -> u64 {
    let lease = Duration::from_millis(u64::try_from(lease_ms - lease_ms / 10).unwrap_or(0));
    asked.nanos().saturating_add(Uptime(lease).nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[tokio::test]
    async fn nothing_runs_beyond_the_lease_until_it_is_renewed() {
        let wanted = Arc::new(Notify::new());
        let permit = Permit::new(Uptime::now(), 100, wanted.clone());
        let steps = Arc::new(AtomicU32::new(0));
        let counted = steps.clone();
        let work = async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        };
        let running = tokio::spawn(permit.clone().guard(work));
        wanted.notified().await;
        let at_the_end = steps.load(Ordering::Relaxed);
        assert!(at_the_end > 0);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(steps.load(Ordering::Relaxed), at_the_end, "it stands still");
        permit.extend(Uptime::now(), 60_000);
        // It goes on, or this test never ends.
        while steps.load(Ordering::Relaxed) == at_the_end {
            tokio::task::yield_now().await;
        }
        running.abort();
    }

    #[test]
    fn a_process_that_stood_still_does_nothing_when_it_goes_on() {
        let asked = Uptime::now();
        let permit = Permit::new(asked, 20, Arc::new(Notify::new()));
        let sent = AtomicU32::new(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let request = async {
                tokio::task::yield_now().await;
                sent.fetch_add(1, Ordering::Relaxed);
            };
            let mut request = pin!(permit.clone().guard(request));
            assert!(futures_util::poll!(&mut request).is_pending());
            // Nothing runs until the lease has ended, as when the whole process is stopped.
            while permit.holds() {
                std::hint::spin_loop();
            }
            assert!(futures_util::poll!(&mut request).is_pending());
            assert_eq!(sent.load(Ordering::Relaxed), 0);
            permit.extend(Uptime::now(), 60_000);
            assert!(futures_util::poll!(&mut request).is_ready());
        });
    }
}
