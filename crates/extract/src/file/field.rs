//! Fields: the output schema, and fields within pages and objects.

use super::reader::{Item, Table};
use super::source::sources;
use crate::limit;
use crate::spec::{Field, FieldSpec, Kind, Scalar, Source};
use std::sync::Arc;

/// The output schema: fields with their general sources, and what the catalogue shows of them.
pub(super) struct Schema {
    pub(super) fields: Vec<Field>,
    pub(super) specs: Vec<FieldSpec>,
}

/// Keys that the server adds to every row.
const RESERVED: &[&str] = &["timestamp", "input", "discovery_input", "error", "error_code"];

/// Reads `[fields.<name>]`.
pub(super) fn schema(file: &Table<'_>) -> Schema {
    let mut schema = Schema { fields: Vec::new(), specs: Vec::new() };
    let named = file.named("fields");
    if named.is_empty() {
        file.missing("fields", "at least one [fields.<name>] table");
    }
    for (name, at, item) in named {
        if RESERVED.contains(&name) {
            file.errors.at(at, format!("the field `{name}` is added by the server; choose another name"));
            continue;
        }
        if let Some((field, description)) = field(name, item, file, 0) {
            schema.specs.push(FieldSpec {
                name: field.name.clone(),
                type_word: field.kind.word(),
                shape: field.kind.shape(),
                description,
                required: field.required,
            });
            schema.fields.push(field);
        }
    }
    schema
}

fn field(name: &str, item: Item<'_>, file: &Table<'_>, depth: usize) -> Option<(Field, String)> {
    let table = item.table(&format!("the field `{name}`"), file.errors)?;
    if depth >= limit::FIELD_DEPTH {
        file.errors.at(item.at, "fields are nested too deep");
        return None;
    }
    let description = table.text("description").unwrap_or_default().to_owned();
    let required = table.boolean("required").unwrap_or(false);
    let day_first = table.boolean("day_first").unwrap_or(false);
    let merge = table.boolean("merge").unwrap_or(false);
    let from: Arc<[Source]> = sources(&table, "from").into();
    let kind = kind(&table, depth);
    if merge && !matches!(kind, None | Some(Kind::List(_))) {
        table.errors.at(table.at, "`merge` belongs to `type = \"list\"`");
    }
    table.finish();
    Some((Field { name: name.to_owned(), kind: kind?, required, from, merge, day_first }, description))
}

fn kind(table: &Table<'_>, depth: usize) -> Option<Kind> {
    #[derive(Clone, Copy)]
    enum Word {
        One(Scalar),
        List,
        Object,
    }
    let mut words: Vec<(&str, Word)> = Scalar::WORDS.iter().map(|(w, s)| (*w, Word::One(*s))).collect();
    words.push(("object", Word::Object));
    let inner = words.clone();
    words.push(("list", Word::List));
    let object = || {
        let fields: Vec<Field> = table
            .named("fields")
            .into_iter()
            .filter_map(|(name, _, item)| field(name, item, table, depth + 1))
            .map(|(field, _)| field)
            .collect();
        if fields.is_empty() {
            table.missing("fields", "the fields of the object");
        }
        Kind::Object(fields.into())
    };
    let word = if table.has("type") { table.word("type", &words)? } else { Word::One(Scalar::Text) };
    let of = if table.has("of") { Some(table.word("of", &inner)?) } else { None };
    match (word, of) {
        (Word::List, None) => Some(Kind::List(Box::new(Kind::One(Scalar::Text)))),
        (Word::List, Some(Word::One(scalar))) => Some(Kind::List(Box::new(Kind::One(scalar)))),
        (Word::List, Some(_)) => Some(Kind::List(Box::new(object()))),
        (Word::One(scalar), None) => Some(Kind::One(scalar)),
        (Word::Object, None) => Some(object()),
        (_, Some(_)) => {
            table.errors.at(table.at, "`of` belongs to `type = \"list\"`");
            None
        }
    }
}

/// Sources that a page kind (or a link) gives for fields of the schema: `fields.price = [{ css = … }]`.
pub(super) fn overrides(table: &Table<'_>, key: &'static str, schema: &Schema) -> Vec<Field> {
    let known: Vec<&str> = schema.fields.iter().map(|f| f.name.as_str()).collect();
    let mut out = Vec::new();
    for (name, at, item) in table.named(key) {
        let Some(field) = schema.fields.iter().find(|f| f.name == name) else {
            let hint = super::reader::nearest(name, &known)
                .map_or_else(|| format!("known: {}", known.join(", ")), |k| format!("did you mean `{k}`?"));
            table.errors.at(at, format!("`{name}` is not a field of the output schema; {hint}"));
            continue;
        };
        let from: Arc<[Source]> =
            item.elements().into_iter().filter_map(|e| super::source::one(e, table)).collect();
        out.push(Field { from, ..field.clone() });
    }
    out
}

/// The schema with the sources of one page kind in place of the general ones.
pub(super) fn with_overrides(schema: &Schema, overrides: &[Field]) -> Vec<Field> {
    schema
        .fields
        .iter()
        .map(|field| overrides.iter().find(|o| o.name == field.name).unwrap_or(field).clone())
        .collect()
}
