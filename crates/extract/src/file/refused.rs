//! What the file says of its site's refusals: `refusals = false`, and `[refused]` or several `[[refused]]`.

use super::reader::{Item, Table};
use crate::limit;
use crate::refused::Hint;
use html::Selector;
use model::FailureCode;

/// Reads `refused`.
pub(super) fn hints(file: &Table<'_>) -> Vec<Hint> {
    let Some(item) = file.get("refused") else { return Vec::new() };
    let elements = item.elements();
    if elements.len() > limit::REFUSAL_HINTS {
        file.errors.at(item.at, format!("more than {} hints on refusals", limit::REFUSAL_HINTS));
    }
    elements.into_iter().take(limit::REFUSAL_HINTS).filter_map(|element| hint(element, file)).collect()
}

fn hint(item: Item<'_>, file: &Table<'_>) -> Option<Hint> {
    let table = item.table("`refused`", file.errors)?;
    let css = table.get("css").and_then(|item| {
        let text = item.text("`css`", table.errors)?;
        match Selector::parse(text) {
            Ok(selector) => Some(selector),
            Err(error) => {
                table.errors.at(item.text_start(), format!("`css` cannot be read: {error}"));
                None
            }
        }
    });
    let text = table.text("text").map(str::to_lowercase).filter(|text| !text.trim().is_empty());
    let code = table.word("code", Hint::CODES);
    if !table.has("css") && text.is_none() {
        table.missing("css", "or `text`: what a refused page has and others have not");
        return None;
    }
    let is_whole = css.is_some() || !table.has("css");
    table.finish();
    let line = table.errors.place(table.at).0;
    is_whole.then(|| Hint { css, text, code: code.unwrap_or(FailureCode::Blocked), line })
}
