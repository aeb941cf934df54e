//! `/v1/consents`: who may be written to and who may not, one person or all, with how it came to be so; and taking in a file.

mod views;

use std::{fmt, str::FromStr, sync::Arc};

use axum::{Json, body::Body, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Admin, Reader, Sender},
    body::Body as JsonBody,
    problem::{FieldError, Problem},
    query::{self, Path, Query},
    spool::{self, spool},
};
use crate::{
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, OrgId},
        phone::{Country, E164},
    },
    intake::{
        consents::{ConsentImport, NotImported, import as take_in},
        csv::{FileProblem, consents::Unsaid},
        upload::OnInvalid,
    },
    store::consents::{Consent, ConsentChange, StoredConsent},
};
use views::{ConsentView, ImportView, PersonView, consent};
pub use views::{RowProblemView, imported, of_person};

/// The most that one page holds.
const PAGE: i64 = 100;
/// The most row problems that an answer names one by one; all are counted.
const SHOWN: usize = 1_000;
/// The longest note, in characters.
const NOTE: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, set)).routes(routes!(import))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// All if left out.
    #[param(value_type = Option<Consent>)]
    state: Option<String>,
    /// Both if left out.
    #[param(value_type = Option<ChannelType>)]
    channel: Option<String>,
    /// The `next` of the page before.
    #[param(pattern = "^(sms|whatsapp)\\.[0-9]{1,15}$")]
    after: Option<String>,
}

/// A page of consents, by channel type and number.
#[derive(Serialize, ToSchema)]
struct Consents {
    consents: Vec<ConsentView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<String>,
}

/// Lists stored consents, by channel type and number
#[utoipa::path(get, path = "/v1/consents", tag = "consents", params(ListQuery), security(("key" = ["read"])), responses((status = 200, body = Consents)))]
async fn list(State(api): Shared, reader: Reader, Query(asked): Query<ListQuery>) -> Result<Json<Consents>, Problem> {
    let channel_type = query::parsed::<ChannelType>("channel", asked.channel)?;
    let state = query::parsed::<Consent>("state", asked.state)?;
    let after = query::cursor::<Cursor>(asked.after)?.map(|Cursor(channel_type, of)| (channel_type, of));
    let found = api.store.list_consents(&reader.org, channel_type, state, after, PAGE).await?;
    let next = query::next(&found, PAGE, |last: &StoredConsent| Cursor(last.channel_type, last.of).to_string());
    Ok(Json(Consents { consents: found.iter().map(consent).collect(), next }))
}

/// Where a page of consents ended.
struct Cursor(ChannelType, E164);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1.digits())
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (channel_type, digits) = text.split_once('.').ok_or(())?;
        let digits: u64 = digits.parse().map_err(|_| ())?;
        // No number has more than 15 digits: what is larger is none of ours, and more than a store can hold.
        let number = Some(digits).filter(|digits| *digits < 10u64.pow(15)).ok_or(())?;
        Ok(Self(channel_type.parse().map_err(|_| ())?, E164::from_digits(number)))
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    /// The last change of the page before.
    #[param(value_type = Option<ConsentChangeId>)]
    after: Option<String>,
}

/// Shows what holds for one person on each channel type, and how it came to be so
///
/// The number may be in national form, if the organization has a default country. The newest change comes first.
#[utoipa::path(
    get, path = "/v1/consents/{number}", tag = "consents",
    params(("number" = String, Path, description = "The contact's number", example = "+4915155500001"), ShowQuery),
    security(("key" = ["read"])), responses((status = 200, body = PersonView))
)]
async fn show(
    State(api): Shared,
    reader: Reader,
    number: Result<Path<String>, Problem>,
    Query(asked): Query<ShowQuery>,
) -> Result<Json<PersonView>, Problem> {
    let after = query::cursor(asked.after)?;
    let person = query::number_of(number, country(&api.books, &reader.org).await?)?;
    Ok(Json(of_person(&api.store, &reader.org, person, after).await?))
}

async fn country(books: &crate::book::Books, org: &OrgId) -> Result<Option<Country>, Problem> {
    Ok(books.current(org).await?.and_then(|book| book.organization.default_country))
}

/// What holds from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetBody {
    /// Left out: on both.
    #[schema(value_type = Option<ChannelType>)]
    channel: Option<String>,
    #[schema(value_type = Consent)]
    state: String,
    /// For the history: who asked for it, and how.
    #[schema(max_length = 200)]
    note: Option<String>,
}

/// Says what holds for one person from now on
#[utoipa::path(
    put, path = "/v1/consents/{number}", tag = "consents",
    params(("number" = String, Path, description = "The contact's number", example = "+4915155500001")),
    request_body = SetBody, security(("key" = ["send"])), responses((status = 200, body = PersonView))
)]
async fn set(
    State(api): Shared,
    sender: Sender,
    number: Result<Path<String>, Problem>,
    body: Result<JsonBody<SetBody>, Problem>,
) -> Result<Json<PersonView>, Problem> {
    let person = query::number_of(number, country(&api.books, &sender.org).await?)?;
    let SetBody { channel, state, note } = body?.value;
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    /// For rows that do not say: both if left out.
    #[param(value_type = Option<ChannelType>)]
    channel: Option<String>,
    /// For rows that do not say: opted out if left out.
    #[param(value_type = Option<Consent>)]
    state: Option<String>,
    /// `skip`: the good rows are taken in, whatever the others are; `refuse` if left out.
    #[param(pattern = "^(refuse|skip)$")]
    on_invalid: Option<String>,
    /// The file's name, for the history.
    name: Option<String>,
}

/// What was taken in of a file.
#[derive(Serialize, ToSchema)]
struct OneImport {
    import: ImportView,
}

/// Takes in a CSV file of consents
#[utoipa::path(
    post, path = "/v1/consents/import", tag = "consents", params(ImportQuery),
    request_body(content = String, content_type = "text/csv", description = "A header line and one line for each person, at most 128 MiB"),
    security(("key" = ["admin"])), responses((status = 200, body = OneImport))
)]
async fn import(
    State(api): Shared,
    admin: Admin,
    Query(asked): Query<ImportQuery>,
    body: Body,
) -> Result<Json<OneImport>, Problem> {
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
        file: spool(body, spool::LARGEST).await?,
        unsaid,
        on_invalid,
        shown: SHOWN,
        source: name.map_or_else(|| "file".to_owned(), |name| format!("file {name}")),
        actor: admin.actor(),
    };
    match take_in(&api.store, import, |_| ()).await {
        Ok(done) => Ok(Json(OneImport { import: imported(&done) })),
        Err(problem) => Err(refused(problem)),
    }
}

fn refused(problem: NotImported) -> Problem {
    let detail = problem.to_string();
    match problem {
        NotImported::Invalid(checked) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_rows", detail)
            .with_errors(checked.problems.iter().map(RowProblemView::of)),
        NotImported::File(FileProblem::Io(_) | FileProblem::Spill(_)) => Problem::unavailable(detail),
        NotImported::File(problem) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problem.code(), detail),
        NotImported::Store(problem) => problem.into(),
        NotImported::Broken(_) => Problem::unavailable(detail),
    }
}
