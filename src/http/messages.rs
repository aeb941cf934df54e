//! `GET /v1/messages`, `GET /v1/messages/{id}`, `GET /v1/runs/{id}/messages`.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Reader,
    problem::Problem,
    query::{self, Path, Query, number, parsed},
    views::{self, MessageView},
};
use crate::{
    domain::{
        id::{MessageId, OrgId, RunId},
        message::Status,
    },
    store::messages::MessageSearch,
};

/// The most that one page holds.
const PAGE: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(search)).routes(routes!(show)).routes(routes!(of_run))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct SearchQuery {
    /// Those of this run, in its order.
    #[param(value_type = Option<RunId>)]
    run: Option<String>,
    /// Those to this number in international form, the newest first.
    #[param(example = "+4915155500001")]
    to: Option<String>,
    /// Those with this status.
    #[param(value_type = Option<Status>)]
    status: Option<String>,
    /// The last message of the page before.
    #[param(value_type = Option<MessageId>)]
    after: Option<String>,
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
struct Messages {
    messages: Vec<MessageView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<MessageId>,
}

/// A message.
#[derive(Serialize, ToSchema)]
struct OneMessage {
    message: MessageView,
}

/// Searches messages
///
/// Those of a run in its order, or those to a number newest first: one of `run` and `to` has to be given.
#[utoipa::path(get, path = "/v1/messages", tag = "messages", params(SearchQuery), security(("key" = ["read"])), responses((status = 200, body = Messages)))]
async fn search(
    State(api): Shared,
    reader: Reader,
    Query(asked): Query<SearchQuery>,
) -> Result<Json<Messages>, Problem> {
    if asked.run.is_none() && asked.to.is_none() {
        return Err(Problem::bad_request(
            "invalid_query",
            "a search names a run (`run=run_…`) or a number (`to=%2B49…`)",
        ));
    }
    let search = MessageSearch {
        run: parsed("run", asked.run)?,
        to: number("to", asked.to)?,
        status: parsed("status", asked.status)?,
        after: query::cursor(asked.after)?,
    };
    page(&api, &reader.org, &search).await
}

async fn page(api: &Api, org: &OrgId, search: &MessageSearch) -> Result<Json<Messages>, Problem> {
    let found = api.store.search_messages(org, search, PAGE).await?;
    let next = query::next(&found, PAGE, |message| message.id);
    Ok(Json(Messages { messages: found.iter().map(views::message).collect(), next }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct OfRunQuery {
    /// Those with this status.
    #[param(value_type = Option<Status>)]
    status: Option<String>,
    /// The last message of the page before.
    #[param(value_type = Option<MessageId>)]
    after: Option<String>,
}

/// Lists the messages of a run
///
/// In its order, a page at a time.
#[utoipa::path(get, path = "/v1/runs/{id}/messages", tag = "runs", params(("id" = RunId, Path, description = "The run"), OfRunQuery), security(("key" = ["read"])), responses((status = 200, body = Messages)))]
async fn of_run(
    State(api): Shared,
    reader: Reader,
    Path(id): Path<String>,
    Query(asked): Query<OfRunQuery>,
) -> Result<Json<Messages>, Problem> {
    let missing = || Problem::not_found(format!("there is no run \"{id}\""));
    let run: RunId = id.parse().map_err(|_| missing())?;
    let (status, after) = (parsed("status", asked.status)?, query::cursor(asked.after)?);
    api.store.run(&reader.org, run).await?.ok_or_else(missing)?;
    page(&api, &reader.org, &MessageSearch { run: Some(run), to: None, status, after }).await
}

/// Shows a message
#[utoipa::path(get, path = "/v1/messages/{id}", tag = "messages", params(("id" = MessageId, Path, description = "The message")), security(("key" = ["read"])), responses((status = 200, body = OneMessage)))]
async fn show(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Json<OneMessage>, Problem> {
    let missing = || Problem::not_found(format!("there is no message \"{id}\""));
    let id: MessageId = id.parse().map_err(|_| missing())?;
    let message = api.store.message(&reader.org, id).await?.ok_or_else(missing)?;
    Ok(Json(OneMessage { message: views::message(&message) }))
}
