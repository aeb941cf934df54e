//! `GET /v1/runs/{id}/report.csv`, `…/rejected.csv`: a run's rows as files, written as they are read from the store.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, stream};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, Shared, auth::Reader, problem::Problem, query::Path};
use crate::{
    domain::{
        id::{OrgId, RunId},
        run::Run,
    },
    intake::exports::{Rejections, Report},
    store::StoreError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(report)).routes(routes!(rejected))
}

/// A run's report
///
/// The uploaded file with its own columns in their order and a row's line in it, and after them what became of each row: `number`,
/// `status`, `code`, `reason`, `locale`, `segments`, `sent_at`, `changed_at`, `message`, `provider_id`. Where the file has a column
/// of such a name, herald's own is called `herald_…`. Refused rows stand among the others, with the status `invalid`. Cells that a
/// spreadsheet would run as a formula begin with an apostrophe.
#[utoipa::path(get, path = "/v1/runs/{id}/report.csv", tag = "runs", params(("id" = RunId, Path, description = "The run")), security(("key" = ["read"])),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn report(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let run = find(&api, &reader.org, &id).await?;
    let name = format!("{}-report.csv", run.id);
    let report = Report::new(api.store.clone(), reader.org, run);
    let pages = stream::try_unfold(report, async |mut report| {
        Ok::<_, StoreError>(report.next_page().await?.map(|page| (Bytes::from(page), report)))
    });
    Ok(csv(&name, Body::from_stream(logged(pages))))
}

/// A run's rejected rows
///
/// The rows that were refused, with the file's own columns and one more, `error`, that says what is wrong. It can be corrected and
/// sent as it is: that column is ignored.
#[utoipa::path(get, path = "/v1/runs/{id}/rejected.csv", tag = "runs", params(("id" = RunId, Path, description = "The run")), security(("key" = ["read"])),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn rejected(State(api): Shared, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let run = find(&api, &reader.org, &id).await?;
    let name = format!("{}-rejected.csv", run.id);
    let rejections = Rejections::new(api.store.clone(), reader.org, run);
    let pages = stream::try_unfold(rejections, async |mut rejections| {
        Ok::<_, StoreError>(rejections.next_page().await?.map(|page| (Bytes::from(page), rejections)))
    });
    Ok(csv(&name, Body::from_stream(logged(pages))))
}

async fn find(api: &Api, org: &OrgId, id: &str) -> Result<Run, Problem> {
    let missing = || Problem::not_found(format!("there is no run \"{id}\""));
    let run: RunId = id.parse().map_err(|_| missing())?;
    api.store.run(org, run).await?.ok_or_else(missing)
}

/// The answer has begun when the store refuses: it breaks off, and the log says why.
fn logged(pages: impl Stream<Item = Result<Bytes, StoreError>>) -> impl Stream<Item = Result<Bytes, StoreError>> {
    use futures::TryStreamExt as _;
    pages.inspect_err(|problem| tracing::error!(%problem, "an export broke off"))
}

/// A CSV to be kept under a name.
pub(super) fn csv(name: &str, body: Body) -> Response {
    const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (NO_SNIFF, "nosniff".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}
