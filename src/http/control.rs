//! `POST /v1/runs/{id}/pause`, `/resume`, `/cancel`, `/retry-failed`: what an operator orders of a run.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Sender,
    once::once,
    problem::Problem,
    query::{self, Path},
    views::{self, Audit, RunView},
};
use crate::{
    domain::id::RunId,
    engine::{self, Obeyed, Order, Refused},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
        .routes(routes!(retry_failed))
}

/// A run that has done as it was told.
#[derive(Serialize, ToSchema)]
struct Controlled {
    run: RunView,
    /// What there is to say of it
    note: String,
    /// Messages of the run that are cancelled
    cancelled: i64,
    /// Messages of the run that a provider has or may have
    with_provider: i64,
    /// Messages that are queued again
    retried: u64,
}

/// Send nothing more of a run for now
///
/// Requests in flight stop before their next messages. A run that is paused already stays so, and the note says it.
#[utoipa::path(
    post, path = "/v1/runs/{id}/pause", tag = "runs",
    params(
        ("id" = RunId, Path, description = "The run's id"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    security(("key" = ["send"])),
    responses((status = 200, body = Controlled), (status = 404, description = "There is no such run"), (status = 409, description = "It is neither running nor held"))
)]
async fn pause(api: Shared, sender: Sender, id: Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    obey(api, sender, id, &headers, Order::Pause, "pause").await
}

/// Go on with a run that is paused or held
///
/// What its canary held back is released, if that was what paused it. What has failed so far does not pause it again.
#[utoipa::path(
    post, path = "/v1/runs/{id}/resume", tag = "runs",
    params(
        ("id" = RunId, Path, description = "The run's id"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    security(("key" = ["send"])),
    responses((status = 200, body = Controlled), (status = 404, description = "There is no such run"), (status = 409, description = "It is neither paused nor held"))
)]
async fn resume(api: Shared, sender: Sender, id: Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    obey(api, sender, id, &headers, Order::Resume, "resume").await
}

/// End a run: what is not yet sent is cancelled
///
/// What a provider has cannot be called back; the answer says how many messages that is.
#[utoipa::path(
    post, path = "/v1/runs/{id}/cancel", tag = "runs",
    params(
        ("id" = RunId, Path, description = "The run's id"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    security(("key" = ["send"])),
    responses((status = 200, body = Controlled), (status = 404, description = "There is no such run"), (status = 409, description = "It is over"))
)]
async fn cancel(api: Shared, sender: Sender, id: Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    obey(api, sender, id, &headers, Order::Cancel, "cancel").await
}

/// Put a run's failed and undelivered messages back into the queue
///
/// A run that is stopped stays so until it is resumed.
#[utoipa::path(
    post, path = "/v1/runs/{id}/retry-failed", tag = "runs",
    params(
        ("id" = RunId, Path, description = "The run's id"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    security(("key" = ["send"])),
    responses((status = 200, body = Controlled), (status = 404, description = "There is no such run"), (status = 409, description = "It was cancelled, never began, or is being taken in"))
)]
async fn retry_failed(api: Shared, sender: Sender, id: Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    obey(api, sender, id, &headers, Order::RetryFailed, "retry-failed").await
}

async fn obey(
    State(api): Shared,
    sender: Sender,
    Path(id): Path<String>,
    headers: &HeaderMap,
    order: Order,
    name: &str,
) -> Result<Response, Problem> {
    let run: RunId = id.parse().map_err(|_| Problem::not_found(format!("there is no run \"{id}\"")))?;
    let key = query::idempotency_key(headers)?;
    // There is no body: the path is all that is asked.
    let digest = format!("POST /v1/runs/{run}/{name}");
    once(&api, &sender.org, key, &digest, async |_| {
        let obeyed = engine::control(&api.store, &api.books, &api.clock, &sender.org, run, order).await?;
        Ok((StatusCode::OK, controlled(&api, obeyed)))
    })
    .await
}

fn controlled(api: &Api, obeyed: Obeyed) -> Controlled {
    Controlled {
        run: views::run(&obeyed.run, &obeyed.sums, &Audit::Running, api.clock.now()),
        cancelled: obeyed.cancelled(),
        with_provider: obeyed.with_provider(),
        retried: obeyed.retried,
        note: obeyed.note,
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Missing(_) => Self::not_found(detail),
            Refused::Unfit { .. } => Self::new(StatusCode::CONFLICT, "conflict", detail),
            Refused::Store(problem) => problem.into(),
        }
    }
}
