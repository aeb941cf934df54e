//! One due time: the instant that a wall clock's time is, and what daylight saving makes of it; and how both are told.

use std::time::Duration;

use chrono::{LocalResult, NaiveDateTime, TimeZone};
use chrono_tz::{GapInfo, Tz};

use super::{MISSED_COUNTED, Missed};
use crate::domain::{
    plan::grouped,
    time::{Span, Timestamp},
};

/// A due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// When it fires.
    pub at: Timestamp,
    /// What the clocks have to do with it, if anything.
    pub shift: Option<Shift>,
}

/// What daylight saving makes of a local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// This time does not exist: the clocks are put forward over it. It fires at the next that does.
    Gap(NaiveDateTime),
    /// It occurs twice, as the clocks are put back. It fires the first time.
    Twice,
}

impl Firing {
    /// The instant of a local time: the first of two, or the end of the gap that it falls into.
    pub(super) fn of(wall: NaiveDateTime, zone: Tz) -> Option<Self> {
        let (time, shift) = match zone.from_local_datetime(&wall) {
            LocalResult::Single(time) => (time, None),
            LocalResult::Ambiguous(first, _) => (first, Some(Shift::Twice)),
            LocalResult::None => (GapInfo::new(&wall, &zone)?.end?, Some(Shift::Gap(wall))),
        };
        Some(Self { at: time.to_utc().into(), shift })
    }

    /// What there is to know of it, for people.
    pub fn note(&self) -> Option<String> {
        self.shift.map(|shift| match shift {
            Shift::Gap(wall) => {
                format!(
                    "{} does not exist there, as the clocks are put forward: it fires at the next time that does",
                    wall.format("%H:%M:%S")
                )
            }
            Shift::Twice => "this time occurs twice, as the clocks are put back: it fires the first time".to_owned(),
        })
    }
}

/// An instant as the clocks there show it, with their offset: `2026-12-01 09:00:00 +01:00`.
pub fn local(at: Timestamp, zone: Tz) -> String {
    at.to_utc().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

impl Missed {
    /// Why there is no run of these times, for people. `instead` is the one that fired in their place.
    pub fn in_words(&self, zone: Tz, grace: Duration, instead: Option<Timestamp>) -> String {
        let (first, last) = (local(self.first, zone), local(self.last, zone));
        let count = grouped(u64::try_from(self.count).unwrap_or(u64::MAX));
        let due = match self.count {
            0 | 1 => format!("due at {first}"),
            MISSED_COUNTED.. => format!("{count} due times or more, from {first} to {last}"),
            _ => format!("{count} due times, from {first} to {last}"),
        };
        let then = match instead {
            Some(at) => format!("the one at {} fired in their place", local(at, zone)),
            None => format!("grace {}", Span(grace)),
        };
        format!("missed: {due} ({zone}), herald was not running; {then}")
    }
}

#[cfg(test)]
mod tests;
