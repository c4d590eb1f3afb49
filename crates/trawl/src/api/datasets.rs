//! The catalogue: scrapers with their schemas, datasets, fields (api.md 7).

use super::Shared;
use super::auth::Principal;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use extract::{DoorSpec, Scraper};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) const SCRAPERS: &[Param] = &[
    optional("dataset_id", Kind::Text, "Only this one: its id, an alias, or its name."),
    optional("domain", Kind::Text, "Only those of this site."),
];

/// Scrapers with the schemas of their doors.
pub(super) async fn scrapers(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>> {
    let query = Query::read_only(raw.as_deref(), SCRAPERS)?;
    let wanted = query.text("dataset_id");
    let chosen = match wanted {
        Some(id) => shared.catalogue.find(id).into_iter().collect(),
        None => shared.catalogue.all(),
    };
    let domain = query.text("domain");
    let mut rows: Vec<Value> = chosen
        .iter()
        .filter(|s| principal.may_use(s.dataset_id(), Some(s)))
        .filter(|s| domain.is_none_or(|domain| s.domain() == Some(domain)))
        .map(|scraper| row(scraper, wanted, shared.catalogue.fault(scraper.name())))
        .collect();
    if let Some(name) = wanted.filter(|_| chosen.is_empty() && domain.is_none())
        && principal.may_use(name, None)
        && let Some(fault) = shared.catalogue.fault(name)
    {
        // Its file was never good: only whoever asks for it by its folder's name is told.
        rows.push(json!({ "id": name, "name": name, "scraper": name, "scrapers": {}, "fault": fault }));
    }
    Ok(Json(Value::Array(rows)))
}

fn row(scraper: &Scraper, wanted: Option<&str>, fault: Option<String>) -> Value {
    // Asked for by an alias, it answers to the alias.
    let id =
        wanted.filter(|id| scraper.aliases().iter().any(|alias| alias == id)).unwrap_or(scraper.dataset_id());
    let fields: Vec<Value> = scraper
        .fields()
        .iter()
        .map(|f| json!({ "name": f.name, "type": f.type_word, "description": f.description, "required": f.required }))
        .collect();
    let doors: Map<String, Value> =
        scraper.doors().iter().map(|d| (d.name.clone(), door(d, &fields))).collect();
    let mut row = json!({
        "id": id, "name": scraper.title(), "domain": scraper.domain(), "description": scraper.description(),
        "scraper": scraper.name(), "version": scraper.version(), "scrapers": doors,
    });
    if let Some(fault) = fault {
        // The file is broken now; this is its last good version.
        row["fault"] = json!(fault);
    }
    row
}

fn door(door: &DoorSpec, fields: &[Value]) -> Value {
    let inputs: Vec<Value> = door
        .inputs
        .iter()
        .map(|input| {
            let mut row =
                json!({ "name": input.name, "type": input.kind.as_str(), "required": input.required });
            if !input.description.is_empty() {
                row["description"] = json!(input.description);
            }
            if let Some(pattern) = &input.pattern {
                row["pattern"] = json!(pattern.as_str());
            }
            if !input.choices.is_empty() {
                row["enum"] = json!(input.choices);
            }
            if let Some(default) = &input.default {
                row["default"] = default.clone();
            }
            row
        })
        .collect();
    json!({ "input_schema": inputs, "output_fields": fields, "sample_input": door.samples, "description": door.description })
}

/// Datasets by id and name; `size` is the number of fields that a row has.
pub(super) async fn list(State(shared): State<Arc<Shared>>, principal: Principal) -> Json<Value> {
    let all = shared.catalogue.all();
    let rows = all
        .iter()
        .filter(|s| principal.may_use(s.dataset_id(), Some(s)))
        .map(|s| json!({ "id": s.dataset_id(), "name": s.title(), "size": s.fields().len() }))
        .collect();
    Json(Value::Array(rows))
}

/// The fields of a dataset.
pub(super) async fn metadata(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    principal.check(&shared, &id)?;
    let scraper = shared.catalogue.find(&id).ok_or_else(|| ApiError::missing("Dataset not found"))?;
    let fields: Map<String, Value> = scraper
        .fields()
        .iter()
        .map(|f| {
            let about = json!({ "type": f.type_word, "active": true, "required": f.required, "description": f.description });
            (f.name.clone(), about)
        })
        .collect();
    let mut body = json!({ "id": id, "fields": fields, "version": scraper.version() });
    if let Some(fault) = shared.catalogue.fault(scraper.name()) {
        body["fault"] = json!(fault);
    }
    Ok(Json(body))
}
