//! House rules that a machine can check, read from the tree itself. Each finding names its file and line.

use crate::report::Verdict;
use crate::settings;
use crate::shell::root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this has a second noun in it.
const LINES_MAX: usize = 700;
/// Words that say nothing; a name made of one hides what a thing is for.
const EMPTY_WORDS: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common", "misc"];
/// Folders that are not ours.
const FOREIGN: &[&str] = &["target", "data", "build", "node_modules", "__pycache__", ".git"];
/// Texts are read up to this size; larger ones are data.
const BYTES_MAX: u64 = 4 << 20;

/// Checks every file of the tree.
pub(crate) fn check() -> Result<Verdict> {
    let mut files = Vec::new();
    collect(&root(), &mut files)?;
    let mut findings = Vec::new();
    for file in &files {
        let shown = file.strip_prefix(root()).unwrap_or(file).to_string_lossy().replace('\\', "/");
        if fs::metadata(file)?.len() > BYTES_MAX {
            continue;
        }
        // What is not text has no lines to check.
        if let Ok(text) = fs::read_to_string(file) {
            look_at(&shown, &text, &mut findings);
        }
    }
    findings.extend(settings::finding()?);
    if !findings.is_empty() {
        bail!("{} findings:\n  {}", findings.len(), findings.join("\n  "));
    }
    println!("{} files are tidy", files.len());
    Ok(Verdict::Passed)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        // In a second worktree `.git` is a file.
        if FOREIGN.iter().any(|foreign| name == *foreign) {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(())
}

/// What a line says that waits on a clock which the test moves (tokio's paused time).
const PAUSED_CLOCK: &str = "// on the paused clock";

/// Everything wrong with one file.
fn look_at(name: &str, text: &str, findings: &mut Vec<String>) {
    let is_rust = name.ends_with(".rs");
    let is_ours = is_rust || name.ends_with(".py");
    if is_rust && !text.starts_with("//!") {
        findings.push(format!("{name}:1: does not begin with a `//!` header that says what the file is for"));
    }
    let n_lines = text.lines().count();
    if is_ours && n_lines > LINES_MAX {
        findings.push(format!("{name}: {n_lines} lines, {LINES_MAX} are allowed: look for its second noun"));
    }
    if is_ours && let Some(word) = empty_word(stem(name)) {
        findings.push(format!("{name}: `{word}` in the file's name says nothing"));
    }
    let mut in_tests = name.contains("/tests/");
    for (index, line) in text.lines().enumerate() {
        let at = index + 1;
        if let Some(path) = machine_path(line) {
            findings.push(format!("{name}:{at}: `{path}` is a path of one machine"));
        }
        if !is_rust {
            continue;
        }
        in_tests |= line.contains("#[cfg(test)]");
        // A clock that the test itself moves costs no time: the line says so.
        if in_tests && line.contains(concat!("sle", "ep(")) && !line.contains(PAUSED_CLOCK) {
            findings.push(format!("{name}:{at}: a test sleeps; wait for the condition instead"));
        }
        if let Some(word) = declared(line).and_then(empty_word) {
            findings.push(format!("{name}:{at}: `{word}` in a name says nothing"));
        }
    }
}

fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split('.').next().unwrap_or(file)
}

/// The name that a line declares, if it declares one.
fn declared(line: &str) -> Option<&str> {
    const KEYWORDS: &[&str] = &["struct", "enum", "trait", "type", "mod", "fn", "const", "static"];
    let mut words =
        line.trim_start().split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty());
    let is_prefix = |word: &str| matches!(word, "pub" | "crate" | "super" | "async" | "unsafe");
    let first = words.by_ref().find(|word| !is_prefix(word))?;
    if !line.trim_start().starts_with(first)
        && !line.trim_start().starts_with("pub")
        && !line.contains("async fn")
    {
        return None;
    }
    if KEYWORDS.contains(&first) { words.next() } else { None }
}

/// The first empty word among the parts of a name, in snake case or camel case.
fn empty_word(name: &str) -> Option<&'static str> {
    let mut parts = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c == '-' || c.is_uppercase() {
            parts.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(c.to_lowercase());
        }
    }
    EMPTY_WORDS.iter().find(|word| parts.iter().any(|part| part == *word)).copied()
}

/// A path that exists on one machine only. The pieces are joined here so that this file does not hold them.
fn machine_path(line: &str) -> Option<String> {
    const ROOTS: &[(&str, &str)] = &[
        ("/wo", "rk/"),
        ("/fa", "rm/"),
        ("/ro", "ot/"),
        ("/ho", "me/"),
        ("/tmp/wo", "rk"),
        ("/tmp/w", "t/"),
        ("/tmp/tar", "get"),
        ("/tmp/bash", "_jobs"),
    ];
    ROOTS.iter().map(|(a, b)| format!("{a}{b}")).find(|path| {
        // Inside a URL or a longer path it is somebody's own.
        line.match_indices(path.as_str()).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            before.is_none_or(|c| {
                !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | '>' | '*'))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        look_at(name, text, &mut findings);
        findings
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let text = "//! What it is for.\n\nfn collect() {}\nuse hyper_util::rt;\n";
        assert_eq!(found("crates/fetch/src/lane.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let sleep = concat!("#[cfg(test)]\n thread::sle", "ep(one);\n");
        for (name, text, what) in [
            ("a/b.rs", "fn main() {}\n", "header"),
            ("a/utils.rs", "//! x\n", "`utils` in the file's name"),
            ("a/b.rs", "//! x\npub(crate) struct JobManager;\n", "`manager` in a name"),
            ("a/b.rs", "//! x\n    async fn url_helper() {}\n", "`helper` in a name"),
            ("a/b.md", concat!("see /wo", "rk/shared\n"), "path of one machine"),
            ("a/b.rs", &format!("//! x\n{sleep}"), "a test sleeps"),
            ("a/b.rs", &format!("//! x\n{}", "\n".repeat(LINES_MAX)), "lines"),
        ] {
            let findings = found(name, text);
            assert!(findings.len() == 1 && findings[0].contains(what), "{name}: {findings:?}, not {what}");
        }
    }

    #[test]
    fn sleeping_outside_tests_is_the_product_s_business() {
        let text = concat!("//! x\ntokio::time::sle", "ep(pause).await;\n");
        assert_eq!(found("crates/site/src/bad.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_paused_clock_is_no_wait() {
        let text = concat!("//! x\ntokio::time::sle", "ep(pause).await; // on the paused clock\n");
        assert_eq!(found("crates/site/tests/bad.rs", text), Vec::<String>::new());
    }

    #[test]
    fn paths_inside_addresses_are_nobody_s_machine() {
        assert_eq!(machine_path(concat!("https://example.com/wo", "rk/item")), None);
        assert_eq!(machine_path(concat!("cp /wo", "rk/item")), Some(concat!("/wo", "rk/").to_owned()));
    }
}
