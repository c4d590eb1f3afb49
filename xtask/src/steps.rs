//! The steps of `cargo xtask test`, in order: what is cheap and likely to fail comes first. The first failure ends it.

use crate::report::{Report, Verdict};
use crate::shell::{cargo, run};
use crate::{clients, tidy, together, tools};
use anyhow::{Result, bail};
use std::time::Instant;

/// One check.
pub(crate) struct Step {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// A line on what it checks.
    pub(crate) what: &'static str,
    /// Carries it out; the verdict is passed or left out, an error is a failure.
    pub(crate) check: fn() -> Result<Verdict>,
}

/// Every step, in order.
pub(crate) const ALL: &[Step] = &[
    Step {
        name: "tidy",
        what: "house rules: headers, names, sleeps, machine paths, file length",
        check: tidy::check,
    },
    Step { name: "fmt", what: "cargo fmt --check", check: fmt },
    Step { name: "clippy", what: "cargo clippy, warnings are errors", check: clippy },
    Step { name: "doc", what: "cargo doc, warnings are errors", check: doc },
    Step { name: "unit", what: "every Rust test", check: unit },
    Step {
        name: "raw_http",
        what: "the documented API with the standard library alone",
        check: clients::raw_http,
    },
    Step { name: "sdk", what: "Bright Data's Python SDK, unmodified, over TLS", check: clients::sdk },
    Step { name: "cli", what: "Bright Data's command line client, unmodified", check: clients::cli },
    Step {
        name: "schemathesis",
        what: "properties of /openapi.json against a running server",
        check: clients::schemathesis,
    },
    Step { name: "web_bad", what: "a misbehaving web, and addresses off limits", check: clients::web_bad },
    Step {
        name: "polite",
        what: "robots.txt, unknown rate limits, dead and slow hosts, kept over restarts",
        check: clients::polite,
    },
    Step {
        name: "web_worse",
        what: "refusals dressed as pages, wrong TLS and HTTP/2, lists without end, great sitemaps",
        check: clients::web_worse,
    },
    Step {
        name: "guard",
        what: "sixty ways to an address off limits, and a trap there",
        check: clients::guard,
    },
    Step {
        name: "hosts",
        what: "a job over 200 hosts, ten of them dead and ten slow",
        check: clients::hosts,
    },
    Step {
        name: "deliveries",
        what: "webhooks, chunks and notifications, over restarts",
        check: clients::deliveries,
    },
    Step {
        name: "parquet",
        what: "rows as Parquet and XLSX, read by pyarrow, duckdb and openpyxl",
        check: clients::parquet,
    },
    Step {
        name: "schedules",
        what: "schedules: each planned time once, over SIGKILL; missed, overlapping, time zones",
        check: clients::schedules,
    },
    Step {
        name: "deliver_to",
        what: "files to S3, Azure, Google, SFTP and mail, over SIGKILL and receivers that are away; sealed credentials",
        check: clients::deliver_to,
    },
    Step {
        name: "reload",
        what: "scraper files that change, break and go while jobs run",
        check: clients::reload,
    },
    Step {
        name: "quality",
        what: "a site that changes: breakages are told, clean reruns are silent, what fails is held back",
        check: clients::quality,
    },
    Step {
        name: "change",
        what: "unchanged pages are not transferred again, changes are told, also over SIGKILL",
        check: clients::change,
    },
    Step {
        name: "browser",
        what: "script-rendered pages by the real Chromium: rows, addresses off limits, killed browsers, memory",
        check: clients::browser,
    },
    Step {
        name: "browser_identity",
        what: "rendered pages: sessions, logins, headers, proxies, authorities, pace, pictures",
        check: clients::browser_identity,
    },
    Step {
        name: "author",
        what: "why a field has its value: a saved page, and a record that was collected",
        check: clients::author,
    },
    Step {
        name: "identity",
        what: "logins, sessions, headers, secrets that stay secret, and proxies that flap",
        check: clients::identity,
    },
    Step {
        name: "archive",
        what: "kept pages: read whole by warcio, replayed without a request, explained, over SIGKILL",
        check: clients::archive,
    },
    Step {
        name: "bucket",
        what: "rows and pages in S3: over SIGKILL, over a bucket that fails, and swept",
        check: clients::bucket,
    },
    Step { name: "readme", what: "every curl example of the README, as printed", check: clients::readme },
    Step { name: "demo", what: "the README's first command, to its end", check: clients::demo },
    Step {
        name: "crash",
        what: "SIGKILL at random moments: nothing lost, nothing doubled",
        check: clients::crash,
    },
    Step {
        name: "nodes",
        what: "roles, hosts that change hands, stopped nodes, shards",
        check: clients::nodes,
    },
    Step {
        name: "cluster",
        what: "chaos: nodes killed and stopped, clocks wrong, a database that restarts, a bucket that fails",
        check: clients::cluster,
    },
    Step {
        name: "pages",
        what: "776 saved pages with faults, in all formats, and discovery",
        check: clients::pages,
    },
];

/// The steps that build and read the sources; every other drives the binary, and `clients` stands for those.
const BUILDING: &[&str] = &["tidy", "fmt", "clippy", "doc", "unit"];

impl Step {
    fn drives_the_binary(&self) -> bool {
        !BUILDING.contains(&self.name)
    }
}

/// Runs the steps named, or all; true if none failed.
pub(crate) fn test(names: &[String]) -> Result<bool> {
    let (driving, building): (Vec<_>, Vec<_>) =
        choose(names)?.into_iter().partition(|step| step.drives_the_binary());
    let mut report = Report::default();
    // One step alone is what its process does in the end.
    let (alone, together) = if driving.len() > 1 { (Vec::new(), driving) } else { (driving, Vec::new()) };
    for step in building.into_iter().chain(alone) {
        println!("\n── {} · {}", step.name, step.what);
        let begun = Instant::now();
        let verdict = match (step.check)() {
            Ok(verdict) => verdict,
            Err(error) => Verdict::Failed(format!("{error:#}")),
        };
        report.add(step.name, verdict, begun.elapsed());
        if !report.is_good() {
            println!("\nThe step alone: cargo xtask test {}", step.name);
            break;
        }
    }
    if report.is_good() && !together.is_empty() {
        println!();
        clients::prepare()?;
        together::run(together.iter().map(|step| step.name).collect(), &mut report)?;
    }
    println!("{}", report.close());
    Ok(report.is_good())
}

fn choose(names: &[String]) -> Result<Vec<&'static Step>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let known = |name: &str| name == "clients" || ALL.iter().any(|step| step.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<_> = ALL.iter().map(|step| step.name).collect();
        bail!("no step `{unknown}`; there are: clients (all that drive the binary), {}", all.join(", "));
    }
    let wanted = |step: &Step| {
        names.iter().any(|name| name == step.name || (name == "clients" && step.drives_the_binary()))
    };
    Ok(ALL.iter().filter(|step| wanted(step)).collect())
}

fn fmt() -> Result<Verdict> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Verdict::Passed)
}

fn clippy() -> Result<Verdict> {
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    Ok(Verdict::Passed)
}

fn doc() -> Result<Verdict> {
    run(cargo().args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Verdict::Passed)
}

fn unit() -> Result<Verdict> {
    tools::postgresql()?;
    run(cargo().args(["test", "--workspace", "--locked"]))?;
    Ok(Verdict::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        choose(&words).unwrap().iter().map(|step| step.name).collect()
    }

    #[test]
    fn steps_keep_their_order_whatever_the_order_asked() {
        assert_eq!(names(&["doc", "fmt"]), ["fmt", "doc"]);
        assert_eq!(names(&[]).len(), ALL.len());
    }

    #[test]
    fn clients_stands_for_every_step_that_drives_the_binary() {
        let (building, driving) = ALL.split_at(BUILDING.len());
        assert_eq!(building.iter().map(|step| step.name).collect::<Vec<_>>(), BUILDING);
        assert_eq!(names(&["clients"]), driving.iter().map(|step| step.name).collect::<Vec<_>>());
        assert!(choose(&["nonsense".to_owned()]).is_err());
    }
}
