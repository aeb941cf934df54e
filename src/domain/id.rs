//! Ids: typed, prefixed, ordered by time (so that inserts append), and unguessable in their random half.
//!
//! An id is made by herald on save and never chosen by the caller. The exception is the organization, which names itself.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// A text that is not an id of the expected kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{given}\" is not {expected}")]
pub struct NotAnId {
    given: String,
    expected: String,
}

/// The organization's own short name: 1 to 40 of `a-z`, `0-9` and `-`, beginning with a letter. Part of every key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgId(Arc<str>);

impl OrgId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrgId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(allowed);
        if good {
            Ok(Self(text.into()))
        } else {
            let expected = "an organization id: 1 to 40 of a-z, 0-9 and -, beginning with a letter".to_owned();
            Err(NotAnId { given: text.to_owned(), expected })
        }
    }
}

impl Serialize for OrgId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OrgId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DIGITS: usize = 26;

/// 48 bits of milliseconds, then 80 of chance.
fn unique(now: Timestamp, random: u128) -> u128 {
    let millis = u128::try_from(now.millis()).unwrap_or(0) & 0xFFFF_FFFF_FFFF;
    (millis << 80) | (random >> 48)
}

fn write_base32(value: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0u8; DIGITS];
    for (place, digit) in text.iter_mut().enumerate() {
        *digit = ALPHABET[usize::try_from((value >> (5 * (DIGITS - 1 - place))) & 31).unwrap_or(0)];
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

fn read_base32(text: &str) -> Option<u128> {
    if text.len() != DIGITS || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|a| *a == byte)?;
        Some((value << 5) | u128::try_from(digit).ok()?)
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// A new id: its first half is the time, its second the 80 highest bits of `random`.
            pub fn new(now: Timestamp, random: u128) -> Self {
                Self(unique(now, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                write_base32(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let value = text.strip_prefix(concat!($prefix, "_")).and_then(read_base32);
                value.map(Self).ok_or_else(|| NotAnId { given: text.to_owned(), expected: format!(concat!("an id like ", $prefix, "_ and {} letters and digits"), DIGITS) })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An account at a provider.
    AccountId = "acc";
    /// A sender.
    ChannelId = "chn";
    /// A template, over all its versions.
    TemplateId = "tpl";
    /// An outbound configuration.
    ConfigurationId = "cfg";
    /// A stored audience.
    ListId = "lst";
    /// One firing of a configuration over an audience.
    RunId = "run";
    /// An API key (its public half).
    KeyId = "key";
    /// A place that signed events are posted to.
    HookId = "hok";
    /// A thread between one channel and one contact.
    ConversationId = "cnv";
    /// One inbound message.
    ReplyId = "rpl";
    /// One provider callback as it was recorded.
    CallbackId = "cbk";
    /// A place that wants to hear of what happens.
    EndpointId = "end";
    /// One webhook to one such place; the same on every try.
    DeliveryId = "dlv";
    /// One change of a person's consent.
    ConsentChangeId = "cns";
    /// Someone who listens to what happens.
    StreamId = "stm";
}

macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $field:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The run that it belongs to.
            pub run: RunId,
            /// Its number within the run, from 1.
            pub $field: i64,
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                write_base32(self.run.0, f)?;
                write!(f, "_{}", self.$field)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let parts = text.strip_prefix(concat!($prefix, "_")).and_then(|rest| rest.split_once('_'));
                let read = parts.and_then(|(run, number)| {
                    let canonical = !number.starts_with(['0', '+', '-']);
                    Some(Self { run: RunId(read_base32(run)?), $field: number.parse().ok().filter(|_| canonical)? })
                });
                read.ok_or_else(|| NotAnId { given: text.to_owned(), expected: format!(concat!("an id like ", $prefix, "_, {} letters and digits, _ and a number"), DIGITS) })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

numbered! {
    /// A request: its run and its number there. The run's half keeps a run's requests side by side on disk.
    RequestId = "req", number;
    /// A message: its run and its place there.
    MessageId = "msg", seq;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_survive_their_text_and_sort_by_time(at in 0i64..0xFFFF_FFFF_FFFF, random: u128, later in 1i64..1_000_000, seq in 1i64..) {
            let run = RunId::new(Timestamp::from_millis(at), random);
            prop_assert_eq!(run.to_string().parse(), Ok(run));
            prop_assert!(run.to_string().parse::<ChannelId>().is_err());
            let message = MessageId { run, seq };
            prop_assert_eq!(message.to_string().parse(), Ok(message));
            if at + later < 0xFFFF_FFFF_FFFF {
                let next = RunId::new(Timestamp::from_millis(at + later), 0);
                prop_assert!(run < next && run.to_string() < next.to_string());
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _run: Result<RunId, _> = text.parse();
            let _message: Result<MessageId, _> = text.parse();
            let _org: Result<OrgId, _> = text.parse();
        }
    }

    #[test]
    fn one_text_for_one_id() {
        let run = RunId::new(Timestamp::from_millis(1), u128::MAX);
        let bare = run.to_string().replace("run_", "");
        for wrong in [
            format!("msg_{bare}_01"),
            format!("msg_{bare}_+1"),
            format!("msg_{bare}_"),
            format!("msg_{}_1", bare.to_lowercase()),
            "msg_8ZZZZZZZZZZZZZZZZZZZZZZZZZ_1".to_owned(),
        ] {
            assert!(wrong.parse::<MessageId>().is_err(), "{wrong}");
        }
        assert!("acme".parse::<OrgId>().is_ok());
        assert!("Acme".parse::<OrgId>().is_err() && "".parse::<OrgId>().is_err() && "1a".parse::<OrgId>().is_err());
    }
}
