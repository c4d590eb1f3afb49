//! Parquet read back by the crate's own reader over generated rows: every value is in its column or among the misfits.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use format::{FormatError, Shape, Writer};
use model::{Column, ColumnKind};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind }
}

fn columns() -> Vec<Column> {
    let offer = vec![
        column("price", ColumnKind::Number),
        column("tags", ColumnKind::List(Box::new(ColumnKind::Text))),
        column("until", ColumnKind::Date),
    ];
    vec![
        column("text", ColumnKind::Text),
        column("count", ColumnKind::Integer),
        column("number", ColumnKind::Number),
        column("flag", ColumnKind::Boolean),
        column("any", ColumnKind::Json),
        column("list", ColumnKind::List(Box::new(ColumnKind::Integer))),
        column("lists", ColumnKind::List(Box::new(ColumnKind::List(Box::new(ColumnKind::Text))))),
        column("offer", ColumnKind::Object(offer.clone())),
        column("offers", ColumnKind::List(Box::new(ColumnKind::Object(offer)))),
        column("caf\u{e9} \u{1f600}", ColumnKind::Text),
    ]
}

fn file(columns: Vec<Column>, rows: &[Value]) -> Result<Vec<u8>, FormatError> {
    let mut writer = Writer::new(Shape::Parquet { columns }, false)?;
    let mut out = Vec::new();
    for row in rows {
        writer.push(format!("{row}\n").as_bytes(), &mut out)?;
    }
    writer.finish(&mut out)?;
    Ok(out)
}

fn read(columns: Vec<Column>, rows: &[Value]) -> Vec<Value> {
    let bytes = Bytes::from(file(columns, rows).unwrap());
    let reader = SerializedFileReader::new(bytes).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| object(&row.unwrap())).collect()
}

fn object(row: &Row) -> Value {
    Value::Object(row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(b) => json!(b),
        Field::Long(n) => json!(n),
        Field::Double(n) => json!(n),
        Field::Str(text) => json!(text),
        Field::Date(days) => json!(format!("day {days}")),
        Field::TimestampMillis(ms) => json!(format!("ms {ms}")),
        // The reader leaves texts of JSON as bytes.
        Field::Bytes(bytes) => json!(std::str::from_utf8(bytes.data()).unwrap()),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect()),
        other => panic!("unexpected {other:?}"),
    }
}

/// What a column shows of a value, and whether that is all of it.
fn shown(kind: &ColumnKind, value: &Value) -> (Value, bool) {
    match (kind, value) {
        (_, Value::Null) => (Value::Null, true),
        (ColumnKind::Json, any) => (json!(any.to_string()), true),
        (ColumnKind::Text, Value::String(_)) | (ColumnKind::Boolean, Value::Bool(_)) => (value.clone(), true),
        (ColumnKind::Integer, Value::Number(n)) if n.is_i64() => (value.clone(), true),
        (ColumnKind::Number, Value::Number(n)) => (json!(n.as_f64().unwrap()), true),
        (ColumnKind::List(of), Value::Array(list)) => {
            let parts: Vec<_> = list.iter().map(|element| shown(of, element)).collect();
            let fits = parts.iter().all(|(_, fits)| *fits);
            (parts.into_iter().map(|(element, _)| element).collect(), fits)
        }
        (ColumnKind::Object(columns), Value::Object(map)) => {
            let mut fits = map.keys().all(|key| columns.iter().any(|c| c.name == *key));
            let mut out = Map::new();
            for column in columns {
                let (part, whole) = shown(&column.kind, map.get(&column.name).unwrap_or(&Value::Null));
                fits &= whole;
                out.insert(column.name.clone(), part);
            }
            (Value::Object(out), fits)
        }
        _ => (Value::Null, false),
    }
}

fn expected(columns: &[Column], row: &Value) -> Value {
    let (mut out, mut misfits) = (Map::new(), Map::new());
    for column in columns {
        let given = row.get(&column.name).unwrap_or(&Value::Null);
        let (shown, fits) = shown(&column.kind, given);
        out.insert(column.name.clone(), shown);
        if !fits {
            misfits.insert(column.name.clone(), given.clone());
        }
    }
    for (key, value) in row.as_object().unwrap() {
        if !columns.iter().any(|c| c.name == *key) {
            misfits.insert(key.clone(), value.clone());
        }
    }
    let misfits = if misfits.is_empty() { Value::Null } else { json!(Value::Object(misfits).to_string()) };
    out.insert("_misfit".to_owned(), misfits);
    Value::Object(out)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![Just("price"), Just("tags"), Just("until"), Just("else")];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

fn any_row() -> impl Strategy<Value = Value> {
    let mut names: Vec<String> = columns().into_iter().map(|c| c.name).collect();
    names.push("unknown".to_owned());
    let field = (proptest::sample::select(names), any_value());
    proptest::collection::vec(field, 0..10).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// A value that mostly fits, so that lists and groups are filled too.
fn fitting_row() -> impl Strategy<Value = Value> {
    let texts = || proptest::collection::vec(proptest::option::of("[a-z]{0,3}"), 0..4);
    let offer = || {
        (proptest::option::of(any::<f64>().prop_filter("finite", |n| n.is_finite())), texts())
            .prop_map(|(price, tags)| json!({ "price": price, "tags": tags }))
    };
    let offers = proptest::collection::vec(proptest::option::of(offer()), 0..4);
    (proptest::collection::vec(texts(), 0..4), offer(), offers, any::<Option<i64>>()).prop_map(
        |(lists, offer, offers, count)| json!({ "count": count, "lists": lists, "offer": offer, "offers": offers }),
    )
}

proptest! {
    #[test]
    fn every_value_is_in_its_column_or_a_misfit(
        rows in proptest::collection::vec(prop_oneof![any_row(), fitting_row()], 0..12)
    ) {
        let wanted: Vec<Value> = rows.iter().map(|row| expected(&columns(), row)).collect();
        prop_assert_eq!(read(columns(), &rows), wanted);
    }
}

#[test]
fn days_and_moments() {
    let kinds = vec![column("day", ColumnKind::Date), column("at", ColumnKind::Moment)];
    let rows = [
        json!({ "day": "1970-01-02", "at": "1970-01-01T01:00:00.500+01:00" }),
        json!({ "day": "1969-12-31", "at": "1970-01-01T00:00:01" }),
        json!({ "day": "2024-02", "at": "1970-01-02" }),
        json!({ "day": 5, "at": "soon" }),
        json!({ "day": "2024-02-30", "at": "2024-13-01" }),
        json!({ "day": "+12024-02-1", "at": true }),
    ];
    let read = read(kinds, &rows);
    let shown: Vec<(&Value, &Value)> = read.iter().map(|row| (&row["day"], &row["at"])).collect();
    let none = Value::Null;
    let (second, minus) = (json!("day 1"), json!("day -1"));
    let (half, one, day) = (json!("ms 500"), json!("ms 1000"), json!("ms 86400000"));
    assert_eq!(
        shown,
        [(&second, &half), (&minus, &one), (&none, &day), (&none, &none), (&none, &none), (&none, &none)]
    );
    assert_eq!(read[3]["_misfit"], json!(r#"{"day":5,"at":"soon"}"#));
    assert_eq!(read[0]["_misfit"], Value::Null);
}

#[test]
fn a_table_without_rows_has_its_columns() {
    let bytes = Bytes::from(file(columns(), &[]).unwrap());
    let reader = SerializedFileReader::new(bytes).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
    assert_eq!(names.len(), columns().len() + 1);
    assert_eq!(names.last(), Some(&"_misfit"));
}

#[test]
fn columns_may_be_doubled_empty_or_of_our_own_name() {
    let odd = vec![
        column("_misfit", ColumnKind::Integer),
        column("a", ColumnKind::Integer),
        column("a", ColumnKind::Text),
        column("nothing", ColumnKind::Object(Vec::new())),
    ];
    let row = read(odd, &[json!({ "_misfit": "x", "a": 1, "nothing": {} })]).remove(0);
    assert_eq!(row, json!({ "_misfit": null, "a": 1, "nothing": "{}", "_misfit_": r#"{"_misfit":"x"}"# }));
}

#[test]
fn row_groups_flow_out_and_are_bounded() {
    let columns = vec![
        column("text", ColumnKind::Text),
        column("offers", ColumnKind::List(Box::new(ColumnKind::Integer))),
    ];
    let mut writer = Writer::new(Shape::Parquet { columns }, false).unwrap();
    let (mut out, mut all, mut most) = (Vec::new(), Vec::new(), 0);
    // Noise does not compress, so what flows out is about what goes in.
    let mut noise = 1_u64;
    let mut pushed_before_first = None;
    for n in 0..60_000_u32 {
        let text: String = (0..60)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + (noise >> 60) as u8)
            })
            .collect();
        let line = json!({ "text": text.repeat(12), "offers": [n, n + 1] }).to_string() + "\n";
        writer.push(line.as_bytes(), &mut out).unwrap();
        if !out.is_empty() {
            pushed_before_first.get_or_insert(n);
            most = most.max(out.len());
            all.append(&mut out);
        }
    }
    writer.finish(&mut all).unwrap();
    assert!(pushed_before_first.is_some_and(|n| n < 25_000), "{pushed_before_first:?}");
    let reader = SerializedFileReader::new(Bytes::from(all)).unwrap();
    assert!(reader.num_row_groups() >= 3, "{}", reader.num_row_groups());
    let sizes = reader.metadata().row_groups().iter().map(|g| g.total_byte_size());
    assert!(sizes.max().unwrap() < 20 << 20, "a row group is larger than what it may hold");
    let last = reader.get_row_iter(None).unwrap().last().unwrap().unwrap();
    assert_eq!(object(&last)["offers"], json!([59_999, 60_000]));
}
