//! `trawl token`: API tokens, beside a running server or without one.

use super::{Mistake, Options};
use crate::api;
use crate::app::{follow, open_store};
use crate::clock::{Clock, SystemClock};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use model::{Timestamp, duration_ms};

#[derive(Args)]
pub(super) struct Token {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a token and print it: it is not shown again.
    Create {
        /// What you call it.
        #[arg(long, default_value = "")]
        name: String,
        /// Only for these dataset ids or scraper names (comma-separated); for all if absent.
        #[arg(long, value_delimiter = ',')]
        datasets: Option<Vec<String>>,
        /// Not valid after this time: a duration (`30d`, `12h`) or an ISO date.
        #[arg(long)]
        expires: Option<String>,
    },
    /// List tokens; secrets are not stored.
    List,
    /// Revoke a token by id or name, at once.
    Revoke {
        /// Its id or name.
        token: String,
    },
}

impl Token {
    pub(super) async fn run(self) -> Result<()> {
        let config = self.options.load()?;
        std::fs::create_dir_all(&config.data)?;
        let store = open_store(&config).await?;
        let now = follow(&*store).await?.now();
        match self.action {
            Action::Create { name, datasets, expires } => {
                let expires = expires.map(|text| until(&text, now)).transpose()?;
                let (secret, token) = api::new_token(&SystemClock, &name, datasets, expires);
                store.add_token(token).await?;
                super::print(&format!("{secret}\n"))?;
            }
            Action::List => {
                let mut out = String::from("id\tname\tdatasets\tcreated\texpires\trevoked\n");
                for token in store.tokens().await? {
                    let moment =
                        |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
                    let datasets = token.datasets.map_or_else(|| "all".to_owned(), |d| d.join(","));
                    out.push_str(&format!(
                        "{}\t{}\t{datasets}\t{}\t{}\t{}\n",
                        token.id,
                        token.name,
                        token.created_at,
                        moment(token.expires_at),
                        moment(token.revoked_at)
                    ));
                }
                super::print(&out)?;
            }
            Action::Revoke { token } => match store.revoke_token(&token, now).await? {
                0 => bail!("there is no valid token `{token}`"),
                n => eprintln!("revoked {n}"),
            },
        }
        store.close().await;
        Ok(())
    }
}

fn until(text: &str, now: Timestamp) -> Result<Timestamp> {
    let at = duration_ms(text).map(|ms| now.plus_ms(ms)).or_else(|| Timestamp::parse(text));
    match at {
        Some(at) if at > now => Ok(at),
        Some(_) => bail!(Mistake(format!("--expires {text}: is in the past"))),
        None => bail!(Mistake(format!("--expires {text}: should be a duration such as 30d, or an ISO date"))),
    }
}
