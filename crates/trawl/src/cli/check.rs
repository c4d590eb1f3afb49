//! `trawl check`: compile scraper files and run their cases.

use super::Mistake;
use crate::catalogue::faults_text;
use ::extract::{Case, Scraper, never_found, run_cases};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Check {
    /// Folders of scrapers, or `scraper.toml` files; every scraper below `--scrapers` if none.
    folders: Vec<PathBuf>,
    /// Write what each case gives as what it must give; read the change before you keep it.
    #[arg(long)]
    accept: bool,
    /// Print the JSON Schema of scraper files, for editors, and end.
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    options: super::Options,
}

impl Check {
    pub(super) fn run(self) -> Result<()> {
        if self.schema {
            let schema = serde_json::to_string_pretty(&::extract::json_schema())?;
            return super::print(&format!("{schema}\n"));
        }
        let mut folders = self.folders.clone();
        if folders.is_empty() {
            let config = self.options.load()?;
            if config.scrapers.is_empty() {
                bail!(Mistake("name scraper folders, or `--scrapers DIR`".into()));
            }
            for entry in
                std::fs::read_dir(&config.scrapers).with_context(|| config.scrapers.clone())?.flatten()
            {
                folders.push(entry.path());
            }
            folders.sort();
        }
        let mut failed = 0;
        for folder in &folders {
            failed += usize::from(!check(folder, self.accept)?);
        }
        if failed > 0 {
            bail!("{failed} of {} scrapers failed", folders.len());
        }
        Ok(())
    }
}

/// True if the scraper compiles and all its cases pass, or were accepted.
fn check(given: &Path, accept: bool) -> Result<bool> {
    let folder = if given.is_file() { given.parent().unwrap_or(Path::new(".")) } else { given };
    let file = folder.join("scraper.toml");
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(&file).map_err(|e| Mistake(format!("{shown}: {e}")))?;
    let name = std::fs::canonicalize(folder)?
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let scraper = match Scraper::compile(&name, &text) {
        Ok(scraper) => scraper,
        Err(errors) => {
            super::print(&format!("{}\n", faults_text(&shown, &errors)))?;
            return Ok(false);
        }
    };
    let results = run_cases(&scraper, &cases(folder)?);
    let mut out = String::new();
    let mut passed = true;
    for result in &results {
        if accept && result.error.is_none() && !result.passed() {
            let expected = folder.join("cases").join(&result.name).join("expected.json");
            std::fs::write(&expected, format!("{:#}\n", result.expectation()))
                .with_context(|| expected.display().to_string())?;
            out.push_str(&format!("{name}/{}: accepted\n", result.name));
            continue;
        }
        passed &= result.passed();
        out.push_str(&format!("{name}/{}: {}\n", result.name, if result.passed() { "ok" } else { "FAILED" }));
        if let Some(error) = &result.error {
            out.push_str(&format!("  {error:?}\n"));
        }
        for line in result.difference.iter().chain(&result.warnings) {
            out.push_str(&format!("  {line}\n"));
        }
    }
    for (line, column) in never_found(&results) {
        let source = text.lines().nth(line - 1).unwrap_or_default();
        let source: String = source.chars().skip(column - 1).collect();
        out.push_str(&format!(
            "{shown}:{line}:{column}: warning: finds nothing in any case: {}\n",
            first_source(&source)
        ));
    }
    if results.is_empty() {
        out.push_str(&format!("{name}: compiles; it has no cases\n"));
    }
    super::print(&out)?;
    Ok(passed)
}

/// The inline table at the beginning of a line's rest.
fn first_source(rest: &str) -> &str {
    rest.find('}').map_or(rest, |end| &rest[..=end])
}

fn cases(folder: &Path) -> Result<Vec<Case>> {
    let Ok(entries) = std::fs::read_dir(folder.join("cases")) else { return Ok(Vec::new()) };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
        .into_iter()
        .map(|path| {
            let read = |name: &str| {
                std::fs::read(path.join(name)).with_context(|| path.join(name).display().to_string())
            };
            let text = |name: &str| Ok::<_, anyhow::Error>(String::from_utf8(read(name)?)?);
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let page =
                ["page.html", "page.json"].iter().find(|f| path.join(f).exists()).unwrap_or(&"page.html");
            // A new case has none yet: it must give nothing, until what it gives is accepted.
            let expected =
                if path.join("expected.json").exists() { text("expected.json")? } else { "[]".to_owned() };
            Ok(Case { name, page: read(page)?, input: text("input.json")?, expected })
        })
        .collect()
}
