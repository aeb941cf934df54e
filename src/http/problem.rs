//! Errors as RFC 9457 `application/problem+json`, with a stable `code`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{codes::AnswerCode, consents::RowProblemView, keys::Scope};
use crate::{engine::NotWritten, store::StoreError};

/// An answer that is not what was asked for.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Value>,
    retry_after_s: Option<u64>,
    allow: Option<&'static str>,
}

/// What is wrong with one part of what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Which part: a JSON pointer.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// An answer that is not what was asked for, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemView<'p> {
    /// Always `about:blank`: the code says what kind of problem it is.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    #[schema(value_type = AnswerCode)]
    code: &'static str,
    /// What is wrong, where, and what was expected.
    detail: &'p str,
    /// Everything that is wrong with what was sent, as far as it can be told apart.
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    #[schema(value_type = Vec<ErrorView>, required = false)]
    errors: &'p [Value],
}

/// What is wrong with one part of a body.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldError)]
#[expect(dead_code, reason = "says how errors look; each is written as what it is")]
pub(super) struct FieldErrorView {
    /// Which part: a JSON pointer.
    pointer: String,
    /// What is wrong, for programs, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    code: Option<String>,
    /// What is wrong with it.
    detail: String,
}

/// What is wrong with one part of what was sent.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "says how errors look; each is written as what it is")]
pub(super) enum ErrorView {
    /// With a part of a body.
    Field(FieldErrorView),
    /// With a row of a file.
    Row(RowProblemView),
}

impl Problem {
    /// With a stable code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), retry_after_s: None, allow: None }
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

    /// 405, with the methods that are taken.
    pub fn only(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::method_not_allowed() }
    }

    /// 401: who is asking?
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403: the key does not do this.
    pub fn forbidden(has: Scope, wanted: Scope) -> Self {
        let enough = if wanted == Scope::Admin { "admin" } else { "send or admin" };
        let detail = format!(
            "this API key has the scope {}; this needs one with the scope {enough}, made by `herald key create NAME --scope {}`",
            has.as_str(),
            wanted.as_str()
        );
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// The same, with what is wrong in each place.
    #[must_use]
    pub fn with_errors<E: Serialize>(self, errors: impl IntoIterator<Item = E>) -> Self {
        Self { errors: errors.into_iter().map(|error| json!(error)).collect(), ..self }
    }

    /// The same, with the seconds after which another try may help.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// 500: an answer could not be written as JSON.
    pub fn unwritable() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "herald could not write its answer; its log says why")
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
        let (status, code, detail, errors) = (self.status.as_u16(), self.code, &self.detail, &self.errors);
        let body = ProblemView { r#type: "about:blank", title, status, code, detail, errors };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(methods) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
