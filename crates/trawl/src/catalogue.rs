//! The scrapers that are loaded: the ones in the binary, then the operator's folder, which wins by name.
//!
//! Invariant: a broken file never takes a scraper away; the last good one stays, and the fault is reported.
//! Invariant: a run ends with the version of the file that it began with: versions in use are kept in the bucket.

use anyhow::{Context, Result, anyhow, bail};
use extract::{FileError, Scraper};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use store::Bucket;
use tokio::sync::watch;

include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// Bytes of a scraper file.
const FILE_BYTES: u64 = 1 << 20;
/// Older versions kept compiled; a run that needs another loads it again.
const OLD_VERSIONS: usize = 64;
/// Between two looks at the operator's folder.
const LOOK: Duration = Duration::from_secs(2);

/// The scrapers that are loaded.
pub struct Catalogue {
    loaded: RwLock<Loaded>,
    old: Mutex<HashMap<(String, String), Arc<Scraper>>>,
    pinned: Mutex<HashSet<(String, String)>>,
    bucket: Arc<dyn Bucket>,
    folder: Option<PathBuf>,
}

#[derive(Default)]
struct Loaded {
    by_name: BTreeMap<String, Entry>,
    /// Dataset id or alias to name.
    by_id: BTreeMap<String, String>,
    /// What is wrong in the operator's folder now, by name.
    faults: BTreeMap<String, String>,
}

struct Entry {
    scraper: Arc<Scraper>,
    text: String,
    /// When the operator's file was changed last; none for a built-in one.
    changed: Option<SystemTime>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one call on a map, so a panic elsewhere leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that is wrong with a file, one line each.
pub fn faults_text(path: &str, errors: &[FileError]) -> String {
    let lines: Vec<_> =
        errors.iter().map(|e| format!("{path}:{}:{}: {}", e.line, e.column, e.message)).collect();
    lines.join("\n")
}

impl Catalogue {
    /// The built-in scrapers and those of `folder`. A broken file in the folder is reported, not fatal.
    pub fn load(folder: Option<&Path>, bucket: Arc<dyn Bucket>) -> Result<Self> {
        let mut loaded = Loaded::default();
        for (name, text) in BUILTIN {
            let scraper = Scraper::compile(name, text)
                .map_err(|errors| anyhow!("a built-in scraper is broken:\n{}", faults_text(name, &errors)))?;
            loaded
                .by_name
                .insert((*name).to_owned(), Entry { scraper, text: (*text).to_owned(), changed: None });
        }
        loaded.index();
        let catalogue = Self {
            loaded: RwLock::new(loaded),
            old: Mutex::default(),
            pinned: Mutex::default(),
            bucket,
            folder: folder.map(Path::to_path_buf),
        };
        if let Some(folder) = folder {
            if !folder.is_dir() {
                bail!("the scraper folder `{}` does not exist", folder.display());
            }
            catalogue.look();
        }
        Ok(catalogue)
    }

    /// The scraper of a dataset id, an alias, or its own name.
    pub fn find(&self, dataset_id: &str) -> Option<Arc<Scraper>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let name = loaded.by_id.get(dataset_id).map_or(dataset_id, String::as_str);
        loaded.by_name.get(name).map(|entry| entry.scraper.clone())
    }

    /// Every scraper, by name.
    pub fn all(&self) -> Vec<Arc<Scraper>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.by_name.values().map(|entry| entry.scraper.clone()).collect()
    }

    /// What is wrong in the operator's folder: name and text.
    pub fn faults(&self) -> Vec<(String, String)> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.faults.iter().map(|(name, text)| (name.clone(), text.clone())).collect()
    }

    /// Keeps this version of the scraper's file, so that a job that begins with it can end with it. Call before the
    /// trigger is committed; cheap after the first time.
    pub async fn pin(&self, scraper: &Arc<Scraper>) -> Result<()> {
        let version = (scraper.name().to_owned(), scraper.version().to_owned());
        if lock(&self.pinned).contains(&version) {
            return Ok(());
        }
        let text = {
            let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
            let entry =
                loaded.by_name.get(scraper.name()).filter(|e| e.scraper.version() == scraper.version());
            entry.map(|entry| entry.text.clone())
        };
        // A version that was replaced between `find` and here was pinned or is reloaded: the run would begin with a
        // file that is gone, so the caller tries again.
        let text =
            text.ok_or_else(|| anyhow!("the scraper `{}` was just replaced; try again", scraper.name()))?;
        self.bucket.put(&key(&version.0, &version.1), text.into_bytes().into()).await?;
        lock(&self.pinned).insert(version);
        Ok(())
    }

    /// The scraper as a run began with it.
    pub async fn at_version(&self, name: &str, version: &str) -> Result<Arc<Scraper>> {
        if let Some(scraper) = self.find(name).filter(|s| s.name() == name && s.version() == version) {
            return Ok(scraper);
        }
        let wanted = (name.to_owned(), version.to_owned());
        if let Some(scraper) = lock(&self.old).get(&wanted) {
            return Ok(scraper.clone());
        }
        let key = key(name, version);
        let bytes = self
            .bucket
            .get(&key, 0, FILE_BYTES)
            .await
            .with_context(|| format!("version {version} of `{name}`"))?;
        let text = std::str::from_utf8(&bytes).context("a kept scraper file is not UTF-8")?;
        let scraper = Scraper::compile(name, text).map_err(|errors| anyhow!(faults_text(&key, &errors)))?;
        let mut old = lock(&self.old);
        if old.len() >= OLD_VERSIONS {
            old.clear();
        }
        old.insert(wanted, scraper.clone());
        Ok(scraper)
    }

    /// Reloads what changed in the operator's folder, every two seconds, until `stop` turns true.
    pub async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if self.folder.is_none() {
            return;
        }
        while !*stop.borrow() {
            let this = self.clone();
            // A folder may be on a slow disk: not on a thread that serves sockets.
            if let Err(error) = tokio::task::spawn_blocking(move || this.look()).await {
                tracing::error!(%error, "looking at the scraper folder broke");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// One look at the folder.
    fn look(&self) {
        let Some(folder) = &self.folder else { return };
        let Ok(entries) = std::fs::read_dir(folder) else {
            tracing::warn!(folder = %folder.display(), "the scraper folder cannot be read; the loaded ones stay");
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path().join("scraper.toml");
            let Ok(meta) = std::fs::metadata(&path) else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let known = {
                let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
                loaded.by_name.get(&name).and_then(|e| e.changed) == Some(changed)
            };
            if known {
                continue;
            }
            let result = read_file(&path, meta.len()).and_then(|text| {
                let scraper = Scraper::compile(&name, &text)
                    .map_err(|errors| anyhow!(faults_text(&path.display().to_string(), &errors)))?;
                Ok(Entry { scraper, text, changed: Some(changed) })
            });
            self.take(name, result);
        }
    }

    fn take(&self, name: String, result: Result<Entry>) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(entry) => {
                tracing::info!(scraper = name, version = entry.scraper.version(), "loaded");
                loaded.faults.remove(&name);
                loaded.by_name.insert(name, entry);
                loaded.index();
            }
            Err(error) => {
                let text = format!("{error:#}");
                if loaded.faults.get(&name) != Some(&text) {
                    tracing::warn!(scraper = name, "not loaded, the last good one stays:\n{text}");
                    loaded.faults.insert(name, text);
                }
            }
        }
    }
}

impl Loaded {
    /// An id that two scrapers claim goes to the operator's, then to the first by name.
    fn index(&mut self) {
        self.by_id.clear();
        for builtin in [false, true] {
            for (name, entry) in self.by_name.iter().filter(|(_, e)| e.changed.is_none() == builtin) {
                let ids = std::iter::once(entry.scraper.dataset_id())
                    .chain(entry.scraper.aliases().iter().map(String::as_str));
                for id in ids {
                    self.by_id.entry(id.to_owned()).or_insert_with(|| name.clone());
                }
            }
        }
    }
}

fn key(name: &str, version: &str) -> String {
    format!("scrapers/{name}/{version}.toml")
}

fn read_file(path: &Path, len: u64) -> Result<String> {
    if len > FILE_BYTES {
        bail!("{} is larger than {FILE_BYTES} bytes", path.display());
    }
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
