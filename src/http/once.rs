//! `Idempotency-Key`: the same key and request have the same answer for a day (SPEC 9).

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{Api, problem::Problem};
use crate::{
    domain::id::OrgId,
    store::once::{Asked, Hold},
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Does `work` once for a key, or gives the answer that it had before. `digest` says what is asked for: method, path and body.
/// A caller without a key is served each time.
///
/// The work gets the key's hold, so that it may keep its answer in the very transaction that does it; if it does not, the answer
/// is kept after it. What ends in a problem is forgotten: the same key may try again.
pub(super) async fn once<T: Serialize>(
    api: &Api,
    org: &OrgId,
    key: Option<String>,
    digest: &str,
    work: impl AsyncFnOnce(Option<&Hold>) -> Result<(StatusCode, T), Problem>,
) -> Result<Response, Problem> {
    let Some(key) = key else {
        let (status, answer) = work(None).await?;
        return Ok((status, axum::Json(answer)).into_response());
    };
    let hold = match api.store.ask_once(org, &key, digest, api.clock.now()).await? {
        Asked::Anew(hold) => hold,
        Asked::Answered { status, answer } => return Ok(replay(status, answer)),
        Asked::Underway => {
            let detail = "a request with this idempotency key is being answered; ask again in a moment";
            return Err(Problem::new(StatusCode::CONFLICT, "idempotency_key_in_use", detail).retry_after(1));
        }
        Asked::Other => {
            let detail =
                "another request came under this idempotency key; a key stands for one request, so use a new one";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail));
        }
    };
    match work(Some(&hold)).await {
        Ok((status, answer)) => {
            let body = serde_json::to_string(&answer).map_err(|_| Problem::unwritable())?;
            api.store.answer_once(org, &hold, status.as_u16(), &body).await?;
            Ok(json(status, body))
        }
        Err(problem) => {
            api.store.let_go(org, &hold).await?;
            Err(problem)
        }
    }
}

fn replay(status: u16, answer: String) -> Response {
    let mut response = json(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), answer);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
