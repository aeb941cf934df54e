//! `/v1/templates`: texts in several languages, made, shown, changed and removed. A run keeps the version that it began with.

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
    bodies::TemplateBody,
    body::Body,
    edit::{self, PageQuery, Seen, Shown},
    problem::Problem,
    query::{Path, Query},
};
use crate::{
    domain::id::OrgId,
    store::definitions::{Definition, Kind},
    template::{Template, TemplateSource},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, replace, remove))
}

/// Texts in several languages.
#[derive(Serialize, ToSchema)]
struct TemplateView {
    #[serde(flatten)]
    shown: Shown,
    /// What every contact has to have a value for.
    required_slugs: Vec<String>,
}

async fn view(_: &Api, _: &OrgId, definition: &Definition) -> Result<TemplateView, Problem> {
    let source: Option<TemplateSource> = serde_json::from_str(&definition.body).ok();
    let compiled = source.and_then(|source| Template::compile(&source).ok());
    let spelled = |template: &Template| {
        let slugs = template.required_slugs().iter();
        slugs.map(|slug| template.slug_spelling(slug).to_owned()).collect()
    };
    Ok(TemplateView { shown: definition.into(), required_slugs: compiled.as_ref().map(spelled).unwrap_or_default() })
}

/// A page of templates, by name.
#[derive(Serialize, ToSchema)]
struct Templates {
    templates: Vec<TemplateView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<String>,
}

/// A template.
#[derive(Serialize, ToSchema)]
struct OneTemplate {
    template: TemplateView,
}

/// A template that was written.
#[derive(Serialize, ToSchema)]
struct WrittenTemplate {
    template: TemplateView,
    /// What is worth knowing of it.
    notices: Vec<String>,
}

/// Lists the templates
#[utoipa::path(
    get, path = "/v1/templates", tag = "templates", params(PageQuery),
    security(("key" = ["read"])), responses((status = 200, body = Templates))
)]
async fn list(State(api): Shared, reader: Reader, Query(asked): Query<PageQuery>) -> Result<Json<Templates>, Problem> {
    let (found, next) = edit::page(&api, &reader.org, Kind::Template, asked).await?;
    let mut templates = Vec::with_capacity(found.len());
    for one in &found {
        templates.push(view(&api, &reader.org, one).await?);
    }
    Ok(Json(Templates { templates, next }))
}

/// Shows a template
#[utoipa::path(
    get, path = "/v1/templates/{name}", tag = "templates",
    params(("name" = String, Path, description = "The template's name or id")),
    security(("key" = ["read"])), responses((status = 200, body = OneTemplate))
)]
async fn show(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = edit::found(&api, &reader.org, Kind::Template, &name).await?;
    let template = view(&api, &reader.org, &found).await?;
    Ok(edit::tagged(found.version, Json(OneTemplate { template })))
}

/// Makes a template
///
/// By the rules of the files of `herald apply`. The id is made by herald; the name is the caller's, and unique.
#[utoipa::path(
    post, path = "/v1/templates", tag = "templates",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = TemplateBody, security(("key" = ["admin"])),
    responses((status = 201, body = WrittenTemplate), (status = 409, description = "The name is taken"))
)]
async fn create(
    State(api): Shared,
    admin: Admin,
    headers: HeaderMap,
    body: Body<TemplateBody>,
) -> Result<Response, Problem> {
    let body = Body { value: body.value.0, digest: body.digest };
    edit::create(&api, &admin, Kind::Template, &headers, body, async |definition, written| {
        let template = view(&api, &admin.org, definition).await?;
        Ok(WrittenTemplate { template, notices: edit::notices(written) })
    })
    .await
}

/// Says something else of a template
///
/// The whole of it: what is left out is as if it had never been said. With `If-Match`, only if it is still what the caller
/// has seen.
#[utoipa::path(
    put, path = "/v1/templates/{name}", tag = "templates",
    params(
        ("name" = String, Path, description = "The template's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    request_body = TemplateBody, security(("key" = ["admin"])),
    responses((status = 200, body = WrittenTemplate))
)]
async fn replace(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
    seen: Seen,
    body: Body<TemplateBody>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (definition, written) = edit::replace(&api, &admin, Kind::Template, &name, seen, &body.value.0).await?;
    let template = view(&api, &admin.org, &definition).await?;
    let notices = edit::notices(&written);
    Ok(edit::tagged(definition.version, Json(WrittenTemplate { template, notices })))
}

/// Removes a template
///
/// Unless something still needs it.
#[utoipa::path(
    delete, path = "/v1/templates/{name}", tag = "templates",
    params(
        ("name" = String, Path, description = "The template's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone"), (status = 409, description = "Something still needs it"))
)]
async fn remove(State(api): Shared, admin: Admin, Path(name): Path<String>, seen: Seen) -> Result<StatusCode, Problem> {
    edit::remove(&api, &admin, Kind::Template, &name, seen).await
}
