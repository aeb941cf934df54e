//! What happens to a message after it was accepted: the steps of its status, their receipts, and what comes in.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{
    Twilio,
    accounts::{Account, POOL_OF_NONE},
    messages::{Message, Messages, Status},
    new_sid, receipts,
};
use crate::sandbox::{
    callbacks::{Callback, Kind},
    control::Reply,
    log::{Provider, masked},
    magic::Behaviour,
    plan::{self, Text},
    schedule::Event as Scheduled,
    segments::segments,
    state::State,
    time,
};

/// Exactly one of these, in any case, stops a sender; everything else does not.
const STOP: &[&str] = &["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"];
/// Exactly one of these lets it send again.
const START: &[&str] = &["START", "YES", "UNSTOP"];

/// The steps of a message.
pub(in crate::sandbox) type Plan = plan::Plan<Status>;

/// Something that is to happen to a message.
#[derive(Clone, Copy)]
pub(in crate::sandbox) enum Event {
    /// A step of its plan.
    Advance { number: u64, plan: Plan, step: u8 },
    /// Its recipient answers.
    Answer { number: u64, text: Text },
}

/// Decides what will happen to a message that is being accepted.
pub(super) fn draw(state: &State, message: &Message, magic: Option<Behaviour>) -> Plan {
    let mut plan = Plan::new();
    // There is no receipt for the status that a message starts with.
    if message.status != Status::Queued {
        plan.push(Status::Queued);
    }
    match magic {
        Some(Behaviour::Failed(code)) => plan.fail(Status::Failed, code),
        Some(Behaviour::Undelivered(code)) => {
            plan.push(Status::Sent);
            plan.fail(Status::Undelivered, code);
        }
        Some(Behaviour::StaysSent) => plan.push(Status::Sent),
        Some(_) | None => {
            plan.push(Status::Sent);
            plan.push(Status::Delivered);
            plan.reply = Text::draw(state, magic);
        }
    }
    plan.spoil(state, magic);
    plan
}

/// Schedules the first step.
pub(super) fn start(state: &State, plan: Plan, number: u64, wait: Duration) {
    let event = Event::Advance { number, plan, step: 0 };
    state.schedule.add(wait + plan::step_delay(state), Scheduled::Twilio(event));
}

impl Twilio {
    /// Lets an event happen. What it returns is to be posted; what follows is scheduled once that is over.
    pub(in crate::sandbox) fn perform(&self, state: &State, event: Event) -> Option<Callback> {
        match event {
            Event::Advance { number, plan, step } => self.advance(state, number, plan, step),
            Event::Answer { number, text } => {
                let text = text.words(state)?;
                let message = self.messages().get(number).cloned()?;
                self.inbound(state, message.account, &message.to, &message.from?, text).1
            }
        }
    }

    fn advance(&self, state: &State, number: u64, mut plan: Plan, step: u8) -> Option<Callback> {
        let now_ms = time::now_ms();
        let (status, message) = self.step(number, &mut plan, step, now_ms)?;
        let advance = |step| Scheduled::Twilio(Event::Advance { number, plan, step });
        let then = plan.followup(state, step, advance, |text| Scheduled::Twilio(Event::Answer { number, text }));
        let url = message.callback.as_ref().filter(|_| state.settings.receipts.enabled);
        let receipt = url.map(|url| receipts::receipt(&message, url, status, plan.error, now_ms));
        plan.tell(state, receipt, then)
    }

    /// Moves the message on; returns its new status and what it then is, or nothing if it is gone or was canceled.
    fn step(&self, number: u64, plan: &mut Plan, step: u8, now_ms: i64) -> Option<(Status, Message)> {
        let mut status = plan.step(step)?;
        let mut messages = self.messages();
        let (sender, blocked) = {
            let message = messages.get(number)?;
            (pool_sender(message), message.service.is_some() && service_is_blocked(&messages, message))
        };
        let message = messages.get_mut(number).filter(|message| message.status != Status::Canceled)?;
        message.from = message.from.take().or(sender);
        let waits = matches!(message.status, Status::Accepted | Status::Scheduled | Status::Queued);
        if blocked && waits && status != Status::Queued {
            // A Messaging Service accepts first and finds the opt-out when it is about to send.
            status = Status::Failed;
            plan.cut_short(step, 21610);
        }
        message.advance(status, plan.error, now_ms);
        Some((status, message.clone()))
    }

    /// Somebody sends to one of our numbers, now. Returns the sid, or why it cannot be.
    pub(in crate::sandbox) fn receive(&self, state: &State, reply: &Reply) -> Result<Arc<str>, &'static str> {
        let account = self.accounts.owner(&reply.to).ok_or("to: no account has this number")?.clone();
        if state.inbound_url(&reply.to, None).is_none() {
            return Err("no URL for inbound messages is known: set one with PUT /sandbox/inbound");
        }
        let (sid, callback) = self.inbound(state, account, &reply.from, &reply.to, &reply.body);
        if let Some(callback) = callback {
            state.schedule.add(Duration::ZERO, Scheduled::Post(Box::new(callback)));
        }
        Ok(sid)
    }

    /// Whether an account has this number on its list.
    pub(in crate::sandbox) fn lists(&self, number: &str) -> bool {
        self.accounts.all.iter().any(|account| account.numbers.iter().any(|own| **own == *number))
    }

    /// Takes an inbound message in, and builds the post if a URL is known.
    fn inbound(
        &self,
        state: &State,
        account: Arc<Account>,
        from: &str,
        to: &str,
        body: &str,
    ) -> (Arc<str>, Option<Callback>) {
        let now_ms = time::now_ms();
        let message = Message {
            sid: new_sid("SM"),
            account,
            service: None,
            to: to.into(),
            from: Some(from.into()),
            body: body.into(),
            callback: None,
            status: Status::Received,
            inbound: true,
            segments: segments(body),
            media: 0,
            error: None,
            created_ms: now_ms,
            sent_ms: Some(now_ms),
            updated_ms: now_ms,
        };
        self.remember(&message, from);
        tracing::debug!(from = masked(from), "sandbox: somebody replied");
        let callback = state.inbound_url(to, None).map(|url| receipts::inbound(&message, &url));
        if callback.is_none() {
            state.counters(Provider::Twilio, Kind::Reply).withheld.fetch_add(1, Relaxed);
        }
        (message.sid, callback)
    }

    /// Remembers an inbound message and heeds its keyword, at once: who sent STOP is refused from now on.
    fn remember(&self, message: &Message, from: &str) {
        let word = message.body.trim().to_uppercase();
        let mut messages = self.messages();
        if STOP.contains(&word.as_str()) {
            messages.opt_out(&message.to, from);
        } else if START.contains(&word.as_str()) {
            messages.opt_in(&message.to, from);
        }
        messages.add(message.clone());
    }
}

/// The sender that a Messaging Service chooses: always the same one for the same recipient.
fn pool_sender(message: &Message) -> Option<Arc<str>> {
    message.service.as_ref()?;
    let pool = &message.account.numbers;
    let spread = message.to.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Some(pool.get(spread % pool.len().max(1)).cloned().unwrap_or_else(|| POOL_OF_NONE.into()))
}

/// One STOP to any number of the pool holds for the whole service.
fn service_is_blocked(messages: &Messages, message: &Message) -> bool {
    let numbers = message.account.numbers.iter().map(|number| &**number);
    let chosen = message.from.as_deref();
    numbers.chain([POOL_OF_NONE]).chain(chosen).any(|number| messages.is_opted_out(number, &message.to))
}
