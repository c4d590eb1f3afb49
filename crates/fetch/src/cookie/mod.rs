//! Cookies after RFC 6265 (and what its successor 6265bis adds against tricks): reading `Set-Cookie`, a bounded jar.
//!
//! Owns: which cookie a site may set, and to which address it is sent. Must not know: sessions, HTTP exchanges, the clock:
//! `now` is an argument. `SameSite` and `HttpOnly` are for browsers only: a plain page is fetched as if its address had been typed,
//! and has no scripts.

mod date;
mod jar;
mod line;
#[cfg(test)]
mod tests;

pub(crate) use jar::Jar;
pub(crate) use line::{Cookie, SameSite};
