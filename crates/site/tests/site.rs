//! The site as its users see it: over a plain socket.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::Value;
use site::{File, Receiver, Reply, Site, SiteOptions, shop};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than anything here takes; only a hang reaches it.
const LONG: Duration = Duration::from_secs(20);
/// How long a silence is listened to before it is believed.
const SILENCE: Duration = Duration::from_millis(300);

fn site() -> Site {
    Site::start(SiteOptions { pages: 100, ..SiteOptions::default() }).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, path: &str, headers: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n").unwrap();
}

/// Everything the site sends until it closes.
fn raw(site: &Site, path: &str) -> Vec<u8> {
    let mut stream = connect(site.addr());
    ask(&mut stream, path, "Connection: close\r\n");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn new(all: &[u8]) -> Self {
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        Self { status: head[9..12].parse().unwrap(), head, body: all[end + 4..].to_vec() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(k, v)| k.eq_ignore_ascii_case(name).then_some(v))
    }

    fn promised(&self) -> usize {
        self.header("content-length").unwrap().parse().unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn get(site: &Site, path: &str) -> Answer {
    Answer::new(&raw(site, path))
}

fn gunzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

#[test]
fn the_shop_is_served() {
    let site = site();
    assert_eq!(get(&site, "/p/7").text(), shop::page(7, 100));
    assert_eq!(get(&site, "/p/7?l=1").status, 200);
    assert_eq!(get(&site, "/c/3?page=1").text(), shop::category(3, 1, 100).unwrap());
    assert_eq!(get(&site, "/").text(), shop::home());
    assert_eq!(get(&site, "/list/5").text(), shop::list(5));
    assert_eq!(get(&site, "/robots.txt").text(), shop::robots("http://shop.example"));
    assert_eq!(get(&site, "/sitemap.xml").text(), shop::sitemap("http://shop.example", 100));
    assert_eq!(get(&site, "/status/418").status, 418);
    for gone in
        ["/p/100", "/p/x", "/c/40", "/c/0?page=9", "/c/0?page=x", "/nothing", "/bad/nothing", "/status/9"]
    {
        assert_eq!(get(&site, gone).status, 404, "{gone}");
    }
}

#[test]
fn pages_built_in_advance_are_the_same_pages() {
    let options = SiteOptions { pages: 7, gzip: true, prebuilt: true, ..SiteOptions::default() };
    let ready = Site::start(options.clone()).unwrap();
    let fresh = Site::start(SiteOptions { prebuilt: false, ..options }).unwrap();
    for site in [&ready, &fresh] {
        for id in 0..7 {
            assert_eq!(get(site, &format!("/p/{id}")).text(), shop::page(id, 7));
            let mut stream = connect(site.addr());
            ask(&mut stream, &format!("/p/{id}"), "Accept-Encoding: gzip\r\nConnection: close\r\n");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            let answer = Answer::new(&all);
            assert_eq!(answer.header("content-encoding"), Some("gzip"));
            assert_eq!(gunzip(&answer.body).unwrap(), shop::page(id, 7).into_bytes());
        }
        assert_eq!(get(site, "/p/7").status, 404);
    }
}

#[test]
fn a_connection_serves_many_requests_and_head_has_no_body() {
    let site = site();
    let mut stream = connect(site.addr());
    let page = shop::page(1, 100);
    for _ in 0..3 {
        ask(&mut stream, "/p/1", "");
        let mut seen = Vec::new();
        while !seen.ends_with(page.as_bytes()) {
            let mut piece = [0; 4096];
            let n = stream.read(&mut piece).unwrap();
            assert!(n > 0, "closed early");
            seen.extend_from_slice(&piece[..n]);
        }
    }
    write!(stream, "HEAD /p/1 HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let head = Answer::new(&rest);
    assert_eq!((head.promised(), head.body.len()), (page.len(), 0));
    let stats = site.stats();
    assert_eq!((stats.requests, stats.connections, stats.count("/p")), (4, 1, 4));
}

#[test]
fn json_and_its_pages() {
    let site = site();
    assert_eq!(get(&site, "/json/5").json()["sku"], shop::truth(5)["sku"]);
    let (mut path, mut skus) = ("/json/list".to_owned(), Vec::new());
    loop {
        let page = get(&site, &path).json();
        skus.extend(page["items"].as_array().unwrap().iter().map(|item| item["sku"].clone()));
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(skus, (0..100).map(|id| shop::truth(id)["sku"].clone()).collect::<Vec<_>>());
}

#[test]
fn clothes() {
    let site = site();
    for (encoding, header) in [("gzip", "gzip"), ("deflate", "deflate"), ("br", "br"), ("zstd", "zstd")] {
        let answer = get(&site, &format!("/enc/{encoding}/3"));
        assert_eq!(answer.header("content-encoding"), Some(header));
        assert!(answer.body.len() < 20_000);
    }
    let answer = get(&site, "/charset/utf-16/3");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-16"));
    assert!(answer.body.starts_with(&[0xff, 0xfe, b'<', 0]));
    let answer = get(&site, "/charset/meta-windows-1251/3");
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert!(answer.text().contains("<meta charset=\"windows-1251\">"));
    assert_eq!(get(&site, "/enc/lzma/3").status, 404);
    assert_eq!(get(&site, "/charset/ebcdic/3").status, 404);
}

#[test]
fn small_services() {
    let site = site();
    let echo = get(&site, "/echo?a=b").json();
    assert_eq!((&echo["target"], &echo["headers"]["host"]), (&"/echo?a=b".into(), &"shop.example".into()));
    let etag = get(&site, "/etag/3").header("etag").unwrap().to_owned();
    let mut stream = connect(site.addr());
    ask(&mut stream, "/etag/3", &format!("If-None-Match: {etag}\r\nConnection: close\r\n"));
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(Answer::new(&all).status, 304);
    assert_eq!(get(&site, "/cookie").header("set-cookie"), Some("visit=1; Path=/"));
    site.put("/robots.txt", &File::new("text/plain", "User-agent: *\nDisallow: /\n"));
    assert_eq!(get(&site, "/robots.txt").text(), "User-agent: *\nDisallow: /\n");
    assert_eq!(get(&site, "/stats").json()["by_prefix"]["/etag"], 2);
}

#[test]
fn broken_connections() {
    let site = site();
    assert_eq!(raw(&site, "/bad/drop"), b"");
    let mut stream = connect(site.addr());
    ask(&mut stream, "/bad/reset", "");
    let reset = stream.read(&mut [0; 10]).map_err(|error| error.kind());
    assert_eq!(reset, Err(ErrorKind::ConnectionReset));
    assert!(!raw(&site, "/bad/garbage").starts_with(b"HTTP"));
    assert!(raw(&site, "/bad/http09").starts_with(b"<!DOCTYPE"));
    let short = get(&site, "/bad/short");
    assert_eq!(short.promised(), short.body.len() + 1_000);
    let long = get(&site, "/bad/long");
    assert_eq!(long.promised(), long.body.len() - 1_000);
    assert!(get(&site, "/bad/broken-chunk").text().contains("\r\nxyz\r\n"));
}

#[test]
fn silences() {
    let site = site();
    for (path, begins) in [("/bad/stall", false), ("/bad/stall-body", true), ("/bad/trickle", true)] {
        let mut stream = connect(site.addr());
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        ask(&mut stream, path, "Connection: close\r\n");
        let mut seen = Vec::new();
        let end = stream.read_to_end(&mut seen).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::WouldBlock), "{path}");
        assert_eq!(!seen.is_empty(), begins, "{path}");
    }
}

#[test]
fn endless_answers() {
    let site = site();
    for path in ["/bad/endless-body", "/bad/endless-header", "/bad/gzip-bomb", "/bad/huge-page/64"] {
        let mut stream = connect(site.addr());
        ask(&mut stream, path, "");
        let mut taken = vec![0; 500_000];
        stream.read_exact(&mut taken).unwrap();
        assert!(taken.starts_with(b"HTTP/1.1 200"), "{path}");
    }
    let bomb = get(&site, "/bad/gzip-bomb");
    assert_eq!(bomb.promised(), bomb.body.len());
    let huge = get(&site, "/bad/huge-page/2");
    assert_eq!(huge.promised(), huge.body.len());
    assert!(huge.body.len() > 2 << 20);
}

#[test]
fn damaged_pages() {
    let site = site();
    for path in ["/bad/broken-gzip", "/bad/truncated-gzip"] {
        let answer = get(&site, path);
        assert_eq!(answer.promised(), answer.body.len());
        assert!(gunzip(&answer.body).is_err(), "{path}");
    }
    assert!(std::str::from_utf8(&get(&site, "/bad/wrong-charset").body).is_err());
    let reverse = get(&site, "/bad/wrong-charset/reverse");
    assert_eq!(reverse.header("content-type"), Some("text/html; charset=windows-1251"));
    assert!(reverse.text().contains("Привет"));
    assert_eq!(get(&site, "/bad/no-type").header("content-type"), None);
    assert!(get(&site, "/bad/huge-header").head.len() > 200_000);
    assert!(get(&site, "/bad/many-headers").head.lines().count() > 5_000);
    assert_eq!(get(&site, "/bad/empty").body, b"");
    assert_eq!(get(&site, "/bad/deep-nesting").text().matches("<div>").count(), 100_000);
    assert_eq!((get(&site, "/bad/not-found").status, get(&site, "/bad/forbidden").status), (404, 403));
}

#[test]
fn redirects() {
    let site = site();
    let target = |path: &str| get(&site, path).header("location").map(str::to_owned);
    assert_eq!(target("/bad/redirect-loop").as_deref(), Some("/bad/redirect-loop"));
    assert_eq!(target("/bad/redirect-chain/2").as_deref(), Some("/bad/redirect-chain/1"));
    assert_eq!(target("/bad/redirect-chain/0").as_deref(), Some("/p/0"));
    assert_eq!(target("/bad/redirect-to?url=http%3A%2F%2Fx%2F%0d%0aA%3Ab").as_deref(), Some("http://x/A:b"));
    assert!(target("/bad/redirect-metadata").unwrap().contains("169.254.169.254"));
    assert!(target("/bad/redirect-local").unwrap().contains("127.0.0.1:22"));
}

#[test]
fn the_first_attempts_fail() {
    let site = site();
    let statuses = |path: &str| (0..4).map(|_| get(&site, path).status).collect::<Vec<_>>();
    assert_eq!(statuses("/bad/flaky/2/7"), [503, 503, 200, 200]);
    assert_eq!(statuses("/bad/flaky/1/8"), [503, 200, 200, 200]);
    assert_eq!(get(&site, "/bad/retry-after/3/1/7").header("retry-after"), Some("3"));
    assert_eq!(statuses("/bad/retry-after/3/1/7"), [200; 4]);
    let start = Instant::now();
    assert_eq!(get(&site, "/bad/slow/50/7").text(), shop::page(7, 100));
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn misleading_listings() {
    let site = site();
    assert!(
        get(&site, "/bad/loop-next?page=41").text().contains("rel=\"next\" href=\"/bad/loop-next?page=42\"")
    );
    assert!(get(&site, "/bad/loop-next").text().contains("href=\"/p/5\""));
    assert!(get(&site, "/bad/dup-links").text().matches("card__link\" href=\"/p/0\"").count() > 1);
    assert!(!get(&site, "/bad/empty-category").text().contains("card__link"));
}

#[test]
fn every_listed_misbehaviour_exists() {
    let site = site();
    let index = get(&site, "/bad/");
    let paths: Vec<String> = index
        .text()
        .split("<dt>")
        .skip(1)
        .map(|part| part.split("</dt>").next().unwrap())
        .map(|path| path.replace("{url}", "x").replace("{secs}", "1").replace(['{', '}'], ""))
        .map(|path| {
            let digit =
                |part: &str| if ["n", "id", "ms", "mb"].contains(&part) { "1" } else { part }.to_owned();
            path.split('/').map(digit).collect::<Vec<_>>().join("/")
        })
        .collect();
    assert!(paths.len() >= 38, "{paths:?}");
    for path in paths {
        let mut stream = connect(site.addr());
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        ask(&mut stream, &path, "Connection: close\r\n");
        let mut start = [0; 12];
        let known = match path.as_str() {
            "/bad/not-found" => continue,
            _ => stream.read_exact(&mut start).is_err() || start != *b"HTTP/1.1 404",
        };
        assert!(known, "{path}");
    }
}

#[tokio::test]
async fn what_it_saw() {
    let site = Site::start(SiteOptions { hosts: 2, ..SiteOptions::default() }).unwrap();
    let mut streams: Vec<TcpStream> = (0..3).map(|_| connect(site.addr())).collect();
    for stream in &mut streams {
        ask(stream, "/bad/stall", "X-Own: yes\r\n");
    }
    assert!(site.wait_for(LONG, |stats| stats.open == 3).await);
    let other = SocketAddr::from(([127, 0, 0, 2], site.addr().port()));
    write!(connect(other), "GET /c/1 HTTP/1.1\r\nHost: Other.Example\r\nConnection: close\r\n\r\n").unwrap();
    assert!(site.wait_for(LONG, |stats| stats.requests == 4 && stats.open == 3).await);
    drop(streams);
    assert!(site.wait_for(LONG, |stats| stats.open == 0).await);
    let stats = site.stats();
    assert_eq!((stats.count("/bad/stall"), stats.count("/c")), (3, 1));
    assert_eq!((stats.hosts["shop.example"].requests, stats.hosts["other.example"].requests), (3, 1));
    assert_eq!((stats.max_concurrent(), stats.hosts["other.example"].max_concurrent), (3, 1));
    let mut starts: Vec<Instant> =
        stats.log.iter().filter(|hit| hit.host == "shop.example").map(|hit| hit.at).collect();
    starts.sort_unstable();
    assert_eq!(stats.shortest_gap(), starts.windows(2).map(|pair| pair[1] - pair[0]).min());
    let hit = stats.log.iter().find(|hit| hit.path == "/bad/stall").unwrap();
    assert_eq!((hit.method.as_str(), hit.header("x-own")), ("GET", Some("yes")));
    assert!(!site.wait_for(Duration::from_millis(1), |stats| stats.requests == 5).await);
    site.reset_stats();
    assert_eq!((site.stats().requests, site.stats().hosts.len()), (0, 0));
}

#[test]
fn dropping_it_ends_what_is_open() {
    let site = site();
    let mut stalled = connect(site.addr());
    ask(&mut stalled, "/bad/stall", "");
    while site.stats().requests == 0 {
        std::thread::yield_now();
    }
    let address = site.addr();
    drop(site);
    assert!(matches!(stalled.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).is_err());
}

fn post(stream: &mut TcpStream, headers: &str, body: &[u8]) {
    write!(stream, "POST /hook?a=b HTTP/1.1\r\nHost: x\r\n{headers}\r\n").unwrap();
    stream.write_all(body).unwrap();
}

fn status(stream: &mut TcpStream) -> String {
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8(line[9..].to_vec()).unwrap()
}

#[tokio::test]
async fn the_receiver_answers_as_told() {
    let receiver = Receiver::start().unwrap();
    receiver.fail_first(2, 503);
    receiver.next([Reply::HangUp, Reply::After(Duration::from_millis(20), Box::new(Reply::Status(201)))]);
    let mut answers = Vec::new();
    for _ in 0..5 {
        let mut stream = connect(receiver.addr());
        post(&mut stream, "Content-Length: 2\r\nConnection: close\r\n", b"{}");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        answers.push(if all.is_empty() { 0 } else { Answer::new(&all).status });
    }
    assert_eq!(answers, [503, 503, 0, 201, 200]);
    let received = receiver.wait_for(5, LONG).await;
    let answered: Vec<_> = received.iter().map(|r| r.answered).collect();
    assert_eq!(answered, [Some(503), Some(503), None, Some(201), Some(200)]);
    assert_eq!(received.iter().filter(|r| r.is_accepted()).count(), 2);
}

#[test]
fn the_receiver_reads_every_kind_of_body() {
    let receiver = Receiver::start().unwrap();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"[{\"a\":1}]\n").unwrap();
    let packed = packer.finish().unwrap();
    let mut stream = connect(receiver.addr());
    post(&mut stream, &format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", packed.len()), &packed);
    assert_eq!(status(&mut stream), "200");
    let mut stream = connect(receiver.addr());
    let chunks = b"4\r\n[{\"a\r\n5;x=y\r\n\":1}]\r\n0\r\nTrailer: x\r\n\r\n";
    post(&mut stream, "Transfer-Encoding: chunked\r\nAuthorization: Bearer t\r\n", chunks);
    assert_eq!(status(&mut stream), "200");
    let mut stream = connect(receiver.addr());
    post(&mut stream, "Content-Length: 999999999999\r\n", b"");
    assert_eq!(status(&mut stream), "413");
    let received = receiver.received();
    assert_eq!((received[0].text(), received[0].wire.to_vec()), ("[{\"a\":1}]\n".into(), packed));
    assert_eq!(
        (received[1].text(), received[1].header("authorization")),
        ("[{\"a\":1}]".into(), Some("Bearer t"))
    );
    assert_eq!((received.len(), received[0].path.as_str()), (2, "/hook?a=b"));
}
