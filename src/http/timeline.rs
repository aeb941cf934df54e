//! `GET /v1/contacts/{number}/timeline`, `GET /v1/timeline?regarding=…`: what happened to a contact, or about a case.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Shared, auth::Reader, problem::Problem, query};
use crate::{
    book::Book,
    domain::{contact::ChannelType, id::ConsentChangeId, phone::E164, timeline::Place},
    inbound::timeline::{Item, Page, Sender, TimelineMessage, Timelines},
    store::{
        consents::{Consent, StoredConsent},
        timeline::TimelineReply,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactQuery {
    /// The `next` of the page before.
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegardingQuery {
    /// What the messages are about: their `regardingobjectid`.
    regarding: String,
    /// The `next` of the page before.
    after: Option<String>,
}

/// What happened to a contact, newest first. The number may be in national form, if the organization has a default country.
pub(super) async fn of_contact(
    State(api): Shared,
    reader: Reader,
    number: Result<Path<String>, PathRejection>,
    asked: Result<Query<ContactQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(number) = number.map_err(|problem| Problem::bad_request("invalid_number", problem.body_text()))?;
    let Query(asked) = asked.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let after = cursor(asked.after.as_deref())?;
    let book = book(&api, &reader).await?;
    let contact = query::number_in_path(&number, book.organization.default_country)?;
    let page = timelines(&api).of_contact(&book, contact, after, api.clock.now()).await?;
    Ok(Json(json!({ "contact": contact, "timeline": items(&page), "next": page.next })))
}

/// What happened about something, newest first.
pub(super) async fn regarding(
    State(api): Shared,
    reader: Reader,
    asked: Result<Query<RegardingQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = asked.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let after = cursor(asked.after.as_deref())?;
    let regarding = asked.regarding.trim();
    if regarding.is_empty() {
        return Err(Problem::bad_request("invalid_query", "regarding is empty; expected a regardingobjectid"));
    }
    let book = book(&api, &reader).await?;
    let page = timelines(&api).regarding(&book, regarding, after, api.clock.now()).await?;
    Ok(Json(json!({ "regarding": regarding, "timeline": items(&page), "next": page.next })))
}

fn cursor(after: Option<&str>) -> Result<Option<Place>, Problem> {
    let read = after.map(str::parse).transpose();
    read.map_err(|problem| Problem::bad_request("invalid_cursor", format!("after: {problem}")))
}

async fn book(api: &Api, reader: &Reader) -> Result<std::sync::Arc<Book>, Problem> {
    let book = api.books.current(&reader.org).await?;
    book.ok_or_else(|| Problem::not_found("there is no such organization"))
}

fn timelines(api: &Api) -> Timelines {
    Timelines { store: api.store.clone(), books: api.books.clone() }
}

/// A page's items as JSON: the same in the API and on the command line.
pub fn items(page: &Page) -> Vec<Value> {
    let item = |item: &Item| match item {
        Item::Message(one) => message(one),
        Item::Reply { reply: one, from, channel } => reply(one, *from, channel.as_ref()),
        Item::Consent(id, change) => consent(*id, change),
    };
    page.items.iter().map(item).collect()
}

/// SMS or WhatsApp, as people write them.
const fn label(channel_type: ChannelType) -> &'static str {
    match channel_type {
        ChannelType::Sms => "SMS",
        ChannelType::WhatsApp => "WhatsApp",
    }
}

fn message(one: &TimelineMessage) -> Value {
    let state = one.message.state.as_ref();
    let why = state.and_then(|state| state.why.as_ref());
    let sender = one.sender.as_ref();
    let by = sender.map_or("message", |sender| label(sender.channel_type));
    json!({
        "kind": "message", "id": one.activity.id, "created_at": one.activity.created_at,
        "subject": format!("Outbound {by}: {}", one.run.name),
        "text": one.text.as_ref().ok(), "text_missing": one.text.as_ref().err(), "locale": one.locale,
        "channel_type": sender.map(|sender| sender.channel_type),
        "provider": sender.and_then(|sender| sender.provider).map(|provider| provider.as_str()),
        "configuration": { "id": one.run.configuration, "name": one.run.name },
        "sender": sender.map(|sender| &sender.number), "receiver": one.message.to,
        "state": one.state, "status": one.message.status(), "due_at": one.due,
        "sent_on": state.and_then(|state| state.sent_at),
        "code": why.map(|why| why.reason.code()), "reason": why.map(ToString::to_string),
        "provider_code": why.map(|why| why.provider_code.as_str()).filter(|code| !code.is_empty()),
        "relationship": one.activity.relationship, "regarding": one.activity.regarding,
    })
}

fn reply(one: &TimelineReply, from: E164, channel: Option<&Sender>) -> Value {
    let by = channel.map_or("message", |channel| label(channel.channel_type));
    json!({
        "kind": "reply", "id": one.id, "created_at": one.received_at,
        "subject": format!("Inbound {by}"), "text": one.text, "media": one.media,
        "media_refused": one.media_refused, "conversation": one.conversation,
        "channel": one.channel, "channel_type": channel.map(|channel| channel.channel_type),
        "provider": channel.and_then(|channel| channel.provider).map(|provider| provider.as_str()),
        "sender": from, "receiver": channel.map(|channel| &channel.number),
        "keyword": Some(one.keyword.as_str()).filter(|keyword| !keyword.is_empty()),
        "answers": Some(one.answers.as_str()).filter(|answers| !answers.is_empty()),
    })
}

fn consent(id: ConsentChangeId, change: &StoredConsent) -> Value {
    let by = label(change.channel_type);
    let subject = match change.consent {
        Consent::In => format!("Opted in to {by}"),
        Consent::Out => format!("Opted out of {by}"),
        Consent::Unknown => format!("Consent to {by} is unknown again"),
    };
    json!({
        "kind": "consent", "id": id, "created_at": change.changed_at, "subject": subject,
        "channel_type": change.channel_type, "consent": change.consent.name(), "source": change.source,
        "actor": change.actor,
    })
}
