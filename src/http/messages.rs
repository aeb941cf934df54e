//! `GET /v1/messages`, `GET /v1/messages/{id}`.

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
    query::{number, parsed},
    views,
};
use crate::{domain::id::MessageId, store::messages::MessageSearch};

/// The most that one page holds.
const PAGE: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchQuery {
    run: Option<String>,
    to: Option<String>,
    status: Option<String>,
    /// The last message of the page before.
    after: Option<String>,
}

/// Messages of a run in its order, or to a number newest first.
pub(super) async fn search(
    State(api): Shared,
    reader: Reader,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    if query.run.is_none() && query.to.is_none() {
        return Err(Problem::bad_request(
            "invalid_query",
            "a search names a run (`run=run_…`) or a number (`to=%2B49…`)",
        ));
    }
    let search = MessageSearch {
        run: parsed("run", query.run)?,
        to: number("to", query.to)?,
        status: parsed("status", query.status)?,
        after: parsed("after", query.after)?,
    };
    let found = api.store.search_messages(&reader.org, &search, PAGE).await?;
    let next = found.last().filter(|_| i64::try_from(found.len()) == Ok(PAGE)).map(|message| message.id);
    Ok(Json(json!({ "messages": found.iter().map(views::message).collect::<Vec<_>>(), "next": next })))
}

/// One message.
pub(super) async fn show(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let missing = || Problem::not_found(format!("there is no message \"{id}\""));
    let id: MessageId = id.parse().map_err(|_| missing())?;
    let message = api.store.message(&reader.org, id).await?.ok_or_else(missing)?;
    Ok(Json(json!({ "message": views::message(&message) })))
}
