//! The log of calls: every attempt to send that reached the sandbox, in order, with what became of it, and the counts
//! that an audit reads (accepted, unique recipients, recipients accepted more than once).
//!
//! Deliberately bounded: the oldest entries make room and are counted. The counts are never trimmed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize, Serializer};

use super::callbacks::CallbackCounts;

/// Recipients listed in [`Summary::more_than_once`] at most; the count goes on.
const LISTED: usize = 20;

/// Whose wire format a call is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Twilio, SMS and WhatsApp.
    Twilio,
    /// TeleSign.
    TeleSign,
    /// Azure Communication Services.
    Acs,
}

impl Provider {
    /// All of them.
    pub const ALL: [Provider; 3] = [Provider::Twilio, Provider::TeleSign, Provider::Acs];
}

/// One attempt to send to one recipient; a call that names many leaves an entry for each.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Its place in the order of calls, from 1; also the cursor.
    pub number: u64,
    /// When it was decided on, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whose wire format.
    pub provider: Provider,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, without the query.
    #[serde(serialize_with = "text")]
    pub path: Arc<str>,
    /// The account that the call named.
    #[serde(serialize_with = "text")]
    pub account: Arc<str>,
    /// The recipient as given; empty if not given.
    #[serde(serialize_with = "text")]
    pub to: Arc<str>,
    /// The sender, or the Messaging Service, as given.
    #[serde(serialize_with = "text")]
    pub from: Arc<str>,
    /// The text as given.
    #[serde(serialize_with = "text")]
    pub body: Arc<str>,
    /// What there is besides the text, if anything.
    #[serde(flatten)]
    pub extras: Option<Box<Extras>>,
    /// How many parameters the call had.
    pub params: u32,
    /// How many of them the provider does not know, and ignores.
    pub unknown_params: u32,
    /// The HTTP status answered or to be answered; none if the connection was cut or left hanging.
    pub status: Option<u16>,
    /// The provider's error code.
    pub code: Option<u32>,
    /// The provider's id of the message.
    #[serde(serialize_with = "optional_text")]
    pub sid: Option<Arc<str>>,
    /// Whether the message counts as handed over, whatever the caller was told.
    pub accepted: bool,
    /// The caller's own id of the message, by which its repeats are known (Communication Services).
    #[serde(serialize_with = "optional_text")]
    pub request_id: Option<Arc<str>>,
    /// Whether it was a repeat of one that was accepted: answered as that one was, and not handed over again.
    pub repeat: bool,
    /// Whether an answer was handed to the connection. False while a slow answer waits, and for ever if it hangs.
    pub answered: bool,
}

impl Call {
    /// A POST of which nothing else is known yet.
    pub(super) fn new(provider: Provider, path: Arc<str>, account: Arc<str>, at_ms: i64) -> Call {
        Call {
            number: 0,
            at_ms,
            provider,
            method: "POST",
            path,
            account,
            to: Arc::default(),
            from: Arc::default(),
            body: Arc::default(),
            extras: None,
            params: 0,
            unknown_params: 0,
            status: None,
            code: None,
            sid: None,
            request_id: None,
            accepted: false,
            repeat: false,
            answered: false,
        }
    }
}

/// What a call may carry besides a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extras {
    /// The content template, as given.
    pub content_sid: Option<String>,
    /// The values for its placeholders, as given.
    pub content_variables: Option<String>,
    /// The links of the media.
    pub media: Vec<String>,
}

/// A page of the log.
#[derive(Clone, Debug, Serialize)]
pub struct CallPage {
    /// The calls after the cursor, oldest first.
    pub calls: Vec<Call>,
    /// Give it as `after` to read on; none at the end of the log.
    pub next_after: Option<u64>,
    /// Calls that the log no longer holds.
    pub dropped: u64,
}

/// What the log and the callbacks add up to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Calls received.
    pub calls: u64,
    /// Messages accepted (handed over).
    pub accepted: u64,
    /// Repeats of accepted ones, known as such by the caller's id: answered, and not handed over again.
    pub repeats: u64,
    /// Different recipients among them.
    pub unique_recipients: u64,
    /// Recipients accepted more than once.
    pub recipients_more_than_once: u64,
    /// The first of them.
    pub more_than_once: Vec<Repeated>,
    /// Calls refused, by the provider's code; `dropped` for a connection that was closed before accepting.
    pub refused: BTreeMap<String, u64>,
    /// Calls without an answer (so far, or for ever).
    pub unanswered: u64,
    /// Receipts.
    pub receipts: CallbackCounts,
    /// Replies.
    pub replies: CallbackCounts,
    /// Steps (receipts, replies, retries) that are still to come or under way.
    pub pending: u64,
    /// Steps dropped because too many were waiting.
    pub overflowed: u64,
    /// Calls in the log.
    pub log_kept: u64,
    /// Calls that the log no longer holds.
    pub log_dropped: u64,
    /// Subscriptions to events that get none, as their receiver failed the handshake.
    pub failed_handshakes: u64,
    /// The same for each provider.
    pub providers: BTreeMap<Provider, ProviderSummary>,
}

/// What one provider's calls and callbacks add up to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProviderSummary {
    /// Calls received.
    pub calls: u64,
    /// Messages accepted (handed over).
    pub accepted: u64,
    /// Repeats of accepted ones.
    pub repeats: u64,
    /// Calls refused, by the provider's code, or `dropped`.
    pub refused: BTreeMap<String, u64>,
    /// Receipts.
    pub receipts: CallbackCounts,
    /// Replies.
    pub replies: CallbackCounts,
}

/// A recipient that was accepted more than once.
#[derive(Clone, Debug, Serialize)]
pub struct Repeated {
    /// The recipient.
    pub to: String,
    /// How many times.
    pub times: u32,
}

/// The counts that belong to calls; [`Summary`] adds the callbacks'.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub calls: u64,
    pub accepted: u64,
    pub repeats: u64,
    pub unique: u64,
    pub repeated: u64,
    pub first_repeated: Vec<Repeated>,
    pub refused: BTreeMap<String, u64>,
    pub unanswered: u64,
    pub kept: u64,
    pub dropped: u64,
    pub providers: BTreeMap<Provider, ProviderSummary>,
}

/// The log, shared by every handler.
pub(super) struct CallLog {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: VecDeque<Call>,
    last_number: u64,
    dropped: u64,
    answered: u64,
    repeated: u64,
    first_repeated: Vec<Arc<str>>,
    recipients: HashMap<Arc<str>, u32>,
    providers: BTreeMap<Provider, Calls>,
}

/// The calls of one provider.
#[derive(Default)]
struct Calls {
    calls: u64,
    accepted: u64,
    repeats: u64,
    refused: BTreeMap<Option<u32>, u64>,
}

impl CallLog {
    pub(super) fn new(limit: usize) -> Self {
        CallLog { limit, inner: Mutex::default() }
    }

    /// Appends the call and returns the number that it got.
    pub(super) fn add(&self, mut call: Call) -> u64 {
        let mut inner = self.inner();
        inner.last_number += 1;
        call.number = inner.last_number;
        let calls = inner.providers.entry(call.provider).or_default();
        calls.calls += 1;
        if call.accepted {
            calls.accepted += 1;
            inner.count_recipient(&call.to);
        } else if call.repeat {
            calls.repeats += 1;
        } else {
            *calls.refused.entry(call.code).or_default() += 1;
        }
        if inner.kept.len() >= self.limit {
            inner.kept.pop_front();
            inner.dropped += 1;
        }
        inner.kept.push_back(call);
        inner.last_number
    }

    /// Notes that the call was answered.
    pub(super) fn answered(&self, number: u64) {
        let mut inner = self.inner();
        let Some(first) = inner.kept.front().map(|call| call.number) else { return };
        inner.answered += 1;
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(call) = index.and_then(|index| inner.kept.get_mut(index)) {
            call.answered = true;
        }
    }

    /// Up to `limit` calls after the cursor, of one recipient if asked.
    pub(super) fn page(&self, after: u64, limit: usize, to: Option<&str>) -> CallPage {
        let inner = self.inner();
        let first = inner.kept.front().map_or(0, |call| call.number);
        let skip = usize::try_from(after.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        let mut calls: Vec<Call> = inner
            .kept
            .iter()
            .skip(skip)
            .filter(|call| to.is_none_or(|to| &*call.to == to))
            .take(limit.saturating_add(1))
            .cloned()
            .collect();
        let more = calls.len() > limit;
        calls.truncate(limit);
        let next_after = calls.last().filter(|_| more).map(|call| call.number);
        CallPage { calls, next_after, dropped: inner.dropped }
    }

    pub(super) fn counts(&self) -> Counts {
        let inner = self.inner();
        let times = |to: &Arc<str>| inner.recipients.get(to).copied().unwrap_or(0);
        let providers: BTreeMap<Provider, ProviderSummary> =
            inner.providers.iter().map(|(provider, calls)| (*provider, calls.sum())).collect();
        let mut refused = BTreeMap::new();
        for (code, count) in providers.values().flat_map(|provider| &provider.refused) {
            *refused.entry(code.clone()).or_default() += count;
        }
        let calls = providers.values().map(|provider| provider.calls).sum::<u64>();
        Counts {
            calls,
            accepted: providers.values().map(|provider| provider.accepted).sum(),
            repeats: providers.values().map(|provider| provider.repeats).sum(),
            unique: inner.recipients.len() as u64,
            repeated: inner.repeated,
            first_repeated: inner
                .first_repeated
                .iter()
                .map(|to| Repeated { to: to.to_string(), times: times(to) })
                .collect(),
            refused,
            unanswered: calls.saturating_sub(inner.answered),
            kept: inner.kept.len() as u64,
            dropped: inner.dropped,
            providers,
        }
    }

    /// Forgets calls and counts; the numbering goes on, so that a cursor stays valid.
    pub(super) fn clear(&self) {
        let mut inner = self.inner();
        *inner = Inner { last_number: inner.last_number, ..Inner::default() };
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn count_recipient(&mut self, to: &Arc<str>) {
        let times = self.recipients.entry(to.clone()).or_default();
        *times += 1;
        if *times == 2 {
            self.repeated += 1;
            if self.first_repeated.len() < LISTED {
                self.first_repeated.push(to.clone());
            }
        }
    }
}

impl Calls {
    fn sum(&self) -> ProviderSummary {
        let name = |code: &Option<u32>| code.map_or_else(|| "dropped".to_owned(), |code| code.to_string());
        ProviderSummary {
            calls: self.calls,
            accepted: self.accepted,
            repeats: self.repeats,
            refused: self.refused.iter().map(|(code, count)| (name(code), *count)).collect(),
            ..ProviderSummary::default()
        }
    }
}

/// A number as it may appear in a log line: country and last two digits.
pub(super) fn masked(number: &str) -> String {
    let shown: Vec<char> = number.chars().collect();
    if shown.len() < 7 {
        return "***".into();
    }
    let (head, tail) = (&shown[..3], &shown[shown.len() - 2..]);
    head.iter().copied().chain("***".chars()).chain(tail.iter().copied()).collect()
}

fn text<S: Serializer>(value: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value)
}

fn optional_text<S: Serializer>(value: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(serializer)
}
