//! `GET /v1/runs`, `GET /v1/runs/{id}`.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Reader,
    problem::Problem,
    query::{self, Path, Query},
    views::{self, Audit, RunView},
};
use crate::domain::id::RunId;

/// The most that one page holds.
const PAGE: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The last run of the page before.
    #[param(value_type = Option<RunId>)]
    after: Option<String>,
}

/// A page of runs, the newest first.
#[derive(Serialize, ToSchema)]
struct Runs {
    runs: Vec<RunView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<RunId>,
}

/// A run.
#[derive(Serialize, ToSchema)]
struct OneRun {
    run: RunView,
}

/// Lists runs, the newest first
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(ListQuery), security(("key" = ["read"])), responses((status = 200, body = Runs)))]
async fn list(State(api): Shared, reader: Reader, Query(asked): Query<ListQuery>) -> Result<Json<Runs>, Problem> {
    let after: Option<RunId> = query::cursor(asked.after)?;
    let found = api.store.runs(&reader.org, after, PAGE).await?;
    let next = query::next(&found, PAGE, |run| run.id);
    let mut runs = Vec::with_capacity(found.len());
    for run in &found {
        let sums = api.store.sums(&reader.org, run.id).await?;
        runs.push(views::run(run, &sums, &Audit::Running, api.clock.now()));
    }
    Ok(Json(Runs { runs, next }))
}

/// Shows a run with its sums
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = RunId, Path, description = "The run")), security(("key" = ["read"])), responses((status = 200, body = OneRun)))]
async fn show(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Json<OneRun>, Problem> {
    let missing = || Problem::not_found(format!("there is no run \"{id}\""));
    let id: RunId = id.parse().map_err(|_| missing())?;
    let run = api.store.run(&reader.org, id).await?.ok_or_else(missing)?;
    let sums = api.store.sums(&reader.org, id).await?;
    Ok(Json(OneRun { run: views::run(&run, &sums, &Audit::Running, api.clock.now()) }))
}
