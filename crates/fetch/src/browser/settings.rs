//! How pages are rendered: plain values that the operator sets.

use model::ResourceKind;
use std::path::{Path, PathBuf};

/// How pages are rendered.
#[derive(Clone, Debug)]
pub struct BrowserSettings {
    /// The program; `None`: the first of the known ones that is installed.
    pub path: Option<PathBuf>,
    /// Pages rendered at once, each in a context of its own.
    pub contexts: usize,
    /// Pages after which the process is replaced by a fresh one.
    pub pages_per_process: u32,
    /// Milliseconds without a page after which the process ends.
    pub idle_ms: u64,
    /// Milliseconds for a page in all, waiting for its turn not included.
    pub page_timeout_ms: u64,
    /// MiB of the browser's processes together: above it the browser is replaced once its open pages are done, above
    /// one and a half times as much at once.
    pub memory_mb: u64,
    /// MiB of one page's process: above it the page is ended.
    pub page_memory_mb: u64,
    /// Kinds of subresources that are not loaded.
    pub block: Vec<ResourceKind>,
    /// PEM file of authorities that are trusted besides the browser's own.
    pub extra_ca: Option<PathBuf>,
    /// The `User-Agent` of what no page's own says otherwise, such as its workers.
    pub user_agent: Option<String>,
    /// Further arguments of the program.
    pub arguments: Vec<String>,
    /// Folder for profiles, which live as long as their process. Emptied at construction.
    pub profiles: PathBuf,
}

impl Default for BrowserSettings {
    fn default() -> Self {
        Self {
            path: None,
            contexts: 4,
            pages_per_process: 500,
            idle_ms: 60_000,
            page_timeout_ms: 60_000,
            memory_mb: 2_048,
            page_memory_mb: 768,
            block: vec![ResourceKind::Image, ResourceKind::Font, ResourceKind::Media],
            extra_ca: None,
            user_agent: None,
            arguments: Vec::new(),
            profiles: std::env::temp_dir().join("trawl-browser"),
        }
    }
}

/// What a Chromium may be called, best first: the headless shell starts faster, is smaller and calls nobody at home.
/// Debian's start scripts stay behind as parents, so the programs themselves come before them.
const PROGRAMS: [&str; 7] = [
    "/usr/lib/chromium/chromium-headless-shell",
    "chromium-headless-shell",
    "chrome-headless-shell",
    "/usr/lib/chromium/chromium",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// What to do where there is none.
pub(super) const ADVICE: &str = "install one (`apt-get install chromium-headless-shell`, or `chromium`) or name one in the setting `browser.path`";

impl BrowserSettings {
    /// The program that would be started, or a sentence that says what is missing and what to do.
    pub fn program(&self) -> Result<PathBuf, String> {
        if let Some(path) = &self.path {
            return if is_program(path) {
                Ok(path.clone())
            } else {
                Err(format!("`browser.path` names `{}`, which is no program; {ADVICE}", path.display()))
            };
        }
        PROGRAMS
            .iter()
            .find_map(|name| find(name))
            .ok_or_else(|| format!("there is no Chromium here; {ADVICE}"))
    }
}

/// A program by its path or, a bare name, on the `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_program_says_what_to_do() {
        for path in ["/nowhere/chromium", "/etc/passwd", "/tmp"] {
            let settings = BrowserSettings { path: Some(path.into()), ..BrowserSettings::default() };
            let error = settings.program().unwrap_err();
            assert!(error.contains("apt-get install chromium-headless-shell"), "{error}");
            assert!(error.contains("browser.path"), "{error}");
        }
    }
}
