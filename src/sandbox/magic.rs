//! Magic recipients: what happens is chosen by the last five digits of the number, so that any country's numbers serve.
//!
//! Deliberately data only; the provider modules give each behaviour its wire form. A provider's own magic numbers are
//! with the provider.

use serde::Serialize;

/// A row of the table.
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

/// Every magic suffix. Where five digits allow, they end in the provider's code or spell a word on a keypad.
pub const MAGIC: &[Magic] = &[
    row("90401", Refuse(20003), "401 every time: the credentials are refused"),
    row("90429", RefuseOnce(20429), "429 the first time, accepted afterwards"),
    row("99429", Refuse(20429), "429 every time"),
    row("90500", RefuseOnce(20500), "500 the first time (nothing accepted), accepted afterwards"),
    row("90503", Refuse(20503), "503 every time (nothing accepted)"),
    row("91211", Refuse(21211), "refused: not a valid number"),
    row("91408", Refuse(21408), "refused: the region is not enabled"),
    row("91608", Refuse(21608), "refused: a trial account, and the number is not verified"),
    row("91610", Refuse(21610), "refused: the recipient opted out"),
    row("91611", RefuseOnce(21611), "429 the first time because the sender's queue is full, accepted afterwards"),
    row("91612", Refuse(21612), "refused: no route from this sender to this number"),
    row("91614", Refuse(21614), "refused: not a mobile number"),
    row("91635", Refuse(21635), "refused: a landline"),
    row("90001", Failed(30001), "failed: queue overflow"),
    row("90002", Failed(30002), "failed: account suspended"),
    row("90003", Undelivered(30003), "undelivered: handset unreachable"),
    row("90004", Undelivered(30004), "undelivered: blocked"),
    row("90005", Undelivered(30005), "undelivered: unknown number"),
    row("90006", Undelivered(30006), "undelivered: landline or unreachable carrier"),
    row("90007", Undelivered(30007), "undelivered: filtered as spam"),
    row("90008", Failed(30008), "failed: unknown carrier error"),
    row("90022", Undelivered(30022), "undelivered: rate of the registered campaign exceeded"),
    row("90034", Undelivered(30034), "undelivered: sender not registered"),
    row("90036", Failed(30036), "failed: validity period expired"),
    row("90450", Undelivered(30450), "undelivered: blocked as message pumping"),
    row("97867", Reply("STOP"), "delivered, then the recipient answers STOP (and is opted out)"),
    row("98468", Reply("Thank you"), "delivered, then the recipient answers Thank you"),
    row("94357", Reply("HELP"), "delivered, then the recipient answers HELP"),
    row("90937", Reply("YES"), "delivered, then the recipient answers YES"),
    row("78278", Reply("START"), "delivered, then the recipient answers START (and is opted in)"),
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

const fn row(suffix: &'static str, behaviour: Behaviour, effect: &'static str) -> Magic {
    Magic { suffix, behaviour, effect }
}

/// What a recipient's last five digits ask for, if anything.
pub(super) fn behaviour(number: &str) -> Option<Behaviour> {
    let suffix = number.get(number.len().checked_sub(5)?..)?;
    MAGIC.iter().find(|magic| magic.suffix == suffix).map(|magic| magic.behaviour)
}
