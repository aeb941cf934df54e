//! What daylight saving makes of due times, in every zone that there is.

use chrono::{NaiveDate, NaiveTime, Offset as _};

use super::*;
use crate::domain::schedule::Schedule;

fn ts(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

#[test]
fn what_the_clocks_make_of_a_time_is_told() {
    let schedule = Schedule::cron("30 2 28,31 3,10 *", zone("Europe/Berlin")).unwrap();
    let told: Vec<String> = schedule
        .firings(ts("2027-03-01T00:00:00Z"), 4)
        .into_iter()
        .map(|firing| {
            let note = firing.note().map(|note| format!(": {note}"));
            format!("{}{}", local(firing.at, schedule.zone()), note.unwrap_or_default())
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    2027-03-28 03:00:00 +02:00: 02:30:00 does not exist there, as the clocks are put forward: it fires at the next time that does
    2027-03-31 02:30:00 +02:00
    2027-10-28 02:30:00 +02:00
    2027-10-31 02:30:00 +02:00: this time occurs twice, as the clocks are put back: it fires the first time
    ");
    let once = Schedule::once(ts("2027-03-28T01:00:00Z"), zone("Europe/Berlin"));
    assert_eq!(once.upcoming(ts("2027-01-01T00:00:00Z"), 5), [ts("2027-03-28T01:00:00Z")]);
    assert_eq!(once.firings(ts("2027-01-01T00:00:00Z"), 5)[0].note(), None, "nobody named a local time");
}

/// Every change of a zone's offset in these years, found by looking twice a day: the last instant before it, and by how much the
/// clocks are moved, in seconds.
fn changes(zone: Tz, years: std::ops::Range<i32>) -> Vec<(i64, i32)> {
    let offset = |second: i64| {
        zone.offset_from_utc_datetime(&chrono::DateTime::from_timestamp(second, 0).unwrap().naive_utc())
            .fix()
            .local_minus_utc()
    };
    let first = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_time(NaiveTime::MIN).and_utc().timestamp();
    let mut found = Vec::new();
    for begin in (first(years.start)..first(years.end)).step_by(43_200) {
        let (mut before, mut after) = (begin, begin + 43_200);
        if offset(before) == offset(after) {
            continue;
        }
        while after - before > 1 {
            let middle = before.midpoint(after);
            if offset(middle) == offset(begin) { before = middle } else { after = middle }
        }
        found.push((before, offset(after) - offset(before)));
    }
    found
}

/// In every zone that there is: what stands in a gap fires once, at its end; what occurs twice fires once, the first time; and a
/// daily time fires once on each of those days.
#[test]
fn every_change_of_every_zone_neither_skips_nor_repeats() {
    let (mut gaps, mut overlaps) = (0, 0);
    for zone in chrono_tz::TZ_VARIANTS {
        for (before, by) in changes(zone, 2026..2029) {
            let change = Timestamp::from_millis((before + 1) * 1000);
            // The wall clock's time in the middle of what is left out, or of what comes twice.
            let shown = chrono::DateTime::from_timestamp(before + 1, 0).unwrap().with_timezone(&zone).naive_local();
            let wall = shown - chrono::TimeDelta::seconds(i64::from(by) / 2);
            let at = Schedule::at(&[wall.format("%Y-%m-%dT%H:%M:%S").to_string()], zone).unwrap();
            let daily = Schedule::cron(&wall.format("%S %M %H * * *").to_string(), zone).unwrap();
            let from = change.minus(Duration::from_hours(30));
            let expected =
                if by > 0 { change } else { change.minus(Duration::from_secs(u64::from(by.unsigned_abs()) / 2)) };
            let what = format!("{zone} {wall} ({by} s at {change})");
            assert_eq!(at.upcoming(from, 3), [expected], "{what}");
            // A gap may reach over midnight: what stands in it belongs to the day that it was meant for.
            let day = |firing: &Firing| match firing.shift {
                Some(Shift::Gap(wall)) => wall.date(),
                Some(Shift::Twice) | None => firing.at.to_utc().with_timezone(&zone).date_naive(),
            };
            let days: Vec<NaiveDate> = daily.firings(from, 4).iter().map(day).collect();
            if by.abs() < 43_200 {
                assert!(days.windows(2).all(|pair| pair[0].succ_opt() == Some(pair[1])), "{what}: {days:?}");
            }
            assert!(daily.upcoming(from, 4).contains(&expected), "{what}");
            let shift = at.firings(from, 1)[0].shift;
            if by > 0 {
                gaps += 1;
                assert_eq!(shift, Some(Shift::Gap(wall)), "{what}");
            } else {
                overlaps += 1;
                assert_eq!(shift, Some(Shift::Twice), "{what}");
            }
        }
    }
    assert!(gaps > 300 && overlaps > 300, "{gaps} gaps and {overlaps} overlaps: the table of zones has changed");
}
