//! The head of an answer as it came over an HTTP/1 connection: the parser keeps neither the case of names nor their order.
//!
//! Owns: which bytes of a connection are a head. Must not know: what heads say.
//! Invariants: nothing is copied before the first request that wants its answer kept; a head is copied up to
//! [`HEAD_BYTES`]; whoever takes a head compares it with what was parsed, since the connection may be another's already.

use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a head that are copied; the head of an answer that is accepted is not longer.
const HEAD_BYTES: usize = 64 << 10;

/// Whether anybody in this process wants heads at all.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Looks on at a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing was asked, or the head is over.
    #[default]
    Idle,
    /// A request went out.
    Head,
}

impl Tap {
    /// From now on heads are wanted.
    pub(crate) fn want() {
        WANTED.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves half done is a head that fits no answer, and is not used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of a request went out.
    pub(crate) fn sent(&self) {
        if WANTED.load(Ordering::Relaxed) {
            let mut state = self.lock();
            state.phase = Phase::Head;
            state.head.clear();
        }
    }

    /// Bytes of an answer came in.
    pub(crate) fn came(&self, bytes: &[u8]) {
        if !WANTED.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.lock();
        if state.phase != Phase::Head {
            return;
        }
        let known = state.head.len();
        let room = HEAD_BYTES.saturating_sub(known);
        state.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let mut from = known.saturating_sub(3);
        while let Some(end) = end_of_head(&state.head[from..]).map(|end| from + end) {
            if is_interim(&state.head) {
                // `100 Continue` and its like come before the answer.
                state.head.drain(..end);
                from = 0;
                continue;
            }
            state.head.truncate(end);
            state.phase = Phase::Idle;
            return;
        }
        if bytes.len() >= room {
            state.phase = Phase::Idle;
            state.head = Vec::new();
        }
    }

    /// The head of the last answer, if it is whole.
    pub(crate) fn take(&self) -> Option<Bytes> {
        if !WANTED.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        let is_whole = state.phase == Phase::Idle && !state.head.is_empty();
        is_whole.then(|| std::mem::take(&mut state.head).into())
    }
}

/// The head of an answer as it came, beside the answer.
#[derive(Clone, Debug)]
pub(crate) struct RawHead(pub(crate) Bytes);

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2);
    let crlf = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    [at, crlf].into_iter().flatten().min()
}

fn is_interim(head: &[u8]) -> bool {
    head.starts_with(b"HTTP/1.") && head.get(8..10) == Some(b" 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_what_comes_between_a_request_and_an_empty_line() {
        Tap::want();
        let tap = Tap::default();
        tap.came(b"HTTP/1.1 408 Too late\r\n\r\n");
        assert_eq!(tap.take(), None, "nobody had asked");
        tap.sent();
        for byte in
            b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-Case: Kept\r\n\r\nbody\r\n\r\n"
        {
            tap.came(&[*byte]);
        }
        assert_eq!(tap.take().as_deref(), Some(&b"HTTP/1.1 200 OK\r\nX-Case: Kept\r\n\r\n"[..]));
        assert_eq!(tap.take(), None, "once");
        tap.sent();
        tap.came(b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 No\n\nHTTP/1.1 ");
        assert_eq!(tap.take().as_deref(), Some(&b"HTTP/1.1 204 No\n\n"[..]));
        tap.sent();
        tap.came(&vec![b'x'; HEAD_BYTES + 1]);
        tap.came(b"\r\n\r\n");
        assert_eq!(tap.take(), None, "a head without end is not copied");
    }
}
