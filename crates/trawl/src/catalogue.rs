//! The scrapers that are loaded: the ones in the binary, then the operator's folder, which wins by name.
//!
//! Owns: which version of a scraper new runs begin with, and the texts of the versions in use.
//! Must not know: how the folder is watched (`folder`).
//!
//! Invariant: a broken file never takes a scraper away; the last good one stays, over restarts too, and the fault is
//! reported.
//! Invariant: a run ends with the version of the file that it began with: versions in use are kept in the bucket.

mod folder;

use crate::config::Secrets;
use anyhow::{Context, Result, anyhow, bail};
use extract::{FileError, Scraper};
use folder::{Found, Watched};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
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
    old: Mutex<HashMap<Version, Entry>>,
    pinned: Mutex<HashSet<Version>>,
    /// The operator's last good version of each scraper, as far as it is in the bucket.
    kept: Mutex<BTreeMap<String, String>>,
    bucket: Arc<dyn Bucket>,
    watched: Option<Mutex<Watched>>,
    secrets: OnceLock<Secrets>,
    reloads: AtomicU64,
}

/// A scraper's name and the digest of its file.
type Version = (String, String);

#[derive(Default)]
struct Loaded {
    by_name: BTreeMap<String, Entry>,
    /// Dataset id or alias to name.
    by_id: BTreeMap<String, String>,
    /// What is wrong in the operator's folder now, by name.
    faults: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Entry {
    scraper: Arc<Scraper>,
    text: Arc<str>,
    builtin: bool,
}

impl Entry {
    fn version(&self) -> Version {
        (self.scraper.name().to_owned(), self.scraper.version().to_owned())
    }
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

/// What is said of a file whose secrets are not set.
pub fn missing_secrets(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "secrets that are not set: {} (`[secrets]` of the settings, or TRAWL_SECRET_… in the environment)",
        names.join(", ")
    )
}

fn builtin(name: &str) -> Option<Result<Entry>> {
    let (_, text) = BUILTIN.iter().find(|(known, _)| *known == name)?;
    let compiled = Scraper::compile(name, text)
        .map_err(|errors| anyhow!("a built-in scraper is broken:\n{}", faults_text(name, &errors)));
    Some(compiled.map(|scraper| Entry { scraper, text: Arc::from(*text), builtin: true }))
}

impl Catalogue {
    /// The built-in scrapers and those of `folder`. A broken file in the folder is reported, not fatal.
    pub fn load(folder: Option<&Path>, bucket: Arc<dyn Bucket>) -> Result<Self> {
        let mut loaded = Loaded::default();
        for (name, _) in BUILTIN {
            if let Some(entry) = builtin(name) {
                loaded.by_name.insert((*name).to_owned(), entry?);
            }
        }
        loaded.index();
        if let Some(folder) = folder
            && !folder.is_dir()
        {
            bail!("the scraper folder `{}` does not exist", folder.display());
        }
        let catalogue = Self {
            loaded: RwLock::new(loaded),
            old: Mutex::default(),
            pinned: Mutex::default(),
            kept: Mutex::default(),
            bucket,
            watched: folder.map(|folder| Mutex::new(Watched::new(folder))),
            secrets: OnceLock::new(),
            reloads: AtomicU64::new(0),
        };
        catalogue.look();
        Ok(catalogue)
    }

    fn read(&self) -> RwLockReadGuard<'_, Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the secrets that scrapers may name. Files that name others are reported from then on.
    pub fn know_secrets(&self, secrets: Secrets) {
        // Given once, at the start.
        let _ = self.secrets.set(secrets);
        for scraper in self.all() {
            self.report_secrets(&scraper);
        }
    }

    /// The value of a secret.
    pub fn secret(&self, name: &str) -> Option<String> {
        self.secrets.get()?.get(name).map(str::to_owned)
    }

    /// A scraper without its secrets is loaded, and reported.
    fn report_secrets(&self, scraper: &Scraper) {
        let Some(secrets) = self.secrets.get() else { return };
        let missing = secrets.missing(scraper.secrets());
        if !missing.is_empty() {
            self.fail(scraper.name().to_owned(), missing_secrets(&missing));
        }
    }

    /// The scraper of a dataset id, an alias, or its own name.
    pub fn find(&self, dataset_id: &str) -> Option<Arc<Scraper>> {
        let loaded = self.read();
        let name = loaded.by_id.get(dataset_id).map_or(dataset_id, String::as_str);
        loaded.by_name.get(name).map(|entry| entry.scraper.clone())
    }

    /// Every scraper, by name.
    pub fn all(&self) -> Vec<Arc<Scraper>> {
        self.read().by_name.values().map(|entry| entry.scraper.clone()).collect()
    }

    /// What is wrong in the operator's folder: name and text.
    pub fn faults(&self) -> Vec<(String, String)> {
        self.read().faults.iter().map(|(name, text)| (name.clone(), text.clone())).collect()
    }

    /// What is wrong with the file of that scraper now, if something is.
    pub fn fault(&self, name: &str) -> Option<String> {
        self.read().faults.get(name).cloned()
    }

    /// Versions taken from the operator's folder since the start.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// Keeps this version of the scraper's file, so that a job that begins with it can end with it. Call before the
    /// trigger is committed; cheap after the first time.
    pub async fn pin(&self, scraper: &Arc<Scraper>) -> Result<()> {
        let version = (scraper.name().to_owned(), scraper.version().to_owned());
        if lock(&self.pinned).contains(&version) {
            return Ok(());
        }
        let present = self
            .read()
            .by_name
            .get(scraper.name())
            .filter(|e| e.version() == version)
            .map(|e| e.text.clone());
        // Replaced between `find` and here: it is still among the old ones.
        let text = present.or_else(|| lock(&self.old).get(&version).map(|e| e.text.clone()));
        let text =
            text.ok_or_else(|| anyhow!("the scraper `{}` was just replaced; try again", scraper.name()))?;
        self.bucket.put(&key(&version.0, &version.1), text.as_bytes().to_vec().into()).await?;
        lock(&self.pinned).insert(version);
        Ok(())
    }

    /// The scraper as a run began with it.
    pub async fn at_version(&self, name: &str, version: &str) -> Result<Arc<Scraper>> {
        if let Some(scraper) = self.find(name).filter(|s| s.name() == name && s.version() == version) {
            return Ok(scraper);
        }
        let wanted = (name.to_owned(), version.to_owned());
        if let Some(entry) = lock(&self.old).get(&wanted) {
            return Ok(entry.scraper.clone());
        }
        let entry = self
            .of_bucket(name, &key(name, version))
            .await
            .with_context(|| format!("version {version} of `{name}`"))?;
        let scraper = entry.scraper.clone();
        self.retire(wanted, entry);
        Ok(scraper)
    }

    async fn of_bucket(&self, name: &str, key: &str) -> Result<Entry> {
        let bytes = self.bucket.get(key, 0, FILE_BYTES).await?;
        let text = std::str::from_utf8(&bytes).context("a kept scraper file is not UTF-8")?;
        let scraper = Scraper::compile(name, text).map_err(|errors| anyhow!(faults_text(key, &errors)))?;
        Ok(Entry { scraper, text: Arc::from(text), builtin: false })
    }

    fn retire(&self, version: Version, entry: Entry) {
        let mut old = lock(&self.old);
        if old.len() >= OLD_VERSIONS {
            old.clear();
        }
        old.insert(version, entry);
    }

    /// After the first look: a file that is broken at the start has its last good version of former lives instead.
    /// Then keeps what is good now, as [`Catalogue::watch`] does from then on.
    pub async fn recover(&self) {
        for (name, _) in self.faults() {
            if self.read().by_name.get(&name).is_some_and(|entry| !entry.builtin) {
                continue;
            }
            // Most broken files never were good: nothing is kept of them.
            if let Ok(entry) = self.of_bucket(&name, &last_good(&name)).await {
                tracing::warn!(
                    scraper = name,
                    version = entry.scraper.version(),
                    "the file is broken; its last good version is used"
                );
                lock(&self.kept).insert(name.clone(), entry.scraper.version().to_owned());
                self.put(name, entry);
            }
        }
        self.keep().await;
    }

    /// Reloads what changed in the operator's folder, every two seconds, until `stop` turns true.
    pub async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if self.watched.is_none() {
            return;
        }
        while !*stop.borrow() {
            let this = self.clone();
            // A folder may be on a slow disk: not on a thread that serves sockets.
            if let Err(error) = tokio::task::spawn_blocking(move || this.look()).await {
                tracing::error!(%error, "looking at the scraper folder broke");
            }
            self.keep().await;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// One look at the folder.
    fn look(&self) {
        let Some(watched) = &self.watched else { return };
        let found = lock(watched).look();
        for (name, found) in found {
            match found {
                Found::Text(text) => self.take(name, text),
                Found::Fault(fault) => self.fail(name, fault),
                Found::Gone => self.drop_one(&name),
            }
        }
    }

    /// A file's text as it is now.
    fn take(&self, name: String, text: String) {
        let same = self.read().by_name.get(&name).is_some_and(|e| !e.builtin && *e.text == *text);
        if same {
            // Touched, or put back after a fault.
            self.loaded.write().unwrap_or_else(PoisonError::into_inner).faults.remove(&name);
            let scraper = self.read().by_name.get(&name).map(|entry| entry.scraper.clone());
            if let Some(scraper) = scraper {
                self.report_secrets(&scraper);
            }
            return;
        }
        match Scraper::compile(&name, &text) {
            Ok(scraper) => {
                tracing::info!(scraper = name, version = scraper.version(), "loaded");
                self.reloads.fetch_add(1, Ordering::Relaxed);
                self.loaded.write().unwrap_or_else(PoisonError::into_inner).faults.remove(&name);
                self.put(name, Entry { scraper: scraper.clone(), text: text.into(), builtin: false });
                self.report_secrets(&scraper);
            }
            Err(errors) => {
                let fault = faults_text(&format!("{name}/{}", folder::FILE), &errors);
                self.fail(name, fault);
            }
        }
    }

    fn put(&self, name: String, entry: Entry) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let before = loaded.by_name.insert(name, entry);
        loaded.index();
        drop(loaded);
        if let Some(before) = before {
            self.retire(before.version(), before);
        }
    }

    fn fail(&self, name: String, fault: String) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.faults.get(&name) != Some(&fault) {
            tracing::warn!(
                scraper = name,
                "something is wrong with its file; a broken one is not loaded and the last good one stays:\n{fault}"
            );
            loaded.faults.insert(name, fault);
        }
    }

    /// The operator took the file away: the built-in one of that name is back, if there is one.
    fn drop_one(&self, name: &str) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.faults.remove(name);
        let Some(before) = loaded.by_name.get(name).filter(|entry| !entry.builtin).cloned() else { return };
        tracing::info!(scraper = name, "its file is gone");
        loaded.by_name.remove(name);
        // It compiled at the start.
        if let Some(Ok(entry)) = builtin(name) {
            loaded.by_name.insert(name.to_owned(), entry);
        }
        loaded.index();
        drop(loaded);
        self.retire(before.version(), before);
    }

    /// Writes what is good to the bucket, and forgets what is gone, so that a later start can fall back on it.
    async fn keep(&self) {
        let good: BTreeMap<String, Entry> = {
            let loaded = self.read();
            let own = loaded.by_name.iter().filter(|(_, e)| !e.builtin);
            own.map(|(name, e)| (name.clone(), e.clone())).collect()
        };
        let kept = lock(&self.kept).clone();
        for (name, entry) in &good {
            if kept.get(name).is_some_and(|version| version == entry.scraper.version()) {
                continue;
            }
            match self.bucket.put(&last_good(name), entry.text.as_bytes().to_vec().into()).await {
                Ok(()) => drop(lock(&self.kept).insert(name.clone(), entry.scraper.version().to_owned())),
                Err(error) => tracing::warn!(%error, scraper = name, "could not keep the last good version"),
            }
        }
        for name in kept.keys().filter(|name| !good.contains_key(*name)) {
            match self.bucket.delete(&last_good(name)).await {
                Ok(()) => drop(lock(&self.kept).remove(name)),
                Err(error) => {
                    tracing::warn!(%error, scraper = name, "could not forget the last good version")
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
            for (name, entry) in self.by_name.iter().filter(|(_, e)| e.builtin == builtin) {
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

/// The version that a later start falls back on. No digest has this form.
fn last_good(name: &str) -> String {
    format!("scrapers/{name}/last-good.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::FolderBucket;

    fn file(id: &str, css: &str) -> String {
        format!(
            "dataset_id = \"{id}\"\ntitle = \"T\"\n[doors.collect_by_url]\nstart = \"page\"\n\
             inputs.url = {{ type = \"url\", required = true }}\n[pages.page]\nrecord = true\n\
             [fields.title]\nfrom = [{{ css = \"{css}\" }}]\n"
        )
    }

    struct World {
        home: tempfile::TempDir,
        catalogue: Catalogue,
    }

    impl World {
        fn open(home: tempfile::TempDir) -> Self {
            let scrapers = home.path().join("scrapers");
            std::fs::create_dir_all(&scrapers).unwrap();
            let bucket = Arc::new(FolderBucket::open(home.path().join("bucket")).unwrap());
            let catalogue = Catalogue::load(Some(&scrapers), bucket).unwrap();
            Self { home, catalogue }
        }

        fn write(&self, name: &str, text: &str) {
            let folder = self.home.path().join("scrapers").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(folder::FILE), text).unwrap();
        }

        fn remove(&self, name: &str) {
            std::fs::remove_dir_all(self.home.path().join("scrapers").join(name)).unwrap();
        }

        fn version(&self, id: &str) -> Option<String> {
            self.catalogue.find(id).map(|s| s.version().to_owned())
        }
    }

    #[test]
    fn an_edit_of_the_same_size_is_seen_and_a_broken_one_keeps_the_last_good() {
        let world = World::open(tempfile::tempdir().unwrap());
        world.write("a", &file("gd_a", "h1"));
        world.catalogue.look();
        let first = world.version("gd_a").unwrap();
        world.write("a", &file("gd_a", "h2"));
        world.catalogue.look();
        let second = world.version("gd_a").unwrap();
        assert_ne!(first, second);
        world.write("a", "title = ");
        world.catalogue.look();
        assert_eq!(world.version("gd_a"), Some(second.clone()));
        let fault = world.catalogue.fault("a").unwrap();
        assert!(fault.starts_with("a/scraper.toml:1:"), "{fault}");
        world.write("a", &file("gd_a", "h2"));
        world.catalogue.look();
        assert_eq!((world.version("gd_a"), world.catalogue.fault("a")), (Some(second), None));
    }

    #[test]
    fn a_removed_folder_takes_its_scraper_and_gives_the_built_in_one_back() {
        let world = World::open(tempfile::tempdir().unwrap());
        let builtin = world.version("web_page");
        assert!(builtin.is_some());
        world.write("mine", &file("gd_mine", "h1"));
        world.write("web_page", &file("web_page", "h1"));
        world.write("never_good", "=");
        world.catalogue.look();
        assert!(world.version("gd_mine").is_some());
        assert_ne!(world.version("web_page"), builtin);
        for name in ["mine", "web_page", "never_good"] {
            world.remove(name);
        }
        // An editor may take a file away for a moment: once is not gone.
        world.catalogue.look();
        assert!(world.version("gd_mine").is_some());
        world.catalogue.look();
        assert_eq!((world.version("gd_mine"), world.version("web_page")), (None, builtin));
        assert_eq!(world.catalogue.faults(), []);
    }

    #[tokio::test]
    async fn a_version_that_was_just_replaced_can_still_be_pinned_and_is_found_after_a_restart() {
        let world = World::open(tempfile::tempdir().unwrap());
        world.write("a", &file("gd_a", "h1"));
        world.catalogue.look();
        let begun_with = world.catalogue.find("gd_a").unwrap();
        world.write("a", &file("gd_a", "h2"));
        world.catalogue.look();
        world.catalogue.pin(&begun_with).await.unwrap();
        world.remove("a");
        let world = World::open(world.home);
        let again = world.catalogue.at_version("a", begun_with.version()).await.unwrap();
        assert_eq!(again.version(), begun_with.version());
        assert!(world.catalogue.at_version("a", "0000000000000000").await.is_err());
    }

    #[tokio::test]
    async fn a_file_broken_at_the_start_falls_back_on_its_last_good_version_unless_it_was_taken_away() {
        let world = World::open(tempfile::tempdir().unwrap());
        world.write("a", &file("gd_a", "h1"));
        world.write("b", &file("gd_b", "h1"));
        world.catalogue.look();
        world.catalogue.recover().await;
        let good = world.version("gd_a");
        world.remove("b");
        world.catalogue.look();
        world.catalogue.look();
        world.catalogue.keep().await;
        world.write("a", "broken");
        world.write("b", "broken");
        let world = World::open(world.home);
        assert_eq!(world.version("gd_a"), None, "not before it was looked up");
        world.catalogue.recover().await;
        assert_eq!(world.version("gd_a"), good);
        assert_eq!(world.version("gd_b"), None);
        assert_eq!(world.catalogue.faults().len(), 2);
    }
}
