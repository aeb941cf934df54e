//! `/v1/keys`: API keys, made (and shown that once), listed and revoked by whoever has an admin's.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Admin,
    body::Body,
    keys::{self, Scope},
    problem::{FieldError, Problem},
    query::Path,
};
use crate::{
    domain::{id::KeyId, time::Timestamp},
    store::access::StoredKey,
};

/// The longest name, in characters.
const NAME: usize = 80;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
struct Key {
    id: KeyId,
    /// What it is for.
    name: String,
    /// `read`: look; `send`: look and send; `admin`: everything.
    #[schema(pattern = "^(read|send|admin)$")]
    scope: String,
    created_at: Timestamp,
    /// To the minute.
    last_used_at: Option<Timestamp>,
    /// It does not hold any more.
    revoked_at: Option<Timestamp>,
}

impl From<StoredKey> for Key {
    fn from(stored: StoredKey) -> Self {
        let StoredKey { id, name, scope, created_at, last_used_at, revoked_at, .. } = stored;
        Self { id, name, scope, created_at, last_used_at, revoked_at }
    }
}

/// Every key of the organization.
#[derive(Serialize, ToSchema)]
struct Keys {
    keys: Vec<Key>,
}

/// Lists the API keys
///
/// Those that were revoked as well, the oldest first.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", security(("key" = ["admin"])), responses((status = 200, body = Keys)))]
async fn list(State(api): Shared, admin: Admin) -> Result<Json<Keys>, Problem> {
    let keys = api.store.keys(&admin.org).await?.into_iter().map(Key::from).collect();
    Ok(Json(Keys { keys }))
}

/// A key that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What it is for: 1 to 80 characters.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// What it may do.
    #[schema(pattern = "^(read|send|admin)$")]
    scope: String,
}

/// A key that was made, with its text.
#[derive(Serialize, ToSchema)]
struct MadeKey {
    /// What goes behind `Authorization: Bearer`. It is shown here and never again.
    secret: String,
    key: Key,
}

/// Makes an API key
///
/// Its text is in this answer and never shown again, so this takes no `Idempotency-Key`: of an answer that was lost, revoke the
/// key and make another.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = NewKey, security(("key" = ["admin"])), responses((status = 201, body = MadeKey)))]
async fn create(State(api): Shared, admin: Admin, body: Body<NewKey>) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let NewKey { name, scope } = body.value;
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, detail: String| errors.push(FieldError { pointer: pointer.to_owned(), detail });
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        wrong("/name", format!("expected 1 to {NAME} characters"));
    }
    let read = Scope::read(&scope);
    if read.is_none() {
        wrong("/scope", "expected \"read\", \"send\" or \"admin\"".to_owned());
    }
    let Some(scope) = read.filter(|_| errors.is_empty()) else {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_key", "the key cannot be made");
        return Err(problem.with_errors(errors));
    };
    let (stored, text) = keys::mint(&admin.org, &name, scope, api.clock.now())
        .map_err(|_| Problem::unavailable("no randomness could be had for a key"))?;
    api.store.add_key(&admin.org, &stored).await?;
    let secret = text.expose().to_owned();
    Ok((StatusCode::CREATED, Json(MadeKey { secret, key: stored.into() })))
}

/// A key as it stands.
#[derive(Serialize, ToSchema)]
struct OneKey {
    key: Key,
}

/// Revokes an API key
///
/// From now on it opens nothing. One that was revoked stays so.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = KeyId, Path, description = "The key")), security(("key" = ["admin"])), responses((status = 200, body = OneKey)))]
async fn revoke(State(api): Shared, admin: Admin, Path(id): Path<String>) -> Result<Json<OneKey>, Problem> {
    let missing = || Problem::not_found("the organization has no such key");
    let id: KeyId = id.parse().map_err(|_| missing())?;
    api.store.revoke_key(&admin.org, id, api.clock.now()).await?;
    let key = api.store.key(&admin.org, id).await?.ok_or_else(missing)?.into();
    Ok(Json(OneKey { key }))
}
