//! temporary
pub fn markdown(scope: html::Node<'_>, _base: &url::Url) -> String { scope.visible_text() }
