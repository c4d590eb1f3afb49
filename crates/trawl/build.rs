//! Lists the scrapers that ship with the binary, so that it needs no files beside it.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../scrapers");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)?
        .flatten()
        .map(|e| e.path().join("scraper.toml"))
        .filter(|p| p.exists())
        .collect();
    files.sort();
    let mut list = String::from(
        "/// Name and text of every scraper in the binary.\npub const BUILTIN: &[(&str, &str)] = &[\n",
    );
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file
            .parent()
            .and_then(Path::file_name)
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let path = fs::canonicalize(&file)?;
        let _ = writeln!(list, "    ({name:?}, include_str!({path:?})),");
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("builtin.rs"), list)
}
