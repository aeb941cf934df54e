//! `POST /v1/outbound-configurations/{id}/runs`: a file, or an audience that herald holds itself, becomes a run.
//!
//! What is asked is read in [`asked`], what is answered is made in [`answer`]; the work is `intake`'s.

mod answer;
mod asked;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Sender,
    once::once,
    problem::Problem,
    query::{Path, Query, idempotency_key},
    spool::Spooled,
};
use crate::{
    book::{Book, ReadyConfiguration},
    domain::{
        contact::OptIn,
        definition::AudienceRef,
        id::{ConfigurationId, OrgId},
    },
    intake::{
        audience::{self, Answering},
        upload::{self, Answer, OnSameFile, Upload, hex},
    },
    store::once::Hold,
};
pub(super) use answer::not_a_file;
use answer::{DryRunAnswer, RunAnswer};
use asked::{Asked, AudienceBody, Options, Recipients};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(start))
}

/// Send to a file, a list, or everybody with a case
///
/// The body is a CSV (`text/csv`), a form with the CSV in its part `file` and options in others (`multipart/form-data`), or JSON:
/// `{"list": "customers"}`, `{"cases": {"status": "resolved"}}`, or `{}` for the configuration's own audience. Every row is checked
/// before anything is sent. The answer comes when everything is stored and the run has begun.
///
/// With `dry_run` nothing is stored or sent, and the answer (200) says what would be. A dry run of a file that is asked for as
/// `text/csv` (in `Accept`) is answered with the rejected rows, which can be corrected and sent; with nothing (204) if there are
/// none. That is also how the rejected rows of a file that was refused are had.
#[utoipa::path(post, path = "/v1/outbound-configurations/{id}/runs", tag = "runs",
    params(("id" = ConfigurationId, Path, description = "The configuration's id or name"), Options,
        ("Idempotency-Key" = Option<String>, Header)),
    request_body(content((String = "text/csv"), (String = "multipart/form-data"), (AudienceBody = "application/json"))),
    security(("key" = ["send"])),
    responses((status = 202, body = RunAnswer), (status = 200, body = DryRunAnswer), (status = 204, description = "No row is rejected")))]
async fn start(
    State(api): Shared,
    sender: Sender,
    Path(id): Path<String>,
    Query(options): Query<Options>,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let as_csv = wants_csv(request.headers());
    let none = || Problem::not_found(format!("there is no outbound configuration \"{id}\""));
    let book = api.books.current(&sender.org).await?.ok_or_else(none)?;
    let configuration = book.configuration(&id).map_err(|_| none())?.clone();
    let asked = asked::read(&api, options, request).await?;
    let work = Work { api, org: sender.org, book, configuration, options: asked.options.clone() };
    // Whoever asked may go away while a large file is taken in: the work is done all the same, and its answer kept.
    let done = tokio::spawn(async move { work.answer(asked, key, as_csv).await }).await;
    done.map_err(|_| Problem::unavailable("taking the file in broke off, and nothing was sent; try again"))?
}

fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| one.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/csv")))
}

/// What is to be done for one call.
struct Work {
    api: Arc<Api>,
    org: OrgId,
    book: Arc<Book>,
    configuration: ReadyConfiguration,
    options: Options,
}

impl Work {
    async fn answer(self, asked: Asked, key: Option<String>, as_csv: bool) -> Result<Response, Problem> {
        let Asked { recipients, words, .. } = asked;
        let dry = self.options.dry_run == Some(true);
        match recipients {
            Recipients::File(file) if dry => self.preview_file(&file, as_csv).await,
            Recipients::Audience(audience) if dry => self.preview_audience(audience).await,
            Recipients::File(file) => {
                let digest = digest(&words, Some(&file));
                once(&self.api, &self.org, key, &digest, async |hold| self.send_file(&file, hold).await).await
            }
            Recipients::Audience(audience) => {
                let digest = digest(&words, None);
                once(&self.api, &self.org, key, &digest, async |hold| self.send_audience(audience, hold).await).await
            }
        }
    }

    fn upload(&self, file: &Spooled) -> Upload {
        Upload {
            book: self.book.clone(),
            configuration: self.configuration.clone(),
            path: file.path(),
            on_invalid: self.options.on_invalid(),
            on_same_file: if self.options.again == Some(true) { OnSameFile::Send } else { OnSameFile::Refuse },
            attested: self.attested(),
        }
    }

    fn attested(&self) -> Option<OptIn> {
        (self.options.opted_in == Some(true)).then_some(OptIn::Yes)
    }

    async fn preview_file(&self, file: &Spooled, as_csv: bool) -> Result<Response, Problem> {
        let preview = upload::preview(&self.upload(file), |_| ()).await.map_err(answer::not_sent)?;
        if as_csv {
            return Ok(answer::rejected_rows(preview.checked.rejected));
        }
        Ok(Json(DryRunAnswer::of_file(&preview)).into_response())
    }

    async fn send_file(&self, file: &Spooled, hold: Option<&Hold>) -> Result<(StatusCode, Value), Problem> {
        let body = |started: &upload::Started| RunAnswer::of_file(started).text();
        let kept = hold.map(|hold| Answer { hold, status: StatusCode::ACCEPTED.as_u16(), body: &body });
        let Api { store, clock, .. } = &*self.api;
        let started = upload::start_answering(store, clock, &self.upload(file), kept, |_| ()).await;
        let started = started.map_err(answer::not_sent)?;
        Ok((StatusCode::ACCEPTED, RunAnswer::of_file(&started).value()))
    }

    fn to(&self, audience: Option<AudienceRef>) -> Result<audience::Start, Problem> {
        let own = || self.configuration.configuration.audience.clone();
        let audience = audience.or_else(own).ok_or_else(|| {
            let name = &self.configuration.configuration.name;
            let detail = format!("\"{name}\" has no audience of its own; name a list or cases, or send a file");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_audience", detail)
        })?;
        Ok(audience::Start {
            book: self.book.clone(),
            configuration: self.configuration.clone(),
            audience,
            on_invalid: self.options.on_invalid(),
            attested: self.attested(),
        })
    }

    async fn preview_audience(&self, audience: Option<AudienceRef>) -> Result<Response, Problem> {
        let preview = audience::preview(&self.api.store, &self.to(audience)?).await.map_err(answer::not_started)?;
        Ok(Json(DryRunAnswer::of_audience(&preview)).into_response())
    }

    async fn send_audience(
        &self,
        audience: Option<AudienceRef>,
        hold: Option<&Hold>,
    ) -> Result<(StatusCode, Value), Problem> {
        let body = |run: &crate::domain::run::Run| RunAnswer::of_audience(run).text();
        let key = hold.map(|hold| Answering { hold, status: StatusCode::ACCEPTED.as_u16(), body: &body });
        let Api { store, clock, .. } = &*self.api;
        let run = audience::start(store, clock, &self.to(audience)?, key).await.map_err(answer::not_started)?;
        Ok((StatusCode::ACCEPTED, RunAnswer::of_audience(&run).value()))
    }
}

/// What an idempotency key stands for: what was asked, and the file's bytes.
fn digest(words: &str, file: Option<&Spooled>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(words);
    if let Some(file) = file {
        hasher.update(file.sha256);
    }
    hex(&hasher.finalize())
}
