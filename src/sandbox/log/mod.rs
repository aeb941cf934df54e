//! The log of calls: every attempt to send that reached the sandbox, in order, with what became of it, and the counts
//! that an audit reads (accepted, unique recipients, recipients accepted more than once).
//!
//! Deliberately bounded: the oldest entries make room and are counted. The counts are never trimmed.

mod call;
mod summary;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::{
    call::{Call, CallPage, Extras, Provider},
    summary::{ProviderSummary, Repeated, Summary},
};

/// Recipients listed in [`Summary::more_than_once`] at most; the count goes on.
const LISTED: usize = 20;

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
    /// Who has last sent from each sender, whose plus is left out.
    senders: HashMap<String, Provider>,
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
            inner.note_sender(&call.from, call.provider);
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

    /// The provider that has last sent from this sender.
    pub(super) fn last_sent_from(&self, sender: &str) -> Option<Provider> {
        self.inner().senders.get(without_plus(sender)).copied()
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
    fn note_sender(&mut self, sender: &str, provider: Provider) {
        // Nearly always the same one: then nothing is copied.
        match self.senders.get_mut(without_plus(sender)) {
            Some(last) => *last = provider,
            None => {
                self.senders.insert(without_plus(sender).to_owned(), provider);
            }
        }
    }

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

/// Providers write a number with and without it.
pub(super) fn without_plus(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
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
