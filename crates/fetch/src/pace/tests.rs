//! The shell under a clock that the test moves: bells ring, drops free places, nothing is left behind.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

fn limits(concurrency: u32, host_concurrency: u32, delay_ms: u64) -> Limits {
    Limits { concurrency, host_concurrency, host_delay: Duration::from_millis(delay_ms) }
}

async fn turn(pacer: &Arc<Pacer>, host: &str) -> Turn {
    pacer.turn(host, Want::default()).await.expect("its circuit is closed")
}

fn quiet(pacer: &Pacer) -> bool {
    let state = pacer.lock();
    state.core.waiting() == 0 && state.core.in_flight() == 0 && state.bells.iter().all(Option::is_none)
}

#[tokio::test(start_paused = true)]
async fn a_delay_spaces_starts_without_anyone_leaving() {
    let pacer = Pacer::new(limits(100, 100, 250));
    let began = Instant::now();
    let turns: Vec<_> =
        futures_util::future::join_all((0..5).map(|_| pacer.turn("h", Want::default()))).await;
    assert_eq!(began.elapsed(), Duration::from_millis(1_000));
    drop(turns);
    assert!(quiet(&pacer));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_and_a_dropped_turn_free_their_places() {
    let pacer = Pacer::new(limits(1, 1, 0));
    let first = turn(&pacer, "a").await;
    let mut second = Box::pin(pacer.turn("a", Want::default()));
    assert!(futures_util::poll!(&mut second).is_pending());
    let mut third = Box::pin(pacer.turn("b", Want::default()));
    assert!(futures_util::poll!(&mut third).is_pending());
    drop(second);
    drop(first);
    drop(third.await);
    assert!(quiet(&pacer));
}

#[tokio::test(start_paused = true)]
async fn a_turn_granted_to_a_waiter_that_never_looks_is_freed_with_it() {
    let pacer = Pacer::new(limits(1, 1, 0));
    let first = turn(&pacer, "a").await;
    let mut second = Box::pin(pacer.turn("a", Want::default()));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    assert_eq!((pacer.counts().waiting, pacer.counts().in_flight), (0, 1));
    drop(second);
    assert!(quiet(&pacer));
}

#[tokio::test(start_paused = true)]
async fn a_hold_keeps_waiters_waiting() {
    let pacer = Pacer::new(limits(10, 2, 0));
    let held = turn(&pacer, "a").await;
    let began = Instant::now();
    held.hold(Duration::from_secs(30));
    drop(held);
    drop(turn(&pacer, "b").await);
    assert_eq!(began.elapsed(), Duration::ZERO);
    drop(turn(&pacer, "a").await);
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wait_behind_a_longer_one_wakes_in_time() {
    let pacer = Pacer::new(limits(10, 2, 0));
    let a = turn(&pacer, "a").await;
    a.hold(Duration::from_secs(60));
    let b = turn(&pacer, "b").await;
    b.hold(Duration::from_secs(10));
    let began = Instant::now();
    let (far, near) = futures_util::join!(
        async {
            drop(turn(&pacer, "a").await);
            began.elapsed()
        },
        async {
            drop(turn(&pacer, "b").await);
            began.elapsed()
        }
    );
    assert_eq!((far, near), (Duration::from_secs(60), Duration::from_secs(10)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_never_exceed_the_bounds() {
    let pacer = Pacer::new(limits(6, 3, 0));
    let all = Arc::new(AtomicU32::new(0));
    let hosts: Arc<[AtomicU32; 4]> = Arc::default();
    let tasks = (0..400).map(|i: usize| {
        let (pacer, all, hosts) = (Arc::clone(&pacer), Arc::clone(&all), Arc::clone(&hosts));
        tokio::spawn(async move {
            let want = Want { express: i.is_multiple_of(7), ..Want::default() };
            let turn = pacer.turn(&format!("h{}", i % 4), want).await.expect("open");
            assert!(all.fetch_add(1, Ordering::SeqCst) < 6);
            assert!(hosts[i % 4].fetch_add(1, Ordering::SeqCst) < 3);
            tokio::task::yield_now().await;
            hosts[i % 4].fetch_sub(1, Ordering::SeqCst);
            all.fetch_sub(1, Ordering::SeqCst);
            drop(turn);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("task");
    }
    assert!(quiet(&pacer));
}

#[test]
fn a_clockwork_that_died_with_its_runtime_is_replaced() {
    let pacer = Pacer::new(limits(10, 10, 20));
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        runtime.block_on(async {
            drop(turn(&pacer, "a").await);
            drop(turn(&pacer, "a").await);
            let mut late = Box::pin(pacer.turn("a", Want::default()));
            assert!(futures_util::poll!(&mut late).is_pending());
        });
    }
    assert!(quiet(&pacer));
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_sends_its_waiters_away() {
    let pacer = Pacer::new(limits(10, 5, 0));
    let mut turns = Vec::new();
    for _ in 0..5 {
        turns.push(turn(&pacer, "dead").await);
    }
    let mut waiter = Box::pin(pacer.turn("dead", Want::default()));
    assert!(futures_util::poll!(&mut waiter).is_pending());
    for turn in turns {
        turn.end(Report::Unreached);
    }
    let shut = waiter.await.err().expect("it is sent away");
    assert_eq!(shut, Shut { wait: Duration::from_secs(1), openings: 1 });
    assert!(pacer.turn("dead", Want::default()).await.is_err());
    drop(turn(&pacer, "alive").await);
    assert!(quiet(&pacer));
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_outlives_the_pacer() {
    let unix_ms = 1_700_000_000_000;
    let before = Pacer::new(limits(10, 5, 0));
    turn(&before, "limited").await.end(Report::SlowDown { hard: true, asked: false });
    let held = turn(&before, "held").await;
    held.hold(Duration::from_secs(30));
    held.end(Report::SlowDown { hard: false, asked: true });
    let dead = turn(&before, "dead").await;
    dead.end(Report::Unreached);
    for _ in 0..4 {
        turn(&before, "dead").await.end(Report::Unreached);
    }
    turn(&before, "fine").await.end(Report::Answer);
    let kept = before.export(100, unix_ms);
    let mut names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["dead", "held", "limited"]);
    assert!(before.export(100, unix_ms).is_empty(), "it was taken");

    // A tenth of a second later another process begins.
    let after = Pacer::new(limits(10, 5, 0));
    after.import(&kept, unix_ms + 100);
    assert!(after.pacer_view("limited").delay_ms >= 10.0);
    assert_eq!(after.pacer_view("dead").circuit, "open");
    assert!(after.turn("dead", Want::default()).await.is_err());
    let began = Instant::now();
    drop(turn(&after, "held").await);
    assert_eq!(began.elapsed(), Duration::from_millis(29_900));
}

impl Pacer {
    fn pacer_view(&self, host: &str) -> HostView {
        self.view(host).expect("it is known")
    }
}
