//! `GET /v1/messaging/{reference_id}`: what became of a message.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State as Shared},
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse as _, Response},
};

use super::{auth::Calling, errors::ApiError};
use crate::sandbox::{state::State, time};

pub(super) async fn fetch(
    Shared(state): Shared<Arc<State>>,
    Path(reference): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let calling = Calling { method: &method, path: uri.path(), headers: &headers, body: b"" };
    let account = match state.telesign.accounts.authenticate(&calling, time::now_ms()) {
        Ok(account) => account,
        Err(error) => return error.into_response(),
    };
    if reference.len() != 32 || !reference.bytes().all(|b| b.is_ascii_hexdigit()) {
        return ApiError::of(11011).into_response();
    }
    let message = {
        let messages = state.telesign.messages();
        messages.number_of(&reference).and_then(|number| messages.get(number)).cloned()
    };
    match message.filter(|message| message.account.customer_id == account.customer_id) {
        Some(message) => Json(message.report(message.status, message.updated_ms)).into_response(),
        None => ApiError::of(10017).into_response(),
    }
}
