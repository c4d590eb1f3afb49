//! Pages that a browser fetches: what a page kind asks of it, and reading the responses that it kept.
//!
//! Must not know: how a browser does any of it.

use crate::spec::PageKind;
use crate::{Extraction, limit};
use model::{Action, Failure, FailureCode, FetchMode, Needs, Page, Rendering};
use serde_json::{Map, Value};

/// Characters of a text that is typed.
const TYPED_CHARS: usize = 10_000;

/// Adds what a page kind asks for to what its file does.
pub(crate) fn needs(needs: &mut Needs, kind: &PageKind, row: &Map<String, Value>) {
    if kind.how.mode.is_some() {
        needs.mode = kind.how.mode;
    }
    if kind.how.rendering.is_some() {
        needs.rendering.clone_from(&kind.how.rendering);
    }
    if let Some(pattern) = &kind.capture {
        needs.mode = Some(FetchMode::Browser);
        needs.rendering.get_or_insert_default().capture = Some(pattern.clone());
    }
    if let Some(rendering) = &mut needs.rendering {
        fill(rendering, row);
    }
}

/// `{name}` in a text that is typed is the input of that name.
fn fill(rendering: &mut Rendering, row: &Map<String, Value>) {
    for action in &mut rendering.actions {
        let Action::Type { text, .. } = action else { continue };
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            match after.split_once('}').and_then(|(name, after)| Some((row.get(name)?, after))) {
                Some((value, after)) => {
                    match value {
                        Value::String(text) => out.push_str(text),
                        Value::Null => {}
                        other => out.push_str(&other.to_string()),
                    }
                    rest = after;
                }
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        *text = out.chars().take(TYPED_CHARS).collect();
    }
}

/// Reads every response that a browser kept as a page of its own.
pub(crate) fn captured(page: &Page, pattern: &str, mut read: impl FnMut(&Page) -> Extraction) -> Extraction {
    let mut out = Extraction::default();
    let mut problem = None;
    for captured in &page.extras.captured {
        let response = Page {
            url: captured.url.clone(),
            status: captured.status,
            headers: captured.content_type.iter().map(|kind| ("content-type".into(), kind.clone())).collect(),
            body: captured.body.clone(),
            fetched_at: page.fetched_at,
            wire_bytes: captured.body.len() as u64,
            extras: model::Extras::default(),
        };
        if !(200..300).contains(&captured.status) {
            out.warnings.push(format!("{} answered {}", captured.url, captured.status));
            continue;
        }
        let read = read(&response);
        problem = problem.or(read.problem);
        out.records.extend(read.records);
        out.follow.extend(read.follow);
        out.warnings.extend(read.warnings);
    }
    out.records.truncate(limit::RECORDS_PER_PAGE);
    let mut seen = std::collections::HashSet::new();
    out.follow.retain(|follow| seen.insert((follow.url.clone(), follow.kind.clone())));
    out.follow.truncate(limit::FOLLOWS_PER_PAGE);
    if out.records.is_empty() && out.follow.is_empty() {
        out.problem = problem.or_else(|| {
            let message = format!("The page's scripts got no response that fits `{pattern}`");
            page.extras.captured.is_empty().then(|| Failure::new(FailureCode::ParseError, message))
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inputs_stand_in_typed_texts() {
        for (text, wanted) in [
            ("{keyword}", "red shoes"),
            ("a {keyword} b {n}", "a red shoes b 5"),
            ("{unknown} {", "{unknown} {"),
            ("{none}", ""),
        ] {
            let action = Action::Type { into: "input".into(), text: text.into(), timeout_ms: 1 };
            let mut rendering = Rendering { actions: vec![action], ..Rendering::default() };
            let row = json!({ "keyword": "red shoes", "n": 5, "none": null });
            fill(&mut rendering, row.as_object().unwrap());
            let Action::Type { text, .. } = &rendering.actions[0] else { panic!() };
            assert_eq!(text, wanted);
        }
    }
}
