//! Integration tests of the server, in one binary: linking dominates.

mod simulation;
mod world;
