//! The command line (design section 6): other people's scripts use these words.
//!
//! Exit codes: 0 done, 1 the work failed, 2 the operator erred (settings, arguments).

mod check;
mod demo;
mod diff;
mod extract;
mod http;
mod pairs;
mod run;
mod serve;
mod token;

use crate::config::{Config, Layers, LogFormat};
use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Trawl: a self-hosted Web Scraper API server.
#[derive(Parser)]
#[command(version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Settings as flags; every other one by `--set`.
#[derive(Args, Clone, Debug, Default)]
struct Options {
    /// Settings file (TOML).
    #[arg(long, global = true, env = "TRAWL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port of the API.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Folder for the database and the rows.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of your own scrapers.
    #[arg(long, global = true, value_name = "DIR")]
    scrapers: Option<PathBuf>,
    /// Any other setting, such as `--set fetch.host_delay_ms=500`.
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the API and the workers, in one process or as a node of a cluster.
    Serve {
        #[command(flatten)]
        options: Options,
        /// What this process does: the setting `role`.
        #[arg(long, value_name = "all|api|worker")]
        role: Option<String>,
    },
    /// One job without a server: a progress bar on the terminal, rows on standard output.
    Run(run::Run),
    /// Compile scraper files and run their cases, showing the difference.
    Check(check::Check),
    /// Read saved pages with a scraper: one JSON object a line.
    Extract(extract::Extract),
    /// Show what differs between two results, record by record.
    Diff(diff::Diff),
    /// Print the effective settings and where each comes from.
    Config {
        #[command(flatten)]
        options: Options,
    },
    /// Make, list and revoke API tokens.
    Token(token::Token),
    /// Bring the database to this version's form, then end. `serve` does it by itself.
    Migrate {
        #[command(flatten)]
        options: Options,
    },
    /// Show the whole path on this machine: a server, a small web shop, a discovery job, a webhook.
    Demo(demo::Demo),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("trawl: no runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve { mut options, role } => {
                options.set.extend(role.map(|role| format!("role={role}")));
                serve::serve(options.load()?).await
            }
            Command::Run(run) => run.run().await,
            Command::Check(check) => check.run(),
            Command::Extract(extract) => extract.run(),
            Command::Diff(diff) => diff.run(),
            Command::Config { options } => options.show(),
            Command::Token(token) => token.run().await,
            Command::Migrate { options } => migrate(&options.load()?).await,
            Command::Demo(demo) => demo.run().await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trawl: {error:#}");
            ExitCode::from(if error.is::<Mistake>() { 2 } else { 1 })
        }
    }
}

/// The operator erred.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Mistake(String);

impl Options {
    fn layers(&self) -> Result<Layers> {
        let mut layers = Layers::defaults();
        if let Some(path) = &self.config {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|e| Mistake(format!("the settings file `{name}`: {e}")))?;
            layers.file(&name, &text);
        }
        let words =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        layers.environment(words);
        if let Some(listen) = &self.listen {
            layers.flag("listen", listen);
        }
        for (name, path) in [("data", &self.data), ("scrapers", &self.scrapers)] {
            if let Some(path) = path {
                layers.flag(name, &path.to_string_lossy());
            }
        }
        for word in &self.set {
            let Some((name, value)) = word.split_once('=') else {
                bail!(Mistake(format!("--set {word}: should be NAME=VALUE")))
            };
            layers.flag(name.trim(), value);
        }
        Ok(layers)
    }

    fn load(&self) -> Result<Config> {
        Ok(self
            .layers()?
            .build()
            .map_err(|faults| Mistake(format!("the settings are wrong:\n  {}", faults.join("\n  "))))?)
    }

    fn show(&self) -> Result<()> {
        let layers = self.layers()?;
        layers
            .build()
            .map_err(|faults| Mistake(format!("the settings are wrong:\n  {}", faults.join("\n  "))))?;
        print(&layers.show())
    }
}

async fn migrate(config: &Config) -> Result<()> {
    std::fs::create_dir_all(&config.data)?;
    let (before, after) = crate::app::migrate(config).await?;
    match before {
        n if n == after => eprintln!("the database has schema version {after} already"),
        0 => eprintln!("the database was made, with schema version {after}"),
        n => eprintln!("the database was brought from schema version {n} to {after}"),
    }
    Ok(())
}

/// Writes to standard output; a closed pipe ends quietly.
fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Log lines on standard error.
fn start_log(config: &Config) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)
        .map_err(|e| Mistake(format!("`log`: `{}` is no filter: {e}", config.log)))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
