//! `/v1/endpoints`: where the organization's events go, whether they arrive, and what has not.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    Api, Shared,
    auth::{Admin, Reader},
    problem::Problem,
    query,
};
use crate::{
    book::ReadyEndpoint,
    domain::id::{DeliveryId, OrgId},
    store::endpoints::{DeliveryState, EndpointState, StoredDelivery},
};

/// The most that one page holds.
const PAGE: i64 = 100;

/// Every endpoint.
pub(super) async fn list(State(api): Shared, reader: Reader) -> Result<Json<Value>, Problem> {
    let book = api.books.current(&reader.org).await?.ok_or_else(|| Problem::not_found("there is no organization"))?;
    let states = api.store.endpoint_states(&reader.org).await?;
    let shown: Vec<Value> = book
        .endpoints()
        .map(|(name, ready)| view(name, ready, &states.get(name).cloned().unwrap_or_default()))
        .collect();
    Ok(Json(json!({ "endpoints": shown })))
}

fn view(name: &str, ready: &ReadyEndpoint, state: &EndpointState) -> Value {
    let endpoint = &ready.endpoint;
    let (disabled, failure) = (state.disabled.as_ref(), state.last_failure.as_ref());
    json!({
        "name": name, "url": endpoint.url, "events": endpoint.events, "active": endpoint.active,
        "disabled": disabled.map(|(at, why)| json!({ "at": at, "why": why })),
        "last_success_at": state.last_success_at, "last_failure": failure.map(|(at, why)| json!({ "at": at, "why": why })),
        "problem": ready.secret.as_ref().err().map(ToString::to_string),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesQuery {
    /// `waiting` or `failed`; both if left out.
    state: Option<String>,
    /// The last delivery of the page before.
    after: Option<String>,
}

/// What has not arrived at an endpoint, the newest first, a page at a time.
pub(super) async fn deliveries(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
    query: Result<Query<DeliveriesQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let state: Option<DeliveryState> = query::parsed("state", asked.state)?;
    let after: Option<DeliveryId> = query::parsed("after", asked.after)?;
    known(&api, &reader.org, &name).await?;
    let found = api.store.deliveries(&reader.org, &name, state, after, PAGE).await?;
    let next = found.last().filter(|_| i64::try_from(found.len()) == Ok(PAGE)).map(|delivery| delivery.id);
    let shown: Vec<Value> = found.iter().map(delivery).collect();
    Ok(Json(json!({ "deliveries": shown, "next": next })))
}

fn delivery(delivery: &StoredDelivery) -> Value {
    let waiting = delivery.state == DeliveryState::Waiting;
    let event: Option<&RawValue> = serde_json::from_str(&delivery.body).ok();
    json!({
        "id": delivery.id, "type": delivery.event_type, "state": delivery.state.as_str(), "failed_tries": delivery.failed,
        "next_try_at": waiting.then_some(delivery.due_at), "created_at": delivery.created_at,
        "last_error": Some(&delivery.last_error).filter(|error| !error.is_empty()), "event": event,
    })
}

/// Lets an endpoint that was disabled hear again.
pub(super) async fn enable(State(api): Shared, admin: Admin, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let ready = known(&api, &admin.org, &name).await?;
    api.store.enable_endpoint(&admin.org, &name, api.clock.now()).await?;
    let state = api.store.endpoint_states(&admin.org).await?.remove(&name).unwrap_or_default();
    Ok(Json(json!({ "endpoint": view(&name, &ready, &state) })))
}

/// Has an event posted that tells of nothing, to see whether it arrives.
pub(super) async fn test(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let ready = known(&api, &admin.org, &name).await?;
    let states = api.store.endpoint_states(&admin.org).await?;
    let conflict = |code, detail| Err(Problem::new(StatusCode::CONFLICT, code, detail));
    if !ready.endpoint.active {
        return conflict("endpoint_inactive", format!("nothing is posted to \"{name}\": its definition says so"));
    }
    if let Some((_, why)) = states.get(&name).and_then(|state| state.disabled.as_ref()) {
        return conflict("endpoint_disabled", format!("\"{name}\" is disabled: {why}; enable it first"));
    }
    let id = api.store.test_endpoint(&admin.org, &name, api.clock.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "delivery": id }))))
}

async fn known(api: &Api, org: &OrgId, name: &str) -> Result<ReadyEndpoint, Problem> {
    let missing = || Problem::not_found(format!("there is no endpoint \"{name}\""));
    let book = api.books.current(org).await?.ok_or_else(missing)?;
    Ok(book.endpoint(name).map_err(|_| missing())?.clone())
}
