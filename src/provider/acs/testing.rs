//! What the tests of this adapter share. The resource, its key and the time are those of the known answer (PROVIDERS.md).

use std::time::Duration;

use bytes::Bytes;

use super::{Acs, AcsAccount};
use crate::{
    domain::{
        id::{MessageId, RunId},
        phone::E164,
        purpose::Purpose,
        time::Timestamp,
    },
    provider::{HttpReply, Outgoing, Sender, SenderKind, Stamp},
};

pub(super) const ACCESS_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Fri, 20 Nov 2026 08:00:00 UTC.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_161_600_000);

pub(super) fn account() -> AcsAccount {
    AcsAccount::new("https://contoso.communication.azure.com/", ACCESS_KEY)
}

pub(super) fn acs() -> Acs {
    Acs::new(account()).unwrap()
}

pub(super) fn stamp() -> Stamp {
    Stamp { now: NOW, nonce: 7 }
}

pub(super) fn sender() -> Sender {
    Sender { address: "18001110000".into(), kind: SenderKind::TollFree }
}

pub(super) fn run() -> RunId {
    RunId::new(NOW, 7 << 100)
}

/// To a number of its own for each place in the run; all are of one request.
pub(super) fn outgoing(seq: i64, text: &str) -> Outgoing {
    Outgoing {
        id: MessageId { run: run(), seq },
        among: (1, 100),
        to: number(seq),
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

pub(super) fn number(seq: i64) -> E164 {
    E164::from_digits(4_915_112_340_000 + seq.unsigned_abs())
}

pub(super) fn reply(status: u16, body: &str) -> HttpReply {
    HttpReply { status, retry_after: None, body: Bytes::copy_from_slice(body.as_bytes()) }
}
