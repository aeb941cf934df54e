//! `POST /sms`: faults, credentials, fields, then each recipient by itself, and the manner of the answer.
//!
//! Each recipient is logged where its fate is decided, before the call is answered: one whose call hangs counts as
//! accepted. A repeat is answered as the first time, and is not accepted again.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{ConnectInfo, OriginalUri, State as Shared, rejection::BytesRejection},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    MAGIC,
    body::{Body, Given},
    errors::ApiError,
    magic::refusal,
    messages::{Message, Plan},
    new_id,
    repeats::{Before as Seen, content},
    resources::Resource,
    rules::{self, Fault, INVALID_TO, Recipient, Wanted},
    version::{self, Version},
};
use crate::sandbox::{
    answer,
    connection::Line,
    faults::{Before, Manner},
    log::{Call, Provider, masked},
    magic::Behaviour,
    state::State,
    time,
};

const OTHER_REQUEST: &str =
    "The repeatability-request-id was sent before with another repeatability-first-sent or content.";
const TOO_OLD: &str = "The repeatability-first-sent is outside of the tracked duration.";
/// How much later than its report a call is answered whose report comes too early.
const AFTER_THE_REPORT: Duration = Duration::from_millis(500);

/// What became of a call.
enum Fate {
    /// Nothing accepted, and said so.
    Refused(ApiError),
    /// Nothing accepted, and the connection closed.
    Dropped,
    /// Each recipient has its own.
    Decided { resource: Arc<Resource>, wanted: Wanted, items: Vec<Item>, version: Version, manner: Manner },
}

/// What became of a recipient.
enum Item {
    /// Handed over, under this id.
    Accepted { id: Arc<str>, plan: Plan },
    /// Handed over before, under this id.
    Repeated(Arc<str>),
    /// Not handed over.
    Refused { status: u16, why: &'static str },
    /// Not handed over, because it cannot be known by its repeatability id.
    Rejected { status: u16, why: &'static str },
}

pub(super) async fn send(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(line): ConnectInfo<Line>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = Body::read(&headers, body);
    let fate = decide(&state, (&method, &uri), &headers, &body);
    let numbers = log(&state, &body, &fate);
    match fate {
        Fate::Refused(error) => {
            numbers.iter().for_each(|number| state.log.answered(*number));
            error.into_response()
        }
        Fate::Dropped => answer::cut(&line),
        Fate::Decided { wanted, items, version, manner, .. } => {
            let good = (StatusCode::ACCEPTED, Json(value(&wanted, &items, version))).into_response();
            let error = || ApiError::server(500).into_response();
            answer::accepted_all(&state, &line, &numbers, manner, good, error).await
        }
    }
}

fn decide(state: &State, request: (&Method, &Uri), headers: &HeaderMap, body: &Body) -> Fate {
    match state.dice.before() {
        Before::Drop => return Fate::Dropped,
        Before::Throttle { retry_after_s } => return Fate::Refused(ApiError::throttled(retry_after_s)),
        Before::Error { status } => return Fate::Refused(ApiError::server(status)),
        Before::Proceed => {}
    }
    let judged = version::of_sending(request.1).and_then(|version| {
        let resource = state.acs.authorize(request, headers, &body.bytes)?;
        let wanted = rules::judge(body, version, &resource)?;
        Ok((version, resource, wanted))
    });
    let (version, resource, wanted) = match judged {
        Ok(judged) => judged,
        Err(error) => return Fate::Refused(error),
    };
    let magic_of = |recipient: &Recipient| MAGIC.behaviour(&recipient.to).filter(|_| recipient.fault.is_none());
    let magic: Vec<Option<Behaviour>> = wanted.recipients.iter().map(magic_of).collect();
    if magic.contains(&Some(Behaviour::Refuse(401))) {
        return Fate::Refused(ApiError::denied("The access key is not valid."));
    }
    let with_magic = || wanted.recipients.iter().zip(&magic);
    let first = |recipient: &Recipient| state.first_try(Provider::Acs, &recipient.to);
    let dropped = with_magic().filter(|(to, magic)| **magic == Some(Behaviour::DropOnce) && first(to));
    if dropped.count() > 0 {
        return Fate::Dropped;
    }
    let one =
        |(recipient, magic): (&Recipient, &Option<Behaviour>)| decide_one(state, &resource, &wanted, recipient, *magic);
    let items: Vec<Item> = with_magic().map(one).collect();
    let manner = manner(state, with_magic().zip(&items).map(|((to, magic), item)| (to, *magic, item)));
    Fate::Decided { resource, wanted, items, version, manner }
}

fn decide_one(
    state: &State,
    resource: &Arc<Resource>,
    wanted: &Wanted,
    recipient: &Recipient,
    magic: Option<Behaviour>,
) -> Item {
    match recipient.fault {
        Some(Fault::To) => return Item::Refused { status: 400, why: INVALID_TO },
        Some(Fault::Repeatability(why)) => return Item::Rejected { status: 400, why },
        None => {}
    }
    let now_ms = time::now_ms();
    let content = content(wanted, &recipient.to);
    // Held until it is remembered, so that of two at the same time one is the repeat.
    let mut book = state.acs.book();
    if let Some(key) = &recipient.key {
        if resource.window_ms.is_some_and(|window| key.first_sent_ms.abs_diff(now_ms) > window) {
            return Item::Rejected { status: 412, why: TOO_OLD };
        }
        match book.repeats.look(&resource.name, key, content) {
            Seen::Same(id) => return Item::Repeated(id),
            Seen::Other => return Item::Rejected { status: 400, why: OTHER_REQUEST },
            Seen::Never => {}
        }
    }
    if let Some((status, why)) = refusal(magic, || state.first_try(Provider::Acs, &recipient.to)) {
        return Item::Refused { status, why };
    }
    let ending = if recipient.key.is_some() { "_noam" } else { "" };
    let id: Arc<str> = (new_id("Outgoing", now_ms) + ending).into();
    if let Some(key) = &recipient.key {
        book.repeats.remember(&resource.name, key, content, id.clone());
    }
    let opted_out = book.blocks(&resource.name, &wanted.from, &recipient.to);
    drop(book);
    let plan = Plan::draw(state, magic, opted_out);
    plan.start(state, message(resource, wanted, recipient, id.clone(), now_ms));
    Item::Accepted { id, plan }
}

fn message(
    resource: &Arc<Resource>,
    wanted: &Wanted,
    recipient: &Recipient,
    id: Arc<str>,
    now_ms: i64,
) -> Arc<Message> {
    Arc::new(Message {
        id,
        resource: resource.clone(),
        from: wanted.from.clone(),
        to: recipient.to.clone(),
        tag: wanted.tag.clone(),
        report: wanted.report,
        segments: wanted.segments,
        accepted_ms: now_ms,
    })
}

/// The call has one answer for all of those who were handed over, now or before: the worst manner that their magic digits
/// ask for, else the faults'.
fn manner<'a>(state: &State, recipients: impl Iterator<Item = (&'a Recipient, Option<Behaviour>, &'a Item)>) -> Manner {
    let mut handed_over = recipients.filter(|(_, _, item)| item.status() == 202).peekable();
    if handed_over.peek().is_none() {
        return Manner::Answer;
    }
    let first = |recipient: &Recipient| state.first_try(Provider::Acs, &recipient.to);
    let asked = handed_over.filter_map(|(recipient, magic, item)| match item {
        Item::Accepted { plan, .. } if plan.is_early() => Some(Manner::AnswerAfter(AFTER_THE_REPORT)),
        Item::Accepted { .. } | Item::Repeated(_) | Item::Refused { .. } | Item::Rejected { .. } => {
            Manner::of_magic(magic, || first(recipient))
        }
    });
    asked.max_by_key(|manner| manner.badness()).unwrap_or_else(|| state.dice.manner())
}

/// The answer. Its order is not the request's, as nobody promised that.
fn value(wanted: &Wanted, items: &[Item], version: Version) -> Value {
    let both = wanted.recipients.iter().zip(items);
    json!({ "value": both.rev().map(|(recipient, item)| item.json(recipient, version)).collect::<Vec<_>>() })
}

impl Item {
    fn status(&self) -> u16 {
        match self {
            Item::Accepted { .. } | Item::Repeated(_) => 202,
            Item::Refused { status, .. } | Item::Rejected { status, .. } => *status,
        }
    }

    fn json(&self, recipient: &Recipient, version: Version) -> Value {
        let to = &*recipient.to;
        let mut item = match self {
            Item::Accepted { id, .. } | Item::Repeated(id) => {
                json!({ "to": to, "messageId": &**id, "httpStatusCode": 202, "successful": true })
            }
            Item::Refused { status, why } | Item::Rejected { status, why } => {
                json!({ "to": to, "httpStatusCode": status, "errorMessage": why, "successful": false })
            }
        };
        match self {
            Item::Accepted { .. } | Item::Repeated(_) if recipient.key.is_some() => {
                item["repeatabilityResult"] = "accepted".into();
            }
            Item::Rejected { .. } => item["repeatabilityResult"] = "rejected".into(),
            Item::Accepted { .. } | Item::Repeated(_) | Item::Refused { .. } => {}
        }
        // The example of the oldest version has an id with what failed, too.
        let failed = matches!(self, Item::Rejected { .. }) || self.status() >= 500;
        if version == Version::V2021 && failed {
            item["messageId"] = new_id("Outgoing", time::now_ms()).into();
        }
        item
    }
}

fn log(state: &State, body: &Body, fate: &Fate) -> Vec<u64> {
    let blank = blank(body);
    let (resource, wanted, items, manner) = match fate {
        Fate::Refused(error) => {
            tracing::debug!(status = error.status, "sandbox: a call was refused");
            let status = Some(error.status);
            let refused = |given| Call { status, code: status.map(u32::from), ..entry(&blank, given) };
            return body.recipients().into_iter().map(|given| state.log.add(refused(given))).collect();
        }
        Fate::Dropped => {
            return body.recipients().into_iter().map(|given| state.log.add(entry(&blank, given))).collect();
        }
        Fate::Decided { resource, wanted, items, manner, .. } => (resource, wanted, items, manner),
    };
    let both = wanted.recipients.iter().zip(items);
    let one = |(recipient, item): (&Recipient, &Item)| {
        // The strings are shared, not copied: a million calls must stay small.
        let given = Given { to: recipient.to.clone(), request_id: recipient.request_id.clone() };
        let mut call = Call {
            account: resource.name.clone(),
            from: wanted.from.clone(),
            body: wanted.message.clone(),
            unknown_params: wanted.unknown,
            status: manner.status(item.status()),
            ..entry(&blank, given)
        };
        match item {
            Item::Accepted { id, .. } => {
                call.sid = Some(id.clone());
                call.accepted = true;
            }
            Item::Repeated(id) => {
                call.sid = Some(id.clone());
                call.repeat = true;
            }
            Item::Refused { status, .. } | Item::Rejected { status, .. } => {
                call.code = Some(u32::from(*status));
                tracing::debug!(status, to = masked(&call.to), "sandbox: a recipient was refused");
            }
        }
        state.log.add(call)
    };
    both.map(one).collect()
}

fn entry(blank: &Call, given: Given) -> Call {
    Call { to: given.to, request_id: given.request_id, ..blank.clone() }
}

fn blank(body: &Body) -> Call {
    Call {
        from: body.text("from"),
        body: body.text("message"),
        params: body.len(),
        ..Call::new(Provider::Acs, "/sms".into(), Arc::default(), time::now_ms())
    }
}
