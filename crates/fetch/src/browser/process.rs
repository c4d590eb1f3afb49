//! One browser process: its arguments, its start, its memory, its end.
//!
//! Owns: the child, its profile folder and its wire. Must not know: what is rendered in it.
//!
//! Invariant: the process ends with this server, however that ends: killed when dropped, and by the end of its pipe.

use super::gate::Gate;
use super::pipe::{CallError, Wire};
use super::settings::BrowserSettings;
use super::trust;
use crate::{FetchError, FetchErrorKind};
use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};
use serde_json::json;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

/// For a new process to answer its first question.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Lines of what it says on standard error that are kept, for the message when it does not start.
const SAID_MAX: usize = 8;
/// A message holds at most a page, whose text grows in JSON, or a picture of it.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// DevTools speaks on the descriptors 3 and 4. The shell puts the child's standard input and output there: no other
/// way to say so is without `unsafe`.
const SCRIPT: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null";

/// Arguments of every browser. It is on its own in a closed room: no calls home, no way out but the gate.
const ARGUMENTS: [&str; 23] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-startup-window",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-breakpad",
    "--disable-domain-reliability",
    // Containers give /dev/shm 64 MB, which pages outgrow.
    "--disable-dev-shm-usage",
    "--metrics-recording-only",
    "--mute-audio",
    "--hide-scrollbars",
    "--password-store=basic",
    // A context lives for one page and holds no secrets of another: a process for each frame would only cost memory.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process,Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
    // WebRTC would go around the proxy.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    // Loopback goes through the proxy like everything else.
    "--proxy-bypass-list=<-loopback>",
];

/// A running browser.
pub(super) struct Process {
    child: Child,
    /// Emptied and removed with the process.
    profile: Option<TempDir>,
    pub(super) wire: Arc<Wire>,
    pid: Option<Pid>,
    /// Where everything outside a page's own context goes: nowhere.
    _floor: Gate,
}

impl Process {
    /// Starts it and waits until it answers. `floor` is the gate for what belongs to no page.
    pub(super) async fn start(settings: &BrowserSettings, floor: Gate) -> Result<Self, FetchError> {
        let missing = |message| FetchError::new(FetchErrorKind::NoBrowser, message);
        let program = settings.program().map_err(missing)?;
        let profile = profile(&settings.profiles)
            .map_err(|error| broken(format!("no folder for the browser's profile: {error}")))?;
        if let Some(file) = &settings.extra_ca
            && let Err(reason) = trust::lay(profile.path(), file).await
        {
            // Pages that need them fail their TLS; all others are as good as ever.
            tracing::warn!(reason, "a browser starts without the authorities of `fetch.extra_ca`");
        }
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg(&program).args(ARGUMENTS);
        command.arg(format!("--proxy-server={}", floor.address()));
        command.arg(format!("--js-flags=--max-old-space-size={}", (settings.page_memory_mb / 2).max(64)));
        command.arg(flag_with_path("--user-data-dir=", profile.path()));
        if let Some(agent) = &settings.user_agent {
            command.arg(format!("--user-agent={agent}"));
        }
        if geteuid().is_root() {
            // Chromium refuses to run its sandbox as root.
            command.arg("--no-sandbox");
        }
        command.args(&settings.arguments);
        // A home of its own, made absolute like the profile: nothing of the user's is read.
        command
            .env("HOME", std::path::absolute(profile.path()).unwrap_or_else(|_| profile.path().to_owned()));
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C ends us first, and we end it with all its helpers.
        command.process_group(0).kill_on_drop(true);
        let mut child =
            command.spawn().map_err(|error| broken(format!("the browser cannot be started: {error}")))?;
        let (Some(writer), Some(reader), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(broken("the browser has no pipes"));
        };
        let said = listen(errors);
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let wire = Wire::new(writer, reader, MESSAGE_BYTES_MAX);
        let process = Self { child, profile: Some(profile), wire, pid, _floor: floor };
        match process.wire.call("", "Browser.getVersion", json!({}), START_PATIENCE).await {
            Ok(version) => {
                let product = version["product"].as_str().unwrap_or("a browser");
                tracing::info!(product, program = %program.display(), pid = process.id(), "a browser started");
                Ok(process)
            }
            Err(error) => {
                let said = said.lock().unwrap_or_else(PoisonError::into_inner);
                let said: Vec<&str> = said.iter().map(String::as_str).collect();
                let why = match error {
                    CallError::Gone => "it ended at once".to_owned(),
                    error => error.to_string(),
                };
                let message =
                    format!("`{}` does not start: {why}. It said: {}", program.display(), said.join(" | "));
                tracing::warn!(message);
                Err(broken(message))
            }
        }
    }

    /// Its process id; 0 once it has ended.
    pub(super) fn id(&self) -> u32 {
        self.pid.map_or(0, |pid| pid.as_raw_nonzero().get().cast_unsigned())
    }

    /// Waits until it ends by itself.
    pub(super) async fn ended(&mut self) {
        tokio::select! {
            // An error means that there is nothing to wait for.
            _ = self.child.wait() => {}
            () = self.wire.ended() => {}
        }
    }

    /// Ends it and takes away what it leaves.
    pub(super) async fn kill(mut self) {
        self.wire.break_off();
        kill_group(self.pid);
        // Reaped, so that no zombie stays; it was just killed.
        _ = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
        if let Some(profile) = self.profile.take() {
            let removed = tokio::task::spawn_blocking(move || {
                // Helpers may still be writing as they die: a second look finds them gone.
                let path = profile.path().to_owned();
                profile.close().or_else(|_| std::fs::remove_dir_all(path))
            });
            if let Ok(Err(error)) = removed.await {
                tracing::debug!(%error, "a browser's profile could not be removed; the next start does it");
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        kill_group(self.pid.take());
    }
}

fn kill_group(pid: Option<Pid>) {
    if let Some(pid) = pid {
        // Gone already is as good.
        _ = kill_process_group(pid, Signal::KILL);
    }
}

fn broken(message: impl Into<String>) -> FetchError {
    FetchError::new(FetchErrorKind::BrowserGone, message)
}

fn profile(folder: &Path) -> std::io::Result<TempDir> {
    std::fs::create_dir_all(folder)?;
    tempfile::Builder::new().prefix("profile-").tempdir_in(folder)
}

fn flag_with_path(flag: &str, path: &Path) -> std::ffi::OsString {
    let mut out = std::ffi::OsString::from(flag);
    // Relative ones would be taken from the browser's own folder.
    out.push(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    out
}

/// Takes away profiles that a former life left behind.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let left = entries.flatten().map(|entry| entry.path());
    let profiles: Vec<PathBuf> = left
        .filter(|p| p.file_name().is_some_and(|name| name.to_string_lossy().starts_with("profile-")))
        .collect();
    for profile in profiles {
        if let Err(error) = std::fs::remove_dir_all(&profile) {
            tracing::debug!(%error, "a browser's old profile could not be removed");
        }
    }
}

/// Reads what it says to its end, so that it never waits for a full pipe, and keeps the last lines.
fn listen(errors: ChildStderr) -> Arc<Mutex<VecDeque<String>>> {
    let said = Arc::new(Mutex::new(VecDeque::new()));
    let kept = said.clone();
    tokio::spawn(async move {
        let mut reader = BufReader::new(errors);
        let mut line = Vec::new();
        while let Ok(n) = reader.read_until(b'\n', &mut line).await {
            if n == 0 {
                return;
            }
            let text: String = String::from_utf8_lossy(&line).trim().chars().take(300).collect();
            tracing::trace!(text, "the browser says");
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= SAID_MAX {
                kept.pop_front();
            }
            kept.push_back(text);
            line.clear();
        }
    });
    said
}

/// The memory of a process and of all that descend from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Bytes in all, shared pages counted by their share.
    pub(super) total: u64,
    /// The largest descendant.
    pub(super) largest: Option<(u32, u64)>,
}

/// Reads it from /proc; nothing where there is none.
pub(super) fn memory(root: u32) -> Memory {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, parent(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    let mut family = vec![root];
    let mut at = 0;
    while at < family.len() {
        let above = family[at];
        family.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        at += 1;
    }
    let mut memory = Memory::default();
    for pid in family {
        let bytes = proportional(pid).unwrap_or(0);
        memory.total += bytes;
        if pid != root && memory.largest.is_none_or(|(_, most)| bytes > most) {
            memory.largest = Some((pid, bytes));
        }
    }
    memory
}

/// The parent in a line of /proc/PID/stat, whose second word may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn proportional(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Ends a helper of a browser: the page in it crashes, the browser goes on.
pub(super) fn end_part(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // Gone already is as good.
        _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_found_whatever_a_program_calls_itself() {
        assert_eq!(parent("12 (a) b) c) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (sh"), None);
    }

    #[test]
    fn a_process_has_memory() {
        assert!(memory(std::process::id()).total > 0);
    }
}
