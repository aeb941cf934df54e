//! Answers in conversations: what a person or a program writes back to a contact becomes a message like any other.
//!
//! The answers of a day through one channel are one run. It belongs to no outbound configuration, and its messages bring their
//! own text: the slugs `text` and `media` (a JSON list of links) are all that they have. Whether an answer may be sent is asked
//! here, so that whoever answers is told at once; the engine asks again before it sends.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::{begin, upkeep, upload::hex};
use crate::{
    book::{Book, Unusable},
    clock::Clock,
    domain::{
        account::ProviderKind,
        canary::Guard,
        contact::{Contact, OptIn, Slugs},
        definition::{Channel, OnUncertain},
        fairness::Priority,
        id::{ConfigurationId, ConversationId, MessageId, RunId},
        purpose::Purpose,
        run::Pinned,
        session::{self, Closed},
        time::{Span, Timestamp},
    },
    store::{
        Store, StoreError,
        answers::{Accepted, NewAnswer, Taken},
        consents::Consent,
        conversations::{Conversation, ConversationState},
        runs::{Lasting, NewRun},
    },
    template::MAX_CHARACTERS,
};

/// The name of the runs that answers leave in.
pub const NAME: &str = "answers";
/// The most links that are sent along.
pub const MAX_MEDIA: usize = 10;
/// The longest link, in bytes.
const MAX_LINK: usize = 2_048;
/// The longest idempotency key, in bytes.
pub const MAX_KEY: usize = 255;
/// How long an answer is worth sending.
const VALID_FOR: Span = Span(Duration::from_hours(24));

/// What stands for the outbound configuration in the runs of answers: an id that no configuration can have, for its time is 1970.
pub fn configuration() -> ConfigurationId {
    ConfigurationId::new(Timestamp::from_millis(0), 0)
}

/// What is to be answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// In which conversation.
    pub conversation: ConversationId,
    /// The text.
    pub text: String,
    /// Links to what is sent along.
    pub media: Vec<String>,
    /// The caller's key: the same key is the same answer.
    pub key: Option<String>,
    /// Who answers: `operator`, `api key_…`.
    pub author: String,
}

/// An answer that is queued, or was before under the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is queued now.
    Now(Accepted),
    /// It was before.
    Before(Accepted),
}

impl Answered {
    /// What was accepted.
    pub const fn accepted(self) -> Accepted {
        match self {
            Self::Now(accepted) | Self::Before(accepted) => accepted,
        }
    }

    /// The message.
    pub const fn message(self) -> MessageId {
        self.accepted().message
    }
}

/// Something that is wrong with the answer itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {problem}")]
pub struct BadAnswer {
    /// Where: a JSON pointer.
    pub pointer: String,
    /// What, and what was expected.
    pub problem: String,
}

/// Why an answer is not sent.
#[derive(Debug, thiserror::Error)]
pub enum NotAnswered {
    /// It is wrong in itself: everything that is.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Bad(Vec<BadAnswer>),
    /// The organization has no such conversation.
    #[error("there is no conversation \"{0}\"")]
    NoConversation(ConversationId),
    /// It is resolved.
    #[error(
        "the conversation has ended, and what has ended is not opened again; when the contact writes, another one begins"
    )]
    Ended,
    /// Another answer was given under this key.
    #[error("another answer was sent under this idempotency key; a key stands for one answer, so use a new one")]
    OtherUnderKey,
    /// The channel is gone, or its account.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The channel takes no attachments from the organization.
    #[error("{0}")]
    MediaNotAllowed(String),
    /// The contact wants nothing.
    #[error("the contact has opted out of {0}; they can opt in again by writing START")]
    OptedOut(&'static str),
    /// WhatsApp's window is closed.
    #[error("WhatsApp allows free text only within 24 hours of the contact's last message: {0}")]
    SessionClosed(Closed),
    /// An operator has cancelled the day's answers.
    #[error("today's answers through this channel were cancelled ({0}), and no more are sent through it today")]
    Cancelled(RunId),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

impl NotAnswered {
    /// The stable code that programs go by.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bad(_) => "invalid_answer",
            Self::NoConversation(_) => "not_found",
            Self::Ended => "conversation_ended",
            Self::OtherUnderKey => "idempotency_key_reused",
            Self::Unusable(_) => "channel_unusable",
            Self::MediaNotAllowed(_) => "media_not_allowed",
            Self::OptedOut(_) => "opted_out",
            Self::SessionClosed(_) => "session_closed",
            Self::Cancelled(_) => "run_cancelled",
            Self::Store(_) => "internal",
        }
    }
}

/// Queues an answer, if it may be sent: a message of the day's run, in its conversation, all in one transaction.
pub async fn answer(store: &Store, clock: &Clock, book: &Book, answer: Answer) -> Result<Answered, NotAnswered> {
    let bad = mistakes(&answer);
    if !bad.is_empty() {
        return Err(NotAnswered::Bad(bad));
    }
    let org = &book.organization.id;
    let missing = || NotAnswered::NoConversation(answer.conversation);
    let conversation = store.conversation(org, answer.conversation).await?.ok_or_else(missing)?;
    let digest = digest(&answer);
    if let Some(key) = &answer.key
        && let Some(taken) = store.answer_under(org, key, &digest).await?
    {
        return outcome(taken, &answer);
    }
    let now = clock.now();
    may_be_answered(store, book, &conversation, &answer.media, now).await?;
    let new = new_answer(book, &conversation, &answer, digest, now);
    let answered = outcome(store.add_answer(org, &new, now).await?, &answer)?;
    if let Answered::Now(accepted) = answered {
        begin::hold_if_stopped(store, book, accepted.message.run, &conversation.channel).await?;
        tracing::info!(%org, conversation = %answer.conversation, message = %accepted.message, to = conversation.contact.masked(), "an answer is queued");
    }
    Ok(answered)
}

fn outcome(taken: Taken, answer: &Answer) -> Result<Answered, NotAnswered> {
    match taken {
        Taken::New(accepted) => Ok(Answered::Now(accepted)),
        Taken::Known(accepted) => Ok(Answered::Before(accepted)),
        Taken::OtherUnderKey => Err(NotAnswered::OtherUnderKey),
        Taken::NoConversation => Err(NotAnswered::NoConversation(answer.conversation)),
        Taken::Ended => Err(NotAnswered::Ended),
        Taken::Cancelled(run) => Err(NotAnswered::Cancelled(run)),
    }
}

/// Everything that is wrong with an answer, whatever conversation it is for.
fn mistakes(answer: &Answer) -> Vec<BadAnswer> {
    let mut found = Vec::new();
    let mut add = |pointer: &str, problem: String| found.push(BadAnswer { pointer: pointer.to_owned(), problem });
    let characters = answer.text.chars().count();
    if answer.text.trim().is_empty() {
        add("/text", format!("is empty; expected 1 to {MAX_CHARACTERS} characters"));
    } else if characters > MAX_CHARACTERS {
        add("/text", format!("has {characters} characters; expected 1 to {MAX_CHARACTERS}"));
    }
    if answer.media.len() > MAX_MEDIA {
        add("/media", format!("has {} links; expected at most {MAX_MEDIA}", answer.media.len()));
    }
    for (place, link) in answer.media.iter().enumerate() {
        let good = link.len() <= MAX_LINK
            && Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !good {
            let problem = format!(
                "is not a link; expected an address that begins with https:// or http://, of at most {MAX_LINK} bytes"
            );
            add(&format!("/media/{place}"), problem);
        }
    }
    found
}

/// Whether the rules allow an answer now; the engine asks the same of the message before it sends it.
async fn may_be_answered(
    store: &Store,
    book: &Book,
    conversation: &Conversation,
    media: &[String],
    now: Timestamp,
) -> Result<(), NotAnswered> {
    if conversation.state == ConversationState::Ended {
        return Err(NotAnswered::Ended);
    }
    let channel = book.channel(&conversation.channel)?;
    if !media.is_empty() {
        takes_media(book, &conversation.channel, channel)?;
    }
    let (org, to) = (&book.organization.id, conversation.contact);
    let consents = store.consents(org, conversation.channel_type, &[to]).await?;
    if consents.get(&to) == Some(&Consent::Out) {
        return Err(NotAnswered::OptedOut(conversation.channel_type.as_str()));
    }
    if session::is_kept(conversation.channel_type) {
        session::is_open(conversation.last_inbound, now).map_err(NotAnswered::SessionClosed)?;
    }
    Ok(())
}

fn takes_media(book: &Book, name: &str, channel: &Channel) -> Result<(), NotAnswered> {
    if !channel.attachments.from_organization {
        return Err(NotAnswered::MediaNotAllowed(format!(
            "channel \"{name}\" sends no attachments: its definition does not say attachments.from_organization = true"
        )));
    }
    match book.account(&channel.account)?.kind {
        ProviderKind::Twilio => Ok(()),
        other @ (ProviderKind::TeleSign | ProviderKind::Acs) => Err(NotAnswered::MediaNotAllowed(format!(
            "channel \"{name}\" sends no attachments: herald hands none to {}",
            other.as_str()
        ))),
    }
}

fn new_answer(book: &Book, conversation: &Conversation, answer: &Answer, digest: String, now: Timestamp) -> NewAnswer {
    let day = now.to_utc().with_timezone(&book.organization.timezone).date_naive();
    let mut slugs = Slugs::default();
    for (name, value) in [("text", answer.text.clone()), ("media", json!(answer.media).to_string())] {
        drop(slugs.insert(name, value)); // two names, so neither is there yet
    }
    let pinned = Pinned {
        channel: conversation.channel.clone(),
        template: None,
        version: 0,
        valid_for: VALID_FOR,
        on_uncertain: OnUncertain::Keep,
        show_in_timeline: false,
        purpose: Purpose::Transactional,
        channel_type: conversation.channel_type,
        // Each answer is one person's; what becomes of it is told to whoever wrote it.
        guard: Guard::none(),
    };
    NewAnswer {
        conversation: conversation.id,
        text: answer.text.clone(),
        media: answer.media.clone(),
        author: answer.author.clone(),
        key: answer.key.clone(),
        digest,
        contact: Contact {
            to: conversation.contact,
            // They wrote themselves; whether they have opted out since is asked when it is sent.
            opted_in: OptIn::Yes,
            locale: conversation.locale.parse().ok(),
            slugs,
        },
        run: NewRun {
            id: RunId::new(now, rand::random()),
            configuration: configuration(),
            name: NAME.to_owned(),
            priority: Priority::Automatic,
            firing: Some(format!("{day} answers through {}", conversation.channel)),
            pinned,
            source: format!("answers of {day} through {}", conversation.channel),
            digest: String::new(),
            columns: Vec::new(),
            lasting: Lasting::OpenEnded,
        },
        day_ends: upkeep::day_of(&book.organization, now).ends,
    }
}

/// What is asked for, in a form that can be compared.
fn digest(answer: &Answer) -> String {
    let asked = json!([answer.conversation, answer.text, answer.media]).to_string();
    hex(&Sha256::digest(asked.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn an_answer(text: &str, media: &[&str]) -> Answer {
        Answer {
            conversation: ConversationId::new(Timestamp::from_millis(5), 7),
            text: text.to_owned(),
            media: media.iter().map(|link| (*link).to_owned()).collect(),
            key: None,
            author: "operator".to_owned(),
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let long = "é".repeat(MAX_CHARACTERS + 1);
        let link = "https://files.example/1.pdf";
        for (text, media, expected) in [
            ("Hi", &[][..], &[][..]),
            (&long[..2 * MAX_CHARACTERS], &[link, "http://files.example/2"], &[]),
            ("", &[], &["/text: is empty; expected 1 to 1600 characters"]),
            (" \n", &[], &["/text: is empty; expected 1 to 1600 characters"]),
            (&long, &["ftp://files.example"], &["/text: has 1601 characters", "/media/0: is not a link"]),
            ("Hi", &[link, "files.example/1", "https://"], &["/media/1: is not a link", "/media/2: is not a link"]),
            ("Hi", &[link; 11], &["/media: has 11 links; expected at most 10"]),
        ] {
            let found: Vec<String> = mistakes(&an_answer(text, media)).iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)), "{found:?}");
        }
    }

    #[test]
    fn the_same_answer_has_the_same_digest() {
        let one = digest(&an_answer("Hi", &["https://a.example/"]));
        assert_eq!(one, digest(&Answer { author: "another".into(), ..an_answer("Hi", &["https://a.example/"]) }));
        let other = ConversationId::new(Timestamp::from_millis(6), 7);
        for different in [
            an_answer("Hi", &[]),
            an_answer("Hi!", &["https://a.example/"]),
            Answer { conversation: other, ..an_answer("Hi", &["https://a.example/"]) },
        ] {
            assert_ne!(one, digest(&different));
        }
        assert_eq!(configuration().to_string(), "cfg_00000000000000000000000000");
    }
}
