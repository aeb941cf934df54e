//! What several handlers read in the same way: paths, queries and their parts, JSON bodies, the idempotency key.
//!
//! [`Path`] and [`Query`] stand in for axum's: what they refuse is answered as every other problem is.

use axum::{
    Json,
    extract::{FromRequestParts, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::{
    domain::phone::{Country, E164},
    intake::answers::MAX_KEY,
};

/// What the path names. A path that is no text, or holds a NUL, names nothing.
#[derive(Debug)]
pub(super) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let nothing = || Problem::not_found("there is nothing at this path");
        if parts.uri.path().contains(NUL) {
            return Err(nothing());
        }
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(named)| Self(named)).map_err(|_| nothing())
    }
}

/// What the query asks: 400 if a part of it is unknown, missing, there twice, or of another kind.
#[derive(Debug)]
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains(NUL)) {
            return Err(Problem::bad_request("invalid_query", "the query holds a NUL, which no text has"));
        }
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(asked)| Self(asked))
            .map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))
    }
}

/// A NUL as paths and queries write it: a store refuses it in a text.
const NUL: &str = "%00";

/// A part of a query that is one of ours: an id, a status.
pub(super) fn parsed<T: std::str::FromStr>(name: &'static str, text: Option<String>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| text.parse())
        .transpose()
        .map_err(|problem: T::Err| Problem::bad_request("invalid_query", format!("{name}: {problem}")))
}

/// The cursor of a page: what the page before said is next.
pub(super) fn cursor<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, Problem> {
    let not_ours = |_| Problem::bad_request("invalid_cursor", "after: expected the `next` of the page before");
    text.map(|text| text.parse()).transpose().map_err(not_ours)
}

/// What a page names as the next: the last that it holds, if it is full.
pub(super) fn next<T, N>(page: &[T], full: i64, name: impl FnOnce(&T) -> N) -> Option<N> {
    page.last().filter(|_| i64::try_from(page.len()) == Ok(full)).map(name)
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

/// The same of a path that may be no text at all.
pub(super) fn number_of(path: Result<Path<String>, Problem>, default: Option<Country>) -> Result<E164, Problem> {
    let unreadable = |_| Problem::bad_request("invalid_number", "the number in the path is no text");
    number_in_path(&path.map_err(unreadable)?.0, default)
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
