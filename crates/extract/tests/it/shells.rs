//! Pages that have something to say are not taken for empty shells: a browser costs a hundred times as much.

use crate::saved;
use extract::{Shell, shell};

/// Its text is in its scripts only.
const REAL_SHELL: &str = "news-kr-HankookIlbo_2026_01_29";

#[test]
fn saved_pages_are_no_empty_shells() {
    let Some(folder) = saved::folder() else { return };
    let pages = saved::pages(&folder);
    let (mut likely, mut empty) = (Vec::new(), Vec::new());
    for page in pages.values() {
        match shell(&html::decode(&page.bytes, page.content_type.as_deref())) {
            Shell::Full => {}
            Shell::Likely => likely.push(page.id.as_str()),
            Shell::Empty => empty.push(page.id.as_str()),
        }
    }
    println!("shells: {} of {} taken for empty, {} for likely", empty.len(), pages.len(), likely.len());
    // The markup of all others has what is collected from them.
    assert_eq!(empty, [REAL_SHELL]);
    // These cost a browser only where nothing that was looked for is found.
    assert!(likely.len() * 100 <= pages.len() * 3, "{likely:?}");
}
