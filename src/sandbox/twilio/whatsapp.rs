//! What WhatsApp asks beyond SMS: addresses of its own, and the window in which free text may be sent.
//!
//! There is no list of STOP words: who answers STOP has answered something, no more.

use std::collections::HashMap;

/// What addresses of the channel begin with.
pub(super) const PREFIX: &str = "whatsapp:";
/// Twilio's shared number for trying the channel: any account may send from it, to those who have joined.
pub(super) const SHARED: &str = "whatsapp:+14155238886";

/// The channel of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Sms,
    WhatsApp,
}

impl Channel {
    /// The channel of an address, by how it begins.
    pub(super) fn of(address: &str) -> Channel {
        if address.starts_with(PREFIX) { Channel::WhatsApp } else { Channel::Sms }
    }
}

/// What keeps a message from being delivered, found out after it was accepted: codes, none if it is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bars {
    /// Whenever it is sent.
    pub always: Option<u32>,
    /// Unless the recipient has written to the sender of late.
    pub outside_window: Option<u32>,
}

impl Bars {
    /// Free text on WhatsApp.
    pub(super) const FREE_TEXT: Bars = Bars { always: None, outside_window: Some(63016) };
}

/// When somebody last wrote to a sender.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, i64>);

impl Sessions {
    /// Opens the window, or keeps it open for longer.
    pub(super) fn renew(&mut self, sender: &str, recipient: &str, now_ms: i64) {
        self.0.insert(format!("{sender} {recipient}"), now_ms);
    }

    /// Whether the recipient has written to the sender less than `window_ms` ago.
    pub(super) fn is_open(&self, sender: &str, recipient: &str, now_ms: i64, window_ms: u64) -> bool {
        let last = self.0.get(&format!("{sender} {recipient}"));
        last.is_some_and(|last| now_ms.saturating_sub(*last).unsigned_abs() < window_ms)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
