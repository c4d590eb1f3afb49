//! `GET /nodes`: the processes that work on this store.

use super::Shared;
use super::auth::Principal;
use super::error::Result;
use axum::Json;
use axum::extract::State;
use model::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// Those that gave a sign of life of late, the one that answers first.
pub(super) async fn nodes(State(shared): State<Arc<Shared>>, principal: Principal) -> Result<Json<Value>> {
    principal.check_all()?;
    let nodes = shared.nodes.list().await?;
    let row = |node: &crate::nodes::Node| {
        json!({
            "node": node.node,
            "role": node.role,
            "version": node.version,
            "jobs": node.jobs,
            "lanes": node.lanes,
            "started_at": Timestamp::from_ms(node.started_at).to_string(),
            "seen_at": Timestamp::from_ms(node.seen_at).to_string(),
        })
    };
    let rows: Vec<Value> = nodes.iter().map(row).collect();
    Ok(Json(json!({ "nodes": rows, "total": rows.len() })))
}
