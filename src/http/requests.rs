//! `POST /v1/outbound-configurations/{id}/requests`: up to a hundred contacts, as one request.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Sender,
    body::Body,
    once::once,
    problem::Problem,
    query::{self, Path},
};
use crate::{
    domain::{
        id::{MessageId, RequestId, RunId},
        locale::Locale,
        reason::Reason,
    },
    intake::{
        begin::NotBegun,
        requests::{self, Call, MOST, NotTaken, Taken, Verdict},
    },
    template::{Encoding, Rendered, segments},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(send))
}

/// Contacts for one request: with `contacts`, or as a bare list, or as a single contact.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by hand, so that what is wrong is said with its place; this is how it is described")]
enum Contacts {
    Many(ManyContacts),
    List(Vec<ContactBody>),
    One(ContactBody),
}

/// Up to 100 contacts.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "the description of what is read by hand")]
struct ManyContacts {
    #[schema(min_items = 1, max_items = 100)]
    contacts: Vec<ContactBody>,
    /// Says what would be sent, and sends nothing.
    dry_run: Option<bool>,
}

/// A contact, in the names that Dynamics 365 flows send.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "the description of what is read by hand")]
struct ContactBody {
    /// The number, in international form.
    #[schema(example = "+4915112345678")]
    tocontactid: String,
    /// `sms` or `whatsapp`: must be the configuration's channel type.
    channelid: Option<String>,
    /// Whether the contact agreed; required unless the configuration attests it for all.
    optin: Option<bool>,
    /// A language tag, or a Windows locale number.
    #[schema(example = "de-DE")]
    locale: Option<String>,
    /// An IANA time zone.
    timezone: Option<String>,
    /// The slugs' values.
    contextitems: Option<Map<String, Value>>,
}

/// What became of a call.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestAnswer)]
struct Answer {
    /// The configuration's run of the day; none for a dry run.
    run: Option<RunId>,
    /// The request that holds the contacts; none for a dry run.
    request: Option<RequestId>,
    /// Whether this only says what would be sent.
    dry_run: bool,
    /// Contacts that get a message.
    accepted: usize,
    /// Contacts that are counted and get none.
    suppressed: usize,
    /// Contacts that were refused.
    refused: usize,
    /// What became of each, in the caller's order.
    contacts: Vec<Outcome>,
}

/// What became of a contact.
#[derive(Serialize, ToSchema)]
#[schema(as = ContactOutcome)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Outcome {
    /// It gets a message.
    Accepted {
        /// The message; none for a dry run.
        message: Option<MessageId>,
        #[serde(flatten)]
        text: Text,
    },
    /// It is counted and gets none.
    Suppressed {
        /// The message that is counted; none for a dry run.
        message: Option<MessageId>,
        /// `duplicate` or `not_opted_in`.
        code: &'static str,
        /// In words.
        reason: String,
    },
    /// It cannot be sent to.
    Refused(Wrong),
}

/// The text that a contact gets.
#[derive(Serialize, ToSchema)]
#[schema(as = ContactText)]
struct Text {
    /// The locale that was chosen.
    locale: Locale,
    /// How many segments it takes.
    segments: u32,
    /// `gsm7` or `ucs2`.
    encoding: &'static str,
    /// The text itself, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// What is wrong with a contact.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = RefusedContact)]
struct Wrong {
    /// A stable code.
    code: &'static str,
    /// Where in the body: a JSON pointer.
    #[schema(example = "/contacts/3/tocontactid")]
    pointer: String,
    /// What is wrong, and what was expected.
    detail: String,
}

/// A body that was read.
struct Asked {
    contacts: Vec<Value>,
    dry_run: bool,
    /// Where the nth contact stands in the body.
    place: fn(usize) -> String,
}

/// Sends to up to 100 contacts
///
/// One call is one request. What is wrong with a contact is said of it, and the others go; if nobody can be sent to, the call is
/// refused as a whole.
#[utoipa::path(
    post, path = "/v1/outbound-configurations/{id}/requests", tag = "requests",
    params(
        ("id" = String, Path, description = "The configuration's id or name"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = Contacts, security(("key" = ["send"])),
    responses(
        (status = 202, body = Answer, description = "Queued: what became of each contact"),
        (status = 200, body = Answer, description = "A dry run: nothing was sent"),
        (status = 404, description = "There is no such configuration"),
        (status = 409, description = "`configuration_inactive`, `configuration_unusable` or `run_cancelled`"),
        (status = 422, description = "`too_many_contacts`, `no_good_contacts` or `invalid_body`"),
    )
)]
async fn send(
    State(api): Shared,
    sender: Sender,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body<Value>,
) -> Result<Response, Problem> {
    let key = query::idempotency_key(&headers)?;
    let missing = || Problem::not_found(format!("there is no outbound configuration \"{id}\""));
    let book = api.books.current(&sender.org).await?.ok_or_else(missing)?;
    let ready = book.configuration(&id).map_err(|problem| Problem::not_found(problem.to_string()))?;
    let asked = read(body.value)?;
    if asked.dry_run {
        let call = check(&book, ready, &asked)?;
        return Ok((StatusCode::OK, Json(answer(&asked, &call, None))).into_response());
    }
    once(&api, &sender.org, key, &body.digest, async |hold| {
        let call = check(&book, ready, &asked)?;
        let key = hold.map(|hold| (hold, StatusCode::ACCEPTED.as_u16()));
        let write = |taken: &Taken| serde_json::to_string(&answer(&asked, &call, Some(taken))).unwrap_or_default();
        let (who, what) = ((&*book, ready), (&call, asked.contacts.as_slice()));
        let taken = requests::send(&api.store, &api.clock, who, what, key, &write).await?;
        Ok((StatusCode::ACCEPTED, answer(&asked, &call, Some(&taken))))
    })
    .await
}

/// What is asked for, if it has one of the shapes that are understood.
fn read(body: Value) -> Result<Asked, Problem> {
    let wrong = |words: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", words);
    let asked = match body {
        Value::Array(contacts) => Asked { contacts, dry_run: false, place: |nth| format!("/{nth}") },
        Value::Object(mut body) if body.contains_key("contacts") => {
            let Some(Value::Array(contacts)) = body.remove("contacts") else {
                return Err(wrong("/contacts: expected a list of contacts".to_owned()));
            };
            let dry_run = match body.remove("dry_run") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(dry_run)) => dry_run,
                Some(_) => return Err(wrong("/dry_run: expected true or false".to_owned())),
            };
            if let Some(unknown) = body.keys().next() {
                return Err(wrong(format!("unknown field \"{unknown}\"; expected contacts and dry_run")));
            }
            Asked { contacts, dry_run, place: |nth| format!("/contacts/{nth}") }
        }
        one @ Value::Object(_) => Asked { contacts: vec![one], dry_run: false, place: |_| String::new() },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(wrong(format!(
                "expected {{\"contacts\": […]}}, a list of contacts, or one contact; at most {MOST} of them"
            )));
        }
    };
    match asked.contacts.len() {
        0 => Err(wrong(format!("contacts: the list is empty; expected 1 to {MOST} contacts"))),
        1..=MOST => Ok(asked),
        many => {
            let words = format!("the call has {many} contacts; at most {MOST} are allowed, so nothing of it was taken");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_contacts", words))
        }
    }
}

/// The call, if anybody in it can be sent to.
fn check(book: &crate::book::Book, ready: &crate::book::ReadyConfiguration, asked: &Asked) -> Result<Call, Problem> {
    let call = Call::check(book, ready, &asked.contacts)?;
    if call.is_refused() {
        let words = format!("none of the {} contacts can be sent to, so nothing was taken", asked.contacts.len());
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_good_contacts", words);
        return Err(problem.with_errors(wrong(asked, &call)));
    }
    Ok(call)
}

fn wrong(asked: &Asked, call: &Call) -> Vec<Wrong> {
    let wrong = |(nth, verdict): (usize, &Verdict)| match outcome(asked, nth, verdict, None) {
        Outcome::Refused(wrong) => Some(wrong),
        Outcome::Accepted { .. } | Outcome::Suppressed { .. } => None,
    };
    call.verdicts.iter().enumerate().filter_map(wrong).collect()
}

fn answer(asked: &Asked, call: &Call, taken: Option<&Taken>) -> Answer {
    let message = |nth: usize| taken.and_then(|taken| taken.messages.get(nth).copied().flatten());
    let outcomes = call.verdicts.iter().enumerate().map(|(nth, verdict)| outcome(asked, nth, verdict, message(nth)));
    let contacts: Vec<Outcome> = outcomes.collect();
    let count = |is: fn(&Outcome) -> bool| contacts.iter().filter(|outcome| is(outcome)).count();
    Answer {
        run: taken.map(|taken| taken.run),
        request: taken.map(|taken| taken.request),
        dry_run: asked.dry_run,
        accepted: count(|outcome| matches!(outcome, Outcome::Accepted { .. })),
        suppressed: count(|outcome| matches!(outcome, Outcome::Suppressed { .. })),
        refused: count(|outcome| matches!(outcome, Outcome::Refused(_))),
        contacts,
    }
}

fn outcome(asked: &Asked, nth: usize, verdict: &Verdict, message: Option<MessageId>) -> Outcome {
    let suppressed = |reason: Reason| Outcome::Suppressed { message, code: reason.code(), reason: reason.to_string() };
    match verdict {
        Verdict::Goes(_, rendered) => Outcome::Accepted { message, text: text(asked, rendered) },
        Verdict::NotOptedIn(..) => suppressed(Reason::NotOptedIn),
        Verdict::Duplicate(..) => suppressed(Reason::Duplicate),
        Verdict::Refused(refused) => Outcome::Refused(Wrong {
            code: refused.code,
            pointer: format!("{}{}", (asked.place)(nth), refused.field),
            detail: refused.message.clone(),
        }),
    }
}

fn text(asked: &Asked, rendered: &Rendered) -> Text {
    let counted = segments(&rendered.text);
    Text {
        locale: rendered.locale.clone(),
        segments: counted.segments,
        encoding: if counted.encoding == Encoding::Ucs2 { "ucs2" } else { "gsm7" },
        text: asked.dry_run.then(|| rendered.text.clone()),
    }
}

impl From<NotBegun> for Problem {
    fn from(problem: NotBegun) -> Self {
        let words = problem.to_string();
        match problem {
            NotBegun::Inactive(_) => Self::new(StatusCode::CONFLICT, "configuration_inactive", words),
            NotBegun::Unusable(_) => Self::new(StatusCode::CONFLICT, "configuration_unusable", words),
            NotBegun::Store(problem) => problem.into(),
            NotBegun::Broken(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", words),
        }
    }
}

impl From<NotTaken> for Problem {
    fn from(problem: NotTaken) -> Self {
        let words = problem.to_string();
        match problem {
            NotTaken::Cancelled(_) => Self::new(StatusCode::CONFLICT, "run_cancelled", words),
            NotTaken::Superseded => Self::new(StatusCode::CONFLICT, "idempotency_key_in_use", words).retry_after(1),
            NotTaken::Store(problem) => problem.into(),
        }
    }
}
