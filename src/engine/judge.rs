//! The judgement on each message of a claimed request: send it, or why not. Pure: everything it needs is handed to it.
//!
//! The rules and their order are SPEC 7's; the first that applies gives the message its end.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{
        locale::Locale,
        message::Status,
        phone::E164,
        reason::{Reason, Why},
        run::{Pinned, RunStatus},
        state::MessageState,
        time::Timestamp,
    },
    provider::Outgoing,
    store::{consents::Consent, messages::StoredMessage, requests::Claimed},
    template::{Template, segments},
};

/// What the judgement goes by.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The request.
    pub request: &'a Claimed,
    /// What its run keeps.
    pub pinned: &'a Pinned,
    /// Where its run stands.
    pub run_status: RunStatus,
    /// The run's version of the template, or why there is none.
    pub template: Result<Arc<Template>, Why>,
    /// Stored consents of the recipients.
    pub consents: BTreeMap<E164, Consent>,
    /// Where the provider calls back, to be followed by the message's id.
    pub callback: Option<String>,
    /// Whether the provider may be asked about a doubt once more.
    pub may_ask_again: bool,
    /// Now.
    pub now: Timestamp,
}

/// A rendered message.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its place in the run.
    pub seq: i64,
    /// What the adapter gets.
    pub outgoing: Outgoing,
    /// The locale that was chosen.
    pub locale: String,
    /// How many segments it has.
    pub segments: u32,
}

/// What is to be done with a message.
#[derive(Debug)]
pub enum Decision {
    /// Nothing: it has its end.
    Nothing,
    /// It ends here, without a call.
    End(MessageState),
    /// Hand it over.
    Send(Ready),
    /// Find out whether it was handed over, before anything else.
    Ask(Ready),
}

impl Facts<'_> {
    /// Judges one message.
    pub fn judge(&self, message: &StoredMessage) -> Decision {
        let doubtful = self.is_doubtful(message);
        if message.status().is_settled() && !doubtful {
            return Decision::Nothing;
        }
        if !doubtful && let Some((status, reason)) = self.bar(message) {
            return self.end(status, reason.into());
        }
        match self.render(message) {
            Ok(ready) if doubtful => Decision::Ask(ready),
            Ok(ready) => Decision::Send(ready),
            // It was rendered once, so this is damage; but the doubt stays.
            Err(why) if doubtful => self.end(Status::Uncertain, why),
            Err(why) => self.end(Status::Failed, why),
        }
    }

    /// Whether the message may have been handed over without anybody having written what became of it.
    fn is_doubtful(&self, message: &StoredMessage) -> bool {
        match &message.state {
            Some(state) if state.status == Status::Uncertain => self.may_ask_again,
            Some(state) if state.status.is_settled() => false,
            // The last holder wrote what became of it before it vanished.
            Some(state) if state.token == self.request.token - 1 => false,
            Some(_) | None => message.id.seq < self.request.first_seq + self.request.begun,
        }
    }

    fn bar(&self, message: &StoredMessage) -> Option<(Status, Reason)> {
        let opted_out = self.consents.get(&message.to) == Some(&Consent::Out);
        let too_old = self.now.since(self.request.accepted_at) > self.pinned.valid_for.0;
        let bars = [
            (self.run_status == RunStatus::Cancelling, Status::Cancelled, Reason::Cancelled),
            (opted_out, Status::Suppressed, Reason::OptedOut),
            (!message.opted_in, Status::Suppressed, Reason::NotOptedIn),
            (message.repeat, Status::Suppressed, Reason::Duplicate),
            (too_old, Status::Expired, Reason::Expired),
        ];
        bars.into_iter().find(|(applies, ..)| *applies).map(|(_, status, reason)| (status, reason))
    }

    fn render(&self, message: &StoredMessage) -> Result<Ready, Why> {
        let template = self.template.as_ref().map_err(Clone::clone)?;
        let damaged = |problem: &dyn std::fmt::Display| Why::detailed(Reason::TemplateFailed, problem.to_string());
        let slugs = message.read_slugs().map_err(|problem| damaged(&problem))?;
        let wanted: Option<Locale> = if message.locale.is_empty() { None } else { message.locale.parse().ok() };
        let rendered = template.render(wanted.as_ref(), &slugs)?;
        let counted = segments(&rendered.text);
        let age = self.now.since(self.request.accepted_at);
        let outgoing = Outgoing {
            id: message.id,
            to: message.to,
            text: rendered.text,
            approved: None,
            media: Vec::new(),
            purpose: template.source().purpose,
            first_sent: self.now,
            callback_url: self.callback.as_ref().map(|base| format!("{base}?message={}", message.id)),
            valid_for: self.pinned.valid_for.0.saturating_sub(age),
        };
        Ok(Ready { seq: message.id.seq, outgoing, locale: rendered.locale.to_string(), segments: counted.segments })
    }

    fn end(&self, status: Status, why: Why) -> Decision {
        Decision::End(MessageState { token: self.request.token, ..MessageState::new(status, Some(why), self.now) })
    }
}
