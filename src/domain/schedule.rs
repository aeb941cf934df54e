//! When a scheduled configuration fires: at listed local times, by a cron expression, or so long after it was said, in an IANA time
//! zone (SPEC 4).
//!
//! Everything is reckoned on the wall clock first and made an instant afterwards. A local time that does not exist fires at
//! the next that does; one that occurs twice fires the first time; two that become the same instant fire once. So an
//! "every minute" schedule is silent through the hour that occurs twice. That a due time fires once however many
//! schedulers run is the store's business; this file only says what is due.

mod crontab;
mod firing;

use std::time::Duration;

use chrono::{Datelike, NaiveDateTime};
use chrono_tz::Tz;

use super::time::Timestamp;
pub use firing::{Firing, Shift, local};

/// The years in which a schedule fires, for the tables of time zones and the `cron` crate end there.
pub const YEARS: std::ops::RangeInclusive<i32> = 1970..=2100;

/// The grace that always applies, however short the configured one: a scheduler that looks a moment late has missed nothing.
pub const LEAST_GRACE: Duration = Duration::from_secs(60);

/// The most missed times that are counted one by one.
pub const MISSED_COUNTED: usize = 20_000;

/// The first instant of 2102, after which nothing is due in any zone.
const END: Timestamp = Timestamp::from_millis(4_165_516_800_000);

/// When a configuration fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    times: Times,
    zone: Tz,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Times {
    /// Once at each of these; ascending.
    At(Vec<Firing>),
    /// Whenever one of these matches the wall clock. There are two where crontab says "either day matches".
    Cron(Vec<cron::Schedule>),
}

/// A text that is not a schedule, and what would be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotASchedule {
    /// An empty list of times.
    #[error("no time is given: expected at least one, like \"2026-12-01T09:00\"")]
    NoTimes,
    /// A listed time that cannot be read.
    #[error(
        "\"{0}\" is not a local time: expected a date and a time from 1970 to 2100, like \"2026-12-01T09:00\", without an offset (the time zone is the configuration's)"
    )]
    Time(String),
    /// The wrong number of fields.
    #[error(
        "\"{expression}\" has {found} fields: expected 5 (minute, hour, day of the month, month, day of the week), 6 (a second before them) or 7 (a year after them)"
    )]
    Fields {
        /// The whole expression.
        expression: String,
        /// How many fields it has.
        found: usize,
    },
    /// One field that cannot be read.
    #[error("\"{given}\" cannot stand for the {field}: expected {expected}, a range, list or step of them, or *")]
    Field {
        /// Which field.
        field: &'static str,
        /// What stands there.
        given: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// An expression that matches no date at all, like the 30th of February.
    #[error("\"{0}\" never fires: there is no such date from 1970 to 2100")]
    Never(String),
}

/// The times that were due and did not fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many there are, up to [`MISSED_COUNTED`].
    pub count: usize,
}

/// What a scheduler has to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing, until then; for ever, if `None`.
    Nothing {
        /// The next due time.
        next: Option<Timestamp>,
    },
    /// Fire once, as the run of `at`, and record the others.
    Fire {
        /// The latest due time, no older than the grace.
        at: Timestamp,
        /// The earlier ones that came due since the last look. None, as a rule.
        missed: Option<Missed>,
    },
    /// Record these and fire nothing: they are all older than the grace.
    Missed(Missed),
}

impl Due {
    /// The last due time that is dealt with once this is done: `last_fired` of the next look. `None`: unchanged.
    pub fn settles(&self) -> Option<Timestamp> {
        match self {
            Self::Nothing { .. } => None,
            Self::Fire { at, .. } => Some(*at),
            Self::Missed(missed) => Some(missed.last),
        }
    }
}

impl Schedule {
    /// Once at each of these local times: `2026-12-01T09:00`, also with seconds, or with a blank for the `T`.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub fn at(times: &[String], zone: Tz) -> Result<Self, NotASchedule> {
        let mut instants = Vec::with_capacity(times.len());
        for text in times {
            let wall = wall_time(text).ok_or_else(|| NotASchedule::Time(text.clone()))?;
            instants.push(Firing::of(wall, zone).ok_or_else(|| NotASchedule::Time(text.clone()))?);
        }
        instants.sort_unstable_by_key(|firing| firing.at);
        instants.dedup_by_key(|firing| firing.at);
        if instants.is_empty() { Err(NotASchedule::NoTimes) } else { Ok(Self { times: Times::At(instants), zone }) }
    }

    /// Once, at this instant.
    pub fn once(at: Timestamp, zone: Tz) -> Self {
        Self { times: Times::At(vec![Firing { at, shift: None }]), zone }
    }

    /// By a cron expression of 5 fields, 6 (seconds first) or 7 (years last), or one of crontab's names like `@daily`.
    ///
    /// Whatever the number of fields, it means what crontab(5) says: days of the week count from 0 (or 7), Sunday; and
    /// if both the day of the month and the day of the week are restricted (do not begin with `*` or `?`), a day on
    /// which **either** matches will do. The `cron` crate alone counts from 1 and wants both.
    ///
    /// # Errors
    /// If a field cannot be read, or no date can ever match.
    pub fn cron(expression: &str, zone: Tz) -> Result<Self, NotASchedule> {
        let times = Times::Cron(crontab::read(expression)?);
        let schedule = Self { times, zone };
        let never = || NotASchedule::Never(expression.to_owned());
        schedule.next_after(Timestamp::from_millis(i64::MIN)).map(|_| schedule).ok_or_else(never)
    }

    /// The first due time after this instant, or `None` if there is none up to the end of [`YEARS`].
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.next_firing(after).map(|firing| firing.at)
    }

    fn next_firing(&self, after: Timestamp) -> Option<Firing> {
        match &self.times {
            Times::At(times) => times.get(times.partition_point(|time| time.at <= after)).copied(),
            Times::Cron(schedules) => {
                let next = schedules.iter().filter_map(|one| next_match(one, self.zone, after));
                next.min_by_key(|firing| firing.at)
            }
        }
    }

    /// The first `n` firings after this instant, each with what the clocks make of it.
    pub fn firings(&self, after: Timestamp, n: usize) -> Vec<Firing> {
        std::iter::successors(self.next_firing(after), |firing| self.next_firing(firing.at)).take(n).collect()
    }

    /// The zone that its times are in.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first `n` due times after this instant, ascending; fewer if there are no more.
    pub fn upcoming(&self, after: Timestamp, n: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(after), |time| self.next_after(*time)).take(n).collect()
    }

    /// What to do now, `last_fired` being the last due time that was dealt with (fired or recorded as missed), or the
    /// time since which the schedule is in force.
    ///
    /// A time missed while nobody looked fires if it is no older than `grace` or [`LEAST_GRACE`]; of several only the
    /// latest fires. If the clock was set back, nothing fires a second time.
    pub fn due(&self, last_fired: Timestamp, now: Timestamp, grace: Duration) -> Due {
        let next = self.next_after(last_fired);
        let Some(latest) = next.filter(|next| *next <= now).and_then(|_| self.latest(last_fired, now)) else {
            return Due::Nothing { next };
        };
        if latest >= now.minus(grace.max(LEAST_GRACE)) {
            return Due::Fire { at: latest, missed: self.missed(last_fired, latest.minus(Duration::from_millis(1))) };
        }
        self.missed(last_fired, latest).map_or(Due::Nothing { next }, Due::Missed)
    }

    fn missed(&self, after: Timestamp, up_to: Timestamp) -> Option<Missed> {
        let next = |time: Timestamp| self.next_after(time).filter(|next| *next <= up_to);
        let first = next(after)?;
        let count = std::iter::successors(Some(first), |time| next(*time)).take(MISSED_COUNTED).count();
        Some(Missed { first, last: self.latest(after, up_to).unwrap_or(first), count })
    }

    /// The last due time after one instant and up to another. Looks back twice as far each time, so that a year of
    /// missed minutes is not walked through.
    fn latest(&self, after: Timestamp, up_to: Timestamp) -> Option<Timestamp> {
        let mut back = Duration::from_secs(1);
        loop {
            let from = up_to.minus(back).max(after);
            let next = |time: Timestamp| self.next_after(time).filter(|next| *next <= up_to);
            let found = std::iter::successors(next(from), |time| next(*time)).last();
            if found.is_some() || from == after {
                return found;
            }
            back = back.saturating_mul(2);
        }
    }
}

/// The first time after `after` at which the wall clock matches. Later wall times never become earlier instants, so the
/// first match that is late enough is the earliest.
fn next_match(schedule: &cron::Schedule, zone: Tz, after: Timestamp) -> Option<Firing> {
    if after >= END {
        return None;
    }
    let after = after.max(Timestamp::from_millis(-1));
    let wall = after.to_utc().with_timezone(&zone).naive_local().and_utc();
    schedule.after(&wall).filter_map(|wall| Firing::of(wall.naive_utc(), zone)).find(|firing| firing.at > after)
}

fn wall_time(text: &str) -> Option<NaiveDateTime> {
    let forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"];
    let read = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text.trim(), form).ok());
    read.filter(|wall| YEARS.contains(&wall.year()))
}

#[cfg(test)]
mod tests;
