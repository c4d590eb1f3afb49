//! A folder on the local disk as a bucket.
//!
//! Owns: the files below its root, one per object, at the path that the key spells (its slashes are the fan-out).
//! Invariants: an object is written aside, synced, renamed into place, and its folder synced, so that it is whole and
//! durable or not there; no key leaves the root. A key may not also be the folder of another key.

use super::{Bucket, BucketError, is_key};
use async_trait::async_trait;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where objects are written before they are renamed. No key can name it: segments do not begin with a dot.
const ASIDE: &str = ".tmp";
/// What a crash left there is removed at the next start, if it is older than this: a younger one may be another
/// process's.
const ASIDE_MAX_AGE: Duration = Duration::from_secs(86_400);
/// A folder can vanish between making it and renaming into it (a delete that emptied it); then it is made again.
const PUT_TRIES: u32 = 8;

/// A folder on the local disk.
#[derive(Clone, Debug)]
pub struct FolderBucket {
    root: Arc<Path>,
}

impl FolderBucket {
    /// Opens (and makes, if need be) a folder. Blocks shortly; a folder that cannot be written is
    /// [`BucketError::Unavailable`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, BucketError> {
        let root: PathBuf = root.into();
        let aside = root.join(ASIDE);
        fs::create_dir_all(&aside).map_err(|e| io(&aside, &e))?;
        for entry in fs::read_dir(&aside).map_err(|e| io(&aside, &e))?.flatten() {
            let old = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
            if old.is_some_and(|age| age > ASIDE_MAX_AGE) {
                // A leftover that cannot be removed does no harm; the next start tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self { root: root.into() })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, BucketError> + Send + 'static,
    ) -> Result<T, BucketError> {
        let root = Arc::clone(&self.root);
        tokio::task::spawn_blocking(move || work(&root))
            .await
            .unwrap_or_else(|e| Err(BucketError::Unavailable(e.to_string())))
    }
}

#[async_trait]
impl Bucket for FolderBucket {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        let key = key.to_owned();
        self.blocking(move |root| put(root, &key, &bytes)).await
    }

    async fn get(&self, key: &str, from: u64, len: u64) -> Result<Bytes, BucketError> {
        let key = key.to_owned();
        self.blocking(move |root| get(root, &key, from, len)).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let key = key.to_owned();
        self.blocking(move |root| delete(root, &key)).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, u64)>, BucketError> {
        let weighed = self.weigh(prefix, after, limit).await?;
        Ok(weighed.into_iter().map(|(key, age_ms, _)| (key, age_ms)).collect())
    }

    async fn weigh(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, u64, u64)>, BucketError> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.blocking(move |root| {
            let mut found = Vec::new();
            walk(root, &mut String::new(), &prefix, &after, limit, &mut found)?;
            Ok(found)
        })
        .await
    }
}

fn io(path: &Path, e: &std::io::Error) -> BucketError {
    BucketError::Unavailable(format!("{}: {e}", path.display()))
}

/// The file of a key; `None` for a key that no object can have.
fn file_of(root: &Path, key: &str) -> Option<PathBuf> {
    is_key(key).then(|| root.join(key))
}

fn put(root: &Path, key: &str, bytes: &[u8]) -> Result<(), BucketError> {
    let Some(file) = file_of(root, key) else {
        return Err(BucketError::Unavailable(format!("`{key}` cannot be a key")));
    };
    let mut dice = [0; 16];
    getrandom::fill(&mut dice).map_err(|e| BucketError::Unavailable(e.to_string()))?;
    let aside = root.join(ASIDE).join(format!("{:032x}", u128::from_le_bytes(dice)));
    let written = write_synced(&aside, bytes)
        .map_err(|e| io(&aside, &e))
        .and_then(|()| move_into_place(root, &aside, &file));
    if written.is_err() {
        // What stays is removed at a later start.
        let _ = fs::remove_file(&aside);
    }
    written
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut out = File::create_new(path)?;
    out.write_all(bytes)?;
    out.sync_all()
}

fn move_into_place(root: &Path, aside: &Path, file: &Path) -> Result<(), BucketError> {
    let folder = file.parent().unwrap_or(root);
    for _ in 0..PUT_TRIES {
        make_folder(root, folder)?;
        match fs::rename(aside, file) {
            Ok(()) => return sync_folder(folder).map_err(|e| io(folder, &e)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(io(file, &e)),
        }
    }
    Err(BucketError::Unavailable(format!("{}: the folder keeps vanishing", folder.display())))
}

/// Makes a folder and those above it, each durable in its parent.
fn make_folder(root: &Path, folder: &Path) -> Result<(), BucketError> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root);
    make_folder(root, parent)?;
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent).map_err(|e| io(parent, &e)),
        // Another made it, or the parent vanished again: the rename tells.
        Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => Ok(()),
        Err(e) => Err(io(folder, &e)),
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    match File::open(folder) {
        Ok(open) => open.sync_all(),
        // Emptied and removed by a delete of the object just written: nothing is left to make durable.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn get(root: &Path, key: &str, from: u64, len: u64) -> Result<Bytes, BucketError> {
    let missing = || BucketError::NotFound(key.to_owned());
    let path = file_of(root, key).ok_or_else(missing)?;
    let mut file = File::open(&path).map_err(|e| match e.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => missing(),
        _ => io(&path, &e),
    })?;
    let meta = file.metadata().map_err(|e| io(&path, &e))?;
    if !meta.is_file() {
        return Err(missing());
    }
    // As with an object store's ranges, what lies behind the end is left out.
    let len = len.min(meta.len().saturating_sub(from));
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.seek(SeekFrom::Start(from)).map_err(|e| io(&path, &e))?;
    file.take(len).read_to_end(&mut bytes).map_err(|e| io(&path, &e))?;
    Ok(bytes.into())
}

fn delete(root: &Path, key: &str) -> Result<(), BucketError> {
    let Some(path) = file_of(root, key) else { return Ok(()) };
    match fs::remove_file(&path) {
        Ok(()) => {}
        // No object has the name of a folder.
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
            ) =>
        {
            return Ok(());
        }
        Err(e) => return Err(io(&path, &e)),
    }
    // Folders that became empty go too, else one stays behind for every snapshot that ever was. `remove_dir` refuses
    // a folder that is not empty, which ends the climb.
    let mut folder = path.parent();
    while let Some(at) = folder {
        if at == root || fs::remove_dir(at).is_err() {
            break;
        }
        folder = at.parent();
    }
    Ok(())
}

/// Collects keys in order of their bytes: a folder sorts as its name with the slash behind it.
fn walk(
    root: &Path,
    at: &mut String,
    prefix: &str,
    after: &str,
    limit: usize,
    found: &mut Vec<(String, u64, u64)>,
) -> Result<(), BucketError> {
    let folder = root.join(at.as_str());
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        // Emptied and removed meanwhile.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(&folder, &e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| io(&folder, &e))?;
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(|e| io(&folder, &e))?.is_dir() {
            name.push('/');
        }
        let key = format!("{at}{name}");
        let may_hold = if name.ends_with('/') {
            // A folder below the prefix, or on the way to it; and its last key may sort after `after`.
            (key.starts_with(prefix) || prefix.starts_with(&key))
                && (key.as_str() > after || after.starts_with(&key))
        } else {
            key.starts_with(prefix) && key.as_str() > after
        };
        if may_hold {
            names.push(name);
        }
    }
    names.sort_unstable();
    for name in names {
        if found.len() >= limit {
            return Ok(());
        }
        let before = at.len();
        at.push_str(&name);
        if name.ends_with('/') {
            walk(root, at, prefix, after, limit, found)?;
        } else if let Ok(meta) = fs::metadata(root.join(at.as_str())) {
            let age = meta.modified().ok().and_then(|m| m.elapsed().ok()).unwrap_or_default();
            found.push((at.clone(), u64::try_from(age.as_millis()).unwrap_or(u64::MAX), meta.len()));
        }
        at.truncate(before);
    }
    Ok(())
}
