//! Speed of each shape on one core: `cargo run --release -p format --example speed`. Prints MB/s of stored lines.
#![expect(clippy::disallowed_methods, reason = "measuring needs a clock; the crate itself has none")]

use format::{Shape, Writer};
use model::{Column, ColumnKind};
use serde_json::json;
use std::time::Instant;

const ROWS: u64 = 20_000;
const ROUNDS: u32 = 5;
/// Lines per push: about what one segment frame holds.
const PUSH_ROWS: u64 = 256;

fn row(id: u64) -> String {
    json!({
        "url": format!("https://shop.example/p/{id}"),
        "title": format!("Nordic walnut Lamp \"Pro\" – Set of {id}"),
        "price": id as f64 / 100.0, "currency": "EUR", "rating": 4.5, "available": true, "brand": null,
        "breadcrumbs": ["Home", "Home & Garden", "Lamps"],
        "images": (0..8).map(|i| format!("https://shop.example/img/{id}/{i}-a1b2c3d4.webp")).collect::<Vec<_>>(),
        "description": "Every field keeps, which holds the café warm. Sturdy & more.\n".repeat(12),
        "input": {"url": format!("https://shop.example/p/{id}")},
    })
    .to_string()
        + "\n"
}

fn typed(name: &str) -> Column {
    let kind = match name {
        "price" | "rating" => ColumnKind::Number,
        "available" => ColumnKind::Boolean,
        "breadcrumbs" | "images" => ColumnKind::List(Box::new(ColumnKind::Text)),
        "input" => ColumnKind::Json,
        _ => ColumnKind::Text,
    };
    Column { name: name.to_owned(), kind }
}

fn main() {
    let rows: String = (0..ROWS).map(row).collect();
    let columns: Vec<String> = match serde_json::from_str(&row(0)) {
        Ok(serde_json::Value::Object(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let shapes = [
        ("ndjson", Shape::Ndjson),
        ("json", Shape::Json),
        ("csv", Shape::Csv { columns: columns.clone(), formula_guard: false }),
        ("parquet", Shape::Parquet { columns: columns.iter().map(|name| typed(name)).collect() }),
        ("xlsx", Shape::Xlsx { columns }),
    ];
    for (name, shape) in shapes {
        for gzip in [false, true] {
            if gzip && shape.is_packed() {
                continue;
            }
            let (mut best, mut size) = (f64::MAX, 0);
            for _ in 0..ROUNDS {
                let start = Instant::now();
                let mut writer = Writer::new(shape.clone(), gzip).expect("the columns make a table");
                let mut out = Vec::new();
                size = 0;
                for skip in (0..ROWS).step_by(PUSH_ROWS as usize) {
                    writer.push(part(rows.as_bytes(), skip), &mut out).expect("rows are objects");
                    size += out.len();
                    out.clear();
                }
                writer.finish(&mut out).expect("rows are objects");
                size += out.len();
                best = best.min(start.elapsed().as_secs_f64());
            }
            let speed = rows.len() as f64 / 1e6 / best;
            let rate = ROWS as f64 / best;
            println!(
                "{name:<7} gzip={gzip:<5} {speed:>8.0} MB/s {rate:>9.0} rows/s  {size} bytes of {}",
                rows.len()
            );
        }
    }
}

/// Rows are of nearly one length, so a part is found near its share of the bytes.
fn part(rows: &[u8], skip: u64) -> &[u8] {
    let at = |index: u64| {
        let guess = rows.len() * index.min(ROWS) as usize / ROWS as usize;
        guess + rows[guess..].iter().position(|b| *b == b'\n').map_or(0, |i| i + 1)
    };
    let from = if skip == 0 { 0 } else { at(skip) };
    &rows[from..at(skip + PUSH_ROWS)]
}
