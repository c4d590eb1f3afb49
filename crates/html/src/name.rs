//! Interned names of elements and attributes.
//!
//! Owns the choice of interner. Names are compared as one word; the well-known ones are static, so that no lock is taken
//! for them. Names in a finished tree and in a compiled selector are lower-case.

pub(crate) use html5ever::LocalName as Name;

/// The name in lower case, which is how the finished tree and the selectors hold it.
pub(crate) fn lower(name: &str) -> Name {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Name::from(name.to_ascii_lowercase())
    } else {
        Name::from(name)
    }
}
