//! Running other programs, with what was run said aloud and what went wrong said plainly.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's root: the folder above this package.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        // Relative to where cargo was called, which is the root for every call here.
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Cargo itself: the one that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs it, saying what; an error if it does not exit with 0. Standard input is closed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let said = describe(command);
    println!("$ {said}");
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("`{said}` could not be started"))?;
    if !status.success() {
        bail!("`{said}` ended with {status}");
    }
    Ok(())
}

/// Runs it quietly; its standard output if it exits with 0.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as a person would type it at the root.
fn describe(command: &Command) -> String {
    let root = root();
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = command.get_args().map(|word| {
        let path = Path::new(word);
        path.strip_prefix(&root).map_or_else(|_| word.to_string_lossy(), Path::to_string_lossy).into_owned()
    });
    std::iter::once(program.to_string_lossy().into_owned()).chain(words).collect::<Vec<_>>().join(" ")
}
