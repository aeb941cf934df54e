//! `/callbacks/{token}`: receipts and replies of an account's provider. Genuine ones are recorded, then acknowledged in the
//! form that the provider demands.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use super::{
    Api, Shared,
    doors::{self, Refused, Token},
    problem::Problem,
};
use crate::{
    inbound::callbacks::{self, NotRead, keep},
    provider::{self, Acknowledgement, Hook},
    store::access::TokenKind,
    telemetry::Received,
};

/// How callbacks are counted as long as nobody knows whose they are.
const UNKNOWN: &str = "unknown";

pub(super) async fn receive(State(api): Shared, token: Token, request: Request) -> Result<Response, Problem> {
    let mut provider = UNKNOWN;
    take(&api, token, request, &mut provider).await.map_err(|refused| {
        api.metrics.callback(provider, refused.result);
        refused.problem
    })
}

/// Takes a callback; `label` becomes the provider's name as soon as it is known.
async fn take(api: &Api, token: Token, request: Request, label: &mut &'static str) -> Result<Response, Refused> {
    let method = method(request.method())?;
    let unknown = || Refused::unknown("account");
    let (org, token) = doors::token(token).ok_or_else(unknown)?;
    let account = api.store.token(&org, TokenKind::Account, &token).await?.ok_or_else(unknown)?;
    let book = api.books.current(&org).await?.ok_or_else(unknown)?;
    let ready = book.account(&account).map_err(|_| unknown())?;
    *label = ready.kind.as_str();
    let provider = ready
        .provider
        .as_ref()
        .map_err(|problem| Refused::unavailable(format!("callbacks cannot be verified: {problem}")))?;

    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let url = api.reader.url(host, path);
    let texts = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let headers = texts.collect();
    let hook = Hook { method, url, headers, body: doors::body(request, api.max_body_bytes).await? };
    let now = api.clock.now();
    let said = callbacks::read(&**provider, &hook).map_err(|problem| {
        let (result, status) = match problem {
            NotRead::NotGenuine(_) => (Received::NotGenuine, StatusCode::FORBIDDEN),
            NotRead::Unreadable(_) => (Received::Unreadable, StatusCode::BAD_REQUEST),
        };
        Refused::new(result, Problem::new(status, problem.code(), problem.to_string()))
    })?;
    let mut result = Received::Ignored;
    for callback in said.into_iter().filter_map(|inbound| keep(inbound, &account, now)) {
        result = Received::Recorded;
        api.callbacks.say((org.clone(), callback)).await?;
        api.metrics.callback(ready.kind.as_str(), result);
    }
    if result == Received::Ignored {
        api.metrics.callback(ready.kind.as_str(), result);
    }
    Ok(answered(provider.acknowledgement(&hook)))
}

/// The methods that providers use.
fn method(method: &Method) -> Result<provider::Method, Refused> {
    if method == Method::GET {
        Ok(provider::Method::Get)
    } else if method == Method::POST {
        Ok(provider::Method::Post)
    } else if method == Method::OPTIONS {
        Ok(provider::Method::Options)
    } else {
        Err(Refused::new(Received::WrongMethod, Problem::only("GET, POST, OPTIONS")))
    }
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
