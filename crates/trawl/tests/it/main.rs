//! Integration tests of the server, in one binary: linking dominates.

#![allow(clippy::unwrap_used, reason = "a test's panic is its answer")]

mod api;
mod simulation;
mod world;
