//! `/v1/events`: system events, handed over with a key; and what was made of each. The same id is the same event, however it
//! came: here, or signed at a hook.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Reader, Sender},
    body::Body,
    once::once,
    problem::{FieldError, Problem},
    query::{self, Path},
};
use crate::{
    domain::time::Timestamp,
    intake::mapping::Event,
    store::events::{Recorded, StoredEvent},
};

/// The most events of one call.
const MOST: usize = 100;
/// The longest id, in bytes.
const LONGEST_ID: usize = 255;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(record)).routes(routes!(show))
}

/// One event, or up to 100.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by hand, so that what is wrong is said with its place; this is how it is described")]
enum Events {
    One(EventBody),
    Many(Vec<EventBody>),
}

/// Something that happened.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "the description of what is read by hand")]
struct EventBody {
    /// The sender's id of it: the same id is the same event.
    id: String,
    /// Its type.
    #[schema(example = "case.created")]
    r#type: String,
    /// When it happened; now, if left out.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// What it is about.
    data: Map<String, Value>,
}

/// What was recorded.
#[derive(Serialize, ToSchema)]
#[schema(as = EventsAnswer)]
struct Answer {
    /// In the caller's order.
    events: Vec<Known>,
}

/// An event that herald has.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordedEvent)]
struct Known {
    /// Its id.
    id: String,
    /// Whether it is news: `recorded`, or `known` from before.
    status: &'static str,
}

/// What became of an event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventView)]
struct Made {
    /// Its id.
    id: String,
    /// `waiting` until something was made of it, then `done`.
    status: &'static str,
    /// When it was recorded.
    received_at: Timestamp,
    /// What was made of it, in words.
    result: Option<String>,
}

/// Hands over events
///
/// Each is recorded before this is answered. One that is wrong refuses the call as a whole; what was recorded before is known by
/// its id, so it may all be sent again.
#[utoipa::path(
    post, path = "/v1/events", tag = "events", request_body = Events,
    params(("Idempotency-Key" = Option<String>, Header)),
    security(("key" = ["send"])),
    responses(
        (status = 202, body = Answer, description = "Recorded, or known from before"),
        (status = 422, description = "`invalid_event` or `too_many_events`"),
    )
)]
async fn record(
    State(api): Shared,
    sender: Sender,
    headers: HeaderMap,
    body: Body<Value>,
) -> Result<Response, Problem> {
    let key = query::idempotency_key(&headers)?;
    let events = read(body.value, api.clock.now())?;
    once(&api, &sender.org, key, &body.digest, async |_| {
        // All at once, so that they share a commit.
        let said = events.iter().map(|event| api.events.say((sender.org.clone(), event.clone())));
        let recorded = try_join_all(said).await?;
        let known = |(event, recorded): (&StoredEvent, Recorded)| {
            let status = match recorded {
                Recorded::New => "recorded",
                Recorded::Known => "known",
            };
            Known { id: event.id.clone(), status }
        };
        Ok((StatusCode::ACCEPTED, Answer { events: events.iter().zip(recorded).map(known).collect() }))
    })
    .await
}

/// The events, as they are kept; or everything that is wrong with them.
fn read(body: Value, now: Timestamp) -> Result<Vec<StoredEvent>, Problem> {
    let refuse = |code, words: String| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, words));
    let (events, within) = match body {
        Value::Array(events) => (events, true),
        one @ (Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            (vec![one], false)
        }
    };
    if events.is_empty() || events.len() > MOST {
        let words = format!("the call has {} events; expected 1 to {MOST}", events.len());
        return refuse("too_many_events", words);
    }
    let mut errors = Vec::new();
    let mut read = Vec::with_capacity(events.len());
    for (nth, event) in events.into_iter().enumerate() {
        let place = if within { format!("/{nth}") } else { String::new() };
        match read_one(event, now) {
            Ok(event) => read.push(event),
            Err((field, detail)) => errors.push(FieldError { pointer: format!("{place}{field}"), detail }),
        }
    }
    let Some(first) = errors.first() else { return Ok(read) };
    let words = format!("{} of {} events cannot be taken: {}", errors.len(), errors.len() + read.len(), first.detail);
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_event", words);
    Err(problem.with_errors(errors))
}

/// One event in the form in which a hook would have it; or where it is wrong, and how.
fn read_one(event: Value, now: Timestamp) -> Result<StoredEvent, (&'static str, String)> {
    const EXPECTED: &str = "expected an object with id, type, time and data";
    let Value::Object(mut event) = event else { return Err(("", EXPECTED.to_owned())) };
    let id = event.remove("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    if id.trim().is_empty() || id.len() > LONGEST_ID || id.chars().any(char::is_control) {
        let words = format!("id: expected a text of 1 to {LONGEST_ID} bytes that is this event's alone");
        return Err(("/id", words));
    }
    let time = match event.remove("time").or_else(|| event.remove("timestamp")).filter(|time| !time.is_null()) {
        Some(time) => time,
        None => json!(now),
    };
    let (event_type, data) = (event.remove("type"), event.remove("data"));
    if let Some(unknown) = event.keys().next() {
        return Err(("", format!("unknown field \"{unknown}\"; {EXPECTED}")));
    }
    let mut kept = json!({ "type": event_type, "timestamp": time });
    if let Some(data) = data {
        kept["data"] = data;
    }
    let body = kept.to_string();
    match Event::parse(body.as_bytes(), &id) {
        Ok(_) => Ok(StoredEvent { id, body, received_at: now }),
        Err(problem) => {
            let field = problem.field();
            Err((field, problem.to_string().replacen("timestamp:", "time:", 1)))
        }
    }
}

/// Shows what became of an event
#[utoipa::path(
    get, path = "/v1/events/{id}", tag = "events", params(("id" = String, Path, description = "The sender's id of it")), security(("key" = ["read"])),
    responses((status = 200, body = Made), (status = 404, description = "No such event was recorded"))
)]
async fn show(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Json<Made>, Problem> {
    let found = api.store.event_result(&reader.org, &id).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("no event \"{id}\" was recorded")))?;
    let status = if found.result.is_some() { "done" } else { "waiting" };
    Ok(Json(Made { id: found.id, status, received_at: found.received_at, result: found.result }))
}
