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
    let mut app = App::open(config).await?;
    if !guarded && app.store.tokens().await?.is_empty() {
        let (secret, token) = api::new_token(&*app.clock, "first", None, None);
        app.store.add_token(token).await?;
        eprintln!("made a first token, shown only now: {secret}");
    }
    app.start_workers();
    let url = app.listen().await?;
    eprintln!("listening on {url}");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: slices are handed back");
    app.stop().await;
    Ok(())
}
