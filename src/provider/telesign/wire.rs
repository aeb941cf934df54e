//! TeleSign's JSON, read without trust: answers and callbacks share one envelope. A code is a number today and was a text
//! before; dates are not read at all, and neither is `signature_string`, which repeats the message.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::provider::loose::{self, Loose};

/// What answers and callbacks have in common.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) reference_id: Loose<'a>,
    #[serde(borrow)]
    pub(super) external_id: Loose<'a>,
    #[serde(borrow)]
    pub(super) sub_resource: Loose<'a>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    #[serde(borrow)]
    user_response: Option<&'a RawValue>,
}

/// A code and TeleSign's words for it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Coded<'a> {
    #[serde(borrow)]
    pub(super) code: Loose<'a>,
    #[serde(borrow)]
    pub(super) description: Loose<'a>,
}

impl Coded<'_> {
    /// The code as a number, if there is one.
    pub(super) fn number(&self) -> Option<i64> {
        self.code.number()
    }
}

/// What a person wrote.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct UserResponse<'a> {
    #[serde(borrow)]
    pub(super) phone_number: Loose<'a>,
    #[serde(borrow)]
    pub(super) sender_id: Loose<'a>,
    #[serde(borrow)]
    pub(super) mo_message: Loose<'a>,
    #[serde(borrow)]
    pub(super) action: Loose<'a>,
}

impl<'a> Envelope<'a> {
    /// From a body; `None` if it is no JSON object.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        loose::object(body)
    }

    /// What became of the request or the message: the status, or, where that only says *not attempted*, the error behind it.
    pub(super) fn said(&self) -> Option<Coded<'a>> {
        let status: Coded<'a> = self.status.and_then(loose::part)?;
        let error = || loose::list(self.errors).into_iter().find_map(loose::part::<Coded<'a>>);
        match status.number() {
            Some(NOT_ATTEMPTED) => Some(error().filter(|error| error.number().is_some()).unwrap_or(status)),
            Some(_) | None => Some(status),
        }
    }

    /// What a person wrote, if this is a message from one.
    pub(super) fn user_response(&self) -> Option<UserResponse<'a>> {
        self.user_response.and_then(loose::part)
    }
}

/// The code that refers to `errors`.
const NOT_ATTEMPTED: i64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_read() {
        let table = [
            (
                r#"{"status":{"code":290,"description":"Message in progress"}}"#,
                Some((Some(290), "Message in progress")),
            ),
            (r#"{"status":{"code":"290"},"errors":[],"new":{}}"#, Some((Some(290), ""))),
            (
                r#"{"status":{"code":500},"errors":[{"code":-40007,"description":"Slow"}]}"#,
                Some((Some(-40007), "Slow")),
            ),
            (r#"{"status":{"code":500,"description":"Not"},"errors":{}}"#, Some((Some(500), "Not"))),
            (r#"{"status":{"code":500,"description":"Not"},"errors":[{}]}"#, Some((Some(500), "Not"))),
            (r#"{"status":{"code":200},"errors":[{"code":-1}]}"#, Some((Some(200), ""))),
            (r#"{"status":{"code":"many"}}"#, Some((None, ""))),
            (r#"{"status":"290"}"#, None),
            (r#"{"status":null}"#, None),
            ("{}", None),
        ];
        for (body, expected) in table {
            let envelope = Envelope::read(body.as_bytes()).unwrap();
            let said = envelope.said();
            assert_eq!(said.as_ref().map(|said| (said.number(), said.description.or_empty())), expected, "{body}");
        }
        for body in ["", "[]", "<html>", r#"{"status":{"#] {
            assert!(Envelope::read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
