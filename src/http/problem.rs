//! Errors as RFC 9457 `application/problem+json`, with a stable `code`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::keys::Scope;
use crate::{engine::NotWritten, store::StoreError};

/// An answer that is not what was asked for.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// With a stable code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_s: None }
    }

    /// 400: something in the request is wrong.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404: not there, or not this organization's, which is the same.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    /// 401: who is asking?
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403: the key is good, and does not go so far.
    pub fn forbidden(has: Scope, wanted: Scope) -> Self {
        let (has, wanted) = (has.as_str(), wanted.as_str());
        let detail = format!("this API key has the scope {has}; this needs one with the scope {wanted}");
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 503: not now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(problem: StoreError) -> Self {
        tracing::error!(problem = %crate::telemetry::chain(&problem), "the store refused a request's work");
        if problem.is_passing() {
            return Self::unavailable("the database does not answer; try again in a moment");
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "herald could not do this; its log says why")
    }
}

impl From<NotWritten> for Problem {
    /// Nothing is acknowledged that is not durable.
    fn from(_: NotWritten) -> Self {
        Self::unavailable("nothing was recorded, because the database does not answer; send it again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "code": self.code, "detail": self.detail });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
