//! A bounded number of places to render pages in, on a browser that is started when it is needed, replaced when it is
//! worn and ended when it is idle.
//!
//! Owns: the life of browsers. Must not know: what happens on a page.
//!
//! Invariants: no more pages at once than configured; a browser that has died is never given out; a page that is given
//! up is cleaned up before its place is free again.

use super::gate::Gate;
use super::pipe::Wire;
use super::process::{self, Process};
use super::settings::BrowserSettings;
use crate::FetchError;
use crate::connect::Connector;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Memory is looked at this often while pages are open.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Counters since the start, and gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrowserStats {
    /// Pages rendered or given up.
    pub pages: u64,
    /// Pages that are open.
    pub open: u64,
    /// Browser processes started.
    pub started: u64,
    /// Browser processes that died, hung or outgrew their memory.
    pub lost: u64,
    /// Pages ended because they outgrew their memory.
    pub outgrown: u64,
    /// Bytes of all browser processes at the last look.
    pub memory: u64,
}

/// Places to render pages in.
pub(super) struct Pool {
    settings: BrowserSettings,
    room: Arc<Semaphore>,
    current: Mutex<Option<Arc<Browser>>>,
    counters: Arc<Counters>,
    /// Turns true when everything is to end.
    stop: watch::Sender<bool>,
    supervisors: std::sync::Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Counters {
    pages: AtomicU64,
    open: AtomicU64,
    started: AtomicU64,
    lost: AtomicU64,
    outgrown: AtomicU64,
    memory: AtomicU64,
}

/// One process as its pages see it.
pub(super) struct Browser {
    pub(super) wire: Arc<Wire>,
    begun: AtomicU64,
    open: AtomicU64,
    /// It takes no more pages and ends with its last.
    retired: AtomicBool,
    /// It does not answer: to be killed.
    hung: AtomicBool,
    /// Something of this changed.
    changed: Notify,
}

impl Browser {
    /// It does not answer any more: it is killed, and its pages fail.
    pub(super) fn give_up(&self) {
        self.hung.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    fn is_usable(&self, pages_max: u32) -> bool {
        !self.wire.is_gone()
            && !self.retired.load(Ordering::Relaxed)
            && !self.hung.load(Ordering::Relaxed)
            && self.begun.load(Ordering::Relaxed) < u64::from(pages_max)
    }
}

/// A place for one page; free again when dropped.
pub(super) struct Place {
    pub(super) browser: Arc<Browser>,
    counters: Arc<Counters>,
    _room: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.browser.open.fetch_sub(1, Ordering::Relaxed);
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        self.browser.changed.notify_one();
    }
}

impl Pool {
    pub(super) fn new(settings: BrowserSettings) -> Self {
        process::sweep(&settings.profiles);
        Self {
            room: Arc::new(Semaphore::new(settings.contexts.max(1))),
            settings,
            current: Mutex::new(None),
            counters: Arc::default(),
            stop: watch::channel(false).0,
            supervisors: std::sync::Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &BrowserSettings {
        &self.settings
    }

    pub(super) fn stats(&self) -> BrowserStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let c = &self.counters;
        BrowserStats {
            pages: load(&c.pages),
            open: load(&c.open),
            started: load(&c.started),
            lost: load(&c.lost),
            outgrown: load(&c.outgrown),
            memory: load(&c.memory),
        }
    }

    /// Room for a page if there is any now.
    pub(super) fn try_room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }

    /// Waits for room.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        // An error would mean that the semaphore was closed, which nobody does.
        self.room.clone().acquire_owned().await.ok()
    }

    /// A place on a living browser; starts one if there is none. `connector` is for the gate that nothing passes.
    pub(super) async fn place(
        &self,
        room: OwnedSemaphorePermit,
        nowhere: &Connector,
    ) -> Result<Place, FetchError> {
        let mut current = self.current.lock().await;
        let browser = match current.as_ref().filter(|b| b.is_usable(self.settings.pages_per_process)) {
            Some(browser) => browser.clone(),
            None => {
                if let Some(worn) = current.take() {
                    worn.retired.store(true, Ordering::Relaxed);
                    worn.changed.notify_one();
                }
                let browser = self.start(nowhere).await?;
                *current = Some(browser.clone());
                browser
            }
        };
        browser.begun.fetch_add(1, Ordering::Relaxed);
        browser.open.fetch_add(1, Ordering::Relaxed);
        self.counters.pages.fetch_add(1, Ordering::Relaxed);
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        Ok(Place { browser, counters: self.counters.clone(), _room: room })
    }

    async fn start(&self, nowhere: &Connector) -> Result<Arc<Browser>, FetchError> {
        let floor = Gate::open(nowhere.clone(), 0).await.map_err(|error| {
            FetchError::new(crate::FetchErrorKind::BrowserGone, format!("no port on loopback: {error}"))
        })?;
        let process = Process::start(&self.settings, floor).await?;
        self.counters.started.fetch_add(1, Ordering::Relaxed);
        let browser = Arc::new(Browser {
            wire: process.wire.clone(),
            begun: AtomicU64::new(0),
            open: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            hung: AtomicBool::new(false),
            changed: Notify::new(),
        });
        let watch = Supervisor {
            browser: browser.clone(),
            settings: self.settings.clone(),
            counters: self.counters.clone(),
        };
        let stop = self.stop.subscribe();
        let mut supervisors = self.supervisors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while supervisors.try_join_next().is_some() {}
        supervisors.spawn(watch.run(process, stop));
        Ok(browser)
    }

    /// Ends every browser and waits for that.
    pub(super) async fn close(&self) {
        self.stop.send_replace(true);
        let mut supervisors = {
            let mut held = self.supervisors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *held)
        };
        while supervisors.join_next().await.is_some() {}
    }
}

/// Watches over one process from its start to its end.
struct Supervisor {
    browser: Arc<Browser>,
    settings: BrowserSettings,
    counters: Arc<Counters>,
}

/// Why a browser ends.
enum End {
    /// Nothing to do, worn, or told to.
    Well,
    /// It died, hung or outgrew its memory.
    Badly(&'static str),
}

impl Supervisor {
    async fn run(self, mut process: Process, mut stop: watch::Receiver<bool>) {
        let pid = process.id();
        let mut idle_since = Instant::now();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                () = told_to_stop(&mut stop) => break End::Well,
                () = process.ended() => break End::Badly("it died"),
                () = self.browser.changed.notified() => {}
                _ = look.tick() => {
                    // Reading /proc of a hundred processes takes milliseconds, too long for this thread.
                    let memory = tokio::task::spawn_blocking(move || process::memory(pid)).await;
                    let memory = memory.unwrap_or_default();
                    self.counters.memory.store(memory.total, Ordering::Relaxed);
                    if let Some((helper, bytes)) = memory.largest
                        && bytes > self.settings.page_memory_mb << 20
                    {
                        tracing::warn!(mib = bytes >> 20, "a page outgrew its memory and is ended");
                        self.counters.outgrown.fetch_add(1, Ordering::Relaxed);
                        process::end_part(helper);
                    } else if memory.total > (self.settings.memory_mb << 20) / 2 * 3 {
                        break End::Badly("it outgrew its memory");
                    } else if memory.total > self.settings.memory_mb << 20 {
                        self.browser.retired.store(true, Ordering::Relaxed);
                    }
                }
            }
            if self.browser.hung.load(Ordering::Relaxed) {
                break End::Badly("it does not answer");
            }
            if self.browser.open.load(Ordering::Relaxed) > 0 {
                idle_since = Instant::now();
            } else if self.browser.retired.load(Ordering::Relaxed)
                || idle_since.elapsed() >= Duration::from_millis(self.settings.idle_ms)
            {
                // A page that is given this browser right now finds its wire broken off and is tried again.
                self.browser.retired.store(true, Ordering::Relaxed);
                break End::Well;
            }
        };
        match end {
            End::Well => tracing::debug!(pid, "a browser ends"),
            End::Badly(why) => {
                self.counters.lost.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(pid, "a browser is lost: {why}; its pages are tried again");
            }
        }
        process.kill().await;
        self.counters.memory.store(0, Ordering::Relaxed);
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that the pool is gone: that, too, is the end.
    _ = stop.wait_for(|stop| *stop).await;
}
