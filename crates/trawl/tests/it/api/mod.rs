//! The API over a real socket, with a real store and no workers: what is accepted stays as it was accepted.

mod door;
mod harness;
mod runs;
mod triggers;
