//! The canary: a first slice of a run, sent before the rest (SPEC 8). How large it is, and how it stands.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    limits::{Limit, Limits, Share},
    plan::grouped,
    time::{Span, Timestamp},
};

/// How long receipts and replies are awaited where nothing else is said.
const WAIT: Duration = Duration::from_secs(600);

/// How large the first slice is: `100` or `"1%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanarySize {
    /// So many messages; at least one.
    Messages(u32),
    /// Such a part of the run, rounded up; more than nothing.
    Share(Share),
}

impl CanarySize {
    /// How many of so many messages.
    pub fn of(self, messages: i64) -> i64 {
        match self {
            Self::Messages(count) => i64::from(count).min(messages),
            Self::Share(share) => share.of(messages),
        }
    }
}

/// What stands in a definition.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for CanarySize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |given: &dyn fmt::Display| {
            let expected = "expected a number of messages from 1 on, or a share of the run like \"1%\"";
            serde::de::Error::custom(format!("{given} is no first slice: {expected}"))
        };
        match Written::deserialize(deserializer)? {
            Written::Number(number) => {
                let count = u32::try_from(number).ok().filter(|count| *count > 0);
                count.map(Self::Messages).ok_or_else(|| wrong(&number))
            }
            Written::Text(text) => {
                let share = text.parse::<Share>().ok().filter(|share| !share.is_zero());
                share.map(Self::Share).ok_or_else(|| wrong(&format!("\"{text}\"")))
            }
        }
    }
}

impl Serialize for CanarySize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Messages(count) => serializer.serialize_u32(*count),
            Self::Share(share) => share.serialize(serializer),
        }
    }
}

/// What a run is kept from going wrong by: a first slice, and limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// The first slice; `None`: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanarySize>,
    /// How long receipts and replies to it are awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_wait: Option<Span>,
    /// What pauses the run.
    pub limits: Limits,
}

impl Guard {
    /// Nothing: for what is no bulk.
    pub fn none() -> Self {
        let limits = Limits { failed: Limit::Off, opted_out: Limit::Off, ..Limits::default() };
        Self { limits, ..Self::default() }
    }

    /// Whether it is the usual one.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// How many of so many messages go first; `None` if that is all of them.
    pub fn slice(&self, messages: i64) -> Option<i64> {
        self.canary.map(|size| size.of(messages)).filter(|slice| (1..messages).contains(slice))
    }

    /// How long receipts and replies are awaited.
    pub fn wait(&self) -> Duration {
        self.canary_wait.map_or(WAIT, |wait| wait.0)
    }
}

/// How far a first slice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryState {
    /// Its messages have no ends yet.
    Sending,
    /// They have; receipts and replies are awaited.
    Waiting,
    /// It stayed under the limits, and the rest was released.
    Passed,
    /// It went over them, and the run was paused.
    Over,
    /// It went over them, and an operator released the rest.
    Released,
}

impl CanaryState {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Sending, Self::Waiting, Self::Passed, Self::Over, Self::Released];

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Passed => "passed",
            Self::Over => "over",
            Self::Released => "released",
        }
    }
}

/// A text that names no state of a first slice.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not the state of a canary")]
pub struct NotACanaryState(String);

impl FromStr for CanaryState {
    type Err = NotACanaryState;

    fn from_str(text: &str) -> Result<Self, NotACanaryState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| NotACanaryState(text.to_owned()))
    }
}

impl Serialize for CanaryState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How a run's first slice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// How far it has come.
    pub state: CanaryState,
    /// How many messages it has.
    pub messages: i64,
    /// When it will be or was decided, as far as that is known.
    pub decided_at: Option<Timestamp>,
}

impl Canary {
    /// For people; `all` is how many messages the run has.
    pub fn in_words(&self, all: i64) -> String {
        let (first, all) = (grouped(self.messages.unsigned_abs()), grouped(all.unsigned_abs()));
        let at = self.decided_at.map(|at| format!(" at {at}")).unwrap_or_default();
        match self.state {
            CanaryState::Sending => format!("canary: the first {first} of {all} are being sent; the rest is held back"),
            CanaryState::Waiting => format!("canary: {first} of {all} sent, decided{at}"),
            CanaryState::Passed => format!("canary: {first} of {all} sent, the rest released{at}"),
            CanaryState::Over => {
                format!("canary: {first} of {all} sent, over its limits{at}; resuming the run sends the rest")
            }
            CanaryState::Released => {
                format!("canary: {first} of {all} sent, over its limits{at}; an operator released the rest")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(canary: &str) -> Result<Guard, toml::de::Error> {
        toml::from_str(&format!("canary = {canary}"))
    }

    #[test]
    fn a_slice_is_a_number_or_a_share_and_never_the_whole() {
        for (canary, messages, slice) in [
            ("100", 12_300, Some(100)),
            ("100", 100, None),
            ("100", 7, None),
            ("1", 2, Some(1)),
            ("\"1%\"", 12_300, Some(123)),
            ("\"1%\"", 50, Some(1)),
            ("\"1%\"", 101, Some(2)),
            ("\"1%\"", 1, None),
            ("\"100%\"", 50, None),
            ("20", 0, None),
        ] {
            assert_eq!(guard(canary).unwrap().slice(messages), slice, "{canary} of {messages}");
        }
        assert_eq!(Guard::default().slice(1_000), None);
        for wrong in ["0", "-1", "\"0%\"", "\"20\"", "\"101%\"", "1.5", "true", "5000000000"] {
            assert!(guard(wrong).is_err(), "{wrong}");
        }
        assert!(guard("0").unwrap_err().to_string().contains("like \"1%\""));
    }

    #[test]
    fn what_is_usual_is_not_written_down() {
        assert!(Guard::default().is_default() && Guard::default().wait() == WAIT);
        let written: Guard = serde_json::from_str(r#"{"canary":"2.5%","canary_wait":"5m"}"#).unwrap();
        assert_eq!((written.wait(), written.limits), (Duration::from_secs(300), Limits::default()));
        let back = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<Guard>(&back).unwrap(), written);
    }

    #[test]
    fn it_is_told_in_words() {
        let at = Some(Timestamp::from_millis(1_795_000_000_000));
        let canary = Canary { state: CanaryState::Waiting, messages: 100, decided_at: at };
        assert_eq!(canary.in_words(12_300), "canary: 100 of 12,300 sent, decided at 2026-11-18T11:06:40.000Z");
        for state in CanaryState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert!(Canary { state, messages: 1, decided_at: None }.in_words(2).starts_with("canary: "));
        }
    }
}
