//! `/v1/conversations`: what people wrote and what they were answered; answering, and ending.

mod views;

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::{Reader, Sender},
    body::Body,
    problem::{FieldError, Problem},
    query::{self, Path, Query},
};
use crate::{
    domain::{
        id::{ConversationId, MessageId},
        message::Status,
        time::Timestamp,
    },
    inbound::conversations::thread,
    intake::answers::{self, Answer, Answered, NotAnswered},
    store::{
        answers::Accepted,
        conversations::{ConversationSearch, ConversationState},
    },
};

use views::{ConversationView, SaidView, conversation, said};

/// The most that one page holds.
const PAGE: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(answer)).routes(routes!(end))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Both if left out.
    #[param(value_type = Option<ConversationState>)]
    state: Option<String>,
    /// Those with this number, in international form.
    #[param(example = "+4915155500001")]
    contact: Option<String>,
    /// Those on the channel of this name.
    channel: Option<String>,
    /// The last conversation of the page before.
    #[param(value_type = Option<ConversationId>)]
    after: Option<String>,
}

/// A page of conversations, the one opened last first.
#[derive(Serialize, ToSchema)]
struct Conversations {
    conversations: Vec<ConversationView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<ConversationId>,
}

/// Lists conversations, the one opened last first
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", params(ListQuery), security(("key" = ["read"])), responses((status = 200, body = Conversations)))]
async fn list(
    State(api): Shared,
    reader: Reader,
    Query(asked): Query<ListQuery>,
) -> Result<Json<Conversations>, Problem> {
    let search = ConversationSearch {
        state: query::parsed("state", asked.state)?,
        contact: query::number("contact", asked.contact)?,
        channel: asked.channel,
        before: query::cursor(asked.after)?,
    };
    let found = api.store.conversations(&reader.org, &search, PAGE).await?;
    let next = query::next(&found, PAGE, |last| last.id);
    Ok(Json(Conversations { conversations: found.iter().map(conversation).collect(), next }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    /// The place of the last message of the page before.
    #[param(value_type = Option<u64>)]
    after: Option<String>,
}

/// A conversation with a page of what was said in it, in order.
#[derive(Serialize, ToSchema)]
struct ThreadView {
    conversation: ConversationView,
    messages: Vec<SaidView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<i64>,
}

/// A conversation.
#[derive(Serialize, ToSchema)]
struct OneConversation {
    conversation: ConversationView,
}

fn missing(id: &str) -> Problem {
    Problem::not_found(format!("there is no conversation \"{id}\""))
}

/// Shows a conversation with what was said in it, in order
#[utoipa::path(
    get, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = ConversationId, Path, description = "The conversation"), ShowQuery),
    security(("key" = ["read"])), responses((status = 200, body = ThreadView))
)]
async fn show(
    State(api): Shared,
    reader: Reader,
    Path(id): Path<String>,
    Query(asked): Query<ShowQuery>,
) -> Result<Json<ThreadView>, Problem> {
    let parsed: ConversationId = id.parse().map_err(|_| missing(&id))?;
    let book = api.books.current(&reader.org).await?.ok_or_else(|| missing(&id))?;
    let after: Option<u64> = query::cursor(asked.after)?;
    let after = i64::try_from(after.unwrap_or(0)).unwrap_or(i64::MAX);
    let limit = usize::try_from(PAGE).unwrap_or(1);
    let found = thread(&api.store, &api.books, &book, parsed, after, limit).await?.ok_or_else(|| missing(&id))?;
    Ok(Json(ThreadView {
        conversation: conversation(&found.conversation),
        messages: found.said.iter().map(said).collect(),
        next: found.next,
    }))
}

/// What is answered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    #[schema(min_length = 1, max_length = 1600)]
    text: String,
    /// Links to what is sent along, as far as the channel sends attachments.
    #[serde(default)]
    #[schema(max_items = 10)]
    media: Vec<String>,
}

/// An answer that is on its way.
#[derive(Serialize, ToSchema)]
struct OneAnswer {
    message: AnswerView,
}

#[derive(Serialize, ToSchema)]
struct AnswerView {
    id: MessageId,
    conversation: ConversationId,
    status: Status,
    accepted_at: Timestamp,
}

/// Answers in a conversation
///
/// 202 with the message, which is on its way from then on. The same `Idempotency-Key` is the same answer.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/messages", tag = "conversations",
    params(
        ("id" = ConversationId, Path, description = "The conversation"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = AnswerBody, security(("key" = ["send"])), responses((status = 202, body = OneAnswer))
)]
async fn answer(
    State(api): Shared,
    sender: Sender,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Body<AnswerBody>, Problem>,
) -> Result<Response, Problem> {
    let conversation: ConversationId = id.parse().map_err(|_| missing(&id))?;
    let key = query::idempotency_key(&headers)?;
    let AnswerBody { text, media } = body?.value;
    let book = api.books.current(&sender.org).await?.ok_or_else(|| missing(&id))?;
    let answer = Answer { conversation, text, media, key, author: sender.actor() };
    let answered = answers::answer(&api.store, &api.clock, &book, answer).await?;
    let Accepted { message: id, conversation, at: accepted_at } = answered.accepted();
    let message = AnswerView { id, conversation, status: Status::Queued, accepted_at };
    let mut response = (StatusCode::ACCEPTED, Json(OneAnswer { message })).into_response();
    if let Answered::Before(_) = answered {
        let replayed = HeaderName::from_static("idempotent-replayed");
        response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Ends a conversation for good
///
/// One that has ended stays as it is; when the contact writes again, another one begins.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/end", tag = "conversations",
    params(("id" = ConversationId, Path, description = "The conversation")),
    security(("key" = ["send"])), responses((status = 200, body = OneConversation))
)]
async fn end(State(api): Shared, sender: Sender, Path(id): Path<String>) -> Result<Json<OneConversation>, Problem> {
    let parsed: ConversationId = id.parse().map_err(|_| missing(&id))?;
    api.store.end_conversation(&sender.org, parsed, &sender.actor(), api.clock.now()).await?;
    let ended = api.store.conversation(&sender.org, parsed).await?.ok_or_else(|| missing(&id))?;
    Ok(Json(OneConversation { conversation: conversation(&ended) }))
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
