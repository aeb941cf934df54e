//! What a schedule promises, as tables and properties against the time zone database.

use std::collections::HashSet;

use chrono::{Days, NaiveDate, NaiveTime, TimeZone as _};
use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn ts(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

fn utc(expression: &str) -> Schedule {
    Schedule::cron(expression, Tz::UTC).unwrap()
}

/// The next times, in the zone's own time.
fn local(schedule: &Schedule, after: &str, n: usize) -> Vec<String> {
    let shown =
        |time: Timestamp| time.to_utc().with_timezone(&schedule.zone).format("%a %Y-%m-%dT%H:%M:%S%:z").to_string();
    schedule.upcoming(ts(after), n).into_iter().map(shown).collect()
}

#[test]
fn weekdays_are_crontabs_in_every_form() {
    for (field, days) in [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("MON", "Mon"),
        ("saturday", "Sat"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("5-7", "Fri Sat Sun"),
        ("FRI-mon", "Fri Sat Sun Mon"),
        ("SAT-SUN", "Sat Sun"),
        ("0,3,6", "Wed Sat Sun"),
        ("1-5/2", "Mon Wed Fri"),
        ("*/2", "Tue Thu Sat Sun"),
        ("2/2", "Tue Thu Sat"),
        ("7-1,WED", "Wed Sun Mon"),
        ("?", "Tue Wed Thu Fri Sat Sun Mon"),
        ("0-7", "Tue Wed Thu Fri Sat Sun Mon"),
    ] {
        let wanted: HashSet<&str> = days.split(' ').collect();
        for expression in [format!("0 9 * * {field}"), format!("0 0 9 * * {field}"), format!("0 0 9 * * {field} *")] {
            // From a Monday night on: seven days.
            let week = local(&utc(&expression), "2026-12-07T12:00:00Z", wanted.len());
            let got: HashSet<&str> = week.iter().map(|time| &time[..3]).collect();
            assert_eq!(got, wanted, "{expression}");
        }
    }
}

#[test]
fn expressions_fire_when_they_say() {
    for (expression, times) in [
        ("30 14 * * *", ["Tue 2026-12-01T14:30:00+00:00", "Wed 2026-12-02T14:30:00+00:00"]),
        ("15,45 8-9 * * *", ["Tue 2026-12-01T08:15:00+00:00", "Tue 2026-12-01T08:45:00+00:00"]),
        ("*/20 * * * * *", ["Tue 2026-12-01T00:00:20+00:00", "Tue 2026-12-01T00:00:40+00:00"]),
        ("0 0 9 1 JAN ? 2028", ["Sat 2028-01-01T09:00:00+00:00", ""]),
        ("0 9 29 2 *", ["Tue 2028-02-29T09:00:00+00:00", "Sun 2032-02-29T09:00:00+00:00"]),
        ("0 9 13 * FRI", ["Fri 2026-12-04T09:00:00+00:00", "Fri 2026-12-11T09:00:00+00:00"]),
        ("0 9 3 * FRI", ["Thu 2026-12-03T09:00:00+00:00", "Fri 2026-12-04T09:00:00+00:00"]),
        ("0 9 */2 * FRI", ["Fri 2026-12-11T09:00:00+00:00", "Fri 2026-12-25T09:00:00+00:00"]),
        ("@monthly", ["Fri 2027-01-01T00:00:00+00:00", "Mon 2027-02-01T00:00:00+00:00"]),
    ] {
        let wanted: Vec<&str> = times.into_iter().filter(|time| !time.is_empty()).collect();
        assert_eq!(local(&utc(expression), "2026-12-01T00:00:00Z", 2), wanted, "{expression}");
    }
}

#[test]
fn errors_name_the_field_and_what_it_may_hold() {
    let expressions = [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * 1-9",
        "* * * * MO",
        "x * * * *",
        "61 * * * * *",
        "* * * * * * 1969",
        "0 0 30 2 *",
        "0 0 L * *",
        "0 0 * * 1#2",
        "5-1 * * * *",
        "*/0 * * * *",
        "* * * * */0",
        "1,,2 * * * *",
        "@noon",
    ];
    let errors = expressions.map(|expression| Schedule::cron(expression, Tz::UTC).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"), @r#"
"" has 0 fields: expected 5 (minute, hour, day of the month, month, day of the week), 6 (a second before them) or 7 (a year after them)
"* * * *" has 4 fields: expected 5 (minute, hour, day of the month, month, day of the week), 6 (a second before them) or 7 (a year after them)
"60" cannot stand for the minute: expected 0 to 59, a range, list or step of them, or *
"24" cannot stand for the hour: expected 0 to 23, a range, list or step of them, or *
"0" cannot stand for the day of the month: expected 1 to 31, a range, list or step of them, or *
"13" cannot stand for the month: expected 1 to 12 or JAN to DEC, a range, list or step of them, or *
"8" cannot stand for the day of the week: expected SUN to SAT or 0 to 7 (0 and 7 are Sunday), a range, list or step of them, or *
"1-9" cannot stand for the day of the week: expected SUN to SAT or 0 to 7 (0 and 7 are Sunday), a range, list or step of them, or *
"MO" cannot stand for the day of the week: expected SUN to SAT or 0 to 7 (0 and 7 are Sunday), a range, list or step of them, or *
"x" cannot stand for the minute: expected 0 to 59, a range, list or step of them, or *
"61" cannot stand for the second: expected 0 to 59, a range, list or step of them, or *
"1969" cannot stand for the year: expected 1970 to 2100, a range, list or step of them, or *
"0 0 30 2 *" never fires: there is no such date from 1970 to 2100
"L" cannot stand for the day of the month: expected 1 to 31, a range, list or step of them, or *
"1#2" cannot stand for the day of the week: expected SUN to SAT or 0 to 7 (0 and 7 are Sunday), a range, list or step of them, or *
"5-1" cannot stand for the minute: expected 0 to 59, a range, list or step of them, or *
"*/0" cannot stand for the minute: expected 0 to 59, a range, list or step of them, or *
"*/0" cannot stand for the day of the week: expected SUN to SAT or 0 to 7 (0 and 7 are Sunday), a range, list or step of them, or *
"1,,2" cannot stand for the minute: expected 0 to 59, a range, list or step of them, or *
"@noon" has 1 fields: expected 5 (minute, hour, day of the month, month, day of the week), 6 (a second before them) or 7 (a year after them)
"#);
    let times = [
        "2026-12-01",
        "2026-12-01T09:00Z",
        "2026-12-01T09:00+01:00",
        "2026-02-30T09:00",
        "1969-01-01T00:00",
        "tomorrow",
    ];
    let errors = times.map(|time| Schedule::at(&[time.to_owned()], Tz::UTC).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"), @r#"
"2026-12-01" is not a local time: expected a date and a time from 1970 to 2100, like "2026-12-01T09:00", without an offset (the time zone is the configuration's)
"2026-12-01T09:00Z" is not a local time: expected a date and a time from 1970 to 2100, like "2026-12-01T09:00", without an offset (the time zone is the configuration's)
"2026-12-01T09:00+01:00" is not a local time: expected a date and a time from 1970 to 2100, like "2026-12-01T09:00", without an offset (the time zone is the configuration's)
"2026-02-30T09:00" is not a local time: expected a date and a time from 1970 to 2100, like "2026-12-01T09:00", without an offset (the time zone is the configuration's)
"1969-01-01T00:00" is not a local time: expected a date and a time from 1970 to 2100, like "2026-12-01T09:00", without an offset (the time zone is the configuration's)
"tomorrow" is not a local time: expected a date and a time from 1970 to 2100, like "2026-12-01T09:00", without an offset (the time zone is the configuration's)
"#);
    assert_eq!(Schedule::at(&[], Tz::UTC), Err(NotASchedule::NoTimes));
}

#[test]
fn daylight_saving_neither_skips_nor_repeats() {
    for (name, expression, after, times) in [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            vec!["Sun 2026-03-29T03:00:00+02:00", "Mon 2026-03-30T02:30:00+02:00"],
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            vec!["Sun 2026-10-25T02:30:00+02:00", "Mon 2026-10-26T02:30:00+01:00"],
        ),
        (
            "Europe/Berlin",
            "*/30 * * * *",
            "2026-03-29T00:30:00Z",
            vec!["Sun 2026-03-29T03:00:00+02:00", "Sun 2026-03-29T03:30:00+02:00"],
        ),
        ("Europe/Berlin", "*/30 * * * *", "2026-10-25T00:30:00Z", vec!["Sun 2026-10-25T03:00:00+01:00"]),
        (
            "America/New_York",
            "15 2 * * *",
            "2026-03-08T05:00:00Z",
            vec!["Sun 2026-03-08T03:00:00-04:00", "Mon 2026-03-09T02:15:00-04:00"],
        ),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T00:00:00Z",
            vec!["Sun 2026-10-04T02:30:00+11:00", "Mon 2026-10-05T02:15:00+11:00"],
        ),
        (
            "Africa/Cairo",
            "0 0 * * *",
            "2026-04-23T00:00:00Z",
            vec!["Fri 2026-04-24T01:00:00+03:00", "Sat 2026-04-25T00:00:00+03:00"],
        ),
        (
            "Pacific/Apia",
            "30 9 * * *",
            "2011-12-30T00:00:00Z",
            vec!["Sat 2011-12-31T00:00:00+14:00", "Sat 2011-12-31T09:30:00+14:00"],
        ),
    ] {
        let schedule = Schedule::cron(expression, zone(name)).unwrap();
        assert_eq!(local(&schedule, after, times.len()), times, "{name} {expression}");
    }
    // Two listed times of which one does not exist become one instant, and fire once.
    let listed = ["2026-03-29 03:00".to_owned(), "2026-03-29T02:30:00".to_owned(), "2026-10-25T02:30".to_owned()];
    let schedule = Schedule::at(&listed, zone("Europe/Berlin")).unwrap();
    let times = ["Sun 2026-03-29T03:00:00+02:00", "Sun 2026-10-25T02:30:00+02:00"];
    assert_eq!(local(&schedule, "2026-01-01T00:00:00Z", 5), times);
}

#[test]
fn what_was_missed_fires_once_or_is_recorded() {
    let hourly = utc("0 * * * *");
    let at = |hour: u32| ts(&format!("2026-12-01T{hour:02}:00:00Z"));
    let missed =
        |hours: &[u32]| Some(Missed { first: at(*hours.first()?), last: at(*hours.last()?), count: hours.len() });
    for (now, grace, due) in [
        (at(9), HOUR, Due::Nothing { next: Some(at(10)) }),
        (ts("2026-12-01T09:59:59.999Z"), HOUR, Due::Nothing { next: Some(at(10)) }),
        (at(10), HOUR, Due::Fire { at: at(10), missed: missed(&[]) }),
        (ts("2026-12-01T10:00:59Z"), Duration::ZERO, Due::Fire { at: at(10), missed: missed(&[]) }),
        (ts("2026-12-01T10:30:00Z"), Duration::ZERO, Due::Missed(missed(&[10]).unwrap())),
        (ts("2026-12-01T12:30:00Z"), HOUR, Due::Fire { at: at(12), missed: missed(&[10, 11]) }),
        (ts("2026-12-01T12:30:00Z"), HOUR / 3, Due::Missed(missed(&[10, 11, 12]).unwrap())),
        (at(3), HOUR, Due::Nothing { next: Some(at(10)) }),
    ] {
        let got = hourly.due(at(9), now, grace);
        assert_eq!(got, due, "{now} {grace:?}");
        let settled = got.settles().unwrap_or(at(9));
        assert_eq!(hourly.due(settled, now, grace).settles(), None, "a second look finds nothing");
    }
}

#[test]
fn a_year_of_missed_minutes_is_not_walked_through() {
    let (start, now) = (ts("2026-01-01T00:00:00Z"), ts("2027-01-01T00:00:30Z"));
    let Due::Fire { at, missed: Some(missed) } = utc("* * * * *").due(start, now, HOUR) else {
        panic!("nothing fires")
    };
    assert_eq!((at, missed.count), (ts("2027-01-01T00:00:00Z"), MISSED_COUNTED));
    assert_eq!((missed.first, missed.last), (ts("2026-01-01T00:01:00Z"), ts("2026-12-31T23:59:00Z")));
    let told = missed.in_words(Tz::UTC, HOUR, Some(at));
    assert_eq!(
        told,
        "missed: 20,000 due times or more, from 2026-01-01 00:01:00 +00:00 to 2026-12-31 23:59:00 +00:00 (UTC), herald was not running; the one at 2027-01-01 00:00:00 +00:00 fired in their place"
    );
    let once = Schedule::at(&["2026-12-01T09:00".to_owned()], Tz::UTC).unwrap();
    assert_eq!(once.due(now, now, HOUR), Due::Nothing { next: None });
    let Due::Missed(missed) = once.due(start, now, HOUR) else { panic!("it is a month too late") };
    assert_eq!((missed.first, missed.last, missed.count), (ts("2026-12-01T09:00:00Z"), missed.first, 1));
    let told = missed.in_words(zone("Europe/Berlin"), HOUR, None);
    assert_eq!(told, "missed: due at 2026-12-01 10:00:00 +01:00 (Europe/Berlin), herald was not running; grace 1h");
}

/// Whether crontab would fire on this day, written down a second time.
fn matches(day: NaiveDate, of_month: Option<u32>, of_week: Option<u32>) -> bool {
    let month = of_month.map(|wanted| day.day() == wanted);
    let week = of_week.map(|wanted| day.weekday().num_days_from_sunday() == wanted % 7);
    match (month, week) {
        (Some(month), Some(week)) => month || week,
        (month, week) => month.or(week).unwrap_or(true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_daily_time_fires_exactly_once_a_day(
        name in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo", "Africa/Cairo"]),
        minute in prop_oneof![0u32..1440, 0u32..200], year in 2020i32..2036,
    ) {
        let zone = zone(name);
        let wall = NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
        let schedule = Schedule::cron(&format!("{} {} * * *", minute % 60, minute / 60), zone).unwrap();
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let start = zone.from_local_datetime(&first.and_time(NaiveTime::MIN)).unwrap().to_utc();
        for (number, time) in schedule.upcoming(Timestamp::from(start).minus(Duration::from_millis(1)), 366).into_iter().enumerate() {
            let (got, day) = (time.to_utc().with_timezone(&zone).naive_local(), first + Days::new(number as u64));
            prop_assert_eq!(got.date(), day);
            let before = time.minus(Duration::from_millis(1)).to_utc().with_timezone(&zone).naive_local();
            if got.time() == wall {
                let all = zone.from_local_datetime(&got);
                prop_assert_eq!(all.earliest().map(|t| t.to_utc().into()), Some(time));
            } else {
                prop_assert!(before < day.and_time(wall) && day.and_time(wall) < got, "{before} {got}");
            }
        }
    }

    #[test]
    fn days_are_crontabs(
        of_month in prop::option::of(1u32..32), of_week in prop::option::of(0u32..8), offset in 0u64..2_000, seconds in 0i64..86_400,
    ) {
        let star = |field: Option<u32>| field.map_or("*".to_owned(), |number| number.to_string());
        let schedule = utc(&format!("0 9 {} * {}", star(of_month), star(of_week)));
        let day = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + Days::new(offset);
        let after = Timestamp::from_millis(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis() + seconds * 1000);
        let days = day.iter_days().filter(|day| matches(*day, of_month, of_week));
        let times = days.map(|day| day.and_hms_opt(9, 0, 0).unwrap().and_utc().into()).filter(|time: &Timestamp| *time > after);
        prop_assert_eq!(schedule.upcoming(after, 8), times.take(8).collect::<Vec<_>>());
    }

    #[test]
    fn one_look_finds_what_many_find(
        every in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "*/25 * * * * *"]),
        start in 1_760_000_000i64..1_800_000_000, seconds in prop_oneof![0i64..100, 0i64..10_000, 0i64..1_000_000], grace in 0u64..10_000,
    ) {
        let schedule = Schedule::cron(every, zone("Europe/Berlin")).unwrap();
        let (last, now) = (Timestamp::from_millis(start * 1000), Timestamp::from_millis((start + seconds) * 1000));
        let all: Vec<Timestamp> = std::iter::successors(schedule.next_after(last), |t| schedule.next_after(*t)).take_while(|t| *t <= now).collect();
        prop_assert!(all.is_sorted_by(|a, b| a < b));
        let due = schedule.due(last, now, Duration::from_secs(grace));
        prop_assert_eq!(due.settles(), all.last().copied());
        if let Due::Fire { at, .. } = due {
            prop_assert!(now.since(at) <= Duration::from_secs(grace).max(LEAST_GRACE));
        }
    }

    #[test]
    fn no_text_and_no_time_panics(text in "[-0-9*,/?A-Za-z# ]{0,24}", fields in prop::collection::vec("[-0-9*,/?L#]{1,5}", 5..8), at: i64) {
        for expression in [text.clone(), fields.join(" ")] {
            if let Ok(schedule) = Schedule::cron(&expression, zone("Africa/Cairo")) {
                schedule.upcoming(Timestamp::from_millis(at), 3);
                schedule.due(Timestamp::from_millis(at), Timestamp::from_millis(at.saturating_add(1)), HOUR);
            }
        }
        let _schedule = Schedule::at(&[text], Tz::UTC);
    }
}
