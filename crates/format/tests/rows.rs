//! What comes out is what went in: every shape read back by parsers that are not ours, over generated rows.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use format::{FormatError, Shape, Writer, lines};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::io::Read as _;

const COLUMNS: &[&str] = &["url", "title", "=sum", "a,b", "quo\"te", "caf\u{e9}", "input"];

fn write(shape: Shape, gzip: bool, pushes: &[&[u8]]) -> Result<Vec<u8>, FormatError> {
    let mut writer = Writer::new(shape, gzip)?;
    let mut out = Vec::new();
    for lines in pushes {
        writer.push(lines, &mut out)?;
    }
    writer.finish(&mut out)?;
    Ok(out)
}

fn csv(columns: &[&str], formula_guard: bool) -> Shape {
    Shape::Csv { columns: columns.iter().map(|c| (*c).to_owned()).collect(), formula_guard }
}

fn csv_text(columns: &[&str], formula_guard: bool, rows: &[Value]) -> String {
    String::from_utf8(write(csv(columns, formula_guard), false, &[stored(rows).as_bytes()]).unwrap()).unwrap()
}

fn stored(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[ -~]{0,12}", "[,\"'\r\n\t=+@\\\\-]{0,6}", any::<String>(), Just(String::new()),];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z\",]{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_row() -> impl Strategy<Value = Value> {
    let field = (proptest::sample::select(COLUMNS), any_value());
    proptest::collection::vec(field, 0..8).prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
    })
}

/// What a cell must show.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

proptest! {
    #[test]
    fn a_table_reads_back_as_the_same_rows(rows in proptest::collection::vec(any_row(), 0..12)) {
        let text = csv_text(COLUMNS, false, &rows);
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        prop_assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let read: Vec<Vec<String>> =
            reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
        let expected: Vec<Vec<String>> =
            rows.iter().map(|row| COLUMNS.iter().map(|c| cell(row.get(*c))).collect()).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_guarded_table_only_adds_an_apostrophe_to_texts(rows in proptest::collection::vec(any_row(), 0..6)) {
        let text = csv_text(COLUMNS, true, &rows);
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        for (read, row) in reader.records().map(Result::unwrap).zip(&rows) {
            for (shown, column) in read.iter().zip(COLUMNS) {
                let own = cell(row.get(*column));
                let is_text = row.get(*column).is_some_and(Value::is_string);
                let guard = is_text && own.starts_with(['=', '+', '-', '@', '\t', '\r']);
                prop_assert_eq!(shown, if guard { format!("'{own}") } else { own });
            }
        }
    }

    #[test]
    fn an_array_parses_to_the_same_rows(rows in proptest::collection::vec(any_row(), 0..12)) {
        let bytes = write(Shape::Json, false, &[stored(&rows).as_bytes()]).unwrap();
        // As texts: reading a float may lose its last digit, and the digits are what is promised.
        let read: Vec<Box<RawValue>> = serde_json::from_slice(&bytes).unwrap();
        let read: Vec<&str> = read.iter().map(|row| row.get()).collect();
        prop_assert_eq!(read, rows.iter().map(Value::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn lines_are_copied_verbatim(rows in proptest::collection::vec(any_row(), 0..12)) {
        let stored = stored(&rows);
        prop_assert_eq!(write(Shape::Ndjson, false, &[stored.as_bytes()]).unwrap(), stored.into_bytes());
    }

    #[test]
    fn any_chunking_gives_the_same_bytes(
        rows in proptest::collection::vec(any_row(), 0..16),
        cuts in proptest::collection::vec(0usize..16, 0..6),
    ) {
        let stored = stored(&rows);
        let all: Vec<&[u8]> = lines(stored.as_bytes()).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(all.len())).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let pieces: Vec<Vec<u8>> = cuts.windows(2).map(|w| all[w[0]..w[1]].concat()).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for shape in [Shape::Json, Shape::Ndjson, csv(COLUMNS, true)] {
            let whole = write(shape.clone(), false, &[stored.as_bytes()]).unwrap();
            prop_assert_eq!(&write(shape.clone(), false, &pieces).unwrap(), &whole);
            prop_assert_eq!(&gunzip(&write(shape, true, &pieces).unwrap()), &whole);
        }
    }

    #[test]
    fn nothing_pushed_can_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let line = [b"{".as_slice(), &bytes, b"}\n"].concat();
        for lines in [bytes.as_slice(), &line] {
            for shape in [Shape::Json, Shape::Ndjson, csv(&["a"], true)] {
                // Either answer is fine; the property is that there is one.
                let _ = write(shape, true, &[lines]);
            }
        }
    }
}

#[test]
fn nothing_is_still_a_file() {
    assert_eq!(write(Shape::Json, false, &[]).unwrap(), b"[]\n");
    assert_eq!(write(Shape::Ndjson, false, &[b""]).unwrap(), b"");
    assert_eq!(write(csv(&["url", "a b"], false), false, &[]).unwrap(), b"url,a b\r\n");
    assert_eq!(gunzip(&write(Shape::Json, true, &[]).unwrap()), b"[]\n");
    assert!(write(Shape::Ndjson, true, &[]).unwrap().starts_with(&[0x1f, 0x8b]));
}

#[test]
fn cells() {
    let row = json!({"a": "x, \"y\"\nz", "b": null, "c": {"k": ["v", 1.50]}, "d": "", "e": -2.5});
    assert_eq!(
        csv_text(&["a", "b", "c", "d", "e", "f"], false, &[row]),
        "a,b,c,d,e,f\r\n\"x, \"\"y\"\"\nz\",,\"{\"\"k\"\":[\"\"v\"\",1.5]}\",\"\",-2.5,\r\n"
    );
}

#[test]
fn numbers_keep_their_digits() {
    let line = b"{\"n\":12345678901234567890.10,\"m\":1e400}\n";
    let out = write(csv(&["n", "m"], true), false, &[line]).unwrap();
    assert_eq!(out, b"n,m\r\n12345678901234567890.10,1e400\r\n");
}

#[test]
fn the_guard_is_only_there_when_asked_for() {
    let rows = [json!({"t": "=1+1"}), json!({"t": "-1,5"}), json!({"t": "a=b"}), json!({"t": -1})];
    assert_eq!(csv_text(&["t"], false, &rows), "t\r\n=1+1\r\n\"-1,5\"\r\na=b\r\n-1\r\n");
    assert_eq!(csv_text(&["t"], true, &rows), "t\r\n'=1+1\r\n\"'-1,5\"\r\na=b\r\n-1\r\n");
}

#[test]
fn a_single_empty_cell_is_still_a_row() {
    assert_eq!(csv_text(&["t"], false, &[json!({}), json!({"t": null})]), "t\r\n\"\"\r\n\"\"\r\n");
}

#[test]
fn a_key_without_a_column_is_named() {
    let rows = [json!({"a": 1}), json!({"a": 1, "b": {"deep": "er"}, "c": 2})];
    match write(csv(&["a"], false), false, &[stored(&rows).as_bytes()]) {
        Err(FormatError::UnknownColumn { row: 2, column }) => assert_eq!(column, "b"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_column_given_twice_is_one() {
    assert_eq!(csv_text(&["a", "b", "a"], false, &[json!({"b": 2, "a": 1})]), "a,b\r\n1,2\r\n");
}

#[test]
fn damage_is_noticed() {
    for shape in [Shape::Json, Shape::Ndjson, csv(&["a"], false)] {
        let cut = write(shape, false, &[b"{\"a\":1}\n", b"{\"a\":1}\n{\"a\""]);
        assert!(matches!(cut, Err(FormatError::Unended { row: 3 })), "{cut:?}");
    }
    for line in [&b"\n"[..], b"[1]\n", b"{\"a\":1\n", b"{\"a\":1} \n"] {
        let hole = write(Shape::Json, true, &[b"{\"a\":1}\n", line]);
        assert!(matches!(hole, Err(FormatError::NotAnObject { row: 2, .. })), "{hole:?}");
    }
    for line in [&b"{\"a\":}\n"[..], b"{\"a\":1}{}\n", b"{\"a\":\"\xff\"}\n", b"{\"a\":\"\\ud800\"}\n"] {
        let bad = write(csv(&["a"], false), false, &[line]);
        assert!(matches!(bad, Err(FormatError::NotAnObject { row: 1, .. })), "{bad:?}");
    }
}

#[test]
fn nesting_has_no_depth_at_which_it_breaks() {
    let deep = format!("{{\"a\":{}1{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    let out = write(csv(&["a"], false), false, &[deep.as_bytes()]).unwrap();
    assert_eq!(out.len(), deep.len() - "{\"a\":}\n".len() + "a\r\n\"\"\r\n".len());
}
