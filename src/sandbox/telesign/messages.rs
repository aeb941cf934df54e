//! A message, and the envelope that every answer and report about it has.

use std::sync::Arc;

use serde_json::{Value, json};

use super::auth::Account;
use crate::sandbox::time;

/// A message that was accepted.
#[derive(Clone)]
pub(super) struct Message {
    pub reference: Arc<str>,
    pub account: Arc<Account>,
    pub to: Arc<str>,
    pub sender: Option<Arc<str>>,
    pub parts: u32,
    pub external_id: Option<Arc<str>>,
    pub callback: Option<Arc<url::Url>>,
    pub status: Status,
    pub submitted_ms: i64,
    pub updated_ms: i64,
}

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Status(pub u16);

impl Status {
    pub(super) const IN_PROGRESS: Status = Status(290);
    pub(super) const AT_GATEWAY: Status = Status(203);
    pub(super) const DELIVERED: Status = Status(200);

    /// A message never moves to a lower rank, whatever the order of its reports.
    fn rank(self) -> u8 {
        match self {
            Status::IN_PROGRESS => 0,
            Status::AT_GATEWAY => 1,
            Status(_) => 2,
        }
    }

    pub(super) fn words(self) -> &'static str {
        WORDS.iter().find(|row| row.0 == self.0).map_or("Status", |row| row.1)
    }

    /// The object that carries it.
    pub(super) fn json(self, at_ms: i64) -> Value {
        json!({ "code": self.0, "description": self.words(), "updated_on": time::iso8601(at_ms) })
    }
}

/// The sentences are ours.
const WORDS: &[(u16, &str)] = &[
    (200, "Delivered to the handset"),
    (201, "Completed, with suspicious activity"),
    (203, "Delivered to the gateway"),
    (207, "Not delivered, for an unknown reason"),
    (210, "Temporary error of the phone"),
    (211, "Permanent error of the phone"),
    (220, "The network cannot route the message"),
    (221, "Expired before delivery"),
    (222, "The phone does not support SMS"),
    (229, "Blocked at the customer's request"),
    (230, "Blocked by TeleSign"),
    (231, "Content that is not supported"),
    (237, "Blocked in this country"),
    (238, "Blocked by prefix"),
    (250, "The final status is unknown"),
    (251, "Handed over, but never confirmed"),
    (290, "Message in progress"),
    (501, "Not authorized"),
    (502, "Campaign error"),
    (503, "Temporary problem of the carrier"),
    (504, "Permanent error of the carrier"),
    (505, "Temporary error of the gateway"),
    (506, "Permanent error of the gateway"),
    (507, "The destination is not valid"),
    (508, "The source is not valid"),
    (509, "A parameter is not supported"),
    (510, "Blocked by the subscriber"),
    (511, "The subscriber is low on credit"),
    (512, "Roaming error"),
    (513, "Number portability error"),
    (514, "The subscriber is absent"),
    (515, "Suspected spam"),
    (517, "The DLT details are not supported"),
    (520, "The content is not allowed"),
    (521, "The sender id is not allowed for the destination"),
    (1500, "Inbound message"),
];

impl Message {
    pub(super) fn advance(&mut self, status: Status, now_ms: i64) {
        if status.rank() >= self.status.rank() {
            self.status = status;
            self.updated_ms = now_ms;
        }
    }

    /// What is said when it is accepted.
    pub(super) fn created(&self) -> Value {
        json!({
            "reference_id": &*self.reference,
            "external_id": self.external_id.as_deref(),
            "status": self.status.json(self.updated_ms),
        })
    }

    /// What is said of a status that it has reached.
    pub(super) fn report(&self, status: Status, at_ms: i64) -> Value {
        json!({
            "reference_id": &*self.reference,
            "external_id": self.external_id.as_deref(),
            "status": status.json(at_ms),
            "submit_timestamp": time::iso8601(self.submitted_ms),
            "sub_resource": "sms",
            "errors": [],
            "additional_info": {
                "message_parts_count": self.parts,
                "sender_id": self.sender.as_deref(),
                "cleansed_phone_number": &*self.to,
            },
        })
    }
}
