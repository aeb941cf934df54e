//! What happens to a message after it was accepted: the steps of its status, their receipts, and perhaps an answer.

use std::{sync::Arc, time::Duration};

use super::{
    Twilio,
    accounts::POOL_OF_NONE,
    inbound::{Answered, Inbound},
    messages::{Message, Messages, Status},
    receipts,
    whatsapp::{Channel, SHARED},
};
use crate::sandbox::{
    callbacks::Callback,
    magic::Behaviour,
    plan::{self, Text},
    schedule::Event as Scheduled,
    state::State,
    time,
};

/// The code of a message to somebody who has opted out.
const OPTED_OUT: u32 = 21610;

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
            if message.channel() == Channel::WhatsApp && state.dice.hit(state.settings.whatsapp.read_share) {
                plan.push(Status::Read);
            }
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
                let (from, to) = (&*message.to, message.from.as_deref()?);
                let answers = Some(Answered { sid: message.sid.clone(), sender: to.into() });
                let inbound = Inbound { from, to, body: text, media: Vec::new(), profile_name: None, answers };
                self.inbound(state, message.account.clone(), inbound).1
            }
        }
    }

    fn advance(&self, state: &State, number: u64, mut plan: Plan, step: u8) -> Option<Callback> {
        let now_ms = time::now_ms();
        let (status, message) = self.step(state, number, &mut plan, step, now_ms)?;
        let advance = |step| Scheduled::Twilio(Event::Advance { number, plan, step });
        let then = plan.followup(state, step, advance, |text| Scheduled::Twilio(Event::Answer { number, text }));
        let url = message.callback.as_ref().filter(|_| state.settings.receipts.enabled);
        let receipt = url.map(|url| receipts::receipt(&message, url, status, plan.error, now_ms));
        plan.tell(state, receipt, then)
    }

    /// Moves the message on; returns its new status and what it then is, or nothing if it is gone or was canceled.
    fn step(&self, state: &State, number: u64, plan: &mut Plan, step: u8, now_ms: i64) -> Option<(Status, Message)> {
        let mut status = plan.step(step)?;
        let mut messages = self.messages();
        let message = messages.get_mut(number).filter(|message| message.status != Status::Canceled)?;
        message.from = message.from.take().or_else(|| pool_sender(message));
        let waits = matches!(message.status, Status::Accepted | Status::Scheduled | Status::Queued);
        if waits && status != Status::Queued {
            // Only when it is about to be sent is it found out whether it may be.
            let window_ms = state.settings.whatsapp.window_ms;
            let obstacle = messages.get(number).and_then(|message| obstacle(&messages, message, now_ms, window_ms));
            // A magic number fails as it says, whatever the window.
            if let Some(code) = obstacle.filter(|code| *code == OPTED_OUT || plan.error.is_none()) {
                status = Status::Failed;
                plan.cut_short(step, code);
            }
        }
        let message = messages.get_mut(number)?;
        message.advance(status, plan.error, now_ms);
        Some((status, message.clone()))
    }
}

/// What keeps a message from being sent: an opt-out that a Messaging Service finds late, the window, its content.
fn obstacle(messages: &Messages, message: &Message, now_ms: i64, window_ms: u64) -> Option<u32> {
    match message.channel() {
        Channel::Sms if message.service.is_some() && service_is_blocked(messages, message) => Some(OPTED_OUT),
        Channel::Sms => None,
        Channel::WhatsApp => message.bars.always.or_else(|| {
            let sender = message.from.as_deref().unwrap_or_default();
            let open = messages.sessions.is_open(sender, &message.to, now_ms, window_ms);
            message.bars.outside_window.filter(|_| !open)
        }),
    }
}

/// The sender that a Messaging Service chooses: always the same one for the same recipient.
fn pool_sender(message: &Message) -> Option<Arc<str>> {
    message.service.as_ref()?;
    let channel = message.channel();
    let pool: Vec<&Arc<str>> = message.account.pool(channel).collect();
    let spread = message.to.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let of_none = match channel {
        Channel::Sms => POOL_OF_NONE,
        Channel::WhatsApp => SHARED,
    };
    Some(pool.get(spread % pool.len().max(1)).map_or_else(|| of_none.into(), |chosen| Arc::clone(chosen)))
}

/// One STOP to any number of the pool holds for the whole service.
fn service_is_blocked(messages: &Messages, message: &Message) -> bool {
    let numbers = message.account.numbers.iter().map(|number| &**number);
    let chosen = message.from.as_deref();
    numbers.chain([POOL_OF_NONE]).chain(chosen).any(|number| messages.is_opted_out(number, &message.to))
}
