//! Who is asking: an API key names the organization, and everything that is answered is that organization's.

use std::sync::Arc;

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

/// A caller who may send, and answer in conversations.
#[derive(Debug)]
pub(super) struct Sender {
    /// For whom.
    pub org: OrgId,
    /// Which key that is, for the record.
    pub key: KeyId,
}

/// A caller who may do everything.
#[derive(Debug)]
pub(super) struct Admin {
    /// For whom.
    pub org: OrgId,
    /// Which key that is, for the record.
    pub key: KeyId,
}

const HOW: &str = "expected the header `Authorization: Bearer KEY`, with a key made by `herald key create`";

/// The caller, if the key allows at least as much as `needed`.
async fn caller(parts: &Parts, api: &Api, needed: Scope) -> Result<Presented, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let text = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| Problem::unauthorized(HOW))?;
    let refused = || Problem::unauthorized("this API key does not hold");
    let presented = Presented::read(text.trim()).ok_or_else(refused)?;
    let stored = api.store.key(&presented.org, presented.id).await?.ok_or_else(refused)?;
    let scope = presented.scope(&stored).ok_or_else(refused)?;
    if scope < needed {
        let (has, needs) = (scope.as_str(), needed.as_str());
        return Err(Problem::forbidden(format!("this API key has the scope \"{has}\"; this needs \"{needs}\"")));
    }
    Ok(presented)
}

impl FromRequestParts<Arc<Api>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let presented = caller(parts, api, Scope::Read).await?;
        Ok(Self { org: presented.org })
    }
}

impl FromRequestParts<Arc<Api>> for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let presented = caller(parts, api, Scope::Send).await?;
        Ok(Self { org: presented.org, key: presented.id })
    }
}

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let presented = caller(parts, api, Scope::Admin).await?;
        Ok(Self { org: presented.org, key: presented.id })
    }
}
