//! The folder of shipped scrapers: each compiled, with its cases.

use extract::{Case, Scraper};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every shipped scraper with its cases, by name.
pub(crate) fn all() -> Vec<(Arc<Scraper>, Vec<Case>)> {
    subfolders(&root()).iter().map(|folder| (compile(folder), cases(folder))).collect()
}

/// One of them.
pub(crate) fn one(name: &str) -> Arc<Scraper> {
    compile(&root().join(name))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scrapers")
}

fn name(folder: &Path) -> String {
    folder.file_name().expect("a folder has a name").to_string_lossy().into_owned()
}

fn compile(folder: &Path) -> Arc<Scraper> {
    let text = fs::read_to_string(folder.join("scraper.toml")).expect("scraper.toml");
    let name = name(folder);
    Scraper::compile(&name, &text).unwrap_or_else(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{name}: {}", lines.join("\n"))
    })
}

fn cases(folder: &Path) -> Vec<Case> {
    let read = |path: PathBuf| fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let text = |path: PathBuf| String::from_utf8(read(path)).expect("UTF-8");
    subfolders(&folder.join("cases"))
        .into_iter()
        .map(|case| {
            let html = case.join("page.html");
            let page = if html.is_file() { html } else { case.join("page.json") };
            Case {
                name: name(&case),
                page: read(page),
                input: text(case.join("input.json")),
                expected: text(case.join("expected.json")),
            }
        })
        .collect()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut out: Vec<PathBuf> =
        entries.map(|entry| entry.expect("entry").path()).filter(|path| path.is_dir()).collect();
    out.sort();
    out
}
