//! `trawl run`: one job in the terminal, by the same engine as the server, on a folder that is gone afterwards.

use super::{Mistake, Options};
use crate::app::App;
use crate::config::Config;
use crate::rows::{Range, Rows};
use ::extract::Scraper;
use anyhow::{Context, Result, bail};
use clap::Args;
use fetch::{Fetcher, ReplayFetcher};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use model::{
    DatasetId, Door, Format, Input, Origin, Snapshot, SnapshotId, SnapshotState, Timestamp, Trigger, slices,
};
use serde_json::{Map, Value};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Commit, Committed, NewSnapshot};

/// Inputs added to the store in one step.
const BATCH: usize = 4_096;

#[derive(Args)]
pub(super) struct Run {
    /// Name or dataset id.
    scraper: String,
    /// URLs, or JSON objects for other fields.
    inputs: Vec<String>,
    /// File of inputs: JSON array, NDJSON, CSV with a header line, or a URL a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Discover by this method instead of collecting the inputs themselves.
    #[arg(long, value_name = "METHOD")]
    discover_by: Option<String>,
    /// json, ndjson, jsonl, csv, parquet or xlsx.
    #[arg(long, default_value = "ndjson")]
    format: String,
    /// Write the rows there instead of to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Read the pages of a WARC file (anybody's, plain or gzip) and ask no site; without inputs, every page of it.
    #[arg(long, value_name = "FILE.warc.gz")]
    replay: Option<PathBuf>,
    /// Leave error rows out.
    #[arg(long)]
    no_errors: bool,
    /// Most records for one input.
    #[arg(long, value_name = "N")]
    limit_per_input: Option<u64>,
    /// Most records in all.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    options: Options,
}

impl Run {
    pub(super) async fn run(self) -> Result<()> {
        let Some(format) = Format::parse(&self.format) else {
            let known: Vec<&str> = Format::ALL.iter().map(|f| f.as_str()).collect();
            bail!(Mistake(format!("--format {}: should be one of {}", self.format, known.join(", "))));
        };
        if format.is_packed() && self.output.is_none() && std::io::stdout().is_terminal() {
            bail!(Mistake(format!(
                "--format {format} is no text for a terminal: name a file by -o",
                format = self.format
            )));
        }
        let mut config = self.options.load()?;
        if config.log == "info" {
            // The terminal shows progress; only trouble interrupts it.
            "warn".clone_into(&mut config.log);
        }
        super::start_log(&config)?;
        let folder = Folder::new()?;
        config.data.clone_from(&folder.0);
        config.keep_to_itself();
        let pages = match &self.replay {
            Some(path) => Some(replay(path, &folder.0, &config)?),
            None => None,
        };
        let fetcher = pages.clone().map(|pages| Arc::new(pages) as Arc<dyn Fetcher>);
        let mut app = App::open_with(config, fetcher).await?;
        let result = self.job(&mut app, format, pages).await;
        app.stop().await;
        result
    }

    async fn job(&self, app: &mut App, format: Format, pages: Option<ReplayFetcher>) -> Result<()> {
        let Some(scraper) = app.catalogue.find(&self.scraper) else {
            bail!(Mistake(format!("there is no scraper `{}`", self.scraper)));
        };
        let door = self.discover_by.clone().map_or(Door::Collect, Door::Discover);
        if !scraper.has_door(&door) {
            let known = scraper.discover_methods().join(", ");
            bail!(Mistake(format!(
                "`{}` has no door `{}`; it discovers by: {known}",
                scraper.name(),
                door.name()
            )));
        }
        let id = SnapshotId::new(app.clock.now(), app.clock.random());
        self.trigger(app, &scraper, door, &id, pages.as_ref()).await?;
        app.start_workers();
        let mut out: Box<dyn Write + Send> = match &self.output {
            Some(path) => Box::new(std::fs::File::create(path).with_context(|| path.display().to_string())?),
            None => Box::new(std::io::stdout()),
        };
        let snapshot =
            follow(app, &id, matches!(format, Format::Ndjson | Format::Jsonl), &scraper, &mut out).await?;
        if !matches!(format, Format::Ndjson | Format::Jsonl) {
            write_rows(&app.rows, &snapshot, &scraper, format, Range::ALL, &mut out).await?;
        }
        out.flush()?;
        let counts = snapshot.counts;
        eprintln!("{} inputs, {} records, {} errors", counts.inputs, counts.records, counts.errors);
        match snapshot.state {
            SnapshotState::Failed => bail!(snapshot.message.unwrap_or_else(|| "the job failed".into())),
            SnapshotState::Canceled => bail!("cancelled"),
            _ => Ok(()),
        }
    }

    async fn trigger(
        &self,
        app: &App,
        scraper: &Arc<Scraper>,
        door: Door,
        id: &SnapshotId,
        pages: Option<&ReplayFetcher>,
    ) -> Result<()> {
        let now = app.clock.now();
        let trigger = Trigger {
            dataset_id: DatasetId(self.scraper.clone()),
            scraper: scraper.name().to_owned(),
            scraper_version: scraper.version().to_owned(),
            door: door.clone(),
            include_errors: !self.no_errors,
            custom_output_fields: None,
            custom_input_fields: Vec::new(),
            limit_per_input: self.limit_per_input,
            limit_multiple_results: self.limit,
            deadline: None,
            discover_only: false,
            force_deliver: false,
            promises: Vec::new(),
            notice: None,
            quarantine: false,
            express: false,
            wishes: model::Wishes::default(),
            origin: Origin { kind: "CLI".into(), ..Origin::default() },
        };
        app.catalogue.pin(scraper).await?;
        app.store.begin(NewSnapshot { id: id.clone(), trigger: trigger.clone(), now }).await?;
        let per_root = self.limit_per_input.is_some();
        let mut batch: Vec<(Timestamp, Input)> = Vec::new();
        let (rows, of_file) = self.rows(pages)?;
        let mut not_meant = 0_u64;
        for (at, row) in (0_u64..).zip(rows) {
            let believed = match scraper.believe(&door, &row, &[]) {
                Ok(believed) => believed,
                // Pages of other kinds, or of other sites than the scraper's.
                Err(_) if of_file => {
                    not_meant += 1;
                    continue;
                }
                Err(errors) => {
                    let why: Vec<_> = errors.iter().map(|e| format!("{}: {}", e.field, e.reason)).collect();
                    bail!(Mistake(format!("input {}: {}", at + 1, why.join("; "))));
                }
            };
            batch.push((now, Input::given(at, Value::Object(row).to_string(), believed.host)));
            if batch.len() >= BATCH {
                add(app, id, std::mem::take(&mut batch), per_root).await?;
            }
        }
        add(app, id, batch, per_root).await?;
        if not_meant > 0 {
            eprintln!("trawl: {not_meant} pages of the file are no inputs of `{}`", scraper.name());
        }
        let commit = Commit { id: id.clone(), trigger, deliveries: Vec::new(), idempotency: None, now };
        match app.store.commit(commit).await {
            Ok(Committed::Accepted) => Ok(()),
            Ok(Committed::Repeated(_)) => bail!("no idempotency key was given"),
            Err(store::StoreError::Invalid(why)) => bail!(Mistake(format!("no inputs to collect ({why})"))),
            Err(error) => Err(error.into()),
        }
    }

    /// The inputs, and whether they are simply the pages of the file that is read again.
    fn rows(&self, pages: Option<&ReplayFetcher>) -> Result<(Vec<Map<String, Value>>, bool)> {
        let mut rows = Vec::new();
        if self.inputs.is_empty()
            && self.input.is_none()
            && let Some(pages) = pages
        {
            let rows: Result<_> = pages.starts().iter().map(|url| row_of(url.as_str())).collect();
            return Ok((rows?, true));
        }
        for word in &self.inputs {
            rows.push(row_of(word)?);
        }
        if let Some(path) = &self.input {
            let text = read(path)?;
            rows.extend(rows_of(&text).with_context(|| path.display().to_string())?);
        }
        Ok((rows, false))
    }
}

/// The pages of a WARC file.
fn replay(path: &Path, folder: &Path, config: &Config) -> Result<ReplayFetcher> {
    let name = path.display();
    let fetch = &config.fetch;
    let opened = ReplayFetcher::open(path, folder, fetch.page_bytes_max, fetch.redirects_max);
    let opened = opened.map_err(|e| Mistake(format!("{name}: {e}")))?;
    if let Some(broken) = opened.broken {
        if opened.fetcher.answers() == 0 {
            bail!(Mistake(format!("{name}: {broken}")));
        }
        eprintln!("trawl: {name}: {broken}; the pages before that are read");
    }
    Ok(opened.fetcher)
}

async fn add(app: &App, id: &SnapshotId, batch: Vec<(Timestamp, Input)>, per_root: bool) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let cut = slices(batch, per_root).into_iter().map(|(_, slice)| slice).collect();
    Ok(app.store.add(id, cut, app.clock.now()).await?)
}

/// A URL, or a JSON object.
fn row_of(word: &str) -> Result<Map<String, Value>> {
    if word.trim_start().starts_with('{') {
        return serde_json::from_str(word)
            .map_err(|e| Mistake(format!("`{word}` is no JSON object: {e}")).into());
    }
    Ok(Map::from_iter([("url".to_owned(), Value::String(word.trim().to_owned()))]))
}

fn rows_of(text: &str) -> Result<Vec<Map<String, Value>>> {
    let start = text.trim_start();
    if start.starts_with('[') {
        return serde_json::from_str(start)
            .map_err(|e| Mistake(format!("no JSON array of objects: {e}")).into());
    }
    let mut lines = text.lines().filter(|l| !l.trim().is_empty()).peekable();
    let first = lines.peek().copied().unwrap_or_default();
    if start.starts_with('{') || first.contains("://") {
        return lines.map(row_of).collect();
    }
    crate::api::csv_rows(text.as_bytes()).map_err(|why| Mistake(why).into())
}

fn read(path: &Path) -> Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|e| Mistake(format!("{}: {e}", path.display())).into())
}

/// Shows progress until the end; with `live`, writes rows as they come. Ctrl-C cancels and keeps what there is.
async fn follow(
    app: &App,
    id: &SnapshotId,
    live: bool,
    scraper: &Scraper,
    out: &mut (dyn Write + Send),
) -> Result<Snapshot> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} inputs, {msg}, {elapsed}") {
        bar.set_style(style);
    }
    let mut changes = app.store.subscribe();
    let mut written = 0;
    loop {
        let snapshot = app.store.snapshot(id).await?;
        bar.set_length(snapshot.counts.inputs);
        bar.set_position(snapshot.counts.settled);
        bar.set_message(format!("{} records, {} errors", snapshot.counts.records, snapshot.counts.errors));
        if live && snapshot.visible_rows() > written {
            let range = Range { first: written, rows: snapshot.visible_rows() - written };
            write_rows(&app.rows, &snapshot, scraper, Format::Ndjson, range, out).await?;
            out.flush()?;
            written = snapshot.visible_rows();
        }
        if snapshot.state.is_terminal() {
            bar.finish_and_clear();
            return Ok(snapshot);
        }
        tokio::select! {
            _ = changes.recv() => tokio::time::sleep(Duration::from_millis(50)).await,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => match app.store.cancel(id, app.clock.now()).await {
                Ok(()) | Err(store::StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

async fn write_rows(
    rows: &Rows,
    snapshot: &Snapshot,
    scraper: &Scraper,
    format: Format,
    range: Range,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let shape = Rows::shape(snapshot, Some(scraper), format, false);
    if let Some(why) = Rows::refusal(snapshot, &shape, range) {
        bail!(why);
    }
    let mut pieces = rows.stream(snapshot, shape, false, range);
    while let Some(piece) = pieces.next().await {
        out.write_all(&piece?)?;
    }
    Ok(())
}

/// A temporary folder, gone when dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        use crate::clock::Clock as _;
        let path = std::env::temp_dir().join(format!("trawl-{:016x}", crate::clock::SystemClock.random()));
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
