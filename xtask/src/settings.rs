//! The README's table of settings, made from the annotated defaults that are compiled into the server, so that the two
//! cannot differ. `cargo xtask gen` writes it, `cargo xtask test tidy` compares it.

use crate::shell::root;
use anyhow::{Context, Result, bail};
use std::fs;

const DEFAULTS: &str = "crates/trawl/config.default.toml";
const README: &str = "README.md";
const BEGIN: &str = "<!-- settings: written by `cargo xtask gen` -->\n";
const END: &str = "<!-- settings end -->";

/// Writes the table into the README.
pub(crate) fn write() -> Result<()> {
    let (old, new) = texts()?;
    if old != new {
        fs::write(root().join(README), new)?;
        println!("{README} written");
    }
    Ok(())
}

/// What is wrong with the README's table, if anything.
pub(crate) fn finding() -> Result<Option<String>> {
    let (old, new) = texts()?;
    Ok((old != new)
        .then(|| format!("{README}: its table of settings is not that of {DEFAULTS}: cargo xtask gen")))
}

fn texts() -> Result<(String, String)> {
    let read = |name: &str| fs::read_to_string(root().join(name)).with_context(|| name.to_owned());
    let old = read(README)?;
    let (Some(begin), Some(end)) = (old.find(BEGIN), old.find(END)) else {
        bail!("{README} has no place for the settings: `{}` … `{END}`", BEGIN.trim_end());
    };
    let (Some(before), Some(after)) = (old.get(..begin + BEGIN.len()), old.get(end..)) else {
        bail!("{README}: the marks of the settings are in the wrong order");
    };
    let new = format!("{before}{}{after}", table(&read(DEFAULTS)?));
    Ok((old, new))
}

/// A row for each comment with the settings below it.
fn table(toml: &str) -> String {
    let mut text = String::from("| setting and default | meaning |\n| --- | --- |\n");
    let (mut section, mut comment, mut keys) = (String::new(), Vec::new(), Vec::new());
    for line in toml.lines().map(str::trim).chain(["# end"]) {
        if let Some(words) = line.strip_prefix('#') {
            if !keys.is_empty() {
                row(&mut text, &keys, &comment);
                keys.clear();
                comment.clear();
            }
            comment.push(words.trim().to_owned());
        } else if let Some(name) = line.strip_prefix('[') {
            if !keys.is_empty() {
                row(&mut text, &keys, &comment);
                keys.clear();
            }
            comment.clear();
            section = format!("{}.", name.trim_end_matches(']'));
        } else if line.is_empty() {
            if keys.is_empty() {
                // A comment that stands alone is about the file.
                comment.clear();
            }
        } else {
            keys.push(format!("`{section}{line}`"));
        }
    }
    text
}

fn row(text: &mut String, keys: &[String], comment: &[String]) {
    text.push_str(&format!("| {} | {} |\n", keys.join("<br>"), comment.join(" ").replace('|', "\\|")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_share_the_comment_above_them() {
        let toml = "# About the file.\n\n# Port of\n# the API.\nlisten = \"x\"\n[fetch]\n# At once, and apart.\na = 1\nb = 2\n# Last.\nc = []\n";
        assert_eq!(
            table(toml).lines().skip(2).collect::<Vec<_>>(),
            [
                "| `listen = \"x\"` | Port of the API. |",
                "| `fetch.a = 1`<br>`fetch.b = 2` | At once, and apart. |",
                "| `fetch.c = []` | Last. |",
            ]
        );
    }
}
