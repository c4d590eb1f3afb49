//! What the file of a part is called. Pure.
//!
//! Invariant: a name follows from the delivery and the part alone, so that a part that is sent again replaces itself; it
//! never leads out of its folder.

use model::{Promise, Snapshot, Timestamp};

/// The name of a file if nothing else was asked for.
const TEMPLATE: &str = "{[snapshot_id]}";
/// Bytes of a name with its folders: what every object store takes (Amazon's bound is 1,024).
const NAME_BYTES: usize = 900;
/// Bytes between two slashes: what file systems take, less the end that a file has while it is written.
const SEGMENT_BYTES: usize = 240;

/// The words that a template may name.
struct Words<'a> {
    snapshot: &'a str,
    dataset: &'a str,
    promised_at: Timestamp,
    part: u64,
}

impl Words<'_> {
    fn fill(&self, template: &str) -> String {
        // A dataset's id is its scraper's own word and could have slashes in it.
        let dataset: String = self
            .dataset
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
            .collect();
        template
            .replace("{[snapshot_id]}", self.snapshot)
            .replace("{[datetime]}", &self.promised_at.to_string())
            .replace("{[dataset_id]}", &dataset)
            .replace("{[part]}", &self.part.to_string())
    }
}

/// The name of a part's file (api.md 15.8), with its extension, and its number where there are several.
/// `promised_at`: when the delivery was; the same over its attempts.
pub(crate) fn of_part(promise: &Promise, snapshot: &Snapshot, part: u64, promised_at: Timestamp) -> String {
    let template = promise.file_template.as_deref().unwrap_or(TEMPLATE);
    let words = words(snapshot, part, promised_at);
    let mut name = words.fill(template);
    if promise.batch_size.is_some() && !template.contains("{[part]}") {
        name.push('.');
        name.push_str(&words.part.to_string());
    }
    name.push('.');
    name.push_str(promise.format.as_str());
    if promise.compress {
        name.push_str(".gz");
    }
    name
}

/// The name of the file of pages that follow the rows: `what` tells which, `end` is its extension.
pub(crate) fn of_pages(
    promise: &Promise,
    snapshot: &Snapshot,
    part: u64,
    promised_at: Timestamp,
    (what, end): (&str, &str),
) -> String {
    let template = promise.file_template.as_deref().unwrap_or(TEMPLATE);
    format!("{}.{what}.{end}", words(snapshot, part, promised_at).fill(template))
}

fn words(snapshot: &Snapshot, part: u64, promised_at: Timestamp) -> Words<'_> {
    Words {
        snapshot: snapshot.id.as_str(),
        dataset: &snapshot.trigger.dataset_id.0,
        promised_at,
        part: part.saturating_add(1),
    }
}

/// What is wrong with a template or a folder, as the end of a sentence that names the field. `absolute`: it may begin
/// with a slash.
pub(crate) fn fault(path: &str, absolute: bool) -> Option<&'static str> {
    let path = if absolute { path.strip_prefix('/').unwrap_or(path) } else { path };
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Some("must not have control characters or backslashes");
    }
    // As long as it can become.
    let words = Words {
        snapshot: "sd_aaaaaaaaaaaaaaaaaaaaaaaa",
        dataset: &"a".repeat(64),
        promised_at: Timestamp::from_ms(0),
        part: u64::MAX - 1,
    };
    let longest = words.fill(path);
    if longest.len() > NAME_BYTES / 2 || longest.split('/').any(|segment| segment.len() > SEGMENT_BYTES) {
        return Some("must not become longer than 450 bytes, nor than 240 between two slashes");
    }
    let climbs = |segment: &str| segment.is_empty() || segment.trim() == "." || segment.trim() == "..";
    path.split('/').any(climbs).then_some("must not have empty parts, `.` or `..` between slashes")
}

/// Folder and name, joined. The folder's own slash at its beginning stays.
pub(crate) fn join(directory: Option<&str>, name: &str) -> String {
    match directory {
        None | Some("") => name.to_owned(),
        Some("/") => format!("/{name}"),
        Some(directory) => format!("{}/{name}", directory.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_and_lead_nowhere_else() {
        let words =
            Words { snapshot: "sd_1", dataset: "../a/b", promised_at: Timestamp::from_ms(0), part: 3 };
        assert_eq!(
            words.fill("x/{[dataset_id]}/{[snapshot_id]}-{[datetime]}.{[part]}"),
            "x/.._a_b/sd_1-1970-01-01T00:00:00.000Z.3"
        );
    }

    #[test]
    fn what_leads_out_is_refused() {
        for good in ["a", "a/b.c", "{[snapshot_id]}", "ä b/{[part]}", "..a", "a..b/c"] {
            assert_eq!(fault(good, false), None, "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/.. /b", "a\\b", "a\nb", "a\0b"] {
            assert!(fault(bad, false).is_some(), "{bad:?}");
        }
        assert_eq!(fault("/in/box", true), None);
        assert!(fault("//in", true).is_some());
        assert!(fault(&"a".repeat(241), false).is_some());
        assert!(fault(&"a/".repeat(300), false).is_some());
        assert!(fault(&"{[snapshot_id]}".repeat(20), false).is_some());
    }

    #[test]
    fn folders_are_joined() {
        assert_eq!(join(None, "a"), "a");
        assert_eq!(join(Some("x/y"), "a"), "x/y/a");
        assert_eq!(join(Some("/"), "a"), "/a");
        assert_eq!(join(Some("/in"), "b/a"), "/in/b/a");
    }
}
