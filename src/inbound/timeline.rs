//! Timelines, put together: what happened to a contact or about a case, newest first, a page at a time.
//!
//! Nothing of it is stored as it is shown. The store has pointers to messages; the text is rendered again from the version of
//! the template that the message's run keeps, and what became of the message is what is known of it now.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    book::{Book, Books},
    domain::{
        account::ProviderKind,
        contact::ChannelType,
        definition::{Channel, SmartEncoding},
        id::{ConsentChangeId, MessageId, RequestId, RunId},
        locale::Locale,
        message::Status,
        phone::E164,
        run::RunStatus,
        state::MessageState,
        time::Timestamp,
        timeline::{ActivityState, Happening, Place, consents_before, messages_before, replies_before},
    },
    store::{
        Store, StoreError,
        consents::StoredConsent,
        messages::StoredMessage,
        timeline::{Activity, ActivityRequest, ActivityRun, TimelineReply},
    },
    template::leaving,
};

/// The most that one page holds.
pub const PAGE: usize = 50;

/// The slug that holds the text of a message that no template makes.
const TEXT: &str = "text";

/// Why a text is not there that was.
const ERASED: &str = "it was erased";

/// Reads timelines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Timelines {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
}

/// A page of a timeline.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Newest first.
    pub items: Vec<Item>,
    /// Where the next page begins, if there is one.
    pub next: Option<Place>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Item {
    /// A message to the contact.
    Message(Box<TimelineMessage>),
    /// A message from the contact.
    Reply {
        /// What they wrote.
        reply: TimelineReply,
        /// Who.
        from: E164,
        /// The channel that it came to, as far as it is still there.
        channel: Option<Sender>,
    },
    /// A change of the contact's consent.
    Consent(ConsentChangeId, StoredConsent),
}

/// A message on a timeline.
#[derive(Clone, Debug)]
pub struct TimelineMessage {
    /// What it is about.
    pub activity: Activity,
    /// The message.
    pub message: StoredMessage,
    /// What its run keeps.
    pub run: ActivityRun,
    /// Where it stands.
    pub state: ActivityState,
    /// The time that it waits for, if it waits for one.
    pub due: Option<Timestamp>,
    /// The channel that it leaves or left through, as far as it is still there.
    pub sender: Option<Sender>,
    /// Its text, or why there is none to show.
    pub text: Result<String, String>,
    /// The locale of the text.
    pub locale: Option<String>,
}

/// A channel, as a timeline shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// SMS or WhatsApp.
    pub channel_type: ChannelType,
    /// Its number.
    pub number: String,
    /// Where it is; `None`: its account is gone.
    pub provider: Option<ProviderKind>,
}

/// What the store has, before it is put together.
enum Found {
    Message(Activity),
    Reply(TimelineReply),
    Consent(ConsentChangeId, StoredConsent),
}

impl Found {
    fn place(&self) -> Place {
        match self {
            Self::Message(activity) => Place { at: activity.created_at, what: Happening::Message(activity.id) },
            Self::Reply(reply) => Place { at: reply.received_at, what: Happening::Reply(reply.id) },
            Self::Consent(id, change) => Place { at: change.changed_at, what: Happening::Consent(*id) },
        }
    }
}

/// What the activities of a page need to know.
#[derive(Default)]
struct Details {
    messages: BTreeMap<MessageId, StoredMessage>,
    runs: BTreeMap<RunId, ActivityRun>,
    requests: BTreeMap<RequestId, ActivityRequest>,
}

/// One more than a page, so that it is known whether there is another.
const ONE_MORE: i64 = PAGE as i64 + 1;

impl Timelines {
    /// What happened to a contact: messages, replies, changes of consent.
    pub async fn of_contact(
        &self,
        book: &Book,
        contact: E164,
        after: Option<Place>,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let org = &book.organization.id;
        let activities = self.store.activities_of(org, contact, messages_before(after), ONE_MORE).await?;
        let replies = self.store.replies_of(org, contact, replies_before(after), ONE_MORE).await?;
        let changes = self.store.consent_history(org, contact, consents_before(after), ONE_MORE).await?;
        let consents = changes.into_iter().filter_map(|change| Some(Found::Consent(change.id?, change)));
        let found = activities.into_iter().map(Found::Message);
        let found = found.chain(replies.into_iter().map(Found::Reply)).chain(consents).collect();
        self.page(book, found, Some(contact), now).await
    }

    /// The activities about something, by the id that the messages name (`regardingobjectid`).
    pub async fn regarding(
        &self,
        book: &Book,
        regarding: &str,
        after: Option<Place>,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let before = messages_before(after);
        let found = self.store.activities_regarding(&book.organization.id, regarding.trim(), before, ONE_MORE).await?;
        self.page(book, found.into_iter().map(Found::Message).collect(), None, now).await
    }

    async fn page(
        &self,
        book: &Book,
        mut found: Vec<Found>,
        contact: Option<E164>,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        found.sort_by_key(|found| std::cmp::Reverse(found.place()));
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let next = found.last().filter(|_| more).map(Found::place);
        let mut details = self.details(book, &found).await?;
        let mut items = Vec::with_capacity(found.len());
        for found in found {
            match (found, contact) {
                (Found::Message(activity), _) => {
                    items.extend(self.message(book, activity, &mut details, now).await?.map(Item::Message));
                }
                (Found::Reply(reply), Some(from)) => {
                    let channel = book.channel(&reply.channel).ok().map(|channel| sender(book, channel));
                    items.push(Item::Reply { reply, from, channel });
                }
                (Found::Consent(id, change), Some(_)) => items.push(Item::Consent(id, change)),
                (Found::Reply(_) | Found::Consent(..), None) => {}
            }
        }
        Ok(Page { items, next })
    }

    async fn details(&self, book: &Book, found: &[Found]) -> Result<Details, StoreError> {
        let org = &book.organization.id;
        let activities: Vec<&Activity> = found
            .iter()
            .filter_map(|found| match found {
                Found::Message(activity) => Some(activity),
                Found::Reply(_) | Found::Consent(..) => None,
            })
            .collect();
        if activities.is_empty() {
            return Ok(Details::default());
        }
        let ids: Vec<_> = activities.iter().map(|activity| activity.id).collect();
        let runs: BTreeSet<_> = ids.iter().map(|id| id.run).collect();
        let requests: BTreeSet<_> = activities.iter().map(|activity| activity.request).collect();
        let messages = self.store.messages_by_id(org, &ids).await?;
        Ok(Details {
            messages: messages.into_iter().map(|message| (message.id, message)).collect(),
            runs: self.store.activity_runs(org, runs).await?,
            requests: self.store.activity_requests(org, requests).await?,
        })
    }

    /// `None`: the message's run has not begun, or never will.
    async fn message(
        &self,
        book: &Book,
        activity: Activity,
        details: &mut Details,
        now: Timestamp,
    ) -> Result<Option<Box<TimelineMessage>>, StoreError> {
        let (Some(message), Some(run)) = (details.messages.remove(&activity.id), details.runs.get(&activity.id.run))
        else {
            return Ok(None);
        };
        if matches!(run.status, RunStatus::Importing | RunStatus::Failed) {
            return Ok(None);
        }
        let via = message.state.as_ref().map(|state| state.via.as_str()).filter(|via| !via.is_empty());
        let channel = book.channel(via.unwrap_or(&run.pinned.channel)).ok();
        let due = details.requests.get(&activity.request).and_then(|request| due(&message, request, now));
        let smart_encoding = channel.map(Channel::smart_encoding).unwrap_or_default();
        let (text, rendered_in) = match self.text(book, run, &message, smart_encoding).await? {
            Ok((text, locale)) => (Ok(text), locale),
            Err(why) => (Err(why), None),
        };
        let known = message.state.as_ref().map(|state| state.locale.clone()).filter(|locale| !locale.is_empty());
        Ok(Some(Box::new(TimelineMessage {
            state: ActivityState::of(message.status(), due),
            due,
            sender: channel.map(|channel| sender(book, channel)),
            text,
            locale: known.or(rendered_in.map(|locale| locale.to_string())),
            run: run.clone(),
            message,
            activity,
        })))
    }

    /// The text and its locale, or why there is none to show.
    async fn text(
        &self,
        book: &Book,
        run: &ActivityRun,
        message: &StoredMessage,
        smart_encoding: SmartEncoding,
    ) -> Result<Result<(String, Option<Locale>), String>, StoreError> {
        if message.slugs.is_empty() {
            return Ok(Err(ERASED.to_owned()));
        }
        let wanted: Option<Locale> = message.locale.parse().ok();
        let Ok(slugs) = message.read_slugs() else {
            return Ok(Err("what it was made of cannot be read".to_owned()));
        };
        let Some(template) = run.pinned.template else {
            let text = slugs.get(TEXT).ok_or_else(|| ERASED.to_owned());
            return Ok(text.map(|text| (leaving(text.to_owned(), smart_encoding), wanted)));
        };
        let template = self.books.template(book, template, run.pinned.version).await?;
        Ok(template.map_err(|problem| problem.to_string()).and_then(|template| {
            let rendered = template.text_for(wanted.as_ref(), &slugs, smart_encoding);
            let rendered = rendered.map_err(|problem| problem.to_string())?;
            Ok((rendered.text, Some(rendered.locale)))
        }))
    }
}

/// The time that a message waits for: its own, if it is held; else its request's, if that is put off, to a delay's end or to the
/// next try. A request that somebody holds has a time ahead of it as well, which is its lease; then nothing waits.
fn due(message: &StoredMessage, request: &ActivityRequest, now: Timestamp) -> Option<Timestamp> {
    let put_off = |state: &MessageState| state.status == Status::Queued && state.token == request.token;
    let waits = request.token == 0 || message.state.as_ref().is_some_and(put_off);
    let held = message.state.as_ref().and_then(|state| state.held_until);
    held.or(Some(request.due_at).filter(|_| waits)).filter(|due| *due > now)
}

fn sender(book: &Book, channel: &Channel) -> Sender {
    let provider = book.account(&channel.account).ok().map(|account| account.kind);
    Sender { channel_type: channel.channel_type, number: channel.number.clone(), provider }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_until_its_request_is_due_unless_somebody_holds_it() {
        let (now, later) = (Timestamp::from_millis(100), Timestamp::from_millis(200));
        let said = |status, token| Some(MessageState { token, ..MessageState::new(status, None, now) });
        let held = |token| said(Status::Queued, token).map(|state| MessageState { held_until: Some(later), ..state });
        for (what, due_at, token, state, waits) in [
            ("not due, never tried", later, 0, None, true),
            ("due", now, 0, None, false),
            ("held for the first time", later, 1, None, false),
            ("tried, to be tried again", later, 1, said(Status::Queued, 1), true),
            ("held for the second time", later, 2, said(Status::Queued, 1), false),
            ("held, others go before", Timestamp::from_millis(150), 1, held(1), true),
            ("held, and claimed for the others", later, 2, held(1), true),
            ("in doubt", later, 1, said(Status::Uncertain, 1), false),
            ("sent, others are tried again", later, 1, said(Status::Sent, 1), false),
        ] {
            let message = StoredMessage {
                id: MessageId { run: RunId::new(now, 1), seq: 1 },
                row: 1,
                to: E164::from_digits(1),
                opted_in: true,
                repeat: false,
                locale: String::new(),
                slugs: String::new(),
                state,
            };
            let found = due(&message, &ActivityRequest { due_at, token }, now);
            assert_eq!(found, waits.then_some(later), "{what}");
        }
    }
}
