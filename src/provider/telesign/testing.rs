//! What the tests of this adapter share. The account, the time and the nonce are those of the known answer (PROVIDERS.md).

use std::time::Duration;

use bytes::Bytes;

use super::{TeleSign, TeleSignAccount};
use crate::{
    domain::{
        id::{MessageId, RunId},
        phone::E164,
        purpose::Purpose,
        time::Timestamp,
    },
    provider::{HttpReply, Outgoing, Sender, SenderKind, Stamp},
};

pub(super) const CUSTOMER_ID: &str = "FFFFFFFF-EEEE-DDDD-1234-AB1234567890";
pub(super) const API_KEY: &str = "ABC12345yusumoN6BYsBVkh+yRJ5czgsnCehZaOYldPJdmFh6NeX8kunZ2zU1YWaUw/0wV6xfw==";

/// Wed, 14 Dec 2016 18:20:12 UTC.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_481_739_612_345);

pub(super) fn account() -> TeleSignAccount {
    TeleSignAccount::new(CUSTOMER_ID, API_KEY)
}

pub(super) fn telesign() -> TeleSign {
    TeleSign::new(account()).unwrap()
}

pub(super) fn stamp() -> Stamp {
    Stamp { now: NOW, nonce: 0xA159_2C6F_E384_4CDB_BC42_C3AB_9703_69E9 }
}

pub(super) fn sender() -> Sender {
    Sender { address: "14252306549".into(), kind: SenderKind::Geographic }
}

pub(super) fn message_id() -> MessageId {
    MessageId { run: RunId::new(NOW, 7 << 100), seq: 42 }
}

pub(super) fn outgoing(text: &str) -> Outgoing {
    Outgoing {
        id: message_id(),
        among: (1, 100),
        to: E164::from_digits(4_915_112_345_678),
        text: text.into(),
        approved: None,
        media: Vec::new(),
        purpose: Purpose::Transactional,
        first_sent: NOW,
        valid_at_first: Duration::from_secs(86_400),
        callback_url: None,
        valid_for: Duration::from_secs(86_400),
    }
}

pub(super) fn reply(status: u16, body: &str) -> HttpReply {
    HttpReply { status, retry_after: None, body: Bytes::copy_from_slice(body.as_bytes()) }
}
