//! `GET /v1/quota`: how much of the rolling hour is used, and when more comes.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, Shared, auth::Reader, problem::Problem};
use crate::domain::{
    quota::{self, Ask, Usage},
    time::Timestamp,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show))
}

/// What an organization may still send in the rolling hour, in requests.
#[derive(Serialize, ToSchema)]
struct Quota {
    /// The most in any window.
    limit: u64,
    /// How long the window is.
    window_minutes: u32,
    /// Dispatched within the last window, retries included.
    used: u64,
    /// Kept for automatic messages.
    reserved_for_automatic: u64,
    left: Left,
    more_at: MoreAt,
}

/// Requests that may be dispatched now.
#[derive(Serialize, ToSchema)]
struct Left {
    automatic: u64,
    /// What is not automatic leaves the reserve alone.
    bulk: u64,
}

/// When more comes, where nothing is left.
#[derive(Serialize, ToSchema)]
struct MoreAt {
    automatic: Option<Timestamp>,
    bulk: Option<Timestamp>,
}

/// How much of the rolling hour is used
///
/// Requests of at most 100 messages, counted when they are dispatched.
#[utoipa::path(get, path = "/v1/quota", tag = "quota", security(("key" = ["read"])), responses((status = 200, body = Quota)))]
async fn show(State(api): Shared, reader: Reader) -> Result<Json<Quota>, Problem> {
    let now = api.clock.now();
    let allowance =
        api.store.allowance(&reader.org).await?.ok_or_else(|| Problem::not_found("there is no such organization"))?;
    let buckets = api.store.usage(&reader.org, now).await?;
    let used: Usage = buckets.iter().map(|(_, used)| *used).sum();
    let left = |ask| quota::grant(allowance, used, ask, u64::MAX);
    let more_at = |ask| (left(ask) == 0).then(|| quota::retry_at(allowance, &buckets, ask, now));
    Ok(Json(Quota {
        limit: allowance.limit,
        window_minutes: 60,
        used: used.total,
        reserved_for_automatic: allowance.reserved(),
        left: Left { automatic: left(Ask::Automatic), bulk: left(Ask::Bulk) },
        more_at: MoreAt { automatic: more_at(Ask::Automatic), bulk: more_at(Ask::Bulk) },
    }))
}
