//! A timeline: what happened to a contact, or about a case, newest first. Here: what a message's status amounts to there, and
//! the order of what happened.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::{
    id::{ConsentChangeId, MessageId, ReplyId},
    message::Status,
    time::Timestamp,
};

/// Where an activity stands (SPEC 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityState {
    /// herald or the provider has still to do something, or nobody knows.
    Open,
    /// It waits for a time that is set.
    Scheduled,
    /// The provider has taken it, or more.
    Completed,
    /// It has ended in another way.
    Cancelled,
}

impl ActivityState {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Open, Self::Scheduled, Self::Completed, Self::Cancelled];

    /// Of a message with this status, that waits for a time if one is given.
    pub const fn of(status: Status, due: Option<Timestamp>) -> Self {
        match status {
            Status::Queued | Status::Sending if due.is_some() => Self::Scheduled,
            Status::Queued | Status::Sending | Status::Uncertain => Self::Open,
            Status::Sent | Status::Delivered | Status::Read => Self::Completed,
            Status::Failed | Status::Undelivered | Status::Suppressed | Status::Expired | Status::Cancelled => {
                Self::Cancelled
            }
        }
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Scheduled => "scheduled",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Serialize for ActivityState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Something that stands on a timeline. What came of something else at one moment is later than it: a reply, and then the
/// change of consent that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A message to the contact.
    Message(MessageId),
    /// A message from the contact.
    Reply(ReplyId),
    /// A change of the contact's consent.
    Consent(ConsentChangeId),
}

impl Happening {
    /// The kind's name on the wire.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Reply(_) => "reply",
            Self::Consent(_) => "consent",
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(id) => id.fmt(f),
            Self::Reply(id) => id.fmt(f),
            Self::Consent(id) => id.fmt(f),
        }
    }
}

/// A place on a timeline: the cursor between two pages. It stays where it is, whatever happens later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// A text that is no place on a timeline.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected the `next` of the page before")]
pub struct NotAPlace;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.millis(), self.what)
    }
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (at, what) = text.split_once('.').ok_or(NotAPlace)?;
        let at = at.parse().map(Timestamp::from_millis).map_err(|_| NotAPlace)?;
        let message = || what.parse().ok().map(Happening::Message);
        let reply = || what.parse().ok().map(Happening::Reply);
        let consent = || what.parse().ok().map(Happening::Consent);
        let what = message().or_else(reply).or_else(consent).ok_or(NotAPlace)?;
        Ok(Self { at, what })
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where one kind's part of a page begins: before this time, or at it and before this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before<Id> {
    /// The time.
    pub at: Timestamp,
    /// The id; `None`: nothing at that time is part of the page.
    pub id: Option<Id>,
}

impl<Id> Before<Id> {
    /// The newest page.
    pub const NOTHING: Self = Self { at: Timestamp::from_millis(i64::MAX), id: None };

    /// Everything before that time, and all of that time.
    fn all_of(at: Timestamp) -> Self {
        Self { at: Timestamp::from_millis(at.millis().saturating_add(1)), id: None }
    }
}

/// The messages before a place; all if there is none.
pub fn messages_before(place: Option<Place>) -> Before<MessageId> {
    match place {
        None => Before::NOTHING,
        Some(Place { at, what: Happening::Message(id) }) => Before { at, id: Some(id) },
        Some(Place { at, what: Happening::Reply(_) | Happening::Consent(_) }) => Before::all_of(at),
    }
}

/// The replies before a place; all if there is none.
pub fn replies_before(place: Option<Place>) -> Before<ReplyId> {
    match place {
        None => Before::NOTHING,
        Some(Place { at, what: Happening::Message(_) }) => Before { at, id: None },
        Some(Place { at, what: Happening::Reply(id) }) => Before { at, id: Some(id) },
        Some(Place { at, what: Happening::Consent(_) }) => Before::all_of(at),
    }
}

/// The change of consent before which those before a place are; all if there is none. Its id begins with its time, so that the
/// first id that a time can have stands for all that is earlier.
pub fn consents_before(place: Option<Place>) -> Option<ConsentChangeId> {
    place.map(|Place { at, what }| match what {
        Happening::Consent(id) => id,
        Happening::Message(_) | Happening::Reply(_) => ConsentChangeId::new(at, 0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::RunId;

    fn happening(at: Timestamp, (kind, id): (u8, u128)) -> Happening {
        match kind {
            0 => Happening::Message(MessageId { run: RunId::new(at, id << 100), seq: 1 + (id % 3) as i64 }),
            1 => Happening::Reply(ReplyId::new(at, id << 100)),
            _ => Happening::Consent(ConsentChangeId::new(at, id << 100)),
        }
    }

    fn places() -> impl Strategy<Value = Place> {
        // Few times, so that much happens at the same one.
        (0i64..4, (0u8..3, 0u128..4)).prop_map(|(at, what)| {
            let at = Timestamp::from_millis(at);
            Place { at, what: happening(at, what) }
        })
    }

    fn part_of<Id: PartialOrd>(before: &Before<Id>, at: Timestamp, id: &Id) -> bool {
        at < before.at || at == before.at && before.id.as_ref().is_some_and(|other| id < other)
    }

    proptest! {
        #[test]
        fn a_place_survives_its_text(place in places()) {
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _place: Result<Place, _> = text.parse();
        }

        #[test]
        fn the_parts_of_a_page_are_what_lies_before_the_place(place in places(), other in places()) {
            let part = match other.what {
                Happening::Message(id) => part_of(&messages_before(Some(place)), other.at, &id),
                Happening::Reply(id) => part_of(&replies_before(Some(place)), other.at, &id),
                Happening::Consent(id) => consents_before(Some(place)).is_some_and(|before| id < before),
            };
            prop_assert_eq!(part, other < place);
        }
    }

    #[test]
    fn every_status_is_a_state() {
        use ActivityState::{Cancelled, Completed, Open, Scheduled};
        let due = Some(Timestamp::from_millis(1));
        for (status, now, later) in [
            (Status::Queued, Open, Scheduled),
            (Status::Sending, Open, Scheduled),
            (Status::Uncertain, Open, Open),
            (Status::Sent, Completed, Completed),
            (Status::Delivered, Completed, Completed),
            (Status::Read, Completed, Completed),
            (Status::Failed, Cancelled, Cancelled),
            (Status::Undelivered, Cancelled, Cancelled),
            (Status::Suppressed, Cancelled, Cancelled),
            (Status::Expired, Cancelled, Cancelled),
            (Status::Cancelled, Cancelled, Cancelled),
        ] {
            assert_eq!((ActivityState::of(status, None), ActivityState::of(status, due)), (now, later), "{status}");
        }
        for wrong in
            ["", "1", "1.", ".msg_x", "1.sms", "x.cns_00000000000000000000000000", "1.run_00000000000000000000000000"]
        {
            assert_eq!(wrong.parse::<Place>(), Err(NotAPlace), "{wrong}");
        }
    }
}
