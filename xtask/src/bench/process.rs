//! Programs under measurement: started on a core of their own, their processor time and memory read from /proc.

use crate::shell::{cargo, run, target};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Clock ticks a second in /proc/PID/stat: 100 on every Linux of the last decades.
const TICKS: f64 = 100.0;
/// The token of every benchmark's server.
pub(super) const TOKEN: &str = "benchmark-token";

/// Builds the binaries that are measured.
pub(super) fn build() -> Result<()> {
    run(cargo().args(["build", "--release", "-p", "trawl", "-p", "site"]))
}

/// A program of the release build.
pub(super) fn binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// A running program; killed when dropped.
pub(super) struct Running {
    child: Child,
    /// What followed `listening on http://`.
    pub(super) address: String,
    /// From the start to the line that tells the address.
    pub(super) ready_after: Duration,
}

impl Running {
    /// Starts a program on `core`, and waits until it says where it listens.
    pub(super) fn start(
        core: Option<u32>,
        program: &Path,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("standard error")?);
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                bail!("{} ended before it listened:\n{said}", program.display());
            }
            if let Some((_, address)) = line.split_once("listening on http://") {
                let address =
                    address.split_whitespace().next().unwrap_or_default().trim_end_matches('/').to_owned();
                let ready_after = started.elapsed();
                // The rest is read and dropped, so that the program never waits for a full pipe.
                std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
                return Ok(Self { child, address, ready_after });
            }
            said.push_str(&line);
        }
    }

    /// A server on a fresh or a given data folder; page fetches to loopback are allowed.
    pub(super) fn server(core: Option<u32>, data: &Path, settings: &[&str]) -> Result<Self> {
        let data = data.to_string_lossy().into_owned();
        let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--data", &data, "--set", "log=warn"];
        args.extend(["--set", "fetch.allow_networks=127.0.0.0/8"]);
        for setting in settings {
            args.extend(["--set", setting]);
        }
        Self::start(core, &binary("trawl"), &args, &[("TRAWL_API_TOKEN", TOKEN)])
    }

    /// Processor seconds so far, user and system.
    pub(super) fn cpu_secs(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        Ok((ticks(11) + ticks(12)) / TICKS)
    }

    /// MiB of memory now, and the most so far.
    pub(super) fn memory_mib(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
        };
        Ok((kib("VmRSS") / 1024.0, kib("VmHWM") / 1024.0))
    }

    /// Starts counting the most memory anew.
    pub(super) fn reset_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// SIGTERM, and waits for the end.
    pub(super) fn stop(mut self) -> Result<()> {
        run_quiet(Command::new("kill").arg(self.child.id().to_string()))?;
        self.child.wait()?;
        Ok(())
    }
}

fn run_quiet(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { bail!("a command ended with {status}") }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder under the build folder, empty, gone when dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Result<Self> {
        let path = target().join("bench").join(format!("{name}-{}", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The origin: the shop of `site` in memory, on the other core.
pub(super) fn origin(core: Option<u32>, pages: u64) -> Result<Running> {
    let pages = pages.to_string();
    Running::start(core, &binary("site"), &["--port", "0", "--pages", &pages, "--hosts", "16", "--gzip"], &[])
}

/// The middle value.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
