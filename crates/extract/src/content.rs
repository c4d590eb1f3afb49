//! temporary
pub fn main_content<'a>(doc: &'a html::Document) -> html::Node<'a> { doc.root() }
