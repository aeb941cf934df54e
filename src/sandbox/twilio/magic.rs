//! The magic recipients that get Twilio's own codes; what every provider does is in the common table.

use super::whatsapp::{Channel, SHARED};
use crate::sandbox::magic::{
    Behaviour::{self, Failed, Refuse, RefuseOnce, Undelivered},
    Magic, Table, row,
};

/// What a recipient's last digits ask for, if anything.
pub(super) fn behaviour(from: Option<&str>, to: &str) -> Option<Behaviour> {
    match Channel::of(to) {
        Channel::Sms => MAGIC.behaviour(to),
        // Only the shared number has to be joined.
        Channel::WhatsApp => WHATSAPP.behaviour(to).filter(|magic| *magic != NOT_JOINED || from == Some(SHARED)),
    }
}

const NOT_JOINED: Behaviour = Failed(63015);

/// Recipients of SMS. Where five digits allow, a suffix ends in the code.
pub const MAGIC: Table = Table { of: "twilio", rows: ROWS };

const ROWS: &[Magic] = &[
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
];

/// Recipients on WhatsApp. A suffix ends in the last four digits of the code.
pub const WHATSAPP: Table = Table { of: "twilio whatsapp", rows: WHATSAPP_ROWS };

const WHATSAPP_ROWS: &[Magic] = &[
    row("90401", Refuse(20003), "401 every time: the credentials are refused"),
    row("90429", RefuseOnce(20429), "429 the first time, accepted afterwards"),
    row("99429", Refuse(20429), "429 every time"),
    row("90500", RefuseOnce(20500), "500 the first time (nothing accepted), accepted afterwards"),
    row("90503", Refuse(20503), "503 every time (nothing accepted)"),
    row("91211", Refuse(21211), "refused: not a valid number"),
    row("93003", Failed(63003), "failed: not on WhatsApp"),
    row("93005", Failed(63005), "failed: WhatsApp did not accept it"),
    row("93012", Failed(63012), "failed: fault of the service"),
    row("93013", Failed(63013), "failed: against WhatsApp's policy"),
    row("93014", Undelivered(63014), "undelivered: the recipient blocked the sender (an opt-out)"),
    row("93015", NOT_JOINED, "failed, from the shared number +14155238886 only: the recipient has not joined"),
    row("93016", Failed(63016), "failed: outside the window, whoever has written"),
    row("93018", Failed(63018), "failed: rate limit of the channel"),
    row("93019", Failed(63019), "failed: the media could not be fetched"),
    row("93020", Failed(63020), "failed: the business has not accepted the invitation"),
    row("93021", Failed(63021), "failed: content that is not valid"),
    row("93024", Undelivered(63024), "undelivered: the recipient cannot get it"),
    row("93027", Failed(63027), "failed: no such template for the language"),
    row("93028", Failed(63028), "failed: values that do not match the template"),
    row("93032", Undelivered(63032), "undelivered: the recipient is part of an experiment"),
    row("93049", Undelivered(63049), "undelivered: a marketing template that WhatsApp chose not to deliver"),
    row("93054", Failed(63054), "failed: the template is not available"),
];
