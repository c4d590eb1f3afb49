//! Answers that break the protocol, the connection, or the patience of the client. Each ends the connection.

use crate::http::Connection;
use bytes::Bytes;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Time between two bytes of a trickle.
const TRICKLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) enum Trick {
    /// Close without a word.
    Drop,
    /// Reset the connection.
    Reset,
    /// Send this, then nothing more, with the connection open until the client leaves.
    Stall(Bytes),
    /// Send the first bytes at once and the others one by one.
    Trickle(Bytes, Bytes),
    /// Send exactly this and close.
    Send(Bytes),
    /// Send a head, a piece over and over, a tail, and close.
    Repeat { head: Bytes, piece: Bytes, times: u64, tail: Bytes },
}

impl Trick {
    /// Plays it to the end; a client that leaves early ends it too.
    pub(crate) async fn play(self, mut connection: Connection) {
        let stream = &mut connection.stream;
        let played = match self {
            Self::Drop => Ok(()),
            Self::Reset => stream.set_zero_linger(),
            Self::Stall(first) => {
                if stream.write_all(&first).await.is_ok() {
                    connection.until_closed().await;
                }
                return;
            }
            Self::Trickle(first, rest) => {
                let mut sent = stream.write_all(&first).await;
                for byte in rest {
                    if sent.is_err() {
                        break;
                    }
                    tokio::time::sleep(TRICKLE).await;
                    sent = stream.write_all(&[byte]).await;
                }
                sent
            }
            Self::Send(bytes) => stream.write_all(&bytes).await,
            Self::Repeat { head, piece, times, tail } => {
                let mut sent = stream.write_all(&head).await;
                for _ in 0..times {
                    if sent.is_err() {
                        break;
                    }
                    sent = stream.write_all(&piece).await;
                }
                match sent {
                    Ok(()) => stream.write_all(&tail).await,
                    Err(error) => Err(error),
                }
            }
        };
        // An error here is the client leaving, which is its right.
        let _ = played;
    }
}
