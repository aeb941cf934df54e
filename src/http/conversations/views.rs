//! How conversations, and what was said in them, are shown to programs.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        contact::ChannelType,
        id::{ConversationId, MessageId, ReplyId},
        message::Status,
        phone::E164,
        session,
        time::Timestamp,
    },
    http::views::filled,
    inbound::conversations::{Said, Sent},
    store::{
        answers::StoredAnswer,
        conversations::{Conversation, ConversationState},
        replies::StoredReply,
    },
};

/// The thread between one channel and one contact.
#[derive(Serialize, ToSchema)]
pub(super) struct ConversationView {
    id: ConversationId,
    /// The channel's name.
    channel: String,
    channel_type: ChannelType,
    contact: E164,
    #[schema(value_type = ConversationState)]
    state: &'static str,
    /// The locale that it is held in, as far as it is known.
    locale: Option<String>,
    /// The message that its first reply answers.
    about: Option<MessageId>,
    /// How many replies and answers it has.
    messages: i64,
    /// When the contact last wrote, while it is open.
    last_inbound_at: Option<Timestamp>,
    opened_at: Timestamp,
    changed_at: Timestamp,
    ended_at: Option<Timestamp>,
    ended_by: Option<String>,
    /// On WhatsApp, while it is open: when free text ends, or has ended, to be allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>)]
    window_closes_at: Option<Option<Timestamp>>,
}

pub(super) fn conversation(one: &Conversation) -> ConversationView {
    let last_inbound = match one.state {
        ConversationState::Open => one.last_inbound,
        ConversationState::Ended => None,
    };
    ConversationView {
        id: one.id,
        channel: one.channel.clone(),
        channel_type: one.channel_type,
        contact: one.contact,
        state: one.state.as_str(),
        locale: filled(&one.locale),
        about: one.about,
        messages: one.messages,
        last_inbound_at: last_inbound,
        opened_at: one.opened_at,
        changed_at: one.changed_at,
        ended_at: one.ended_at,
        ended_by: filled(&one.ended_by),
        window_closes_at: session::is_kept(one.channel_type).then(|| last_inbound.map(session::closes_at)),
    }
}

/// One thing that was said.
#[derive(Serialize, ToSchema)]
#[serde(tag = "direction", rename_all = "lowercase")]
pub(super) enum SaidView {
    /// By the contact.
    Inbound(Box<InboundView>),
    /// By the organization.
    Outbound(Box<OutboundView>),
}

/// What a contact wrote.
#[derive(Serialize, ToSchema)]
pub(super) struct InboundView {
    id: ReplyId,
    /// Its place in the conversation, from 1.
    place: i64,
    at: Timestamp,
    text: String,
    /// Links to what was attached.
    media: Vec<String>,
    /// How many attachments the channel does not take.
    media_refused: i64,
    /// `stop`, `start` or `help`, if it says one of them.
    keyword: Option<String>,
    /// The message that it answers.
    answers: Option<AnsweredView>,
}

/// A message that a contact answered.
#[derive(Serialize, ToSchema)]
pub(super) struct AnsweredView {
    id: MessageId,
    /// Null: it can be rendered no longer.
    text: Option<String>,
    status: Status,
    sent_at: Option<Timestamp>,
}

/// What the organization wrote.
#[derive(Serialize, ToSchema)]
pub(super) struct OutboundView {
    id: MessageId,
    /// Its place in the conversation, from 1.
    place: i64,
    at: Timestamp,
    text: String,
    /// Links to what was sent along.
    media: Vec<String>,
    author: String,
    status: Status,
    /// Why it has this status, for programs.
    code: Option<&'static str>,
    /// Why it has this status, for people.
    reason: Option<String>,
    sent_at: Option<Timestamp>,
}

pub(super) fn said(said: &Said) -> SaidView {
    match said {
        Said::Reply(reply, sent) => SaidView::Inbound(Box::new(inbound(reply, sent.as_ref()))),
        Said::Answer(answer) => SaidView::Outbound(Box::new(outbound(answer))),
    }
}

fn inbound(reply: &StoredReply, sent: Option<&Sent>) -> InboundView {
    let answers = |sent: &Sent| AnsweredView {
        id: sent.message,
        text: sent.text.clone(),
        status: sent.status,
        sent_at: sent.sent_at,
    };
    InboundView {
        id: reply.id,
        place: reply.place,
        at: reply.received_at,
        text: reply.text.clone(),
        media: reply.media.clone(),
        media_refused: reply.media_refused,
        keyword: filled(&reply.keyword),
        answers: sent.map(answers),
    }
}

fn outbound(answer: &StoredAnswer) -> OutboundView {
    let state = answer.state.as_ref();
    let why = state.and_then(|state| state.why.as_ref());
    OutboundView {
        id: answer.message,
        place: answer.place,
        at: answer.created_at,
        text: answer.text.clone(),
        media: answer.media.clone(),
        author: answer.author.clone(),
        status: state.map_or(Status::Queued, |state| state.status),
        code: why.map(|why| why.reason.code()),
        reason: why.map(ToString::to_string),
        sent_at: state.and_then(|state| state.sent_at),
    }
}
