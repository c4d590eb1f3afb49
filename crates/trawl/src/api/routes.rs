//! The routes: one place that says what there is, and in what order a request passes the walls.

use super::error::{no_such_method, no_such_path};
use super::{
    Api, Shared, access, account, archive, auth, changes, datasets, defaults, delivery, delivery_list,
    explain, hosts, manage, nodes, openapi, progress, proxies, quality, schedules, snapshot, trigger,
};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

/// Paths that need no token.
const PUBLIC: &[&str] = &["/healthz", "/readyz", "/metrics", "/openapi.json"];

/// Needs no token?
pub(super) fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path) || crate::ui::PATHS.contains(&path)
}

/// Schedules, under the API's own name and a short one.
fn scheduling() -> Router<Arc<Shared>> {
    ["/datasets/v3/schedules", "/schedules"].iter().fold(Router::new(), |router, at| {
        router
            .route(at, get(schedules::list).post(schedules::create))
            .route(
                &format!("{at}/{{schedule_id}}"),
                get(schedules::get).put(schedules::put).patch(schedules::patch).delete(schedules::delete),
            )
            .route(&format!("{at}/{{schedule_id}}/run"), post(schedules::run))
    })
}

/// The API as a service.
pub fn router(api: &Api) -> Router {
    let shared = Arc::new(Shared::of(api));
    let routes = scheduling()
        .route("/datasets/v3/trigger", post(trigger::trigger))
        .route("/datasets/v3/scrape", post(trigger::scrape))
        .route("/datasets/v3/progress/{snapshot_id}", get(progress::progress))
        .route("/datasets/v3/progress/{snapshot_id}/events", get(progress::events))
        .route("/datasets/v3/snapshot/{snapshot_id}", get(snapshot::download))
        .route("/datasets/v3/snapshot/{snapshot_id}/parts", get(snapshot::parts))
        .route("/datasets/v3/snapshot/{snapshot_id}/input", get(snapshot::input))
        .route("/datasets/v3/snapshot/{snapshot_id}/archive", get(archive::download))
        .route("/datasets/v3/snapshot/{snapshot_id}/cancel", post(manage::cancel))
        .route("/datasets/v3/snapshot/{snapshot_id}/rerun", post(manage::rerun))
        .route("/datasets/v3/snapshot/{snapshot_id}/changes", get(changes::changes))
        .route("/datasets/v3/snapshot/{snapshot_id}/explain", get(explain::explain))
        .route("/datasets/v3/snapshot/{snapshot_id}/quality", get(quality::quality))
        .route("/datasets/v3/snapshot/{snapshot_id}/release", post(quality::release))
        .route("/datasets/v3/current", get(quality::current))
        .route("/datasets/v3/snapshots", get(manage::list))
        .route("/datasets/v3/log/{snapshot_id}", get(manage::log))
        .route("/datasets/v3/deliver/{snapshot_id}", post(delivery::deliver))
        .route("/datasets/v3/delivery/{delivery_id}", get(delivery::delivery))
        .route("/datasets/v3/delivery/{delivery_id}/retry", post(delivery::retry))
        .route("/datasets/v3/deliveries", get(delivery_list::list))
        .route(
            "/datasets/v3/delivery_settings/{dataset_id}",
            get(defaults::get).put(defaults::put).delete(defaults::delete),
        )
        .route("/datasets/delivery_settings/test", post(defaults::test))
        .route("/datasets/v3/scrapers", get(datasets::scrapers))
        .route("/datasets/list", get(datasets::list))
        .route("/datasets/{dataset_id}/metadata", get(datasets::metadata))
        .route("/hosts", get(hosts::list))
        .route("/hosts/{host}", get(hosts::host))
        .route("/proxies", get(proxies::proxies))
        .route("/nodes", get(nodes::nodes))
        .route("/status", get(account::status))
        .route("/customer/balance", get(account::balance))
        .route("/zone/get_active_zones", get(account::zones))
        .route("/zone", get(account::zone).post(account::make_zone))
        .route("/zone/cost", get(account::zone_cost))
        .route("/zone/passwords", get(account::zone_passwords))
        .route("/openapi.json", get(openapi_json))
        .merge(crate::ui::routes());
    served(routes, shared)
}

/// What a node serves that only works: whether it is well.
pub fn worker_router(api: &Api) -> Router {
    served(Router::new(), Arc::new(Shared::of(api)))
}

/// These routes and those of every node, behind the walls.
fn served(routes: Router<Arc<Shared>>, shared: Arc<Shared>) -> Router {
    routes
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(typed))
        .layer(from_fn_with_state(shared.clone(), auth::door))
        .layer(from_fn_with_state(shared.clock.clone(), access::log))
        .with_state(shared)
}

/// Refusals that the router makes by itself (a path that is not UTF-8, …) become ours.
async fn typed(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let response = next.run(request).await;
    let is_plain =
        response.headers().get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"text/plain"));
    if response.status() == StatusCode::BAD_REQUEST && is_plain {
        return super::error::ApiError::bad("The path is not valid").into_response();
    }
    response
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if auth::store_answers(&*shared.store).await {
        "ok\n".into_response()
    } else {
        super::error::ApiError::unavailable("the store does not answer").into_response()
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    match &shared.metrics {
        Some(source) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], source().await).into_response(),
        None => no_such_path().await.into_response(),
    }
}

async fn openapi_json() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::openapi()).into_response()
}
