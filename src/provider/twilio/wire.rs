//! Twilio's JSON, read without trust: every field may be missing, null or of another type, and what is unknown is
//! passed over. Texts are borrowed from the body wherever they hold no escapes.

use serde::Deserialize;

use super::codes;
use crate::domain::{message::Status, reason::Why};
pub(super) use crate::provider::loose::{Loose, code, object};

/// What the answer to a single call can hold: a message, an account, or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) sid: Loose<'a>,
    #[serde(borrow)]
    pub(super) status: Loose<'a>,
    #[serde(borrow)]
    pub(super) code: Loose<'a>,
    #[serde(borrow)]
    pub(super) message: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_code: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_message: Loose<'a>,
}

/// A page of the list of messages.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) messages: Option<Vec<Listed<'a>>>,
    #[serde(borrow)]
    pub(super) next_page_uri: Loose<'a>,
}

/// A message in the list.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Listed<'a> {
    #[serde(borrow)]
    pub(super) sid: Loose<'a>,
    #[serde(borrow)]
    pub(super) to: Loose<'a>,
    #[serde(borrow)]
    pub(super) from: Loose<'a>,
    #[serde(borrow)]
    pub(super) body: Loose<'a>,
    #[serde(borrow)]
    pub(super) status: Loose<'a>,
    #[serde(borrow)]
    pub(super) direction: Loose<'a>,
    #[serde(borrow)]
    pub(super) date_created: Loose<'a>,
    #[serde(borrow)]
    pub(super) date_sent: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_code: Loose<'a>,
    #[serde(borrow)]
    pub(super) error_message: Loose<'a>,
}

/// Where a message stands, by Twilio's word for it; `None` for a word that is not one of Twilio's.
///
/// `accepted`, `scheduled`, `queued` and `sending` are still Twilio's to deliver, but prove that Twilio has taken the
/// message: for herald that is *sent*, and it resolves a doubt. `partially_delivered` claims no more than that either.
/// `canceled` happens at Twilio, after it took the message, so it is a failure and not herald's own `cancelled`.
pub(super) fn status(word: &str) -> Option<Status> {
    match word {
        "accepted" | "scheduled" | "queued" | "sending" | "sent" | "partially_delivered" => Some(Status::Sent),
        "delivered" => Some(Status::Delivered),
        "read" => Some(Status::Read),
        "undelivered" => Some(Status::Undelivered),
        "failed" | "canceled" => Some(Status::Failed),
        _ => None,
    }
}

/// Why a message stands where it stands; `None` unless it is a failure. `word` tells a cancelled one from a failed one.
pub(super) fn why(status: Status, word: &str, code: Option<u32>, text: &str) -> Option<Why> {
    let failed = matches!(status, Status::Failed | Status::Undelivered);
    let text = if text.is_empty() && word == "canceled" { "canceled at Twilio" } else { text };
    failed.then(|| codes::undelivered(code, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_are_passed_over() {
        let table = [
            (r#"{"sid":"SM1","code":21211}"#, Some(("SM1", Some(21211)))),
            (r#"{"sid":"S\u004d1","code":"21211","extra":[{}]}"#, Some(("SM1", Some(21211)))),
            (r#"{"sid":null,"code":null}"#, Some(("", None))),
            (r#"{"sid":{"a":[1]},"code":[21211]}"#, Some(("", None))),
            (r#"{"sid":true,"code":2.5}"#, Some(("", None))),
            (r#"{"code":-1}"#, Some(("", None))),
            (" {} ", Some(("", None))),
            (r#"["SM1"]"#, None),
            (r#"{"sid":"SM1""#, None),
            ("<html>502</html>", None),
            ("", None),
        ];
        for (body, expected) in table {
            let read: Option<Answer<'_>> = object(body.as_bytes());
            assert_eq!(read.as_ref().map(|answer| (answer.sid.or_empty(), answer.code.code())), expected, "{body}");
        }
    }
}
