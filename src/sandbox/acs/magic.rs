//! Magic recipients of this service: its items that refuse, and its codes of failure.

use super::{
    events::{OPTED_OUT, SENDER_BLOCKED},
    rules::INVALID_TO,
};
use crate::sandbox::{
    answer::Refusal,
    magic::{
        Behaviour::{self, Failed, Refuse, RefuseOnce},
        Table, row,
    },
};

/// The last four digits are the report's code, or the last three the item's status.
pub(in crate::sandbox) const MAGIC: Table = Table {
    of: "acs",
    rows: &[
        row("90400", Refuse(400), "its item has 400: not a number to send to"),
        row("90401", Refuse(401), "401 for the whole call, every time"),
        row("90403", Refuse(403), "its item has 403, every time"),
        row("90404", Refuse(404), "its item has 404, every time"),
        row("90429", RefuseOnce(429), "its item has 429 the first time, accepted afterwards"),
        row("99429", Refuse(429), "its item has 429, every time"),
        row("90500", RefuseOnce(500), "its item has 500 the first time, accepted afterwards"),
        row("99500", Refuse(500), "its item has 500, every time"),
        row("90503", RefuseOnce(503), "its item has 503 the first time, accepted afterwards"),
        row("99503", Refuse(503), "its item has 503, every time"),
        row("91610", Refuse(OPTED_OUT), "its item has 400: the sender is blocked for this recipient"),
        row("94000", Failed(4000), "failed: taken for fraud"),
        row("94001", Failed(4001), "failed: the sender is not valid"),
        row("94002", Failed(4002), "failed: the recipient is not valid"),
        row("94003", Failed(4003), "failed: the destination is not supported"),
        row("94004", Failed(4004), "failed: no such number"),
        row("94005", Failed(4005), "failed: blocked by the carrier"),
        row("94006", Failed(4006), "failed: cannot be reached"),
        row("94007", Failed(4007), "failed: the recipient opted out"),
        row("94008", Failed(4008), "failed: the sender's volume is exceeded"),
        row("94009", Failed(4009), "failed: the resource is not entitled"),
        row("94010", Failed(4010), "failed: the toll-free number is not verified"),
        row("94020", Failed(4020), "failed: the sender's daily volume is exceeded"),
        row("95000", Failed(5000), "failed"),
        row("95001", Failed(5001), "failed for now"),
        row("95002", Failed(5002), "failed: the carrier gives no report"),
        row("99999", Failed(9999), "failed: nobody knows why"),
    ],
};

/// With which status and words the recipient's item is refused, if it is. `first` is asked when it matters whether this is
/// the first try for the recipient.
pub(super) fn refusal(magic: Option<Behaviour>, first: impl FnOnce() -> bool) -> Option<(u16, &'static str)> {
    match magic?.refusal(first)? {
        Refusal::Code(OPTED_OUT) => Some((400, SENDER_BLOCKED)),
        Refusal::Code(400) => Some((400, INVALID_TO)),
        Refusal::Code(403) => Some((403, "Forbidden")),
        Refusal::Code(404) => Some((404, "NotFound")),
        Refusal::Code(429) => Some((429, "TooManyRequests")),
        Refusal::Code(503) => Some((503, "ServiceUnavailable")),
        Refusal::Code(_) => Some((500, "InternalServerError")),
        // The whole call was dropped before any recipient was looked at.
        Refusal::Drop => None,
    }
}
