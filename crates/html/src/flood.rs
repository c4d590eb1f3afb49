//! Notices a tag with thousands of attributes, which the tokenizer compares pairwise: the square of the tag's length.
//!
//! The tokenizer does not tell what it is in. But while it is inside one tag it orders nothing of the tree, so only pieces
//! without any order are read here, from the piece before them on. Where the tag began is unknown too: every `<` with a
//! letter after it may be it, so all of them are followed at once, one count per state. The true one is among them.

/// Attributes of a tag that any page may have.
const MAX_ATTRS: u32 = 2_000;
/// States of [`Flood::counts`], as in the standard's tokenizer.
const TAG_NAME: usize = 0;
const BETWEEN: usize = 1;
const NAME: usize = 2;
const BEFORE_VALUE: usize = 3;
const PLAIN: usize = 4;
const DOUBLE: usize = 5;
const SINGLE: usize = 6;

/// What is known of the tag that the tokenizer may be in.
#[derive(Default)]
pub(crate) struct Flood {
    /// The most attributes of any candidate in each state.
    counts: [Option<u32>; 7],
    /// The last byte opened a candidate, if a letter follows.
    opening: bool,
    /// Silent pieces so far.
    silent: usize,
}

impl Flood {
    /// Takes a piece that was fed; `silent` when it led to no order. True when a tag holds too many attributes.
    pub(crate) fn is_in(&mut self, before: &str, piece: &str, silent: bool) -> bool {
        if !silent {
            *self = Flood::default();
            return false;
        }
        if self.silent == 0 {
            self.read(before, true);
        }
        self.read(piece, self.silent == 0);
        self.silent += 1;
        self.counts.iter().flatten().any(|&count| count > MAX_ATTRS)
    }

    fn read(&mut self, text: &str, may_begin: bool) {
        for byte in text.bytes() {
            if self.counts.iter().any(Option::is_some) {
                let mut next = [None; 7];
                for (state, count) in self.counts.iter().enumerate() {
                    if let Some(count) = *count
                        && let Some((state, count)) = step(state, byte, count)
                    {
                        next[state] = next[state].max(Some(count));
                    }
                }
                self.counts = next;
            }
            if self.opening && byte.is_ascii_alphabetic() {
                self.counts[TAG_NAME] = self.counts[TAG_NAME].max(Some(0));
            }
            self.opening = may_begin && byte == b'<';
        }
    }
}

/// The state after a byte, and the attributes so far; `None` when the tag ended.
fn step(state: usize, byte: u8, count: u32) -> Option<(usize, u32)> {
    let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c);
    let state = match (state, byte) {
        (DOUBLE, b'"') | (SINGLE, b'\'') => BETWEEN,
        (DOUBLE | SINGLE, _) => state,
        (_, b'>') => return None,
        (BEFORE_VALUE, b'"') => DOUBLE,
        (BEFORE_VALUE, b'\'') => SINGLE,
        (BEFORE_VALUE, _) if space => BEFORE_VALUE,
        (BEFORE_VALUE, _) => PLAIN,
        (PLAIN, _) if !space => PLAIN,
        // Also after the space behind a name.
        (NAME | BETWEEN, b'=') => BEFORE_VALUE,
        (_, b'/') => BETWEEN,
        _ if space => BETWEEN,
        (BETWEEN, _) => return Some((NAME, count + 1)),
        _ => state,
    };
    Some((state, count))
}
