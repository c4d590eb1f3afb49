//! Data that pages carry for machines: JSON-LD, microdata, RDFa, meta tags. One shape for the first three: JSON objects with
//! `@type` and properties, searched by [`items`].
//!
//! Must not know: scraper files beyond an item path.

pub(crate) mod head;
mod items;
mod lenient;
mod microdata;
mod rdfa;

pub(crate) use items::{Ids, ids, values};
pub(crate) use lenient::parse as parse_json;
pub(crate) use microdata::{items as microdata, standard as standard_microdata};
pub(crate) use rdfa::items as rdfa;
