//! `POST /hooks/{token}`: system events, signed as Standard Webhooks. Recorded before they are acknowledged; the same id is
//! the same event.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};

use super::{Shared, problem::Problem};
use crate::{
    definitions::token_org,
    inbound::webhook::{self, NotTaken, Signed},
    intake::mapping::Event,
    store::{
        access::TokenKind,
        events::{Recorded, StoredEvent},
    },
    telemetry::Received,
};

pub(super) async fn receive(
    State(api): Shared,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let unknown = || Problem::not_found("there is no hook at this address");
    let org = token_org(&token).ok_or_else(unknown)?;
    let name = api.store.token(&org, TokenKind::Hook, &token).await?.ok_or_else(unknown)?;
    let body = body.map_err(|problem| Problem::new(problem.status(), "body_too_large", problem.body_text()))?;
    let book = api.books.current(&org).await?.ok_or_else(unknown)?;
    let secret = book
        .hook(&name)
        .map_err(|problem| Problem::unavailable(format!("the hook cannot check signatures: {problem}")))?;

    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let now = api.clock.now();
    if let Err(refused) = webhook::verify(secret, signed, &body, now) {
        api.metrics.webhook(Received::NotGenuine);
        return Err(refusal(refused));
    }
    if let Err(problem) = Event::parse(&body, signed.id) {
        api.metrics.webhook(Received::Unreadable);
        return Err(Problem::bad_request("invalid_event", problem.to_string()));
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    let event = StoredEvent { id: signed.id.to_owned(), body, received_at: now };
    let recorded = api.events.say((org, event)).await?;
    api.metrics.webhook(if recorded == Recorded::New { Received::Recorded } else { Received::Repeated });
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": signed.id, "new": recorded == Recorded::New }))))
}

fn refusal(refused: NotTaken) -> Problem {
    match refused {
        NotTaken::Headers | NotTaken::Stale | NotTaken::Mismatch => Problem::unauthorized(refused.to_string()),
        NotTaken::BadSecret => Problem::unavailable(refused.to_string()),
    }
}
