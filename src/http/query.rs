//! What several handlers read in the same way: parts of a query, JSON bodies, the idempotency key.

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::{HeaderMap, StatusCode},
};

use super::problem::Problem;
use crate::{
    domain::phone::{Country, E164},
    intake::answers::MAX_KEY,
};

/// A part of a query that is one of ours: an id, a status.
pub(super) fn parsed<T: std::str::FromStr>(name: &'static str, text: Option<String>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| text.parse())
        .transpose()
        .map_err(|problem: T::Err| Problem::bad_request("invalid_query", format!("{name}: {problem}")))
}

/// A number in a query. A plus there is a blank to whoever decodes it: a number that begins with one was meant to have its plus.
pub(super) fn number(name: &'static str, text: Option<String>) -> Result<Option<E164>, Problem> {
    let read = |text: String| E164::parse(&text.replacen(' ', "+", usize::from(text.starts_with(' '))), None);
    text.map(read).transpose().map_err(|problem| Problem::bad_request("invalid_query", format!("{name} {problem}")))
}

/// A number in a path.
pub(super) fn number_in_path(text: &str, default: Option<Country>) -> Result<E164, Problem> {
    E164::parse(text, default)
        .map_err(|problem| Problem::bad_request("invalid_number", format!("the number in the path {problem}")))
}

/// A JSON body, or what is wrong with it.
pub(super) fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body).map_err(|problem| unreadable(problem.status(), problem.body_text()))
}

/// A body that cannot be taken, with the status that says why.
pub(super) fn unreadable(status: StatusCode, words: String) -> Problem {
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        _ => "invalid_body",
    };
    Problem::new(status, code, words)
}

/// What the caller calls its request, so that sending it twice is doing it once.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || text.len() > MAX_KEY {
        let expected = format!("Idempotency-Key: expected 1 to {MAX_KEY} visible ASCII characters");
        return Err(Problem::bad_request("invalid_idempotency_key", expected));
    }
    Ok(Some(text.to_owned()))
}
