//! `/healthz`, `/readyz`, `/metrics`: for those who operate herald. No key: they say nothing about any organization.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Shared, problem::Problem};
use crate::telemetry::METRICS_CONTENT_TYPE;

/// The process is there.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database answers, and its schema is this herald's.
pub(super) async fn readyz(State(api): Shared) -> Result<Json<Value>, Problem> {
    api.store.ready().await.map_err(|problem| Problem::unavailable(problem.to_string()))?;
    Ok(Json(json!({ "status": "ready" })))
}

/// The figures, as OpenMetrics.
pub(super) async fn metrics(State(api): Shared) -> Response {
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], api.metrics.render()).into_response()
}
