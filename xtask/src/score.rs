//! `cargo xtask score`: how right the shipped scrapers and the readers beneath them are, on saved pages with known truth,
//! beside the best libraries that were measured on the same pages.
//!
//! Owns: making the predictions, calling the scorers, one table. Must not know: how a suite is scored: that is the business
//! of the scorers (`TRAWL_SCORE`) and of the tests that read the tables.

use crate::shell::{cargo, root, run, target};
use crate::tools;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A suite that a scorer judges.
struct Suite {
    name: &'static str,
    /// What it is called in the table.
    what: &'static str,
    /// Where the scorer's answer has the figure.
    figure: &'static str,
    /// The best known library and its figure.
    peer: &'static str,
    bar: f64,
    /// Arguments of the scorer.
    more: &'static [&'static str],
}

const SUITES: [Suite; 7] = [
    Suite {
        name: "content",
        what: "main content, seven kinds of page",
        figure: "f1",
        peer: "trafilatura .786",
        bar: 0.83,
        more: &["--map", "main_content=body"],
    },
    Suite {
        name: "news",
        what: "news: title, authors, date, body",
        figure: "main",
        peer: "trafilatura .896",
        bar: 0.91,
        more: &[],
    },
    Suite {
        name: "recipes",
        what: "recipes, no site code",
        figure: "main",
        peer: "recipe-scrapers, generic .919",
        bar: 0.95,
        more: &[],
    },
    Suite {
        name: "products",
        what: "products: price, sku, availability",
        figure: "main",
        peer: "Zyte .889, Diffbot .831 (hosted), extruct .616",
        bar: 0.85,
        more: &[],
    },
    Suite {
        name: "markdown",
        what: "main content as Markdown",
        figure: "main",
        peer: "trafilatura .845",
        bar: 0.92,
        more: &[],
    },
    Suite {
        name: "structured",
        what: "structured data as found",
        figure: "main",
        peer: "extruct .977",
        bar: 0.99,
        more: &["--map", "json_ld=ld_json"],
    },
    Suite {
        name: "pagination",
        what: "next page without selectors",
        figure: "next.f1",
        peer: "rel=next or a word .686",
        bar: 0.85,
        more: &[],
    },
];

/// A table that a test reads; the test prints `NAME: RIGHT of ALL`, or a share.
struct Table {
    what: &'static str,
    package: &'static str,
    test: &'static str,
    filter: &'static str,
    /// How the line begins.
    line: &'static str,
    peer: &'static str,
    bar: f64,
}

const TABLES: [Table; 9] = [
    Table {
        what: "prices with their currency",
        package: "extract",
        test: "values",
        filter: "scores::prices",
        line: "both:",
        peer: "price-parser .861",
        bar: 0.861,
    },
    Table {
        what: "dates",
        package: "extract",
        test: "values",
        filter: "scores::dates",
        line: "day:",
        peer: "dateparser (made the truth)",
        bar: 0.98,
    },
    Table {
        what: "ratings",
        package: "extract",
        test: "values",
        filter: "scores::ratings",
        line: "value:",
        peer: "zyte-parsers (made the truth)",
        bar: 1.0,
    },
    Table {
        what: "breadcrumbs",
        package: "extract",
        test: "values",
        filter: "scores::breadcrumbs",
        line: "exact:",
        peer: "zyte-parsers (made the truth)",
        bar: 1.0,
    },
    Table {
        what: "CSS selectors on real pages",
        package: "html",
        test: "pages",
        filter: "selectors",
        line: "css cases right:",
        peer: "parsel .987 to 1.0",
        bar: 0.995,
    },
    Table {
        what: "XPath 1.0 on real pages",
        package: "html",
        test: "pages",
        filter: "selectors",
        line: "xpath cases right:",
        peer: "parsel .987 to 1.0",
        bar: 0.995,
    },
    Table {
        what: "JSONPath compliance suite",
        package: "extract",
        test: "it",
        filter: "compliance",
        line: "JSON paths right:",
        peer: "",
        bar: 1.0,
    },
    Table {
        what: "robots.txt, Google's cases",
        package: "fetch",
        test: "robots",
        filter: "googles",
        line: "robots, Google's cases:",
        peer: "robotspy 134, Protego 126 of 138",
        bar: 1.0,
    },
    Table {
        what: "robots.txt, real queries",
        package: "fetch",
        test: "robots",
        filter: "real",
        line: "robots, real hosts:",
        peer: "",
        bar: 0.999,
    },
];

/// Scores everything; true if every bar is reached.
pub(crate) fn score() -> Result<bool> {
    let pages = folder("TRAWL_PAGES", "../shared/data/public");
    let scorers = folder("TRAWL_SCORE", "../shared/tools/score");
    if !pages.join("manifest.jsonl").is_file() || !scorers.join("score_all.py").is_file() {
        bail!("the pages or the scorers are not here: set TRAWL_PAGES and TRAWL_SCORE");
    }
    let out = target().join("score");
    // The shipped scrapers read what they can; the next page is no field of theirs.
    for (example, suites) in [("records", &[][..]), ("predict", &["pagination"])] {
        run(cargo()
            .args(["run", "--quiet", "--release", "--locked", "-p", "extract", "--example", example, "--"])
            .arg(&out)
            .args(suites)
            .env("TRAWL_PAGES", &pages))?;
    }
    let python = tools::venv()?;
    let mut lines = vec![
        "| suite | best known library | at least | Trawl |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    let mut good = true;
    for suite in &SUITES {
        let reached = judge(&python, &scorers, &pages, &out, suite)?;
        good &= reached >= suite.bar;
        lines.push(row(suite.what, suite.peer, suite.bar, reached, &format!("{reached:.3}")));
    }
    for table in &TABLES {
        let (shown, reached) = read(&pages, table)?;
        good &= reached >= table.bar;
        lines.push(row(table.what, table.peer, table.bar, reached, &shown));
    }
    let (shown, scrapers) = sites(&pages)?;
    good &= scrapers >= 20;
    lines.push(format!(
        "| lists read without a fault, a scraper file per site | their own parsers 1.0 | 20 lists | {shown} |"
    ));
    println!("\n{}", lines.join("\n"));
    Ok(good)
}

fn row(what: &str, peer: &str, bar: f64, reached: f64, shown: &str) -> String {
    let mark = if reached >= bar { "" } else { " (below)" };
    format!("| {what} | {peer} | {bar} | {shown}{mark} |")
}

fn folder(variable: &str, beside: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| root().join(beside), PathBuf::from)
}

/// Asks the scorer of a suite for its figure.
fn judge(python: &Path, scorers: &Path, pages: &Path, out: &Path, suite: &Suite) -> Result<f64> {
    let answer = out.join(format!("{}.score.json", suite.name));
    run(Command::new(python)
        .arg(scorers.join(format!("score_{}.py", suite.name)))
        .arg(out.join(format!("{}.ndjson", suite.name)))
        .arg("--data")
        .arg(pages)
        .arg("--json")
        .arg(&answer)
        .args(suite.more))?;
    let answer: Value = serde_json::from_slice(&std::fs::read(&answer)?)?;
    let figure = suite.figure.split('.').fold(&answer, |value, key| &value[key]);
    figure.as_f64().with_context(|| format!("no figure `{}` in the answer for {}", suite.figure, suite.name))
}

/// Runs the test that reads a table and takes what it prints.
fn read(pages: &Path, table: &Table) -> Result<(String, f64)> {
    let printed = test(pages, table.package, table.test, table.filter)?;
    let line = printed
        .lines()
        .find_map(|l| l.trim().strip_prefix(table.line))
        .with_context(|| format!("the test of {} did not print `{}`", table.what, table.line))?;
    let numbers: Vec<f64> = line
        .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .filter_map(|word| word.parse().ok())
        .collect();
    match numbers.as_slice() {
        // A share of so many.
        [share, of] if *share <= 1.0 && *of > 1.0 => Ok((format!("{share:.3} of {of}"), *share)),
        [right, of, ..] => Ok((format!("{right} of {of}"), right / of)),
        _ => bail!("`{line}` has no figures"),
    }
}

/// How many saved lists a scraper of their site reads without a fault.
fn sites(pages: &Path) -> Result<(String, usize)> {
    let printed = test(pages, "extract", "it", "site_scrapers")?;
    let line = printed.lines().find_map(|l| l.trim().strip_prefix("site scrapers right:"));
    let line = line.context("the test of the site scrapers did not print its line")?.trim();
    let count = line.split(' ').next().and_then(|n| n.parse().ok()).context("no number of lists")?;
    Ok((line.to_owned(), count))
}

fn test(pages: &Path, package: &str, test: &str, filter: &str) -> Result<String> {
    let mut command = cargo();
    command
        .args(["test", "--quiet", "--locked", "-p", package, "--test", test, "--", filter, "--nocapture"])
        .env("TRAWL_PAGES", pages);
    let output = command.output().context("cargo test")?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("the test {filter} of {package} fails:\n{said}");
    }
    Ok(said)
}
