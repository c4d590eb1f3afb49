//! What a schedule does next. Pure: `now` and whether the last run goes on are arguments.

use super::{CATCH_UP, Calendar, Claim, GRACE_MS, Missed, Overlap, Schedule};
use model::Timestamp;

/// One step; after each but the last the schedule is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begin the run of this planned time.
    Begin(Timestamp),
    /// Leave out what is planned up to there: `count` of them as far as that is known.
    Skip { up_to: Timestamp, count: u64 },
    /// This one waits for the end of the run before.
    Wait(Timestamp),
    /// Nothing before then; for ever if `None` (or until the run before ends).
    Sleep(Option<Timestamp>),
}

/// The next step. `goes_on`: the last run has not ended.
pub(crate) fn step(schedule: &Schedule, calendar: &Calendar, now: Timestamp, goes_on: bool) -> Step {
    let state = &schedule.state;
    if let Some(Claim { planned, again_at, .. }) = state.claim {
        // A claim is finished also if the schedule was switched off meanwhile: its run may be there already.
        return if again_at <= now { Step::Begin(planned) } else { Step::Sleep(Some(again_at)) };
    }
    if !schedule.enabled {
        return Step::Sleep(None);
    }
    let Some(first) = calendar.after(state.settled) else {
        return match state.waiting {
            Some(planned) if !goes_on => Step::Begin(planned),
            _ => Step::Sleep(None),
        };
    };
    if let Some(planned) = state.waiting {
        return match (goes_on, schedule.missed) {
            (false, _) => Step::Begin(planned),
            (true, Missed::All) => Step::Sleep(None),
            (true, _) if first <= now => Step::Skip { up_to: first, count: 1 },
            (true, _) => Step::Sleep(Some(first)),
        };
    }
    if first > now {
        return Step::Sleep(Some(first));
    }
    if let Some(skip) = too_late(schedule.missed, calendar, first, now) {
        return skip;
    }
    match schedule.overlap {
        Overlap::Skip if goes_on => Step::Skip { up_to: first, count: 1 },
        Overlap::Wait if goes_on => Step::Wait(first),
        _ => Step::Begin(first),
    }
}

/// What of the planned times since `first` is not made up for.
fn too_late(missed: Missed, calendar: &Calendar, first: Timestamp, now: Timestamp) -> Option<Step> {
    let last_missed = calendar.up_to(now.plus_ms(-GRACE_MS)).filter(|last| *last >= first)?;
    match missed {
        Missed::Skip => Some(Step::Skip { up_to: last_missed, count: 1 }),
        // The last one makes up for those before.
        Missed::Once if last_missed > first => Some(Step::Skip { up_to: last_missed.plus_ms(-1), count: 1 }),
        Missed::Once => None,
        Missed::All => {
            let mut oldest = last_missed;
            for _ in 1..CATCH_UP {
                match calendar.up_to(oldest.plus_ms(-1)) {
                    Some(before) if before >= first => oldest = before,
                    _ => return None,
                }
            }
            (oldest > first).then(|| Step::Skip { up_to: oldest.plus_ms(-1), count: 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Run, State};
    use super::*;
    use serde_json::Map;

    fn at(second: i64) -> Timestamp {
        Timestamp::parse("2026-01-01T00:00:00Z").unwrap().plus_ms(second * 1_000)
    }

    /// Every ten seconds, settled up to second 0.
    fn schedule(missed: Missed, overlap: Overlap) -> Schedule {
        Schedule {
            id: "sch_1".into(),
            name: "x".into(),
            dataset_id: "d".into(),
            cron: "*/10 * * * * *".into(),
            time_zone: "UTC".into(),
            options: Map::new(),
            deliver: None,
            inputs: 1,
            missed,
            overlap,
            enabled: true,
            created_at: at(0),
            created_by: "t".into(),
            state: State::from(at(0)),
        }
    }

    /// Follows the steps until it sleeps; the planned times that began, and when it wakes.
    fn follow(schedule: &mut Schedule, now: i64, goes_on: bool) -> (Vec<i64>, Option<i64>) {
        let calendar =
            Calendar::read(&schedule.cron, &schedule.time_zone).map_err(|e| format!("{e:?}")).unwrap();
        let mut began = Vec::new();
        let second = |t: Timestamp| (t.ms() - at(0).ms()).div_euclid(1_000);
        loop {
            match step(schedule, &calendar, at(now), goes_on) {
                Step::Begin(planned) => {
                    assert!(began.len() < 1_000, "it does not come to an end");
                    began.push(second(planned));
                    schedule.state.settled = schedule.state.settled.max(planned);
                    schedule.state.waiting = None;
                    schedule.state.claim = None;
                }
                Step::Skip { up_to, count } => {
                    assert!(up_to > schedule.state.settled, "a step must lead on");
                    schedule.state.settled = up_to;
                    schedule.state.skips += count;
                }
                Step::Wait(planned) => {
                    schedule.state.settled = planned;
                    schedule.state.waiting = Some(planned);
                }
                Step::Sleep(until) => return (began, until.map(second)),
            }
        }
    }

    #[test]
    fn each_planned_time_begins_once() {
        let mut s = schedule(Missed::Skip, Overlap::Allow);
        assert_eq!(follow(&mut s, 9, false), (vec![], Some(10)));
        assert_eq!(follow(&mut s, 10, false), (vec![10], Some(20)));
        assert_eq!(follow(&mut s, 10, false), (vec![], Some(20)));
        assert_eq!(follow(&mut s, 25, true), (vec![20], Some(30)), "it was only slow");
    }

    #[test]
    fn missed_times() {
        for (missed, expected) in [
            (Missed::Skip, vec![100]),
            (Missed::Once, vec![90, 100]),
            (Missed::All, (1..=10).map(|n| n * 10).collect()),
        ] {
            let mut s = schedule(missed, Overlap::Allow);
            // 90 is missed by 15 seconds, 100 late by 5.
            assert_eq!(follow(&mut s, 105, false), (expected, Some(110)), "{missed:?}");
        }
        let mut s = schedule(Missed::Once, Overlap::Allow);
        assert_eq!(follow(&mut s, 9_999_995, false).0, [9_999_980, 9_999_990]);
    }

    #[test]
    fn catching_up_is_bounded() {
        let mut s = schedule(Missed::All, Overlap::Allow);
        let (began, _) = follow(&mut s, 1_000_009, false);
        assert_eq!(began.len(), CATCH_UP + 1, "those that were missed, and the one that is only late");
        assert_eq!(began.last(), Some(&1_000_000));
    }

    #[test]
    fn a_run_that_goes_on() {
        let mut s = schedule(Missed::Once, Overlap::Skip);
        assert_eq!(follow(&mut s, 10, true), (vec![], Some(20)));
        assert_eq!((s.state.skips, follow(&mut s, 20, false)), (1, (vec![20], Some(30))));

        let mut s = schedule(Missed::Once, Overlap::Wait);
        assert_eq!(follow(&mut s, 10, true), (vec![], Some(20)));
        assert_eq!(follow(&mut s, 35, true), (vec![], Some(40)), "one waits at most");
        assert_eq!(follow(&mut s, 37, false), (vec![10], Some(40)));

        let mut s = schedule(Missed::All, Overlap::Wait);
        assert_eq!(follow(&mut s, 35, true), (vec![], None), "the end of the run wakes it");
        assert_eq!(follow(&mut s, 36, false), (vec![10, 20, 30], Some(40)));
    }

    #[test]
    fn a_claim_is_finished_by_whoever_comes_when_its_holder_is_dead() {
        let mut s = schedule(Missed::Skip, Overlap::Skip);
        s.state.claim = Some(Claim { planned: at(10), since: at(10), again_at: at(25) });
        s.state.settled = at(10);
        s.enabled = false;
        assert_eq!(follow(&mut s, 20, false), (vec![], Some(25)));
        assert_eq!(follow(&mut s, 25, false), (vec![10], None));
        s.state.claim = Some(Claim { planned: at(10), since: at(10), again_at: at(25) });
        s.state.ran(Run { planned: Some(at(10)), at: at(11), snapshot: None, error: None });
        assert_eq!(s.state.claim, None);
    }

    #[test]
    fn one_that_is_switched_off_sleeps() {
        let mut s = schedule(Missed::All, Overlap::Allow);
        s.enabled = false;
        assert_eq!(follow(&mut s, 100, false), (vec![], None));
    }
}
