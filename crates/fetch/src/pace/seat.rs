//! Seats: one for each request that waits or is under way, in an array, linked into the lines of their hosts by index.
//!
//! Owns: free seats, the lines' links. Must not know: whose turn it is.

use super::Moment;
use super::health::Class;

/// No seat.
const NONE: u32 = u32::MAX;
/// The bit of a number that puts ordinary requests behind express ones.
const ORDINARY: u64 = 1 << 63;

/// A place in the queue, then a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) seat: u32,
    pub(super) number: u64,
}

impl Ticket {
    /// Its number among those in use: small, and given to another when this one has left.
    pub fn seat(self) -> usize {
        self.seat as usize
    }
}

/// One request, waiting or under way.
#[derive(Debug)]
pub(super) struct Seat {
    /// Of its ticket: the order of asking, express before ordinary. 0 if free.
    pub(super) number: u64,
    pub(super) delay: Moment,
    /// When its turn came; [`Moment::MAX`] while it waits.
    pub(super) began: Moment,
    pub(super) host: u32,
    before: u32,
    /// Next in line; of a free seat the next free one.
    next: u32,
    pub(super) host_concurrency: u32,
    /// The class that it counts among.
    pub(super) class: Class,
    /// It finds out whether its host is back.
    pub(super) probe: bool,
}

impl Seat {
    /// Of the `count`th request of all.
    pub(super) fn new(host: u32, count: u64, express: bool) -> Self {
        Self {
            number: if express { count } else { count | ORDINARY },
            delay: 0,
            began: Moment::MAX,
            host,
            before: NONE,
            next: NONE,
            host_concurrency: 1,
            class: Class::Unknown,
            probe: false,
        }
    }

    fn line(&self) -> usize {
        usize::from(self.number & ORDINARY != 0)
    }
}

/// Who waits for a host: first and last of the express and of the ordinary requests.
#[derive(Debug)]
pub(super) struct Line {
    first: [u32; 2],
    last: [u32; 2],
    pub(super) waiting: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self { first: [NONE; 2], last: [NONE; 2], waiting: 0 }
    }
}

impl Line {
    /// Who is first.
    pub(super) fn front(&self) -> Option<u32> {
        self.first.into_iter().find(|seat| *seat != NONE)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Seats {
    seats: Vec<Seat>,
    free: u32,
}

impl Default for Seats {
    fn default() -> Self {
        Self { seats: Vec::new(), free: NONE }
    }
}

impl Seats {
    /// The seat of a ticket, as long as it has one.
    pub(super) fn of(&self, ticket: Ticket) -> Option<&Seat> {
        self.seats.get(ticket.seat as usize).filter(|seat| seat.number == ticket.number)
    }

    pub(super) fn at(&self, at: u32) -> &Seat {
        &self.seats[at as usize]
    }

    pub(super) fn at_mut(&mut self, at: u32) -> &mut Seat {
        &mut self.seats[at as usize]
    }

    /// A request sits down at the end of its line.
    pub(super) fn sit(&mut self, seat: Seat, line: &mut Line) -> u32 {
        let which = seat.line();
        let at = match self.seats.get_mut(self.free as usize) {
            Some(free) => {
                let at = self.free;
                self.free = free.next;
                *free = seat;
                at
            }
            None => {
                self.seats.push(seat);
                // Cast: memory ends before four billion seats.
                (self.seats.len() - 1) as u32
            }
        };
        match std::mem::replace(&mut line.last[which], at) {
            NONE => line.first[which] = at,
            last => {
                self.at_mut(last).next = at;
                self.at_mut(at).before = last;
            }
        }
        line.waiting += 1;
        at
    }

    /// Out of the line, but not out of the seat.
    pub(super) fn step_out(&mut self, at: u32, line: &mut Line) {
        let seat = self.at_mut(at);
        let which = seat.line();
        let before = std::mem::replace(&mut seat.before, NONE);
        let next = std::mem::replace(&mut seat.next, NONE);
        match before {
            NONE => line.first[which] = next,
            before => self.at_mut(before).next = next,
        }
        match next {
            NONE => line.last[which] = before,
            next => self.at_mut(next).before = before,
        }
        line.waiting -= 1;
    }

    /// The seat is free.
    pub(super) fn stand_up(&mut self, at: u32) {
        let free = std::mem::replace(&mut self.free, at);
        let seat = self.at_mut(at);
        seat.number = 0;
        seat.next = free;
    }

    #[cfg(test)]
    pub(super) fn all_free(&self) -> bool {
        self.seats.iter().all(|seat| seat.number == 0)
    }
}
