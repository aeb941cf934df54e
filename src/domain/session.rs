//! WhatsApp's window: free text is allowed for 24 hours after a person last wrote to the channel, and only they can open it
//! again. What the organization sends extends nothing, so nothing but inbound messages is ever asked for here.

use std::{fmt, time::Duration};

use super::{
    contact::ChannelType,
    reason::{Reason, Why},
    time::Timestamp,
};

/// How long a person's message allows free text to them.
pub const WINDOW: Duration = Duration::from_hours(24);

/// Why free text is not allowed. Its text says since when, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The person has never written to the channel.
    NeverWrote,
    /// They have, too long ago.
    Since {
        /// When they last wrote.
        last_inbound: Timestamp,
        /// When the window closed.
        closed_at: Timestamp,
    },
}

impl Closed {
    /// The same as the reason of a message that is not sent.
    pub fn why(self) -> Why {
        Why::detailed(Reason::SessionClosed, self.to_string())
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverWrote => f.write_str("the contact has never written to this channel")?,
            Self::Since { last_inbound, closed_at } => {
                write!(f, "the contact last wrote at {last_inbound}, and the window closed at {closed_at}")?;
            }
        }
        f.write_str("; send an approved template, or wait until they write again")
    }
}

/// When the window closes that a person's last message opened.
pub fn closes_at(last_inbound: Timestamp) -> Timestamp {
    last_inbound.plus(WINDOW)
}

/// Whether free text is allowed: until when, or why not.
pub fn is_open(last_inbound: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Closed> {
    let last_inbound = last_inbound.ok_or(Closed::NeverWrote)?;
    let closed_at = closes_at(last_inbound);
    if now < closed_at { Ok(closed_at) } else { Err(Closed::Since { last_inbound, closed_at }) }
}

/// Whether a kind of channel has such a window at all.
pub const fn is_kept(channel_type: ChannelType) -> bool {
    match channel_type {
        ChannelType::WhatsApp => true,
        ChannelType::Sms => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_open_for_less_than_a_day() {
        let wrote = Timestamp::from_millis(1_795_000_000_000);
        let closed_at = Timestamp::from_millis(1_795_086_400_000);
        let closed = Err(Closed::Since { last_inbound: wrote, closed_at });
        for (last_inbound, now, expected) in [
            (None, wrote, Err(Closed::NeverWrote)),
            (Some(wrote), wrote, Ok(closed_at)),
            (Some(wrote), Timestamp::from_millis(closed_at.millis() - 1), Ok(closed_at)),
            (Some(wrote), closed_at, closed),
            (Some(wrote), Timestamp::from_millis(i64::MAX), closed),
            // The clock of another machine is behind.
            (Some(wrote), Timestamp::from_millis(wrote.millis() - 5), Ok(closed_at)),
        ] {
            assert_eq!(is_open(last_inbound, now), expected, "{now}");
        }
    }

    #[test]
    fn an_operator_reads_since_when_and_what_to_do() {
        let wrote = Timestamp::from_millis(1_795_000_000_000);
        let closed = is_open(Some(wrote), closes_at(wrote)).unwrap_err();
        assert_eq!(
            closed.to_string(),
            "the contact last wrote at 2026-11-18T11:06:40.000Z, and the window closed at 2026-11-19T11:06:40.000Z; send an approved template, or wait until they write again"
        );
        assert_eq!(
            Closed::NeverWrote.why().to_string(),
            "WhatsApp allows free text only within 24 hours of the contact's last message; use an approved template. (the contact has never written to this channel; send an approved template, or wait until they write again)"
        );
    }
}
