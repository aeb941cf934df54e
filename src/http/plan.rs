//! `GET /v1/runs/{id}/plan`: what a run still sends, what that costs, what bounds it, and when it will end.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, Shared, auth::Reader, problem::Problem, query::Path};
use crate::{
    domain::id::RunId,
    intake::plan::{self, Desk, NoPlan, PlanView},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(plan_of))
}

/// What a run still sends, what that costs, what bounds it, and when it will end
///
/// Worked out by the pace and the quota that send, from what is known now: messages that will fail and be tried again, and work
/// that is still to come, are not in it.
#[utoipa::path(get, path = "/v1/runs/{id}/plan", tag = "runs", params(("id" = RunId, Path, description = "The run's id")),
    security(("key" = ["read"])), responses((status = 200, body = PlanView)))]
async fn plan_of(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Json<PlanView>, Problem> {
    let missing = || Problem::not_found(format!("there is no run \"{id}\""));
    let run = id.parse().map_err(|_| missing())?;
    let run = api.store.run(&reader.org, run).await?.ok_or_else(missing)?;
    let book = api.books.current(&reader.org).await?.ok_or_else(missing)?;
    let desk = Desk { store: &api.store, book: &book, slots: api.slots, now: api.clock.now() };
    match plan::of_run(desk, &run).await {
        Ok(plan) => Ok(Json(plan)),
        Err(NoPlan::Store(problem)) => Err(problem.into()),
        Err(problem) => Err(Problem::new(StatusCode::CONFLICT, "conflict", problem.to_string())),
    }
}
