//! `GET /v1/contacts/{number}/timeline`, `GET /v1/timeline?regarding=…`: what happened to a contact, or about a case.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Reader,
    problem::Problem,
    query::{self, Path, Query},
    views::filled,
};
use crate::{
    book::Book,
    domain::{
        account::ProviderKind,
        contact::ChannelType,
        id::{ConfigurationId, ConsentChangeId, ConversationId, MessageId, ReplyId},
        message::Status,
        phone::E164,
        time::Timestamp,
        timeline::{ActivityState, Place},
    },
    inbound::timeline::{Item, Page, Sender, TimelineMessage, Timelines},
    store::{
        consents::{Consent, StoredConsent},
        timeline::TimelineReply,
    },
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(of_contact)).routes(routes!(regarding))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ContactQuery {
    /// The `next` of the page before.
    #[param(value_type = Option<Place>)]
    after: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct RegardingQuery {
    /// What the messages are about: their `regardingobjectid`.
    #[param(min_length = 1)]
    regarding: String,
    /// The `next` of the page before.
    #[param(value_type = Option<Place>)]
    after: Option<String>,
}

/// A page of what happened to a contact, the newest first.
#[derive(Serialize, ToSchema)]
struct ContactTimeline {
    contact: E164,
    timeline: Vec<TimelineItem>,
    /// The next page's `after`; null: this is the last page.
    next: Option<Place>,
}

/// A page of what happened about something, the newest first.
#[derive(Serialize, ToSchema)]
struct RegardingTimeline {
    regarding: String,
    timeline: Vec<TimelineItem>,
    /// The next page's `after`; null: this is the last page.
    next: Option<Place>,
}

/// Shows what happened to a contact, the newest first
///
/// The number may be in national form, if the organization has a default country.
#[utoipa::path(
    get, path = "/v1/contacts/{number}/timeline", tag = "timelines",
    params(("number" = String, Path, description = "The contact's number", example = "+4915155500001"), ContactQuery),
    security(("key" = ["read"])), responses((status = 200, body = ContactTimeline))
)]
async fn of_contact(
    State(api): Shared,
    reader: Reader,
    number: Result<Path<String>, Problem>,
    Query(asked): Query<ContactQuery>,
) -> Result<Json<ContactTimeline>, Problem> {
    let after: Option<Place> = query::cursor(asked.after)?;
    let book = book(&api, &reader).await?;
    let contact = query::number_of(number, book.organization.default_country)?;
    let page = timelines(&api).of_contact(&book, contact, after, api.clock.now()).await?;
    Ok(Json(ContactTimeline { contact, timeline: items(&page), next: page.next }))
}

/// Shows what happened about a case, or whatever messages are about, the newest first
#[utoipa::path(
    get, path = "/v1/timeline", tag = "timelines", params(RegardingQuery),
    security(("key" = ["read"])), responses((status = 200, body = RegardingTimeline))
)]
async fn regarding(
    State(api): Shared,
    reader: Reader,
    Query(asked): Query<RegardingQuery>,
) -> Result<Json<RegardingTimeline>, Problem> {
    let after: Option<Place> = query::cursor(asked.after)?;
    let regarding = asked.regarding.trim();
    if regarding.is_empty() {
        return Err(Problem::bad_request("invalid_query", "regarding is empty; expected a regardingobjectid"));
    }
    let book = book(&api, &reader).await?;
    let page = timelines(&api).regarding(&book, regarding, after, api.clock.now()).await?;
    Ok(Json(RegardingTimeline { regarding: regarding.to_owned(), timeline: items(&page), next: page.next }))
}

async fn book(api: &Api, reader: &Reader) -> Result<Arc<Book>, Problem> {
    let book = api.books.current(&reader.org).await?;
    book.ok_or_else(|| Problem::not_found("there is no such organization"))
}

fn timelines(api: &Api) -> Timelines {
    Timelines { store: api.store.clone(), books: api.books.clone() }
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TimelineItem {
    /// A message to the contact.
    Message(Box<MessageItem>),
    /// A message from the contact.
    Reply(Box<ReplyItem>),
    /// A change of the contact's consent.
    Consent(Box<ConsentItem>),
}

/// A message to a contact, on a timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageItem {
    id: MessageId,
    created_at: Timestamp,
    subject: String,
    /// The text as it is or was sent.
    text: Option<String>,
    /// Why there is no text to show.
    text_missing: Option<String>,
    /// The locale of the text.
    locale: Option<String>,
    channel_type: Option<ChannelType>,
    #[schema(value_type = Option<ProviderKind>)]
    provider: Option<&'static str>,
    configuration: ItemConfiguration,
    /// The channel's number.
    sender: Option<String>,
    receiver: E164,
    state: ActivityState,
    status: Status,
    /// The time that it waits for.
    due_at: Option<Timestamp>,
    sent_on: Option<Timestamp>,
    /// Why it has this status, for programs.
    code: Option<&'static str>,
    /// Why it has this status, for people.
    reason: Option<String>,
    /// The provider's own code for it.
    provider_code: Option<String>,
    /// How it is related to what it is about.
    relationship: String,
    /// What it is about.
    regarding: String,
}

/// The configuration that a message was sent by.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ItemConfiguration {
    id: ConfigurationId,
    name: String,
}

/// A message from a contact, on a timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplyItem {
    id: ReplyId,
    created_at: Timestamp,
    subject: String,
    text: String,
    /// Links to what was attached.
    media: Vec<String>,
    /// How many attachments the channel does not take.
    media_refused: i64,
    conversation: Option<ConversationId>,
    /// The channel's name.
    channel: String,
    channel_type: Option<ChannelType>,
    #[schema(value_type = Option<ProviderKind>)]
    provider: Option<&'static str>,
    sender: E164,
    /// The channel's number.
    receiver: Option<String>,
    /// `stop`, `start` or `help`, if it says one of them.
    keyword: Option<String>,
    /// The message that it answers.
    #[schema(value_type = Option<MessageId>)]
    answers: Option<String>,
}

/// A change of a contact's consent, on a timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConsentItem {
    id: ConsentChangeId,
    created_at: Timestamp,
    subject: String,
    channel_type: ChannelType,
    #[schema(value_type = Consent)]
    consent: &'static str,
    /// By which way it was said.
    source: String,
    /// Who said so.
    actor: String,
}

/// A page's items: the same in the API and on the command line.
pub fn items(page: &Page) -> Vec<TimelineItem> {
    let item = |item: &Item| match item {
        Item::Message(one) => TimelineItem::Message(Box::new(message(one))),
        Item::Reply { reply: one, from, channel } => TimelineItem::Reply(Box::new(reply(one, *from, channel.as_ref()))),
        Item::Consent(id, change) => TimelineItem::Consent(Box::new(consent(*id, change))),
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

fn provider(sender: &Sender) -> Option<&'static str> {
    sender.provider.map(ProviderKind::as_str)
}

fn message(one: &TimelineMessage) -> MessageItem {
    let state = one.message.state.as_ref();
    let why = state.and_then(|state| state.why.as_ref());
    let sender = one.sender.as_ref();
    let by = sender.map_or("message", |sender| label(sender.channel_type));
    MessageItem {
        id: one.activity.id,
        created_at: one.activity.created_at,
        subject: format!("Outbound {by}: {}", one.run.name),
        text: one.text.clone().ok(),
        text_missing: one.text.clone().err(),
        locale: one.locale.clone(),
        channel_type: sender.map(|sender| sender.channel_type),
        provider: sender.and_then(provider),
        configuration: ItemConfiguration { id: one.run.configuration, name: one.run.name.clone() },
        sender: sender.map(|sender| sender.number.clone()),
        receiver: one.message.to,
        state: one.state,
        status: one.message.status(),
        due_at: one.due,
        sent_on: state.and_then(|state| state.sent_at),
        code: why.map(|why| why.reason.code()),
        reason: why.map(ToString::to_string),
        provider_code: why.and_then(|why| filled(&why.provider_code)),
        relationship: one.activity.relationship.clone(),
        regarding: one.activity.regarding.clone(),
    }
}

fn reply(one: &TimelineReply, from: E164, channel: Option<&Sender>) -> ReplyItem {
    let by = channel.map_or("message", |channel| label(channel.channel_type));
    ReplyItem {
        id: one.id,
        created_at: one.received_at,
        subject: format!("Inbound {by}"),
        text: one.text.clone(),
        media: one.media.clone(),
        media_refused: one.media_refused,
        conversation: one.conversation,
        channel: one.channel.clone(),
        channel_type: channel.map(|channel| channel.channel_type),
        provider: channel.and_then(provider),
        sender: from,
        receiver: channel.map(|channel| channel.number.clone()),
        keyword: filled(&one.keyword),
        answers: filled(&one.answers),
    }
}

fn consent(id: ConsentChangeId, change: &StoredConsent) -> ConsentItem {
    let by = label(change.channel_type);
    let subject = match change.consent {
        Consent::In => format!("Opted in to {by}"),
        Consent::Out => format!("Opted out of {by}"),
        Consent::Unknown => format!("Consent to {by} is unknown again"),
    };
    ConsentItem {
        id,
        created_at: change.changed_at,
        subject,
        channel_type: change.channel_type,
        consent: change.consent.name(),
        source: change.source.clone(),
        actor: change.actor.clone(),
    }
}
