//! Handing out jobs: fair between runs, in turns between the lanes of a run, oldest due first within a lane.
//!
//! The walk itself is `trawl_claim` (schema/0002_claim.sql), one round trip for all the jobs of a call. It walks one
//! index after the other to its first entry, from where the run and the lane say that their first is, so it costs the
//! same however many jobs wait, and however many dead entries lie before. Hosts for which another node works are passed
//! over.
//!
//! Between runs: start-time fair queueing. A run's `turn` is the virtual time at which it is served next; the lowest
//! goes first and moves on by the inputs it was given. The virtual time of the run served last is kept: a new run
//! starts there, and a run that had nothing to do for a while catches up to it, so it cannot save up turns.

use super::run::{read_id, read_state};
use super::sql::{count, damaged, get, int, moment, uint, with_codec};
use super::tx::Tx;
use crate::{Change, Claim, Claimed, Held, Lease, Result};
use model::{Job, JobId, SnapshotId, Timestamp, Trigger};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Jobs handed out by one call at most: bounds the transaction, and the locks that it holds.
const CLAIM_JOBS: usize = 512;
/// Runs whose triggers are kept in memory.
const KNOWN: usize = 256;

const CLAIM: &str = "SELECT run, job, n, epoch, records, limit_total, root_records, blob
     FROM trawl_claim($1, $2, $3, $4, $5, $6, $7)";
const ASKED: &str =
    "SELECT s.k, s.id, s.created_at, a.trigger FROM snapshot s JOIN asked a ON a.snapshot = s.k
     WHERE s.k = ANY ($1)";

/// What does not change about a run once it is committed.
#[derive(Clone)]
struct Asked {
    id: SnapshotId,
    trigger: Arc<Trigger>,
    created_at: Timestamp,
}

/// What was read of runs before: so that a claim need not read it again.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<i64, Asked>>);

/// What a claim came to.
pub(super) enum Outcome {
    Claimed(Claimed),
    /// A job of this run cannot be read.
    Broken {
        run: i64,
        why: String,
    },
}

pub(super) async fn claim(tx: &mut Tx, known: &Known, claim: &Claim, patient: bool) -> Result<Outcome> {
    let jobs = super::sql::len(claim.jobs.min(CLAIM_JOBS));
    let asked: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
        &jobs,
        &claim.express_only,
        &claim.node,
        &claim.now.ms(),
        &claim.lease_until.ms(),
        &patient,
        &claim.pass_over,
    ];
    let rows = tx.all(CLAIM, &asked).await?;
    let mut runs = BTreeSet::new();
    for row in &rows {
        runs.extend(get::<Option<i64>>(row, 0)?);
    }
    let runs = match known.of(tx, runs).await? {
        Ok(runs) => runs,
        Err((run, why)) => return Ok(Outcome::Broken { run, why }),
    };
    let mut claimed = Claimed::default();
    for row in &rows {
        let Some(run) = get::<Option<i64>>(row, 0)? else {
            claimed.next_due = moment(row, 2)?;
            continue;
        };
        let asked = runs.get(&run).ok_or_else(|| damaged("a run without its trigger"))?;
        let blob = get::<Option<&[u8]>>(row, 7)?.unwrap_or_default();
        // The rest of the store is fine: only this run ends, and says why, instead of stopping every worker.
        let inputs = match with_codec(|codec| codec.decode(blob)) {
            Ok(inputs) => inputs,
            Err(e) => return Ok(Outcome::Broken { run, why: e.to_string() }),
        };
        let records = count(row, 4)?;
        let root_left = match (asked.trigger.limit_per_input, get::<Option<i64>>(row, 6)?) {
            (Some(most), Some(taken)) => {
                inputs.iter().map(|input| (input.root, most.saturating_sub(uint(taken)))).collect()
            }
            _ => BTreeMap::new(),
        };
        claimed.leases.push(Lease {
            job: Job { id: JobId(get(row, 1)?), snapshot: asked.id.clone(), inputs },
            epoch: count(row, 3)?,
            trigger: Arc::clone(&asked.trigger),
            created_at: asked.created_at,
            records_left: get::<Option<i64>>(row, 5)?.map(|most| uint(most).saturating_sub(records)),
            root_left,
        });
    }
    for asked in runs.into_values() {
        tx.tell(Change::Snapshot(asked.id));
    }
    Ok(Outcome::Claimed(claimed))
}

type Broken = (i64, String);

impl Known {
    /// What these runs ask; which of them cannot be read, and why.
    async fn of(
        &self,
        tx: &Tx,
        runs: BTreeSet<i64>,
    ) -> Result<std::result::Result<HashMap<i64, Asked>, Broken>> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for run in runs {
                match known.get(&run) {
                    Some(asked) => drop(found.insert(run, asked.clone())),
                    None => missing.push(run),
                }
            }
        }
        if missing.is_empty() {
            return Ok(Ok(found));
        }
        for row in tx.all(ASKED, &[&missing]).await? {
            let run: i64 = get(&row, 0)?;
            let trigger = match serde_json::from_str(get(&row, 3)?) {
                Ok(trigger) => Arc::new(trigger),
                Err(e) => return Ok(Err((run, e.to_string()))),
            };
            let created_at = Timestamp::from_ms(get(&row, 2)?);
            found.insert(run, Asked { id: read_id(get(&row, 1)?)?, trigger, created_at });
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.extend(found.iter().map(|(run, asked)| (*run, asked.clone())));
        Ok(Ok(found))
    }
}

/// Moves the end of leases; what became of each. Locks no run: it changes nothing but when a lease ends, and whoever
/// takes that lease back looks again under the row's lock.
pub(super) async fn renew(tx: &Tx, leases: &[(JobId, u64)], until: Timestamp) -> Result<Vec<Held>> {
    let jobs: Vec<i64> = leases.iter().map(|(job, _)| job.0).collect();
    let epochs: Vec<i64> = leases.iter().map(|(_, epoch)| int(*epoch)).collect();
    let rows = tx
        .all(
            "WITH held AS MATERIALIZED (
                 SELECT j.id, j.epoch, j.snapshot FROM job j WHERE j.id = ANY ($1) AND j.state = 2 ORDER BY j.id FOR UPDATE),
             renewed AS (
                 UPDATE job SET lease_until = $3 FROM held, unnest($1::bigint[], $2::bigint[]) AS u(id, epoch)
                 WHERE job.id = held.id AND u.id = held.id AND u.epoch = held.epoch
                 RETURNING job.id, job.epoch, job.snapshot)
             SELECT renewed.id, renewed.epoch, s.state FROM renewed JOIN snapshot s ON s.k = renewed.snapshot",
            &[&jobs, &epochs, &until.ms()],
        )
        .await?;
    let mut held = HashMap::new();
    for row in &rows {
        let state = read_state(get(row, 2)?)?;
        let answer = if state.is_stopping() { Held::Stop(state) } else { Held::Yes };
        held.insert((get::<i64>(row, 0)?, get::<i64>(row, 1)?), answer);
    }
    Ok(jobs.into_iter().zip(epochs).map(|lease| held.get(&lease).copied().unwrap_or(Held::Lost)).collect())
}
