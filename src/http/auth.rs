//! Who is asking: an API key names the organization, and everything that is answered is that organization's.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use super::{
    Api,
    keys::{Presented, Scope},
    problem::Problem,
};
use crate::domain::id::{KeyId, OrgId};

/// A caller who may look.
#[derive(Debug)]
pub(super) struct Reader {
    /// Whose things they may see.
    pub org: OrgId,
}

/// A caller who may look and send.
#[derive(Debug)]
pub(super) struct Sender {
    /// For whom they may send.
    pub org: OrgId,
    /// Their key.
    pub key: KeyId,
}

/// A caller who may do everything.
#[derive(Debug)]
pub(super) struct Admin {
    /// For whom.
    pub org: OrgId,
    /// Their key.
    pub key: KeyId,
}

impl Sender {
    /// Who that is, for what is kept of who did something.
    pub fn actor(&self) -> String {
        actor(self.key)
    }
}

impl Admin {
    /// Who that is, for what is kept of who did something.
    pub fn actor(&self) -> String {
        actor(self.key)
    }
}

fn actor(key: KeyId) -> String {
    format!("api {key}")
}

const HOW: &str = "expected the header `Authorization: Bearer KEY`, with a key made by `herald key create`";

/// How often it is noted that a key is used.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Whoever presents a key that holds, if it may do as much as this.
async fn caller(wanted: Scope, parts: &Parts, api: &Api) -> Result<(OrgId, KeyId), Problem> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let text = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| Problem::unauthorized(HOW))?;
    let refused = || Problem::unauthorized("this API key does not hold");
    let presented = Presented::read(text.trim()).ok_or_else(refused)?;
    let stored = api.store.key(&presented.org, presented.id).await?.ok_or_else(refused)?;
    let scope = presented.scope(&stored).ok_or_else(refused)?;
    let now = api.clock.now();
    api.door.admit(&presented.org, &parts.extensions, now)?;
    if stored.last_used_at.is_none_or(|last| now.since(last) >= NOTED_EVERY) {
        api.store.note_key_use(&presented.org, presented.id, now).await?;
    }
    if scope >= wanted { Ok((presented.org, presented.id)) } else { Err(Problem::forbidden(scope, wanted)) }
}

impl FromRequestParts<Arc<Api>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let (org, _) = caller(Scope::Read, parts, api).await?;
        Ok(Self { org })
    }
}

impl FromRequestParts<Arc<Api>> for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let (org, key) = caller(Scope::Send, parts, api).await?;
        Ok(Self { org, key })
    }
}

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let (org, key) = caller(Scope::Admin, parts, api).await?;
        Ok(Self { org, key })
    }
}
