//! What must hold between the store and the model: after every step, after a claim that came back short, and at the end.

use super::NODES;
use super::model::At;
use super::play::Play;
use crate::world::{LEASE_MS, read};
use model::limit;
use store::Content;

/// Rounds in which everything must come to its end: more than leases can be lost.
const ROUNDS: u32 = 60;

impl Play<'_> {
    /// A claim got less than it asked for: nothing that may be claimed is left.
    pub(super) fn nothing_is_left(&self, node: u8, express_only: bool) {
        for run in self.runs.iter().filter(|run| run.is_open() && (run.trigger.express || !express_only)) {
            for line in run.lines.values() {
                let At::Waiting(due) = line.at else { continue };
                let mut lanes = vec![line.input.host.as_str()];
                let mut free = due <= self.now;
                if run.trigger.limit_per_input.is_some() {
                    free &= !self.root_is_out(run, line.input.root);
                    // Jobs of a root wait for each other, so a full lane of one holds up the others.
                    let root = line.input.root;
                    lanes.extend(
                        run.lines.values().filter(|l| l.input.root == root).map(|l| l.input.host.as_str()),
                    );
                }
                free &= lanes.iter().all(|host| {
                    self.in_lane(run, host) < limit::LANE_LEASES as usize && self.may_ask(node, host)
                });
                assert!(!free, "{:?} of {} could have been claimed", line, run.id);
            }
        }
    }

    /// The store and the model agree.
    pub(super) async fn compare(&mut self) {
        for (run, (next, records, errors)) in self.runs.iter_mut().zip(&mut self.read) {
            for segment in self.world.store().segments(&run.id, *next, 10_000).await.unwrap() {
                *next = segment.seq + 1;
                assert_eq!((segment.first_record, segment.first_error), (*records, *errors));
                match segment.content {
                    Content::Segment(s) => {
                        let wanted = run.segments.remove(&s.key);
                        assert_eq!(
                            wanted,
                            Some((s.records, s.errors)),
                            "registered once, by who was told so"
                        );
                        *records += s.records;
                        *errors += s.errors;
                    }
                    Content::Aborted { errors: n } => {
                        let aborted = self.world.store().aborted(&run.id, segment.seq).await.unwrap();
                        assert_eq!(aborted.inputs.len() as u64, n);
                        run.aborted(&aborted.inputs, aborted.code);
                        *errors += n;
                    }
                }
            }
            assert!(run.segments.is_empty() && run.aborting.is_empty(), "rows are missing: {run:?}");
            let snapshot = self.world.store().snapshot(&run.id).await.unwrap();
            assert_eq!((snapshot.state, snapshot.counts), (run.state, run.counts), "{}", run.id);
            assert!(run.counts.adds_up());
            assert_eq!((*records, *errors), (run.counts.records, run.counts.errors));
            let limits = (run.trigger.limit_multiple_results, run.trigger.limit_per_input);
            assert!(limits.0.is_none_or(|most| run.counts.records <= most));
            assert!(limits.1.is_none_or(|most| run.records_of.values().all(|n| *n <= most)));
        }
    }

    /// Nobody fails any more: every run ends, every input is settled once, every delivery has ended.
    pub(crate) async fn end(&mut self) {
        for round in 0.. {
            assert!(round < ROUNDS, "it does not end: {}", self.unfinished().await);
            self.tick().await;
            self.compare().await;
            self.claim(round as u8 % NODES, 1_000, false).await;
            while !self.out.is_empty() {
                let at = self.out.len() - 1;
                let outcome = read(&self.out[at].lease, 1);
                self.finish(at, outcome).await;
            }
            self.deliver(0, false).await;
            self.compare().await;
            if self.runs.iter().all(|run| run.state.is_terminal()) && self.all_sent().await {
                break;
            }
            self.now = self.now.plus_ms(LEASE_MS);
        }
        for run in &self.runs {
            assert!(run.lines.values().all(|line| line.at == At::Settled));
            self.world.lawful(&run.id).await;
            let delivery = self.world.store().deliveries(&run.id).await.unwrap().remove(0);
            let sent: u64 = delivery.files.iter().map(|file| file.rows).sum();
            if delivery.state == model::DeliveryState::Done {
                assert_eq!(sent, run.visible_rows(), "each row once");
            }
        }
    }

    async fn unfinished(&self) -> String {
        let mut words = Vec::new();
        for run in &self.runs {
            let delivery = self.world.store().deliveries(&run.id).await.unwrap().remove(0);
            if !run.state.is_terminal() || !delivery.state.is_terminal() {
                words.push(format!("{} {:?} {:?} {delivery:?}", run.id, run.state, run.counts));
            }
        }
        words.join("; ")
    }

    async fn all_sent(&self) -> bool {
        for run in &self.runs {
            let delivery = self.world.store().deliveries(&run.id).await.unwrap().remove(0);
            if !delivery.state.is_terminal() {
                return false;
            }
        }
        true
    }
}
