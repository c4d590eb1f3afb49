//! `/openapi.json` (OpenAPI 3.1), made from the tables that the handlers read their queries by.
//!
//! Invariant: what an operation can answer stands here; a property-based client is run against it in the tests.

use super::query::Param;
use super::{
    archive, changes, datasets, delivery, delivery_list, destination, explain, hosts, manage, options,
    progress, quality, snapshot,
};
use model::{Format, limit};
use serde_json::{Map, Value, json};

/// What an operation answers with 200.
#[derive(Clone, Copy)]
enum Good {
    Object,
    Array,
    Rows,
    /// Rows, or an object with their counts.
    Changes,
    Text,
    Csv,
    Archive,
    Events,
}

struct Operation {
    method: &'static str,
    path: &'static str,
    about: &'static str,
    query: &'static [Param],
    body: Option<Body>,
    good: Good,
    /// Statuses besides 200 and those of every operation behind the door.
    more: &'static [u16],
    public: bool,
}

#[derive(Clone, Copy)]
enum Body {
    Inputs,
    Deliver,
    Schedule,
    Anything,
}

const fn get(
    path: &'static str,
    about: &'static str,
    query: &'static [Param],
    good: Good,
    more: &'static [u16],
) -> Operation {
    Operation { method: "get", path, about, query, body: None, good, more, public: false }
}

const fn post(
    path: &'static str,
    about: &'static str,
    query: &'static [Param],
    body: Option<Body>,
    good: Good,
    more: &'static [u16],
) -> Operation {
    Operation { method: "post", path, about, query, body, good, more, public: false }
}

/// Another method, where an id of a schedule is in the path.
const fn schedule(method: &'static str, about: &'static str, body: Option<Body>) -> Operation {
    let more: &[u16] = if body.is_some() { &[400, 403, 404, 408, 413, 415] } else { &[400, 403, 404] };
    let path = "/datasets/v3/schedules/{schedule_id}";
    Operation { method, path, about, query: &[], body, good: Good::Object, more, public: false }
}

const fn public(path: &'static str, about: &'static str, good: Good, more: &'static [u16]) -> Operation {
    Operation { method: "get", path, about, query: &[], body: None, good, more, public: true }
}

const OPERATIONS: &[Operation] = &[
    post(
        "/datasets/v3/trigger",
        "Begin a job.",
        options::TRIGGER,
        Some(Body::Inputs),
        Good::Object,
        &[400, 403, 404, 408, 409, 413, 415],
    ),
    post(
        "/datasets/v3/scrape",
        "Begin a job and wait for its rows.",
        options::SCRAPE,
        Some(Body::Inputs),
        Good::Rows,
        &[202, 400, 403, 404, 408, 409, 413, 415],
    ),
    get(
        "/datasets/v3/progress/{snapshot_id}",
        "Where a job stands.",
        progress::PROGRESS,
        Good::Object,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/progress/{snapshot_id}/events",
        "Every change of a job, as server-sent events.",
        &[],
        Good::Events,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/snapshot/{snapshot_id}",
        "Download the rows.",
        snapshot::DOWNLOAD,
        Good::Rows,
        &[202, 400, 403, 404],
    ),
    get(
        "/datasets/v3/snapshot/{snapshot_id}/parts",
        "Into how many parts the rows fall.",
        snapshot::PARTS,
        Good::Object,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/snapshot/{snapshot_id}/input",
        "What was sent, as CSV.",
        &[],
        Good::Csv,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/snapshot/{snapshot_id}/archive",
        "Download the pages kept, as WARC 1.1 (gzip, a member for each record).",
        archive::DOWNLOAD,
        Good::Archive,
        &[202, 400, 403, 404],
    ),
    get(
        "/datasets/v3/snapshot/{snapshot_id}/changes",
        "What became of the records since an earlier snapshot.",
        changes::CHANGES,
        Good::Changes,
        &[400, 403, 404],
    ),
    post(
        "/datasets/v3/snapshot/{snapshot_id}/cancel",
        "Stop a job; what was collected is kept.",
        &[],
        None,
        Good::Text,
        &[400, 403, 404],
    ),
    post(
        "/datasets/v3/snapshot/{snapshot_id}/rerun",
        "The same inputs and options again, from the sites or from the pages kept.",
        manage::RERUN,
        None,
        Good::Object,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/snapshot/{snapshot_id}/explain",
        "Which rules of the scraper's file looked for the fields of a record, and where they found them if the page was kept.",
        explain::EXPLAIN,
        Good::Object,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/snapshot/{snapshot_id}/quality",
        "What the records are like, field by field, beside the runs before.",
        &[],
        Good::Object,
        &[400, 403, 404],
    ),
    post(
        "/datasets/v3/snapshot/{snapshot_id}/release",
        "Let the rows of a snapshot go that the quality gate holds back.",
        quality::RELEASE,
        None,
        Good::Object,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/current",
        "The newest snapshot of a dataset that is ready and not held back.",
        quality::CURRENT,
        Good::Object,
        &[400, 403, 404],
    ),
    get("/datasets/v3/snapshots", "Jobs of a dataset, newest first.", manage::LIST, Good::Array, &[400, 403]),
    get(
        "/datasets/v3/log/{snapshot_id}",
        "What was asked and how it went.",
        &[],
        Good::Object,
        &[400, 403, 404],
    ),
    post(
        "/datasets/v3/deliver/{snapshot_id}",
        "Deliver a snapshot once more.",
        delivery::DELIVER,
        Some(Body::Deliver),
        Good::Object,
        &[400, 403, 404, 408, 413, 415],
    ),
    get(
        "/datasets/v3/delivery/{delivery_id}",
        "Where a delivery stands.",
        &[],
        Good::Object,
        &[400, 403, 404],
    ),
    post(
        "/datasets/v3/delivery/{delivery_id}/retry",
        "Take a failed delivery up again, from the part that failed on.",
        &[],
        None,
        Good::Object,
        &[400, 403, 404, 409],
    ),
    get(
        "/datasets/v3/deliveries",
        "Deliveries with their attempts, the newest first; of all snapshots, the newest 50,000 deliveries are looked at.",
        delivery_list::LIST,
        Good::Array,
        &[400, 403, 404],
    ),
    get(
        "/datasets/v3/delivery_settings/{dataset_id}",
        "Where snapshots of a dataset are delivered unless their trigger says otherwise, without the credentials.",
        &[],
        Good::Object,
        &[400, 403, 404],
    ),
    Operation {
        method: "put",
        path: "/datasets/v3/delivery_settings/{dataset_id}",
        about: "Set where snapshots of a dataset are delivered unless their trigger says otherwise.",
        query: &[],
        body: Some(Body::Deliver),
        good: Good::Object,
        more: &[400, 403, 404, 408, 413, 415],
        public: false,
    },
    Operation {
        method: "delete",
        path: "/datasets/v3/delivery_settings/{dataset_id}",
        about: "Forget it; deliveries that were promised are kept.",
        query: &[],
        body: None,
        good: Good::Object,
        more: &[400, 403, 404],
        public: false,
    },
    post(
        "/datasets/delivery_settings/test",
        "Try a destination with a few bytes: which steps worked, and which one did not.",
        &[],
        Some(Body::Deliver),
        Good::Object,
        &[400, 408, 413, 415],
    ),
    get(
        "/datasets/v3/scrapers",
        "Scrapers with the schemas of their doors.",
        datasets::SCRAPERS,
        Good::Array,
        &[400],
    ),
    get("/datasets/v3/schedules", "Saved triggers that run by themselves.", &[], Good::Array, &[400]),
    post(
        "/datasets/v3/schedules",
        "Save a trigger with a cron expression.",
        &[],
        Some(Body::Schedule),
        Good::Object,
        &[400, 403, 404, 408, 413, 415],
    ),
    schedule("get", "One schedule: what is planned, what ran, its inputs.", None),
    schedule("put", "Replace its definition.", Some(Body::Schedule)),
    schedule("patch", "Change some of its fields.", Some(Body::Anything)),
    schedule("delete", "Take it away; its runs stay.", None),
    post(
        "/datasets/v3/schedules/{schedule_id}/run",
        "Begin a run of it now.",
        &[],
        None,
        Good::Object,
        &[400, 403, 404, 409],
    ),
    get("/datasets/list", "Datasets by id and name.", &[], Good::Array, &[]),
    get("/datasets/{dataset_id}/metadata", "The fields of a dataset.", &[], Good::Object, &[400, 403, 404]),
    get(
        "/hosts",
        "Hosts that are known, with pace, latency, trouble and robots.txt; those that somebody waits for first.",
        hosts::LIST,
        Good::Object,
        &[400, 403],
    ),
    get("/hosts/{host}", "One host, by its name with its port.", &[], Good::Object, &[400, 403, 404]),
    get("/proxies", "How the proxies for pages fare.", &[], Good::Array, &[]),
    get("/nodes", "The processes that work on this store.", &[], Good::Object, &[403]),
    get("/status", "That the server takes requests.", &[], Good::Object, &[]),
    get("/customer/balance", "Always nothing: this server has no accounts.", &[], Good::Object, &[]),
    get("/zone/get_active_zones", "Always none: this server has no zones.", &[], Good::Array, &[]),
    get("/zone", "Always empty: this server has no zones.", &[], Good::Object, &[]),
    post(
        "/zone",
        "Accepted without effect: clients make the zones that they miss.",
        &[],
        Some(Body::Anything),
        Good::Object,
        &[],
    ),
    get("/zone/cost", "Always nothing.", &[], Good::Object, &[]),
    get("/zone/passwords", "Always none.", &[], Good::Object, &[]),
    public("/healthz", "The process lives.", Good::Text, &[]),
    public("/readyz", "The store answers.", Good::Text, &[503]),
    public("/metrics", "Numbers in Prometheus' text format.", Good::Text, &[404]),
    public("/openapi.json", "This description.", Good::Object, &[]),
];

/// The description as JSON text.
pub fn openapi() -> String {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Trawl",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A self-hosted Web Scraper API server that speaks the datasets v3 API.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": {
                "Error": {
                    "type": "object", "required": ["error"],
                    "properties": { "error": { "type": "string" } },
                },
            },
        },
        "security": [{ "token": [] }],
    })
    .to_string()
}

fn describe(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = path_names(operation.path)
        .map(|name| {
            let pattern = if name == "host" { "^[A-Za-z0-9][A-Za-z0-9._:-]*$" } else { "^[A-Za-z0-9_-]+$" };
            json!({
                "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "minLength": 1, "pattern": pattern },
            })
        })
        .collect();
    parameters.extend(operation.query.iter().map(|param| {
        json!({
            "name": param.name, "in": "query", "required": param.required,
            "description": param.about, "schema": param.kind.schema(),
        })
    }));
    if matches!(operation.body, Some(Body::Inputs)) {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key with the same request gives the first job again, for 24 hours.",
            "schema": { "type": "string", "minLength": 1, "maxLength": limit::IDEMPOTENCY_KEY_CHARS, "pattern": "^[!-~]+$" },
        }));
    }
    let mut answers = Map::new();
    answers.insert("200".into(), good(operation.good));
    let behind_the_door: &[u16] = if operation.public { &[] } else { &[401, 429, 500, 503] };
    for status in operation.more.iter().chain(behind_the_door) {
        answers.insert(status.to_string(), refusal(*status));
    }
    let id: String = format!("{} {}", operation.method, operation.path)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let mut out = json!({
        "operationId": id, "summary": operation.about, "parameters": parameters, "responses": answers,
    });
    if operation.public {
        out["security"] = json!([]);
    }
    if let Some(body) = operation.body {
        out["requestBody"] = request_body(body);
    }
    out
}

fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn good(good: Good) -> Value {
    let typed = |media: &str, schema: Value| json!({ "description": "Done.", "content": { media: { "schema": schema } } });
    match good {
        Good::Object => typed("application/json", json!({ "type": "object" })),
        Good::Array => typed("application/json", json!({ "type": "array", "items": { "type": "object" } })),
        Good::Text => typed("text/plain", json!({ "type": "string" })),
        Good::Csv => typed("text/csv", json!({ "type": "string" })),
        Good::Archive => typed("application/gzip", json!({ "type": "string", "format": "binary" })),
        // Of each event, as clients read it (OpenAPI 3.1 has no other place for that).
        Good::Events => typed(
            "text/event-stream",
            json!({
                "type": "object", "required": ["data"],
                "properties": { "event": { "enum": ["progress", "end"] }, "data": { "type": "string" } },
            }),
        ),
        Good::Rows | Good::Changes => json!({
            "description": "The rows.",
            "content": {
                "application/json": { "schema": match good {
                    Good::Changes => json!({ "type": ["array", "object"], "items": { "type": "object" } }),
                    _ => json!({ "type": "array", "items": { "type": "object" } }),
                } },
                "application/x-ndjson": { "schema": { "type": "string" } },
                "text/csv": { "schema": { "type": "string" } },
                "application/vnd.apache.parquet": { "schema": { "type": "string", "format": "binary" } },
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
                    "schema": { "type": "string", "format": "binary" },
                },
                "application/gzip": { "schema": { "type": "string", "format": "binary" } },
            },
        }),
    }
}

fn refusal(status: u16) -> Value {
    let (about, schema) = match status {
        202 => ("Not ready yet.", json!({ "type": "object", "required": ["message"] })),
        400 => ("The request is refused; the body says why.", error()),
        401 => ("No valid token.", error()),
        403 => ("The token may not do that.", error()),
        404 => ("There is no such thing.", error()),
        408 => ("The body was sent too slowly.", error()),
        409 => ("The Idempotency-Key was used with another request.", error()),
        413 => ("The body is too large.", error()),
        415 => ("The body's type or encoding is not known.", error()),
        429 => ("Too much at once; see Retry-After.", error()),
        503 => ("Not now; see Retry-After.", error()),
        _ => ("Our own fault.", error()),
    };
    json!({ "description": about, "content": { "application/json": { "schema": schema } } })
}

fn error() -> Value {
    json!({ "$ref": "#/components/schemas/Error" })
}

fn request_body(body: Body) -> Value {
    let rows = json!({ "type": "array", "minItems": 1, "items": { "type": "object" } });
    match body {
        Body::Inputs => json!({
            "required": true,
            "content": {
                "application/json": {
                    "schema": { "anyOf": [
                        rows,
                        { "type": "object", "required": ["input"], "properties": {
                            "input": rows,
                            "request_headers": {
                                "type": "object", "additionalProperties": { "type": "string" },
                                "description": "Header lines for the pages. Those that may be secrets go to the hosts of the rows only, and are not shown again.",
                            },
                        } },
                        { "type": "object" },
                    ] },
                    "example": [{ "url": "https://example.com/" }],
                },
                "application/x-ndjson": { "schema": { "type": "string" } },
                "text/csv": { "schema": { "type": "string" } },
                "multipart/form-data": {
                    "schema": {
                        "type": "object", "required": ["data"],
                        "properties": { "data": { "type": "string", "format": "binary" } },
                    },
                },
            },
        }),
        Body::Deliver => json!({
            "required": true,
            "content": { "application/json": { "schema": {
                "type": "object", "required": ["deliver"],
                "properties": {
                    "deliver": {
                        "type": "object", "required": ["type"],
                        "properties": {
                            "type": { "enum": destination::AVAILABLE },
                            "endpoint": { "type": "string", "format": "uri" },
                            "filename": { "type": "object", "properties": {
                                "template": { "type": "string" },
                                "extension": { "enum": Format::ALL.iter().map(|f| f.as_str()).collect::<Vec<_>>() },
                            } },
                            "bucket": { "type": "string" }, "region": { "type": "string" },
                            "container": { "type": "string" }, "directory": { "type": "string" },
                            "endpoint_url": { "type": "string", "format": "uri" },
                            "path": { "type": "string" }, "port": { "type": "integer" },
                            "host_key": { "type": "string" }, "known_hosts": { "type": "string" },
                            "address": { "type": "string", "format": "email" },
                            "credentials": { "type": "object" },
                        },
                    },
                    "compress": { "type": "boolean" },
                    "batch_size": { "type": "integer", "minimum": 1000 },
                },
            } } },
        }),
        Body::Schedule => json!({
            "required": true,
            "content": { "application/json": { "schema": {
                "type": "object", "required": ["dataset_id", "cron", "input"], "additionalProperties": false,
                "properties": {
                    "name": { "type": "string", "maxLength": 200 },
                    "dataset_id": { "type": "string", "maxLength": 200 },
                    "cron": { "type": "string", "description": "5 fields, or 6 with seconds first." },
                    "time_zone": { "type": "string", "description": "IANA name; `UTC` if absent." },
                    "options": { "type": "object", "description": "Options of the trigger, by their names." },
                    "input": { "type": "array", "minItems": 1, "items": { "type": "object" } },
                    "deliver": { "type": ["object", "null"] },
                    "missed": { "enum": ["skip", "once", "all"] },
                    "overlap": { "enum": ["allow", "skip", "wait"] },
                    "enabled": { "type": "boolean" },
                },
            } } },
        }),
        Body::Anything => json!({ "content": { "application/json": { "schema": { "type": "object" } } } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_json_and_names_every_path_parameter() {
        let text: Value = serde_json::from_str(&openapi()).unwrap();
        for operation in OPERATIONS {
            let parameters = &text["paths"][operation.path][operation.method]["parameters"];
            for name in path_names(operation.path) {
                assert!(
                    parameters.as_array().unwrap().iter().any(|p| p["name"] == name),
                    "{}",
                    operation.path
                );
            }
        }
    }
}
