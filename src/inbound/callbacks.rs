//! What providers tell us: recorded when it is genuine, acknowledged when it is durable, applied by a loop.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    keywords::{Keyword, Keywords},
    replies::{Reading, Received},
};
use crate::{
    book::{Book, Books},
    clock::Clock,
    domain::{
        contact::ChannelType,
        id::{CallbackId, ConsentChangeId, MessageId, OrgId, RunId},
        message::Status,
        phone::E164,
        reason::{Reason, Why},
        state::MessageState,
        time::Timestamp,
    },
    provider::{About, Hook, Inbound, IncomingReply, NotGenuine, Provider, Receipt, Unreadable},
    store::{
        Store, StoreError,
        callbacks::{Effects, StoredCallback},
        consents::{Consent, ConsentChange},
        lanes::LaneKind,
    },
    telemetry::{self, Metrics},
};

/// Callbacks that are applied in one go.
const CHUNK: i64 = 500;
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;

/// The longest id of a provider's that is taken: it becomes part of a key, and one that does not fit into an index would be in
/// the way of everything that is applied with it.
const LONGEST_ID: usize = 256;

/// Where herald is reached from outside: what signatures are checked against.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The configured public URL; without one the address is taken from each call, which is right only without a proxy.
    pub public_url: Option<String>,
}

impl Reader {
    /// The URL as the provider requested it.
    pub fn url(&self, host: &str, path_and_query: &str) -> String {
        match &self.public_url {
            Some(base) => format!("{}{path_and_query}", base.trim_end_matches('/')),
            None => format!("http://{host}{path_and_query}"),
        }
    }
}

/// Why a callback is refused.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// It is not the provider's.
    #[error(transparent)]
    NotGenuine(#[from] NotGenuine),
    /// It makes no sense.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl NotRead {
    /// The stable code that programs go by.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotGenuine(_) => "not_genuine",
            Self::Unreadable(_) => "unreadable_callback",
        }
    }
}

/// What a callback says, if it is genuine.
pub fn read(provider: &dyn Provider, hook: &Hook) -> Result<Vec<Inbound>, NotRead> {
    provider.verify(hook)?;
    let mut said = provider.inbound(hook)?;
    let all = said.len();
    // One that makes no sense does not spoil those beside it.
    said.retain(|one| provider_id(one).len() <= LONGEST_ID);
    if said.is_empty() && all > 0 {
        return Err(Unreadable(format!("an id in it is longer than {LONGEST_ID} bytes")).into());
    }
    Ok(said)
}

fn provider_id(said: &Inbound) -> &str {
    match said {
        Inbound::Receipt(receipt) => &receipt.provider_id,
        Inbound::Reply(reply) => &reply.provider_id,
        Inbound::Ignored => "",
    }
}

/// What a callback says, as it is kept until it is applied.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Kept {
    Receipt {
        #[serde(default)]
        message: Option<MessageId>,
        /// One of those of a request: run, first, last, recipient.
        #[serde(default)]
        among: Option<(RunId, i64, i64, u64)>,
        provider_id: String,
        status: String,
        reason: String,
        code: String,
        detail: String,
    },
    Reply {
        provider_id: String,
        from: u64,
        to: String,
        channel_type: ChannelType,
        text: String,
        media: Vec<String>,
        keyword: Option<String>,
    },
}

/// A callback in the form in which it is kept; `None` for what is of no use.
pub fn keep(inbound: Inbound, account: &str, now: Timestamp) -> Option<StoredCallback> {
    let kept = match inbound {
        Inbound::Ignored => return None,
        Inbound::Receipt(Receipt { about, provider_id, status, why }) => {
            let (reason, code, detail) =
                why.map_or_else(Default::default, |why| (why.reason.code().to_owned(), why.provider_code, why.detail));
            let (message, among) = match about {
                About::Message(id) => (Some(id), None),
                About::Among { run, first, last, to } => (None, Some((run, first, last, to.digits()))),
                About::Unknown => (None, None),
            };
            Kept::Receipt { message, among, provider_id, status: status.to_string(), reason, code, detail }
        }
        Inbound::Reply(IncomingReply { provider_id, from, to, channel, text, media, keyword }) => {
            let keyword = keyword.map(|keyword| Keyword::from(keyword).as_str().to_owned());
            Kept::Reply { provider_id, from: from.digits(), to, channel_type: channel, text, media, keyword }
        }
    };
    let body = serde_json::json!(kept).to_string();
    Some(StoredCallback {
        id: CallbackId::new(now, rand::random()),
        account: account.to_owned(),
        body,
        received_at: now,
    })
}

/// The loop that applies callbacks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Applier {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
    /// The time.
    pub clock: Clock,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// The words that people use.
    pub keywords: Arc<Keywords>,
}

impl Applier {
    /// Applies what is waiting. How many callbacks that was.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = self.store.due_work(now, LANES).await?;
        let mut applied = 0;
        for work in due.into_iter().filter(|work| work.kind == LaneKind::Callbacks) {
            let Some(book) = self.books.current(&work.org).await? else { continue };
            let waiting = self.store.waiting_callbacks(&work.org, CHUNK).await?;
            applied += waiting.len();
            for of_one_account in waiting.chunk_by(|a, b| a.account == b.account) {
                self.apply(&book, of_one_account).await?;
            }
        }
        Ok(applied)
    }

    /// Applies callbacks of one account.
    async fn apply(&self, book: &Book, waiting: &[StoredCallback]) -> Result<(), StoreError> {
        let org = &book.organization.id;
        let (mut effects, mut replies, mut unknown) = (Effects::default(), Vec::new(), 0);
        for callback in waiting {
            match serde_json::from_str(&callback.body) {
                Ok(Kept::Receipt { message, among, provider_id, status, reason, code, detail }) => {
                    let message = match among {
                        Some(place) => self.one_among(org, place, &provider_id).await?,
                        None => message,
                    };
                    let why = reason.parse().ok().map(|reason| Why::detailed(reason, detail).with_code(code));
                    let (Some(message), Ok(status)) = (message, status.parse()) else {
                        unknown += 1;
                        continue;
                    };
                    self.receipt(book, callback.received_at, (message, provider_id, status, why), &mut effects).await?;
                }
                Ok(Kept::Reply { provider_id, from, to, channel_type, text, media, keyword }) => {
                    let (from, keyword) = (E164::from_digits(from), keyword.as_deref().and_then(Keyword::named));
                    let at = callback.received_at;
                    replies.push(Received { provider_id, from, to, channel_type, text, media, keyword, at });
                }
                Err(problem) => {
                    tracing::error!(%org, callback = %callback.id, %problem, "a recorded callback cannot be read; it is dropped")
                }
            }
        }
        let account = waiting.first().map_or("", |callback| callback.account.as_str());
        let reading = Reading { store: &self.store, keywords: &self.keywords, book, account };
        let nowhere = reading.read(replies, &mut effects).await?;
        let ids: Vec<CallbackId> = waiting.iter().map(|callback| callback.id).collect();
        let done = self.store.apply_callbacks(org, &ids, &effects).await?;
        unknown += done.unknown;
        let provider = book.account(account).map_or("unknown", |account| account.kind.as_str());
        let results = [(telemetry::Received::UnknownMessage, unknown), (telemetry::Received::UnknownChannel, nowhere)];
        for (result, times) in results {
            (0..times).for_each(|_| self.metrics.callback(provider, result));
        }
        if unknown > 0 {
            tracing::warn!(%org, account, receipts = unknown, "receipts for messages that the organization does not have");
        }
        Ok(())
    }

    async fn receipt(
        &self,
        book: &Book,
        at: Timestamp,
        (message, provider_id, status, why): (MessageId, String, Status, Option<Why>),
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        if let Some(opted_out) = why.as_ref().filter(|why| why.reason == Reason::OptedOut) {
            effects.consents.extend(self.provider_opt_out(book, message, opted_out, at).await?);
        }
        effects.receipts.push((message, MessageState { provider_id, ..MessageState::new(status, why, at) }));
        Ok(())
    }

    /// The message to this number among those of a request.
    async fn one_among(
        &self,
        org: &OrgId,
        (run, first, last, to): (RunId, i64, i64, u64),
        provider_id: &str,
    ) -> Result<Option<MessageId>, StoreError> {
        let found = self.store.messages_among(org, run, (first, last), E164::from_digits(to)).await?;
        // A number stands once in a call. Between two waves of a request it may stand twice: then the one that bears the id.
        let known =
            found.iter().find(|(_, id)| id == provider_id).or_else(|| found.iter().find(|(_, id)| id.is_empty()));
        Ok(known.map(|(seq, _)| MessageId { run, seq: *seq }))
    }

    /// The person to whom a message could not be delivered because they opted out with the provider.
    async fn provider_opt_out(
        &self,
        book: &Book,
        message: MessageId,
        why: &Why,
        at: Timestamp,
    ) -> Result<Option<ConsentChange>, StoreError> {
        let org = &book.organization.id;
        let (Some(stored), Some((pinned, _))) =
            (self.store.message(org, message).await?, self.store.run_facts(org, message.run).await?)
        else {
            return Ok(None);
        };
        let via = stored.state.as_ref().map(|state| state.via.as_str()).filter(|via| !via.is_empty());
        let channel = book.channel(via.unwrap_or(&pinned.channel)).ok();
        Ok(channel.map(|channel| ConsentChange {
            id: ConsentChangeId::new(at, rand::random()),
            channel_type: channel.channel_type,
            of: stored.to,
            consent: Consent::Out,
            source: format!("provider {}", why.provider_code),
            actor: "provider".to_owned(),
            at,
        }))
    }
}
