//! Quiet hours: when marketing waits, and until when (SPEC 7, rule 6).
//!
//! They are reckoned on the wall clocks of the contact: of its own time zone if it has one, else of every zone of its number's
//! country. A country with several zones is quiet while it is quiet in **any** of them; should that leave no time of the day at
//! all (long quiet hours, a wide country), and where a number has no country, the organization's zone decides.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::LazyLock, time::Duration};

use chrono::{Offset as _, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    phone::Country,
    time::{MINUTE_MS, Timestamp},
};

/// A day of a clock that is not put forward or back, in milliseconds.
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// How far ahead a time is looked for that is quiet nowhere. What is not found within two days, clock changes and all, is not
/// there.
const HORIZON: Duration = Duration::from_hours(48);

/// A time of the day as a wall clock shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// Minutes since midnight.
    minute: i64,
}

/// A text that is not a time of the day.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a time of the day: expected hours and minutes from 00:00 to 23:59, like \"21:00\"")]
pub struct NotATimeOfDay(String);

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;

    fn from_str(text: &str) -> Result<Self, NotATimeOfDay> {
        let part = |text: &str, below: i64| -> Option<i64> {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|value| digits && *value < below)
        };
        let read = text.trim().split_once(':').filter(|(_, minutes)| minutes.len() == 2);
        let read = read.and_then(|(hours, minutes)| Some(60 * part(hours, 24)? + part(minutes, 60)?));
        read.map(|minute| Self { minute }).ok_or_else(|| NotATimeOfDay(text.to_owned()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// From one time of the day to another, which may be the next morning's. The same time twice is no time at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The first quiet minute.
    pub from: TimeOfDay,
    /// The first minute that is not quiet any more.
    pub to: TimeOfDay,
}

/// A wait: until when, and by which clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// When the quiet hours are over.
    pub until: Timestamp,
    /// Where: of several zones, the one whose clock is waited for.
    pub zone: Tz,
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.until.to_utc().with_timezone(&self.zone);
        write!(f, "quiet hours in {} until {}", self.zone.name(), local.format("%Y-%m-%d %H:%M"))
    }
}

/// There is no time of the day that is not quiet in one of the zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTimeOfDay;

/// Whose clocks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The contact's own zone, if it said one.
    pub own: Option<Tz>,
    /// The country of its number, if that has one.
    pub country: Option<Country>,
    /// The organization's zone.
    pub organization: Tz,
}

impl Clocks {
    /// Until when whoever has these clocks is to be left alone; `None`: they may be written to now.
    pub fn quiet(self, hours: QuietHours, now: Timestamp) -> Option<Quiet> {
        let theirs = match self.own {
            Some(own) => quiet_until(hours, &[own], now),
            None => match self.country.map(zones) {
                None | Some([]) => Err(NoTimeOfDay),
                Some(zones) => quiet_until(hours, zones, now),
            },
        };
        theirs.unwrap_or_else(|_| quiet_until(hours, &[self.organization], now).ok().flatten())
    }
}

/// The first instant from now on at which it is quiet in none of the zones; `None` if that is now.
///
/// # Errors
/// If there is no such instant.
pub fn quiet_until(hours: QuietHours, zones: &[Tz], now: Timestamp) -> Result<Option<Quiet>, NoTimeOfDay> {
    let (mut at, mut wait) = (now, None);
    while let Some(quiet) = zones.iter().find_map(|zone| hours.stretch(*zone, at)) {
        if quiet.until > now.plus(HORIZON) {
            return Err(NoTimeOfDay);
        }
        (at, wait) = (quiet.until, Some(quiet));
    }
    Ok(wait)
}

impl QuietHours {
    /// Whether a wall clock that shows so many milliseconds of its day shows a quiet time.
    fn cover(self, wall: i64) -> bool {
        let (from, to) = (self.from.minute * MINUTE_MS, self.to.minute * MINUTE_MS);
        if from <= to { (from..to).contains(&wall) } else { wall >= from || wall < to }
    }

    /// The end of the quiet stretch that an instant lies in; `None` if it is not quiet there then. A clock that is put forward
    /// or back on the way is followed: whatever it shows next is what counts.
    fn stretch(self, zone: Tz, from: Timestamp) -> Option<Quiet> {
        let mut at = from;
        while self.cover(wall(zone, at)) {
            let left = (self.to.minute * MINUTE_MS - wall(zone, at)).rem_euclid(DAY_MS);
            let end = Timestamp::from_millis(at.millis().saturating_add(left));
            at = clock_change(zone, at, end).unwrap_or(end);
        }
        (at > from).then_some(Quiet { until: at, zone })
    }
}

/// What a zone's wall clock shows, in milliseconds of its day.
fn wall(zone: Tz, at: Timestamp) -> i64 {
    at.millis().saturating_add(offset(zone, at)).rem_euclid(DAY_MS)
}

fn offset(zone: Tz, at: Timestamp) -> i64 {
    i64::from(zone.offset_from_utc_datetime(&at.to_utc().naive_utc()).fix().local_minus_utc()) * 1000
}

/// When a zone's clock is put forward or back, after one instant and not after another. No clock is changed twice in a day.
fn clock_change(zone: Tz, after: Timestamp, up_to: Timestamp) -> Option<Timestamp> {
    let before = offset(zone, after);
    if offset(zone, up_to) == before {
        return None;
    }
    let (mut old, mut new) = (after.millis(), up_to.millis());
    while new - old > 1 {
        let middle = old + (new - old) / 2;
        if offset(zone, Timestamp::from_millis(middle)) == before { old = middle } else { new = middle }
    }
    Some(Timestamp::from_millis(new))
}

/// The zones of a country; none if it is not in the table.
pub fn zones(country: Country) -> &'static [Tz] {
    static ZONES: LazyLock<BTreeMap<&str, Vec<Tz>>> = LazyLock::new(|| lines().collect());
    ZONES.get(&*country.code()).map_or(&[], Vec::as_slice)
}

/// The table of countries and zones, whose first lines say where it comes from.
fn lines() -> impl Iterator<Item = (&'static str, Vec<Tz>)> {
    let lines = include_str!("quiet/zones.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(country, zones)| {
        // A zone that the tables of clocks do not have is left out; a test sees that none is.
        (country, zones.split(' ').filter_map(|zone| zone.parse().ok()).collect())
    })
}

#[cfg(test)]
mod tests;
