//! `/callbacks/{token}`: receipts and replies of an account's provider. Genuine ones are recorded, then acknowledged in the
//! form that the provider demands.

use axum::{
    body::{Body, Bytes},
    extract::{OriginalUri, Path, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use super::{Shared, problem::Problem};
use crate::{
    definitions::token_org,
    inbound::callbacks::{self, NotRead, keep},
    provider::{self, Acknowledgement, Hook},
    store::access::TokenKind,
    telemetry::Received,
};

pub(super) async fn receive(
    State(api): Shared,
    Path(token): Path<String>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("there is no account at this address");
    let org = token_org(&token).ok_or_else(unknown)?;
    let account = api.store.token(&org, TokenKind::Account, &token).await?.ok_or_else(unknown)?;
    let method = match method {
        Method::GET => provider::Method::Get,
        Method::POST => provider::Method::Post,
        Method::OPTIONS => provider::Method::Options,
        _ => return Err(Problem::method_not_allowed()),
    };
    let body = body.map_err(|problem| Problem::new(problem.status(), "body_too_large", problem.body_text()))?;
    let book = api.books.current(&org).await?.ok_or_else(unknown)?;
    let ready = book.account(&account).map_err(|_| unknown())?;
    let provider = ready
        .provider
        .as_ref()
        .map_err(|problem| Problem::unavailable(format!("callbacks cannot be verified: {problem}")))?;

    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let pairs =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let hook = Hook { method, url: api.reader.url(host, path), headers: pairs.collect(), body };
    let now = api.clock.now();
    let said = callbacks::read(&**provider, &hook).map_err(|problem| {
        let (result, status) = match problem {
            NotRead::NotGenuine(_) => (Received::NotGenuine, StatusCode::FORBIDDEN),
            NotRead::Unreadable(_) => (Received::Unreadable, StatusCode::BAD_REQUEST),
        };
        api.metrics.callback(ready.kind.as_str(), result);
        Problem::new(status, problem.code(), problem.to_string())
    })?;
    for inbound in said {
        if let Some(callback) = keep(inbound, &account, now) {
            api.callbacks.say((org.clone(), callback)).await?;
        }
        api.metrics.callback(ready.kind.as_str(), Received::Recorded);
    }
    Ok(answered(provider.acknowledgement(&hook)))
}

fn answered(answer: Acknowledgement) -> Response {
    let mut response = Response::new(Body::from(answer.body.into_owned()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    // A value that is no header is left out: it can only have come from the caller.
    let values = answer
        .headers
        .iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value.as_str()).ok()?)));
    response.headers_mut().extend(values);
    response
}
