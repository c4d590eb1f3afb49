//! What a page says of itself as data, for readers that know a kind of thing (a recipe, a product) but no site.
//!
//! Owns: the order in which data is believed: JSON-LD, then microdata, then RDFa. Must not know: any kind of thing.

use crate::spec::ItemPath;
use crate::structured::{self, Ids};
use html::Node;
use serde_json::Value;

/// A page and its data.
pub(crate) struct Said<'p> {
    pub(crate) root: Node<'p>,
    pub(crate) ld: &'p [Value],
    pub(crate) ld_ids: &'p Ids<'p>,
    pub(crate) microdata: &'p [Value],
    pub(crate) microdata_ids: &'p Ids<'p>,
    pub(crate) rdfa: &'p [Value],
    pub(crate) rdfa_ids: &'p Ids<'p>,
}

impl<'p> Said<'p> {
    /// Values of a path of properties (`offers.price`) of the first item of one of these types (`Product|ProductGroup`) that
    /// has any.
    pub(crate) fn values(&self, types: &str, path: &str) -> Vec<&'p Value> {
        let path = ItemPath {
            types: types.split('|').map(str::to_owned).collect(),
            path: path.split('.').map(str::to_owned).collect(),
        };
        let all = [(self.ld, self.ld_ids), (self.microdata, self.microdata_ids), (self.rdfa, self.rdfa_ids)];
        let found = all.into_iter().map(|(items, ids)| structured::values(items, &|| ids, &path, true));
        found.into_iter().find(|values| !values.is_empty()).unwrap_or_default()
    }
}
