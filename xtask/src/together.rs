//! Steps that drive the binary, a few at once: most of their time is waiting, so one after the other they would leave the
//! machine idle. Each is a process of its own, whose output is shown whole when it ends.
//!
//! Must not know: what the steps check.

use crate::report::{Report, Verdict};
use crate::shell::target;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Steps at once.
const AT_ONCE: usize = 3;
/// Between two looks at those that run.
const LOOK: Duration = Duration::from_millis(100);
/// A step's closing line says this if it was left out.
const LEFT_OUT: &str = "0 passed, 0 failed, 1 skipped";

struct Running {
    name: &'static str,
    child: Child,
    log: std::path::PathBuf,
    begun: Instant,
}

/// Runs the steps by this program itself, until one fails; those that run by then are waited for.
pub(crate) fn run(mut names: Vec<&'static str>, report: &mut Report) -> Result<()> {
    names.reverse();
    let logs = target().join("xtask/logs");
    fs::create_dir_all(&logs)?;
    let mut running: Vec<Running> = Vec::new();
    loop {
        while report.is_good() && running.len() < AT_ONCE {
            let Some(name) = names.pop() else { break };
            println!("── {name} begins");
            let log = logs.join(format!("{name}.log"));
            let out = File::create(&log)?;
            let child = Command::new(std::env::current_exe()?)
                .args(["test", name])
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out)
                .spawn()
                .with_context(|| format!("step `{name}` could not be started"))?;
            running.push(Running { name, child, log, begun: Instant::now() });
        }
        if running.is_empty() {
            return Ok(());
        }
        let ended = running.iter_mut().position(|one| !matches!(one.child.try_wait(), Ok(None)));
        match ended {
            Some(at) => end(running.swap_remove(at), report)?,
            None => std::thread::sleep(LOOK),
        }
    }
}

/// Shows what a step said, and notes how it ended.
fn end(mut step: Running, report: &mut Report) -> Result<()> {
    let status = step.child.wait()?;
    let mut said = Vec::new();
    File::open(&step.log)?.read_to_end(&mut said)?;
    std::io::stdout().write_all(&said)?;
    let is_left_out = String::from_utf8_lossy(&said).trim_end().ends_with(LEFT_OUT);
    let verdict = match (status.success(), is_left_out) {
        (true, false) => Verdict::Passed,
        (true, true) => Verdict::Skipped("see above".into()),
        (false, _) => Verdict::Failed(format!("{status}, see above")),
    };
    report.add(step.name, verdict, step.begun.elapsed());
    if !status.success() {
        println!("\nThe step alone: cargo xtask test {}", step.name);
    }
    Ok(())
}
