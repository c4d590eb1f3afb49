//! The documentation pages of the shipped scrapers, and the schema of their files, are those that the code gives. `TRAWL_WRITE_DOCS=1` writes them.
#![expect(clippy::disallowed_methods, reason = "the ban on files is for the crate, not for its tests")]

use crate::folder;
use std::fs;
use std::path::Path;

#[test]
fn pages_are_current() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scrapers");
    let write = std::env::var_os("TRAWL_WRITE_DOCS").is_some();
    let mut index = "# Scrapers\n\nMade from the scraper files: `TRAWL_WRITE_DOCS=1 cargo test -p extract --test it docs`.\n\n\
                     | scraper | |\n| --- | --- |\n"
        .to_owned();
    let mut stale = Vec::new();
    let mut keep = |name: &str, text: &str| {
        let path = docs.join(name);
        if write {
            fs::create_dir_all(&docs).expect("a folder");
            fs::write(&path, text).expect("written");
        } else if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            stale.push(name.to_owned());
        }
    };
    for (scraper, cases) in folder::all() {
        let name = scraper.name();
        index += &format!("| [{name}]({name}.md) | {} |\n", scraper.description());
        keep(&format!("{name}.md"), &extract::docs_page(&scraper, &cases));
    }
    keep("README.md", &index);
    let schema = serde_json::to_string_pretty(&extract::json_schema()).expect("JSON");
    keep("../scraper.schema.json", &format!("{schema}\n"));
    assert!(stale.is_empty(), "stale: {stale:?}; TRAWL_WRITE_DOCS=1 writes them");
}
