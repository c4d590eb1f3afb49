//! Random histories: several nodes start runs, claim, finish, crash and stop runs in any order, on a clock that only the
//! history moves. After every step the store must agree with a model that keeps one line per input.
//!
//! A failure prints the shortest history that still fails. `TRAWL_HISTORIES=n` plays n of them instead of a few, `TRAWL_SEED=n`
//! the same ones again.

mod compare;
mod model;
mod play;

use crate::world::World;
use play::Play;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Nodes that work side by side.
const NODES: u8 = 3;

/// One step. Indexes are taken modulo what is there; a step that has nothing to act on does nothing.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Start {
        rows: u8,
        size: u8,
        hosts: u8,
        limits: Limits,
        express: bool,
        deadline_ms: Option<u16>,
    },
    Claim {
        node: u8,
        jobs: u8,
        express: bool,
    },
    /// `dice` decides what becomes of each input.
    Finish {
        lease: usize,
        dice: u64,
    },
    /// A finish is asked once more: its answer was lost.
    Repeat {
        done: usize,
    },
    /// A holder that lost its lease finishes all the same.
    Late {
        lost: usize,
    },
    Renew {
        node: u8,
    },
    Pass {
        ms: u16,
    },
    Tick,
    /// A node dies and starts anew.
    Reclaim {
        node: u8,
    },
    Cancel {
        run: usize,
    },
    Fail {
        run: usize,
    },
    /// Sends what is due; or dies after a part.
    Deliver {
        node: u8,
        dies: bool,
    },
}

/// Limits of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) total: Option<u8>,
    pub(crate) per_input: Option<u8>,
}

fn op() -> impl Strategy<Value = Op> {
    let node = || 0..NODES;
    let limits = (prop::option::weighted(0.3, 1_u8..40), prop::option::weighted(0.3, 1_u8..5))
        .prop_map(|(total, per_input)| Limits { total, per_input });
    let start =
        (1_u8..40, 1_u8..12, 1_u8..4, limits, any::<bool>(), prop::option::weighted(0.1, 1_000_u16..))
            .prop_map(|(rows, size, hosts, limits, express, deadline_ms)| Op::Start {
                rows,
                size,
                hosts,
                limits,
                express,
                deadline_ms,
            });
    prop_oneof![
        2 => start,
        8 => (node(), 0_u8..8, prop::bool::weighted(0.2))
            .prop_map(|(node, jobs, express)| Op::Claim { node, jobs, express }),
        10 => (any::<usize>(), any::<u64>()).prop_map(|(lease, dice)| Op::Finish { lease, dice }),
        1 => any::<usize>().prop_map(|done| Op::Repeat { done }),
        1 => any::<usize>().prop_map(|lost| Op::Late { lost }),
        2 => node().prop_map(|node| Op::Renew { node }),
        3 => (0_u16..20_000).prop_map(|ms| Op::Pass { ms }),
        3 => Just(Op::Tick),
        1 => node().prop_map(|node| Op::Reclaim { node }),
        1 => any::<usize>().prop_map(|run| Op::Cancel { run }),
        1 => any::<usize>().prop_map(|run| Op::Fail { run }),
        2 => (node(), prop::bool::weighted(0.3)).prop_map(|(node, dies)| Op::Deliver { node, dies }),
    ]
}

/// Plays so many histories, each in a new world.
pub(crate) fn check<F: Future<Output = World>>(histories: u32, make: impl Fn() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let cases = number("TRAWL_HISTORIES").and_then(|n| n.try_into().ok()).unwrap_or(histories);
    let seed = number("TRAWL_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    let mut dice = [0; 32];
    dice[..8].copy_from_slice(&seed.to_le_bytes());
    let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &dice);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let first = Op::Start {
        rows: 20,
        size: 3,
        hosts: 3,
        limits: Limits { total: None, per_input: None },
        express: false,
        deadline_ms: None,
    };
    let history = prop::collection::vec(op(), 1..90);
    let played = TestRunner::new_with_rng(config, dice).run(&history, |ops| {
        runtime.block_on(async {
            let world = make().await;
            let mut play = Play::new(&world);
            play.step(&first).await;
            for op in &ops {
                play.step(op).await;
            }
            play.end().await;
        });
        Ok(())
    });
    if let Err(failure) = played {
        panic!("TRAWL_SEED={seed} repeats it: {failure}");
    }
}
