//! `GET /v1/runs`, `GET /v1/runs/{id}`.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    auth::Reader,
    problem::Problem,
    views::{self, Audit},
};
use crate::domain::id::RunId;

/// The most that one page holds.
const PAGE: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The last run of the page before.
    after: Option<String>,
}

/// The organization's runs, newest first, a page at a time.
pub(super) async fn list(
    State(api): Shared,
    reader: Reader,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let after = query
        .after
        .map(|id| id.parse::<RunId>())
        .transpose()
        .map_err(|problem| Problem::bad_request("invalid_cursor", problem.to_string()))?;
    let runs = api.store.runs(&reader.org, after, PAGE).await?;
    let next = runs.last().filter(|_| i64::try_from(runs.len()) == Ok(PAGE)).map(|run| run.id);
    let mut shown = Vec::with_capacity(runs.len());
    for run in &runs {
        let sums = api.store.sums(&reader.org, run.id).await?;
        shown.push(views::run(run, &sums, &Audit::Running, api.clock.now()));
    }
    Ok(Json(json!({ "runs": shown, "next": next })))
}

/// One run, with its sums.
pub(super) async fn show(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let missing = || Problem::not_found(format!("there is no run \"{id}\""));
    let id: RunId = id.parse().map_err(|_| missing())?;
    let run = api.store.run(&reader.org, id).await?.ok_or_else(missing)?;
    let sums = api.store.sums(&reader.org, id).await?;
    Ok(Json(json!({ "run": views::run(&run, &sums, &Audit::Running, api.clock.now()) })))
}
