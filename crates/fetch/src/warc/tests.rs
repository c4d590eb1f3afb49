//! Records out and in again, anybody's files, and bytes that are no file at all.

use super::*;
use bytes::Bytes;
use model::{Exchange, Timestamp};
use proptest::prelude::*;
use std::io::BufReader;

const LIMITS: Limits = Limits { block_bytes: 1 << 20 };

fn exchange(url: &str, head: &str, body: &[u8]) -> Exchange {
    Exchange {
        url: url.parse().unwrap(),
        at: Timestamp::from_ms(1_700_000_000_123),
        address: Some([127, 0, 0, 1].into()),
        request_head: Bytes::from_static(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        request_body: Bytes::new(),
        answer_head: Bytes::copy_from_slice(head.as_bytes()),
        answer_body: Bytes::copy_from_slice(body),
        cut: None,
    }
}

fn all(bytes: &[u8]) -> (Vec<Record>, Option<WarcError>) {
    let mut reader = Reader::new(BufReader::with_capacity(7, bytes), 0, LIMITS);
    let mut records = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, None),
            Err(error) => return (records, Some(error)),
        }
    }
}

fn plain(member: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(member), &mut out).unwrap();
    out
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nx-orig-transfer-encoding: chunked\r\nset-cookie: a=[left out]\r\nx: 1\r\nset-cookie: b=2\r\n\r\n";

#[test]
fn digests_are_base32() {
    assert_eq!(digest_text(&[0xff; 32]), format!("sha256:{}Q====", "7".repeat(51)));
    assert_eq!(digest_text(&[0; 32]), format!("sha256:{}====", "A".repeat(52)));
}

#[test]
fn an_exchange_comes_back_as_the_page_it_was() {
    let body = "x".repeat(3_000);
    let packed = pack(&exchange("http://a/x?y", OK, body.as_bytes()), 7);
    let mut file = info("trawl/1", Timestamp::from_ms(0), 1);
    file.extend(&packed.response);
    let offset = file.len() as u64;
    file.extend(&packed.request);
    let (records, error) = all(&file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(records.iter().map(Record::kind).collect::<Vec<_>>(), ["warcinfo", "response", "request"]);
    assert_eq!(records[2].offset, offset);
    assert_eq!(records[2].header("warc-concurrent-to"), records[1].header("warc-record-id"));
    assert_eq!(records[1].header("warc-date"), Some("2023-11-14T22:13:20.123Z"));
    let answer = Answer::of(&records[1]).unwrap();
    let page = page_of(answer, "http://a/x?y".parse().unwrap(), moment(&records[1]), 1 << 20).unwrap();
    assert_eq!(
        (page.status, &page.body[..], page.fetched_at.ms()),
        (200, body.as_bytes(), 1_700_000_000_123)
    );
    let names: Vec<&str> = page.headers.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["content-type", "transfer-encoding", "set-cookie", "set-cookie", "x"]);
}

#[test]
fn what_did_not_come_is_kept_as_far_as_it_came() {
    let cut = Exchange { cut: Some(model::Cut::Time), ..exchange("http://a/half", OK, &[b'x'; 2_000]) };
    let packed = pack(&cut, 7);
    assert!(!packed.is_referable, "another body may not refer to half of one");
    let (records, error) = all(&packed.response);
    assert!(error.is_none() && records[0].header("warc-truncated") == Some("time"), "{error:?}");
    let mut index = FileIndex::default();
    index.add(&records[0]).unwrap();
    assert!(index.is_empty(), "a part of a page is no page");
    let unanswered = Exchange { answer_head: Bytes::new(), answer_body: Bytes::new(), ..cut };
    let packed = pack(&unanswered, 8);
    assert!(packed.response.is_empty());
    let (records, _) = all(&packed.request);
    assert_eq!((records[0].kind().as_str(), records[0].header("warc-concurrent-to")), ("request", None));
}

#[test]
fn secrets_are_left_out() {
    let kept = |name: &str, value: &str, of_request| {
        String::from_utf8(redacted(name, value.as_bytes(), of_request)).unwrap()
    };
    for name in ["Authorization", "cookie", "X-Api-Key", "x-auth-token", "X-CSRF-Token"] {
        assert_eq!(kept(name, "s3cret", true), "[left out]", "{name}");
    }
    assert_eq!(kept("accept", "text/html", true), "text/html");
    assert_eq!(kept("set-cookie", "sid=s3cret; Path=/", false), "sid=[left out]; Path=/");
    assert_eq!(kept("Set-Cookie", "s3cret", false), "[left out]");
    assert_eq!(kept("location", "/x", false), "/x");
}

#[test]
fn heads_are_kept_as_they_came() {
    let raw = b"HTTP/1.0 200 Fine\r\nX-Case:Kept\r\nSet-Cookie: a=s3cret;\r\n s3cret\r\nTransfer-Encoding: chunked\r\nx-b: 2\r\n\r\n";
    let (_, headers, _) = answer::head(raw).unwrap();
    let kept = as_received(raw, http::StatusCode::OK, &headers).unwrap();
    let wanted = "HTTP/1.0 200 Fine\r\nX-Case: Kept\r\nSet-Cookie: a=[left out];\r\nX-Orig-Transfer-Encoding: chunked\r\nx-b: 2\r\n\r\n";
    assert_eq!(std::str::from_utf8(&kept).unwrap(), wanted);
    assert!(as_received(raw, http::StatusCode::NOT_FOUND, &headers).is_none());
    assert!(as_received(raw, http::StatusCode::OK, &http::HeaderMap::new()).is_none());
}

#[test]
fn a_file_is_indexed_with_redirects_and_revisits() {
    let body = "y".repeat(600);
    let first = pack(&exchange("http://a/1", OK, body.as_bytes()), 1);
    let hop = pack(&exchange("http://a/old", "HTTP/1.1 301 Moved\r\nlocation: /2\r\n\r\n", b""), 2);
    let second = pack(&exchange("http://a/2", OK, body.as_bytes()), 3);
    let failed = pack(&exchange("http://a/1", "HTTP/1.1 503 No\r\n\r\n", b"no"), 4);
    let picture =
        pack(&exchange("http://a/p.png", "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n", b"no"), 5);
    let file = [
        first.response.clone(),
        hop.response,
        second.revisit(&first.original),
        failed.response,
        picture.response,
    ]
    .concat();
    let (records, error) = all(&file);
    assert!(error.is_none());
    let mut index = FileIndex::default();
    records.iter().for_each(|record| index.add(record).unwrap());
    index.finish();
    let starts: Vec<String> = index.starts().iter().map(ToString::to_string).collect();
    assert_eq!(starts, ["http://a/1", "http://a/old"]);
    let find = |url: &str| index.find(model::PageKey::of(model::Method::Get, &url.parse().unwrap(), None));
    assert_eq!(find("http://a/1").unwrap(), (Spot { offset: 0, within: 0 }, None), "a good answer stands");
    let (head, kept) = find("http://a/2").unwrap();
    assert_eq!((head.offset, kept), (records[2].offset, Some(Spot { offset: 0, within: 0 })));
    assert!(find("http://a/3").is_none());
}

#[test]
fn plain_files_and_members_of_several_records_are_read() {
    let one = plain(&pack(&exchange("http://a/", OK, b"1"), 1).response);
    let two = plain(&pack(&exchange("http://a/", OK, b"2"), 2).response);
    let both = [one.clone(), two].concat();
    let (records, error) = all(&both);
    assert!(error.is_none() && records.len() == 2);
    assert_eq!((records[1].offset, records[1].within), (one.len() as u64, 0));
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut member, &both).unwrap();
    let (records, error) = all(&member.finish().unwrap());
    assert!(error.is_none() && records.len() == 2);
    assert!(records[1].offset == 0 && records[1].within > 0);
}

#[test]
fn chunks_are_taken_out_where_there_are_any() {
    let of = |body: &[u8]| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let record = Record {
            headers: vec![("warc-type".into(), "response".into())],
            block: [head.as_bytes(), body].concat(),
            ..Record::default()
        };
        Answer::of(&record).unwrap().body
    };
    assert_eq!(of(b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n"), "Wikipedia");
    assert_eq!(of(b"<html>"), "<html>");
    assert_eq!(of(b"ffffffffffffffff\r\nx"), "ffffffffffffffff\r\nx"[..]);
}

#[test]
fn hostile_files_end_in_errors() {
    let huge_head = format!("WARC/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let many = format!("WARC/1.1\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    for (bytes, what) in [
        (&b"<html>"[..], "no WARC record"),
        (b"WARC/1.1\r\nContent-Length: 5\r\n\r\nabc", "ends within a record"),
        (b"WARC/1.1\r\nContent-Length: -5\r\n\r\nabc", "without a Content-Length"),
        (b"WARC/1.1\r\nContent-Length: 5", "ends within the head"),
        (huge_head.as_bytes(), "bytes"),
        (many.as_bytes(), "lines"),
        (b"\x1f\x8b\x08\x00garbage", "byte 0"),
    ] {
        let (records, error) = all(bytes);
        let error = error.expect(what).to_string();
        assert!(records.is_empty() && error.contains(what), "{error}");
    }
    let mut long = format!("WARC/1.1\r\nContent-Length: {}\r\n\r\n", LIMITS.block_bytes + 1).into_bytes();
    long.resize(long.len() + (1 << 20) + 1, b'x');
    let (records, error) = all(&long);
    assert!(error.is_none() && records[0].is_too_large && records[0].block.is_empty());
}

proptest! {
    #[test]
    fn any_exchange_round_trips(head in "[a-z-]{1,9}: [ -~]{0,30}", body: Vec<u8>, seed: u64, gzip: bool) {
        let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
        let packed = pack(&exchange("http://a/", &head, &body), seed);
        let file = [packed.response, packed.request].concat();
        let file = if gzip { file } else { plain(&file) };
        let (records, error) = all(&file);
        prop_assert!(error.is_none());
        prop_assert_eq!(records.len(), 2);
        prop_assert_eq!(&records[0].block, &[head.as_bytes(), &body].concat());
    }

    #[test]
    fn damaged_files_are_read_without_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, any::<u8>()), 1..12),
        gzip: bool,
    ) {
        let redirect = "HTTP/1.1 301 Moved\r\nlocation: /b\r\n\r\n";
        let mut file = info("trawl/1", Timestamp::from_ms(0), 1);
        for (n, head) in [OK, redirect, OK].into_iter().enumerate() {
            let packed = pack(&exchange(&format!("http://a/{n}"), head, &[b'y'; 700]), n as u64);
            file.extend(&packed.response);
            file.extend(packed.revisit(&packed.original));
            file.extend(&packed.request);
        }
        let mut file = if gzip { file } else { plain(&file) };
        for (at, how, byte) in damage {
            let at = at.index(file.len().max(1));
            match how {
                0 if at < file.len() => file[at] = byte,
                1 => file.truncate(at.max(1)),
                2 => file.insert(at.min(file.len()), byte),
                _ => {
                    let piece = file[at.min(file.len())..].iter().copied().take(200).collect::<Vec<_>>();
                    file.splice(at.min(file.len())..at.min(file.len()), piece);
                }
            }
        }
        let (records, _) = all(&file);
        let mut index = FileIndex::default();
        for record in &records {
            prop_assert!(record.block.len() as u64 <= LIMITS.block_bytes);
            index.add(record).unwrap();
            if let (Some(answer), Some(url)) = (Answer::of(record), record.target())
                && let Ok(page) = page_of(answer, url, Timestamp::from_ms(0), LIMITS.block_bytes)
            {
                prop_assert!(page.body.len() as u64 <= LIMITS.block_bytes);
            }
        }
        index.finish();
        index.starts();
    }

    #[test]
    fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>, warc: bool, gzip: bool) {
        if warc {
            bytes = [b"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://a/\r\nContent-Length: 12\r\n\r\nHTTP/1.1 ", &bytes[..]].concat();
        }
        if gzip {
            let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut member, &bytes).unwrap();
            bytes = member.finish().unwrap();
        }
        let (records, _) = all(&bytes);
        let mut index = FileIndex::default();
        for record in &records {
            index.add(record).unwrap();
            if let Some(answer) = Answer::of(record) {
                let _ = page_of(answer, "http://a/".parse().unwrap(), moment(record), 1_000);
            }
        }
        index.finish();
        index.starts();
    }
}
