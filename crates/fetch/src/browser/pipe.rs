//! The wire to a browser: DevTools messages over two pipes, each JSON text ended by a zero byte.
//!
//! Owns: numbering, matching answers to calls, handing events to the page they belong to, and noticing the end of the
//! process (the pipe ends with it, so nobody waits for a dead browser). Must not know: what the messages mean.
//!
//! Untyped on purpose: a new Chromium cannot break what is not described.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot, watch};

/// Messages on their way to the browser.
const OUT_MAX: usize = 256;
/// Events of a page that it has not looked at. A page that gets so far behind is broken off.
const EVENTS_MAX: usize = 8_192;
/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The browser has gone.
    #[error("the browser has gone")]
    Gone,
    /// It did not answer in time.
    #[error("the browser did not answer `{0}` in time")]
    Late(&'static str),
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

/// Something that happened on a page.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) method: String,
    pub(super) params: Value,
}

/// A wire to one browser process.
pub(super) struct Wire {
    next: AtomicU64,
    out: mpsc::Sender<Vec<u8>>,
    state: Mutex<State>,
    gone: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    calls: HashMap<u64, oneshot::Sender<Result<Value, CallError>>>,
    pages: HashMap<String, mpsc::Sender<Event>>,
    gone: bool,
}

/// Forgets a call whose caller went away.
struct Asked<'w>(&'w Wire, u64);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.lock().calls.remove(&self.1);
    }
}

impl Wire {
    /// Over these two ends; messages longer than `message_max` bytes break it off.
    pub(super) fn new(
        writer: impl AsyncWrite + Unpin + Send + 'static,
        reader: impl AsyncRead + Unpin + Send + 'static,
        message_max: usize,
    ) -> Arc<Self> {
        let (out, queue) = mpsc::channel(OUT_MAX);
        let wire = Arc::new(Self {
            next: AtomicU64::new(1),
            out,
            state: Mutex::default(),
            gone: watch::channel(false).0,
        });
        let (one, two) = (Arc::downgrade(&wire), Arc::downgrade(&wire));
        let mut gone = wire.gone.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = send(writer, queue) => {}
                _ = gone.wait_for(|gone| *gone) => {}
            }
            if let Some(wire) = one.upgrade() {
                wire.break_off();
            }
        });
        tokio::spawn(async move {
            receive(reader, message_max, |message| two.upgrade().is_some_and(|wire| wire.take(message)))
                .await;
            if let Some(wire) = two.upgrade() {
                wire.break_off();
            }
        });
        wire
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and waits for the answer at most so long. `page` is the session of a page; empty for the browser itself.
    pub(super) async fn call(
        &self,
        page: &str,
        method: &'static str,
        params: Value,
        patience: Duration,
    ) -> Result<Value, CallError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.gone {
                return Err(CallError::Gone);
            }
            state.calls.insert(id, sender);
        }
        let _asked = Asked(self, id);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !page.is_empty() {
            message["sessionId"] = page.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let asking = async {
            self.out.send(bytes).await.map_err(|_| CallError::Gone)?;
            answer.await.map_err(|_| CallError::Gone)?
        };
        match tokio::time::timeout(patience, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Late(method)),
        }
    }

    /// From now on the events of that page come here.
    pub(super) fn listen(&self, page: &str) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        let mut state = self.lock();
        if !state.gone {
            state.pages.insert(page.to_owned(), sender);
        }
        receiver
    }

    /// Events of that page are of no interest any more.
    pub(super) fn forget(&self, page: &str) {
        self.lock().pages.remove(page);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// Waits until the browser has gone.
    pub(super) async fn ended(&self) {
        // An error would mean that the wire itself is gone.
        _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// Whoever waits hears that nothing comes any more.
    pub(super) fn break_off(&self) {
        {
            let mut state = self.lock();
            state.gone = true;
            state.calls.clear();
            state.pages.clear();
        }
        self.gone.send_replace(true);
    }

    /// Hands a message to whom it belongs; `false` ends the reading.
    fn take(&self, mut message: Value) -> bool {
        let mut state = self.lock();
        if let Some(id) = message["id"].as_u64() {
            if let Some(caller) = state.calls.remove(&id) {
                let answer = match message["error"]["message"].as_str() {
                    Some(error) => Err(CallError::Refused(error.chars().take(300).collect())),
                    None => Ok(message["result"].take()),
                };
                // A caller that has gone needs no answer.
                _ = caller.send(answer);
            }
        } else if let (Some(page), Some(method)) = (message["sessionId"].as_str(), message["method"].as_str())
            && let Some(sender) = state.pages.get(page)
        {
            let (page, method) = (page.to_owned(), method.to_owned());
            let event = Event { method, params: message["params"].take() };
            if sender.try_send(event).is_err() {
                // Too far behind, or gone: the closed channel tells the page.
                state.pages.remove(&page);
            }
        }
        !state.gone
    }
}

async fn send(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queue.recv().await {
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

/// Reads messages until the end, one that is too long, one that is no JSON, or one that `take` says is the last.
async fn receive(reader: impl AsyncRead + Unpin, message_max: usize, mut take: impl FnMut(Value) -> bool) {
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let mut text = Vec::new();
    loop {
        text.clear();
        // One byte beyond the limit tells a message that is too long from one that just fits.
        let mut bounded = (&mut reader).take(message_max as u64 + 1);
        match bounded.read_until(0, &mut text).await {
            Ok(_) if text.last() == Some(&0) => {
                text.pop();
            }
            _ => return,
        }
        let Ok(message) = serde_json::from_slice(&text) else { return };
        if text.capacity() > 4 * BUFFER {
            text = Vec::new();
        }
        if !take(message) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn scripted() -> (Arc<Wire>, tokio::io::DuplexStream, tokio::io::DuplexStream) {
        let (ours_out, theirs_in) = tokio::io::duplex(1 << 16);
        let (theirs_out, ours_in) = tokio::io::duplex(1 << 16);
        (Wire::new(ours_out, ours_in, 1 << 16), theirs_in, theirs_out)
    }

    /// Waits until a call has been written.
    async fn asked(pipe: &mut tokio::io::DuplexStream) {
        while pipe.read_u8().await.unwrap() != 0 {}
    }

    #[tokio::test]
    async fn answers_find_their_calls_and_events_their_pages() {
        let (wire, mut input, mut out) = scripted();
        let mut events = wire.listen("S");
        let caller = wire.clone();
        let call = tokio::spawn(async move { caller.call("S", "A.b", json!({}), PATIENCE).await });
        asked(&mut input).await;
        out.write_all(b"{\"method\":\"P.e\",\"sessionId\":\"S\",\"params\":{\"x\":1}}\0").await.unwrap();
        assert_eq!(events.recv().await.unwrap().params["x"], 1);
        out.write_all(b"{\"id\":1,\"result\":{\"y\":2}}\0").await.unwrap();
        assert_eq!(call.await.unwrap().unwrap()["y"], 2);
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let (wire, mut input, mut out) = scripted();
        let caller = wire.clone();
        let call = tokio::spawn(async move { caller.call("", "A.b", json!({}), PATIENCE).await });
        asked(&mut input).await;
        out.write_all(b"{\"id\":1,\"error\":{\"message\":\"no\"}}\0").await.unwrap();
        assert_eq!(call.await.unwrap(), Err(CallError::Refused("no".into())));
    }

    #[tokio::test]
    async fn the_end_of_the_pipe_ends_every_wait() {
        for end in [&b""[..], b"no json\0", &[b'x'; 1 << 17]] {
            let (wire, mut input, mut out) = scripted();
            let mut events = wire.listen("S");
            let caller = wire.clone();
            let call = tokio::spawn(async move { caller.call("", "A.b", json!({}), PATIENCE).await });
            asked(&mut input).await;
            // A message that is too long is not read to its end.
            _ = tokio::time::timeout(Duration::from_millis(200), out.write_all(end)).await;
            drop(out);
            assert_eq!(call.await.unwrap(), Err(CallError::Gone));
            assert!(events.recv().await.is_none());
            wire.ended().await;
            assert!(wire.is_gone());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_browser_that_hangs_is_not_waited_for() {
        let (wire, _in, _out) = scripted();
        assert_eq!(wire.call("", "A.b", json!({}), PATIENCE).await, Err(CallError::Late("A.b")));
        assert!(wire.lock().calls.is_empty());
    }
}
