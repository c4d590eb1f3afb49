//! The part of the scraper file's JSON Schema that says how pages are fetched and what a browser does.
//!
//! Must not know: how any of it is read (`render` does; the test of `grammar` compares their keys).

use super::grammar::{boolean, object, reference, text, whole, word};
use model::{FetchMode, Key, ResourceKind};
use serde_json::{Value, json};

/// Milliseconds that may be said.
fn time(description: &str) -> Value {
    whole(description, 1, 600_000)
}

/// `fetch` as a word, or as the table of that name.
pub(super) fn fetch(table: &str) -> Value {
    json!({ "description": "How pages are fetched.", "anyOf": [mode(), reference(table)] })
}

/// The keys that both `[fetch]` and `fetch` of a page kind have.
pub(super) fn shared() -> [(&'static str, Value); 2] {
    [("mode", mode()), ("browser", reference("browser"))]
}

fn mode() -> Value {
    word(
        "Plain, by a browser, or by whichever it takes; the server's setting unless said.",
        FetchMode::WORDS.iter().map(|(word, _)| *word),
    )
}

/// Pattern of responses.
pub(super) fn capture() -> Value {
    text("Responses to the page's scripts whose URL fits are read in place of the page; `*` is any text.")
}

/// The tables beneath.
pub(super) fn tables() -> [(&'static str, Value); 4] {
    [
        ("page_fetch", object("How pages of this kind are fetched.", &shared(), &[])),
        ("browser", browser()),
        ("condition", condition()),
        ("action", action()),
    ]
}

fn browser() -> Value {
    let list =
        |of: Value, description: &str| json!({ "type": "array", "items": of, "description": description });
    let kinds = word("A kind of subresource.", ResourceKind::WORDS.iter().map(|(word, _)| *word));
    let step = json!({ "anyOf": [words(), reference("condition")] });
    object(
        "What a browser does with a page.",
        &[
            ("wait", list(step, "What is waited for, in order; loaded and quiet unless said.")),
            ("actions", list(reference("action"), "What is done then, in order.")),
            ("block", list(kinds, "What is not loaded; the server's setting unless said.")),
            ("screenshot", boolean("A picture of the page is kept.")),
            ("timeout_ms", time("Milliseconds for the page, if fewer than the server's.")),
        ],
        &[],
    )
}

fn words() -> Value {
    word("A condition by its name.", ["load", "network_idle"].into_iter())
}

fn condition() -> Value {
    one_of(
        object(
            "Something to wait for.",
            &[
                ("selector", text("An element that is there.")),
                ("network_idle_ms", time("So many milliseconds without a request.")),
                ("time_ms", time("So many milliseconds.")),
                ("timeout_ms", time("Milliseconds to wait at most.")),
            ],
            &[],
        ),
        &["selector", "network_idle_ms", "time_ms"],
    )
}

fn action() -> Value {
    let wait = json!({ "anyOf": [words(), reference("condition")], "description": "Waits." });
    one_of(
        object(
            "Something that a visitor would do.",
            &[
                ("click", text("Clicks the element of this selector, once it can be clicked.")),
                ("optional", boolean("No failure if it cannot be clicked.")),
                ("times", whole("Clicks while it is there, or scrolls while the page grows.", 1, 1_000)),
                ("scroll", word("Scrolls until there is no more.", ["end"].into_iter())),
                ("within", text("The element that scrolls; the page unless said.")),
                ("type", text("Types this text; `{name}` is an input.")),
                ("into", text("The element that it is typed into.")),
                ("press", word("Presses a key.", Key::WORDS.iter().map(|(word, _)| *word))),
                ("wait", wait),
                ("timeout_ms", time("Milliseconds at most.")),
            ],
            &[],
        ),
        &["click", "scroll", "type", "press", "wait"],
    )
}

/// Exactly one of these keys.
fn one_of(mut table: Value, keys: &[&str]) -> Value {
    table["oneOf"] = keys.iter().map(|key| json!({ "required": [key] })).collect();
    table
}
