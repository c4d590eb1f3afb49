//! Reading one page: parse once, look where the fields say, convert to their types.
//!
//! Owns: the lazily made views of a page and the evaluation of sources. Must not know: doors, discovery.
//! Invariant: text produced per page stays within [`crate::limit::PAGE_BUDGET_BYTES`].

mod convert;
mod look;
mod owner;
mod parts;
mod record;
mod special;
mod things;
mod trace;

pub(crate) use parts::{Parts, Reader, Scope, Tried, View};
