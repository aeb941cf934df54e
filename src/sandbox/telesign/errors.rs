//! TeleSign's errors: one table of codes with their HTTP status, and the JSON that carries them.
//!
//! The sentences are ours: a caller must classify by code.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::sandbox::time;

/// An answer that refuses a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ApiError {
    pub status: u16,
    pub code: u32,
    message: &'static str,
    /// Seconds in `Retry-After`; 0 leaves it out.
    retry_after_s: u64,
    /// The text that should have been signed, if the signature is wrong.
    echo: Option<String>,
}

const ERRORS: &[(u32, u16, &str)] = &[
    (10000, 500, "The system is not available"),
    (10002, 401, "The x-ts-nonce was used before"),
    (10003, 401, "The x-ts-nonce is too short or too long"),
    (10004, 401, "The date is too far off"),
    (10005, 401, "The date is not in the form of RFC 822"),
    (10006, 401, "The x-ts-auth-method is not valid"),
    (10007, 401, "A Date or an x-ts-date is required"),
    (10008, 401, "The signature is not valid"),
    (10009, 401, "An Authorization header is required"),
    (10010, 401, "The account is suspended"),
    (10013, 401, "The account was not found"),
    (10015, 401, "The customer id is not valid"),
    (10017, 404, "The reference id was not found"),
    (10019, 429, "Too many requests"),
    (10020, 429, "The account's hard cap is reached"),
    (10022, 401, "The API key is not valid"),
    (10028, 401, "The Authorization header is not in the right form"),
    (10030, 402, "The prepaid wallet is empty"),
    (10032, 400, "The message is blocked by TeleSign"),
    (10033, 400, "The number is not verified for this trial account"),
    (10034, 400, "The country is blocked"),
    (11000, 400, "The phone_number is not valid"),
    (11001, 400, "The country code of the phone_number is not valid"),
    (11003, 400, "The account_lifecycle_event is not valid"),
    (11004, 400, "The callback_url is not valid"),
    (11009, 400, "The message is not valid"),
    (11010, 400, "The originating_ip is not valid"),
    (11011, 400, "The reference_id is not valid"),
    (11013, 400, "The sender_id is not valid"),
    (11016, 400, "The external_id is not valid"),
    (11017, 400, "The message_type is not valid"),
    (11034, 400, "The dlt_template_id is not valid"),
    (11035, 400, "The dlt_entity_id is not valid"),
    (12000, 400, "The phone_number is missing"),
    (12009, 400, "The message is missing"),
    (12017, 400, "The message_type is missing"),
];

impl ApiError {
    /// The error with this code.
    pub(in crate::sandbox) fn of(code: u32) -> ApiError {
        let row = ERRORS.iter().find(|row| row.0 == code);
        let (status, message) = row.map_or((400, "Bad request"), |row| (row.1, row.2));
        ApiError { status, code, message, retry_after_s: 0, echo: None }
    }

    pub(in crate::sandbox) fn retry_after(self, retry_after_s: u64) -> ApiError {
        ApiError { retry_after_s, ..self }
    }

    pub(super) fn with_status(self, status: u16) -> ApiError {
        ApiError { status, ..self }
    }

    pub(super) fn echo(self, text: String) -> ApiError {
        ApiError { echo: Some(text), ..self }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let updated = time::iso8601(time::now_ms());
        let mut body = json!({
            "reference_id": null,
            "external_id": null,
            "status": { "code": self.code, "description": self.message, "updated_on": updated },
        });
        if let Some(text) = self.echo {
            body["signature_string"] = text.into();
        }
        let mut response = (status, Json(body)).into_response();
        if self.retry_after_s > 0 {
            response.headers_mut().insert(header::RETRY_AFTER, self.retry_after_s.into());
        }
        response
    }
}
