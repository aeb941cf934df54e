//! `/v1/conversations`: what people wrote and what they were answered; answering, and ending.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    auth::{Reader, Sender},
    problem::{FieldError, Problem},
    query,
};
use crate::{
    domain::{id::ConversationId, message::Status, session},
    inbound::conversations::{Said, Sent, thread},
    intake::answers::{self, Answer, Answered, NotAnswered},
    store::{
        answers::{Accepted, StoredAnswer},
        conversations::{Conversation, ConversationSearch, ConversationState},
        replies::StoredReply,
    },
};

/// The most that one page holds.
const PAGE: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    contact: Option<String>,
    channel: Option<String>,
    /// The last conversation of the page before.
    after: Option<String>,
}

/// The organization's conversations, the one opened last first, a page at a time.
pub(super) async fn list(
    State(api): Shared,
    reader: Reader,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let search = ConversationSearch {
        state: query::parsed("state", asked.state)?,
        contact: query::number("contact", asked.contact)?,
        channel: asked.channel,
        before: query::parsed("after", asked.after)?,
    };
    let found = api.store.conversations(&reader.org, &search, PAGE).await?;
    let next = found.last().filter(|_| i64::try_from(found.len()) == Ok(PAGE)).map(|last| last.id);
    Ok(Json(json!({ "conversations": found.iter().map(conversation).collect::<Vec<_>>(), "next": next })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// The place of the last message of the page before.
    #[serde(default)]
    after: i64,
}

fn missing(id: &str) -> Problem {
    Problem::not_found(format!("there is no conversation \"{id}\""))
}

/// One conversation with what was said in it, in order, a page at a time.
pub(super) async fn show(
    State(api): Shared,
    reader: Reader,
    Path(id): Path<String>,
    query: Result<Query<ShowQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = query.map_err(|problem| Problem::bad_request("invalid_query", problem.body_text()))?;
    let parsed: ConversationId = id.parse().map_err(|_| missing(&id))?;
    let book = api.books.current(&reader.org).await?.ok_or_else(|| missing(&id))?;
    let limit = usize::try_from(PAGE).unwrap_or(1);
    let found = thread(&api.store, &api.books, &book, parsed, asked.after, limit).await?.ok_or_else(|| missing(&id))?;
    let said: Vec<Value> = found.said.iter().map(said).collect();
    Ok(Json(json!({ "conversation": conversation(&found.conversation), "messages": said, "next": found.next })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerBody {
    text: String,
    #[serde(default)]
    media: Vec<String>,
}

/// Answers: 202 with the message, which is on its way from then on.
pub(super) async fn answer(
    State(api): Shared,
    sender: Sender,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<AnswerBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let conversation: ConversationId = id.parse().map_err(|_| missing(&id))?;
    let key = query::idempotency_key(&headers)?;
    let AnswerBody { text, media } = query::body(body)?;
    let book = api.books.current(&sender.org).await?.ok_or_else(|| missing(&id))?;
    let answer = Answer { conversation, text, media, key, author: sender.actor() };
    let answered = answers::answer(&api.store, &api.clock, &book, answer).await?;
    let Accepted { message, conversation, at } = answered.accepted();
    let document = json!({ "message": { "id": message, "conversation": conversation, "status": Status::Queued, "accepted_at": at } });
    let mut response = (StatusCode::ACCEPTED, Json(document)).into_response();
    if let Answered::Before(_) = answered {
        let replayed = HeaderName::from_static("idempotent-replayed");
        response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Ends a conversation for good. One that has ended stays as it is.
pub(super) async fn end(State(api): Shared, sender: Sender, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let parsed: ConversationId = id.parse().map_err(|_| missing(&id))?;
    api.store.end_conversation(&sender.org, parsed, &sender.actor(), api.clock.now()).await?;
    let ended = api.store.conversation(&sender.org, parsed).await?.ok_or_else(|| missing(&id))?;
    Ok(Json(json!({ "conversation": conversation(&ended) })))
}

impl From<NotAnswered> for Problem {
    fn from(problem: NotAnswered) -> Self {
        let status = match &problem {
            NotAnswered::Bad(_)
            | NotAnswered::OtherUnderKey
            | NotAnswered::MediaNotAllowed(_)
            | NotAnswered::SessionClosed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            NotAnswered::Ended | NotAnswered::OptedOut(_) | NotAnswered::Unusable(_) | NotAnswered::Cancelled(_) => {
                StatusCode::CONFLICT
            }
            NotAnswered::NoConversation(_) => StatusCode::NOT_FOUND,
            NotAnswered::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let (code, detail) = (problem.code(), problem.to_string());
        match problem {
            NotAnswered::Store(problem) => problem.into(),
            NotAnswered::Bad(bad) => {
                let errors = bad.into_iter().map(|bad| FieldError { pointer: bad.pointer, detail: bad.problem });
                Self::new(status, code, detail).with_errors(errors)
            }
            NotAnswered::NoConversation(_)
            | NotAnswered::Ended
            | NotAnswered::OtherUnderKey
            | NotAnswered::Unusable(_)
            | NotAnswered::MediaNotAllowed(_)
            | NotAnswered::OptedOut(_)
            | NotAnswered::SessionClosed(_)
            | NotAnswered::Cancelled(_) => Self::new(status, code, detail),
        }
    }
}

/// A text, or null where there is none.
fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A conversation as JSON. While one on WhatsApp is open, with the time at which free text ends, or has ended, to be allowed.
fn conversation(conversation: &Conversation) -> Value {
    let Conversation {
        id,
        channel,
        channel_type,
        contact,
        state,
        messages,
        opened_at,
        changed_at,
        ended_at,
        about,
        ..
    } = conversation;
    let last_inbound = match state {
        ConversationState::Open => conversation.last_inbound,
        ConversationState::Ended => None,
    };
    let mut shown = json!({
        "id": id, "channel": channel, "channel_type": channel_type, "contact": contact, "state": state.as_str(),
        "locale": some(&conversation.locale), "about": about, "messages": messages, "last_inbound_at": last_inbound,
        "opened_at": opened_at, "changed_at": changed_at, "ended_at": ended_at, "ended_by": some(&conversation.ended_by),
    });
    if session::is_kept(*channel_type) {
        shown["window_closes_at"] = json!(last_inbound.map(session::closes_at));
    }
    shown
}

fn said(said: &Said) -> Value {
    match said {
        Said::Reply(reply, sent) => inbound(reply, sent.as_ref()),
        Said::Answer(answer) => outbound(answer),
    }
}

fn inbound(reply: &StoredReply, sent: Option<&Sent>) -> Value {
    let answers = sent
        .map(|sent| json!({ "id": sent.message, "text": sent.text, "status": sent.status, "sent_at": sent.sent_at }));
    json!({
        "direction": "inbound", "id": reply.id, "place": reply.place, "at": reply.received_at, "text": reply.text,
        "media": reply.media, "media_refused": reply.media_refused, "keyword": some(&reply.keyword), "answers": answers,
    })
}

fn outbound(answer: &StoredAnswer) -> Value {
    let state = answer.state.as_ref();
    let why = state.and_then(|state| state.why.as_ref());
    json!({
        "direction": "outbound", "id": answer.message, "place": answer.place, "at": answer.created_at, "text": answer.text,
        "media": answer.media, "author": answer.author, "status": state.map_or(Status::Queued, |state| state.status),
        "code": why.map(|why| why.reason.code()), "reason": why.map(ToString::to_string),
        "sent_at": state.and_then(|state| state.sent_at),
    })
}
