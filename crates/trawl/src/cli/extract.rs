//! `trawl extract`: the pure half, on saved pages: the fastest loop for a scraper's author.

use super::{Mistake, Options};
use crate::catalogue::{BUILTIN, faults_text};
use crate::clock::{Clock, SystemClock};
use ::extract::Scraper;
use anyhow::{Result, bail};
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
    #[command(flatten)]
    options: Options,
}

impl Extract {
    pub(super) fn run(self) -> Result<()> {
        let scraper = self.scraper()?;
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
            };
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

    fn scraper(&self) -> Result<Arc<Scraper>> {
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
            ((*name).to_owned(), (*text).to_owned())
        } else {
            bail!(Mistake(format!("there is no scraper `{}`", self.scraper)));
        };
        Scraper::compile(&self.scraper, &text).map_err(|errors| Mistake(faults_text(&shown, &errors)).into())
    }
}
