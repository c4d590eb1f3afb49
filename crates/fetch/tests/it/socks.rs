//! Through SOCKS 5: names or addresses, credentials, refusals, and the guard.

use crate::h2::{self, secure};
use crate::origin::{Origin, ok, splice};
use crate::{fetch, fetcher, get, settings};
use fetch::FetchErrorKind::{Gateway, Proxy, Refused};
use fetch::Settings;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the proxy behaves.
#[derive(Clone, Copy)]
struct Manner {
    password: Option<(&'static str, &'static str)>,
    /// Its answer to the request; 0 connects to the target.
    reply: u8,
}

const OPEN: Manner = Manner { password: None, reply: 0 };

/// A SOCKS proxy that connects everything to `target` and remembers what it was asked for.
async fn socks(target: SocketAddr, manner: Manner) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let addr = listener.local_addr().expect("address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move { serve(stream, target, manner, &seen).await });
        }
    });
    (addr, asked)
}

async fn text(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut bytes).await.ok()?;
    String::from_utf8(bytes).ok()
}

async fn serve(
    mut stream: TcpStream,
    target: SocketAddr,
    manner: Manner,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    assert_eq!(stream.read_u8().await.ok()?, 5);
    let mut methods = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut methods).await.ok()?;
    match manner.password {
        None => stream.write_all(&[5, 0]).await.ok()?,
        Some(_) if !methods.contains(&2) => return stream.write_all(&[5, 0xff]).await.ok(),
        Some(wanted) => {
            stream.write_all(&[5, 2]).await.ok()?;
            assert_eq!(stream.read_u8().await.ok()?, 1);
            let given = (text(&mut stream).await?, text(&mut stream).await?);
            seen.lock().expect("lock").push(format!("{}:{}", given.0, given.1));
            let fits = (given.0.as_str(), given.1.as_str()) == wanted;
            stream.write_all(&[1, u8::from(!fits)]).await.ok()?;
            if !fits {
                return None;
            }
        }
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    assert_eq!(head[..3], [5, 1, 0]);
    let host = match head[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await.ok()?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        3 => text(&mut stream).await?,
        _ => return None,
    };
    let port = stream.read_u16().await.ok()?;
    seen.lock().expect("lock").push(format!("{host}:{port}"));
    // The bound address as a name: the longest form.
    stream.write_all(&[5, manner.reply, 0, 3, 3]).await.ok()?;
    stream.write_all(b"abc\x00\x01").await.ok()?;
    if manner.reply == 0 {
        splice(stream, TcpStream::connect(target).await.ok()?).await;
    }
    Some(())
}

fn through(proxy: String) -> Settings {
    Settings { allow_networks: Vec::new(), proxy: vec![proxy], ..settings() }
}

#[tokio::test]
async fn names_are_resolved_by_socks5h_and_here_by_socks5() {
    let site = Origin::always(ok("through")).await;
    let (proxy, asked) = socks(site.addr, Manner { password: Some(("me", "p:w")), reply: 0 }).await;
    let names = vec![("far.example".to_owned(), "203.0.113.7".parse().expect("address"))];
    for (scheme, wanted) in [("socks5h", "far.example:81"), ("socks5", "203.0.113.7:81")] {
        let settings = Settings {
            names: names.clone(),
            allow_networks: vec!["203.0.113.0/24".into()],
            ..through(format!("{scheme}://me:p%3Aw@{proxy}"))
        };
        let page = fetch(&fetcher(settings), get("http://far.example:81/x?y")).await.expect("page");
        assert_eq!(&page.body[..], b"through");
        assert_eq!(asked.lock().expect("lock").split_off(0), ["me:p:w", wanted]);
    }
    let head = &site.seen()[0].head;
    assert!(head.starts_with("GET /x?y HTTP/1.1\r\n"), "the site is asked as if there were no proxy: {head}");
    assert_eq!(site.seen()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn tls_goes_through_socks() {
    let server = secure(&[b"h2"]).await;
    let (proxy, asked) = socks(server.addr, OPEN).await;
    let settings = Settings { extra_ca: Some(h2::ca()), ..through(format!("socks5h://{proxy}")) };
    let page = fetch(&fetcher(settings), get("https://secure.test/x")).await.expect("page");
    assert_eq!(page.header("x-path"), Some("/x"));
    assert_eq!(asked.lock().expect("lock")[..], ["secure.test:443"]);
}

#[tokio::test]
async fn addresses_off_limits_are_refused_before_the_proxy_hears_of_them() {
    let (proxy, asked) = socks("127.0.0.1:1".parse().expect("address"), OPEN).await;
    let names = vec![("inside.example".to_owned(), "10.0.0.7".parse().expect("address"))];
    for scheme in ["socks5", "socks5h"] {
        let fetcher = fetcher(Settings { names: names.clone(), ..through(format!("{scheme}://{proxy}")) });
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "https://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest/",
            "http://localhost/",
            "https://a.localhost./",
        ] {
            assert_eq!(fetch(&fetcher, get(url)).await.expect_err(url).kind, Refused, "{scheme} {url}");
        }
        if scheme == "socks5" {
            let error = fetch(&fetcher, get("http://inside.example/")).await.expect_err("refused");
            assert_eq!(error.kind, Refused, "a name that is resolved here is vetted here");
        }
        assert_eq!(fetcher.proxies()[0].failures, 0, "nothing of this is the proxy's fault");
    }
    assert!(asked.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn refusals_are_the_proxys_own_or_of_either() {
    let nowhere = "127.0.0.1:1".parse().expect("address");
    for (reply, wanted) in
        [(1, Gateway), (2, Proxy), (3, Gateway), (4, Gateway), (5, Gateway), (6, Gateway), (7, Proxy)]
    {
        let (proxy, _) = socks(nowhere, Manner { password: None, reply }).await;
        let fetcher = fetcher(through(format!("socks5h://{proxy}")));
        let error = fetch(&fetcher, get("http://example.com/")).await.expect_err("refused");
        assert_eq!(error.kind, wanted, "{reply}: {error}");
    }
    let locked = Manner { password: Some(("me", "right")), reply: 0 };
    let (proxy, _) = socks(nowhere, locked).await;
    for credentials in ["", "me:hunter2@"] {
        let fetcher = fetcher(through(format!("socks5h://{credentials}{proxy}")));
        let error = fetch(&fetcher, get("http://example.com/")).await.expect_err("refused");
        assert_eq!(error.kind, Proxy);
        assert!(!format!("{error:?} {:?}", fetcher.proxies()).contains("hunter2"));
    }
}

#[tokio::test]
async fn what_does_not_speak_socks_is_a_proxy_error() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x05",
        b"\x05\x00\x04\x00\x00\x01",
        b"\x05\x00\x05\x00\x00\x09",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                _ = stream.write_all(bytes).await;
                let mut rest = [0; 3];
                _ = stream.read_exact(&mut rest).await;
            }
        });
        let error = fetch(&fetcher(through(format!("socks5h://{addr}"))), get("http://example.com/")).await;
        assert_eq!(error.expect_err("no socks").kind, Proxy, "{bytes:?}");
    }
}
