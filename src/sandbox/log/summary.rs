//! What calls and callbacks add up to: what an audit reads.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Provider;
use crate::sandbox::callbacks::CallbackCounts;

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
