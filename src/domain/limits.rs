//! What share of a run's messages may fail, or be answered with STOP, before the run is paused (SPEC 8).
//!
//! A share means something only once enough messages have their ends, and something about now only if it leaves out what was long
//! ago: failures are counted over the last thousand or two. Who reads the figures and pauses the run is `store`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A percentage, in hundredths of a percent: `"10%"`, `"0.5%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

/// A whole, in the same unit.
const WHOLE: u32 = 10_000;

/// A text that is not a percentage.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a percentage: expected one from 0 to 100 with at most two decimals, like \"10%\" or \"0.5%\"")]
pub struct NotAShare(String);

impl Share {
    /// So many whole percent, at most 100.
    pub const fn percent(percent: u32) -> Self {
        Self(if percent > 100 { WHOLE } else { percent * 100 })
    }

    /// Whether it is nothing at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether so many of so many are more than this share.
    pub fn is_exceeded_by(self, part: i64, of: i64) -> bool {
        i128::from(part) * i128::from(WHOLE) > i128::from(self.0) * i128::from(of)
    }

    /// This share of a number, rounded up.
    pub fn of(self, number: i64) -> i64 {
        let part = (i128::from(self.0) * i128::from(number)).div_euclid(i128::from(WHOLE));
        let rest = (i128::from(self.0) * i128::from(number)).rem_euclid(i128::from(WHOLE));
        i64::try_from(part + i128::from(rest > 0)).unwrap_or(i64::MAX)
    }
}

impl FromStr for Share {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        let wrong = || NotAShare(text.to_owned());
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.trim().strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        if !digits(whole) || !digits(decimals) || decimals.len() > 2 {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let hundredths: u32 = format!("{decimals:0<2}").parse().map_err(|_| wrong())?;
        let share = whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths)).filter(|all| *all <= WHOLE);
        share.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", hundredths(u64::from(self.0)))
    }
}

/// Hundredths as people write them: 1200 is 12, 1250 is 12.5.
fn hundredths(number: u64) -> String {
    let text = format!("{}.{:02}", number / 100, number % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A share that is not to be exceeded, or none: `"10%"`, `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// There is none.
    Off,
    /// More than this is too much.
    At(Share),
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim() == "off" { Ok(Self::Off) } else { text.parse().map(Self::At).map_err(serde::de::Error::custom) }
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(share) => share.serialize(serializer),
        }
    }
}

/// What a run may not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages that were refused, or taken and not delivered.
    pub failed: Limit,
    /// Messages that were answered with STOP, or refused because the recipient had said so to the provider.
    pub opted_out: Limit,
    /// Before so many messages have their ends, a share means nothing.
    pub after: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { failed: Limit::At(Share::percent(30)), opted_out: Limit::Off, after: 100 }
    }
}

/// What is counted: of all messages that were tried, those that have an end, and those that ended badly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tried, and at an end; what was never attempted on purpose, expired or was cancelled says nothing.
    pub ended: i64,
    /// Of those, failed or undelivered.
    pub failed: i64,
    /// Of those, opted out.
    pub opted_out: i64,
}

impl Counts {
    /// What has come since. A receipt may have made a failure good: that is no less than none.
    fn since(self, before: Self) -> Self {
        Self {
            ended: (self.ended - before.ended).max(0),
            failed: (self.failed - before.failed).max(0),
            opted_out: (self.opted_out - before.opted_out).max(0),
        }
    }
}

/// From which figures on a run is judged. Two marks: the later one becomes the earlier when enough have ended since, so that
/// what is judged is always between one and two spans long once the run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    since: Counts,
    mark: Counts,
}

/// How many times [`Limits::after`] a span is.
const SPAN: i64 = 10;

impl Watch {
    /// What is there by now counts no more: an operator has seen it.
    pub fn anew(counts: Counts) -> Self {
        Self { since: counts, mark: counts }
    }

    /// With the marks moved on, if it is time.
    #[must_use]
    pub fn moved_on(self, counts: Counts, limits: &Limits) -> Self {
        let span = SPAN * i64::from(limits.after.max(1));
        if counts.since(self.mark).ended < span { self } else { Self { since: self.mark, mark: counts } }
    }
}

/// A limit that was exceeded, in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    what: &'static str,
    part: i64,
    of: i64,
    limit: Share,
}

impl Limits {
    /// What a run that goes has exceeded, if anything.
    pub fn judge(&self, counts: Counts, watch: Watch) -> Option<Excess> {
        let counts = counts.since(watch.since);
        if counts.ended < i64::from(self.after) { None } else { self.exceeded(counts) }
    }

    /// What a first slice has exceeded, if anything: it is as large as whoever named it thought enough.
    pub fn judge_slice(&self, counts: Counts) -> Option<Excess> {
        self.exceeded(counts)
    }

    fn exceeded(&self, counts: Counts) -> Option<Excess> {
        let checks = [("failed", self.failed, counts.failed), ("opted out", self.opted_out, counts.opted_out)];
        checks.into_iter().find_map(|(what, limit, part)| match limit {
            Limit::At(limit) if limit.is_exceeded_by(part, counts.ended) => {
                Some(Excess { what, part, of: counts.ended, limit })
            }
            Limit::At(_) | Limit::Off => None,
        })
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, part, of, limit } = self;
        let share = part.saturating_mul(i64::from(WHOLE)).checked_div(*of).unwrap_or(0).unsigned_abs();
        let limit = hundredths(u64::from(limit.0));
        write!(f, "{part} of {of} {what} ({} %), more than {limit} %", hundredths(share))
    }
}

#[cfg(test)]
mod tests;
