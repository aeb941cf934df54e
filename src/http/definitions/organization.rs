//! `/v1/organization`: the organization itself, shown and changed.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Admin, Reader},
    bodies::OrganizationBody,
    body::Body,
    edit::{self, Object, Seen},
    problem::Problem,
};
use crate::{definitions::organization_tag, domain::definition::Organization};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show, replace))
}

/// The organization.
#[derive(Serialize, ToSchema)]
struct OneOrganization {
    organization: OrganizationView,
}

#[derive(Serialize, ToSchema)]
struct OrganizationView {
    id: String,
    name: String,
    /// What it says, in the form in which it is written.
    #[schema(value_type = Object)]
    definition: Object,
}

fn view(organization: &Organization) -> OneOrganization {
    let definition = serde_json::to_value(organization).ok().and_then(|value| value.as_object().cloned());
    let (id, name) = (organization.id.to_string(), organization.name.clone());
    OneOrganization { organization: OrganizationView { id, name, definition: definition.unwrap_or_default() } }
}

/// Shows the organization
#[utoipa::path(
    get, path = "/v1/organization", tag = "organization",
    security(("key" = ["read"])), responses((status = 200, body = OneOrganization))
)]
async fn show(State(api): Shared, reader: Reader) -> Result<impl IntoResponse + use<>, Problem> {
    let found = api.store.organization(&reader.org).await?;
    let (organization, _) = found.ok_or_else(|| Problem::not_found("there is no organization"))?;
    Ok(edit::tagged(organization_tag(&organization), Json(view(&organization))))
}

/// Says something else of the organization
///
/// The whole of it: what is left out is as herald comes, but for what only files can say. With `If-Match`, only if it is still
/// what the caller has seen.
#[utoipa::path(
    put, path = "/v1/organization", tag = "organization",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen")),
    request_body = OrganizationBody, security(("key" = ["admin"])), responses((status = 200, body = OneOrganization))
)]
async fn replace(
    State(api): Shared,
    admin: Admin,
    seen: Seen,
    body: Body<OrganizationBody>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let written = edit::write_organization(&api, &admin, seen, &body.value.0).await?;
    let organization = &written.whole.organization;
    Ok(edit::tagged(organization_tag(organization), Json(view(organization))))
}
