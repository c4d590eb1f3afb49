//! Threads that read pages. Parsing is the expensive part of a page, so it runs apart from the sockets, and a page
//! that somebody waits for goes first.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Stack of a reading thread, bytes: nothing recurses on the depth of a page, so this is room, not need.
const STACK_BYTES: usize = 4 << 20;

type Task = Box<dyn FnOnce() + Send>;

/// Threads that read pages. Queued work is bounded by what the workers have in flight.
#[derive(Clone)]
pub struct Pool {
    /// None: no threads, the caller reads.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    express: VecDeque<Task>,
    ordinary: VecDeque<Task>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Tasks catch their own panics and run unlocked, so the queue is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work panicked: a bug, caught.
#[derive(Debug, PartialEq, Eq)]
pub struct Panicked;

impl Pool {
    /// So many threads; 0 is one per core. They end when the last clone is dropped and the queue is empty.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let threads =
            if threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { threads };
        let shared = Arc::new(Shared { queue: Mutex::default(), ready: Condvar::new() });
        for n in 0..threads {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name(format!("read-{n}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&shared))?;
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
        {
            let mut queue = shared.lock();
            if express { queue.express.push_back(task) } else { queue.ordinary.push_back(task) }
        }
        shared.ready.notify_one();
        waiting.await.unwrap_or(Err(Panicked))
    }

    /// Lets the threads end when the queue is empty.
    pub fn close(&self) {
        if let Some(shared) = &self.shared {
            shared.lock().closed = true;
            shared.ready.notify_all();
        }
    }
}

fn work(shared: &Shared) {
    let mut queue = shared.lock();
    loop {
        match queue.express.pop_front().or_else(|| queue.ordinary.pop_front()) {
            Some(task) => {
                drop(queue);
                task();
                queue = shared.lock();
            }
            None if queue.closed => return,
            None => queue = shared.ready.wait(queue).unwrap_or_else(PoisonError::into_inner),
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
    async fn express_goes_first() {
        let pool = Pool::new(1).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let first = pool.run(false, move || gate.recv().is_ok());
        let note = |name: &'static str| {
            let order = order.clone();
            move || order.lock().unwrap().push(name)
        };
        let ordinary = pool.run(false, note("ordinary"));
        let express = pool.run(true, note("express"));
        tokio::join!(
            async { assert_eq!(first.await, Ok(true)) },
            async { ordinary.await.unwrap() },
            async { express.await.unwrap() },
            async { open.send(()).unwrap() },
        );
        assert_eq!(*order.lock().unwrap(), ["express", "ordinary"]);
        pool.close();
    }
}
