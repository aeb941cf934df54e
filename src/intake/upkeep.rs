//! Upkeep: first slices of runs are decided on when their time has come; uploads whose process has vanished are failed in words and cleared away, so that the file can be sent again; the runs
//! of days that are over take in no more, and are completed.

use std::time::Duration;

use chrono::{Days, TimeZone as _};
use chrono_tz::Tz;

use crate::{
    book::Books,
    domain::{definition::Organization, time::Timestamp},
    store::{Store, StoreError, canary::Decided, imports::Day, lanes::LaneKind},
};

/// An upload to which nothing was added for so long has been left. A live one adds a chunk every second or so.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What an operator reads.
const WHY: &str = "taking the file in broke off, and nothing was sent: send it again";
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;

/// The loop that tidies up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
}

impl Upkeep {
    /// Looks where there may be something. How many transactions left something to do.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = self.store.due_work(now, LANES).await?;
        let mut done = 0;
        for work in due.into_iter().filter(|work| work.kind == LaneKind::Upkeep) {
            let Some(book) = self.books.current(&work.org).await? else { continue };
            for (run, decided) in self.store.look_at_canaries(&work.org, now).await? {
                match decided {
                    Decided::Released => {
                        tracing::info!(org = %work.org, %run, "the canary is good; the rest is released")
                    }
                    Decided::Paused(why) => tracing::warn!(org = %work.org, %run, why, "the canary pauses its run"),
                }
            }
            done += usize::from(tidy_some(&self.store, &book.organization, now).await?);
        }
        Ok(done)
    }
}

/// Tidies up after one organization, wholly.
pub async fn tidy(store: &Store, organization: &Organization, now: Timestamp) -> Result<(), StoreError> {
    while tidy_some(store, organization, now).await? {}
    Ok(())
}

async fn tidy_some(store: &Store, organization: &Organization, now: Timestamp) -> Result<bool, StoreError> {
    let org = &organization.id;
    let tidied = store.tidy(org, PATIENCE, WHY, day_of(organization, now), now).await?;
    for run in &tidied.failed {
        tracing::warn!(%org, %run, "an upload had been left half taken in; it has failed, and its file can be sent again");
    }
    Ok(tidied.more)
}

/// The day that an instant lies in, where the organization is.
pub fn day_of(organization: &Organization, now: Timestamp) -> Day {
    let zone = organization.timezone;
    let today = now.to_utc().with_timezone(&zone).date_naive();
    let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
    Day { began: midnight(zone, today), ends: midnight(zone, tomorrow) }
}

/// The first instant of a day: where the clock is put forward at midnight, that is an hour later.
fn midnight(zone: Tz, day: chrono::NaiveDate) -> Timestamp {
    let instants = (0..4).filter_map(|hour| zone.from_local_datetime(&day.and_hms_opt(hour, 0, 0)?).earliest());
    instants.map(|at| Timestamp::from(at.to_utc())).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_as_long_as_it_is_there() {
        let hours = |zone: &str, instant: &str| {
            let text = format!("id = \"a\"\nname = \"A\"\ntimezone = \"{zone}\"");
            let organization: Organization = toml::from_str(&text).unwrap();
            let now = Timestamp::from(instant.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
            let day = day_of(&organization, now);
            assert!(day.began <= now && now < day.ends, "{zone} {instant}");
            (day.ends.since(day.began).as_secs() / 3600, day.began.to_string())
        };
        assert_eq!(hours("Europe/Berlin", "2026-11-20T22:59:59Z"), (24, "2026-11-19T23:00:00.000Z".into()));
        assert_eq!(hours("Europe/Berlin", "2026-11-20T23:00:00Z"), (24, "2026-11-20T23:00:00.000Z".into()));
        assert_eq!(hours("Europe/Berlin", "2026-03-29T12:00:00Z").0, 23);
        assert_eq!(hours("Europe/Berlin", "2026-10-25T12:00:00Z").0, 25);
        // In Cairo the clock is put forward at midnight: the day begins at one.
        assert_eq!(hours("Africa/Cairo", "2026-04-24T12:00:00Z"), (23, "2026-04-23T22:00:00.000Z".into()));
    }
}
