//! News between nodes: what a transaction changed, as short texts that the server passes on when it commits, and the one
//! connection of this process that listens for them.
//!
//! A text begins with the tag of the process that wrote it, which has told its own subscribers already. After a gap
//! (the connection was lost) everything that may have changed meanwhile is told anew.

use super::connect::Address;
use crate::{Change, Result, StoreError};
use futures_util::StreamExt;
use model::{DeliveryId, SnapshotId, SnapshotState};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio_postgres::{AsyncMessage, Client};

/// Where news are told.
pub(super) const CHANNEL: &str = "trawl";
/// Bytes of one text at most: the server takes fewer than 8,000.
const TEXT_BYTES: usize = 4_000;
/// Before listening is tried again: doubled each time, up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Ended runs and deliveries told anew after a gap, the newest: those that live are all told.
const AFTER_GAP: &str = "SELECT id, state FROM snapshot WHERE finished_at IS NULL
    UNION ALL (SELECT id, state FROM snapshot WHERE finished_at IS NOT NULL AND state <> 'expired'
               ORDER BY finished_at DESC LIMIT 1000)";
const DELIVERIES_AFTER_GAP: &str = "SELECT id FROM delivery ORDER BY k DESC LIMIT 1000";

/// The texts of some changes.
pub(super) fn write(changes: &[Change], tag: &str) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for change in changes {
        let word = match change {
            Change::Work => "W".to_owned(),
            Change::Snapshot(id) => format!("S{}", id.as_str()),
            Change::Stopping(id) => format!("X{}", id.as_str()),
            Change::Delivery(id) => format!("D{}", id.as_str()),
        };
        match texts.last_mut() {
            Some(text) if text.len() + word.len() < TEXT_BYTES => {
                text.push(' ');
                text.push_str(&word);
            }
            _ => texts.push(format!("{tag} {word}")),
        }
    }
    texts
}

/// The changes of a text of another process. Words that this version does not know are passed over.
pub(super) fn read(text: &str, own_tag: &str) -> Vec<Change> {
    let mut words = text.split(' ');
    if words.next() == Some(own_tag) {
        return Vec::new();
    }
    let change = |word: &str| match word.split_at_checked(1)? {
        ("W", "") => Some(Change::Work),
        ("S", id) => SnapshotId::parse(id).map(Change::Snapshot),
        ("X", id) => SnapshotId::parse(id).map(Change::Stopping),
        ("D", id) => DeliveryId::parse(id).map(Change::Delivery),
        _ => None,
    };
    words.filter_map(change).collect()
}

/// Listens until it is aborted. Says through `ready` how the first try went.
pub(super) async fn listen(
    address: Address,
    tag: String,
    news: broadcast::Sender<Change>,
    ready: oneshot::Sender<Result<()>>,
) {
    let mut ready = Some(ready);
    let mut pause = PAUSE.0;
    loop {
        match hear(&address, &tag, &news, &mut ready).await {
            Ok(()) => pause = PAUSE.0,
            Err(e) => {
                if let Some(ready) = ready.take() {
                    // Whoever opens the store hears of it, and it is not opened.
                    let _ = ready.send(Err(e));
                    return;
                }
                tracing::warn!(error = %e, "news from the database are interrupted");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// One connection's life.
async fn hear(
    address: &Address,
    tag: &str,
    news: &broadcast::Sender<Change>,
    ready: &mut Option<oneshot::Sender<Result<()>>>,
) -> Result<()> {
    let (client, mut messages) = address.listen().await?;
    let start = async {
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        match ready.take() {
            Some(ready) => drop(ready.send(Ok(()))),
            None => tell_anew(&client, news).await?,
        }
        // The connection lives as long as its client.
        std::future::pending::<Result<()>>().await
    };
    let forward = async {
        while let Some(message) = messages.next().await {
            if let AsyncMessage::Notification(told) = message? {
                for change in read(told.payload(), tag) {
                    // No subscriber is no trouble.
                    let _ = news.send(change);
                }
            }
        }
        Err(StoreError::Unavailable("the connection was closed".into()))
    };
    tokio::select! {
        failed = start => failed,
        ended = forward => ended,
    }
}

/// Tells whatever may have changed while nobody listened.
async fn tell_anew(client: &Client, news: &broadcast::Sender<Change>) -> Result<()> {
    for row in client.query(AFTER_GAP, &[]).await? {
        let Some(id) = SnapshotId::parse(&super::sql::get::<String>(&row, 0)?) else { continue };
        let state = SnapshotState::parse(&super::sql::get::<String>(&row, 1)?);
        if state.is_some_and(|state| state.is_stopping() || state.is_terminal()) {
            let _ = news.send(Change::Stopping(id.clone()));
        }
        let _ = news.send(Change::Snapshot(id));
    }
    for row in client.query(DELIVERIES_AFTER_GAP, &[]).await? {
        if let Some(id) = DeliveryId::parse(&super::sql::get::<String>(&row, 0)?) {
            let _ = news.send(Change::Delivery(id));
        }
    }
    let _ = news.send(Change::Work);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn what_is_written_is_read_by_others_only() {
        let id = |n| SnapshotId::new(Timestamp::from_ms(n), 7);
        let mut changes = vec![Change::Work, Change::Stopping(id(1))];
        changes.push(Change::Delivery(DeliveryId::new(Timestamp::from_ms(3), 1)));
        changes.extend((0..1_000).map(|n| Change::Snapshot(id(n))));
        let texts = write(&changes, "me");
        assert!(texts.len() > 1 && texts.iter().all(|text| text.len() < 8_000));
        let read_by = |tag: &str| texts.iter().flat_map(|text| read(text, tag)).collect::<Vec<_>>();
        assert_eq!(read_by("other"), changes);
        assert_eq!(read_by("me"), []);
    }

    #[test]
    fn strange_texts_say_nothing() {
        for text in ["", "x", "x ", "x Z1", "x S", "x Sé", "x é", "x  W2"] {
            assert_eq!(read(text, "me"), [], "{text}");
        }
    }
}
