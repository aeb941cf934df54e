//! What comes in: taken in, heeded, and posted to the customer.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{
    Twilio,
    accounts::Account,
    messages::{Message, Status},
    new_sid, receipts,
    whatsapp::{Bars, Channel},
};
use crate::sandbox::{
    callbacks::{Callback, Kind},
    control::Reply,
    log::{Provider, masked},
    schedule::Event as Scheduled,
    segments::segments,
    state::State,
    time,
};

/// Exactly one of these, in any case, stops a sender; everything else does not.
const STOP: &[&str] = &["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"];
/// Exactly one of these lets it send again.
const START: &[&str] = &["START", "YES", "UNSTOP"];

/// Somebody's message to one of our senders.
pub(super) struct Inbound<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub body: &'a str,
    pub media: Vec<String>,
    /// What the sender is called; WhatsApp.
    pub profile_name: Option<&'a str>,
    /// What it answers.
    pub answers: Option<Answered>,
}

/// A message of ours that is answered.
pub(super) struct Answered {
    pub sid: Arc<str>,
    pub sender: Arc<str>,
}

impl Twilio {
    /// Somebody sends to one of our numbers, now. Returns the sid, or why it cannot be.
    pub(in crate::sandbox) fn receive(&self, state: &State, reply: &Reply) -> Result<Arc<str>, &'static str> {
        if Channel::of(&reply.from) != Channel::of(&reply.to) {
            return Err("from and to: both begin with whatsapp:, or neither");
        }
        let account = self.accounts.owner(&reply.to).ok_or("to: no account has this number")?.clone();
        if state.inbound_url(&reply.to, None).is_none() {
            return Err("no URL for inbound messages is known: set one with PUT /sandbox/inbound");
        }
        let answers = reply.answers.as_deref().map(|sid| self.answered(sid).ok_or("answers: there is no such message"));
        let inbound = Inbound {
            from: &reply.from,
            to: &reply.to,
            body: &reply.body,
            media: reply.media.clone(),
            profile_name: reply.profile_name.as_deref(),
            answers: answers.transpose()?,
        };
        let (sid, callback) = self.inbound(state, account, inbound);
        if let Some(callback) = callback {
            state.schedule.add(Duration::ZERO, Scheduled::Post(Box::new(callback)));
        }
        Ok(sid)
    }

    /// Whether an account has this number on its list.
    pub(in crate::sandbox) fn lists(&self, number: &str) -> bool {
        self.accounts.all.iter().any(|account| account.numbers.iter().any(|own| **own == *number))
    }

    fn answered(&self, sid: &str) -> Option<Answered> {
        let messages = self.messages();
        let message = messages.get(messages.number_of(sid)?)?;
        Some(Answered { sid: message.sid.clone(), sender: message.from.clone()? })
    }

    /// Takes an inbound message in, and builds the post if a URL is known.
    pub(super) fn inbound(
        &self,
        state: &State,
        account: Arc<Account>,
        inbound: Inbound<'_>,
    ) -> (Arc<str>, Option<Callback>) {
        let now_ms = time::now_ms();
        let message = Message {
            sid: new_sid(if inbound.media.is_empty() { "SM" } else { "MM" }),
            account,
            service: None,
            to: inbound.to.into(),
            from: Some(inbound.from.into()),
            body: inbound.body.into(),
            callback: None,
            status: Status::Received,
            inbound: true,
            segments: segments(inbound.body),
            media: inbound.media.as_slice().into(),
            bars: Bars::default(),
            error: None,
            created_ms: now_ms,
            sent_ms: Some(now_ms),
            updated_ms: now_ms,
        };
        self.remember(&message, inbound.from);
        tracing::debug!(from = masked(inbound.from), "sandbox: somebody replied");
        let url = state.inbound_url(inbound.to, None);
        let callback = url.map(|url| receipts::inbound(&message, &inbound, &url));
        if callback.is_none() {
            state.counters(Provider::Twilio, Kind::Reply).withheld.fetch_add(1, Relaxed);
        }
        (message.sid, callback)
    }

    /// Remembers an inbound message and heeds it, at once: by SMS a keyword, and who sent STOP is refused from now on; on
    /// WhatsApp there are no keywords, and whatever it says opens the window.
    fn remember(&self, message: &Message, from: &str) {
        let mut messages = self.messages();
        match message.channel() {
            Channel::Sms => {
                let word = message.body.trim().to_uppercase();
                if STOP.contains(&word.as_str()) {
                    messages.opt_out(&message.to, from);
                } else if START.contains(&word.as_str()) {
                    messages.opt_in(&message.to, from);
                }
            }
            Channel::WhatsApp => messages.sessions.renew(&message.to, from, message.created_ms),
        }
        messages.add(message.clone());
    }
}
