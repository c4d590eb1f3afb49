//! `/bad/…`: what the web does to scrapers, one path each.

use crate::bomb::{Bomb, STRETCHES};
use crate::charset;
use crate::http::{HTML, Head, TEXT, head, ok, response};
use crate::route::{Answer, World};
use crate::shop::{self, Rng};
use crate::trick::Trick;
use bytes::Bytes;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

/// Bytes between two boundaries of the endless answers.
const PIECE_BYTES: usize = 16 * 1024;
/// Largest page of `/bad/huge-page/{mb}`, in MiB.
const HUGE_MB_MAX: u64 = 4096;
/// Bytes of `/bad/deep-nesting`.
const NESTING_BYTES: usize = 500_000;
/// Bytes of the one line of `/bad/huge-header`.
const HEADER_BYTES: usize = 256 * 1024;
/// Lines of `/bad/many-headers`.
const HEADER_LINES: usize = 5_000;
/// Longest delay of `/bad/slow`, in milliseconds.
const SLOW_MS_MAX: u64 = 600_000;
/// Products on each page of `/bad/loop-next`.
const LOOP_PRODUCTS: u64 = 5;

/// Every path under `/bad/`, and what it does. `{…}` is for the client to fill in.
pub(crate) const PATHS: &[(&str, &str)] = &[
    ("drop", "closes the connection without an answer"),
    ("reset", "resets the connection"),
    ("stall", "never answers"),
    ("stall-body", "sends half a page and then nothing, for ever"),
    ("trickle", "sends a page at one byte per second"),
    ("short", "promises more bytes than it sends"),
    ("long", "sends more bytes than it promised"),
    ("broken-chunk", "the second chunk's size is not a number"),
    ("broken-gzip", "the body is damaged in the middle"),
    ("truncated-gzip", "the body ends in the middle"),
    ("gzip-bomb", "1 MB that unpack to 1 GB"),
    ("zstd-bomb", "32 KB that unpack to 1 GB"),
    ("br-bomb", "a few KB that unpack to 1 GB"),
    ("redirect-loop", "redirects to itself"),
    ("redirect-chain/{n}", "n redirects, then product 0"),
    ("redirect-to?url={url}", "redirects there"),
    ("redirect-local", "redirects to port 22 of the client's own machine"),
    ("redirect-metadata", "redirects to the metadata service of a cloud"),
    ("wrong-charset", "says utf-8, is windows-1251"),
    ("wrong-charset/reverse", "says windows-1251, is utf-8"),
    ("no-type", "a product without Content-Type"),
    ("huge-header", "one header line of 256 KB"),
    ("many-headers", "5,000 header lines"),
    ("endless-body", "a body that never ends"),
    ("endless-header", "header lines that never end"),
    ("empty", "200 and no body"),
    ("garbage", "not HTTP at all"),
    ("http09", "a page without status line and headers"),
    ("flaky/{n}/{id}", "503 to the first n requests for this path, then the product"),
    (
        "retry-after/{secs}/{n}/{id}",
        "429 with Retry-After to the first n requests for this path, then the product",
    ),
    ("slow/{ms}/{id}", "the product after so many milliseconds"),
    ("deep-nesting", "500 KB of <div>"),
    ("huge-page/{mb}", "a page of so many MiB"),
    ("not-found", "404"),
    ("forbidden", "403"),
    ("binary", "bytes that say they are HTML"),
    ("loop-next", "a listing whose next page never ends"),
    ("loop-self", "a listing whose next page is itself"),
    ("dup-links", "a listing that links to the same few products in many ways"),
    ("empty-category", "a listing of nothing"),
];

/// The answer to `/bad/{path}`; `None` if there is no such path.
///
/// # Errors
/// Only if a compressor fails.
pub(crate) fn answer(world: &World, path: &str, request: &Head) -> io::Result<Option<Answer>> {
    let mut parts = path.split('/');
    let name = parts.next().unwrap_or_default();
    let numbers: Vec<Option<u64>> = parts.map(|part| part.parse().ok()).collect();
    Ok(match numbers[..] {
        [] => match name {
            "" => Some(Answer::Whole(ok(HTML, index()))),
            _ => connection(name, world).or(listing(name, world, request)).or(page(name, world, request)?),
        },
        [None] if path == "wrong-charset/reverse" => Some(wrong_charset("windows-1251", "utf-8")),
        [Some(n)] if name == "redirect-chain" => Some(match n.checked_sub(1) {
            Some(rest) => redirect(&format!("/bad/redirect-chain/{rest}")),
            None => redirect("/p/0"),
        }),
        [Some(mb)] if name == "huge-page" => Some(huge_page(mb)),
        [Some(ms), Some(id)] if name == "slow" => world
            .product(id, request)
            .map(|page| Answer::Later(Duration::from_millis(ms.min(SLOW_MS_MAX)), page)),
        [Some(n), Some(id)] if name == "flaky" => {
            let refusal = || response(503, &[("Content-Type", TEXT)], b"try again");
            failing_first(world, n, id, request, refusal)
        }
        [Some(secs), Some(n), Some(id)] if name == "retry-after" => {
            let secs = secs.to_string();
            let refusal =
                || response(429, &[("Content-Type", TEXT), ("Retry-After", secs.as_str())], b"too many");
            failing_first(world, n, id, request, refusal)
        }
        _ => None,
    })
}

fn index() -> String {
    let mut html = String::from("<!DOCTYPE html><html><head><title>bad</title></head><body><dl>\n");
    for (path, what) in PATHS {
        let _ = writeln!(html, "<dt>/bad/{path}</dt><dd>{}</dd>", shop::escape(what));
    }
    html.push_str("</dl></body></html>\n");
    html
}

fn failing_first(
    world: &World,
    n: u64,
    id: u64,
    request: &Head,
    refusal: impl Fn() -> Bytes,
) -> Option<Answer> {
    let page = world.product(id, request)?;
    Some(Answer::Whole(if world.attempt(request.target()) <= n { refusal() } else { page }))
}

fn redirect(to: &str) -> Answer {
    Answer::Whole(response(302, &[("Location", to)], b""))
}

/// What breaks connection or protocol.
fn connection(name: &str, world: &World) -> Option<Answer> {
    let page = || shop::page(0, world.pages);
    let html = [("Content-Type", HTML)];
    let promising = |length: usize| {
        head(200, &[("Content-Type", HTML.to_owned()), ("Content-Length", length.to_string())])
    };
    let chunked = || head(200, &[("Content-Type", HTML), ("Transfer-Encoding", "chunked")]);
    Some(Answer::Trick(match name {
        "drop" => Trick::Drop,
        "reset" => Trick::Reset,
        "stall" => Trick::Stall(Bytes::new()),
        "stall-body" => {
            let page = page();
            Trick::Stall([&promising(page.len()), &page.as_bytes()[..page.len() / 2]].concat().into())
        }
        "trickle" => {
            let page = page();
            Trick::Trickle(promising(page.len()).into(), page.into())
        }
        "short" => {
            let page = page();
            Trick::Send([promising(page.len() + 1_000), page.into_bytes()].concat().into())
        }
        "long" => {
            let page = page();
            Trick::Send([promising(page.len()), page.into_bytes(), vec![b'x'; 1_000]].concat().into())
        }
        "broken-chunk" => {
            Trick::Send([&chunked()[..], b"5\r\n<html\r\nxyz\r\n>\r\n0\r\n\r\n"].concat().into())
        }
        "endless-body" => {
            let mut piece = format!("{PIECE_BYTES:x}\r\n").into_bytes();
            piece.extend(b"<p>more</p>\n".iter().cycle().take(PIECE_BYTES));
            piece.extend_from_slice(b"\r\n");
            Trick::Repeat { head: chunked().into(), piece: piece.into(), times: u64::MAX, tail: Bytes::new() }
        }
        "endless-header" => {
            let mut start = head(200, &html);
            start.truncate(start.len() - 2);
            let piece = Bytes::from("X-More: and more\r\n".repeat(PIECE_BYTES / 18));
            Trick::Repeat { head: start.into(), piece, times: u64::MAX, tail: Bytes::new() }
        }
        "garbage" => Trick::Send(noise(4_000).into()),
        "http09" => Trick::Send(page().into()),
        _ => return None,
    }))
}

/// Listings that lead crawlers astray.
fn listing(name: &str, world: &World, request: &Head) -> Option<Answer> {
    let total = world.pages.max(1);
    let number = request.query("page").and_then(|p| p.parse::<u64>().ok()).unwrap_or(1);
    let seed = 0xBAD ^ number;
    let html = match name {
        "loop-next" => {
            let ids = (0..LOOP_PRODUCTS).map(|i| number.wrapping_mul(LOOP_PRODUCTS).wrapping_add(i) % total);
            let next =
                format!("<a rel=\"next\" href=\"/bad/loop-next?page={}\">Next</a>", number.wrapping_add(1));
            shop::list_page(seed, "No end", total, ids, &next)
        }
        "loop-self" => {
            let next = "<a rel=\"next\" href=\"/bad/loop-self\">Next</a>";
            shop::list_page(seed, "Round and round", 1, [0], next)
        }
        "dup-links" => {
            let host = request.header("host").unwrap_or("127.0.0.1");
            let links = format!(
                "<a href=\"/p/0#reviews\">0</a><a href=\"/./p/0\">0</a><a href=\"//{host}/p/0\">0</a>\
                 <a href=\"/p/1\">1</a><a href=\" /p/1 \">1</a><a href=\"/bad/../p/1\">1</a>"
            );
            shop::list_page(seed, "Again", 6, [0, 0, 1, 2 % total, 1, 0], &links)
        }
        "empty-category" => shop::list_page(seed, "Nothing", 0, [], "<span>1 / 1</span>"),
        _ => return None,
    };
    Some(Answer::Whole(ok(HTML, html)))
}

/// Whole answers with something wrong inside.
fn page(name: &str, world: &World, request: &Head) -> io::Result<Option<Answer>> {
    let page = || shop::page(0, world.pages);
    let gzip = [("Content-Type", HTML), ("Content-Encoding", "gzip")];
    Ok(Some(Answer::Whole(match name {
        "broken-gzip" => {
            let mut packed = charset::gzip(page().as_bytes())?;
            let middle = packed.len() / 2;
            packed[middle..].iter_mut().take(64).for_each(|byte| *byte ^= 0x55);
            response(200, &gzip, &packed)
        }
        "truncated-gzip" => {
            let packed = charset::gzip(page().as_bytes())?;
            response(200, &gzip, &packed[..packed.len() / 2])
        }
        "gzip-bomb" => return Ok(Some(bomb("gzip", Bomb::gzip(STRETCHES)?))),
        "zstd-bomb" => return Ok(Some(bomb("zstd", Bomb::zstd(STRETCHES)))),
        "br-bomb" => return Ok(Some(bomb("br", Bomb::brotli(STRETCHES)?))),
        "redirect-loop" => return Ok(Some(redirect("/bad/redirect-loop"))),
        "redirect-to" => {
            return Ok(request.query("url").map(|url| redirect(&url.replace(['\r', '\n'], ""))));
        }
        "redirect-local" => return Ok(Some(redirect("http://127.0.0.1:22/"))),
        "redirect-metadata" => return Ok(Some(redirect("http://169.254.169.254/latest/meta-data/"))),
        "wrong-charset" => return Ok(Some(wrong_charset("utf-8", "windows-1251"))),
        "no-type" => response::<&str, &str>(200, &[], page().as_bytes()),
        "huge-header" => {
            response(200, &[("Content-Type", HTML), ("X-Huge", &"x".repeat(HEADER_BYTES))], page().as_bytes())
        }
        "many-headers" => {
            let mut headers = vec![("Content-Type".to_owned(), HTML.to_owned())];
            headers.extend((0..HEADER_LINES).map(|i| (format!("X-Line-{i}"), "x".to_owned())));
            response(200, &headers, page().as_bytes())
        }
        "empty" => ok(HTML, ""),
        "deep-nesting" => ok(HTML, "<div>".repeat(NESTING_BYTES / 5) + "deep"),
        "not-found" => response(404, &[("Content-Type", HTML)], b"<h1>Not found</h1>"),
        "forbidden" => response(403, &[("Content-Type", HTML)], b"<h1>Forbidden</h1>"),
        "binary" => ok(HTML, noise(64 * 1024)),
        _ => return Ok(None),
    })))
}

fn wrong_charset(said: &str, is: &str) -> Answer {
    let html = "<!DOCTYPE html><html lang=\"ru\"><head><title>Привет, мир</title></head>\
                <body><h1>Привет, мир</h1><p>Съешь же ещё этих мягких французских булок.</p></body></html>";
    let body = charset::encode(html, is).unwrap_or_default();
    Answer::Whole(ok(&format!("text/html; charset={said}"), body))
}

fn bomb(encoding: &str, bomb: Bomb) -> Answer {
    let length = bomb.len().to_string();
    let mut start = head(
        200,
        &[("Content-Type", HTML), ("Content-Encoding", encoding), ("Content-Length", length.as_str())],
    );
    start.extend_from_slice(&bomb.first);
    Answer::Trick(Trick::Repeat { head: start.into(), piece: bomb.again, times: bomb.times, tail: bomb.last })
}

fn huge_page(mb: u64) -> Answer {
    const PIECES_PER_MB: u64 = 64;
    let times = mb.min(HUGE_MB_MAX) * PIECES_PER_MB;
    let piece: Vec<u8> =
        b"<p>A page that is too large.</p>\n".iter().copied().cycle().take(PIECE_BYTES).collect();
    let (start, end) = ("<!DOCTYPE html><html><head><title>huge</title></head><body>\n", "</body></html>\n");
    let length = (times * PIECE_BYTES as u64 + (start.len() + end.len()) as u64).to_string();
    let mut head = head(200, &[("Content-Type", HTML), ("Content-Length", length.as_str())]);
    head.extend_from_slice(start.as_bytes());
    Answer::Trick(Trick::Repeat { head: head.into(), piece: piece.into(), times, tail: end.into() })
}

/// Bytes without meaning, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut rng = Rng::new(0xBAD);
    (0..length.div_ceil(8)).flat_map(|_| rng.draw().to_le_bytes()).take(length).collect()
}
