//! Contacts that a program hands over: at most a hundred a call, which is one request. Everything that can be found out at the
//! door is: who is refused hears why, and the others go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    begin::{self, Coming, NotBegun},
    events,
    payload::{Refused, parse_contact},
    texts::{of_contact, text_for},
    upkeep,
};
use crate::{
    book::{Book, ReadyConfiguration},
    clock::Clock,
    domain::{
        contact::{Contact, OptIn},
        id::{MessageId, RequestId, RunId},
        run::{Pinned, REQUEST_SIZE},
    },
    store::{
        Store, StoreError,
        days::{Added, Batch, Handed},
        once::Hold,
        runs::{NewMessage, Rejected, Repeat},
    },
    template::Rendered,
};

/// The most contacts of one call.
pub const MOST: usize = REQUEST_SIZE;

/// What becomes of a contact.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It gets this text.
    Goes(Contact, Rendered),
    /// It is counted and gets nothing: it did not agree.
    NotOptedIn(Contact, Rendered),
    /// It is counted and gets nothing: its number stands earlier in the call.
    Duplicate(Contact, Rendered),
    /// It is no contact of this configuration.
    Refused(Refused),
}

/// A call, checked: what becomes of each of its contacts, in their order.
#[derive(Clone, Debug)]
pub struct Call {
    pinned: Pinned,
    /// In the caller's order.
    pub verdicts: Vec<Verdict>,
}

impl Call {
    /// Holds contacts against a configuration; nothing is stored.
    ///
    /// # Errors
    /// If the configuration is not to be used at all.
    pub fn check(book: &Book, ready: &ReadyConfiguration, contacts: &[Value]) -> Result<Self, NotBegun> {
        let (pinned, rules) = events::rules(book, ready)?;
        let template = &book.template(&ready.configuration.template)?.template;
        let smart_encoding = book.channel(&pinned.channel)?.smart_encoding();
        let mut numbers = BTreeSet::new();
        let judge = |value: &Value| {
            let contact = parse_contact(value, &rules)?;
            let rendered = text_for(template, &contact, smart_encoding).map_err(|problem| of_contact(&problem))?;
            Ok(match contact.opted_in {
                _ if !numbers.insert(contact.to) => Verdict::Duplicate(contact, rendered),
                OptIn::No => Verdict::NotOptedIn(contact, rendered),
                OptIn::Yes => Verdict::Goes(contact, rendered),
            })
        };
        let verdicts = contacts.iter().map(judge).map(|judged| judged.unwrap_or_else(Verdict::Refused)).collect();
        Ok(Self { pinned, verdicts })
    }

    /// Whether none of the contacts can be taken.
    pub fn is_refused(&self) -> bool {
        self.verdicts.iter().all(|verdict| matches!(verdict, Verdict::Refused(_)))
    }

    fn messages(&self) -> Vec<NewMessage> {
        let message = |(verdict, row): (&Verdict, i64)| {
            let (contact, repeat) = match verdict {
                Verdict::Goes(contact, _) | Verdict::NotOptedIn(contact, _) => (contact, Repeat::First),
                Verdict::Duplicate(contact, _) => (contact, Repeat::Again),
                Verdict::Refused(_) => return None,
            };
            Some(NewMessage { row, contact: contact.clone(), repeat })
        };
        self.verdicts.iter().zip(1..).filter_map(message).collect()
    }

    fn rejected(&self, contacts: &[Value]) -> Vec<Rejected> {
        let rejected = |(place, (verdict, value)): (usize, (&Verdict, &Value))| match verdict {
            Verdict::Refused(refused) => {
                let to = value.get("tocontactid").and_then(Value::as_str).unwrap_or_default();
                let problems = format!("contact {} of a call: {refused}", place + 1);
                Some(Rejected { row: 0, fields: vec![to.to_owned()], problems })
            }
            Verdict::Goes(..) | Verdict::NotOptedIn(..) | Verdict::Duplicate(..) => None,
        };
        self.verdicts.iter().zip(contacts).enumerate().filter_map(rejected).collect()
    }
}

/// What a call has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The run of the day.
    pub run: RunId,
    /// The request that holds the call's contacts.
    pub request: RequestId,
    /// The message of each contact that was taken, in the caller's order; `None`: it was refused.
    pub messages: Vec<Option<MessageId>>,
}

impl Taken {
    fn of(call: &Call, added: &Added) -> Self {
        let mut next = added.first..;
        let message = |verdict: &Verdict| match verdict {
            Verdict::Goes(..) | Verdict::NotOptedIn(..) | Verdict::Duplicate(..) => {
                next.next().map(|seq| MessageId { run: added.run, seq })
            }
            Verdict::Refused(_) => None,
        };
        let messages = call.verdicts.iter().map(message).collect();
        Self { run: added.run, request: RequestId { run: added.run, number: added.request }, messages }
    }
}

/// Why a call that has good contacts was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// An operator has cancelled the day's run.
    #[error("today's requests through this configuration were cancelled ({0}), and no more are sent through it today")]
    Cancelled(RunId),
    /// Somebody else has taken up the caller's key.
    #[error("this call took so long that it was taken up anew under its idempotency key")]
    Superseded,
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

/// Where the caller's answer is kept: under its key, with its status.
pub type Key<'a> = Option<(&'a Hold, u16)>;

/// Queues a call's contacts as one request of the configuration's run of the day, and keeps the caller's answer, as `answer`
/// writes it, in the same transaction.
pub async fn send(
    store: &Store,
    clock: &Clock,
    (book, ready): (&Book, &ReadyConfiguration),
    (call, contacts): (&Call, &[Value]),
    key: Key<'_>,
    answer: &(dyn Fn(&Taken) -> String + Send + Sync),
) -> Result<Taken, NotTaken> {
    let (org, now) = (&book.organization.id, clock.now());
    let batch = Batch {
        run: begin::day_run(clock, book, ready, call.pinned.clone(), Coming::Requests, now),
        due: now,
        day_ends: upkeep::day_of(&book.organization, now).ends,
        company: None,
        messages: call.messages(),
        rejected: call.rejected(contacts),
    };
    let write = |added: &Added| answer(&Taken::of(call, added));
    match store.hand_over(org, &batch, key, &write, now).await? {
        Handed::Over(added, _) => {
            begin::hold_if_stopped(store, book, added.run, &batch.run.pinned.channel).await?;
            let taken = Taken::of(call, &added);
            let configuration = &ready.configuration.name;
            tracing::info!(%org, configuration, request = %taken.request, contacts = contacts.len(), "a call was taken");
            Ok(taken)
        }
        Handed::Cancelled(run) => Err(NotTaken::Cancelled(run)),
        Handed::Superseded => Err(NotTaken::Superseded),
    }
}
