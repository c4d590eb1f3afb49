//! How pages are fetched: the `fetch` key of a file and of a page kind, and what a browser is to do.
//!
//! Owns: the words of modes, conditions and actions. Must not know: browsers.

use super::reader::{Item, Table, pick_word};
use model::{Action, FetchMode, Key, Rendering, ResourceKind, Until, Wait};

/// Milliseconds for a condition or an action where the file says nothing.
const PATIENCE_MS: u64 = 10_000;
/// Milliseconds for scrolling to the end.
const SCROLL_MS: u64 = 30_000;
/// Longest time that can be said, in milliseconds.
const TIME_MAX: i64 = 600_001;
/// Clicks and scrolls of one action.
const TIMES_MAX: i64 = 1_001;
const SCROLLS_DEFAULT: u32 = 100;
/// Conditions, and actions.
const STEPS_MAX: usize = 50;
/// Characters of a selector, a text, a pattern.
const TEXT_CHARS: usize = 4_096;

/// What `fetch` says: the mode and what a browser does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct How {
    pub(crate) mode: Option<FetchMode>,
    pub(crate) rendering: Option<Box<Rendering>>,
}

/// `fetch = "auto"`, if it is a word and no table.
pub(super) fn word(item: Item<'_>, owner: &Table<'_>) -> Option<How> {
    matches!(item.kind(), "a string").then(|| How { mode: mode(item, "fetch", owner), rendering: None })
}

/// `fetch` of a page kind: a word, or a table of `mode` and `browser`.
pub(super) fn of_page(item: Item<'_>, owner: &Table<'_>) -> How {
    if let Some(how) = word(item, owner) {
        return how;
    }
    let Some(table) = item.table("`fetch`", owner.errors) else { return How::default() };
    let how = of_table(&table);
    table.finish();
    how
}

/// `mode` and `browser` of a `[fetch]` table.
pub(super) fn of_table(table: &Table<'_>) -> How {
    How {
        mode: table.get("mode").and_then(|item| mode(item, "mode", table)),
        rendering: table.get("browser").and_then(|item| rendering(item, table)).map(Box::new),
    }
}

fn mode(item: Item<'_>, key: &str, owner: &Table<'_>) -> Option<FetchMode> {
    let word = item.text(&format!("`{key}`"), owner.errors)?;
    pick_word(item, key, word, FetchMode::WORDS, owner.errors)
}

fn rendering(item: Item<'_>, owner: &Table<'_>) -> Option<Rendering> {
    let table = item.table("`browser`", owner.errors)?;
    let steps = |key: &'static str| {
        let items = table.get(key).map(|item| item.elements()).unwrap_or_default();
        if let Some(beyond) = items.get(STEPS_MAX) {
            table.errors.at(beyond.at, format!("`{key}` has more than {STEPS_MAX} elements"));
        }
        items.into_iter().take(STEPS_MAX)
    };
    let rendering = Rendering {
        wait: steps("wait").filter_map(|item| wait(item, &table)).collect(),
        actions: steps("actions").filter_map(|item| action(item, &table)).collect(),
        block: table.get("block").map(|item| {
            let kinds = item.elements();
            kinds.into_iter().filter_map(|kind| resource(kind, &table)).collect()
        }),
        capture: None,
        screenshot: table.boolean("screenshot").unwrap_or(false),
        timeout_ms: time(&table, "timeout_ms"),
    };
    table.finish();
    Some(rendering)
}

/// A pattern of `capture`.
pub(super) fn capture(item: Item<'_>, owner: &Table<'_>) -> Option<String> {
    let text = text(item, "`capture`", owner)?;
    let begins = ["/", "*", "http://", "https://"].iter().any(|start| text.starts_with(start));
    if !begins {
        owner.errors.at(
            item.at,
            "`capture` is a URL or a path in which `*` stands for any text, such as \"/api/products*\"",
        );
    }
    begins.then_some(text)
}

fn resource(item: Item<'_>, owner: &Table<'_>) -> Option<ResourceKind> {
    let word = item.text("an element of `block`", owner.errors)?;
    pick_word(item, "block", word, ResourceKind::WORDS, owner.errors)
}

fn wait(item: Item<'_>, owner: &Table<'_>) -> Option<Wait> {
    let named = [("load", Until::Load), ("network_idle", Until::NetworkIdle(500))];
    if item.kind() == "a string" {
        let word = item.text("a condition", owner.errors)?;
        let words: Vec<(&str, usize)> = named.iter().enumerate().map(|(i, (word, _))| (*word, i)).collect();
        let at = pick_word(item, "wait", word, &words, owner.errors)?;
        let [(_, load), (_, idle)] = named;
        return Some(Wait { until: if at == 0 { load } else { idle }, timeout_ms: PATIENCE_MS });
    }
    let table = item.table("a condition", owner.errors)?;
    let selector =
        table.get("selector").and_then(|item| text(item, "`selector`", &table)).map(Until::Selector);
    let idle = time(&table, "network_idle_ms").map(Until::NetworkIdle);
    let pause = time(&table, "time_ms").map(Until::Time);
    let timeout_ms = time(&table, "timeout_ms").unwrap_or(PATIENCE_MS);
    table.finish();
    match [selector, idle, pause].into_iter().flatten().collect::<Vec<_>>().as_slice() {
        [until] => Some(Wait { until: until.clone(), timeout_ms }),
        _ => {
            table.errors.at(
                table.at,
                "a condition is \"load\", \"network_idle\" or a table with one of `selector`, `network_idle_ms` \
                 and `time_ms`",
            );
            None
        }
    }
}

fn action(item: Item<'_>, owner: &Table<'_>) -> Option<Action> {
    let table = item.table("an action", owner.errors)?;
    let click = table.get("click");
    let scroll = table.get("scroll");
    let write = table.get("type");
    let press = table.get("press");
    let pause = table.get("wait");
    let timeout_ms = time(&table, "timeout_ms");
    let times = table.whole("times", 1..TIMES_MAX).and_then(|n| u32::try_from(n).ok());
    let optional = table.boolean("optional");
    let into = table.get("into");
    let within = table.get("within");
    table.finish();
    let misplaced = |known: bool, key: &'static str, there: bool| {
        if there && !known {
            table.errors.at(table.at, format!("`{key}` has no meaning for this action"));
        }
    };
    misplaced(click.is_some() || scroll.is_some(), "times", times.is_some());
    misplaced(click.is_some(), "optional", optional.is_some());
    misplaced(write.is_some(), "into", into.is_some());
    misplaced(scroll.is_some(), "within", within.is_some());
    match (click, scroll, write, press, pause) {
        (Some(item), None, None, None, None) => Some(Action::Click {
            selector: text(item, "`click`", &table)?,
            optional: optional.unwrap_or(false),
            times: times.unwrap_or(1),
            timeout_ms: timeout_ms.unwrap_or(PATIENCE_MS),
        }),
        (None, Some(item), None, None, None) => {
            let word = item.text("`scroll`", table.errors)?;
            pick_word(item, "scroll", word, &[("end", ())], table.errors)?;
            Some(Action::Scroll {
                within: within.and_then(|item| text(item, "`within`", &table)),
                times: times.unwrap_or(SCROLLS_DEFAULT),
                timeout_ms: timeout_ms.unwrap_or(SCROLL_MS),
            })
        }
        (None, None, Some(item), None, None) => {
            let Some(into) = into else {
                table.missing("into", "the selector of the element to type into");
                return None;
            };
            Some(Action::Type {
                into: text(into, "`into`", &table)?,
                text: text(item, "`type`", &table)?,
                timeout_ms: timeout_ms.unwrap_or(PATIENCE_MS),
            })
        }
        (None, None, None, Some(item), None) => {
            let word = item.text("`press`", table.errors)?;
            pick_word(item, "press", word, Key::WORDS, table.errors).map(Action::Press)
        }
        (None, None, None, None, Some(item)) => wait(item, &table).map(Action::Wait),
        _ => {
            table.errors.at(
                table.at,
                "an action has one of `click` (a selector), `scroll = \"end\"`, `type` (a text, with `into`), `press` \
                 (a key) and `wait` (a condition)",
            );
            None
        }
    }
}

fn time(table: &Table<'_>, key: &'static str) -> Option<u64> {
    table.whole(key, 1..TIME_MAX).and_then(|n| u64::try_from(n).ok())
}

fn text(item: Item<'_>, what: &str, owner: &Table<'_>) -> Option<String> {
    let text = item.text(what, owner.errors)?;
    if text.is_empty() || text.chars().count() > TEXT_CHARS {
        owner.errors.at(item.at, format!("{what} must have 1 to {TEXT_CHARS} characters"));
        return None;
    }
    Some(text.to_owned())
}
