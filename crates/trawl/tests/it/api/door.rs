//! The door: tokens, unknown paths and methods, slow and huge requests.

use super::harness::{Server, TOKEN};
use model::Timestamp;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trawl::api::new_token;
use trawl::clock::{Clock, SystemClock};

const PATH: &str = "/datasets/v3/trigger?dataset_id=gd_strict";
const ROW: &[u8] = br#"[{"url":"http://a.example/1"}]"#;

async fn as_whom(server: &Server, auth: &str) -> (u16, String, String) {
    let answer = server.send("POST", PATH, &[("Authorization", auth)], ROW).await;
    let body = answer.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    (answer.status, text("error"), text("message"))
}

#[tokio::test]
async fn no_request_without_a_token_gets_in() {
    let server = Server::start().await;
    let answer = server.send("POST", PATH, &[], ROW).await;
    assert_eq!(answer.refusal(), (401, "Unauthorized".into()));
    assert_eq!(answer.json()["message"], "Credentials are missing");
    assert!(answer.header("www-authenticate").is_some());
    for (auth, message) in [
        ("Bearer wrong-token-000", "Invalid credentials"),
        ("Basic eDp5", "Basic auth is not allowed"),
        ("Digest x", "Auth method is not supported"),
    ] {
        assert_eq!(as_whom(&server, auth).await, (401, "Unauthorized".into(), message.into()));
    }
    assert_eq!(server.send("GET", "/nosuch", &[], b"").await.refusal().0, 401);
    for public in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(server.send("GET", public, &[], b"").await.status, 200, "{public}");
    }
}

#[tokio::test]
async fn tokens_expire_are_revoked_and_limited_to_datasets() {
    let server = Server::start().await;
    let now = SystemClock.now();
    let make = async |name: &str, datasets: Option<&str>, expires: Option<Timestamp>| {
        let datasets = datasets.map(|id| vec![id.to_owned()]);
        let (secret, token) = new_token(&SystemClock, name, datasets, expires);
        server.store.add_token(token).await.unwrap();
        format!("Bearer {secret}")
    };
    let open = make("open", None, Some(now.plus_ms(3_600_000))).await;
    let limited = make("limited", Some("strict"), None).await;
    let elsewhere = make("elsewhere", Some("gd_product"), None).await;
    let expired = make("expired", None, Some(now)).await;
    let revoked = make("revoked", None, None).await;
    assert_eq!(server.store.revoke_token("revoked", now).await.unwrap(), 1);
    assert_eq!(as_whom(&server, &open).await.0, 200);
    assert_eq!(as_whom(&server, &limited).await.0, 200);
    assert_eq!(as_whom(&server, &elsewhere).await, (403, "Access denied.".into(), String::new()));
    for auth in [expired, revoked] {
        assert_eq!(as_whom(&server, &auth).await, (401, "Unauthorized".into(), "Invalid credentials".into()));
    }
    // What belongs to a dataset is out of sight as well.
    let id = server.trigger("", "[{\"url\":\"http://a.example/\"}]").await.id();
    let headers = [("Authorization", elsewhere.as_str())];
    let hidden = server.send("GET", &format!("/datasets/v3/progress/{id}"), &headers, b"").await;
    assert_eq!(hidden.refusal().0, 403);
}

#[tokio::test]
async fn a_token_may_only_ask_so_often() {
    let server = Server::with(|settings| settings.requests_per_sec = 3).await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let answer = server.get("/datasets/list").await;
        assert!(answer.status == 200 || answer.header("retry-after").is_some());
        statuses.push(answer.status);
    }
    assert!(statuses[..3].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn every_refusal_is_json() {
    let server = Server::with(|settings| settings.body_bytes_max = 1_000).await;
    assert_eq!(server.get("/nosuch").await.refusal().0, 404);
    assert_eq!(server.get("/datasets/v3/progress/%ff").await.refusal().0, 400);
    assert_eq!(
        server.get("/datasets/v3/progress/x").await.refusal(),
        (404, "Snapshot does not exist".into())
    );
    assert_eq!(
        server.get("/datasets/v3/delivery/d_x").await.refusal(),
        (404, "Delivery does not exist".into())
    );
    let method = server.get(PATH).await;
    assert_eq!(method.refusal().0, 405);
    assert_eq!(method.header("allow"), Some("POST"));
    let rows = format!("[{}]", vec!["{\"url\":\"http://a.example/1\"}"; 100].join(","));
    assert_eq!(server.post(PATH, &rows).await.refusal().0, 413);
    assert_eq!(server.get("/datasets/v3/scrapers?colour=red").await.refusal().0, 400);
    let head = server
        .send(
            "HEAD",
            "/datasets/list",
            &[("Authorization", &format!("Bearer {TOKEN}")), ("X-Request-Id", "r-1")],
            b"",
        )
        .await;
    assert_eq!((head.status, head.body.len(), head.header("x-request-id")), (200, 0, Some("r-1")));
}

#[tokio::test]
async fn slow_senders_are_cut_off() {
    let server = Server::with(|settings| {
        settings.head_timeout = Duration::from_millis(100);
        settings.body_idle_timeout = Duration::from_millis(100);
    })
    .await;
    for said in ["", "PRI * HT", "GET /datasets/list HTT"] {
        let mut stream = TcpStream::connect(server.at).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
        assert!(cut.is_ok(), "not cut off after {said:?}");
    }
    let mut stream = TcpStream::connect(server.at).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n["
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let cut = tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut answer)).await;
    cut.expect("cut off").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(server.listed().await, 0);
}

#[tokio::test]
async fn the_operators_page_is_open_and_lets_no_other_script_in() {
    let server = Server::start().await;
    for (path, kind) in
        [("/ui", "text/html"), ("/ui/page.js", "text/javascript"), ("/ui/page.css", "text/css")]
    {
        let answer = server.send("GET", path, &[], b"").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    }
    assert_eq!(server.send("GET", "/ui/other", &[], b"").await.status, 401);
}
