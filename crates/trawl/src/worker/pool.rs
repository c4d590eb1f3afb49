//! Threads that read pages. Parsing is the expensive part of a page, so it runs apart from the sockets, and a page
//! that somebody waits for has threads of its own; the others give way, to them and to everything that answers people.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Stack of a reading thread, bytes: nothing recurses on the depth of a page, so this is room, not need.
const STACK_BYTES: usize = 4 << 20;

/// A ninth of the share of a thread that has none. A synchronous call beside a full queue took 14 ms with 0, 7 with 5 and 5
/// with 19 (two cores); other programs of the machine should not starve this one.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

type Task = Box<dyn FnOnce() + Send>;

/// Threads that read pages. Queued work is bounded by what the workers have in flight.
#[derive(Clone)]
pub struct Pool {
    /// None: no threads, the caller reads.
    shared: Option<Arc<Shared>>,
}

/// One queue for pages that somebody waits for, one for the others.
#[derive(Default)]
struct Shared {
    express: Lane,
    ordinary: Lane,
}

#[derive(Default)]
struct Lane {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Tasks catch their own panics and run unlocked, so the queue is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work panicked: a bug, caught.
#[derive(Debug, PartialEq, Eq)]
pub struct Panicked;

impl Pool {
    /// So many threads for either kind; 0 is one per core. They end after [`Pool::close`], when their queue is empty.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let threads =
            if threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { threads };
        let shared = Arc::new(Shared::default());
        for n in 0..2 * threads {
            let (shared, express) = (shared.clone(), n < threads);
            std::thread::Builder::new()
                .name(format!("read{}-{}", if express { "-now" } else { "" }, n % threads))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    if express {
                        work(&shared.express);
                    } else {
                        give_way();
                        work(&shared.ordinary);
                    }
                })?;
        }
        Ok(Self { shared: Some(shared) })
    }

    /// No threads: work is done where it is asked for, so that a simulation repeats exactly.
    pub fn on_caller() -> Self {
        Self { shared: None }
    }

    /// Runs `task` on a reading thread; `express` goes ahead of the others.
    pub async fn run<T: Send + 'static>(
        &self,
        express: bool,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let Some(shared) = &self.shared else {
            return catch_unwind(AssertUnwindSafe(task)).map_err(|_| Panicked);
        };
        let (answer, waiting) = oneshot::channel();
        let task: Task = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(task)).map_err(|_| Panicked);
            // The asker may have gone (shutdown): then nobody needs the answer.
            let _ = answer.send(result);
        });
        let lane = if express { &shared.express } else { &shared.ordinary };
        lane.lock().tasks.push_back(task);
        lane.ready.notify_one();
        waiting.await.unwrap_or(Err(Panicked))
    }

    /// Lets the threads end when the queue is empty.
    pub fn close(&self) {
        if let Some(shared) = &self.shared {
            for lane in [&shared.express, &shared.ordinary] {
                lane.lock().closed = true;
                lane.ready.notify_all();
            }
        }
    }
}

/// Lets the system prefer every other thread of this process when there are more of them than cores.
fn give_way() {
    // On Linux a nice value belongs to the thread. Where it cannot be set, pages are only read less politely.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
}

fn work(lane: &Lane) {
    let mut queue = lane.lock();
    loop {
        match queue.tasks.pop_front() {
            Some(task) => {
                drop(queue);
                task();
                queue = lane.lock();
            }
            None if queue.closed => return,
            None => queue = lane.ready.wait(queue).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_and_the_thread_lives() {
        let pool = Pool::new(1).unwrap();
        assert_eq!(pool.run(false, || -> u8 { panic!("on purpose") }).await, Err(Panicked));
        assert_eq!(pool.run(false, || 7).await, Ok(7));
        pool.close();
    }

    #[tokio::test]
    async fn express_does_not_wait_for_the_others() {
        let pool = Pool::new(1).unwrap();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let ordinary = pool.run(false, move || gate.recv().is_ok());
        tokio::join!(async { assert_eq!(ordinary.await, Ok(true)) }, async {
            // The only ordinary thread is busy until this is done.
            pool.run(true, || ()).await.unwrap();
            open.send(()).unwrap();
        });
        pool.close();
    }
}
