//! `/healthz`, `/readyz`, `/metrics`: for those who operate herald. No key: they say nothing about any organization.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, Shared, problem::Problem};
use crate::telemetry::METRICS_CONTENT_TYPE;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// How herald is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`, or `ready`.
    status: &'static str,
}

/// Says that the process is there
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Says that the database answers, and that its schema is this herald's
#[utoipa::path(
    get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Health), (status = 503, description = "It does not answer, or is of another version"))
)]
async fn readyz(State(api): Shared) -> Result<Json<Health>, Problem> {
    api.store.ready().await.map_err(|problem| Problem::unavailable(problem.to_string()))?;
    Ok(Json(Health { status: "ready" }))
}

/// Shows the figures, as OpenMetrics
#[utoipa::path(
    get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"))
)]
async fn metrics(State(api): Shared) -> Response {
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], api.metrics.render()).into_response()
}
