//! `trawl demo`: the whole path on this machine, shown as it happens.

use super::Options;
use super::http::Caller;
use super::run::Folder;
use crate::api;
use crate::app::App;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use site::{Receiver, Site, SiteOptions};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Products of the demo's shop, and the category that is discovered: 40 categories share them.
const PRODUCTS: u64 = 4_000;
const CATEGORY: u64 = 7;

#[derive(Args)]
pub(super) struct Demo {
    /// Leave the server and the shop running, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    options: Options,
}

impl Demo {
    pub(super) async fn run(self) -> Result<()> {
        let shop = Site::start(SiteOptions { pages: PRODUCTS, gzip: true, ..SiteOptions::default() })
            .context("the shop")?;
        let receiver = Receiver::start().context("the webhook's receiver")?;
        let mut config = self.options.load()?;
        let folder = Folder::new()?;
        if self.options.data.is_none() {
            config.data.clone_from(&folder.0);
        }
        if self.options.listen.is_none() {
            "127.0.0.1:0".clone_into(&mut config.listen);
        }
        if config.log == "info" {
            "warn".clone_into(&mut config.log);
        }
        config.keep_to_itself();
        // The shop and the receiver are on loopback, which is off limits unless it is opened.
        config.fetch.allow_networks.push("127.0.0.0/8".into());
        config.deliver.allow_networks.push("127.0.0.0/8".into());
        super::start_log(&config)?;
        let mut app = App::open(config).await?;
        let (token, stored) = api::new_token(&*app.clock, "demo", None, None);
        app.store.add_token(stored).await?;
        app.start_workers();
        let url = app.listen().await?.context("the demo has an address")?;
        let result = self.show(&url, &token, &shop, &receiver).await;
        if result.is_ok() && self.keep {
            println!("\nStill running; Ctrl-C ends it.");
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted?,
                _ = terminate.recv() => {}
            }
        }
        app.stop().await;
        result
    }

    async fn show(&self, url: &str, token: &str, shop: &Site, receiver: &Receiver) -> Result<()> {
        let address =
            url.strip_prefix("http://").context("the demo speaks plain HTTP; leave `tls.cert` empty")?;
        let caller = Caller { address: address.to_owned(), token: token.to_owned() };
        let category = format!("{}/c/{CATEGORY}?page=1", shop.base_url());
        println!("server    {url}");
        println!("shop      {}  ({PRODUCTS} products; category {CATEGORY} is discovered)", shop.base_url());
        println!("webhook   {}\n", receiver.url());
        let trigger = format!(
            "/datasets/v3/trigger?dataset_id=demo_shop&type=discover_new&discover_by=category_url\
             &include_errors=true&endpoint={}&notify=false&format=json",
            encoded(&receiver.url())
        );
        println!("POST {trigger}\n     {}", json!([{ "url": category }]));
        let answer = caller.post(&trigger, &json!([{ "url": category }])).await?;
        let id = answer["snapshot_id"].as_str().context("no snapshot_id")?.to_owned();
        println!("200  {answer}\n");
        let progress = watch(&caller, &id).await?;
        println!("\nready     {progress}");
        let rows = receive(receiver).await?;
        println!("\nThe first rows:");
        for row in rows.iter().take(3) {
            let shown = ["title", "price", "currency", "sku", "rating", "url"]
                .map(|k| (k.to_owned(), row[k].clone()));
            println!("  {}", Value::Object(shown.into_iter().collect()));
        }
        println!("\nGo on with{}:", if self.keep { "" } else { " (run the demo with --keep)" });
        println!("  export TRAWL_API_TOKEN={token}");
        let auth = "-H \"Authorization: Bearer $TRAWL_API_TOKEN\"";
        println!("  curl -s '{url}/datasets/v3/snapshot/{id}?format=csv' {auth}");
        println!(
            "  curl -s '{url}/datasets/v3/scrape?dataset_id=demo_shop' {auth} -d '[{{\"url\":\"{}/p/1\"}}]'",
            shop.base_url()
        );
        println!("  curl -s '{url}/datasets/v3/log/{id}' {auth}");
        println!("  curl -s '{url}/openapi.json'");
        Ok(())
    }
}

/// Shows progress as it happens, by long polls, until the end.
async fn watch(caller: &Caller, id: &str) -> Result<Value> {
    let mut shown = String::new();
    loop {
        let progress = caller.get(&format!("/datasets/v3/progress/{id}?wait=10")).await?;
        let line =
            format!("{} records, {} errors", number(&progress, "records"), number(&progress, "errors"));
        if line != shown {
            println!("progress  {line}");
            shown = line;
        }
        match progress["status"].as_str() {
            Some("ready") => return Ok(progress),
            Some("running") => {}
            _ => bail!("the job ended as {progress}"),
        }
    }
}

fn number(progress: &Value, key: &str) -> u64 {
    progress[key].as_u64().unwrap_or(0)
}

/// The rows that came by the webhook.
async fn receive(receiver: &Receiver) -> Result<Vec<Value>> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let arrived = receiver.wait_for(1, PATIENCE).await;
    let request = arrived.first().context("no webhook came")?;
    println!(
        "webhook   {} rows as {}, {} bytes {}",
        serde_json::from_slice::<Vec<Value>>(&request.body).map_or(0, |rows| rows.len()),
        request.header("content-type").unwrap_or("?"),
        request.wire.len(),
        request.header("content-encoding").unwrap_or("plain"),
    );
    serde_json::from_slice(&request.body).context("the webhook's body is no JSON array")
}

/// A URL as the value of a query parameter.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
