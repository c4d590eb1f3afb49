//! What a recipe says of itself: its data where it has some, else what is shown; without site code.
//!
//! Owns: which of the two is believed. Its parts own the shapes of data (`data`), reading what is shown (`shown`) and the
//! words of many languages (`word`). Must not know: scrapers, sites. Total: what is not found is empty.

mod data;
mod shown;
mod word;

use crate::said::Said;
use serde_json::Value;
use shown::Shown;

/// The parts of a recipe that take more than one place to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Lines, in order.
    pub ingredients: Vec<String>,
    /// Steps and the headings among them, in order.
    pub instructions: Vec<String>,
    /// How much it makes, as written.
    pub yields: Option<String>,
    /// Minutes of preparing.
    pub prep_minutes: Option<u64>,
    /// Minutes of cooking.
    pub cook_minutes: Option<u64>,
    /// Minutes of all of it; those of the parts added up where it is not said.
    pub total_minutes: Option<u64>,
}

/// Reads a page as a recipe.
pub(crate) fn recipe(said: &Said<'_>) -> Recipe {
    let all = |keys: &[&str]| {
        keys.iter().map(|k| said.values("Recipe", k)).find(|v| !v.is_empty()).unwrap_or_default()
    };
    let ingredients = data::ingredients(&all(&["recipeIngredient", "ingredients"]));
    let instructions = data::steps(&all(&["recipeInstructions"]));
    let makes: Vec<String> =
        all(&["recipeYield", "yield"]).into_iter().flat_map(elements).filter_map(written).collect();
    // Of "4" and "4 servings" the one that says of what.
    let worded = makes.iter().find(|text| text.contains(char::is_alphabetic)).cloned();
    let yields = worded.or_else(|| makes.into_iter().next());
    let minutes = |key: &str| all(&[key]).into_iter().flat_map(elements).find_map(minutes_of);
    let (prep, cook, total) = (minutes("prepTime"), minutes("cookTime"), minutes("totalTime"));
    // A page is read for what it shows only where its data is silent.
    let shown = std::cell::OnceCell::new();
    let shown = || shown.get_or_init(|| Shown::of(said.root));
    let prep_minutes = prep.or_else(|| shown().prep_minutes());
    let cook_minutes = cook.or_else(|| shown().cook_minutes());
    let parts = || match (prep, cook) {
        (None, None) => None,
        (prep, cook) => Some(prep.unwrap_or(0) + cook.unwrap_or(0)),
    };
    let shown_parts = || match (prep_minutes, cook_minutes) {
        (None, None) => None,
        (prep, cook) => Some(prep.unwrap_or(0) + cook.unwrap_or(0)),
    };
    Recipe {
        ingredients: if ingredients.is_empty() { shown().ingredients() } else { ingredients },
        instructions: if instructions.is_empty() { shown().instructions() } else { instructions },
        yields: yields.or_else(|| shown().yields()),
        prep_minutes,
        cook_minutes,
        total_minutes: total.or_else(parts).or_else(|| shown().total_minutes()).or_else(shown_parts),
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        other => std::slice::from_ref(other),
    }
}

fn written(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => data::plain(text),
        Value::Number(n) => n.to_string(),
        Value::Object(map) => return map.get("value").or_else(|| map.get("name")).and_then(written),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn minutes_of(value: &Value) -> Option<u64> {
    const MOST: f64 = 1e9;
    let seconds = match value {
        // A number alone counts minutes.
        Value::Number(n) => n.as_f64()? * 60.0,
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(minutes) => minutes * 60.0,
            Err(_) => crate::value::duration::seconds(text)?,
        },
        Value::Object(map) => {
            return map.values().find_map(|v| if v.is_string() { minutes_of(v) } else { None });
        }
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and bounded")]
    (seconds > 0.0 && seconds < MOST).then(|| (seconds / 60.0).round() as u64)
}
