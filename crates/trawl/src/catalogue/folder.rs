//! The operator's folder, looked at again and again: which files changed, which are gone.
//!
//! Must not know: what a scraper file means. Polling rather than the system's notices: it also works on network disks,
//! in containers and for files that were replaced, and costs one `stat` per scraper.
//!
//! Invariant: no change is missed, even one that leaves size and time as they were: a file is read again until its time
//! of change lies far enough back that a later change must show.

use super::FILE_BYTES;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The file of a scraper in its folder.
pub(super) const FILE: &str = "scraper.toml";
/// Folders looked at; what is beyond, in the order of names, is left out and said so.
const FOLDERS: usize = 10_000;
/// Bytes of a folder's name: it becomes a part of keys in the bucket.
const NAME_BYTES: usize = 100;
/// File systems keep times no coarser than this.
const COARSEST: Duration = Duration::from_secs(2);
/// Looks at which a file must have been missing: an editor may write a new one and rename it.
const MISSED: u8 = 2;
/// Under this name stands what is wrong with the folder as a whole; no scraper can have it.
const WHOLE: &str = "*";

/// What a look found out about one scraper.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The text of its file, new or the same.
    Text(String),
    /// It cannot be read.
    Fault(String),
    /// It is not there any more.
    Gone,
}

/// A folder and what was seen of it.
pub(super) struct Watched {
    path: PathBuf,
    seen: BTreeMap<String, Seen>,
    whole_fault: bool,
}

#[derive(Clone, Copy)]
struct Seen {
    changed: Option<SystemTime>,
    bytes: u64,
    /// Time and size are enough to notice a further change.
    settled: bool,
    missed: u8,
}

impl Watched {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), seen: BTreeMap::new(), whole_fault: false }
    }

    /// What may have changed since the last look.
    pub(super) fn look(&mut self) -> Vec<(String, Found)> {
        let mut found = Vec::new();
        let (mut names, mut fault) = (BTreeSet::new(), None);
        match std::fs::read_dir(&self.path) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    // What is no UTF-8 has no name that a caller could say.
                    if let Ok(name) = entry.file_name().into_string() {
                        names.insert(name);
                    }
                    if names.len() > FOLDERS {
                        names.pop_last();
                        fault = Some(format!("more than {FOLDERS} folders: the rest is left out"));
                    }
                }
            }
            Err(error) => {
                self.tell_of_the_whole(
                    Some(format!("the scraper folder cannot be read: {error}")),
                    &mut found,
                );
                return found;
            }
        }
        self.tell_of_the_whole(fault, &mut found);
        for name in &names {
            self.look_at(name, &mut found);
        }
        let gone: Vec<String> = self.seen.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in gone {
            self.miss(&name, &mut found);
        }
        found
    }

    fn tell_of_the_whole(&mut self, fault: Option<String>, found: &mut Vec<(String, Found)>) {
        match fault {
            Some(fault) => {
                self.whole_fault = true;
                found.push((WHOLE.to_owned(), Found::Fault(fault)));
            }
            None if std::mem::take(&mut self.whole_fault) => found.push((WHOLE.to_owned(), Found::Gone)),
            None => {}
        }
    }

    fn look_at(&mut self, name: &str, found: &mut Vec<(String, Found)>) {
        let path = self.path.join(name).join(FILE);
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return self.miss(name, found);
            }
            Err(error) => {
                found.push((name.to_owned(), Found::Fault(format!("{name}/{FILE} cannot be read: {error}"))));
                return;
            }
        };
        let now = Seen::of(&meta);
        let same = |seen: &&Seen| seen.settled && seen.missed == 0 && seen.same(&now);
        if self.seen.get(name).filter(same).is_some() {
            return;
        }
        self.seen.insert(name.to_owned(), now);
        let read = match fitting_name(name) {
            true => read(&path).map_err(|why| format!("{name}/{FILE} {why}")),
            false => Err(format!(
                "a scraper's folder should be named with letters, digits, `_`, `-` and `.`, at most {NAME_BYTES}"
            )),
        };
        found.push((name.to_owned(), read.map_or_else(Found::Fault, Found::Text)));
    }

    fn miss(&mut self, name: &str, found: &mut Vec<(String, Found)>) {
        let Some(seen) = self.seen.get_mut(name) else { return };
        seen.missed += 1;
        if seen.missed >= MISSED {
            self.seen.remove(name);
            found.push((name.to_owned(), Found::Gone));
        }
    }
}

impl Seen {
    fn of(meta: &Metadata) -> Self {
        let changed = meta.modified().ok();
        let age = changed.and_then(|at| SystemTime::now().duration_since(at).ok());
        // A time in the future, or none at all, proves nothing: such a file is read at each look.
        let settled = age.is_some_and(|age| age > COARSEST);
        Self { changed, bytes: meta.len(), settled, missed: 0 }
    }

    fn same(&self, other: &Self) -> bool {
        (self.changed, self.bytes) == (other.changed, other.bytes)
    }
}

fn fitting_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(fits)
}

/// The text, or why there is none. The bound is on what is read: the file may grow meanwhile.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(format!("is larger than {FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &[u8]) -> PathBuf {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(FILE);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn age(path: &Path, secs: u64) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(secs)).unwrap();
    }

    #[test]
    fn an_old_file_is_read_once_and_a_young_one_until_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let (old, young) = (write(root.path(), "old", b"o"), write(root.path(), "young", b"y"));
        age(&old, 60);
        let mut watched = Watched::new(root.path());
        assert_eq!(watched.look().len(), 2);
        assert_eq!(watched.look(), [("young".to_owned(), Found::Text("y".into()))]);
        age(&young, 60);
        assert_eq!(watched.look().len(), 1, "its time has changed");
        assert_eq!(watched.look(), []);
    }

    #[test]
    fn what_cannot_be_a_scraper_is_a_fault_and_what_is_none_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "not_text", b"\xff\xfe");
        write(root.path(), "big", &vec![b' '; (FILE_BYTES + 1) as usize]);
        write(root.path(), "odd name", b"x");
        std::fs::create_dir(root.path().join("empty")).unwrap();
        std::fs::write(root.path().join("README"), "x").unwrap();
        let found = Watched::new(root.path()).look();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["big", "not_text", "odd name"]);
        assert!(found.iter().all(|(_, f)| matches!(f, Found::Fault(_))), "{found:?}");
    }

    #[test]
    fn a_folder_that_is_gone_is_a_fault_of_the_whole_and_takes_nothing_away() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("scrapers");
        write(&inner, "a", b"a");
        let mut watched = Watched::new(&inner);
        watched.look();
        std::fs::rename(&inner, root.path().join("away")).unwrap();
        for _ in 0..5 {
            let found = watched.look();
            assert!(matches!(&found[..], [(name, Found::Fault(_))] if name == WHOLE), "{found:?}");
        }
        std::fs::rename(root.path().join("away"), &inner).unwrap();
        assert!(watched.look().contains(&(WHOLE.to_owned(), Found::Gone)));
    }
}
