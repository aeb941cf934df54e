//! Magic recipients: what happens is chosen by the last five digits of the number, so that any country's numbers serve.
//!
//! Here is what every provider does; what only one of them can do (its codes) is a table of its own, with the provider,
//! which goes before this one. Deliberately data only; the provider modules give each behaviour its wire form.

use serde::Serialize;

/// The magic recipients of one kind of message.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Whose messages: `any`, or a provider (and channel).
    pub of: &'static str,
    /// The rows; no suffix is there twice.
    pub rows: &'static [Magic],
}

/// A row of a table.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Magic {
    /// The last five digits of the recipient.
    pub suffix: &'static str,
    /// What happens, for programs.
    pub behaviour: Behaviour,
    /// What happens, for people.
    pub effect: &'static str,
}

/// What happens to a message to a magic recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Refused at once with this code, every time.
    Refuse(u32),
    /// Refused at once with this code the first time; accepted afterwards.
    RefuseOnce(u32),
    /// Accepted; sent, then undelivered with this code.
    Undelivered(u32),
    /// Accepted; failed with this code.
    Failed(u32),
    /// Accepted and delivered; the recipient answers.
    Reply(&'static str),
    /// Accepted; the call is never answered.
    Hang,
    /// Accepted; the call is not answered the first time, and answered afterwards.
    HangOnce,
    /// Not accepted and the connection closed the first time; accepted afterwards.
    DropOnce,
    /// Accepted; the connection is closed without an answer.
    DropAfter,
    /// Accepted; answered with a 500 all the same.
    ErrorAfter,
    /// Accepted; answered after this many milliseconds.
    SlowMs(u64),
    /// Accepted and delivered; no receipt is ever posted.
    NoReceipts,
    /// Accepted and delivered; each receipt is posted twice.
    DoubleReceipts,
    /// Accepted and delivered; the last receipts come in the wrong order.
    ReversedReceipts,
    /// Accepted and sent; never delivered.
    StaysSent,
}

use Behaviour::*;

/// What every provider does. Where five digits allow, a suffix ends in a code or spells a word on a keypad.
pub const COMMON: Table = Table { of: "any", rows: COMMON_ROWS };

const COMMON_ROWS: &[Magic] = &[
    row(
        "97867",
        Reply("STOP"),
        "delivered, then the recipient answers STOP (and is opted out, where the provider heeds that)",
    ),
    row("98468", Reply("Thank you"), "delivered, then the recipient answers Thank you"),
    row("94357", Reply("HELP"), "delivered, then the recipient answers HELP"),
    row("90937", Reply("YES"), "delivered, then the recipient answers YES"),
    row(
        "78278",
        Reply("START"),
        "delivered, then the recipient answers START (and is opted in, where the provider heeds that)",
    ),
    row("90991", SlowMs(3_000), "accepted, answered after 3 seconds"),
    row("90992", StaysSent, "accepted and sent, never delivered"),
    row("90993", ReversedReceipts, "delivered, the receipts in the wrong order"),
    row("90994", DoubleReceipts, "delivered, each receipt twice"),
    row("90995", NoReceipts, "delivered, without a receipt (it can be polled)"),
    row("90996", DropAfter, "accepted, the connection closed without an answer"),
    row("90997", DropOnce, "the connection closed and nothing accepted the first time, accepted afterwards"),
    row("90998", HangOnce, "accepted and never answered the first time, answered afterwards"),
    row("90999", Hang, "accepted, never answered"),
    row("95005", ErrorAfter, "accepted, answered with a 500 all the same"),
];

/// Every table.
pub const TABLES: &[Table] =
    &[COMMON, super::twilio::MAGIC, super::twilio::WHATSAPP, super::telesign::MAGIC, super::acs::MAGIC];

pub(super) const fn row(suffix: &'static str, behaviour: Behaviour, effect: &'static str) -> Magic {
    Magic { suffix, behaviour, effect }
}

impl Table {
    /// What a recipient's last five digits ask for, if anything.
    pub(super) fn behaviour(&self, number: &str) -> Option<Behaviour> {
        let suffix = number.get(number.len().checked_sub(5)?..)?;
        let mut rows = self.rows.iter().chain(COMMON.rows);
        rows.find(|magic| magic.suffix == suffix).map(|magic| magic.behaviour)
    }
}
