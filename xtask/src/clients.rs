//! The steps that drive the real binary: scripts of `tests/clients`, each with what it needs in its environment.

use crate::report::Verdict;
use crate::shell::{cargo, root, run, target};
use crate::tools;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Installs what the steps need and builds the binaries, so that steps that run at once do not do it beside each other.
pub(crate) fn prepare() -> Result<()> {
    tools::openssl_and_curl()?;
    tools::chromium()?;
    tools::postgresql()?;
    tools::faketime()?;
    tools::venv()?;
    tools::venv_with_receivers()?;
    tools::node()?;
    tools::azurite()?;
    tools::sshd()?;
    build()
}

pub(crate) fn raw_http() -> Result<Verdict> {
    script(&tools::python()?, "raw_http.py", &[])
}

pub(crate) fn sdk() -> Result<Verdict> {
    tools::openssl_and_curl()?;
    script(&tools::venv()?, "sdk.py", &[])
}

pub(crate) fn cli() -> Result<Verdict> {
    let node = tools::node()?;
    script(&tools::python()?, "cli.py", &[("BRIGHTDATA_CLI", node.join("node_modules/.bin/brightdata"))])
}

pub(crate) fn schemathesis() -> Result<Verdict> {
    script(&tools::venv()?, "openapi_check.py", &[])
}

pub(crate) fn web_bad() -> Result<Verdict> {
    script(&tools::python()?, "web_bad.py", &[])
}

pub(crate) fn polite() -> Result<Verdict> {
    script(&tools::python()?, "polite.py", &[])
}

pub(crate) fn web_worse() -> Result<Verdict> {
    script(&tools::python()?, "web_worse.py", &[])
}

pub(crate) fn guard() -> Result<Verdict> {
    script(&tools::python()?, "guard.py", &[])
}

pub(crate) fn hosts() -> Result<Verdict> {
    script(&tools::python()?, "hosts.py", &[])
}

pub(crate) fn deliveries() -> Result<Verdict> {
    script(&tools::python()?, "deliveries.py", &[])
}

pub(crate) fn parquet() -> Result<Verdict> {
    script(&tools::venv()?, "parquet.py", &[])
}

pub(crate) fn schedules() -> Result<Verdict> {
    script(&tools::python()?, "schedules.py", &[])
}

pub(crate) fn deliver_to() -> Result<Verdict> {
    tools::sshd()?;
    tools::openssl_and_curl()?;
    script(&tools::venv_with_receivers()?, "deliver_to.py", &[("AZURITE", tools::azurite()?)])
}

pub(crate) fn reload() -> Result<Verdict> {
    script(&tools::python()?, "reload.py", &[])
}

pub(crate) fn quality() -> Result<Verdict> {
    script(&tools::python()?, "quality.py", &[])
}

pub(crate) fn change() -> Result<Verdict> {
    script(&tools::python()?, "change.py", &[])
}

pub(crate) fn browser() -> Result<Verdict> {
    tools::chromium()?;
    script(&tools::python()?, "browser.py", &[])
}

pub(crate) fn browser_identity() -> Result<Verdict> {
    tools::chromium()?;
    script(&tools::python()?, "browser_identity.py", &[])
}

pub(crate) fn author() -> Result<Verdict> {
    script(&tools::venv()?, "author.py", &[])
}

pub(crate) fn identity() -> Result<Verdict> {
    script(&tools::python()?, "identity.py", &[])
}

pub(crate) fn archive() -> Result<Verdict> {
    script(&tools::venv()?, "archive.py", &[])
}

pub(crate) fn bucket() -> Result<Verdict> {
    script(&tools::venv_with_receivers()?, "bucket.py", &[])
}

pub(crate) fn readme() -> Result<Verdict> {
    tools::openssl_and_curl()?;
    script(&tools::python()?, "readme.py", &[])
}

pub(crate) fn demo() -> Result<Verdict> {
    script(&tools::python()?, "demo.py", &[])
}

pub(crate) fn crash() -> Result<Verdict> {
    script(&tools::python()?, "crash.py", &[])
}

pub(crate) fn nodes() -> Result<Verdict> {
    tools::postgresql()?;
    script(&tools::python()?, "nodes.py", &[])
}

pub(crate) fn cluster() -> Result<Verdict> {
    tools::postgresql()?;
    tools::faketime()?;
    script(&tools::venv_with_receivers()?, "cluster.py", &[])
}

/// The saved pages are not in this repository (they belong to their publishers): in CI they must be there.
pub(crate) fn pages() -> Result<Verdict> {
    let shared = |name: &str, default: &str| match std::env::var_os(name) {
        Some(path) => PathBuf::from(path),
        None => root().join("../shared").join(default),
    };
    let (pages, score) = (shared("TRAWL_PAGES", "data/public"), shared("TRAWL_SCORE", "tools/score"));
    for needed in [pages.join("manifest.jsonl"), score.join("replay_server.py"), score.join("score_crawl.py")]
    {
        if needed.exists() {
            continue;
        }
        let missing = format!(
            "{} is not there (TRAWL_PAGES and TRAWL_SCORE tell other places)",
            needed.file_name().unwrap_or_default().to_string_lossy()
        );
        if std::env::var_os("CI").is_some_and(|value| value == "true") {
            bail!("{missing}; CI must run this step");
        }
        println!("NOT RUN: {missing}");
        return Ok(Verdict::Skipped(missing));
    }
    tools::openssl_and_curl()?;
    script(&tools::python()?, "pages.py", &[("TRAWL_PAGES", pages), ("TRAWL_SCORE", score)])
}

fn build() -> Result<()> {
    run(cargo().args(["build", "--quiet", "--locked", "--package", "trawl", "--package", "site", "--bins"]))
}

/// Builds the binaries (nothing to do if they are fresh) and runs one script against them.
fn script(python: &Path, name: &str, more: &[(&str, PathBuf)]) -> Result<Verdict> {
    build()?;
    let built = |program: &str| {
        let path = target().join("debug").join(program);
        path.canonicalize().with_context(|| format!("`{program}` was not built"))
    };
    let mut command = Command::new(python);
    command.arg("-u").arg(root().join("tests/clients").join(name)).current_dir(root());
    command
        .env("TRAWL_BIN", built("trawl")?)
        .env("SITE_BIN", built("site")?)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    // Proxies of this machine have no business between a test and its loopback.
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    for (variable, value) in more {
        command.env(variable, value);
    }
    run(&mut command)?;
    Ok(Verdict::Passed)
}
