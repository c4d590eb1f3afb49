//! Whether a host is worth asking at all: a circuit that opens when it does not answer. Pure; moments are microseconds.
//!
//! Invariants: a closed circuit admits everybody, an open one nobody, and between the two there is one probe at a time.
//! However long a host is dead, it is asked again no later than [`OPEN_MAX`] after the last attempt.

use super::Moment;

/// Points at which the circuit opens: five connections in a row that were not made, or ten requests in a row that nobody
/// answered.
const TRIP: u32 = 10;
/// How long the circuit stays open the first time; it doubles with each probe that fails.
const OPEN_FIRST: Moment = 1_000_000;
/// How long it stays open at most.
pub(crate) const OPEN_MAX: Moment = 120_000_000;
/// When to ask again who comes while a probe is under way: about the time that it needs.
const PROBE_WAIT: Moment = 2_000_000;

/// The circuit of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Circuit {
    /// Requests pass; so many points of failure since the last answer.
    Closed(u32),
    /// Nobody passes before `until`.
    Open {
        /// The end of the pause.
        until: Moment,
        /// How often it opened since the last answer.
        openings: u32,
    },
    /// One request is under way to see whether the host is back.
    Probing {
        /// As in `Open`.
        openings: u32,
    },
}

/// What the circuit says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Go.
    Pass,
    /// Go, and everybody waits for what becomes of it.
    Probe,
    /// Not before that moment.
    Shut(Moment),
}

impl Circuit {
    /// What a request is to do now.
    pub(crate) fn enter(&mut self, now: Moment) -> Entry {
        match *self {
            Self::Closed(_) => Entry::Pass,
            Self::Open { until, .. } if now < until => Entry::Shut(until),
            Self::Open { openings, .. } => {
                *self = Self::Probing { openings };
                Entry::Probe
            }
            Self::Probing { .. } => Entry::Shut(now.saturating_add(PROBE_WAIT)),
        }
    }

    /// The host answered, whatever it said.
    pub(crate) fn answered(&mut self) {
        *self = Self::Closed(0);
    }

    /// The host did not answer. Whether the circuit opened by this.
    pub(crate) fn failed(&mut self, points: u32, now: Moment) -> bool {
        let openings = match *self {
            Self::Closed(before) if before + points < TRIP => {
                *self = Self::Closed(before + points);
                return false;
            }
            Self::Closed(_) => 1,
            Self::Probing { openings } => openings.saturating_add(1),
            // A request from before it opened says nothing new.
            Self::Open { .. } => return false,
        };
        let pause = OPEN_FIRST << (openings - 1).min(10);
        *self = Self::Open { until: now.saturating_add(pause.min(OPEN_MAX)), openings };
        true
    }

    /// The probe was given up before anybody knew: the next request is one.
    pub(crate) fn gave_up(&mut self, now: Moment) {
        if let Self::Probing { openings } = *self {
            *self = Self::Open { until: now, openings };
        }
    }

    /// How often it opened since the last answer; 0 while closed.
    pub(crate) fn openings(self) -> u32 {
        match self {
            Self::Closed(_) => 0,
            Self::Open { openings, .. } | Self::Probing { openings } => openings,
        }
    }

    pub(crate) fn is_closed(self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Moment = 1_000_000;

    #[test]
    fn it_opens_after_failures_in_a_row_and_doubles() {
        let mut circuit = Circuit::Closed(0);
        for _ in 0..4 {
            assert!(!circuit.failed(2, 0));
        }
        circuit.answered();
        for _ in 0..4 {
            assert!(!circuit.failed(2, 0));
        }
        assert!(circuit.failed(2, 0));
        assert_eq!(circuit.enter(SECOND - 1), Entry::Shut(SECOND));
        assert_eq!(circuit.enter(SECOND), Entry::Probe);
        assert!(matches!(circuit.enter(SECOND), Entry::Shut(_)), "one probe at a time");
        assert!(circuit.failed(2, 5 * SECOND));
        assert_eq!(circuit.enter(6 * SECOND), Entry::Shut(7 * SECOND));
        assert_eq!(circuit.enter(7 * SECOND), Entry::Probe);
        circuit.answered();
        assert_eq!(circuit.enter(7 * SECOND), Entry::Pass);
    }

    #[test]
    fn a_probe_that_is_given_up_makes_way() {
        let mut circuit = Circuit::Open { until: 5, openings: 3 };
        assert_eq!(circuit.enter(5), Entry::Probe);
        circuit.gave_up(9);
        assert_eq!(circuit, Circuit::Open { until: 9, openings: 3 });
        assert_eq!(circuit.enter(9), Entry::Probe);
    }

    proptest! {
        #[test]
        fn a_dead_host_is_asked_again_within_bounds(steps in proptest::collection::vec((0..4_u8, 0..200_000_000_u64), 1..200)) {
            let mut circuit = Circuit::Closed(0);
            let (mut now, mut probes) = (0, 0_u32);
            for (what, pass) in steps {
                now += pass;
                match what {
                    0 => {
                        match circuit.enter(now) {
                            Entry::Pass => prop_assert_eq!(probes, 0),
                            Entry::Probe => { probes += 1; prop_assert_eq!(probes, 1); }
                            Entry::Shut(until) => prop_assert!(until > now && until <= now + OPEN_MAX),
                        }
                    }
                    1 => if circuit.failed(2, now) { probes = 0; },
                    2 => { circuit.answered(); probes = 0; }
                    _ => { circuit.gave_up(now); probes = 0; }
                }
            }
        }
    }
}
