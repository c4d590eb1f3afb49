//! The shop as an application: empty shells that scripts fill from JSON, and scripts that misbehave.
//!
//! ```text
//! /app/p/{id}            a product, built by a script from /app/api/p/{id}; ?late=MS builds it later
//! /app/list?n=N          N products by infinite scroll, 20 at a time
//! /app/more?n=N          the same by a button, beneath a consent overlay
//! /app/search            a form; its answer is built by a script
//! /app/loop              a script that never ends
//! /app/hog               a script that takes all memory there is
//! /app/inside?port=P     asks loopback:P and the cloud's metadata address in every way that a page can
//! /app/go?to=URL         a script that goes elsewhere
//! /app/login             the members' form, fetched and put in by a script
//! /app/visits            counts visits in a cookie that its script sets, and says what the site was sent
//! /app/api/…             the JSON beneath
//! ```

use crate::http::{HTML, Head, JSON, ok};
use crate::shop;
use bytes::Bytes;
use serde_json::{Value, json};

/// Products of one answer of the list.
const PER_PAGE: u64 = 20;
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The answer to `/app/{rest}` in a shop of so many products.
pub(crate) fn answer(rest: &str, request: &Head, total: u64) -> Option<Bytes> {
    let (first, more) = rest.split_once('/').unwrap_or((rest, ""));
    match (first, more) {
        ("p", id) => {
            id.parse::<u64>().ok().filter(|id| *id < total)?;
            Some(ok(HTML, shell("Product", "product")))
        }
        ("list" | "more" | "search" | "loop" | "hog", "") => Some(ok(HTML, shell("Shop", first))),
        ("inside" | "go" | "login" | "visits", "") => Some(ok(HTML, shell("Inside", first))),
        ("js", name) => {
            let script = SCRIPTS.iter().find(|(known, _)| name.strip_suffix(".js") == Some(*known))?.1;
            Some(ok(SCRIPT, [COMMON, script].concat()))
        }
        ("api", "told") => Some(ok(JSON, told(request).to_string())),
        ("api", "list") => Some(ok(JSON, list(request, total)?.to_string())),
        ("api", path) => {
            let id = path.strip_prefix("p/")?.parse().ok().filter(|id| *id < total)?;
            Some(ok(JSON, product(id).to_string()))
        }
        _ => None,
    }
}

fn product(id: u64) -> Value {
    let mut truth = shop::truth(id);
    truth["id"] = id.into();
    truth["url"] = format!("/app/p/{id}").into();
    truth
}

/// What the request said of who asks.
fn told(request: &Head) -> Value {
    let said = |name: &str| request.header(name).unwrap_or_default().to_owned();
    json!({ "cookie": said("cookie"), "key": said("x-api-key"), "agent": said("user-agent") })
}

/// A page of the list: `n` products (or all), or those whose title has `q`.
fn list(request: &Head, total: u64) -> Option<Value> {
    let number = |name: &str, default: u64| match request.query(name) {
        None => Some(default),
        Some(text) => text.parse::<u64>().ok(),
    };
    let n = number("n", total)?.min(total);
    let start = number("page", 1)?.checked_sub(1)?.saturating_mul(PER_PAGE);
    let q = request.query("q").unwrap_or_default().to_lowercase();
    let found = (0..n).filter(|id| q.is_empty() || shop::title(*id).to_lowercase().contains(&q));
    let skip = usize::try_from(start).ok()?;
    let items: Vec<Value> = found.skip(skip).take(PER_PAGE as usize).map(product).collect();
    let more = start + PER_PAGE < n && q.is_empty();
    Some(json!({ "items": items, "total": n, "more": more }))
}

/// The page as it is sent: the same for everything.
fn shell(title: &str, script: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>.card{{height:120px}}#consent{{position:fixed;inset:0;background:#fffd;z-index:9}}</style></head>\n\
         <body><noscript>You need to enable JavaScript to run this app.</noscript>\n<div id=\"app\"></div>\n\
         <script src=\"/app/js/{script}.js\"></script></body></html>\n"
    )
}

const COMMON: &str = r#"
const app = document.getElementById('app'), query = new URLSearchParams(location.search);
const make = (tag, of, text) => Object.assign(document.createElement(tag), { className: of, textContent: text || '' });
const json = async path => await (await fetch(path)).json();
const card = p => {
  const li = make('li', 'card'), a = make('a', 'card__link', p.title);
  a.href = p.url;
  li.append(a, make('span', 'price', p.price), make('span', 'currency', p.currency), make('span', 'sku', p.sku));
  return li;
};
"#;

const SCRIPTS: [(&str, &str); 10] = [
    (
        "product",
        r#"
setTimeout(async () => {
  const p = await json('/app/api' + location.pathname.slice(4));
  const image = make('img', 'picture');
  image.src = p.images[0];
  app.append(make('h1', 'product-title', p.title), make('span', 'price', p.price), image,
    make('span', 'currency', p.currency), make('span', 'sku', p.sku), make('div', 'done'));
}, Number(query.get('late') || 0));
"#,
    ),
    (
        "list",
        r#"
const list = make('ul', 'products'), end = make('div', 'end');
app.append(list, end);
let page = 0, busy = false, more = true;
new IntersectionObserver(async seen => {
  if (!seen.some(s => s.isIntersecting)) return;
  while (!busy && more && end.getBoundingClientRect().top < innerHeight + 50) {
    busy = true;
    const got = await json('/app/api/list?n=' + (query.get('n') || '') + '&page=' + ++page);
    list.append(...got.items.map(card));
    more = got.more; busy = false;
  }
}).observe(end);
"#,
    ),
    (
        "more",
        r#"
const list = make('ul', 'products'), button = make('button', 'more', 'Load more');
const consent = make('div', ''), accept = make('button', 'accept', 'Accept all');
consent.id = 'consent';
consent.append(make('p', '', 'We value your privacy.'), accept);
let page = 0;
const load = async () => {
  button.disabled = true;
  const got = await json('/app/api/list?n=' + (query.get('n') || '') + '&page=' + ++page);
  list.append(...got.items.map(card));
  button.disabled = false;
  if (!got.more) button.remove();
};
button.onclick = load;
accept.onclick = event => { if (event.isTrusted) { consent.remove(); load(); } };
app.append(list, button);
setTimeout(() => document.body.append(consent), 100);
"#,
    ),
    (
        "search",
        r#"
const form = make('form', ''), field = make('input', ''), list = make('ul', 'products');
field.name = 'q';
form.append(field);
form.onsubmit = async event => {
  event.preventDefault();
  const got = await json('/app/api/list?q=' + encodeURIComponent(field.value));
  list.replaceChildren(...got.items.map(card));
  app.append(make('div', 'done'));
};
app.append(form, list);
"#,
    ),
    ("loop", "for (;;);\n"),
    (
        "hog",
        r#"
const kept = [];
const take = () => {
  for (let i = 0; i < 8; i++) kept.push(new Uint8Array(16 << 20).fill(1));
  setTimeout(take, 20);
};
take();
"#,
    ),
    (
        "inside",
        r#"
const port = query.get('port');
const inner = [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, `0x7f.1:${port}`, `2130706433:${port}`,
  `[::ffff:127.0.0.1]:${port}`, `0.0.0.0:${port}`, '169.254.169.254', '[fd00:ec2::254]'];
for (const host of inner) {
  const base = `http://${host}/latest/meta-data/`;
  const img = new Image(); img.src = base + 'img';
  for (const [tag, key] of [['script', 'src'], ['iframe', 'src'], ['embed', 'src'], ['video', 'src']]) {
    const element = document.createElement(tag); element[key] = base + tag; app.append(element);
  }
  for (const rel of ['stylesheet', 'prefetch', 'preload', 'preconnect', 'dns-prefetch', 'manifest', 'icon']) {
    const link = document.createElement('link');
    link.rel = rel; link.as = 'script'; link.href = base + rel; document.head.append(link);
  }
  fetch(base + 'fetch', { mode: 'no-cors' }).catch(() => 0);
  fetch(`https://${host}/latest/https`, { mode: 'no-cors' }).catch(() => 0);
  try { navigator.sendBeacon(base + 'beacon', 'x'); } catch (_) {}
  try { new WebSocket(`ws://${host}/ws`); } catch (_) {}
  try { new EventSource(base + 'events'); } catch (_) {}
  try { window.open(base + 'popup'); } catch (_) {}
  try { new Worker(URL.createObjectURL(new Blob([`fetch('${base}worker', {mode: 'no-cors'})`]))); } catch (_) {}
  try {
    const rtc = new RTCPeerConnection({ iceServers: [{ urls: `stun:${host.split(']')[0]}` },
      { urls: `turn:${host}?transport=tcp`, username: 'a', credential: 'b' }] });
    rtc.createDataChannel('x'); rtc.createOffer().then(o => rtc.setLocalDescription(o));
  } catch (_) {}
  const form = document.createElement('form');
  const frame = document.createElement('iframe'); frame.name = 'f' + inner.indexOf(host);
  form.action = base + 'form'; form.method = 'post'; form.target = frame.name;
  app.append(frame, form); form.submit();
}
fetch('/app/api/p/1').then(r => r.json()).then(p => app.append(make('h1', 'product-title', p.title)));
setTimeout(() => app.append(make('div', 'done', 'asked')), 1500);
"#,
    ),
    (
        "login",
        r#"
setTimeout(async () => {
  app.innerHTML = await (await fetch('/login')).text();
  app.append(make('div', 'done'));
}, 200);
"#,
    ),
    (
        "visits",
        r#"
const visits = Number((document.cookie.match(/(?:^|; )visits=(\d+)/) || [])[1] || 0) + 1;
document.cookie = `visits=${visits}; path=/; max-age=3600`;
json('/app/api/told').then(told => app.append(make('h1', 'product-title', told.agent),
  make('span', 'visits', visits), make('span', 'cookie', told.cookie), make('span', 'key', told.key),
  make('span', 'seen', document.cookie), make('div', 'done')));
"#,
    ),
    ("go", "setTimeout(() => { location.href = query.get('to'); }, 50);\n"),
];
