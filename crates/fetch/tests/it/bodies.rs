//! Bodies as servers send them: whole, chunked, compressed, and every way of getting it wrong.

use crate::origin::{Act, Origin, answer, ok};
use crate::{fails, fetch, fetcher, get, page, settings};
use fetch::FetchErrorKind::{Connection, Protocol, TooLarge};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn gz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain).expect("write");
    encoder.finish().expect("finish")
}

async fn closing(bytes: impl Into<Vec<u8>>) -> Origin {
    let bytes = bytes.into();
    Origin::start(move |_| vec![Act::Send(bytes.clone()), Act::Close]).await
}

#[tokio::test]
async fn a_page_is_what_was_sent() {
    let origin = Origin::always(answer(
        "404 Not Found",
        &[("Content-Type", "text/html"), ("X-Odd", "caf\u{e9}")],
        "gone",
    ))
    .await;
    let page = page(&origin.url("/a?b=c#d")).await;
    assert_eq!((page.status, &page.body[..], page.wire_bytes), (404, &b"gone"[..], 4));
    assert_eq!(page.url.as_str(), origin.url("/a?b=c"));
    assert_eq!(page.header("content-type"), Some("text/html"));
    assert_eq!(page.header("x-odd"), Some("café"));
    assert!(page.fetched_at.ms() > 1_700_000_000_000);
    let seen = &origin.seen()[0];
    assert_eq!(seen.path(), "/a?b=c");
    assert_eq!(seen.header("accept-encoding"), Some("gzip, deflate, br, zstd"));
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("Trawl/")));
    assert_eq!(seen.header("host"), Some(origin.addr.to_string().as_str()));
}

#[tokio::test]
async fn the_charset_is_left_as_it_is() {
    let origin =
        Origin::always(answer("200 OK", &[("Content-Type", "text/html; charset=utf-16")], b"\xff\xe9\x00"))
            .await;
    assert_eq!(page(&origin.url("/")).await.body, &b"\xff\xe9\x00"[..]);
}

#[tokio::test]
async fn chunks_and_pieces_are_joined() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    bytes.extend(b"4\r\nfour\r\n0a;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n");
    let origin = Origin::always(bytes).await;
    let page = page(&origin.url("/")).await;
    assert_eq!((&page.body[..], page.wire_bytes), (&b"four0123456789"[..], 14));
}

#[tokio::test]
async fn a_large_body_in_many_pieces_arrives_whole() {
    let body: Vec<u8> = (0..900_000_u32).map(|i| (i % 251) as u8).collect();
    let origin = Origin::always(ok(&body)).await;
    assert_eq!(page(&origin.url("/")).await.body, body);
    let origin = Origin::always(answer("200 OK", &[("Content-Encoding", "gzip")], gz(&body))).await;
    let page = page(&origin.url("/")).await;
    assert!(page.body == body && page.wire_bytes < 900_000);
}

#[tokio::test]
async fn every_encoding_is_undone() {
    let plain = "<p>hello</p>".repeat(500);
    let br = {
        let mut out = Vec::new();
        let params = brotli::enc::BrotliEncoderParams::default();
        brotli::BrotliCompress(&mut plain.as_bytes(), &mut out, &params).expect("brotli");
        out
    };
    let zs = zstd::encode_all(plain.as_bytes(), 3).expect("zstd");
    for (name, wire) in [("gzip", gz(plain.as_bytes())), ("br", br), ("zstd", zs)] {
        let origin = Origin::always(answer("200 OK", &[("Content-Encoding", name)], &wire)).await;
        let page = page(&origin.url("/")).await;
        assert_eq!((&page.body[..], page.wire_bytes), (plain.as_bytes(), wire.len() as u64), "{name}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_connection() {
    let origin = closing("HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
    assert_eq!(page(&origin.url("/")).await.body, &b"until the end"[..]);
    let origin = closing("HTTP/1.0 200 OK\n\nbare newlines").await;
    assert_eq!(page(&origin.url("/")).await.body, &b"bare newlines"[..]);
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_an_error() {
    let origin = closing("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await;
    assert_eq!(fails(&origin.url("/")).await, Protocol);
}

#[tokio::test]
async fn a_body_longer_than_announced_is_cut_and_its_connection_not_used_again() {
    let origin =
        Origin::always("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlongHTTP/1.1 200 OK\r\n\r\nevil").await;
    let fetcher = fetcher(settings());
    for _ in 0..2 {
        assert_eq!(fetch(&fetcher, get(&origin.url("/"))).await.expect("page").body, &b"long"[..]);
    }
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_gzip_body_longer_than_announced_is_an_error() {
    let wire = gz(&b"compressed ".repeat(1_000));
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", wire.len() / 2)
            .into_bytes();
    bytes.extend(wire);
    assert_eq!(fails(&Origin::always(bytes).await.url("/")).await, Protocol);
}

#[tokio::test]
async fn broken_chunks_are_an_error() {
    for chunks in ["zz\r\nhello\r\n", "5\r\nhelloX\r\n", "ffffffffffffffffff\r\nx", "5\r\nhel"] {
        let origin = closing(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")).await;
        assert_eq!(fails(&origin.url("/")).await, Protocol, "{chunks}");
    }
}

#[tokio::test]
async fn broken_compression_is_an_error() {
    let wire = gz(&b"compressed ".repeat(1_000));
    for body in [&b"not gzip at all"[..], &wire[..wire.len() - 4], &wire[..20]] {
        let origin = Origin::always(answer("200 OK", &[("Content-Encoding", "gzip")], body)).await;
        assert_eq!(fails(&origin.url("/")).await, Protocol);
    }
    for name in ["compress", "gzip, gzip, gzip, gzip"] {
        let origin = Origin::always(answer("200 OK", &[("Content-Encoding", name)], &wire)).await;
        assert_eq!(fails(&origin.url("/")).await, Protocol, "{name}");
    }
}

#[tokio::test]
async fn bombs_are_refused() {
    let zeros = vec![0; 50 << 20];
    for (name, wire) in [
        ("gzip", gz(&zeros)),
        ("gzip, gzip", gz(&gz(&zeros))),
        ("zstd", zstd::encode_all(&zeros[..], 1).expect("zstd")),
    ] {
        assert!(wire.len() < 1 << 20);
        let origin = Origin::always(answer("200 OK", &[("Content-Encoding", name)], wire)).await;
        assert_eq!(fails(&origin.url("/")).await, TooLarge, "{name}");
    }
}

#[tokio::test]
async fn an_answer_to_a_dropped_or_reset_connection_is_a_connection_error() {
    for acts in [
        vec![Act::Close],
        vec![Act::Reset],
        vec![Act::Send(b"HTTP/1.1 200".to_vec()), Act::Close],
        vec![Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx".to_vec()), Act::Reset],
    ] {
        let origin = Origin::start(move |_| acts.clone()).await;
        assert_eq!(fails(&origin.url("/")).await, Connection);
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    for bytes in
        ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "\0\u{1}\u{2}\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "<html>\r\n\r\n"]
    {
        assert_eq!(fails(&closing(bytes).await.url("/")).await, Protocol, "{bytes:?}");
    }
}

#[tokio::test]
async fn sloppy_heads_are_read_as_browsers_do() {
    let origin = Origin::always(
        "HTTP/1.1 200 OK\r\nX-Space : a\r\nno colon here\r\nX-Fold: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!(page(&origin.url("/")).await.body, &b"ok"[..]);
}

#[tokio::test]
async fn a_scraper_s_headers_method_and_body_are_sent() {
    let origin = Origin::always(ok("done")).await;
    let mut request = get(&origin.url("/search").replace("http://", "http://us%65r:p%40ss@"));
    request.method = model::Method::Post;
    request.body = Some("q=1".into());
    request.headers = vec![("X-One".into(), "1".into()), ("User-Agent".into(), "own".into())];
    let page = fetch(&fetcher(settings()), request).await.expect("page");
    assert_eq!(page.url.as_str(), origin.url("/search"));
    let seen = &origin.seen()[0];
    assert!(seen.head.starts_with("POST /search HTTP/1.1\r\n"));
    assert_eq!(seen.body, b"q=1");
    assert_eq!(seen.header("x-one"), Some("1"));
    assert_eq!(seen.header("user-agent"), Some("own"));
    assert_eq!(seen.header("authorization"), Some("Basic dXNlcjpwQHNz"));
}

#[tokio::test]
async fn headers_that_would_smuggle_are_refused() {
    let origin = Origin::always(ok("x")).await;
    for (name, value) in
        [("Transfer-Encoding", "chunked"), ("Host", "x"), ("X-A", "a\r\nX-B: b"), ("a b", "c")]
    {
        let mut request = get(&origin.url("/"));
        request.headers = vec![(name.into(), value.into())];
        let error = fetch(&fetcher(settings()), request).await.expect_err(name);
        assert_eq!(error.kind, fetch::FetchErrorKind::Refused, "{name}");
    }
    assert_eq!(origin.seen().len(), 0);
}
