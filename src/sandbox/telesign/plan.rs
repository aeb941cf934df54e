//! What happens to a message after it was accepted: the steps of its status, their reports, and what comes in.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{
    TeleSign,
    auth::Account,
    messages::{Message, Status},
    new_reference,
    reports::{self, Inbound},
};
use crate::sandbox::{
    callbacks::{Callback, Kind},
    control::Reply,
    log::{Provider, masked, without_plus},
    magic::Behaviour,
    plan::{self, Text},
    schedule::Event as Scheduled,
    state::State,
    time,
};

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
    let foreign = message.sender.as_deref().is_some_and(|sender| !message.account.may_send_as(sender));
    match magic {
        _ if foreign => plan.fail(Status(521), 521),
        Some(Behaviour::Failed(code)) => fail(&mut plan, code),
        Some(Behaviour::Undelivered(code)) => {
            plan.push(Status::AT_GATEWAY);
            fail(&mut plan, code);
        }
        Some(Behaviour::StaysSent) => plan.push(Status::AT_GATEWAY),
        Some(_) | None => {
            plan.push(Status::AT_GATEWAY);
            plan.push(Status::DELIVERED);
            plan.reply = Text::draw(state, magic);
        }
    }
    plan.spoil(state, magic);
    plan
}

fn fail(plan: &mut Plan, code: u32) {
    plan.fail(Status(u16::try_from(code).unwrap_or(u16::MAX)), code);
}

/// Schedules the first step.
pub(super) fn start(state: &State, plan: Plan, number: u64) {
    let event = Event::Advance { number, plan, step: 0 };
    state.schedule.add(plan::step_delay(state), Scheduled::TeleSign(event));
}

impl TeleSign {
    /// Lets an event happen. What it returns is to be posted; what follows is scheduled once that is over.
    pub(in crate::sandbox) fn perform(&self, state: &State, event: Event) -> Option<Callback> {
        match event {
            Event::Advance { number, plan, step } => self.advance(state, number, plan, step),
            Event::Answer { number, text } => {
                let text = text.words(state)?;
                let message = self.messages().get(number).cloned()?;
                // Nobody can answer a message that names no sender.
                let reply = Inbound { from: &message.to, to: message.sender.as_deref()?, text };
                self.inbound(state, &message.account, &reply).1
            }
        }
    }

    fn advance(&self, state: &State, number: u64, plan: Plan, step: u8) -> Option<Callback> {
        let now_ms = time::now_ms();
        let status = plan.step(step)?;
        let message = {
            let mut messages = self.messages();
            let message = messages.get_mut(number)?;
            message.advance(status, now_ms);
            message.clone()
        };
        let advance = |step| Scheduled::TeleSign(Event::Advance { number, plan, step });
        let then = plan.followup(state, step, advance, |text| Scheduled::TeleSign(Event::Answer { number, text }));
        let url = message.callback.as_ref().filter(|_| state.settings.receipts.enabled);
        let report = url.map(|url| reports::report(&message, url, status, now_ms));
        plan.tell(state, report, then)
    }

    /// Somebody sends to one of our senders, now. Returns the reference id, or why it cannot be.
    pub(in crate::sandbox) fn receive(&self, state: &State, reply: &Reply) -> Result<Arc<str>, &'static str> {
        let (from, to) = (without_plus(&reply.from), without_plus(&reply.to));
        let account = self.accounts.owner(to).ok_or("to: no account has this sender")?;
        let inbound = Inbound { from, to, text: &reply.body };
        match self.inbound(state, account, &inbound) {
            (reference, Some(callback)) => {
                state.schedule.add(Duration::ZERO, Scheduled::Post(Box::new(callback)));
                Ok(reference)
            }
            (_, None) => Err("no URL for inbound messages is known: set one with PUT /sandbox/inbound"),
        }
    }

    /// Whether an account has this sender on its list.
    pub(in crate::sandbox) fn lists(&self, sender: &str) -> bool {
        self.accounts.lists(without_plus(sender))
    }

    /// Takes an inbound message in, and builds the post if a URL is known.
    fn inbound(&self, state: &State, account: &Account, reply: &Inbound<'_>) -> (Arc<str>, Option<Callback>) {
        let reference = new_reference();
        let url = state.inbound_url(reply.to, account.inbound.as_ref());
        tracing::debug!(from = masked(reply.from), "sandbox: somebody replied");
        let now_ms = time::now_ms();
        let callback = url.map(|url| reports::inbound(account, &url, &reference, reply, now_ms));
        if callback.is_none() {
            state.counters(Provider::TeleSign, Kind::Reply).withheld.fetch_add(1, Relaxed);
        }
        (reference, callback)
    }
}
