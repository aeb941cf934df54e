//! `GET /phoneNumbers`: the numbers of a resource. Short codes and names are not numbers.

use std::sync::Arc;

use axum::{
    Json,
    extract::{OriginalUri, State as Shared},
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{errors::ApiError, rules::is_e164, version};
use crate::sandbox::state::State;

const TOLL_FREE: &[&str] = &["+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888"];

pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match numbers(&state, &uri, &headers, &body) {
        Ok(numbers) => Json(json!({ "phoneNumbers": numbers })).into_response(),
        Err(error) => error.into_response(),
    }
}

fn numbers(state: &State, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Value>, ApiError> {
    version::of_numbers(uri)?;
    let resource = state.acs.authorize((&Method::GET, uri), headers, body)?;
    Ok(resource.numbers.iter().filter(|number| is_e164(number)).map(|number| purchased(number)).collect())
}

fn purchased(number: &str) -> Value {
    let toll_free = TOLL_FREE.iter().any(|prefix| number.starts_with(prefix));
    json!({
        "id": number.trim_start_matches('+'),
        "phoneNumber": number,
        "countryCode": if number.starts_with("+1") { "US" } else { "ZZ" },
        "phoneNumberType": if toll_free { "tollFree" } else { "geographic" },
        "capabilities": { "calling": "none", "sms": "inbound+outbound" },
        "assignmentType": "application",
        "purchaseDate": "1970-01-01T00:00:00Z",
        "cost": { "amount": 0.0, "currencyCode": "USD", "billingFrequency": "monthly" },
    })
}
