//! `/v1/lists`: stored audiences. A list is wholly good or not taken in.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Admin, Reader},
    consents::RowProblemView,
    problem::{More, Problem},
    query::{self, Path, Query},
    spool::{broken_off, spool_named},
    uploads,
};
use crate::{
    book::Book,
    definitions::{self, ApplyError, NotPut, NotRemoved, PutList, users_of},
    domain::{
        contact::{Contact, OptIn},
        definition::List,
        id::OrgId,
        locale::Locale,
        phone::E164,
    },
    store::{definitions::Change, lists::ListEntry},
};

/// The most that one page holds.
const PAGE: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, put, remove)).routes(routes!(entries))
}

/// A stored audience.
#[derive(Serialize, ToSchema)]
pub struct ListView {
    /// Its name.
    pub name: String,
    /// How many entries it has.
    pub rows: i64,
    /// Raised by every file that says something else.
    pub version: i64,
    /// Its file's own columns; empty where they were not kept.
    pub columns: Vec<String>,
    /// The configurations that are sent to it.
    pub used_by: Vec<String>,
}

impl ListView {
    /// As the book has it.
    pub fn of(book: &Book, name: &str, list: &List) -> Self {
        let List { version, rows, columns, digest: _ } = list.clone();
        let used_by = users_of(book, name).into_iter().map(str::to_owned).collect();
        Self { name: name.to_owned(), rows, version, columns, used_by }
    }
}

#[derive(Serialize, ToSchema)]
struct Lists {
    lists: Vec<ListView>,
}

#[derive(Serialize, ToSchema)]
struct OneList {
    list: ListView,
}

/// A list that was put.
#[derive(Serialize, ToSchema)]
struct PutAnswer {
    list: ListView,
    /// `created`, `changed` or `unchanged`.
    change: &'static str,
}

/// Every stored list
#[utoipa::path(get, path = "/v1/lists", tag = "lists", security(("key" = ["read"])), responses((status = 200, body = Lists)))]
async fn list(State(api): Shared, reader: Reader) -> Result<Json<Lists>, Problem> {
    let book = book(&api, &reader.org).await?;
    let lists = book.lists().map(|(name, list)| ListView::of(&book, name, list)).collect();
    Ok(Json(Lists { lists }))
}

/// One stored list
#[utoipa::path(get, path = "/v1/lists/{name}", tag = "lists", params(("name" = String, Path, description = "The list's name")), security(("key" = ["read"])),
    responses((status = 200, body = OneList)))]
async fn show(State(api): Shared, reader: Reader, Path(name): Path<String>) -> Result<Json<OneList>, Problem> {
    let book = book(&api, &reader.org).await?;
    let list = book.list(&name).map_err(|_| missing(&name))?;
    Ok(Json(OneList { list: ListView::of(&book, &name, list) }))
}

async fn book(api: &Api, org: &OrgId) -> Result<Arc<Book>, Problem> {
    api.books.current(org).await?.ok_or_else(|| Problem::not_found("there is no such organization"))
}

fn missing(name: &str) -> Problem {
    Problem::not_found(format!("there is no list \"{name}\""))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PutQuery {
    /// Attests that everybody in it who does not say has agreed.
    opted_in: Option<bool>,
}

/// Take a list in
///
/// The body is a CSV: a header line and one line for each person, with what every configuration that is sent to the list needs.
/// It becomes a new version of the list as a whole, or nothing is changed. Runs that are reading go on with theirs.
#[utoipa::path(put, path = "/v1/lists/{name}", tag = "lists", params(("name" = String, Path, description = "The list's name"), PutQuery), security(("key" = ["admin"])),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = PutAnswer), (status = 201, body = PutAnswer)))]
async fn put(
    State(api): Shared,
    admin: Admin,
    Path(name): Path<String>,
    Query(asked): Query<PutQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<PutAnswer>), Problem> {
    if !is_csv(&headers) {
        let expected = "expected a body of the type text/csv";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", expected));
    }
    let chunks = body.into_data_stream().map_err(broken_off);
    let file = spool_named(chunks, None, api.max_upload_bytes).await?;
    let attested = (asked.opted_in == Some(true)).then_some(OptIn::Yes);
    let put = PutList { org: admin.org, name, path: file.path(), attested };
    // Whoever asked may go away while a large file is taken in: the work is done all the same.
    let done = tokio::spawn(async move {
        let (list, change) = definitions::put_list(&api.store, &api.books, &api.clock, &put).await.map_err(not_put)?;
        drop(file);
        let status = if change == Change::Created { StatusCode::CREATED } else { StatusCode::OK };
        let book = book(&api, &put.org).await?;
        let list = ListView::of(&book, &put.name, &list);
        Ok((status, Json(PutAnswer { list, change: change_name(change) })))
    });
    done.await.map_err(|_| Problem::unavailable("taking the list in broke off; try again"))?
}

fn is_csv(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/csv"))
}

/// What became of a definition, for programs.
pub fn change_name(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Changed => "changed",
        Change::Unchanged => "unchanged",
    }
}

/// Take a list away
#[utoipa::path(delete, path = "/v1/lists/{name}", tag = "lists", params(("name" = String, Path, description = "The list's name")), security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(api): Shared, admin: Admin, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let removed = definitions::remove_list(&api.store, &api.books, &api.clock, &admin.org, &name).await;
    removed.map(|()| StatusCode::NO_CONTENT).map_err(not_removed)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EntriesQuery {
    /// The `next` of the page before.
    after: Option<String>,
}

/// A page of a list's entries.
#[derive(Serialize, ToSchema)]
struct Entries {
    entries: Vec<EntryView>,
    /// The version that they are of.
    version: i64,
    next: Option<i64>,
}

/// One person of a list.
#[derive(Serialize, ToSchema)]
struct EntryView {
    /// The place in the list, from 1.
    place: i64,
    to: E164,
    opted_in: bool,
    locale: Option<Locale>,
    /// The values for texts, by name.
    context: BTreeMap<String, String>,
}

impl From<ListEntry> for EntryView {
    fn from(entry: ListEntry) -> Self {
        let Contact { to, opted_in, locale, slugs } = entry.contact;
        let context = slugs.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { place: entry.seq, to, opted_in: opted_in == OptIn::Yes, locale, context }
    }
}

/// The people of a list, in its order
#[utoipa::path(get, path = "/v1/lists/{name}/entries", tag = "lists", params(("name" = String, Path, description = "The list's name"), EntriesQuery), security(("key" = ["read"])),
    responses((status = 200, body = Entries)))]
async fn entries(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
    Query(asked): Query<EntriesQuery>,
) -> Result<Json<Entries>, Problem> {
    let after = query::cursor::<i64>(asked.after)?.unwrap_or(0);
    let book = book(&api, &reader.org).await?;
    let version = book.list(&name).map_err(|_| missing(&name))?.version;
    let found = api.store.list_entries(&reader.org, &name, version, after, PAGE).await?;
    let next = query::next(&found, PAGE, |last| last.seq);
    Ok(Json(Entries { entries: found.into_iter().map(EntryView::from).collect(), version, next }))
}

fn not_put(problem: NotPut) -> Problem {
    let detail = problem.to_string();
    match problem {
        NotPut::NoOrganization => Problem::not_found(detail),
        NotPut::Name(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail),
        NotPut::File(problem) => uploads::not_a_file(&problem),
        NotPut::Rows(bad) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_rows", detail)
            .with(More {
                rows: Some(bad.rows),
                invalid: Some(bad.invalid),
                duplicates: Some(bad.duplicates),
                summary: Some(bad.summary.to_string()),
                ..More::default()
            })
            .with_errors(bad.problems.iter().map(RowProblemView::of)),
        NotPut::Busy(_) => Problem::new(StatusCode::CONFLICT, "being_taken_in", detail).retry_after(5),
        NotPut::Apply(problem) => not_applied(problem),
        NotPut::Store(problem) => problem.into(),
    }
}

fn not_removed(problem: NotRemoved) -> Problem {
    let detail = problem.to_string();
    match problem {
        NotRemoved::NotThere(_) => Problem::not_found(detail),
        NotRemoved::Used(..) | NotRemoved::Read(..) => Problem::new(StatusCode::CONFLICT, "in_use", detail),
        NotRemoved::Apply(problem) => not_applied(problem),
        NotRemoved::Store(problem) => problem.into(),
    }
}

fn not_applied(problem: ApplyError) -> Problem {
    match problem {
        ApplyError::Store(problem) => problem.into(),
        ApplyError::Contended => Problem::new(StatusCode::CONFLICT, "conflict", problem.to_string()).retry_after(1),
        ApplyError::Problems(_) | ApplyError::Needed(_) => {
            Problem::new(StatusCode::CONFLICT, "conflict", problem.to_string())
        }
        ApplyError::Body(_) | ApplyError::Text(_) | ApplyError::Random(_) | ApplyError::Reader(_) => {
            tracing::error!(%problem, "a list could not be taken in");
            Problem::unavailable("the list could not be taken in; try again in a moment")
        }
    }
}
