//! What the integration tests of the store share. Each test file uses a part of it.
#![allow(dead_code)]

pub(crate) mod postgres;
