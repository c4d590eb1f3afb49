//! One document of the store by its name. Must not know: what is in it.

use store::{Document, Store, StoreError};

/// The document of that kind and name. Names end with a character after the blank; ours do.
pub(crate) async fn one(store: &dyn Store, kind: &str, name: &str) -> Result<Option<Document>, StoreError> {
    // The store lists names after another one, in the order of their bytes.
    let found = store.documents(kind, &before(name), 1).await?;
    Ok(found.into_iter().next().filter(|document| document.name == name))
}

/// A name that sorts before this one, with nothing that is a name between the two.
fn before(name: &str) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    match chars.pop() {
        Some(last) => {
            let earlier = (0..u32::from(last)).rev().find_map(char::from_u32).unwrap_or('\0');
            chars.extend([earlier, char::MAX]);
            chars.into_iter().collect()
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Put, SqliteStore};

    #[tokio::test]
    async fn the_one_is_found_among_its_neighbours() {
        let store = SqliteStore::in_memory().unwrap();
        let names = ["a", "a:2", "a:22", "a:220", "a:23", "gd_ä", "gd_äb"];
        for name in names {
            store.put_document("k", name, Some(name.to_owned()), Put::Anyway).await.unwrap();
        }
        for name in names {
            assert_eq!(one(&store, "k", name).await.unwrap().map(|d| d.text).as_deref(), Some(name));
        }
        for name in ["", "a:", "a:221", "b"] {
            assert_eq!(one(&store, "k", name).await.unwrap(), None, "{name}");
        }
        assert_eq!(one(&store, "other", "a").await.unwrap(), None);
    }
}
