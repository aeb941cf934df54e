//! What happens to a message after it was accepted: the steps of its status, their receipts, and perhaps a reply.
//!
//! A step is scheduled when the one before it is over, so that receipts leave in order unless a fault says otherwise.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Twilio,
    accounts::{Account, POOL_OF_NONE},
    messages::{Message, Messages, Status},
    new_sid, receipts,
    segments::segments,
};
use crate::sandbox::{
    callbacks::{Callback, Followup, Kind},
    log::masked,
    magic::Behaviour,
    schedule::Event as Scheduled,
    state::State,
    time,
};

/// Exactly one of these, in any case, stops a sender; everything else does not.
const STOP: &[&str] = &["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"];
/// Exactly one of these lets it send again.
const START: &[&str] = &["START", "YES", "UNSTOP"];

/// Something that is to happen to a message.
#[derive(Clone, Copy)]
pub(in crate::sandbox) enum Event {
    /// A step of its plan.
    Advance { number: u64, plan: Plan, step: u8 },
    /// Its recipient answers.
    Answer { number: u64, text: Text },
}

/// The steps of a message. Small and copied along, as a million may wait.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Plan {
    steps: [Status; 3],
    len: u8,
    error: Option<u32>,
    reply: Option<Text>,
    /// How often each receipt is posted; drawn for each unless a magic number says it.
    copies: Option<u8>,
}

/// What a recipient answers.
#[derive(Clone, Copy)]
pub(in crate::sandbox) enum Text {
    /// What the magic number says.
    Magic(&'static str),
    /// One of the texts of the settings.
    Setting(usize),
}

impl Plan {
    /// Decides what will happen to a message that is being accepted.
    pub(super) fn draw(state: &State, message: &Message, magic: Option<Behaviour>) -> Plan {
        let mut plan = Plan { steps: [Status::Queued; 3], len: 0, error: None, reply: None, copies: None };
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
                plan.reply = reply(state, magic);
            }
        }
        match magic {
            Some(Behaviour::NoReceipts) => plan.copies = Some(0),
            Some(Behaviour::DoubleReceipts) => plan.copies = Some(2),
            Some(_) | None => {}
        }
        if plan.len >= 2 && (magic == Some(Behaviour::ReversedReceipts) || state.dice.reorders()) {
            let last = usize::from(plan.len) - 1;
            plan.steps.swap(last - 1, last);
        }
        plan
    }

    /// Schedules the first step.
    pub(super) fn start(self, state: &State, number: u64, wait: Duration) {
        let after = wait + step_delay(state);
        state.schedule.add(after, Scheduled::Twilio(Event::Advance { number, plan: self, step: 0 }));
    }

    fn push(&mut self, status: Status) {
        self.steps[usize::from(self.len)] = status;
        self.len += 1;
    }

    fn fail(&mut self, status: Status, code: u32) {
        self.push(status);
        self.error = Some(code);
    }

    fn followup(self, state: &State, number: u64, step: u8) -> Option<Followup> {
        if step + 1 < self.len {
            let event = Event::Advance { number, plan: self, step: step + 1 };
            return Some(Followup { after: step_delay(state), event });
        }
        let replies = &state.settings.replies;
        self.reply.map(|text| Followup {
            after: state.dice.delay(replies.min_delay_ms..=replies.max_delay_ms),
            event: Event::Answer { number, text },
        })
    }
}

fn step_delay(state: &State) -> Duration {
    state.dice.delay(state.settings.receipts.min_delay_ms..=state.settings.receipts.max_delay_ms)
}

fn reply(state: &State, magic: Option<Behaviour>) -> Option<Text> {
    if let Some(Behaviour::Reply(text)) = magic {
        return Some(Text::Magic(text));
    }
    let replies = &state.settings.replies;
    state.dice.hit(replies.share).then(|| Text::Setting(state.dice.index(replies.texts.len())))
}

impl Twilio {
    /// Lets an event happen. What it returns is to be posted; what follows is scheduled once that is over.
    pub(in crate::sandbox) fn perform(&self, state: &State, event: Event) -> Option<Callback> {
        match event {
            Event::Advance { number, plan, step } => self.advance(state, number, plan, step),
            Event::Answer { number, text } => {
                let text = match text {
                    Text::Magic(text) => text,
                    Text::Setting(index) => state.settings.replies.texts.get(index)?.as_str(),
                };
                let message = self.messages().get(number).cloned()?;
                self.inbound(state, message.account, &message.to, &message.from?, text).1
            }
        }
    }

    fn advance(&self, state: &State, number: u64, mut plan: Plan, step: u8) -> Option<Callback> {
        let now_ms = time::now_ms();
        let (status, message) = self.step(number, &mut plan, step, now_ms)?;
        let then = plan.followup(state, number, step);
        let Some(url) = message.callback.as_ref().filter(|_| state.settings.receipts.enabled) else {
            return go_on(state, then);
        };
        let copies = plan.copies.unwrap_or_else(|| state.dice.copies());
        if copies == 0 {
            state.counters(Kind::Receipt).withheld.fetch_add(1, Relaxed);
            return go_on(state, then);
        }
        let callback = receipts::receipt(&message, url, status, plan.error, now_ms);
        if copies > 1 {
            state.counters(Kind::Receipt).duplicated.fetch_add(1, Relaxed);
            state.schedule.add(step_delay(state), Scheduled::Post(Box::new(callback.clone())));
        }
        Some(Callback { then, ..callback })
    }

    /// Moves the message on; returns its new status and what it then is, or nothing if it is gone or was canceled.
    fn step(&self, number: u64, plan: &mut Plan, step: u8, now_ms: i64) -> Option<(Status, Message)> {
        let mut status = *plan.steps.get(usize::from(step))?;
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
            *plan = Plan { error: Some(21610), reply: None, len: step + 1, ..*plan };
        }
        message.advance(status, plan.error, now_ms);
        Some((status, message.clone()))
    }

    /// Somebody sends to one of our numbers, now. Returns the sid, or nothing if no account has the number.
    pub(in crate::sandbox) fn receive(&self, state: &State, from: &str, to: &str, body: &str) -> Option<Arc<str>> {
        let account = self.accounts.owner(to)?.clone();
        let (sid, callback) = self.inbound(state, account, from, to, body);
        if let Some(callback) = callback {
            state.schedule.add(Duration::ZERO, Scheduled::Post(Box::new(callback)));
        }
        Some(sid)
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
        let callback = state.inbound_url(to).map(|url| receipts::inbound(&message, &url));
        if callback.is_none() {
            state.counters(Kind::Reply).withheld.fetch_add(1, Relaxed);
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

/// Nothing to post: what follows is scheduled at once.
fn go_on(state: &State, then: Option<Followup>) -> Option<Callback> {
    if let Some(then) = then {
        state.schedule.add(then.after, Scheduled::Twilio(then.event));
    }
    None
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
