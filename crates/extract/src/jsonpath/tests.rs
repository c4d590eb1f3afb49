//! The store of the standard, functions, what is refused, and that evaluation ends.

use super::*;
use crate::limit;
use serde_json::json;

fn run(path: &str, value: &Value) -> Value {
    let path = JsonPath::parse(path).unwrap_or_else(|e| panic!("{path}: {e:?}"));
    let all = path.select(value);
    assert_eq!(path.first(value), all.first().copied(), "first of {path:?}");
    all.into_iter().cloned().collect()
}

#[test]
fn the_book_store_of_the_standard() {
    let store = json!({"store": {"book": [
        {"category": "reference", "author": "Nigel Rees", "title": "Sayings", "price": 8.95},
        {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword", "price": 12.99},
        {"category": "fiction", "author": "Herman Melville", "title": "Moby", "isbn": "0-553-21311-3", "price": 8.99},
        {"category": "fiction", "author": "Tolkien", "title": "Rings", "isbn": "0-395-19395-8", "price": 22.99}],
        "bicycle": {"color": "red", "price": 399}}});
    let cases = [
        ("$.store.book[*].author", json!(["Nigel Rees", "Evelyn Waugh", "Herman Melville", "Tolkien"])),
        ("$..author", json!(["Nigel Rees", "Evelyn Waugh", "Herman Melville", "Tolkien"])),
        ("$.store..price", json!([8.95, 12.99, 8.99, 22.99, 399])),
        ("$..book[2].title", json!(["Moby"])),
        ("$..book[-1].title", json!(["Rings"])),
        ("$..book[0,1].title", json!(["Sayings", "Sword"])),
        ("$..book[:2].title", json!(["Sayings", "Sword"])),
        ("$..book[::-2].title", json!(["Rings", "Sword"])),
        ("$..book[?@.isbn].title", json!(["Moby", "Rings"])),
        ("$..book[?@.price<10].title", json!(["Sayings", "Moby"])),
        ("$..book[?@.price<10 && !@.isbn].title", json!(["Sayings"])),
        ("$..book[?(@['category'] == 'reference' || @.price > 20)].title", json!(["Sayings", "Rings"])),
        ("$['store']['bicycle'][\"color\"]", json!(["red"])),
        ("$.store.book[?@.price == $.store.book[1].price].title", json!(["Sword"])),
    ];
    for (path, expected) in cases {
        assert_eq!(run(path, &store), expected, "{path}");
    }
}

#[test]
fn bad_paths_say_where() {
    for (path, column) in [("a", 0), ("$a", 1), ("$.", 2), ("$[", 2), ("$[?@.a ==]", 9), ("$['a", 4)] {
        let error = JsonPath::parse(path).map(|_| ()).unwrap_err();
        assert_eq!(error.column, column, "{path}: {}", error.message);
    }
    let deep = format!("${}", "[?@".repeat(500));
    assert!(JsonPath::parse(&deep).unwrap_err().message.contains("deep"));
}

#[test]
fn functions() {
    let value = json!({"a": ["x", "xyz", "日本", ["p", "q"], {"k": 1, "l": 2}, 5], "n": 2});
    assert_eq!(run("$.a[?length(@) == 2]", &value), json!(["日本", ["p", "q"], {"k": 1, "l": 2}]));
    assert_eq!(run("$.a[?length(@) > $.n]", &value), json!(["xyz"]));
    assert_eq!(run("$.a[?match(@, 'x.*')]", &value), json!(["x", "xyz"]));
    assert_eq!(run("$.a[?search(@, 'y')]", &value), json!(["xyz"]));
    assert_eq!(run("$[?count(@.*) > 5]", &value), json!([value["a"]]));
    assert_eq!(run("$.a[?value(@.k) == 1]", &value), json!([{"k": 1, "l": 2}]));
    // A point stands for no end of a line, and a pattern that is none matches nothing.
    assert_eq!(run("$[?match(@, 'a.b')]", &json!(["a\rb", "a\nb", "axb"])), json!(["axb"]));
    assert_eq!(run("$[?match(@, '(')]", &json!(["("])), json!([]));
    for bad in [
        "$[?length(@.*) == 1]",
        "$[?length(@)]",
        "$[?match(@)]",
        "$[?nope(@)]",
        "$[?count(1) == 1]",
        "$[?match(@, 'a') == true]",
    ] {
        assert!(JsonPath::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_hostile_path_ends() {
    let value: Value = (0..1_000).map(|n| json!({ "n": n, "s": "a".repeat(50) })).collect();
    for path in ["$[?$..[?$..[?@.n]]]", "$..[?@..[?@..*]]", "$[?search(@.s, $[?@.n==5].s)]"] {
        if let Ok(path) = JsonPath::parse(path) {
            assert!(path.select(&value).len() <= limit::JSON_NODES);
        }
    }
}
