//! `/v1/channels`: senders, made, shown, changed and removed.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Admin, Reader},
    bodies::ChannelBody,
    body::Body,
    edit::{self, PageQuery, Seen, Shown},
    problem::Problem,
    query::{Path, Query},
};
use crate::{
    domain::{definition::Channel, id::OrgId},
    store::definitions::{Definition, Kind},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, replace, remove))
}

/// A sender.
#[derive(Serialize, ToSchema)]
struct ChannelView {
    #[serde(flatten)]
    shown: Shown,
    /// What may leave in a second, by the channel's own word or by its kind.
    pace: Option<String>,
}

async fn view(api: &Api, org: &OrgId, definition: &Definition) -> Result<ChannelView, Problem> {
    let channel: Option<Channel> = serde_json::from_str(&definition.body).ok();
    let book = api.books.current(org).await?;
    let pace = channel.and_then(|channel| {
        let account = book.as_ref()?.account(&channel.account).ok()?;
        Some(channel.pace(account.kind).to_string())
    });
    Ok(ChannelView { shown: definition.into(), pace })
}

/// A page of channels, by name.
#[derive(Serialize, ToSchema)]
struct Channels {
    channels: Vec<ChannelView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<String>,
}

/// A channel.
#[derive(Serialize, ToSchema)]
struct OneChannel {
    channel: ChannelView,
}

/// A channel that was written.
#[derive(Serialize, ToSchema)]
struct WrittenChannel {
    channel: ChannelView,
    /// What is worth knowing of it.
    notices: Vec<String>,
}

/// Lists the channels
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels", params(PageQuery),
    security(("key" = ["read"])), responses((status = 200, body = Channels))
)]
async fn list(State(api): Shared, reader: Reader, Query(asked): Query<PageQuery>) -> Result<Json<Channels>, Problem> {
    let (found, next) = edit::page(&api, &reader.org, Kind::Channel, asked).await?;
    let mut channels = Vec::with_capacity(found.len());
    for one in &found {
        channels.push(view(&api, &reader.org, one).await?);
    }
    Ok(Json(Channels { channels, next }))
}

/// Shows a channel
#[utoipa::path(
    get, path = "/v1/channels/{name}", tag = "channels",
    params(("name" = String, Path, description = "The channel's name or id")),
    security(("key" = ["read"])), responses((status = 200, body = OneChannel))
)]
async fn show(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = edit::found(&api, &reader.org, Kind::Channel, &name).await?;
    let channel = view(&api, &reader.org, &found).await?;
    Ok(edit::tagged(found.version, Json(OneChannel { channel })))
}

/// Makes a channel
///
/// By the rules of the files of `herald apply`. The id is made by herald; the name is the caller's, and unique.
#[utoipa::path(
    post, path = "/v1/channels", tag = "channels",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = ChannelBody, security(("key" = ["admin"])),
    responses((status = 201, body = WrittenChannel), (status = 409, description = "The name is taken"))
)]
async fn create(
    State(api): Shared,
    admin: Admin,
    headers: HeaderMap,
    body: Body<ChannelBody>,
) -> Result<Response, Problem> {
    let body = Body { value: body.value.0, digest: body.digest };
    edit::create(&api, &admin, Kind::Channel, &headers, body, async |definition, written| {
        let channel = view(&api, &admin.org, definition).await?;
        Ok(WrittenChannel { channel, notices: edit::notices(written) })
    })
    .await
}

/// Says something else of a channel
///
/// The whole of it: what is left out is as if it had never been said. With `If-Match`, only if it is still what the caller
/// has seen.
#[utoipa::path(
    put, path = "/v1/channels/{name}", tag = "channels",
    params(
        ("name" = String, Path, description = "The channel's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    request_body = ChannelBody, security(("key" = ["admin"])),
    responses((status = 200, body = WrittenChannel))
)]
async fn replace(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
    seen: Seen,
    body: Body<ChannelBody>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (definition, written) = edit::replace(&api, &admin, Kind::Channel, &name, seen, &body.value.0).await?;
    let channel = view(&api, &admin.org, &definition).await?;
    let notices = edit::notices(&written);
    Ok(edit::tagged(definition.version, Json(WrittenChannel { channel, notices })))
}

/// Removes a channel
///
/// Unless something still needs it.
#[utoipa::path(
    delete, path = "/v1/channels/{name}", tag = "channels",
    params(
        ("name" = String, Path, description = "The channel's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone"), (status = 409, description = "Something still needs it"))
)]
async fn remove(State(api): Shared, admin: Admin, Path(name): Path<String>, seen: Seen) -> Result<StatusCode, Problem> {
    edit::remove(&api, &admin, Kind::Channel, &name, seen).await
}
