//! Errors of a whole request: the status, and one of the two bodies that the service answers with.
//!
//! Most are `{"error":{"code","message"}}`. A malformed sender is answered as the service's field validation does it, with
//! the field's name as the key: recordings of the official SDKs show it, so a caller must not count on a code.
//! Sentences that no official example gives are ours.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An answer that refuses a request with all its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub status: u16,
    words: Words,
    /// Seconds in `Retry-After`; 0 leaves it out.
    retry_after_s: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Words {
    Code(&'static str, String),
    Field(&'static str, &'static str),
}

impl ApiError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, words: Words::Code(code, message.into()), retry_after_s: 0 }
    }

    /// 400: the request breaks the contract.
    pub(super) fn bad(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "BadRequest", message)
    }

    /// 401: the signature, or what it covers, is not as it should be.
    pub(super) fn denied(message: &str) -> ApiError {
        ApiError::new(401, "Denied", message)
    }

    /// 401: the resource may not send from this sender.
    pub(super) fn not_the_senders_resource() -> ApiError {
        ApiError::new(401, "Unauthorized", "")
    }

    /// 400: the sender is no sender at all.
    pub(super) fn malformed_sender() -> ApiError {
        ApiError { status: 400, words: Words::Field("From", "Invalid From phone number format"), retry_after_s: 0 }
    }

    pub(super) fn throttled(retry_after_s: u64) -> ApiError {
        let error = ApiError::new(429, "TooManyRequests", "Too many requests, try again later.");
        ApiError { retry_after_s, ..error }
    }

    /// 500 or 503.
    pub(super) fn server(status: u16) -> ApiError {
        match status {
            503 => ApiError::new(503, "ServiceUnavailable", "The service is unavailable, try again later."),
            status => ApiError::new(status, "InternalServerError", "The service could not process the request."),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = match self.words {
            Words::Code(code, message) => json!({ "error": { "code": code, "message": message } }),
            Words::Field(field, message) => json!({ field: [message] }),
        };
        let mut response = (status, Json(body)).into_response();
        if self.retry_after_s > 0 {
            response.headers_mut().insert(header::RETRY_AFTER, self.retry_after_s.into());
        }
        response
    }
}
