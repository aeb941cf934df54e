//! What goes wrong by chance: the shares that can be set at start and while running, and the seeded dice that decide.
//!
//! Deliberately knows nothing of HTTP or of a provider: it only says what is to happen to the next call or receipt.

use std::{
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::time;

/// Faults by share (0 to 1) of the calls or receipts; all off by default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Calls that are answered late: the work is done at once, the answer waits.
    pub slow: Slow,
    /// Calls refused with a 500 or a 503, nothing accepted.
    pub error_5xx: f64,
    /// Calls refused with a 429, nothing accepted.
    pub throttle: Throttle,
    /// Messages accepted whose call is never answered; the connection stays open.
    pub hang_after_accept: f64,
    /// Calls whose connection is closed without an answer, nothing accepted.
    pub drop_before_accept: f64,
    /// Messages accepted whose connection is closed without an answer.
    pub drop_after_accept: f64,
    /// Messages accepted whose call is answered with a 500 all the same.
    pub error_after_accept: f64,
    /// Receipts posted twice.
    pub duplicate_receipt: f64,
    /// Messages whose last receipts come in the wrong order.
    pub reorder_receipts: f64,
    /// Receipts never posted.
    pub lose_receipt: f64,
    /// Calls a second beyond which everything is answered with a 429. A burst of a tenth of a second is let through.
    pub rate_limit_per_second: Option<u32>,
}

/// Late answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slow {
    /// Share of the calls.
    pub share: f64,
    /// How late, in milliseconds.
    pub ms: u64,
}

/// Refusals because of too many calls.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// Share of the calls.
    pub share: f64,
    /// Seconds in the `Retry-After` header; 0 leaves the header out.
    pub retry_after_s: u64,
}

impl Faults {
    /// Says which share is out of range, if one is.
    pub(super) fn check(&self) -> Result<(), String> {
        let shares = [
            ("slow.share", self.slow.share),
            ("error_5xx", self.error_5xx),
            ("throttle.share", self.throttle.share),
            ("hang_after_accept", self.hang_after_accept),
            ("drop_before_accept", self.drop_before_accept),
            ("drop_after_accept", self.drop_after_accept),
            ("error_after_accept", self.error_after_accept),
            ("duplicate_receipt", self.duplicate_receipt),
            ("reorder_receipts", self.reorder_receipts),
            ("lose_receipt", self.lose_receipt),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("{name}: {share} is not a share between 0 and 1"));
            }
        }
        if self.rate_limit_per_second == Some(0) {
            return Err("rate_limit_per_second: must be at least 1; leave it out for no limit".into());
        }
        Ok(())
    }
}

/// What happens to a call before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It is looked at.
    Proceed,
    /// The connection is closed.
    Drop,
    /// 429, with `Retry-After` unless 0.
    Throttle { retry_after_s: u64 },
    /// 500 or 503.
    Error { status: u16 },
}

/// How the call of an accepted message is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should be.
    Answer,
    /// As it should be, but late.
    AnswerAfter(Duration),
    /// Never; the connection stays open.
    Hang,
    /// The connection is closed.
    Drop,
    /// 500, although the message was accepted.
    Error,
}

/// The seeded dice, with the faults that they are thrown for.
pub(super) struct Dice(Mutex<Cup>);

struct Cup {
    faults: Faults,
    /// What is drawn when a call is decided on, in the order of calls. The others have dice of their own, so that the
    /// same calls meet the same faults however the receipts fall in between.
    calls: StdRng,
    receipts: StdRng,
    delays: StdRng,
    tokens: f64,
    filled: Instant,
}

impl Dice {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        let dice = |nth: u64| StdRng::seed_from_u64(seed.wrapping_add(nth));
        let (calls, receipts, delays) = (dice(0), dice(1), dice(2));
        Dice(Mutex::new(Cup { faults, calls, receipts, delays, tokens: 1.0, filled: time::now() }))
    }

    pub(super) fn faults(&self) -> Faults {
        self.cup().faults.clone()
    }

    pub(super) fn set(&self, faults: Faults) {
        self.cup().faults = faults;
    }

    /// The fate of the next call before it is looked at.
    pub(super) fn before(&self) -> Before {
        let cup = &mut *self.cup();
        if cup.over_rate() {
            return Before::Throttle { retry_after_s: 1 };
        }
        if cup.hit(cup.faults.drop_before_accept) {
            return Before::Drop;
        }
        if cup.hit(cup.faults.throttle.share) {
            return Before::Throttle { retry_after_s: cup.faults.throttle.retry_after_s };
        }
        if cup.hit(cup.faults.error_5xx) {
            return Before::Error { status: if cup.calls.random_bool(0.5) { 500 } else { 503 } };
        }
        Before::Proceed
    }

    /// The fate of the answer to an accepted message.
    pub(super) fn manner(&self) -> Manner {
        let cup = &mut *self.cup();
        if cup.hit(cup.faults.hang_after_accept) {
            Manner::Hang
        } else if cup.hit(cup.faults.drop_after_accept) {
            Manner::Drop
        } else if cup.hit(cup.faults.error_after_accept) {
            Manner::Error
        } else if cup.hit(cup.faults.slow.share) {
            Manner::AnswerAfter(Duration::from_millis(cup.faults.slow.ms))
        } else {
            Manner::Answer
        }
    }

    /// How many times the next receipt is posted: 0, 1 or 2.
    pub(super) fn copies(&self) -> u8 {
        let cup = &mut *self.cup();
        if throw(&mut cup.receipts, cup.faults.lose_receipt) {
            0
        } else if throw(&mut cup.receipts, cup.faults.duplicate_receipt) {
            2
        } else {
            1
        }
    }

    /// Whether the receipts of the next message come in the wrong order.
    pub(super) fn reorders(&self) -> bool {
        let cup = &mut *self.cup();
        cup.hit(cup.faults.reorder_receipts)
    }

    /// One throw at `share`, for the call that is being decided on.
    pub(super) fn hit(&self, share: f64) -> bool {
        self.cup().hit(share)
    }

    /// An even draw of an index below `len`, which must not be 0.
    pub(super) fn index(&self, len: usize) -> usize {
        if len < 2 { 0 } else { self.cup().calls.random_range(0..len) }
    }

    /// An even draw of a time in milliseconds.
    pub(super) fn delay(&self, ms: RangeInclusive<u64>) -> Duration {
        let drawn = if ms.start() >= ms.end() { *ms.start() } else { self.cup().delays.random_range(ms) };
        Duration::from_millis(drawn)
    }

    fn cup(&self) -> std::sync::MutexGuard<'_, Cup> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share of 0 draws nothing, so that a fault that is off does not move the others' sequence.
fn throw(dice: &mut StdRng, share: f64) -> bool {
    share > 0.0 && dice.random_bool(share.min(1.0))
}

impl Cup {
    fn hit(&mut self, share: f64) -> bool {
        throw(&mut self.calls, share)
    }

    fn over_rate(&mut self) -> bool {
        let Some(rate) = self.faults.rate_limit_per_second.map(f64::from) else { return false };
        let now = time::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * rate;
        self.tokens = (self.tokens + earned).min((rate / 10.0).max(1.0));
        self.filled = now;
        if self.tokens < 1.0 {
            return true;
        }
        self.tokens -= 1.0;
        false
    }
}
