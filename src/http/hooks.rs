//! `POST /hooks/{token}`: system events, signed as Standard Webhooks. Recorded before they are acknowledged; the same id is
//! the same event.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use super::{
    Api, Shared,
    doors::{self, Refused, Token},
    problem::Problem,
};
use crate::{
    inbound::webhook::{self, NotTaken, Signed},
    intake::mapping::Event,
    store::{
        access::TokenKind,
        events::{Recorded, StoredEvent},
    },
    telemetry::Received,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(receive).map(|post| post.fallback(wrong_method)))
}

/// An event that is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = TakenEvent)]
struct Taken {
    /// Its `webhook-id`.
    id: String,
    /// Whether it is the first of this id. Another one is the same event, and changes nothing.
    new: bool,
}

/// Takes a system event, signed as Standard Webhooks
///
/// No API key: the address is the hook's own, and the signature says who posts. An event is kept before it is acknowledged.
#[utoipa::path(
    post, path = "/hooks/{token}", tag = "events",
    params(
        ("token" = String, Path, description = "The hook's own token"),
        ("webhook-id" = String, Header, description = "The event's id: the same for every try", min_length = 1, max_length = 256),
        ("webhook-timestamp" = String, Header, description = "When it was signed, in Unix seconds", pattern = "^[0-9]+$"),
        ("webhook-signature" = String, Header, description = "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`"),
    ),
    request_body(content = Object, description = "The event: `type`, `data`, and `timestamp` if it is not now"),
    security(()),
    responses(
        (status = 202, body = Taken),
        (status = 401, description = "The headers, the time or the signature are wrong"),
        (status = 404, description = "There is no hook at this address"),
        (status = 503, description = "The event cannot be kept, or the hook cannot check signatures"),
    )
)]
async fn receive(State(api): Shared, token: Token, request: Request) -> Result<(StatusCode, Json<Taken>), Problem> {
    take(&api, token, request).await.map_err(|refused| {
        api.metrics.webhook(refused.result);
        refused.problem
    })
}

/// Events are posted, and nothing else is done here.
async fn wrong_method(State(api): Shared) -> Problem {
    api.metrics.webhook(Received::WrongMethod);
    Problem::only("POST")
}

async fn take(api: &Api, token: Token, request: Request) -> Result<(StatusCode, Json<Taken>), Refused> {
    let unknown = || Refused::unknown("hook");
    let (org, token) = doors::token(token).ok_or_else(unknown)?;
    let name = api.store.token(&org, TokenKind::Hook, &token).await?.ok_or_else(unknown)?;
    let book = api.books.current(&org).await?.ok_or_else(unknown)?;
    let secret = book
        .hook(&name)
        .map_err(|problem| Refused::unavailable(format!("the hook cannot check signatures: {problem}")))?;

    let text = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let [id, timestamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| text(request.headers(), name));
    let body = doors::body(request, api.max_body_bytes).await?;
    let now = api.clock.now();
    let signed = Signed { id: &id, timestamp: &timestamp, signature: &signature };
    webhook::verify(secret, signed, &body, now).map_err(refusal)?;
    Event::parse(&body, &id).map_err(|problem| {
        Refused::new(Received::Unreadable, Problem::bad_request("invalid_event", problem.to_string()))
    })?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let event = StoredEvent { id: id.clone(), body, received_at: now };
    let recorded = api.events.say((org, event)).await?;
    api.metrics.webhook(if recorded == Recorded::New { Received::Recorded } else { Received::Repeated });
    Ok((StatusCode::ACCEPTED, Json(Taken { id, new: recorded == Recorded::New })))
}

fn refusal(refused: NotTaken) -> Refused {
    match refused {
        NotTaken::Headers | NotTaken::Stale | NotTaken::Mismatch => {
            Refused::new(Received::NotGenuine, Problem::unauthorized(refused.to_string()))
        }
        NotTaken::BadSecret => Refused::unavailable(refused.to_string()),
    }
}
