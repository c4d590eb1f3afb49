//! Searching structured data: items by type, values by property path, `@id` references resolved.

use crate::limit;
use crate::spec::ItemPath;
use serde_json::Value;
use std::collections::HashMap;

/// Items by their `@id`, so that a reference can be followed.
pub(crate) type Ids<'p> = HashMap<&'p str, &'p Value>;

/// The items that have an `@id` and something else to say.
pub(crate) fn ids(roots: &[Value]) -> Ids<'_> {
    let mut out = Ids::new();
    let mut steps = 0;
    for root in roots {
        walk(root, &mut steps, &mut |item| {
            if let Some(id) = item.get("@id").and_then(Value::as_str)
                && item.as_object().is_some_and(|o| o.len() > 1)
            {
                out.entry(id).or_insert(item);
            }
            true
        });
    }
    out
}

/// Visits every object, outer before inner, in the order of the page, until `visit` says stop.
fn walk<'p>(value: &'p Value, steps: &mut usize, visit: &mut impl FnMut(&'p Value) -> bool) -> bool {
    *steps += 1;
    if *steps > limit::JSON_STEPS {
        return false;
    }
    match value {
        Value::Object(map) => visit(value) && map.values().all(|v| walk(v, steps, visit)),
        Value::Array(list) => list.iter().all(|v| walk(v, steps, visit)),
        _ => true,
    }
}

/// Values of a path. Without properties: every item of the types. With some: those of the first item that has any.
/// `many` false stops at the first value.
pub(crate) fn values<'p, 'r>(
    roots: &'p [Value],
    ids: &dyn Fn() -> &'r Ids<'p>,
    path: &ItemPath,
    many: bool,
) -> Vec<&'p Value>
where
    'p: 'r,
{
    let mut out = Vec::new();
    let mut steps = 0;
    for root in roots {
        let go_on = walk(root, &mut steps, &mut |item| {
            if !path.types.iter().any(|t| is_type(item, t)) {
                return true;
            }
            if path.path.is_empty() {
                out.push(item);
                return many && out.len() < limit::LIST_ITEMS;
            }
            follow(item, &path.path, ids, &mut out);
            out.is_empty()
        });
        if !go_on {
            break;
        }
    }
    out
}

fn is_type(item: &Value, wanted: &str) -> bool {
    let same = |word: &Value| {
        word.as_str().is_some_and(|w| {
            let last = w.trim_end_matches('/').rsplit(['/', '#', ':']).next().unwrap_or(w);
            last.eq_ignore_ascii_case(wanted)
        })
    };
    match item.get("@type") {
        Some(Value::Array(list)) => wanted == "*" || list.iter().any(same),
        Some(word) => wanted == "*" || same(word),
        None => false,
    }
}

/// The bound of references followed after each other, so that a circle ends.
const REFERENCES: usize = 8;

fn resolved<'p: 'r, 'r>(value: &'p Value, ids: &dyn Fn() -> &'r Ids<'p>) -> &'p Value {
    let mut value = value;
    for _ in 0..REFERENCES {
        let Some(object) = value.as_object().filter(|o| o.len() == 1) else { break };
        let Some(next) = object.get("@id").and_then(Value::as_str).and_then(|id| ids().get(id)) else {
            break;
        };
        value = next;
    }
    value
}

fn follow<'p: 'r, 'r>(
    value: &'p Value,
    path: &[String],
    ids: &dyn Fn() -> &'r Ids<'p>,
    out: &mut Vec<&'p Value>,
) {
    if out.len() >= limit::LIST_ITEMS {
        return;
    }
    let value = resolved(value, ids);
    if let Value::Array(list) = value {
        if let Some(sorted) = by_position(list) {
            sorted.into_iter().for_each(|v| follow(v, path, ids, out));
        } else {
            list.iter().for_each(|v| follow(v, path, ids, out));
        }
        return;
    }
    let Some((key, rest)) = path.split_first() else {
        if !is_empty(value) {
            out.push(value);
        }
        return;
    };
    if let Some(inner) = value.get(key).or_else(|| value.get(format!("schema:{key}"))) {
        follow(inner, rest, ids, out);
    }
}

/// Elements in the order of their `position`, if all have one (list items, breadcrumbs).
fn by_position(list: &[Value]) -> Option<Vec<&Value>> {
    let mut places = Vec::with_capacity(list.len());
    for item in list {
        let position = item.get("position")?;
        let place = position.as_f64().or_else(|| position.as_str()?.trim().parse().ok())?;
        places.push((place, item));
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(places.into_iter().map(|(_, item)| item).collect())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn get(roots: &[Value], path: &str) -> Value {
        let mut parts = path.split('.');
        let types = parts.next().unwrap().split('|').map(str::to_owned).collect();
        let path = ItemPath { types, path: parts.map(str::to_owned).collect() };
        let by_id = ids(roots);
        values(roots, &|| &by_id, &path, true).into_iter().cloned().collect()
    }

    #[test]
    fn graphs_references_and_types() {
        let roots = [json!({"@context": "https://schema.org", "@graph": [
            {"@type": "Organization", "@id": "#o", "name": "Acme"},
            {"@type": ["schema:Thing", "http://schema.org/Product"], "name": "Chair", "brand": {"@id": "#o"},
             "offers": [{"@type": "Offer", "price": "5"}, {"@type": "Offer", "price": 6}]},
            {"@type": "Product", "name": "Second"}]})];
        assert_eq!(get(&roots, "Product.name"), json!(["Chair"]));
        assert_eq!(get(&roots, "product.offers.price"), json!(["5", 6]));
        assert_eq!(get(&roots, "Product.brand.name"), json!(["Acme"]));
        assert_eq!(get(&roots, "Offer|Product").as_array().map(Vec::len), Some(4));
        assert_eq!(get(&roots, "Recipe.name"), json!([]));
    }

    #[test]
    fn circles_end_and_positions_sort() {
        let circle =
            [json!({"@type": "A", "x": {"@id": "#1"}}), json!({"@id": "#1", "y": 1, "z": {"@id": "#1"}})];
        assert_eq!(get(&circle, "A.x.z.z.z.y"), json!([1]));
        let crumbs = [json!({"@type": "BreadcrumbList", "itemListElement": [
            {"position": 2, "name": "b"}, {"position": "1", "name": "a"}]})];
        assert_eq!(get(&crumbs, "BreadcrumbList.itemListElement.name"), json!(["a", "b"]));
    }
}
