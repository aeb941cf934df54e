//! `POST /sms/optouts:add`, `:remove` and `:check`: who opted out of a sender, kept and asked.

use std::sync::Arc;

use axum::{
    Json,
    extract::{OriginalUri, State as Shared, rejection::BytesRejection},
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Book,
    body::Body,
    errors::ApiError,
    rules::{is_e164, missing, sender},
    version,
};
use crate::sandbox::state::State;

const RECIPIENTS: std::ops::RangeInclusive<usize> = 1..=100;
const INVALID_RECIPIENT: &str = "Invalid recipient phone number format";

#[derive(Deserialize)]
struct OptOutRequest {
    from: Option<String>,
    recipients: Option<Vec<OptOutRecipient>>,
}

#[derive(Deserialize)]
struct OptOutRecipient {
    to: Option<String>,
}

/// What the path asks for.
#[derive(Clone, Copy)]
enum Action {
    Add,
    Remove,
    Check,
}

type Sent = Result<Bytes, BytesRejection>;

pub(super) async fn add(
    Shared(state): Shared<Arc<State>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Sent,
) -> Response {
    answer(&state, Action::Add, &uri, &headers, body)
}

pub(super) async fn remove(
    Shared(state): Shared<Arc<State>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Sent,
) -> Response {
    answer(&state, Action::Remove, &uri, &headers, body)
}

pub(super) async fn check(
    Shared(state): Shared<Arc<State>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Sent,
) -> Response {
    answer(&state, Action::Check, &uri, &headers, body)
}

fn answer(state: &State, action: Action, uri: &Uri, headers: &HeaderMap, body: Sent) -> Response {
    let body = Body::read(headers, body);
    match act(state, action, uri, headers, &body) {
        Ok(value) => Json(json!({ "value": value })).into_response(),
        Err(error) => error.into_response(),
    }
}

fn act(state: &State, action: Action, uri: &Uri, headers: &HeaderMap, body: &Body) -> Result<Vec<Value>, ApiError> {
    version::of_opting_out(uri)?;
    let resource = state.acs.authorize((&Method::POST, uri), headers, &body.bytes)?;
    let request: OptOutRequest = body.as_contract()?;
    let from = request.from.ok_or_else(|| missing("from"))?;
    let recipients = request.recipients.ok_or_else(|| missing("recipients"))?;
    if !RECIPIENTS.contains(&recipients.len()) {
        return Err(ApiError::bad("'recipients' must have 1 to 100 recipients."));
    }
    sender(&from, &resource)?;
    let named = recipients.into_iter().map(|recipient| recipient.to.ok_or_else(|| missing("recipients.to")));
    let named: Vec<String> = named.collect::<Result<_, _>>()?;
    let mut book = state.acs.book();
    Ok(named.iter().map(|to| item(&mut book, action, &resource.name, &from, to)).collect())
}

fn item(book: &mut Book, action: Action, resource: &str, from: &str, to: &str) -> Value {
    if !is_e164(to) {
        return json!({ "to": to, "httpStatusCode": 400, "errorMessage": INVALID_RECIPIENT });
    }
    match action {
        Action::Add => book.opt_out(resource, from, to),
        Action::Remove => book.opt_in(resource, from, to),
        Action::Check => {
            let is = book.is_opted_out(resource, from, to);
            return json!({ "to": to, "httpStatusCode": 200, "isOptedOut": is });
        }
    }
    json!({ "to": to, "httpStatusCode": 200 })
}
