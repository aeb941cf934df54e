//! `/v1/hooks`: places that other systems post their events to, made, shown, changed and removed. Whoever sees one sees its
//! unguessable address, so all of it is for admins.

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
    auth::Admin,
    bodies::HookBody,
    body::Body,
    edit::{self, PageQuery, Seen, Shown},
    problem::Problem,
    query::{Path, Query},
};
use crate::{
    domain::id::OrgId,
    store::{
        access::TokenKind,
        definitions::{Definition, Kind},
    },
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, replace, remove))
}

/// A place that other systems post their events to.
#[derive(Serialize, ToSchema)]
struct HookView {
    #[serde(flatten)]
    shown: Shown,
    /// Its address.
    url: Option<String>,
}

async fn view(api: &Api, org: &OrgId, definition: &Definition) -> Result<HookView, Problem> {
    let token = api.store.tokens(org, TokenKind::Hook).await?.remove(&definition.name);
    let base = api.reader.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    Ok(HookView { shown: definition.into(), url: token.map(|token| format!("{base}/hooks/{token}")) })
}

/// A page of hooks, by name.
#[derive(Serialize, ToSchema)]
struct Hooks {
    hooks: Vec<HookView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<String>,
}

/// A hook.
#[derive(Serialize, ToSchema)]
struct OneHook {
    hook: HookView,
}

/// A hook that was written.
#[derive(Serialize, ToSchema)]
struct WrittenHook {
    hook: HookView,
    /// What is worth knowing of it.
    notices: Vec<String>,
}

/// Lists the hooks
#[utoipa::path(
    get, path = "/v1/hooks", tag = "hooks", params(PageQuery),
    security(("key" = ["admin"])), responses((status = 200, body = Hooks))
)]
async fn list(State(api): Shared, admin: Admin, Query(asked): Query<PageQuery>) -> Result<Json<Hooks>, Problem> {
    let (found, next) = edit::page(&api, &admin.org, Kind::Hook, asked).await?;
    let mut hooks = Vec::with_capacity(found.len());
    for one in &found {
        hooks.push(view(&api, &admin.org, one).await?);
    }
    Ok(Json(Hooks { hooks, next }))
}

/// Shows a hook
#[utoipa::path(
    get, path = "/v1/hooks/{name}", tag = "hooks",
    params(("name" = String, Path, description = "The hook's name or id")),
    security(("key" = ["admin"])), responses((status = 200, body = OneHook))
)]
async fn show(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = edit::found(&api, &admin.org, Kind::Hook, &name).await?;
    let hook = view(&api, &admin.org, &found).await?;
    Ok(edit::tagged(found.version, Json(OneHook { hook })))
}

/// Makes a hook
///
/// By the rules of the files of `herald apply`. The id is made by herald; the name is the caller's, and unique.
#[utoipa::path(
    post, path = "/v1/hooks", tag = "hooks",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = HookBody, security(("key" = ["admin"])),
    responses((status = 201, body = WrittenHook), (status = 409, description = "The name is taken"))
)]
async fn create(
    State(api): Shared,
    admin: Admin,
    headers: HeaderMap,
    body: Body<HookBody>,
) -> Result<Response, Problem> {
    let body = Body { value: body.value.0, digest: body.digest };
    edit::create(&api, &admin, Kind::Hook, &headers, body, async |definition, written| {
        let hook = view(&api, &admin.org, definition).await?;
        Ok(WrittenHook { hook, notices: edit::notices(written) })
    })
    .await
}

/// Says something else of a hook
///
/// The whole of it: what is left out is as if it had never been said, but for a secret, which is kept. With `If-Match`, only if it is still what the caller
/// has seen.
#[utoipa::path(
    put, path = "/v1/hooks/{name}", tag = "hooks",
    params(
        ("name" = String, Path, description = "The hook's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    request_body = HookBody, security(("key" = ["admin"])),
    responses((status = 200, body = WrittenHook))
)]
async fn replace(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
    seen: Seen,
    body: Body<HookBody>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (definition, written) = edit::replace(&api, &admin, Kind::Hook, &name, seen, &body.value.0).await?;
    let hook = view(&api, &admin.org, &definition).await?;
    let notices = edit::notices(&written);
    Ok(edit::tagged(definition.version, Json(WrittenHook { hook, notices })))
}

/// Removes a hook
///
/// Unless something still needs it.
#[utoipa::path(
    delete, path = "/v1/hooks/{name}", tag = "hooks",
    params(
        ("name" = String, Path, description = "The hook's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone"), (status = 409, description = "Something still needs it"))
)]
async fn remove(State(api): Shared, admin: Admin, Path(name): Path<String>, seen: Seen) -> Result<StatusCode, Problem> {
    edit::remove(&api, &admin, Kind::Hook, &name, seen).await
}
