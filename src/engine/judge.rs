//! The judgement on each message of a claimed request: send it, or why not. Pure: everything it needs is handed to it.
//!
//! The rules and their order are SPEC 7's; the first that applies gives the message its end or its wait.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::rules::People;
use crate::{
    domain::{
        contact::{ChannelType, Slugs},
        definition::SmartEncoding,
        locale::Locale,
        message::Status,
        phone::E164,
        purpose::Purpose,
        reason::{Reason, Why},
        run::{Pinned, RunStatus},
        session::{self, Closed},
        state::MessageState,
        time::Timestamp,
        wishes::{SendAs, Wishes},
    },
    provider::{Approved, Outgoing},
    store::{consents::Consent, messages::StoredMessage, requests::Claimed},
    template::{Template, leaving, segments},
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
    /// What is said: the run's version of the template, or why there is none.
    pub content: Result<Content, Why>,
    /// Stored consents of the recipients.
    pub consents: BTreeMap<E164, Consent>,
    /// SMS or WhatsApp.
    pub channel_type: ChannelType,
    /// What becomes of look-alikes in texts.
    pub smart_encoding: SmartEncoding,
    /// When each recipient last wrote, where free text depends on it.
    pub last_inbound: BTreeMap<E164, Timestamp>,
    /// What the rules about how often and when go by.
    pub people: People,
    /// Where the provider calls back, to be followed by the message's id.
    pub callback: Option<String>,
    /// The channel that messages leave through, if that is not the run's own; else empty.
    pub via: &'a str,
    /// When the request was first tried, or is about to be.
    pub first_sent: Timestamp,
    /// Whether the provider may be asked about a doubt once more.
    pub may_ask_again: bool,
    /// Now.
    pub now: Timestamp,
}

/// What a run's messages say.
#[derive(Clone, Debug)]
pub enum Content {
    /// This template, in the contact's words.
    Template(Arc<Template>),
    /// What each message brings along (answers in conversations).
    Own,
}

/// A rendered message.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its place in the run.
    pub seq: i64,
    /// The channel that it leaves through, if that is not its run's own; else empty.
    pub via: String,
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
    /// It waits for a time that is set.
    Hold(MessageState),
    /// Hand it over.
    Send(Ready),
    /// Find out whether it was handed over, before anything else.
    Ask(Doubt),
}

/// A message that may have been handed over.
#[derive(Debug)]
pub struct Doubt {
    /// As it was, or would have been; with the channel that it left through.
    pub ready: Ready,
    /// What would keep it from being sent now: then it is asked about, but not sent again.
    pub bar: Option<Bar>,
}

/// What keeps a message from being sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bar {
    /// It ends.
    End(Status, Why),
    /// It waits until then.
    Wait(Timestamp, Why),
}

impl Bar {
    /// What is written of a message that it keeps from being sent.
    pub fn state(self, now: Timestamp) -> MessageState {
        match self {
            Self::End(status, why) => MessageState::new(status, Some(why), now),
            Self::Wait(until, why) => {
                MessageState { held_until: Some(until), ..MessageState::new(Status::Queued, Some(why), now) }
            }
        }
    }
}

/// Under these names a message brings its own text and media along.
const OWN_TEXT: &str = "text";
const OWN_MEDIA: &str = "media";

/// What is said to one contact.
pub(super) struct Said {
    pub(super) text: String,
    locale: String,
    approved: Option<Approved>,
    media: Vec<String>,
    purpose: Purpose,
}

impl Facts<'_> {
    /// Judges one message.
    pub fn judge(&self, message: &StoredMessage) -> Decision {
        let doubtful = self.is_doubtful(message);
        if message.status().is_settled() && !doubtful {
            return Decision::Nothing;
        }
        let bar = self.bar(message);
        if !doubtful && let Some((status, why)) = bar {
            return self.end(status, why);
        }
        let (ready, late) = match self.render(message) {
            Ok((ready, session)) => {
                let late = self.late_bar(message, &ready, session);
                (ready, late)
            }
            // It was rendered once, so this is damage; but the doubt stays.
            Err(why) if doubtful => return self.end(Status::Uncertain, why),
            Err(why) => return self.end(Status::Failed, why),
        };
        let bar = bar.map(|(status, why)| Bar::End(status, why)).or(late);
        match bar {
            bar if doubtful => {
                let left_by = message.state.as_ref().filter(|state| state.status == Status::Uncertain);
                let via = left_by.map_or(&self.request.via, |state| &state.via).clone();
                Decision::Ask(Doubt { ready: Ready { via, ..ready }, bar })
            }
            Some(Bar::End(status, why)) => self.end(status, why),
            Some(wait @ Bar::Wait(..)) => Decision::Hold(wait.state(self.now)),
            None => Decision::Send(ready),
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

    /// The rules that need no text (SPEC 7, 1 to 3, and the cap of 4).
    fn bar(&self, message: &StoredMessage) -> Option<(Status, Why)> {
        let opted_out = self.consents.get(&message.to) == Some(&Consent::Out);
        let bars = [
            (self.run_status == RunStatus::Cancelling, Status::Cancelled, Reason::Cancelled),
            (opted_out, Status::Suppressed, Reason::OptedOut),
            (!message.opted_in, Status::Suppressed, Reason::NotOptedIn),
            (message.repeat, Status::Suppressed, Reason::Duplicate),
        ];
        let bar = bars.into_iter().find(|(applies, ..)| *applies).map(|(_, status, reason)| (status, reason.into()));
        bar.or_else(|| Some((Status::Suppressed, self.people.capped(message.id.seq)?)))
    }

    /// The rules that come after them (SPEC 7, the loops of 4, and 5 to 7).
    fn late_bar(&self, message: &StoredMessage, ready: &Ready, session: Result<(), Closed>) -> Option<Bar> {
        if let Some(why) = self.people.loops(message, &ready.outgoing.text) {
            return Some(Bar::End(Status::Suppressed, why));
        }
        if let Err(closed) = session {
            return Some(Bar::End(Status::Failed, closed.why()));
        }
        // Nobody waits longer than the message is worth sending: what is too old has no wait left, and ends.
        let too_old = self.request.accepted_at.plus(self.pinned.valid_for.0).plus(Duration::from_millis(1));
        if self.now >= too_old {
            return Some(Bar::End(Status::Expired, Reason::Expired.into()));
        }
        let quiet = self.people.quiet(message, self.now)?;
        Some(Bar::Wait(quiet.until.min(too_old), Why::detailed(Reason::QuietHours, quiet.to_string())))
    }

    fn render(&self, message: &StoredMessage) -> Result<(Ready, Result<(), Closed>), Why> {
        let said = self.say(message)?;
        let session = if said.approved.is_none() { self.session(message.to) } else { Ok(()) };
        let text = leaving(said.text, self.smart_encoding);
        let counted = segments(&text);
        let age = self.now.since(self.request.accepted_at);
        let outgoing = Outgoing {
            id: message.id,
            among: (self.request.first_seq, self.request.first_seq + self.request.size - 1),
            to: message.to,
            text,
            approved: said.approved,
            media: said.media,
            purpose: said.purpose,
            first_sent: self.first_sent,
            valid_at_first: self.valid_at_first(),
            callback_url: self.callback.as_ref().map(|base| format!("{base}?message={}", message.id)),
            valid_for: self.pinned.valid_for.0.saturating_sub(age),
        };
        let via = self.via.to_owned();
        Ok((Ready { seq: message.id.seq, via, outgoing, locale: said.locale, segments: counted.segments }, session))
    }

    fn valid_at_first(&self) -> Duration {
        self.pinned.valid_for.0.saturating_sub(self.first_sent.since(self.request.accepted_at))
    }

    /// Whether free text may be sent to this person.
    fn session(&self, to: E164) -> Result<(), Closed> {
        if session::is_kept(self.channel_type) {
            session::is_open(self.last_inbound.get(&to).copied(), self.now).map(drop)
        } else {
            Ok(())
        }
    }

    fn say(&self, message: &StoredMessage) -> Result<Said, Why> {
        let slugs = message.read_slugs().map_err(|problem| damaged(&problem))?;
        let content = self.content.as_ref().map_err(Clone::clone)?;
        said(content, self.channel_type, &message.locale, &slugs)
    }

    fn end(&self, status: Status, why: Why) -> Decision {
        Decision::End(MessageState { token: self.request.token, ..MessageState::new(status, Some(why), self.now) })
    }
}

/// What is said to a contact with these values, who asks for this locale (or for none, if it is empty).
pub(super) fn said(content: &Content, channel_type: ChannelType, locale: &str, slugs: &Slugs) -> Result<Said, Why> {
    match content {
        Content::Template(template) => {
            let wanted: Option<Locale> = if locale.is_empty() { None } else { locale.parse().ok() };
            match channel_type {
                ChannelType::Sms => free_text(template, wanted.as_ref(), slugs),
                ChannelType::WhatsApp => whatsapp(template, wanted.as_ref(), slugs),
            }
        }
        Content::Own => {
            let media = slugs.get(OWN_MEDIA).map(serde_json::from_str).transpose();
            Ok(Said {
                text: slugs.get(OWN_TEXT).ok_or(Reason::EmptyMessage)?.to_owned(),
                locale: locale.to_owned(),
                approved: None,
                media: media.map_err(|problem| damaged(&problem))?.unwrap_or_default(),
                purpose: Purpose::Transactional,
            })
        }
    }
}

fn damaged(problem: &dyn std::fmt::Display) -> Why {
    Why::detailed(Reason::TemplateFailed, problem.to_string())
}

fn free_text(template: &Template, wanted: Option<&Locale>, slugs: &Slugs) -> Result<Said, Why> {
    let rendered = template.render(wanted, slugs)?;
    Ok(Said {
        text: rendered.text,
        locale: rendered.locale.to_string(),
        approved: None,
        media: template.media().to_vec(),
        purpose: template.source().purpose,
    })
}

/// The approved content if there is some, unless the contact asks for free text (SPEC 6).
fn whatsapp(template: &Template, wanted: Option<&Locale>, slugs: &Slugs) -> Result<Said, Why> {
    let wishes = Wishes::of(slugs).map_err(|problem| damaged(&problem))?;
    match (template.has_approved(), wishes.send_as) {
        (true, None | Some(SendAs::Template)) => {
            let rendered = template.render_approved(wanted, slugs, Some(&wishes.parameters))?;
            Ok(Said {
                text: rendered.text,
                locale: rendered.locale.to_string(),
                approved: Some(Approved { content_id: rendered.content_id, variables: rendered.variables }),
                media: Vec::new(),
                purpose: template.source().purpose,
            })
        }
        (false, Some(SendAs::Template)) => Err(Why::detailed(
            Reason::InvalidTemplate,
            "the contact asks for approved content, and the template has none",
        )),
        (true, Some(SendAs::Text)) | (false, None | Some(SendAs::Text)) => free_text(template, wanted, slugs),
    }
}

#[cfg(test)]
mod tests;
