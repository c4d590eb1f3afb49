//! What the client tests need on a machine that has only the Rust toolchain: Python with a virtual environment, Node,
//! OpenSSL's program and curl.
//!
//! Invariant: nothing is installed that is there already, and what is installed into `target/xtask` is pinned.

use crate::shell::{ask, root, run, target};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest Python that the pinned clients run on.
const PYTHON_MIN: (u32, u32) = (3, 11);
/// Oldest Node that the pinned client runs on.
const NODE_MIN: u32 = 20;

/// A Python with nothing but its standard library.
pub(crate) fn python() -> Result<PathBuf> {
    let version_of = |program: &str| {
        let text = ask(Command::new(program).args(["-c", "import sys; print(*sys.version_info[:2])"]))?;
        let (major, minor) = text.split_once(' ')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    if version_of("python3").is_none() {
        install(&["python3", "python3-venv"])?;
    }
    match version_of("python3") {
        Some(version) if version >= PYTHON_MIN => Ok(PathBuf::from("python3")),
        Some((major, minor)) => {
            let (a, b) = PYTHON_MIN;
            bail!("python3 is {major}.{minor}; the client tests need {a}.{b} or newer")
        }
        None => bail!("python3 was installed but does not run"),
    }
}

/// The Python of a virtual environment that holds exactly `tests/clients/requirements.txt`.
pub(crate) fn venv() -> Result<PathBuf> {
    venv_of("venv", "requirements.txt")
}

/// The Python of another, with an S3 server: 140 MB that most steps do without.
pub(crate) fn venv_with_s3() -> Result<PathBuf> {
    venv_of("venv-s3", "bucket-requirements.txt")
}

/// The Python of another, with the receivers of deliveries: an S3 server, a mail server, an SFTP server.
pub(crate) fn venv_with_receivers() -> Result<PathBuf> {
    venv_of("venv-deliver", "deliver-requirements.txt")
}

fn venv_of(name: &str, list: &str) -> Result<PathBuf> {
    let home = target().join("xtask").join(name);
    let python_in = home.join("bin/python");
    let list = root().join("tests/clients").join(list);
    if is_made_from(&home, &list)? && python_in.exists() {
        return Ok(python_in);
    }
    let base = python()?;
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    // Debian ships `venv` without the part that puts pip into it; only trying tells.
    if ask(Command::new(&base).args(["-c", "import ensurepip, venv"])).is_none() {
        install(&["python3-venv"])?;
    }
    run(Command::new(&base).args(["-m", "venv"]).arg(&home))?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(&python_in).args(quiet).arg(&list))?;
    mark_made_from(&home, &list)?;
    Ok(python_in)
}

/// The folder whose `node_modules/.bin` holds exactly what `tests/clients/package-lock.json` pins.
pub(crate) fn node() -> Result<PathBuf> {
    node_of("node", "")
}

/// The program of the emulator of Azure's store.
pub(crate) fn azurite() -> Result<PathBuf> {
    Ok(node_of("azurite", "azurite")?.join("node_modules/.bin/azurite-blob"))
}

/// The folder of what the lock file in that folder of `tests/clients` pins.
fn node_of(name: &str, folder: &str) -> Result<PathBuf> {
    let home = target().join("xtask").join(name);
    let pinned = root().join("tests/clients").join(folder);
    let lock = pinned.join("package-lock.json");
    if node_version().is_none() {
        install(&["nodejs", "npm"])?;
    }
    match node_version() {
        Some(major) if major >= NODE_MIN => {}
        Some(major) => bail!("node is version {major}; the client of npm needs {NODE_MIN} or newer"),
        None => bail!("node was installed but does not run"),
    }
    if is_made_from(&home, &lock)? && home.join("node_modules").exists() {
        return Ok(home);
    }
    if ask(Command::new("npm").arg("--version")).is_none() {
        install(&["npm"])?;
    }
    fs::create_dir_all(&home)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(pinned.join(file), home.join(file))?;
    }
    // No install scripts: one of the client's dependencies would fetch a browser.
    let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(quiet).current_dir(&home))?;
    mark_made_from(&home, &lock)?;
    Ok(home)
}

/// Makes sure that `openssl` and `curl` can be called.
pub(crate) fn openssl_and_curl() -> Result<()> {
    let missing: Vec<&str> = [("openssl", "version"), ("curl", "--version")]
        .into_iter()
        .filter(|(program, version)| ask(Command::new(program).arg(version)).is_none())
        .map(|(program, _)| program)
        .collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Makes sure that there is OpenSSH's server.
pub(crate) fn sshd() -> Result<()> {
    let is_there = || Path::new("/usr/sbin/sshd").exists();
    if is_there() {
        return Ok(());
    }
    install(&["openssh-server"])?;
    if is_there() { Ok(()) } else { bail!("openssh-server was installed, but there is no /usr/sbin/sshd") }
}

/// Makes sure that there is a Chromium, and what gives it further authorities.
pub(crate) fn chromium() -> Result<()> {
    // It has no option that only tells its version.
    if ask(Command::new("sh").args(["-c", "command -v certutil"])).is_none() {
        install(&["libnss3-tools"])?;
    }
    let is_there = || {
        ["chromium-headless-shell", "chromium", "google-chrome"]
            .iter()
            .any(|name| ask(Command::new(name).arg("--version")).is_some())
    };
    if is_there() {
        return Ok(());
    }
    // Older distributions have no shell of its own.
    install(&["chromium-headless-shell"]).or_else(|_| install(&["chromium"]))?;
    if is_there() { Ok(()) } else { bail!("a Chromium was installed but does not run") }
}

/// Makes sure that there are the programs of a PostgreSQL server, for servers of the tests' own.
pub(crate) fn postgresql() -> Result<()> {
    let is_there = || {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        versions.into_iter().any(|version| version.path().join("bin/postgres").exists())
    };
    let elsewhere = std::env::var_os("TRAWL_TEST_POSTGRES").is_some_and(|url| !url.is_empty());
    if elsewhere || is_there() {
        return Ok(());
    }
    install(&["postgresql"])?;
    if is_there() { Ok(()) } else { bail!("PostgreSQL was installed but is not in /usr/lib/postgresql") }
}

/// Makes sure that there is the library that shifts the clock of a program.
pub(crate) fn faketime() -> Result<()> {
    let is_there = || {
        let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
        folders.iter().any(|folder| Path::new(folder).join("faketime/libfaketime.so.1").exists())
    };
    if is_there() {
        return Ok(());
    }
    install(&["faketime"])?;
    if is_there() {
        Ok(())
    } else {
        bail!("faketime was installed, but its library is not where it should be")
    }
}

fn node_version() -> Option<u32> {
    let text = ask(Command::new("node").arg("--version"))?;
    text.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Installs Debian packages.
fn install(packages: &[&str]) -> Result<()> {
    println!("missing here, to be installed: {}", packages.join(" "));
    if ask(Command::new("apt-get").arg("--version")).is_none() {
        bail!("please install {} (there is no apt-get to do it with)", packages.join(" "));
    }
    let is_root = ask(Command::new("id").arg("-u")).as_deref() == Some("0");
    if !is_root && ask(Command::new("sudo").args(["-n", "true"])).is_none() {
        bail!("please install {}: this is neither root nor may it use sudo", packages.join(" "));
    }
    let apt = |words: &[&str]| {
        let mut command = if is_root {
            Command::new("apt-get")
        } else {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "apt-get"]);
            sudo
        };
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(&mut apt(&["update", "--quiet"]))?;
    let mut words = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
    words.extend(packages);
    run(&mut apt(&words)).with_context(|| format!("installing {}", packages.join(" ")))
}

/// Whether a folder was made from this very list.
fn is_made_from(home: &Path, list: &Path) -> Result<bool> {
    let wanted = fs::read(list).with_context(|| list.display().to_string())?;
    Ok(fs::read(home.join("made-from")).is_ok_and(|made| made == wanted))
}

fn mark_made_from(home: &Path, list: &Path) -> Result<()> {
    fs::copy(list, home.join("made-from"))?;
    Ok(())
}
