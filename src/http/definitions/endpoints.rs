//! `/v1/endpoints/{name}`: where the organization's events are posted, shown, made, changed and removed.

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
    super::endpoints::{EndpointView, OneEndpoint, view_of},
    Api, Shared,
    auth::{Admin, Reader},
    bodies::EndpointBody,
    body::Body,
    edit::{self, Seen},
    problem::Problem,
    query::Path,
};
use crate::{
    domain::id::OrgId,
    store::definitions::{Definition, Kind},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(show, replace, remove))
}

/// An endpoint that was written.
#[derive(Serialize, ToSchema)]
struct WrittenEndpoint {
    endpoint: EndpointView,
    /// What is worth knowing of it.
    notices: Vec<String>,
}

async fn view(api: &Api, org: &OrgId, definition: &Definition) -> Result<EndpointView, Problem> {
    view_of(api, org, &definition.name).await
}

/// Shows an endpoint
#[utoipa::path(
    get, path = "/v1/endpoints/{name}", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name or id")),
    security(("key" = ["read"])), responses((status = 200, body = OneEndpoint))
)]
async fn show(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = edit::found(&api, &reader.org, Kind::Endpoint, &name).await?;
    let endpoint = view(&api, &reader.org, &found).await?;
    Ok(edit::tagged(found.version, Json(OneEndpoint { endpoint })))
}

/// Makes an endpoint
///
/// By the rules of the files of `herald apply`. The id is made by herald; the name is the caller's, and unique.
#[utoipa::path(
    post, path = "/v1/endpoints", tag = "endpoints",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = EndpointBody, security(("key" = ["admin"])),
    responses((status = 201, body = WrittenEndpoint), (status = 409, description = "The name is taken"))
)]
async fn create(
    State(api): Shared,
    admin: Admin,
    headers: HeaderMap,
    body: Body<EndpointBody>,
) -> Result<Response, Problem> {
    let body = Body { value: body.value.0, digest: body.digest };
    edit::create(&api, &admin, Kind::Endpoint, &headers, body, async |definition, written| {
        let endpoint = view(&api, &admin.org, definition).await?;
        Ok(WrittenEndpoint { endpoint, notices: edit::notices(written) })
    })
    .await
}

/// Says something else of an endpoint
///
/// The whole of it: what is left out is as if it had never been said, but for a secret, which is kept. With `If-Match`, only if it is still what the caller
/// has seen.
#[utoipa::path(
    put, path = "/v1/endpoints/{name}", tag = "endpoints",
    params(
        ("name" = String, Path, description = "The endpoint's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    request_body = EndpointBody, security(("key" = ["admin"])),
    responses((status = 200, body = WrittenEndpoint))
)]
async fn replace(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
    seen: Seen,
    body: Body<EndpointBody>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (definition, written) = edit::replace(&api, &admin, Kind::Endpoint, &name, seen, &body.value.0).await?;
    let endpoint = view(&api, &admin.org, &definition).await?;
    let notices = edit::notices(&written);
    Ok(edit::tagged(definition.version, Json(WrittenEndpoint { endpoint, notices })))
}

/// Removes an endpoint
///
/// Unless something still needs it.
#[utoipa::path(
    delete, path = "/v1/endpoints/{name}", tag = "endpoints",
    params(
        ("name" = String, Path, description = "The endpoint's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone"), (status = 409, description = "Something still needs it"))
)]
async fn remove(State(api): Shared, admin: Admin, Path(name): Path<String>, seen: Seen) -> Result<StatusCode, Problem> {
    edit::remove(&api, &admin, Kind::Endpoint, &name, seen).await
}
