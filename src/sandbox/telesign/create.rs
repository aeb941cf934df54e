//! `POST /v1/messaging`: faults, credentials, fields, magic, then the message and the manner of the answer.
//!
//! Every call is logged where its fate is decided, before it is answered: a message whose call hangs counts as accepted.

use std::sync::Arc;

use axum::{
    Json,
    extract::{ConnectInfo, State as Shared, rejection::BytesRejection},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;

use super::{
    auth::{Account, Calling},
    errors::ApiError,
    magic::MAGIC,
    messages::{Message, Status},
    new_reference, plan,
    rules::{self, KNOWN, Wanted},
};
use crate::sandbox::{
    answer::{self, Refusal},
    connection::Line,
    faults::{Before, Manner},
    form::Form,
    log::{Call, Provider, masked},
    magic::Behaviour,
    state::State,
    time,
};

/// What became of a call.
enum Fate {
    /// Nothing accepted, and said so.
    Refused(ApiError),
    /// Nothing accepted, and the connection closed.
    Dropped,
    /// Accepted.
    Accepted { message: Box<Message>, manner: Manner },
}

pub(super) async fn create(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(line): ConnectInfo<Line>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let form = Form::read(&headers, &body);
    let body = body.unwrap_or_default();
    let calling = Calling { method: &method, path: uri.path(), headers: &headers, body: &body };
    let fate = decide(&state, &calling, &form);
    let number = log(&state, &headers, &form, &fate);
    match fate {
        Fate::Refused(error) => answer::refused(&state, number, error.into_response()),
        Fate::Dropped => answer::cut(&line),
        Fate::Accepted { message, manner } => {
            let created = (StatusCode::OK, Json(message.created())).into_response();
            answer::accepted(&state, &line, number, manner, created, || ApiError::of(10000).into_response()).await
        }
    }
}

fn decide(state: &Arc<State>, calling: &Calling<'_>, form: &Form) -> Fate {
    match state.dice.before() {
        Before::Drop => return Fate::Dropped,
        Before::Throttle { retry_after_s } => return Fate::Refused(ApiError::of(10019).retry_after(retry_after_s)),
        Before::Error { status } => return Fate::Refused(ApiError::of(10000).with_status(status)),
        Before::Proceed => {}
    }
    let account = state.telesign.accounts.authenticate(calling, time::now_ms());
    let judged = account.and_then(|account| Ok((account, rules::judge(form)?)));
    let (account, wanted) = match judged {
        Ok(judged) => judged,
        Err(error) => return Fate::Refused(error),
    };
    let magic = MAGIC.behaviour(&wanted.to);
    match magic.and_then(|magic| magic.refusal(|| state.first_try(Provider::TeleSign, &wanted.to))) {
        Some(Refusal::Code(code)) => Fate::Refused(ApiError::of(code)),
        Some(Refusal::Drop) => Fate::Dropped,
        None => accept(state, account, wanted, magic),
    }
}

fn accept(state: &Arc<State>, account: Arc<Account>, wanted: Wanted, magic: Option<Behaviour>) -> Fate {
    let now_ms = time::now_ms();
    let message = Message {
        reference: new_reference(),
        to: wanted.to.into(),
        sender: wanted.sender.map(Into::into),
        parts: wanted.parts,
        external_id: wanted.external_id.map(Into::into),
        callback: wanted.callback.map(Arc::new).or_else(|| account.callback.clone()),
        status: Status::IN_PROGRESS,
        submitted_ms: now_ms,
        updated_ms: now_ms,
        account,
    };
    let steps = plan::draw(state, &message, magic);
    let (number, _) = state.telesign.messages().add(message.reference.clone(), message.clone());
    plan::start(state, steps, number);
    let manner = Manner::draw(state, magic, || state.first_try(Provider::TeleSign, &message.to));
    Fate::Accepted { message: Box::new(message), manner }
}

fn log(state: &State, headers: &HeaderMap, form: &Form, fate: &Fate) -> u64 {
    let shared = |name: &str| Arc::from(form.get(name).unwrap_or_default());
    let account = state.telesign.accounts.named(headers).map(|account| account.customer_id.clone());
    let mut call = Call {
        from: shared("sender_id"),
        body: shared("message"),
        params: form.len(),
        unknown_params: form.unknown(KNOWN),
        ..Call::new(Provider::TeleSign, state.telesign.path.clone(), account.unwrap_or_default(), time::now_ms())
    };
    match fate {
        Fate::Accepted { message, manner } => {
            // Shared, not copied: a million calls must stay small.
            call.to = message.to.clone();
            call.sid = Some(message.reference.clone());
            call.accepted = true;
            call.status = manner.status(200);
        }
        Fate::Refused(error) => {
            call.to = shared("phone_number");
            call.status = Some(error.status);
            call.code = Some(error.code);
            tracing::debug!(code = error.code, to = masked(&call.to), "sandbox: a call was refused");
        }
        Fate::Dropped => call.to = shared("phone_number"),
    }
    state.log.add(call)
}
