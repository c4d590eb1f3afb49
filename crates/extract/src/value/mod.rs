//! Values as people write them → values as programs want them: numbers, prices, dates, addresses.
//!
//! Owns: reading one short text. Must not know: pages, scraper files, the clock (a moment is an argument).
//! Invariant: every function is total; what is not certainly that value is `None`, never a guess that looks right.

pub mod breadcrumb;
pub mod contact;
pub mod currency;
pub mod date;
pub mod digit;
pub mod duration;
pub mod image;
pub mod measure;
pub mod number;
pub mod price;
pub mod rating;
pub mod text;
pub mod unit;
pub mod url;
pub mod word;
