//! Twilio's errors: one table of codes with their HTTP status, and the JSON that carries them.
//!
//! The sentences are ours: a caller must classify by code.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::sandbox::form::Fault;

/// An answer that refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ApiError {
    pub status: u16,
    pub code: u32,
    pub message: &'static str,
    /// Seconds in `Retry-After`; 0 leaves it out.
    pub retry_after_s: u64,
}

const ERRORS: &[(u32, u16, &str)] = &[
    (20001, 400, "The form is not valid UTF-8"),
    (20003, 401, "Authenticate"),
    (20004, 405, "Method not allowed"),
    (20005, 403, "The account is not active"),
    (20400, 400, "Bad request"),
    (20404, 404, "The requested resource was not found"),
    (20413, 413, "The body is too large"),
    (20415, 415, "The body must be application/x-www-form-urlencoded"),
    (20429, 429, "Too many requests"),
    (20500, 500, "Internal server error"),
    (20503, 503, "Service unavailable"),
    (21211, 400, "The 'To' number is not a valid phone number"),
    (21212, 400, "The 'From' number is not a valid phone number"),
    (21266, 400, "'To' and 'From' must not be the same"),
    (21408, 400, "Sending to this region is not enabled for the account"),
    (21602, 400, "A message body is required"),
    (21603, 400, "A 'From' number or a 'MessagingServiceSid' is required"),
    (21604, 400, "A 'To' number is required"),
    (21606, 400, "The 'From' number cannot send this kind of message"),
    (21608, 400, "A trial account may only send to verified numbers"),
    (21609, 400, "The 'StatusCallback' URL is not valid"),
    (21610, 400, "The recipient has opted out of this sender"),
    (21611, 429, "The queue of this 'From' number is full"),
    (21612, 400, "There is no route from this 'From' to this 'To'"),
    (21614, 400, "The 'To' number is not a mobile number"),
    (21617, 400, "The message body is longer than 1600 characters"),
    (21620, 400, "A 'MediaUrl' is not valid"),
    (21623, 400, "There are more than 10 media files"),
    (21624, 400, "The 'ValidityPeriod' is not a whole number from 1 to 36000"),
    (21635, 400, "The 'To' number is a landline"),
    (21654, 400, "'ContentVariables' need a 'ContentSid'"),
    (21655, 400, "The 'ContentSid' is not content of the account"),
    (21656, 400, "The 'ContentVariables' are not a JSON object of usable strings"),
    (21658, 400, "A value of 'ContentVariables' is longer than 1600 characters"),
    (21659, 400, "The 'From' is not a number of the provider"),
    (21660, 400, "The 'From' does not belong to the account"),
    (21701, 400, "The Messaging Service does not exist"),
    (21910, 400, "'From' and 'To' must be of the same channel"),
    (35111, 400, "'SendAt' is missing"),
    (35114, 400, "'SendAt' must be between 15 minutes and 35 days ahead"),
    (35118, 400, "A 'MessagingServiceSid' is required to schedule a message"),
    (63007, 400, "There is no channel with this 'From' address"),
];

impl ApiError {
    /// The error with this code.
    pub(in crate::sandbox) fn of(code: u32) -> ApiError {
        let row = ERRORS.iter().find(|row| row.0 == code);
        let (status, message) = row.map_or((400, "Bad request"), |row| (row.1, row.2));
        ApiError { status, code, message, retry_after_s: 0 }
    }

    pub(in crate::sandbox) fn retry_after(self, retry_after_s: u64) -> ApiError {
        ApiError { retry_after_s, ..self }
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> ApiError {
        ApiError::of(match fault {
            Fault::NotAForm => 20415,
            Fault::NotUtf8 => 20001,
            Fault::TooLarge => 20413,
        })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        });
        let mut response = (status, Json(body)).into_response();
        if self.status == 401 {
            let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        if self.retry_after_s > 0 {
            response.headers_mut().insert(header::RETRY_AFTER, self.retry_after_s.into());
        }
        response
    }
}
