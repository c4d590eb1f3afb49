//! Integration tests of the server, in one binary: linking dominates.

mod api;
mod simulation;
mod world;
