//! Lists that data gives in many shapes: steps as text, as objects, in sections; ingredients as lines or as one text.

use crate::limit;
use crate::value::text;
use html::Document;
use serde_json::Value;

/// Sections within sections.
const DEPTH: usize = 6;

/// The steps of `recipeInstructions`, each a line; the names of sections and steps are lines of their own.
pub(super) fn steps(values: &[&Value]) -> Vec<String> {
    let mut out = Vec::new();
    values.iter().for_each(|value| step(value, DEPTH, &mut out));
    out
}

fn step(value: &Value, depth: usize, out: &mut Vec<String>) {
    if depth == 0 || out.len() >= limit::LIST_ITEMS {
        return;
    }
    match value {
        Value::String(written) => out.extend(lines(written)),
        Value::Array(list) => list.iter().for_each(|v| step(v, depth - 1, out)),
        Value::Object(map) => {
            let said = |key: &str| map.get(key).and_then(Value::as_str).map(plain).filter(|t| !t.is_empty());
            let name = said("name").or_else(|| said("Name")).or_else(|| said("headline"));
            let within = map.get("itemListElement").or_else(|| map.get("steps"));
            let body = said("text").or_else(|| said("description"));
            match (within, body) {
                (Some(list), _) => {
                    out.extend(name);
                    step(list, depth - 1, out);
                }
                (None, Some(body)) => {
                    // Names are often the beginning of the step, cut.
                    let is_own =
                        |n: &String| !body.starts_with(n.trim_end_matches(['.', '…', ' ', ':', '!']));
                    out.extend(name.filter(is_own));
                    out.extend(
                        map.get("text").and_then(Value::as_str).map_or_else(|| vec![body.clone()], lines),
                    );
                }
                (None, None) => out.extend(name),
            }
        }
        _ => {}
    }
}

/// The ingredients, each a line.
pub(super) fn ingredients(values: &[&Value]) -> Vec<String> {
    let mut out = Vec::new();
    for value in values {
        let list: Vec<&Value> = match value {
            Value::Array(list) => list.iter().collect(),
            other => vec![other],
        };
        let one_text = values.len() == 1 && list.len() == 1;
        for item in list.into_iter().take(limit::LIST_ITEMS) {
            let written = match item {
                Value::String(written) => written.as_str(),
                Value::Object(map) => {
                    ["name", "text", "@value"].iter().find_map(|k| map.get(*k)?.as_str()).unwrap_or_default()
                }
                _ => "",
            };
            if one_text {
                let found = lines(written);
                // One line with several things in it.
                match found.as_slice() {
                    [only] if only.matches(", ").count() > 3 && !only.contains('.') => {
                        out.extend(only.split(", ").map(str::to_owned));
                    }
                    _ => out.extend(found),
                }
            } else {
                out.extend(Some(plain(written)).filter(|t| !t.is_empty()));
            }
        }
    }
    out.truncate(limit::LIST_ITEMS);
    out
}

/// Lines of a text that may be HTML, and may be escaped.
fn lines(written: &str) -> Vec<String> {
    let written = text::head(written, limit::TEXT_BYTES);
    let shown;
    let parts = if written.contains(['<', '&']) {
        // Line ends of a text with a little HTML in it are breaks too.
        let broken = if written.contains("<p") || written.contains("<li") || written.contains("<br") {
            written.to_owned()
        } else {
            written.replace('\n', "<br>")
        };
        let once = Document::parse(&broken).root().visible_text();
        shown = if once.contains("</") || once.contains("&#") || once.contains("&amp;") {
            Document::parse(&once).root().visible_text()
        } else {
            once
        };
        shown.as_str()
    } else {
        written
    };
    parts.split(['\n', '\r']).map(text::one_line).filter(|line| !line.is_empty()).collect()
}

/// One line, without tags and entities.
pub(super) fn plain(written: &str) -> String {
    lines(written).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(value: Value) -> Vec<String> {
        steps(&[&value])
    }

    #[test]
    fn steps_in_every_shape() {
        assert_eq!(all(json!("Mix.\nBake.")), ["Mix.", "Bake."]);
        assert_eq!(all(json!("<p>Mix.</p><p>Bake &amp; eat.</p>")), ["Mix.", "Bake & eat."]);
        assert_eq!(all(json!([{"@type": "HowToStep", "text": "Mix."}, "Bake."])), ["Mix.", "Bake."]);
        let sections = json!([{"@type": "HowToSection", "name": "Dough", "itemListElement": [
            {"@type": "HowToStep", "name": "Mix all...", "text": "Mix all of it."},
            {"@type": "HowToStep", "name": "Rest", "text": "Wait an hour."}]}]);
        assert_eq!(all(sections), ["Dough", "Mix all of it.", "Rest", "Wait an hour."]);
        assert_eq!(all(json!({"@type": "HowToStep", "name": "Only a name"})), ["Only a name"]);
        assert_eq!(all(json!([[[[[[[[["too deep"]]]]]]]]])), [""; 0]);
    }

    #[test]
    fn ingredients_in_every_shape() {
        let get = |value: Value| ingredients(&[&value]);
        assert_eq!(get(json!(["1 egg", " 2 cups&nbsp;flour "])), ["1 egg", "2 cups flour"]);
        assert_eq!(get(json!("1 egg\r\n2 cups flour")), ["1 egg", "2 cups flour"]);
        assert_eq!(get(json!(["1 egg<br>milk"])), ["1 egg", "milk"]);
        assert_eq!(get(json!("eggs, milk, flour, salt, oil")), ["eggs", "milk", "flour", "salt", "oil"]);
        assert_eq!(get(json!([{"name": "Salt"}])), ["Salt"]);
    }
}
