//! The types of a scraper file on pages: the public tables as pages, as a server of them shows each row, and one small
//! page with every type.

use crate::tables::{Score, rows, text};
use extract::Scraper;
use model::{Door, Input, Page, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A scraper of one page kind with these fields.
fn scraper(fields: &str) -> Arc<Scraper> {
    let file = format!(
        "dataset_id = \"gd_values\"\ntitle = \"Values\"\n\
         [doors.collect_by_url]\nstart = \"page\"\ninputs.url = {{ type = \"url\", required = true }}\n\
         [pages.page]\nrecord = true\n{fields}"
    );
    Scraper::compile("values", &file).unwrap()
}

fn read(scraper: &Scraper, url: &str, html: String) -> Map<String, Value> {
    let url = url::Url::parse(url).unwrap();
    let input = Input::given(0, json!({"url": url}).to_string(), "tables.example".into());
    let page = Page {
        wire_bytes: html.len() as u64,
        extras: model::Extras::default(),
        url,
        status: 200,
        headers: vec![("content-type".into(), "text/html; charset=utf-8".into())],
        body: html.into_bytes().into(),
        fetched_at: Timestamp::parse("2026-09-10T12:00:00Z").unwrap(),
    };
    scraper.extract(&Door::Collect, &input, &page).records.into_iter().next().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn prices() {
    let Some(rows) = rows("prices") else { return };
    let scraper = scraper(
        r##"
[fields.amount]
type = "price"
from = [{ css = "#price" }]
[fields.currency]
type = "currency_sign"
from = [{ css = "#price" }, { css = "#currency" }]
"##,
    );
    let mut both = Score::new("both");
    for row in &rows {
        let of = |key| escaped(text(row, key).unwrap_or_default());
        let (price, currency) = (of("price_raw"), of("currency_raw"));
        let html = format!("<span id=price>{price}</span> <span id=currency>{currency}</span>");
        let got = read(&scraper, "http://tables.example/prices/1", html);
        let amount = got["amount"].as_f64();
        let truth = row["truth"]["amount"].as_str().map(|t| t.parse::<f64>().unwrap());
        let is_right = amount == truth && got["currency"] == row["truth"]["currency"];
        both.add(is_right, || format!("{price:?} {currency:?} want {} got {got:?}", row["truth"]));
    }
    both.at_least(1.0);
}

#[test]
fn dates() {
    let Some(rows) = rows("dates") else { return };
    let scraper = scraper("[fields.date]\ntype = \"datetime\"\nfrom = [{ css = \"#date\" }]\n");
    let mut day = Score::new("day");
    for row in &rows {
        let input = text(row, "text").unwrap();
        let got = read(
            &scraper,
            "http://tables.example/dates/1",
            format!("<span id=date>{}</span>", escaped(input)),
        );
        let truth = row["truth"].as_str().unwrap();
        let is_right = got["date"].as_str().is_some_and(|d| d[..10] == truth[..10]);
        day.add(is_right, || format!("{input:?} want {truth} got {got:?}"));
    }
    day.at_least(57.0 / 58.0);
}

#[test]
fn ratings() {
    let Some(rows) = rows("ratings") else { return };
    let scraper = scraper("[fields.rating]\ntype = \"rating\"\nfrom = [{ css = \"#rating\" }]\n");
    let mut value = Score::new("value");
    for row in &rows {
        let html = text(row, "html").unwrap();
        let got = read(&scraper, "http://tables.example/ratings/1", format!("<div id=rating>{html}</div>"));
        let is_right = got["rating"].as_f64() == row["truth"]["ratingValue"].as_f64();
        value.add(is_right, || format!("{html} want {} got {got:?}", row["truth"]));
    }
    value.at_least(1.0);
}

#[test]
fn breadcrumbs() {
    let Some(rows) = rows("breadcrumbs") else { return };
    let scraper = scraper("[fields.crumbs]\ntype = \"breadcrumbs\"\nfrom = [{ css = \"#breadcrumb\" }]\n");
    let mut names = Score::new("names");
    for row in &rows {
        let base = escaped(text(row, "base_url").unwrap());
        let html = text(row, "html").unwrap();
        let page = format!("<base href=\"{base}\"><div id=breadcrumb>{html}</div>");
        let got = read(&scraper, "http://tables.example/breadcrumbs/1", page);
        let line = |v: &Value| v["name"].as_str().map(extract::value::text::one_line);
        let list =
            |v: &Value| v.as_array().map(|l| l.iter().map(line).collect::<Vec<_>>()).unwrap_or_default();
        let is_right = list(&got["crumbs"]) == list(&row["truth"]);
        names.add(is_right, || format!("{html} want {} got {got:?}", row["truth"]));
    }
    names.at_least(1.0);
}

#[test]
fn every_type_on_one_page() {
    let types = [
        ("price", "price", "#price"),
        ("currency", "currency", "#price"),
        ("sign", "currency_sign", "#price"),
        ("rating", "rating", "#stars"),
        ("best", "best_rating", "#stars"),
        ("availability", "availability", "#stock"),
        ("condition", "condition", "#condition"),
        ("date", "date", "#date"),
        ("datetime", "datetime", "#date"),
        ("duration", "duration", "#time"),
        ("minutes", "minutes", "#time"),
        ("phone", "phone", "#phone"),
        ("email", "email", "#mail"),
        ("hidden", "email", "#hidden"),
        ("crumbs", "breadcrumbs", "nav"),
        ("categories", "categories", "nav"),
        ("link", "url", "nav a"),
        ("lazy", "image", "#lazy"),
        ("set", "image", "#set"),
        ("picture", "image", "#picture"),
    ];
    let fields: String = types
        .iter()
        .map(|(name, kind, css)| {
            format!("[fields.{name}]\ntype = \"{kind}\"\nfrom = [{{ css = \"{css}\" }}]\n")
        })
        .collect();
    let html = r##"<html lang="de"><head><base href="https://shop.example/de/"></head><body>
        <nav>Sie sind hier: <a href="./">Startseite</a> » <a href="schuhe">Schuhe</a> » <b>Stiefel</b></nav>
        <p id=price>nur 1.299,00 €*</p> <p id=stars aria-label="4,5 von 5 Sternen"><i></i></p>
        <p id=stock>Leider nicht auf Lager</p> <p id=condition>Gebraucht</p>
        <p id=date>Dienstag, 03/04/2024 um 14:30 Uhr</p> <p id=time>1 Std. 30 Min.</p>
        <a id=phone href="tel:+49-30-1234567">anrufen</a> <a id=mail href="mailto:Info@Shop.example?subject=x">Post</a>
        <a id=hidden href="/cdn-cgi/l/email-protection" data-cfemail="204160420e4f5247">[email&#160;protected]</a>
        <img id=lazy src="data:image/gif;base64,R0" data-src="a.jpg">
        <img id=set src="s.jpg" srcset="m.jpg 640w, l.jpg 1280w">
        <picture id=picture><source srcset="p.webp 2x, q.webp 1x"><img src="data:,"></picture></body></html>"##;
    let got = read(&scraper(&fields), "https://shop.example/x", html.to_owned());
    let crumb =
        |name: &str, path: &str| json!({"name": name, "url": format!("https://shop.example/de/{path}")});
    let expected = json!({
        "price": 1299, "currency": "EUR", "sign": "€", "rating": 4.5, "best": 5, "availability": "OutOfStock",
        "condition": "UsedCondition", "date": "2024-04-03", "datetime": "2024-04-03T14:30:00", "duration": 5400,
        "minutes": 90, "phone": "+49301234567", "email": "Info@shop.example", "hidden": "a@b.org",
        "crumbs": [crumb("Startseite", ""), crumb("Schuhe", "schuhe"), {"name": "Stiefel"}],
        "categories": ["Schuhe", "Stiefel"], "link": "https://shop.example/de/",
        "lazy": "https://shop.example/de/a.jpg", "set": "https://shop.example/de/l.jpg",
        "picture": "https://shop.example/de/p.webp",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(got.get(key), Some(value), "{key}");
    }
}
