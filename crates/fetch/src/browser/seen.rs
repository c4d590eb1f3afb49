//! What is known of a page, made from the events that it sends: pure, so that odd orders of events can be tested.
//!
//! Owns: the main answer, what is under way, what is loaded. Must not know: sockets, clocks (`now` is an argument).

use super::pipe::Event;
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Requests under way that are counted; a page with more is never quiet.
const REQUESTS_MAX: usize = 10_000;
/// Hosts that are remembered.
const HOSTS_MAX: usize = 32;

/// The answer that the document came with.
#[derive(Clone, Debug)]
pub(super) struct Main {
    pub(super) url: Option<Url>,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// From the request to the head of the answer, if the browser says so.
    pub(super) took: Option<Duration>,
}

/// What is known of a page.
#[derive(Debug)]
pub(super) struct Seen {
    /// The frame of the page itself.
    pub(super) frame: String,
    /// The last address that the page itself was asked from.
    pub(super) asked: Option<Url>,
    pub(super) main: Option<Main>,
    /// Hosts that the page itself was asked from.
    pub(super) hosts: Vec<String>,
    /// The document is read.
    pub(super) is_ready: bool,
    /// And what it embeds.
    pub(super) is_loaded: bool,
    /// Its process has ended.
    pub(super) is_crashed: bool,
    under_way: HashSet<String>,
    /// The last time that a request began or ended.
    last_traffic: Instant,
}

impl Seen {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            frame: String::new(),
            asked: None,
            main: None,
            hosts: Vec::new(),
            is_ready: false,
            is_loaded: false,
            is_crashed: false,
            under_way: HashSet::new(),
            last_traffic: now,
        }
    }

    /// When it will have been quiet for so long, if nothing more comes; `None` while something is under way.
    pub(super) fn quiet_at(&self, quiet: Duration) -> Option<Instant> {
        self.under_way.is_empty().then(|| self.last_traffic + quiet)
    }

    /// Takes note of an event.
    pub(super) fn note(&mut self, event: &Event, now: Instant) {
        let params = &event.params;
        match event.method.as_str() {
            "Network.requestWillBeSent" => {
                let kind = params["type"].as_str().unwrap_or_default();
                if kind == "Document" && self.is_main(params) {
                    self.asked = url(&params["request"]["url"]);
                    let host = self.asked.as_ref().and_then(|url| url.host_str());
                    if let Some(host) = host.filter(|host| !self.hosts.iter().any(|known| known == host))
                        && self.hosts.len() < HOSTS_MAX
                    {
                        self.hosts.push(host.to_owned());
                    }
                }
                // These stay open for as long as the page lives.
                if !matches!(kind, "EventSource" | "WebSocket" | "Ping")
                    && self.under_way.len() < REQUESTS_MAX
                    && let Some(id) = params["requestId"].as_str()
                {
                    self.under_way.insert(id.to_owned());
                    self.last_traffic = now;
                }
            }
            "Network.loadingFinished" | "Network.loadingFailed" => {
                let id = params["requestId"].as_str().unwrap_or_default();
                if self.under_way.remove(id) {
                    self.last_traffic = now;
                }
            }
            "Network.responseReceived"
                if params["type"].as_str() == Some("Document") && self.is_main(params) =>
            {
                self.main = Some(main(&params["response"]));
            }
            "Page.lifecycleEvent" if self.is_main(params) => match params["name"].as_str() {
                // A new document: what was said of the one before holds no longer.
                Some("init") => (self.is_ready, self.is_loaded) = (false, false),
                Some("DOMContentLoaded") => self.is_ready = true,
                Some("load") => (self.is_ready, self.is_loaded) = (true, true),
                _ => {}
            },
            "Inspector.targetCrashed" => self.is_crashed = true,
            _ => {}
        }
    }

    fn is_main(&self, params: &Value) -> bool {
        params["frameId"].as_str() == Some(self.frame.as_str())
    }
}

fn url(value: &Value) -> Option<Url> {
    Url::parse(value.as_str()?).ok()
}

fn main(response: &Value) -> Main {
    let lines = response["headers"].as_object();
    let timing = |name: &str| response["timing"][name].as_f64().filter(|ms| (0.0..1e9).contains(ms));
    let took = timing("receiveHeadersEnd").zip(timing("sendStart")).map(|(end, start)| end - start);
    Main {
        took: took.filter(|ms| *ms >= 0.0).map(|ms| Duration::from_secs_f64(ms / 1_000.0)),
        url: url(&response["url"]),
        status: response["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        headers: lines
            .into_iter()
            .flatten()
            .flat_map(|(name, value)| {
                // Lines of one name come as one value with line breaks.
                let name = name.to_ascii_lowercase();
                let values = value.as_str().unwrap_or_default().split('\n').map(str::to_owned);
                values.map(move |value| (name.clone(), value)).collect::<Vec<_>>()
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(events: &[(&str, Value)]) -> Seen {
        let mut seen = Seen::new(Instant::now());
        seen.frame = "F".into();
        for (method, params) in events {
            seen.note(&Event { method: (*method).into(), params: params.clone() }, Instant::now());
        }
        seen
    }

    #[tokio::test]
    async fn a_page_is_quiet_when_nothing_is_under_way() {
        let sent = ("Network.requestWillBeSent", json!({"requestId": "1", "type": "XHR"}));
        let done = ("Network.loadingFinished", json!({"requestId": "1"}));
        let quiet = Duration::from_millis(500);
        assert!(seen(std::slice::from_ref(&sent)).quiet_at(quiet).is_none());
        assert!(seen(&[sent, done]).quiet_at(quiet).is_some());
        let stream = ("Network.requestWillBeSent", json!({"requestId": "2", "type": "EventSource"}));
        assert!(seen(std::slice::from_ref(&stream)).quiet_at(quiet).is_some());
    }

    #[tokio::test]
    async fn the_main_answer_is_that_of_the_page_and_not_of_a_frame() {
        let answer = |frame: &str, status: u16| {
            let response = json!({"url": "http://a/", "status": status, "headers": {"Set-Cookie": "a\nb"}});
            ("Network.responseReceived", json!({"type": "Document", "frameId": frame, "response": response}))
        };
        let seen = seen(&[answer("F", 200), answer("G", 404)]);
        let main = seen.main.unwrap();
        assert_eq!(main.status, 200);
        let lines = [("set-cookie", "a"), ("set-cookie", "b")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(main.headers, lines);
    }

    #[tokio::test]
    async fn a_new_document_is_not_loaded_yet() {
        let life = |name: &str| ("Page.lifecycleEvent", json!({"frameId": "F", "name": name}));
        assert!(seen(&[life("init"), life("load")]).is_loaded);
        assert!(!seen(&[life("load"), life("init")]).is_loaded);
        assert!(!seen(&[("Page.lifecycleEvent", json!({"frameId": "G", "name": "load"}))]).is_loaded);
    }
}
