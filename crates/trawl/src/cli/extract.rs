//! `trawl extract`: the pure half, on saved pages: the fastest loop for a scraper's author.

use super::{Mistake, Options};
use crate::catalogue::{BUILTIN, faults_text};
use crate::clock::{Clock, SystemClock};
use ::extract::{ExplainError, Scraper};
use anyhow::{Result, anyhow, bail};
use clap::Args;
use model::{Door, Input, Page, host_of};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Args)]
pub(super) struct Extract {
    /// Name of a built-in scraper or of one below `--scrapers`, or the path of a `scraper.toml` or of its folder.
    scraper: String,
    /// Saved pages.
    #[arg(required = true)]
    pages: Vec<PathBuf>,
    /// Address that the page came from.
    #[arg(long, default_value = "https://example.com/")]
    url: url::Url,
    /// Page kind; the start of `collect_by_url` if absent.
    #[arg(long, default_value = "")]
    page_kind: String,
    /// Tell of each field which rule of the file gave its value, from where on the page, and what the rules before it found.
    #[arg(long)]
    explain: bool,
    /// Only this field, such as `price` or `offers[0].price`.
    #[arg(long, requires = "explain", value_name = "NAME")]
    field: Option<String>,
    /// Which record of the page, from 0.
    #[arg(long, requires = "explain", value_name = "N", default_value_t = 0)]
    record: usize,
    /// The explanation as JSON, one object a page.
    #[arg(long, requires = "explain")]
    json: bool,
    #[command(flatten)]
    options: Options,
}

impl Extract {
    pub(super) fn run(self) -> Result<()> {
        let (scraper, file) = self.scraper()?;
        for path in &self.pages {
            let body = std::fs::read(path).map_err(|e| Mistake(format!("{}: {e}", path.display())))?;
            let row = json!({ "url": self.url.as_str() }).to_string();
            let input = Input { kind: self.page_kind.clone(), ..Input::given(0, row, host_of(&self.url)) };
            let wire_bytes = body.len() as u64;
            let page = Page {
                url: self.url.clone(),
                status: 200,
                headers: Vec::new(),
                body: body.into(),
                fetched_at: SystemClock.now(),
                wire_bytes,
                extras: model::Extras::default(),
            };
            if self.explain {
                let explained =
                    scraper.explain(&Door::Collect, &input, &page, self.record, self.field.as_deref());
                let explanation = explained.map_err(|error| match error {
                    ExplainError::Page(_) => anyhow!("{}: {error}", path.display()),
                    _ => Mistake(format!("{}: {error}", path.display())).into(),
                })?;
                let text = if self.json {
                    format!("{}\n", serde_json::to_string(&explanation)?)
                } else {
                    explanation.text(&file)
                };
                super::print(&text)?;
                continue;
            }
            let extraction = scraper.extract(&Door::Collect, &input, &page);
            for warning in &extraction.warnings {
                eprintln!("{}: {warning}", path.display());
            }
            if let Some(problem) = &extraction.problem {
                eprintln!("{}: {}: {}", path.display(), problem.code.as_str(), problem.message);
            }
            for record in extraction.records {
                super::print(&format!("{}\n", serde_json::Value::Object(record)))?;
            }
            for follow in extraction.follow {
                eprintln!("{}: leads to {} ({})", path.display(), follow.url, follow.kind);
            }
        }
        Ok(())
    }

    /// The scraper, and what to call its file.
    fn scraper(&self) -> Result<(Arc<Scraper>, String)> {
        let config = self.options.load()?;
        let own = Path::new(&config.scrapers).join(&self.scraper).join("scraper.toml");
        let builtin = BUILTIN.iter().find(|(name, _)| *name == self.scraper);
        let given = Path::new(&self.scraper);
        let within = given.join("scraper.toml");
        let file = if within.is_file() { within } else { given.to_owned() };
        let (shown, text) = if self.scraper.ends_with(".toml") || file != given {
            let shown = file.display().to_string();
            let text = std::fs::read_to_string(&file).map_err(|e| Mistake(format!("{shown}: {e}")))?;
            (shown, text)
        } else if !config.scrapers.is_empty() && own.exists() {
            (own.display().to_string(), std::fs::read_to_string(&own)?)
        } else if let Some((name, text)) = builtin {
            (format!("scrapers/{name}/scraper.toml"), (*text).to_owned())
        } else {
            bail!(Mistake(format!("there is no scraper `{}`", self.scraper)));
        };
        let scraper = Scraper::compile(&self.scraper, &text).map_err(|e| Mistake(faults_text(&shown, &e)))?;
        Ok((scraper, shown))
    }
}
