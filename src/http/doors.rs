//! The doors that anybody can knock at, `/callbacks/{token}` and `/hooks/{token}`: what is not to be taken is refused in the
//! same words at both, and counted. The labels of the counts are herald's own, never the caller's.

use axum::{
    body::Bytes,
    extract::{FromRequest as _, Path, Request, rejection::PathRejection},
    http::StatusCode,
};

use super::problem::Problem;
use crate::{definitions::token_org, domain::id::OrgId, engine::NotWritten, store::StoreError, telemetry::Received};

/// The token in the path; a path that is no text has none that could be known.
pub(super) type Token = Result<Path<String>, PathRejection>;

/// A knock that is refused: how it is counted, and what it is answered.
#[derive(Debug)]
pub(super) struct Refused {
    pub result: Received,
    pub problem: Problem,
}

impl Refused {
    pub fn new(result: Received, problem: Problem) -> Self {
        Self { result, problem }
    }

    /// There is nothing at this address.
    pub fn unknown(what: &str) -> Self {
        Self::new(Received::UnknownToken, Problem::not_found(format!("there is no {what} at this address")))
    }

    /// Not now, or not until an operator has put something in order.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Received::NotTaken, Problem::unavailable(detail))
    }
}

impl From<StoreError> for Refused {
    fn from(problem: StoreError) -> Self {
        Self::new(Received::NotTaken, problem.into())
    }
}

impl From<NotWritten> for Refused {
    fn from(problem: NotWritten) -> Self {
        Self::new(Received::NotTaken, problem.into())
    }
}

/// The token and the organization that it names, if it has the shape of a token.
pub(super) fn token(given: Token) -> Option<(OrgId, String)> {
    let Path(token) = given.ok()?;
    token_org(&token).map(|org| (org, token))
}

/// The whole body, if it is no larger than what is read here, however it is sent.
pub(super) async fn body(request: Request, limit: usize) -> Result<Bytes, Refused> {
    Bytes::from_request(request, &()).await.map_err(|problem| match problem.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let words = format!("the body is larger than {limit} bytes, the most that is read here");
            Refused::new(Received::TooLarge, Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", words))
        }
        _ => {
            let words = format!("the body could not be read to its end: {}", problem.body_text());
            Refused::new(Received::Unreadable, Problem::bad_request("unreadable_body", words))
        }
    })
}
