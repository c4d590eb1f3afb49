//! The account side that official clients ask for when they start (api.md 12): true answers of a server that has no
//! accounts and no zones.

use super::Shared;
use super::access::Peer;
use super::auth::Principal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};

/// Zones remembered, and bytes of a name: clients make two.
const ZONES: usize = 100;
const ZONE_NAME_BYTES: usize = 200;

pub(super) async fn status(
    State(_): State<Arc<Shared>>,
    principal: Principal,
    peer: Option<Extension<Peer>>,
) -> Json<Value> {
    let ip = peer.map(|peer| peer.0.0.ip().to_string()).unwrap_or_default();
    Json(
        json!({ "status": "active", "customer": principal.name.as_ref(), "can_make_requests": true, "ip": ip }),
    )
}

pub(super) async fn balance() -> Json<Value> {
    Json(json!({ "balance": 0, "pending_balance": 0 }))
}

/// The zones that clients said they made.
pub(super) async fn zones(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let zones = shared.zones.lock().unwrap_or_else(PoisonError::into_inner);
    Json(zones.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect())
}

pub(super) async fn zone() -> Json<Value> {
    Json(json!({}))
}

/// Clients make the zones that they miss and then look for them: they are remembered while the server runs, and mean
/// nothing.
pub(super) async fn make_zone(State(shared): State<Arc<Shared>>, body: Bytes) -> Json<Value> {
    // What is no JSON names no zone.
    let zone = serde_json::from_slice::<Value>(&body).map(|body| body["zone"].clone()).unwrap_or_default();
    if let Some(name) = zone["name"].as_str().filter(|name| name.len() <= ZONE_NAME_BYTES) {
        let kind =
            zone["type"].as_str().unwrap_or("unblocker").chars().take(ZONE_NAME_BYTES).collect::<String>();
        let mut zones = shared.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if zones.len() < ZONES && zones.iter().all(|(known, _)| known != name) {
            zones.push((name.to_owned(), kind));
        }
    }
    Json(json!({ "status": "ok" }))
}

pub(super) async fn zone_cost() -> Json<Value> {
    Json(json!({}))
}

pub(super) async fn zone_passwords() -> Json<Value> {
    Json(json!({ "passwords": [] }))
}
