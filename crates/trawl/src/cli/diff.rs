//! `trawl diff`: two results beside each other, record by record.

use super::Mistake;
use super::pairs::{Differ, Difference, Match};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of one row.
const ROW_BYTES: u64 = 64 << 20;

#[derive(Args)]
pub(super) struct Diff {
    /// The first result: NDJSON or a JSON array, plain or gzip.
    before: PathBuf,
    /// The second result.
    after: PathBuf,
    /// Records are the same if this field is, such as `sku` or `about.id`; else by their input and place.
    #[arg(long, value_name = "FIELD")]
    key: Option<String>,
    /// One JSON object a line, the counts last.
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) fn run(self) -> Result<()> {
        let by = self.key.clone().map_or(Match::Input, Match::Field);
        let mut differ = Differ::new(by);
        rows(&self.before, &mut |row| {
            differ.before(row);
            Ok(())
        })?;
        rows(&self.after, &mut |row| match differ.after(row) {
            Some(difference) => self.show(&difference),
            None => Ok(()),
        })?;
        let (removed, counts) = differ.finish();
        for difference in &removed {
            self.show(difference)?;
        }
        let text = match self.json {
            true => serde_json::to_string(&counts)?,
            false => format!(
                "{} added, {} changed, {} unchanged, {} removed",
                counts.added, counts.changed, counts.unchanged, counts.removed
            ),
        };
        super::print(&format!("{text}\n"))
    }

    fn show(&self, difference: &Difference) -> Result<()> {
        if self.json {
            return super::print(&format!("{}\n", serde_json::to_string(difference)?));
        }
        super::print(&match difference {
            Difference::Added { record } => format!("+ {}\n", short(&Value::Object(record.clone()))),
            Difference::Removed { record } => format!("- {}\n", short(&Value::Object(record.clone()))),
            Difference::Changed { of, number, fields } => {
                let mut out = format!("~ {}", short(of));
                if *number > 0 {
                    out.push_str(&format!(" (record {number})"));
                }
                out.push('\n');
                for field in fields {
                    let side =
                        |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), short);
                    let (before, after) = (side(&field.before), side(&field.after));
                    out.push_str(&format!("    {}: {before} → {after}\n", field.path));
                }
                out
            }
        })
    }
}

fn short(value: &Value) -> String {
    const CHARS: usize = 200;
    let text = value.to_string();
    match text.char_indices().nth(CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The rows of a file, one after the other: NDJSON, or one JSON array.
fn rows(path: &Path, take: &mut dyn FnMut(Map<String, Value>) -> Result<()>) -> Result<()> {
    let name = path.display();
    let file = File::open(path).map_err(|e| Mistake(format!("{name}: {e}")))?;
    let mut file = BufReader::new(file);
    let is_gzip = file.fill_buf().with_context(|| name.to_string())?.starts_with(b"\x1f\x8b");
    let mut input: Box<dyn BufRead> = match is_gzip {
        true => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
        false => Box::new(file),
    };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        input.by_ref().take(ROW_BYTES).read_until(b'\n', &mut line).with_context(|| name.to_string())?;
        if line.is_empty() {
            return Ok(());
        }
        // The API writes an array with a row on each line.
        let text = line.trim_ascii();
        let text = if number == 1 { text.strip_prefix(b"[").unwrap_or(text) } else { text };
        let whole = |text: &[u8]| serde_json::from_slice::<Map<String, Value>>(text).ok();
        let trimmed =
            text.strip_suffix(b",").or_else(|| text.strip_suffix(b"]")).unwrap_or(text).trim_ascii();
        if trimmed.is_empty() || trimmed == b"]" {
            continue;
        }
        match whole(text).or_else(|| whole(trimmed)) {
            Some(row) => take(row)?,
            None if number == 1 => {
                // An array of another layout: at once.
                let mut all = line.clone();
                input.read_to_end(&mut all).with_context(|| name.to_string())?;
                let rows: Vec<Map<String, Value>> = serde_json::from_slice(&all).map_err(|e| {
                    Mistake(format!("{name}: neither rows of JSON nor an array of them: {e}"))
                })?;
                return rows.into_iter().try_for_each(take);
            }
            None => bail!(Mistake(format!("{name}:{number}: not a JSON object"))),
        }
    }
    Ok(())
}
