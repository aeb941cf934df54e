//! `POST …/Messages.json`: faults, credentials, fields, magic, then the message and the manner of the answer.
//!
//! Every call is logged where its fate is decided, before it is answered: a message whose call hangs counts as accepted.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{ConnectInfo, Path, State as Shared, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;

use super::{
    accounts::Account,
    errors::ApiError,
    magic,
    messages::{Message, Status},
    new_sid, plan,
    rules::{self, Wanted},
    whatsapp::Channel,
};
use crate::sandbox::{
    answer::{self, Refusal},
    connection::Line,
    faults::{Before, Manner},
    form::Form,
    log::{Call, Extras, Provider, masked},
    magic::Behaviour,
    segments::segments,
    state::State,
    time,
};

/// What Twilio knows; anything else is ignored, and counted in the log.
const KNOWN: &[&str] = &[
    "To",
    "From",
    "Body",
    "MessagingServiceSid",
    "StatusCallback",
    "MediaUrl",
    "ContentSid",
    "ContentVariables",
    "ApplicationSid",
    "ValidityPeriod",
    "ScheduleType",
    "SendAt",
    "SmartEncoded",
    "ShortenUrls",
    "Attempt",
    "ProvideFeedback",
    "ContentRetention",
    "AddressRetention",
    "RiskCheck",
    "SendAsMms",
    "FallbackFrom",
    "PersistentAction",
    "TrafficType",
    "ForceDelivery",
    "MaxPrice",
];

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
    Path(named): Path<String>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let form = Form::read(&headers, &body);
    let fate = decide(&state, &named, &headers, &form);
    let number = log(&state, &named, &form, &fate);
    match fate {
        Fate::Refused(error) => answer::refused(&state, number, error.into_response()),
        Fate::Dropped => answer::cut(&line),
        Fate::Accepted { message, manner } => {
            let created = (StatusCode::CREATED, Json(message.resource())).into_response();
            answer::accepted(&state, &line, number, manner, created, || ApiError::of(20500).into_response()).await
        }
    }
}

fn decide(state: &Arc<State>, named: &str, headers: &HeaderMap, form: &Form) -> Fate {
    match state.dice.before() {
        Before::Drop => return Fate::Dropped,
        Before::Throttle { retry_after_s } => return Fate::Refused(ApiError::of(20429).retry_after(retry_after_s)),
        Before::Error { status } => return Fate::Refused(ApiError::of(if status == 503 { 20503 } else { 20500 })),
        Before::Proceed => {}
    }
    let judged = state.twilio.send_access(headers, named).and_then(|account| {
        form.fault.map_or(Ok(()), |fault| Err(ApiError::from(fault)))?;
        let wanted = rules::judge(form, &account, &state.twilio.accounts, time::now_ms())?;
        Ok((account, wanted))
    });
    let (account, wanted) = match judged {
        Ok(judged) => judged,
        Err(error) => return Fate::Refused(error),
    };
    let magic = magic::behaviour(wanted.from.as_deref(), &wanted.to);
    if let Some(refusal) = refused_by_magic(state, &wanted, magic) {
        return refusal;
    }
    accept(state, account, wanted, magic)
}

/// What the recipient's magic digits or a former STOP refuse.
fn refused_by_magic(state: &State, wanted: &Wanted, magic: Option<Behaviour>) -> Option<Fate> {
    let opted_out = |from: &str| state.twilio.messages().is_opted_out(from, &wanted.to);
    if wanted.service.is_none() && wanted.from.as_deref().is_some_and(opted_out) {
        return Some(Fate::Refused(ApiError::of(21610)));
    }
    match magic?.refusal(|| state.first_try(Provider::Twilio, &wanted.to))? {
        Refusal::Code(code) => Some(Fate::Refused(ApiError::of(code))),
        Refusal::Drop => Some(Fate::Dropped),
    }
}

fn accept(state: &Arc<State>, account: Arc<Account>, wanted: Wanted, magic: Option<Behaviour>) -> Fate {
    let mut message = draft(account, &wanted);
    let steps = plan::draw(state, &message, magic);
    let number = {
        let mut messages = state.twilio.messages();
        message.callback = wanted.callback.map(|url| messages.share_callback(url));
        messages.add(message.clone())
    };
    let wait_ms = wanted.send_at_ms.map_or(0, |at| at.saturating_sub(message.created_ms).max(0));
    plan::start(state, steps, number, Duration::from_millis(wait_ms.unsigned_abs()));
    let manner = Manner::draw(state, magic, || state.first_try(Provider::Twilio, &message.to));
    Fate::Accepted { message: Box::new(message), manner }
}

/// The resource as it is at first.
fn draft(account: Arc<Account>, wanted: &Wanted) -> Message {
    let now_ms = time::now_ms();
    let status = match (wanted.send_at_ms, &wanted.service) {
        (Some(_), _) => Status::Scheduled,
        (None, Some(_)) => Status::Accepted,
        (None, None) => Status::Queued,
    };
    Message {
        sid: new_sid(if wanted.media.is_empty() { "SM" } else { "MM" }),
        account,
        service: wanted.service.as_deref().map(Into::into),
        to: wanted.to.as_str().into(),
        from: wanted.from.as_deref().map(Into::into),
        body: wanted.text.as_str().into(),
        callback: None,
        status,
        inbound: false,
        segments: match Channel::of(&wanted.to) {
            Channel::Sms => segments(&wanted.text),
            Channel::WhatsApp => 1,
        },
        media: wanted.media.as_slice().into(),
        bars: wanted.bars,
        error: None,
        created_ms: now_ms,
        sent_ms: None,
        updated_ms: now_ms,
    }
}

fn log(state: &State, named: &str, form: &Form, fate: &Fate) -> u64 {
    let mut call = blank(state, named, form);
    match fate {
        Fate::Accepted { message, manner } => {
            // The strings of the resource are shared, not copied: a million calls must stay small.
            call.to = message.to.clone();
            call.from = message.from.clone().or_else(|| message.service.clone()).unwrap_or_default();
            if form.get("Body").is_some() {
                call.body = message.body.clone();
            }
            call.sid = Some(message.sid.clone());
            call.accepted = true;
            call.status = manner.status(201);
        }
        Fate::Refused(error) => {
            fill(&mut call, form);
            call.status = Some(error.status);
            call.code = Some(error.code);
            tracing::debug!(code = error.code, to = masked(&call.to), "sandbox: a call was refused");
        }
        Fate::Dropped => fill(&mut call, form),
    }
    state.log.add(call)
}

/// What was asked for, as it was given.
fn fill(call: &mut Call, form: &Form) {
    let shared = |value: Option<&str>| Arc::from(value.unwrap_or_default());
    call.to = shared(form.get("To"));
    call.from = shared(form.get("From").or_else(|| form.get("MessagingServiceSid")));
    call.body = shared(form.get("Body"));
}

fn blank(state: &State, named: &str, form: &Form) -> Call {
    let known = state.twilio.accounts.all.iter().find(|account| *account.sid == *named);
    let path = known.map_or_else(
        || format!("/2010-04-01/Accounts/{named}/Messages.json").into(),
        |account| account.messages_path.clone(),
    );
    let account = known.map_or_else(|| named.into(), |account| account.sid.clone());
    Call {
        extras: extras(form),
        params: form.len(),
        unknown_params: form.unknown(KNOWN),
        ..Call::new(Provider::Twilio, path, account, time::now_ms())
    }
}

/// Content and media, as they were given.
fn extras(form: &Form) -> Option<Box<Extras>> {
    let text = |name: &str| form.get(name).map(str::to_owned);
    let extras = Extras {
        content_sid: text("ContentSid"),
        content_variables: text("ContentVariables"),
        media: form.all("MediaUrl").map(str::to_owned).collect(),
    };
    (extras != Extras::default()).then(|| Box::new(extras))
}
