//! `trawl serve`: API and workers until told to stop.

use crate::api;
use crate::app::App;
use crate::config::Config;
use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Runs until SIGTERM or SIGINT, then drains.
pub(super) async fn serve(config: Config) -> Result<()> {
    super::start_log(&config)?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let guarded = !config.api_token.0.is_empty();
    let serves = config.role.serves();
    let mut app = App::open(config).await?;
    if serves && !guarded && app.store.tokens().await?.is_empty() {
        let (secret, token) = api::new_token(&*app.clock, "first", None, None);
        app.store.add_token(token).await?;
        eprintln!("made a first token, shown only now: {secret}");
    }
    app.start_workers();
    match app.listen().await? {
        Some(url) => eprintln!("listening on {url}"),
        None => eprintln!("working, without an address of its own"),
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: slices are handed back");
    app.stop().await;
    Ok(())
}
