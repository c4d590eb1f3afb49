//! Claiming costs the same with twenty waiting jobs and with two hundred thousand: counted in SQLite's own steps, so
//! the machine's mood plays no part.

use super::super::host_lane::TAKE;
use super::super::lane::{FIRST_DUE, NEXT_READY, SET_READY};
use super::super::{create, schema, writer::Writer};
use super::*;
use crate::{Commit, NewSnapshot};
use model::{DatasetId, Door, Input};
use rusqlite::{Connection, StatementStatus};
use tokio::sync::{broadcast, oneshot};

const STATEMENTS: &[&str] = &[
    NEXT_RUN,
    NEXT_EXPRESS_RUN,
    NEXT_OPEN_RUN,
    NEXT_OPEN_EXPRESS_RUN,
    DUE_OF_PASSED,
    DUE_OF_PASSED_EXPRESS,
    ENDED,
    NEXT_LANE,
    NEXT_JOB,
    LEASE_JOB,
    REST_LANE,
    SERVE_LANE,
    TAKE,
    SERVE_RUN,
    SET_RUN_READY,
    MOVE_TIME,
    NEXT_DUE,
    FIRST_DUE,
    SET_READY,
    NEXT_READY,
];

const NOW: Timestamp = Timestamp::from_ms(1_000);

fn trigger(limit_per_input: Option<u64>) -> Trigger {
    Trigger {
        dataset_id: DatasetId("gd_x".into()),
        scraper: "x".into(),
        scraper_version: "1".into(),
        door: Door::Collect,
        include_errors: true,
        custom_output_fields: None,
        custom_input_fields: Vec::new(),
        limit_per_input,
        limit_multiple_results: None,
        deadline: None,
        discover_only: false,
        force_deliver: false,
        promises: Vec::new(),
        notice: None,
        quarantine: false,
        express: false,
        wishes: model::Wishes::default(),
        origin: model::Origin::default(),
    }
}

fn count(tx: &Tx<'_>, status: StatementStatus) -> i32 {
    STATEMENTS.iter().map(|sql| tx.conn.prepare_cached(sql).unwrap().get_status(status)).sum()
}

fn asked(node: &str) -> Claim {
    Claim {
        jobs: 8,
        express_only: false,
        node: node.into(),
        now: NOW,
        lease_until: NOW.plus_ms(60_000),
        pass_over: Vec::new(),
    }
}

struct Bench(Writer);

impl Bench {
    fn new() -> Self {
        let conn = Connection::open_in_memory().unwrap();
        schema::prepare(&conn, true).unwrap();
        Self(Writer::new(conn, None, broadcast::channel(4).0).unwrap())
    }

    fn run<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static) -> T {
        let (op, mut answer): (_, oneshot::Receiver<Result<T>>) =
            super::super::writer::Call::make(true, work);
        self.0.batch(op, || None);
        answer.try_recv().unwrap().unwrap()
    }

    /// A run of that many jobs, spread over that many hosts.
    fn fill(&mut self, name: u64, jobs: u64, hosts: u64, limit_per_input: Option<u64>) {
        let id = SnapshotId::new(NOW, name);
        self.run(move |tx| {
            create::begin(tx, &NewSnapshot { id: id.clone(), trigger: trigger(limit_per_input), now: NOW })?;
            let slices: Vec<_> = (0..jobs)
                .map(|n| vec![Input::given(n, format!("{{\"n\":{n}}}"), format!("h{}", n % hosts))])
                .collect();
            create::add(tx, &id, &crate::told::pack(&slices)?, NOW)?;
            let trigger = trigger(limit_per_input);
            create::commit(tx, &Commit { id, trigger, deliveries: Vec::new(), idempotency: None, now: NOW })
        });
    }

    /// Steps of SQLite's machine for a claim that finds so many jobs.
    fn claim_any(&mut self, node: &'static str, found: usize) -> i32 {
        self.run(move |tx| {
            let steps = count(tx, StatementStatus::VmStep);
            let asked = asked(node);
            assert_eq!(super::claim(tx, &asked)?.leases.len(), found);
            Ok(count(tx, StatementStatus::VmStep) - steps)
        })
    }

    /// Steps of SQLite's machine for a claim of eight jobs, and whether anything was scanned or sorted.
    fn claim(&mut self, node: &'static str) -> (i32, i32) {
        self.run(move |tx| {
            let asked = asked(node);
            let steps = count(tx, StatementStatus::VmStep);
            let scans = count(tx, StatementStatus::FullscanStep) + count(tx, StatementStatus::Sort);
            let claimed = super::claim(tx, &asked)?;
            assert_eq!(claimed.leases.len(), 8);
            Ok((
                count(tx, StatementStatus::VmStep) - steps,
                count(tx, StatementStatus::FullscanStep) + count(tx, StatementStatus::Sort) - scans,
            ))
        })
    }
}

impl Bench {
    /// Hosts of the jobs that are handed out then, and when the next is due.
    fn claim_but(&mut self, crowded: &str, jobs: usize, now: Timestamp) -> (Vec<String>, Option<Timestamp>) {
        let asked = Claim {
            jobs,
            express_only: false,
            node: "n".into(),
            now,
            lease_until: now.plus_ms(60_000),
            pass_over: vec![crowded.to_owned()],
        };
        let claimed = self.run(move |tx| super::claim(tx, &asked));
        let host = |lease: &Lease| lease.job.inputs[0].host.clone();
        (claimed.leases.iter().map(host).collect(), claimed.next_due)
    }
}

#[test]
fn the_lanes_of_a_crowded_host_rest() {
    let mut bench = Bench::new();
    // 600 runs for one host, one of them for another host, too.
    for run in 0..599 {
        bench.fill(run, 1, 1, None);
    }
    bench.fill(599, 2, 2, None);
    // A transaction passes over so many at most; then there is more to ask for at once.
    let mut given = Vec::new();
    for _ in 0..3 {
        let (hosts, due) = bench.claim_but("h0", 8, NOW);
        given.extend(hosts);
        assert!(given.len() == 1 || due == Some(NOW), "{given:?} {due:?}");
    }
    assert_eq!(given, ["h1"], "the other host's job is found behind them");
    let rested = NOW.plus_ms(LANE_REST_MS);
    assert_eq!(bench.claim_but("", 8, NOW), (Vec::new(), Some(rested)), "all of them rest");
    let (hosts, _) = bench.claim_but("", 1_000, rested);
    assert_eq!(hosts.len(), 600);
}

fn cost(jobs: u64, hosts: u64, runs: u64, limit_per_input: Option<u64>) -> i32 {
    let mut bench = Bench::new();
    for run in 0..runs {
        bench.fill(run, jobs, hosts, limit_per_input);
    }
    let (steps, scans) = bench.claim("n");
    assert_eq!(scans, 0, "an index was not used");
    steps
}

/// The cost of the claim of a second node, when the first holds eight hosts.
fn cost_of_second(jobs: u64, hosts: u64, runs: u64) -> i32 {
    let mut bench = Bench::new();
    for run in 0..runs {
        bench.fill(run, jobs, hosts, None);
    }
    bench.claim("first");
    let (steps, scans) = bench.claim("second");
    assert_eq!(scans, 0, "an index was not used");
    steps
}

#[test]
fn passing_over_what_others_hold_costs_by_what_they_hold() {
    // A run with its lanes: as many lanes are passed over as there are leased jobs, never more.
    let small = cost_of_second(20, 20, 1);
    assert_eq!(cost_of_second(200_000, 200_000, 1), small, "many lanes");
    assert_eq!(cost_of_second(200_000, 20, 1), cost_of_second(200, 20, 1), "many jobs on each lane");
    // Runs of one host each: the walk over runs is bounded.
    let runs = |n: u64| {
        let mut bench = Bench::new();
        (0..n).for_each(|run| bench.fill(run, 1, 1, None));
        bench.claim_any("first", 8);
        bench.claim_any("second", 0)
    };
    assert_eq!(runs(4_000), runs(600), "many runs");
}

#[test]
fn the_size_of_a_run_does_not_matter() {
    let small = cost(20, 20, 1, None);
    assert!(small > 100, "nothing was counted: {small}");
    // Here a host has two leases, and the second finds the first: another branch of the same statement.
    assert_eq!(cost(200_000, 20, 1, None), cost(200, 20, 1, None), "many jobs on each lane");
    assert_eq!(cost(200_000, 200_000, 1, None), small, "many lanes");
    assert_eq!(cost(20_000, 20_000, 1, Some(5)), small, "a limit per input");
}

#[test]
fn the_number_of_runs_does_not_matter() {
    assert_eq!(cost(20, 20, 2_000, None), cost(20, 20, 20, None));
}

#[test]
fn every_statement_walks_an_index() {
    let bench = Bench::new();
    let _ = &bench;
    let conn = Connection::open_in_memory().unwrap();
    schema::prepare(&conn, true).unwrap();
    for sql in STATEMENTS {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let n = plan.parameter_count();
        let lines: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(vec![1_i64; n]), |r| r.get("detail"))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        for line in lines {
            assert!(!line.contains("TEMP B-TREE"), "{sql}: {line}");
            // The walk over runs by turn begins at the lowest turn: a scan of an index, ended by LIMIT 1.
            let walk = line.starts_with("SCAN") && line.contains("USING COVERING INDEX snapshot_turn")
                || line == "SCAN run";
            assert!(!line.starts_with("SCAN") || walk, "{sql}: {line}");
        }
    }
}
