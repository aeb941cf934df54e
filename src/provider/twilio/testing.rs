//! What the tests of this room share: an account, a sender, a message, a reply.

use std::time::Duration;

use bytes::Bytes;

use super::{ApiKey, Twilio, TwilioAccount};
use crate::{
    domain::{
        id::{MessageId, RunId},
        phone::E164,
        purpose::Purpose,
        time::Timestamp,
    },
    provider::{HttpReply, InDoubt, Outgoing, Sender, SenderKind, Stamp},
};

pub(super) const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789ABCDEF";

/// Wed, 18 Nov 2026 11:06:40.123 UTC.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_123);

pub(super) fn account() -> TwilioAccount {
    TwilioAccount { auth_token: Some("12345".into()), ..TwilioAccount::new(ACCOUNT_SID) }
}

pub(super) fn api_key() -> ApiKey {
    ApiKey { sid: "SK0123456789abcdef0123456789abcdef".into(), secret: "key-secret".into() }
}

pub(super) fn twilio() -> Twilio {
    Twilio::new(account()).unwrap()
}

pub(super) fn stamp() -> Stamp {
    Stamp { now: NOW, nonce: 7 }
}

pub(super) fn sender() -> Sender {
    Sender { address: "15005550006".into(), kind: SenderKind::Geographic }
}

pub(super) fn whatsapp() -> Sender {
    Sender { address: "+15005550006".into(), kind: SenderKind::WhatsApp }
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

pub(super) fn doubt(text: &str) -> InDoubt {
    InDoubt { sender: sender(), message: outgoing(text), since: NOW, others: Vec::new() }
}

pub(super) fn reply(status: u16, body: &str) -> HttpReply {
    HttpReply { status, retry_after: None, body: Bytes::copy_from_slice(body.as_bytes()) }
}
