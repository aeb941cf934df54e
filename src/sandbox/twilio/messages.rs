//! The message resources: what the sandbox remembers of each message, found by number, by sid and by recipient.
//!
//! Deliberately bounded: the oldest are forgotten, and what is still to happen to them then happens to nobody.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    accounts::Account,
    whatsapp::{Bars, Channel, Sessions},
};
use crate::sandbox::{kept::Kept, time};

/// A message, out or in.
#[derive(Clone)]
pub(super) struct Message {
    pub sid: Arc<str>,
    pub account: Arc<Account>,
    pub service: Option<Arc<str>>,
    pub to: Arc<str>,
    pub from: Option<Arc<str>>,
    pub body: Arc<str>,
    pub callback: Option<Arc<url::Url>>,
    pub status: Status,
    pub inbound: bool,
    pub segments: u32,
    /// Links, or none.
    pub media: Arc<[String]>,
    pub bars: Bars,
    pub error: Option<u32>,
    pub created_ms: i64,
    pub sent_ms: Option<i64>,
    pub updated_ms: i64,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Status {
    Accepted,
    Scheduled,
    Queued,
    Sent,
    Delivered,
    Read,
    Undelivered,
    Failed,
    Canceled,
    Received,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Status::Accepted => "accepted",
            Status::Scheduled => "scheduled",
            Status::Queued => "queued",
            Status::Sent => "sent",
            Status::Delivered => "delivered",
            Status::Read => "read",
            Status::Undelivered => "undelivered",
            Status::Failed => "failed",
            Status::Canceled => "canceled",
            Status::Received => "received",
        }
    }

    /// A message never moves to a lower rank, whatever the order of its receipts.
    fn rank(self) -> u8 {
        match self {
            Status::Accepted => 0,
            Status::Scheduled => 1,
            Status::Queued => 2,
            Status::Sent => 3,
            Status::Delivered | Status::Undelivered | Status::Failed | Status::Canceled | Status::Received => 4,
            Status::Read => 5,
        }
    }

    /// Whether a receipt of this status tells of a failure.
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Status::Undelivered | Status::Failed)
    }
}

impl Message {
    pub(super) fn channel(&self) -> Channel {
        Channel::of(&self.to)
    }

    pub(super) fn advance(&mut self, status: Status, error: Option<u32>, now_ms: i64) {
        if status.rank() < self.status.rank() {
            return;
        }
        self.status = status;
        self.updated_ms = now_ms;
        if status.is_failure() {
            self.error = error;
        }
        if matches!(status, Status::Sent | Status::Delivered | Status::Read | Status::Undelivered) {
            self.sent_ms = self.sent_ms.or(Some(now_ms));
        }
    }

    /// The resource, every field of it.
    pub(super) fn resource(&self) -> Value {
        let uri = format!("/2010-04-01/Accounts/{}/Messages/{}", self.account.sid, self.sid);
        // A Messaging Service has not chosen a sender yet, so nobody knows the parts.
        let segments = if self.from.is_none() { 0 } else { self.segments };
        json!({
            "account_sid": &*self.account.sid,
            "api_version": "2010-04-01",
            "body": &*self.body,
            "date_created": time::rfc2822(self.created_ms),
            "date_sent": self.sent_ms.map(time::rfc2822),
            "date_updated": time::rfc2822(self.updated_ms),
            "direction": if self.inbound { "inbound" } else { "outbound-api" },
            "error_code": self.error,
            "error_message": null,
            "from": self.from.as_deref(),
            "messaging_service_sid": self.service.as_deref(),
            "num_media": self.media.len().to_string(),
            "num_segments": segments.to_string(),
            "price": null,
            "price_unit": null,
            "sid": &*self.sid,
            "status": self.status.word(),
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "to": &*self.to,
            "uri": format!("{uri}.json"),
        })
    }
}

/// All that the sandbox remembers, behind one lock.
pub(super) struct Messages {
    kept: Kept<Message>,
    by_to: HashMap<Arc<str>, VecDeque<u64>>,
    /// (sender, recipient) of those who opted out, as `sender recipient`.
    opted_out: HashSet<String>,
    pub sessions: Sessions,
    /// The callback URL of the message before: nearly always the same, and then shared.
    last_callback: Option<Arc<url::Url>>,
}

impl Messages {
    pub(super) fn new(limit: usize) -> Self {
        Messages {
            kept: Kept::new(limit),
            by_to: HashMap::new(),
            opted_out: HashSet::new(),
            sessions: Sessions::default(),
            last_callback: None,
        }
    }

    /// Remembers a message and returns its number.
    pub(super) fn add(&mut self, message: Message) -> u64 {
        let to = message.to.clone();
        let (number, oldest) = self.kept.add(message.sid.clone(), message);
        self.by_to.entry(to).or_default().push_back(number);
        if let Some(oldest) = oldest
            && let Some(numbers) = self.by_to.get_mut(&oldest.to)
        {
            numbers.pop_front();
            if numbers.is_empty() {
                self.by_to.remove(&oldest.to);
            }
        }
        number
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Message> {
        self.kept.get_mut(number)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Message> {
        self.kept.get(number)
    }

    pub(super) fn number_of(&self, sid: &str) -> Option<u64> {
        self.kept.number_of(sid)
    }

    /// Messages below the number `before`, newest first, of one recipient if asked.
    pub(super) fn newest(&self, to: Option<&str>, before: u64) -> Box<dyn Iterator<Item = (u64, &Message)> + '_> {
        let with = move |number: u64| self.get(number).map(|message| (number, message));
        match to {
            Some(to) => {
                let numbers = self.by_to.get(to).into_iter().flatten().rev().copied();
                Box::new(numbers.filter(move |number| *number < before).filter_map(with))
            }
            None => {
                let numbers = self.kept.numbers();
                Box::new((numbers.start..before.min(numbers.end)).rev().filter_map(with))
            }
        }
    }

    /// The URL, shared with the message before if it is the same.
    pub(super) fn share_callback(&mut self, url: url::Url) -> Arc<url::Url> {
        match &self.last_callback {
            Some(last) if **last == url => last.clone(),
            Some(_) | None => {
                let shared = Arc::new(url);
                self.last_callback = Some(shared.clone());
                shared
            }
        }
    }

    pub(super) fn opt_out(&mut self, sender: &str, recipient: &str) {
        self.opted_out.insert(format!("{sender} {recipient}"));
    }

    pub(super) fn opt_in(&mut self, sender: &str, recipient: &str) {
        self.opted_out.remove(&format!("{sender} {recipient}"));
    }

    pub(super) fn is_opted_out(&self, sender: &str, recipient: &str) -> bool {
        !self.opted_out.is_empty() && self.opted_out.contains(&format!("{sender} {recipient}"))
    }

    /// Forgets everything; numbers go on.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.by_to.clear();
        self.opted_out.clear();
        self.sessions.clear();
        self.last_callback = None;
    }
}
