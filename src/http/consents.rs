//! `/v1/consents`: who may be written to and who may not, one person or all, with how it came to be so; and taking in a file.

use axum::{
    Json,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    auth::{Admin, Reader, Sender},
    problem::{FieldError, Problem},
    query,
    spool::spool,
};
use crate::{
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, OrgId},
        phone::{Country, E164},
    },
    intake::{
        consents::{ConsentImport, ImportedConsents, NotImported, import as take_in},
        csv::{FileProblem, RowProblem, consents::Unsaid},
        upload::OnInvalid,
    },
    store::{
        Store, StoreError,
        consents::{Consent, ConsentChange, StoredConsent},
    },
};

/// The most that one page holds.
const PAGE: i64 = 100;
/// The most row problems that an answer names one by one; all are counted.
const SHOWN: usize = 1_000;
/// The longest note, in characters.
const NOTE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    channel: Option<String>,
    /// Where the page before ended.
    after: Option<String>,
}

/// Stored consents, by channel type and number, a page at a time.
pub(super) async fn list(
    State(api): Shared,
    reader: Reader,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let channel_type = query::parsed::<ChannelType>("channel", asked.channel)?;
    let state = query::parsed::<Consent>("state", asked.state)?;
    let not_ours = || Problem::bad_request("invalid_cursor", "after: expected what the page before said is next");
    let after = asked.after.map(|text| read_cursor(&text).ok_or_else(not_ours)).transpose()?;
    let found = api.store.list_consents(&reader.org, channel_type, state, after, PAGE).await?;
    let next = found.last().filter(|_| i64::try_from(found.len()) == Ok(PAGE)).map(cursor);
    Ok(Json(json!({ "consents": found.iter().map(consent).collect::<Vec<_>>(), "next": next })))
}

fn cursor(last: &StoredConsent) -> String {
    format!("{}.{}", last.channel_type, last.of.digits())
}

fn read_cursor(text: &str) -> Option<(ChannelType, E164)> {
    let (channel_type, digits) = text.split_once('.')?;
    Some((channel_type.parse().ok()?, E164::from_digits(digits.parse().ok()?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// The last change of the page before.
    after: Option<String>,
}

/// One person: what holds on each channel type, and how it came to be so, the newest change first.
pub(super) async fn show(
    State(api): Shared,
    reader: Reader,
    Path(number): Path<String>,
    query: Result<Query<ShowQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let after = query::parsed("after", asked.after)?;
    let person = query::number_in_path(&number, country(&api.books, &reader.org).await?)?;
    Ok(Json(of_person(&api.store, &reader.org, person, after).await?))
}

async fn country(books: &crate::book::Books, org: &OrgId) -> Result<Option<Country>, Problem> {
    Ok(books.current(org).await?.and_then(|book| book.organization.default_country))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetBody {
    /// Left out: on both.
    channel: Option<String>,
    state: String,
    note: Option<String>,
}

/// Says what holds for one person from now on.
pub(super) async fn set(
    State(api): Shared,
    sender: Sender,
    Path(number): Path<String>,
    body: Result<Json<SetBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let person = query::number_in_path(&number, country(&api.books, &sender.org).await?)?;
    let SetBody { channel, state, note } = query::body(body)?;
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, detail: String| errors.push(FieldError { pointer: pointer.to_owned(), detail });
    let channel_type = channel.map(|text| text.parse::<ChannelType>()).transpose();
    let consent = state.parse::<Consent>();
    if let Err(problem) = &channel_type {
        wrong("/channel", problem.to_string());
    }
    if let Err(problem) = &consent {
        wrong("/state", problem.to_string());
    }
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE) {
        wrong("/note", format!("is longer than {NOTE} characters"));
    }
    let (Ok(channel_type), Ok(consent), true) = (channel_type, consent, errors.is_empty()) else {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_consent", "the consent cannot be set");
        return Err(problem.with_errors(errors));
    };
    let source = note.filter(|note| !note.trim().is_empty()).map_or("api".to_owned(), |note| format!("api: {note}"));
    let now = api.clock.now();
    let change = |channel_type| ConsentChange {
        id: ConsentChangeId::new(now, rand::random()),
        channel_type,
        of: person,
        consent,
        source: source.clone(),
        actor: sender.actor(),
        at: now,
    };
    let changes: Vec<ConsentChange> = channel_types(channel_type).into_iter().map(change).collect();
    api.store.set_consents(&sender.org, &changes).await?;
    Ok(Json(of_person(&api.store, &sender.org, person, None).await?))
}

/// The channel types that are meant: one, or both.
pub fn channel_types(only: Option<ChannelType>) -> Vec<ChannelType> {
    only.map_or_else(|| vec![ChannelType::Sms, ChannelType::WhatsApp], |only| vec![only])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    /// For rows that do not say: both if left out.
    channel: Option<String>,
    /// For rows that do not say: opted out if left out.
    state: Option<String>,
    /// `skip`: the good rows are taken in, whatever the others are.
    on_invalid: Option<String>,
    /// The file's name, for the history.
    name: Option<String>,
}

/// Takes in a CSV file of consents.
pub(super) async fn import(
    State(api): Shared,
    admin: Admin,
    query: Result<Query<ImportQuery>, QueryRejection>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let on_invalid = match asked.on_invalid.as_deref() {
        None | Some("refuse") => OnInvalid::Refuse,
        Some("skip") => OnInvalid::Skip,
        Some(_) => return Err(Problem::bad_request("invalid_query", "on_invalid: expected \"refuse\" or \"skip\"")),
    };
    let unsaid = Unsaid {
        channel_type: query::parsed("channel", asked.channel)?,
        consent: query::parsed("state", asked.state)?.unwrap_or(Consent::Out),
        default_country: country(&api.books, &admin.org).await?,
        now: api.clock.now(),
    };
    let name = asked.name.map(|name| name.chars().take(NOTE).collect::<String>()).filter(|name| !name.is_empty());
    let import = ConsentImport {
        org: admin.org.clone(),
        file: spool(body, api.max_upload_bytes).await?,
        unsaid,
        on_invalid,
        shown: SHOWN,
        source: name.map_or_else(|| "file".to_owned(), |name| format!("file {name}")),
        actor: admin.actor(),
    };
    match take_in(&api.store, import, |_| ()).await {
        Ok(done) => Ok(Json(json!({ "import": imported(&done) }))),
        Err(problem) => Err(refused(problem)),
    }
}

fn refused(problem: NotImported) -> Problem {
    let detail = problem.to_string();
    match problem {
        NotImported::Invalid(checked) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_rows", detail)
            .with_errors(checked.problems.iter().map(row_problem)),
        NotImported::File(FileProblem::Io(_) | FileProblem::Spill(_)) => Problem::unavailable(detail),
        NotImported::File(problem) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problem.code(), detail),
        NotImported::Store(problem) => problem.into(),
        NotImported::Broken(_) => Problem::unavailable(detail),
    }
}

/// What was taken in of a file, as JSON: the same on the command line.
pub fn imported(imported: &ImportedConsents) -> Value {
    let ImportedConsents { checked, changed } = imported;
    json!({
        "rows": checked.rows, "valid": checked.valid, "invalid": checked.invalid, "changed": changed,
        "ignored_columns": checked.ignored, "summary": checked.summary.to_string(),
        "problems": checked.problems.iter().map(row_problem).collect::<Vec<_>>(),
    })
}

fn row_problem(problem: &RowProblem) -> Value {
    json!({
        "line": problem.line, "column": problem.column, "value": problem.value, "code": problem.kind.code(),
        "detail": problem.to_string(),
    })
}

/// One person's consent with its history, as JSON: the same on the command line.
pub async fn of_person(
    store: &Store,
    org: &OrgId,
    person: E164,
    after: Option<ConsentChangeId>,
) -> Result<Value, StoreError> {
    let stored = store.consent_of(org, person).await?;
    let current = |channel_type: ChannelType| match stored.iter().find(|one| one.channel_type == channel_type) {
        Some(stored) => consent(stored),
        None => {
            json!({ "number": person, "channel": channel_type, "state": Consent::Unknown.name(), "source": null, "actor": null, "changed_at": null })
        }
    };
    let history = store.consent_history(org, person, after, PAGE).await?;
    let next = history.last().filter(|_| i64::try_from(history.len()) == Ok(PAGE)).and_then(|last| last.id);
    Ok(json!({
        "number": person, "consents": channel_types(None).into_iter().map(current).collect::<Vec<_>>(),
        "history": history.iter().map(change).collect::<Vec<_>>(), "next": next,
    }))
}

fn consent(stored: &StoredConsent) -> Value {
    json!({
        "number": stored.of, "channel": stored.channel_type, "state": stored.consent.name(), "source": stored.source,
        "actor": stored.actor, "changed_at": stored.changed_at,
    })
}

fn change(stored: &StoredConsent) -> Value {
    let mut shown = consent(stored);
    shown["id"] = json!(stored.id);
    shown
}
