//! `GET /v1/quota`: how much of the rolling hour is used, and when more comes.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{Shared, auth::Reader, problem::Problem};
use crate::domain::quota::{self, Ask, Usage};

pub(super) async fn show(State(api): Shared, reader: Reader) -> Result<Json<Value>, Problem> {
    let now = api.clock.now();
    let allowance =
        api.store.allowance(&reader.org).await?.ok_or_else(|| Problem::not_found("there is no such organization"))?;
    let buckets = api.store.usage(&reader.org, now).await?;
    let used = buckets.iter().fold(Usage { total: 0, bulk: 0 }, |sum, (_, one)| Usage {
        total: sum.total + one.total,
        bulk: sum.bulk + one.bulk,
    });
    let left = |ask| quota::grant(allowance, used, ask, u64::MAX);
    let more_at = |ask| (left(ask) == 0).then(|| quota::retry_at(allowance, &buckets, ask, now));
    Ok(Json(json!({
        "limit": allowance.limit, "window_minutes": 60, "used": used.total, "reserved_for_automatic": allowance.reserved(),
        "left": { "automatic": left(Ask::Automatic), "bulk": left(Ask::Bulk) },
        "more_at": { "automatic": more_at(Ask::Automatic), "bulk": more_at(Ask::Bulk) },
    })))
}
