//! Waiting and acting on a page, as the scraper file says.
//!
//! Owns: what each condition and each action means. Must not know: contexts, pools, the gate.
//!
//! Invariant: each ends within its own time and count, whatever the page does.

use super::script;
use super::tab::Tab;
use crate::{FetchError, FetchErrorKind};
use model::{Action, Key, Rendering, Until, Wait};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// What is waited for where the scraper says nothing: quiet for so long, at most so long.
const QUIET: Duration = Duration::from_millis(500);
const QUIET_PATIENCE: Duration = Duration::from_secs(5);
/// After an action the page may begin to load: quiet for so long, at most so long.
const SETTLE: Duration = Duration::from_millis(150);
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
/// A page that has not grown for so long after a scroll has no more.
const GROWTH_PATIENCE: Duration = Duration::from_millis(1_000);
/// An element is looked for again after this long, within one question.
const LOOK: Duration = Duration::from_millis(1_000);
/// Between two looks at whether an element can be clicked, and whether a page has grown.
const GLANCE: Duration = Duration::from_millis(50);

/// Waits and acts.
pub(super) async fn carry_out(tab: &mut Tab, rendering: &Rendering) -> Result<(), FetchError> {
    if rendering.wait.is_empty() {
        wait(tab, &Wait { until: Until::Load, timeout_ms: u64::MAX }).await?;
        quiet(tab, QUIET, QUIET_PATIENCE).await?;
    }
    for condition in &rendering.wait {
        wait(tab, condition).await?;
    }
    for action in &rendering.actions {
        match action {
            Action::Click { selector, optional, times, timeout_ms } => {
                click(tab, selector, *optional, *times, ms(*timeout_ms)).await?;
            }
            Action::Scroll { within, times, timeout_ms } => {
                scroll(tab, within.as_deref(), *times, ms(*timeout_ms)).await?;
            }
            Action::Type { into, text, timeout_ms } => write(tab, into, text, ms(*timeout_ms)).await?,
            Action::Press(key) => {
                press(tab, *key).await?;
                quiet(tab, SETTLE, SETTLE_PATIENCE).await?;
            }
            Action::Wait(condition) => wait(tab, condition).await?,
        }
    }
    Ok(())
}

fn ms(ms: u64) -> Duration {
    // A time that does not fit is as good as none; the page's own is shorter than a day.
    Duration::from_millis(ms.min(86_400_000))
}

async fn wait(tab: &mut Tab, wait: &Wait) -> Result<(), FetchError> {
    let patience = ms(wait.timeout_ms);
    match &wait.until {
        Until::Load => {
            let until = Instant::now() + patience;
            let loaded = tab.until(until, |seen, _| if seen.is_loaded { Ok(()) } else { Err(None) }).await?;
            // What the page embeds may never come; the document itself must.
            if loaded || tab.seen().is_ready {
                return Ok(());
            }
            Err(FetchError::new(FetchErrorKind::Timeout, "the page was not loaded in time"))
        }
        Until::Selector(selector) => {
            let until = Instant::now() + patience;
            loop {
                if appears(tab, selector, until).await? {
                    return Ok(());
                }
                if Instant::now() >= until.min(tab.deadline) {
                    let message = format!("no element `{selector}` within {} ms", wait.timeout_ms);
                    return Err(FetchError::new(FetchErrorKind::WaitElement, message));
                }
            }
        }
        // A page that is never quiet is read all the same.
        Until::NetworkIdle(quiet_ms) => quiet(tab, ms(*quiet_ms), patience).await,
        Until::Time(time_ms) => tab.until(Instant::now() + ms(*time_ms), |_, _| Err(None)).await.map(|_| ()),
    }
}

/// Looks for an element once, for a moment.
async fn appears(tab: &mut Tab, selector: &str, until: Instant) -> Result<bool, FetchError> {
    let look = until.min(tab.deadline).saturating_duration_since(Instant::now()).min(LOOK);
    let arguments = [selector.into(), json!(u64::try_from(look.as_millis()).unwrap_or(0))];
    // A busy page answers late, not never: it is given the rest of its time.
    let there = tab.within(script::APPEARS, &arguments, Duration::MAX).await?;
    Ok(there.as_bool().unwrap_or(false))
}

/// Waits until nothing was asked for during `quiet`, at most `patience`.
async fn quiet(tab: &mut Tab, quiet: Duration, patience: Duration) -> Result<(), FetchError> {
    let until = Instant::now() + patience;
    tab.until(until, |seen, now| match seen.quiet_at(quiet) {
        Some(at) if at <= now => Ok(()),
        at => Err(at),
    })
    .await
    .map(|_| ())
}

async fn click(
    tab: &mut Tab,
    selector: &str,
    optional: bool,
    times: u32,
    patience: Duration,
) -> Result<(), FetchError> {
    for nth in 0..times.max(1) {
        let began = Instant::now();
        let until = began + patience;
        let (x, y) = loop {
            let spot = tab.within(script::SPOT, &[selector.into()], Duration::MAX).await?;
            if let (Some(x), Some(y)) = (spot["x"].as_f64(), spot["y"].as_f64()) {
                break (x, y);
            }
            let why = spot.as_str().unwrap_or("absent").to_owned();
            let is_over = Instant::now() >= until.min(tab.deadline);
            // One that is clicked again and again ends by going, or by staying out of reach.
            let has_gone = began.elapsed() >= GROWTH_PATIENCE && tab.seen().quiet_at(SETTLE).is_some();
            if nth > 0 && (is_over || (has_gone && matches!(why.as_str(), "absent" | "hidden"))) {
                return Ok(());
            }
            if is_over {
                if optional {
                    return Ok(());
                }
                let message = format!("`{selector}` could not be clicked: {why}");
                return Err(FetchError::new(FetchErrorKind::ClickElement, message));
            }
            tokio::time::sleep(GLANCE).await;
        };
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let params = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
            tab.call("Input.dispatchMouseEvent", params).await?;
        }
        quiet(tab, SETTLE, SETTLE_PATIENCE).await?;
    }
    Ok(())
}

/// Scrolls down until the page grows no more.
async fn scroll(
    tab: &mut Tab,
    within: Option<&str>,
    times: u32,
    patience: Duration,
) -> Result<(), FetchError> {
    let until = (Instant::now() + patience).min(tab.deadline);
    let selector = within.map_or(Value::Null, Value::from);
    let mut size = Value::Null;
    for _ in 0..times {
        let before = tab.within(script::SCROLL, std::slice::from_ref(&selector), Duration::MAX).await?;
        if before.is_null() {
            let message = format!("no element `{}` to scroll", within.unwrap_or("html"));
            return Err(FetchError::new(FetchErrorKind::WaitElement, message));
        }
        // It may have grown between the last look and this scroll.
        let grown = std::mem::replace(&mut size, before);
        if !grown.is_null() && grown == size && is_at_rest(tab, &selector, &mut size, until).await? {
            return Ok(());
        }
        if grown.is_null() && is_at_rest(tab, &selector, &mut size, until).await? {
            return Ok(());
        }
        if Instant::now() >= until {
            return Ok(());
        }
    }
    Ok(())
}

/// Waits until the page is larger than it was (`false`), or has stayed as it was while nothing was under way (`true`).
async fn is_at_rest(
    tab: &mut Tab,
    selector: &Value,
    size: &mut Value,
    until: Instant,
) -> Result<bool, FetchError> {
    loop {
        let since = Instant::now();
        let give_up = (since + GROWTH_PATIENCE).min(until);
        loop {
            let now = tab.within(script::SIZE, std::slice::from_ref(selector), Duration::MAX).await?;
            if now != *size {
                *size = now;
                quiet(tab, SETTLE, SETTLE_PATIENCE).await?;
                return Ok(false);
            }
            if Instant::now() >= give_up {
                break;
            }
            tokio::time::sleep(GLANCE).await;
        }
        // As long as something is under way it may still grow.
        if Instant::now() >= until || tab.seen().quiet_at(Duration::ZERO).is_some() {
            return Ok(true);
        }
    }
}

async fn write(tab: &mut Tab, into: &str, text: &str, patience: Duration) -> Result<(), FetchError> {
    let until = Instant::now() + patience;
    while tab.within(script::FOCUS, &[into.into()], Duration::MAX).await?.as_bool() != Some(true) {
        if Instant::now() >= until.min(tab.deadline) {
            let message = format!("no element `{into}` to type into");
            return Err(FetchError::new(FetchErrorKind::WaitElement, message));
        }
        tokio::time::sleep(GLANCE).await;
    }
    tab.call("Input.insertText", json!({ "text": text })).await.map(|_| ())
}

async fn press(tab: &Tab, key: Key) -> Result<(), FetchError> {
    let (name, code, text) = match key {
        Key::Enter => ("Enter", 13, "\r"),
        Key::Tab => ("Tab", 9, ""),
        Key::Escape => ("Escape", 27, ""),
        Key::Space => (" ", 32, " "),
        Key::Backspace => ("Backspace", 8, ""),
        Key::PageUp => ("PageUp", 33, ""),
        Key::PageDown => ("PageDown", 34, ""),
        Key::End => ("End", 35, ""),
        Key::Home => ("Home", 36, ""),
        Key::ArrowLeft => ("ArrowLeft", 37, ""),
        Key::ArrowUp => ("ArrowUp", 38, ""),
        Key::ArrowRight => ("ArrowRight", 39, ""),
        Key::ArrowDown => ("ArrowDown", 40, ""),
    };
    let word = if name == " " { "Space" } else { name };
    for kind in ["keyDown", "keyUp"] {
        let mut params = json!({ "type": kind, "key": name, "code": word, "windowsVirtualKeyCode": code });
        if kind == "keyDown" && !text.is_empty() {
            params["text"] = text.into();
        }
        tab.call("Input.dispatchKeyEvent", params).await?;
    }
    Ok(())
}
