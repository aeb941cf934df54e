//! `/v1/endpoints`: where the organization's events go, whether they arrive, and what has not.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Admin, Reader},
    problem::Problem,
    query::{self, Path, Query},
    views::filled,
};
use crate::{
    book::ReadyEndpoint,
    domain::{
        id::{DeliveryId, OrgId},
        time::Timestamp,
    },
    store::endpoints::{DeliveryState, EndpointState, StoredDelivery},
};

/// The most that one page holds.
const PAGE: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(deliveries)).routes(routes!(enable)).routes(routes!(test))
}

/// A place that the organization's events are posted to.
#[derive(Serialize, ToSchema)]
struct EndpointView {
    name: String,
    url: String,
    /// The types of events that it asks for, like `message.failed` or `message.*`.
    events: Vec<String>,
    /// Nothing is posted to an inactive one.
    active: bool,
    /// Since when nothing is posted because it said that it is gone; null: it has not.
    disabled: Option<Occasion>,
    last_success_at: Option<Timestamp>,
    last_failure: Option<Occasion>,
    /// Why nothing can be signed for it.
    problem: Option<String>,
}

/// When something happened, and why.
#[derive(Serialize, ToSchema)]
struct Occasion {
    at: Timestamp,
    why: String,
}

/// The organization's endpoints.
#[derive(Serialize, ToSchema)]
struct Endpoints {
    endpoints: Vec<EndpointView>,
}

/// An endpoint.
#[derive(Serialize, ToSchema)]
struct OneEndpoint {
    endpoint: EndpointView,
}

/// Lists the endpoints
#[utoipa::path(get, path = "/v1/endpoints", tag = "endpoints", security(("key" = ["read"])), responses((status = 200, body = Endpoints)))]
async fn list(State(api): Shared, reader: Reader) -> Result<Json<Endpoints>, Problem> {
    let book = api.books.current(&reader.org).await?.ok_or_else(|| Problem::not_found("there is no organization"))?;
    let states = api.store.endpoint_states(&reader.org).await?;
    let endpoints = book
        .endpoints()
        .map(|(name, ready)| view(name, ready, &states.get(name).cloned().unwrap_or_default()))
        .collect();
    Ok(Json(Endpoints { endpoints }))
}

fn view(name: &str, ready: &ReadyEndpoint, state: &EndpointState) -> EndpointView {
    let endpoint = &ready.endpoint;
    let occasion = |(at, why): (Timestamp, String)| Occasion { at, why };
    EndpointView {
        name: name.to_owned(),
        url: endpoint.url.clone(),
        events: endpoint.events.clone(),
        active: endpoint.active,
        disabled: state.disabled.clone().map(occasion),
        last_success_at: state.last_success_at,
        last_failure: state.last_failure.clone().map(occasion),
        problem: ready.secret.as_ref().err().map(ToString::to_string),
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct DeliveriesQuery {
    /// Both if left out.
    #[param(value_type = Option<DeliveryState>)]
    state: Option<String>,
    /// The last delivery of the page before.
    #[param(value_type = Option<DeliveryId>)]
    after: Option<String>,
}

/// A webhook that has not arrived.
#[derive(Serialize, ToSchema)]
struct Delivery {
    id: DeliveryId,
    /// The type of its event.
    r#type: String,
    #[schema(value_type = DeliveryState)]
    state: &'static str,
    failed_tries: i64,
    /// When it is tried next, if it is.
    next_try_at: Option<Timestamp>,
    created_at: Timestamp,
    /// How the last try failed.
    last_error: Option<String>,
    /// What is posted.
    #[schema(value_type = Option<Object>)]
    event: Option<Box<RawValue>>,
}

/// A page of what has not arrived, the newest first.
#[derive(Serialize, ToSchema)]
struct Deliveries {
    deliveries: Vec<Delivery>,
    /// The next page's `after`; null: this is the last page.
    next: Option<DeliveryId>,
}

/// Lists what has not arrived at an endpoint, the newest first
#[utoipa::path(
    get, path = "/v1/endpoints/{name}/deliveries", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name"), DeliveriesQuery),
    security(("key" = ["read"])), responses((status = 200, body = Deliveries))
)]
async fn deliveries(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
    Query(asked): Query<DeliveriesQuery>,
) -> Result<Json<Deliveries>, Problem> {
    let state: Option<DeliveryState> = query::parsed("state", asked.state)?;
    let after: Option<DeliveryId> = query::cursor(asked.after)?;
    known(&api, &reader.org, &name).await?;
    let found = api.store.deliveries(&reader.org, &name, state, after, PAGE).await?;
    let next = query::next(&found, PAGE, |delivery| delivery.id);
    Ok(Json(Deliveries { deliveries: found.iter().map(delivery).collect(), next }))
}

fn delivery(delivery: &StoredDelivery) -> Delivery {
    let waiting = delivery.state == DeliveryState::Waiting;
    Delivery {
        id: delivery.id,
        r#type: delivery.event_type.clone(),
        state: delivery.state.as_str(),
        failed_tries: delivery.failed,
        next_try_at: waiting.then_some(delivery.due_at),
        created_at: delivery.created_at,
        last_error: filled(&delivery.last_error),
        event: serde_json::from_str(&delivery.body).ok(),
    }
}

/// A delivery that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = TestDelivery)]
struct Made {
    delivery: DeliveryId,
}

/// Lets a disabled endpoint hear again
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/enable", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")),
    security(("key" = ["admin"])), responses((status = 200, body = OneEndpoint))
)]
async fn enable(State(api): Shared, admin: Admin, Path(name): Path<String>) -> Result<Json<OneEndpoint>, Problem> {
    let ready = known(&api, &admin.org, &name).await?;
    api.store.enable_endpoint(&admin.org, &name, api.clock.now()).await?;
    let state = api.store.endpoint_states(&admin.org).await?.remove(&name).unwrap_or_default();
    Ok(Json(OneEndpoint { endpoint: view(&name, &ready, &state) }))
}

/// Posts an event that tells of nothing, to see whether it arrives
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/test", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")), security(("key" = ["admin"])),
    responses((status = 202, body = Made), (status = 409, description = "The endpoint hears nothing: it is inactive or disabled"))
)]
async fn test(State(api): Shared, admin: Admin, Path(name): Path<String>) -> Result<(StatusCode, Json<Made>), Problem> {
    let ready = known(&api, &admin.org, &name).await?;
    let states = api.store.endpoint_states(&admin.org).await?;
    if !ready.endpoint.active {
        let detail = format!("nothing is posted to \"{name}\": its definition says so");
        return Err(Problem::new(StatusCode::CONFLICT, "endpoint_inactive", detail));
    }
    if let Some((_, why)) = states.get(&name).and_then(|state| state.disabled.as_ref()) {
        let detail = format!("\"{name}\" is disabled: {why}; enable it first");
        return Err(Problem::new(StatusCode::CONFLICT, "endpoint_disabled", detail));
    }
    let delivery = api.store.test_endpoint(&admin.org, &name, api.clock.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(Made { delivery })))
}

async fn known(api: &Api, org: &OrgId, name: &str) -> Result<ReadyEndpoint, Problem> {
    let missing = || Problem::not_found(format!("there is no endpoint \"{name}\""));
    let book = api.books.current(org).await?.ok_or_else(missing)?;
    Ok(book.endpoint(name).map_err(|_| missing())?.clone())
}
