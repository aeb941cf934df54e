//! `/v1/accounts`, the side that writes: credentials at providers, made, changed and removed. Their secrets are sealed.

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
    super::accounts::{AccountView, view_of},
    Api, Shared,
    auth::Admin,
    bodies::AccountBody,
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
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(replace, remove))
}

/// An account that was written.
#[derive(Serialize, ToSchema)]
struct WrittenAccount {
    account: AccountView,
    /// What is worth knowing of it.
    notices: Vec<String>,
}

async fn view(api: &Api, org: &OrgId, definition: &Definition) -> Result<AccountView, Problem> {
    view_of(api, org, &definition.name).await
}

/// Makes an account
///
/// By the rules of the files of `herald apply`. The id is made by herald; the name is the caller's, and unique.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = AccountBody, security(("key" = ["admin"])),
    responses((status = 201, body = WrittenAccount), (status = 409, description = "The name is taken"))
)]
async fn create(
    State(api): Shared,
    admin: Admin,
    headers: HeaderMap,
    body: Body<AccountBody>,
) -> Result<Response, Problem> {
    let body = Body { value: body.value.0, digest: body.digest };
    edit::create(&api, &admin, Kind::Account, &headers, body, async |definition, written| {
        let account = view(&api, &admin.org, definition).await?;
        Ok(WrittenAccount { account, notices: edit::notices(written) })
    })
    .await
}

/// Says something else of an account
///
/// The whole of it: what is left out is as if it had never been said, but for a secret, which is kept. With `If-Match`, only if it is still what the caller
/// has seen.
#[utoipa::path(
    put, path = "/v1/accounts/{name}", tag = "accounts",
    params(
        ("name" = String, Path, description = "The account's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    request_body = AccountBody, security(("key" = ["admin"])),
    responses((status = 200, body = WrittenAccount))
)]
async fn replace(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
    seen: Seen,
    body: Body<AccountBody>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (definition, written) = edit::replace(&api, &admin, Kind::Account, &name, seen, &body.value.0).await?;
    let account = view(&api, &admin.org, &definition).await?;
    let notices = edit::notices(&written);
    Ok(edit::tagged(definition.version, Json(WrittenAccount { account, notices })))
}

/// Removes an account
///
/// Unless something still needs it.
#[utoipa::path(
    delete, path = "/v1/accounts/{name}", tag = "accounts",
    params(
        ("name" = String, Path, description = "The account's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone"), (status = 409, description = "Something still needs it"))
)]
async fn remove(State(api): Shared, admin: Admin, Path(name): Path<String>, seen: Seen) -> Result<StatusCode, Problem> {
    edit::remove(&api, &admin, Kind::Account, &name, seen).await
}
