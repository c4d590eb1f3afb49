//! Plays a history against a store and the model, and compares them after every step.

use super::model::Run;
use super::{Limits, Op};
use crate::world::{LEASE_MS, STARTING_MS, World, at, conflict, led, lost, read, records, trigger};
use model::{
    DeliveredFile, DeliveryOutcome, Door, FailureCode, Input, Job, Outcome, Segment, SnapshotState as S,
    Timestamp, limit,
};
use std::collections::BTreeMap;
use store::{CARRIED_EPOCH, Claim, DeliveryLease, Finished, Held, Lease};

/// Rows of a part of a delivery.
const PART: u64 = 5;

/// A lease that somebody holds.
pub(super) struct Out {
    pub(super) lease: Lease,
    node: u8,
    until: Timestamp,
}

/// A finish and its answer.
struct Done {
    lease: Lease,
    outcome: Outcome,
    segment: Option<Segment>,
    answer: Finished,
}

pub(crate) struct Play<'a> {
    pub(super) world: &'a World,
    pub(super) now: Timestamp,
    pub(super) runs: Vec<Run>,
    pub(super) out: Vec<Out>,
    done: Vec<Done>,
    late: Vec<Lease>,
    /// The last epoch of each job.
    epochs: BTreeMap<model::JobId, u64>,
    /// Deliveries whose senders died, until somebody finds out.
    sending: Vec<(DeliveryLease, u8, Timestamp)>,
    /// Segments read of each run, and the rows in them.
    pub(super) read: Vec<(u64, u64, u64)>,
}

/// Dice from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

fn name(node: u8) -> String {
    format!("node-{node}")
}

impl<'a> Play<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self {
            world,
            now: at(0),
            runs: Vec::new(),
            out: Vec::new(),
            done: Vec::new(),
            late: Vec::new(),
            epochs: BTreeMap::new(),
            sending: Vec::new(),
            read: Vec::new(),
        }
    }

    pub(crate) async fn step(&mut self, op: &Op) {
        match *op {
            Op::Start { rows, size, hosts, limits, express, deadline_ms } => {
                self.start(rows, size, hosts, limits, express, deadline_ms).await;
            }
            Op::Claim { node, jobs, express } => self.claim(node, jobs.into(), express).await,
            Op::Finish { lease, dice } if !self.out.is_empty() => {
                let at = lease % self.out.len();
                let outcome = self.outcome(&self.out[at].lease, &mut Dice(dice));
                self.finish(at, outcome).await;
            }
            Op::Repeat { done } if !self.done.is_empty() => self.repeat(done % self.done.len()).await,
            Op::Late { lost: n } if !self.late.is_empty() => {
                let lease = &self.late[n % self.late.len()];
                lost(self.world.finish(lease, &read(lease, 0), self.now).await);
            }
            Op::Renew { node } => self.renew(node).await,
            Op::Pass { ms } => self.now = self.now.plus_ms(ms.into()),
            Op::Tick => self.tick().await,
            Op::Reclaim { node } => self.reclaim(node).await,
            Op::Cancel { run } => self.cancel(run % self.runs.len()).await,
            Op::Fail { run } => self.fail(run % self.runs.len()).await,
            Op::Deliver { node, dies } => self.deliver(node, dies).await,
            Op::Finish { .. } | Op::Repeat { .. } | Op::Late { .. } => {}
        }
        self.compare().await;
    }

    async fn start(
        &mut self,
        rows: u8,
        size: u8,
        hosts: u8,
        limits: Limits,
        express: bool,
        deadline_ms: Option<u16>,
    ) {
        let mut asked = trigger();
        asked.limit_multiple_results = limits.total.map(u64::from);
        asked.limit_per_input = limits.per_input.map(u64::from);
        asked.express = express;
        asked.include_errors = rows.is_multiple_of(2);
        asked.deadline = deadline_ms.map(|ms| self.now.plus_ms(ms.into()));
        if size.is_multiple_of(3) {
            asked.door = Door::Discover("search".into());
        }
        let size = if limits.per_input.is_some() { 1 } else { usize::from(size) };
        let given: Vec<Input> = (0..u64::from(rows))
            .map(|root| {
                // In a run with a limit per input some roots have several rows.
                let row = root;
                let root = if limits.per_input.is_some() && rows.is_multiple_of(3) { root / 2 } else { root };
                let host = format!("h{}", row / size as u64 % u64::from(hosts));
                Input::given(root, format!("{{\"url\":\"http://{host}/row/{row}\"}}"), host)
            })
            .collect();
        let slices = given.chunk_by(|a, b| a.host == b.host).flat_map(|same| same.chunks(size));
        let slices: Vec<_> = slices.map(<[Input]>::to_vec).collect();
        let stream = |id: &model::SnapshotId| vec![self.world.rows(id, Some(PART))];
        let id = self.world.promise(&asked, slices, self.now, stream).await;
        self.runs.push(Run::new(id, asked, given, self.now));
        self.read.push((0, 0, 0));
    }

    fn run_of(&self, lease: &Lease) -> usize {
        self.runs.iter().position(|run| run.id == lease.job.snapshot).unwrap()
    }

    pub(super) fn in_lane(&self, run: &Run, host: &str) -> usize {
        let same = |out: &&Out| out.lease.job.snapshot == run.id && out.lease.job.inputs[0].host == host;
        self.out.iter().filter(same).count()
    }

    pub(super) fn root_is_out(&self, run: &Run, root: u64) -> bool {
        let same = |out: &Out| out.lease.job.snapshot == run.id && out.lease.job.inputs[0].root == root;
        self.out.iter().any(same)
    }

    /// No other node works for that host.
    pub(super) fn may_ask(&self, node: u8, host: &str) -> bool {
        self.out.iter().all(|out| out.node == node || out.lease.job.inputs[0].host != host)
    }

    pub(super) async fn claim(&mut self, node: u8, jobs: usize, express_only: bool) {
        let until = self.now.plus_ms(LEASE_MS);
        let claim = Claim {
            jobs,
            express_only,
            node: name(node),
            now: self.now,
            lease_until: until,
            pass_over: Vec::new(),
        };
        let claimed = self.world.node(node.into()).claim(claim).await.unwrap();
        // What has ended is taken back first, so that no host waits for a node that is gone.
        let now = self.now;
        self.lose(|out| out.until <= now);
        assert!(claimed.leases.len() <= jobs);
        assert!(claimed.next_due.is_none_or(|due| due > self.now));
        let got = claimed.leases.len();
        for lease in claimed.leases {
            self.take(lease, node, until, express_only);
        }
        if got < jobs {
            self.nothing_is_left(node, express_only);
        }
    }

    /// A lease was given: it must have been free, and allowed.
    fn take(&mut self, lease: Lease, node: u8, until: Timestamp, express_only: bool) {
        let at = self.run_of(&lease);
        let run = &self.runs[at];
        let first = &lease.job.inputs[0];
        assert!(run.is_open(), "{:?} {:?} is not open", run.state, run.counts);
        assert!(run.trigger.express || !express_only);
        assert_eq!(*lease.trigger, run.trigger);
        assert!(self.in_lane(run, &first.host) < limit::LANE_LEASES as usize, "the lane is full");
        assert!(self.may_ask(node, &first.host), "{} is another node's", first.host);
        assert_eq!(lease.records_left, run.total_left());
        if run.trigger.limit_per_input.is_some() {
            assert!(!self.root_is_out(run, first.root), "its root is out");
            assert!(lease.job.inputs.iter().all(|input| input.root == first.root));
            assert_eq!(lease.root_left, [(first.root, run.root_left(first.root).unwrap())].into());
        }
        let epoch = self.epochs.entry(lease.job.id).or_insert(0);
        assert_eq!(lease.epoch, *epoch + 1, "the epoch grows by one with each claim");
        *epoch = lease.epoch;
        let run = &mut self.runs[at];
        for input in &lease.job.inputs {
            assert_eq!(input.host, lease.job.inputs[0].host);
            run.lease(input, self.now);
        }
        self.out.push(Out { lease, node, until });
    }

    /// What might become of the inputs of a lease.
    fn outcome(&self, lease: &Lease, dice: &mut Dice) -> Outcome {
        let mut outcome = Outcome::default();
        for input in &lease.job.inputs {
            match dice.below(12) {
                0 => outcome.again.push((self.now, input.clone())),
                1 => outcome.again.push((self.now.plus_ms(1 + dice.below(30_000) as i64), input.clone())),
                2 => outcome.carried.push(input.clone()),
                3 => outcome.errors.push((FailureCode::DeadPage, input.row.clone())),
                _ => {
                    outcome.records.extend(records(input.root, dice.below(3)));
                    if dice.below(3) == 0 && input.depth < 4 {
                        let found = dice.below(2) == 0;
                        let mut next = led(input, &format!("found/{}", dice.below(20)), found);
                        if dice.below(3) == 0 {
                            next.host = format!("h{}", dice.below(4));
                        }
                        outcome.led.extend([next.clone(), next]);
                    }
                }
            }
        }
        let left = outcome.again.len() + outcome.carried.len();
        outcome.settled = (lease.job.inputs.len() - left) as u64;
        outcome
    }

    pub(super) async fn finish(&mut self, at: usize, mut outcome: Outcome) {
        let Out { lease, node, until } = self.out.swap_remove(at);
        let nth = self.run_of(&lease);
        let (mut segment, answer) = self.ask(&lease, &outcome, node).await;
        let run = &self.runs[nth];
        let total = run.total_left();
        let mut per_root = BTreeMap::new();
        if let Some(left) = run.root_left(lease.job.inputs[0].root) {
            per_root.insert(lease.job.inputs[0].root, left);
        }
        let n = outcome.records.len();
        model::keep_within(&mut outcome.records, &per_root, total);
        let mut answer = answer;
        if outcome.records.len() < n {
            assert_eq!(answer, Finished::Trim { total, per_root });
            (segment, answer) = self.ask(&lease, &outcome, node).await;
        }
        match &answer {
            Finished::Done => assert!(outcome.carried.is_empty()),
            Finished::Carried(job) => {
                assert!(!outcome.carried.is_empty());
                let job =
                    Job { id: *job, snapshot: lease.job.snapshot.clone(), inputs: outcome.carried.clone() };
                self.epochs.insert(job.id, CARRIED_EPOCH);
                let lease = Lease { job, epoch: CARRIED_EPOCH, ..lease.clone() };
                self.out.push(Out { lease, node, until });
            }
            Finished::Trim { .. } => panic!("{answer:?} for what is within the limits"),
        }
        let run = &mut self.runs[nth];
        run.finish(&lease.job.inputs, &outcome, self.now);
        if let Some(segment) = &segment {
            run.segments.insert(segment.key.clone(), (segment.records, segment.errors));
        }
        self.done.push(Done { lease, outcome, segment, answer });
    }

    async fn ask(&self, lease: &Lease, outcome: &Outcome, node: u8) -> (Option<Segment>, Finished) {
        let segment = self.world.segment_of(lease, outcome);
        let store = self.world.node(node.into());
        let answer = store.finish(lease, outcome, segment.as_ref(), &[], self.now).await.unwrap();
        (segment, answer)
    }

    async fn repeat(&self, at: usize) {
        let Done { lease, outcome, segment, answer } = &self.done[at];
        let store = self.world.store();
        let again = store.finish(lease, outcome, segment.as_ref(), &[], self.now).await.unwrap();
        assert_eq!(again, *answer, "the first answer again");
    }

    async fn renew(&mut self, node: u8) {
        let until = self.now.plus_ms(LEASE_MS);
        let mut asked = Vec::new();
        let mut want = Vec::new();
        for at in 0..self.out.len() {
            if self.out[at].node != node {
                continue;
            }
            let state = self.runs[self.run_of(&self.out[at].lease)].state;
            self.out[at].until = until;
            asked.push((self.out[at].lease.job.id, self.out[at].lease.epoch));
            want.push(if state.is_stopping() { Held::Stop(state) } else { Held::Yes });
        }
        for lease in &self.late {
            asked.push((lease.job.id, lease.epoch));
            want.push(Held::Lost);
        }
        assert_eq!(self.world.node(node.into()).renew(&asked, until).await.unwrap(), want);
    }

    fn lose(&mut self, lost: impl Fn(&Out) -> bool) -> u64 {
        let (gone, kept) = std::mem::take(&mut self.out).into_iter().partition(lost);
        self.out = kept;
        let gone: Vec<Out> = gone;
        let n = gone.len() as u64;
        for Out { lease, .. } in gone {
            let at = self.run_of(&lease);
            self.runs[at].lose(&lease.job.inputs);
            self.late.push(lease);
        }
        n
    }

    pub(super) async fn tick(&mut self) {
        self.world.store().tick(self.now, STARTING_MS).await.unwrap();
        let now = self.now;
        for run in &mut self.runs {
            if run.state == S::Running && run.trigger.deadline.is_some_and(|deadline| deadline <= now) {
                run.stop(S::Expiring);
            }
        }
        self.lose(|out| out.until <= now);
        self.sending.retain(|(_, _, until)| *until > now);
    }

    async fn reclaim(&mut self, node: u8) {
        let store = self.world.node(node.into());
        let n = store.reclaim(&name(node), self.now).await.unwrap();
        let (mine, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sending).into_iter().partition(|(_, sender, _)| *sender == node);
        self.sending = others;
        let jobs = self.lose(|out| out.node == node);
        assert_eq!(n, jobs + mine.len() as u64, "every lease of the node, and no other");
        for (lease, ..) in mine {
            let late = store.finish_delivery(&lease, DeliveryOutcome::AllDone, self.now).await;
            lost(late);
        }
    }

    async fn cancel(&mut self, at: usize) {
        let answer = self.world.store().cancel(&self.runs[at].id, self.now).await;
        let run = &mut self.runs[at];
        match run.state {
            S::Running | S::Expiring => {
                answer.unwrap();
                run.stop(S::Cancelling);
            }
            _ => conflict(answer),
        }
    }

    async fn fail(&mut self, at: usize) {
        let answer = self.world.store().fail(&self.runs[at].id, "broken", self.now).await;
        let run = &mut self.runs[at];
        if run.state.is_terminal() {
            return conflict(answer);
        }
        answer.unwrap();
        run.fail();
        let id = run.id.clone();
        let (gone, kept): (Vec<Out>, Vec<Out>) =
            std::mem::take(&mut self.out).into_iter().partition(|out| out.lease.job.snapshot == id);
        self.out = kept;
        self.late.extend(gone.into_iter().map(|out| out.lease));
    }

    /// Sends what is due, as deliveries do; or dies after the first part.
    pub(super) async fn deliver(&mut self, node: u8, dies: bool) {
        let store = self.world.node(node.into()).clone();
        let until = self.now.plus_ms(LEASE_MS);
        let claim = Claim {
            jobs: 4,
            express_only: false,
            node: name(node),
            now: self.now,
            lease_until: until,
            pass_over: Vec::new(),
        };
        let (leases, _) = store.claim_deliveries(claim).await.unwrap();
        for lease in leases {
            let finish = |outcome| store.finish_delivery(&lease, outcome, self.now);
            let mut sent: u64 = lease.delivery.files.iter().map(|file| file.rows).sum();
            assert_eq!(lease.delivery.parts_done, lease.delivery.files.len() as u64);
            let snapshot = store.snapshot(&lease.snapshot.id).await.unwrap();
            let rows = snapshot.visible_rows();
            let last = snapshot.state.is_terminal();
            while sent + PART <= rows || (last && sent < rows) {
                let file =
                    DeliveredFile { filename: format!("{sent}"), at: self.now, rows: PART.min(rows - sent) };
                sent += file.rows;
                finish(DeliveryOutcome::PartDone(file)).await.unwrap();
                if dies {
                    break;
                }
            }
            if dies {
                self.sending.push((lease, node, until));
                continue;
            }
            finish(if last { DeliveryOutcome::AllDone } else { DeliveryOutcome::Idle }).await.unwrap();
        }
    }
}
