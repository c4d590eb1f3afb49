//! No address off limits is reached, whatever the name, literal or resolver says.

use crate::origin::{Act, Origin, answer, ok};
use crate::{fetch, get, settings};
use async_trait::async_trait;
use fetch::FetchErrorKind::{NoSuchHost, Refused};
use fetch::{FetchError, FetchErrorKind, HttpFetcher, Names, Settings};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Names whose answers change from one question to the next; the last answer stays.
struct Scripted(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl Scripted {
    fn new(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().expect("address")).collect();
        let names = names
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(|list| ips(list)).collect()))
            .collect();
        Arc::new(Self(Mutex::new(names)))
    }
}

#[async_trait]
impl Names for Scripted {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, FetchError> {
        let mut names = self.0.lock().expect("lock");
        let answers =
            names.get_mut(host).ok_or_else(|| FetchError::new(FetchErrorKind::NoSuchHost, "no such host"))?;
        let answer = answers.front().cloned().expect("an answer");
        if answers.len() > 1 {
            answers.pop_front();
        }
        Ok(answer)
    }
}

fn with(settings: Settings, names: &[(&str, &[&[&str]])]) -> HttpFetcher {
    HttpFetcher::with_names(settings, Scripted::new(names)).expect("settings")
}

/// Only that port of loopback is open.
fn only(origin: &Origin) -> Settings {
    Settings { allow_networks: vec![origin.addr.to_string()], idle_per_host: 0, ..settings() }
}

#[tokio::test]
async fn literals_and_localhost_are_refused_unless_allowed() {
    let fetcher = HttpFetcher::new(Settings { allow_networks: Vec::new(), ..settings() }).expect("settings");
    for url in [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://169.254.169.254/",
        "https://10.0.0.1/",
        "http://0/",
        "http://localhost/",
        "http://localhost./",
        "http://x.localhost:8080/",
        "http://user@127.0.0.1/",
    ] {
        let error = fetch(&fetcher, get(url)).await.expect_err(url);
        assert_eq!(error.kind, Refused, "{url}");
        assert_eq!(error.failure().code, model::FailureCode::BadInput);
    }
    assert_eq!(fetcher.stats().errors.iter().map(|(_, n)| n).sum::<u64>(), 12);
}

#[tokio::test]
async fn localhost_is_reached_where_loopback_is_allowed() {
    let origin = Origin::always(ok("local")).await;
    let fetcher = HttpFetcher::new(settings()).expect("settings");
    for host in ["localhost", "LOCALHOST.", "a.localhost"] {
        let url = format!("http://{host}:{}/", origin.addr.port());
        assert_eq!(fetch(&fetcher, get(&url)).await.expect("page").body, &b"local"[..]);
    }
}

#[tokio::test]
async fn a_name_with_one_address_off_limits_is_refused() {
    let origin = Origin::always(ok("x")).await;
    let fetcher = with(only(&origin), &[("mixed.test", &[&["127.0.0.1", "10.0.0.1"]])]);
    let error =
        fetch(&fetcher, get(&format!("http://mixed.test:{}/", origin.addr.port()))).await.expect_err("mixed");
    assert_eq!(error.kind, Refused);
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_gains_nothing() {
    let origin = Origin::always(answer("200 OK", &[("Connection", "close")], "public")).await;
    let secret = Origin::always(ok("secret")).await;
    let names: &[(&str, &[&[&str]])] =
        &[("rebind.test", &[&["127.0.0.1"], &["127.0.0.2"], &["169.254.169.254"]])];
    let fetcher = with(only(&origin), names);
    let url = format!("http://rebind.test:{}/", origin.addr.port());
    assert_eq!(fetch(&fetcher, get(&url)).await.expect("page").body, &b"public"[..]);
    assert_eq!(fetch(&fetcher, get(&url)).await.expect_err("moved").kind, Refused);
    assert_eq!(fetch(&fetcher, get(&url)).await.expect_err("moved").kind, Refused);
    assert_eq!(secret.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_name_is_resolved_and_vetted_like_any_other() {
    let origin =
        Origin::start(|_| vec![Act::Send(answer("302 Found", &[("Location", "http://inside.test/")], ""))])
            .await;
    let fetcher = with(only(&origin), &[("inside.test", &[&["192.168.1.1"]])]);
    assert_eq!(fetch(&fetcher, get(&origin.url("/"))).await.expect_err("inside").kind, Refused);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_is_dead() {
    let origin = Origin::always(ok("alive")).await;
    // Nothing listens on the first two.
    let fetcher = with(settings(), &[("multi.test", &[&["127.0.0.3", "127.0.0.2", "127.0.0.1"]])]);
    let url = format!("http://multi.test:{}/", origin.addr.port());
    assert_eq!(fetch(&fetcher, get(&url)).await.expect("page").body, &b"alive"[..]);
}

#[tokio::test]
async fn an_operator_s_name_wins_and_is_vetted_too() {
    let origin = Origin::always(ok("named")).await;
    let names =
        vec![("shop.test".to_owned(), origin.addr.ip()), ("bad.test".to_owned(), [10, 0, 0, 1].into())];
    let fetcher = HttpFetcher::new(Settings { names, ..settings() }).expect("settings");
    for host in ["shop.test", "SHOP.test."] {
        let url = format!("http://{host}:{}/", origin.addr.port());
        assert_eq!(fetch(&fetcher, get(&url)).await.expect("page").body, &b"named"[..]);
    }
    assert_eq!(fetch(&fetcher, get("http://bad.test/")).await.expect_err("bad").kind, Refused);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_no_trouble_that_passes() {
    let fetcher = with(settings(), &[]);
    let error = fetch(&fetcher, get("http://nobody.test/")).await.expect_err("nobody");
    assert_eq!((error.kind, error.trouble()), (NoSuchHost, None));
}

/// What literals cannot tell: every answer of every question is vetted, also in the middle of a redirect.
#[tokio::test]
async fn no_answer_of_a_name_is_trusted_because_of_an_earlier_one() {
    let secret = Origin::always(ok("secret")).await;
    let port = secret.addr.port();
    let origin = Origin::start(move |seen| {
        let to = format!("http://{}.test:{port}/", seen.path().trim_start_matches('/'));
        vec![Act::Send(answer("302 Found", &[("Location", &to), ("Connection", "close")], ""))]
    })
    .await;
    for (name, answers) in [
        ("loopback", &[&["127.0.0.2"] as &[&str]] as &[&[&str]]),
        ("two", &[&["8.8.8.8", "127.0.0.2"]]),
        ("last", &[&["8.8.8.8", "1.1.1.1", "9.9.9.9", "10.0.0.1"]]),
        ("mapped", &[&["::ffff:127.0.0.1"]]),
        ("compatible", &[&["::127.0.0.1"]]),
        ("nat64", &[&["64:ff9b::7f00:1"]]),
        ("sixtofour", &[&["2002:7f00:1::1"]]),
        ("teredo", &[&["2001:0:7f00:1::"]]),
        ("unspecified", &[&["0.0.0.0"]]),
        ("six", &[&["::1"]]),
        ("metadata", &[&["169.254.169.254"]]),
        ("wire", &[&["168.63.129.16"]]),
        ("local", &[&["fe80::1"]]),
        ("both", &[&["2606:4700:4700::1111", "fd00:ec2::254"]]),
    ] {
        let host = format!("{name}.test");
        let fetcher = with(only(&origin), &[(host.as_str(), answers)]);
        for url in [format!("http://{host}:{port}/"), origin.url(&format!("/{name}"))] {
            let error = fetch(&fetcher, get(&url)).await.expect_err(&url);
            assert_eq!(error.kind, Refused, "{url}");
        }
    }
    assert_eq!(secret.connections(), 0);
}
