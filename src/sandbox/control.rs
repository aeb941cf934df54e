//! The control surface, under `/sandbox`: read the log of calls, change faults, make somebody reply.
//!
//! Deliberately without a password: the sandbox holds nothing worth one, and listens on loopback.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State as Shared, rejection::QueryRejection},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    faults::Faults,
    log::Provider,
    magic::{Magic, TABLES},
    settings::callback_url,
    state::State,
};

/// Calls in a page unless asked for otherwise, and at most.
const PAGE: usize = 1_000;
const PAGE_LIMIT: usize = 10_000;
/// Media that come with a message at most.
const MEDIA_LIMIT: usize = 10;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/sandbox/calls", get(calls))
        .route("/sandbox/calls", delete(clear_calls))
        .route("/sandbox/summary", get(summary))
        .route("/sandbox/faults", get(faults))
        .route("/sandbox/faults", put(set_faults))
        .route("/sandbox/magic", get(magic))
        .route("/sandbox/inbound", put(set_inbound))
        .route("/sandbox/reply", post(reply))
        .route("/sandbox/reset", post(reset))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    to: Option<String>,
}

async fn calls(Shared(state): Shared<Arc<State>>, query: Result<Query<CallsQuery>, QueryRejection>) -> Response {
    let Query(query) = match query {
        Ok(query) => query,
        Err(error) => return refuse(error.body_text()),
    };
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_LIMIT).contains(&limit) {
        return refuse(format!("limit: must be between 1 and {PAGE_LIMIT}"));
    }
    json_of(&state.log.page(query.after, limit, query.to.as_deref()))
}

async fn clear_calls(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.clear_log();
    StatusCode::NO_CONTENT
}

async fn summary(Shared(state): Shared<Arc<State>>) -> Response {
    json_of(&state.summary())
}

async fn faults(Shared(state): Shared<Arc<State>>) -> Response {
    json_of(&state.dice.faults())
}

/// Replaces all faults: what is left out is off.
async fn set_faults(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let faults: Faults = match read(&body) {
        Ok(faults) => faults,
        Err(refusal) => return *refusal,
    };
    if let Err(why) = faults.check() {
        return refuse(why);
    }
    state.dice.set(faults.clone());
    json_of(&faults)
}

/// A row of a magic table, and whose it is.
#[derive(Serialize)]
struct MagicRow {
    of: &'static str,
    #[serde(flatten)]
    magic: Magic,
}

async fn magic() -> Response {
    let rows = TABLES.iter().flat_map(|table| table.rows.iter().map(|magic| MagicRow { of: table.of, magic: *magic }));
    json_of(&rows.collect::<Vec<MagicRow>>())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboundUrl {
    #[serde(alias = "to")]
    number: Option<String>,
    url: String,
}

/// Sets where inbound messages are posted: for one of our numbers, or for all that have none of their own.
async fn set_inbound(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let inbound: InboundUrl = match read(&body) {
        Ok(inbound) => inbound,
        Err(refusal) => return *refusal,
    };
    match callback_url(&inbound.url) {
        Ok(url) => {
            state.set_inbound_url(inbound.number, url);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why) => refuse(format!("url: {why}")),
    }
}

/// What somebody (`from`) sends to one of our numbers (`to`), in the forms that the provider writes them in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    pub from: String,
    pub to: String,
    #[serde(default, alias = "text")]
    pub body: String,
    /// The links of media that come with it (Twilio).
    #[serde(default)]
    pub media: Vec<String>,
    /// What the sender is called (WhatsApp). Default `Sandbox`.
    pub profile_name: Option<String>,
    /// The id of the message that is answered (WhatsApp).
    pub answers: Option<String>,
    /// Whose number `to` is; without it, the provider with an account that lists the number, else the one that has last sent
    /// from it, else Twilio.
    pub provider: Option<Provider>,
}

/// Makes somebody send a message to one of our numbers, now.
async fn reply(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let reply: Reply = match read(&body) {
        Ok(reply) => reply,
        Err(refusal) => return *refusal,
    };
    if reply.from.is_empty() || reply.to.is_empty() {
        return refuse("from and to: must not be empty".into());
    }
    if reply.media.len() > MEDIA_LIMIT {
        return refuse(format!("media: at most {MEDIA_LIMIT}"));
    }
    if let Some(why) = reply.media.iter().find_map(|link| callback_url(link).err()) {
        return refuse(format!("media: {why}"));
    }
    let provider = reply.provider.unwrap_or_else(|| state.provider_of(&reply.to));
    let plain = reply.media.is_empty() && reply.profile_name.is_none() && reply.answers.is_none();
    if provider != Provider::Twilio && !plain {
        return refuse("media, profile_name and answers: only with Twilio".into());
    }
    let received = match provider {
        Provider::Twilio => state.twilio.receive(&state, &reply),
        Provider::TeleSign => state.telesign.receive(&state, &reply),
        Provider::Acs => state.acs.receive(&state, &reply),
    };
    match received {
        Ok(sid) => (StatusCode::ACCEPTED, Json(json!({ "sid": &*sid }))).into_response(),
        Err(why) => refuse(why.into()),
    }
}

async fn reset(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.reset();
    StatusCode::NO_CONTENT
}

/// The answer to a path that nobody serves.
pub(super) async fn not_found(uri: Uri) -> Response {
    if uri.path().starts_with("/2010-04-01/") || uri.path().starts_with("/v1/Content") {
        return super::twilio::not_found();
    }
    if uri.path().starts_with("/v1/messaging") {
        return super::telesign::not_found();
    }
    if uri.path().starts_with("/sms") || uri.path().starts_with("/phoneNumbers") {
        return super::acs::not_found();
    }
    let words = format!("there is nothing at {}; the control surface is under /sandbox", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({ "error": words }))).into_response()
}

/// Boxed, as a response is a large thing to carry in every result.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Box<Response>> {
    serde_json::from_slice(body).map_err(|error| Box::new(refuse(format!("the body is not usable: {error}"))))
}

pub(super) fn refuse(why: String) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response()
}

fn json_of<T: Serialize + ?Sized>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
