//! `/v1/outbound-configurations`: what is sent, from where, to whom, on what trigger; made, shown, changed and removed.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Admin, Reader},
    bodies::ConfigurationBody,
    body::Body,
    edit::{self, PageQuery, Seen, Shown},
    problem::Problem,
    query::{Path, Query},
};
use crate::{
    definitions,
    domain::{definition::Configuration, id::OrgId, time::Timestamp},
    store::definitions::{Definition, Kind},
};

/// How many of the next times are shown.
const FIRINGS: usize = 5;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, replace, remove))
}

/// What is sent, from where, to whom, on what trigger.
#[derive(Serialize, ToSchema)]
struct ConfigurationView {
    #[serde(flatten)]
    shown: Shown,
    /// Of a scheduled one, when it fires next.
    schedule: Option<ScheduleView>,
    /// Of an automatic one, whether its expressions are good: always, unless a later herald is stricter.
    compiled: Option<bool>,
}

/// When something fires.
#[derive(Serialize, ToSchema)]
struct ScheduleView {
    /// The time zone that it goes by.
    timezone: String,
    /// The next five times; none of one that is inactive, or has no more.
    next: Vec<FiringView>,
}

/// A time at which something fires.
#[derive(Serialize, ToSchema)]
struct FiringView {
    at: Timestamp,
    /// In the schedule's own time zone, with the difference to UTC.
    local: String,
}

async fn view(api: &Api, org: &OrgId, definition: &Definition) -> Result<ConfigurationView, Problem> {
    let zone = api.store.organization(org).await?.map(|(organization, _)| organization.timezone).unwrap_or_default();
    let configuration: Option<Configuration> = serde_json::from_str(&definition.body).ok();
    let id = definition.id.parse().ok();
    let said = api.store.said_after(org).await?;
    let said = id.and_then(|id| said.get(&id)).map(|(_, at)| *at);
    let upcoming =
        configuration.as_ref().and_then(|it| definitions::upcoming(it, zone, said, api.clock.now(), FIRINGS));
    let schedule = upcoming.map(|(zone, times)| ScheduleView {
        timezone: zone.name().to_owned(),
        next: times.into_iter().map(|at| firing(at, zone)).collect(),
    });
    let compiled = configuration.as_ref().and_then(definitions::compiles);
    Ok(ConfigurationView { shown: definition.into(), schedule, compiled })
}

fn firing(at: Timestamp, zone: Tz) -> FiringView {
    let local = at.to_utc().with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
    FiringView { at, local }
}

/// A page of outbound configurations, by name.
#[derive(Serialize, ToSchema)]
struct Configurations {
    configurations: Vec<ConfigurationView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<String>,
}

/// An outbound configuration.
#[derive(Serialize, ToSchema)]
struct OneConfiguration {
    configuration: ConfigurationView,
}

/// An outbound configuration that was written.
#[derive(Serialize, ToSchema)]
struct WrittenConfiguration {
    configuration: ConfigurationView,
    /// What is worth knowing of it.
    notices: Vec<String>,
}

/// Lists the outbound configurations
#[utoipa::path(
    get, path = "/v1/outbound-configurations", tag = "outbound-configurations", params(PageQuery),
    security(("key" = ["read"])), responses((status = 200, body = Configurations))
)]
async fn list(
    State(api): Shared,
    reader: Reader,
    Query(asked): Query<PageQuery>,
) -> Result<Json<Configurations>, Problem> {
    let (found, next) = edit::page(&api, &reader.org, Kind::Configuration, asked).await?;
    let mut configurations = Vec::with_capacity(found.len());
    for one in &found {
        configurations.push(view(&api, &reader.org, one).await?);
    }
    Ok(Json(Configurations { configurations, next }))
}

/// Shows an outbound configuration
#[utoipa::path(
    get, path = "/v1/outbound-configurations/{id}", tag = "outbound-configurations",
    params(("id" = String, Path, description = "The configuration's name or id")),
    security(("key" = ["read"])), responses((status = 200, body = OneConfiguration))
)]
async fn show(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let found = edit::found(&api, &reader.org, Kind::Configuration, &name).await?;
    let configuration = view(&api, &reader.org, &found).await?;
    Ok(edit::tagged(found.version, Json(OneConfiguration { configuration })))
}

/// Makes an outbound configuration
///
/// By the rules of the files of `herald apply`. The id is made by herald; the name is the caller's, and unique.
#[utoipa::path(
    post, path = "/v1/outbound-configurations", tag = "outbound-configurations",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = ConfigurationBody, security(("key" = ["admin"])),
    responses((status = 201, body = WrittenConfiguration), (status = 409, description = "The name is taken"))
)]
async fn create(
    State(api): Shared,
    admin: Admin,
    headers: HeaderMap,
    body: Body<ConfigurationBody>,
) -> Result<Response, Problem> {
    let body = Body { value: body.value.0, digest: body.digest };
    edit::create(&api, &admin, Kind::Configuration, &headers, body, async |definition, written| {
        let configuration = view(&api, &admin.org, definition).await?;
        Ok(WrittenConfiguration { configuration, notices: edit::notices(written) })
    })
    .await
}

/// Says something else of an outbound configuration
///
/// The whole of it: what is left out is as if it had never been said. With `If-Match`, only if it is still what the caller
/// has seen.
#[utoipa::path(
    put, path = "/v1/outbound-configurations/{id}", tag = "outbound-configurations",
    params(
        ("id" = String, Path, description = "The configuration's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    request_body = ConfigurationBody, security(("key" = ["admin"])),
    responses((status = 200, body = WrittenConfiguration))
)]
async fn replace(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
    seen: Seen,
    body: Body<ConfigurationBody>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (definition, written) = edit::replace(&api, &admin, Kind::Configuration, &name, seen, &body.value.0).await?;
    let configuration = view(&api, &admin.org, &definition).await?;
    let notices = edit::notices(&written);
    Ok(edit::tagged(definition.version, Json(WrittenConfiguration { configuration, notices })))
}

/// Removes an outbound configuration
///
/// Unless something still needs it.
#[utoipa::path(
    delete, path = "/v1/outbound-configurations/{id}", tag = "outbound-configurations",
    params(
        ("id" = String, Path, description = "The configuration's name or id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the caller has seen"),
    ),
    security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone"), (status = 409, description = "Something still needs it"))
)]
async fn remove(State(api): Shared, admin: Admin, Path(name): Path<String>, seen: Seen) -> Result<StatusCode, Problem> {
    edit::remove(&api, &admin, Kind::Configuration, &name, seen).await
}
