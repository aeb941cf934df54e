//! Tables of nights, and properties over all zones and all clock changes.

use proptest::{prelude::*, sample::select};

use super::*;
use crate::domain::phone::E164;

fn hours(from: &str, to: &str) -> QuietHours {
    QuietHours { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

fn number(text: &str) -> E164 {
    E164::parse(text, None).unwrap()
}

const BERLIN: Tz = Tz::Europe__Berlin;
const NEW_YORK: Tz = Tz::America__New_York;

#[test]
fn a_wait_ends_when_the_wall_clock_says_so() {
    let night = || hours("21:00", "08:00");
    for (hours, zone, now, until) in [
        (night(), BERLIN, "2026-11-20T20:00:00Z", Some("2026-11-21T07:00:00Z")), // 21:00 sharp is quiet
        (night(), BERLIN, "2026-11-20T19:59:59Z", None),
        (night(), BERLIN, "2026-11-21T02:00:00Z", Some("2026-11-21T07:00:00Z")),
        (night(), BERLIN, "2026-11-21T07:00:00Z", None), // 08:00 sharp is not
        (night(), NEW_YORK, "2026-11-20T20:00:00Z", None),
        (night(), NEW_YORK, "2026-11-21T03:00:00Z", Some("2026-11-21T13:00:00Z")),
        (hours("12:00", "14:00"), BERLIN, "2026-11-20T11:30:00Z", Some("2026-11-20T13:00:00Z")),
        (hours("12:00", "14:00"), BERLIN, "2026-11-20T13:30:00Z", None),
        (hours("09:00", "09:00"), BERLIN, "2026-11-20T08:00:00Z", None), // no time at all
        // The night in which clocks go forward is an hour shorter, the one in which they go back an hour longer.
        (night(), BERLIN, "2027-03-27T20:00:00Z", Some("2027-03-28T06:00:00Z")),
        (night(), BERLIN, "2026-10-24T19:00:00Z", Some("2026-10-25T07:00:00Z")),
        // An end that the clock skips (02:30 is never shown): whatever it shows next.
        (hours("22:00", "02:30"), BERLIN, "2027-03-27T22:00:00Z", Some("2027-03-28T01:00:00Z")),
        // An end that is shown twice ends both times: between them it is quiet once more.
        (hours("22:00", "02:30"), BERLIN, "2026-10-24T22:00:00Z", Some("2026-10-25T00:30:00Z")),
        (hours("22:00", "02:30"), BERLIN, "2026-10-25T00:45:00Z", None),
        (hours("22:00", "02:30"), BERLIN, "2026-10-25T01:00:00Z", Some("2026-10-25T01:30:00Z")),
        // A beginning that is shown twice: the clock goes back to before it.
        (hours("02:30", "08:00"), BERLIN, "2026-10-25T00:45:00Z", Some("2026-10-25T01:00:00Z")),
    ] {
        let found = quiet_until(hours, &[zone], at(now)).unwrap();
        assert_eq!(
            found.map(|quiet| quiet.until.to_string()),
            until.map(|until| at(until).to_string()),
            "{now} {zone}"
        );
    }
}

#[test]
fn whose_clocks_count() {
    let night = hours("21:00", "08:00");
    let quiet = |own: Option<Tz>, to: &str, hours, now: &str| {
        let clocks = Clocks { own, country: number(to).country(), organization: BERLIN };
        clocks.quiet(hours, at(now)).map(|quiet| quiet.to_string())
    };
    let (evening, morning) = ("2026-11-20T21:00:00Z", "2026-11-21T13:30:00Z");
    let berlin = Some("quiet hours in Europe/Berlin until 2026-11-21 08:00".to_owned());
    assert_eq!(quiet(None, "+4915155500001", night, evening), berlin);
    assert_eq!(
        quiet(Some(Tz::Asia__Tokyo), "+4915155500001", night, "2026-11-21T02:00:00Z"),
        None,
        "its own zone first"
    );
    assert_eq!(quiet(None, "+14255550100", night, evening), None, "it is afternoon in all of the country");
    // Morning in New York is night in the Aleutians: the country as a whole is still quiet.
    let aleutians = "quiet hours in America/Adak until 2026-11-21 08:00";
    assert_eq!(quiet(None, "+14255550100", night, morning).as_deref(), Some(aleutians));
    assert_eq!(quiet(Some(NEW_YORK), "+14255550100", night, morning), None);
    // With these hours it is always quiet somewhere in the country; and no country has this number.
    assert_eq!(
        quiet(None, "+14255550100", hours("16:00", "12:00"), morning),
        berlin_at("2026-11-21 14:30", "16:00", "12:00")
    );
    assert_eq!(quiet(None, "+80012345678", night, evening), berlin);
}

/// What the organization's own clock says, which shows that time.
fn berlin_at(local: &str, from: &str, to: &str) -> Option<String> {
    let wall = chrono::NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap();
    let now = BERLIN.from_local_datetime(&wall).unwrap().to_utc().into();
    quiet_until(hours(from, to), &[BERLIN], now).unwrap().map(|quiet| quiet.to_string())
}

#[test]
fn every_line_of_the_table_is_read() {
    let text: Vec<&str> = include_str!("zones.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert!(text.len() > 240, "{}", text.len());
    for (line, (country, zones)) in text.iter().zip(lines()) {
        assert_eq!(line.split(' ').count(), 1 + zones.len(), "a zone is not known: {line}");
        // Two of the table's codes are not among those that numbers have: they are looked up by nobody.
        if !["AQ", "BV", "GS", "HM", "PN", "TF", "UM"].contains(&country) {
            let known: Country = country.parse().unwrap();
            assert_eq!(super::zones(known), zones, "{line}");
        }
    }
    assert_eq!(super::zones("DE".parse().unwrap())[0], BERLIN);
    assert!(super::zones("US".parse().unwrap()).len() > 20);
}

#[test]
fn times_of_the_day_are_read_and_shown() {
    for (text, shown) in [("21:00", "21:00"), (" 8:05 ", "08:05"), ("00:00", "00:00"), ("23:59", "23:59")] {
        assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), shown);
    }
    for text in ["", "21", "24:00", "12:60", "12:5", "-1:00", "+1:00", "9 pm", "12:00:00", "123:00"] {
        assert_eq!(text.parse::<TimeOfDay>(), Err(NotATimeOfDay(text.to_owned())));
    }
}

fn any_hours() -> impl Strategy<Value = QuietHours> {
    let time = || (0i64..1440).prop_map(|minute| TimeOfDay { minute });
    (time(), time()).prop_map(|(from, to)| QuietHours { from, to })
}

/// Half of them within two days of a clock change in Europe or America.
fn any_now() -> impl Strategy<Value = Timestamp> {
    let year = 1_795_000_000_000i64..1_840_000_000_000;
    let near =
        (select(vec!["2026-10-25", "2026-11-01", "2027-03-14", "2027-03-28", "2027-04-04"]), -DAY_MS..2 * DAY_MS);
    let near = near.prop_map(|(day, by)| at(&format!("{day}T00:00:00Z")).millis() + by);
    prop_oneof![year, near].prop_map(Timestamp::from_millis)
}

fn any_zones() -> impl Strategy<Value = Vec<Tz>> {
    let known = [BERLIN, NEW_YORK, Tz::Australia__Lord_Howe, Tz::Asia__Kathmandu, Tz::America__St_Johns, Tz::UTC];
    prop::collection::vec(prop_oneof![select(known.to_vec()), select(chrono_tz::TZ_VARIANTS.to_vec())], 1..4)
}

fn is_quiet(hours: QuietHours, zones: &[Tz], at: Timestamp) -> bool {
    zones.iter().any(|zone| {
        use chrono::Timelike as _;
        let local = at.to_utc().with_timezone(zone).time();
        let minute = i64::from(local.hour() * 60 + local.minute());
        let (from, to) = (hours.from.minute, hours.to.minute);
        if from <= to { from <= minute && minute < to } else { minute >= from || minute < to }
    })
}

proptest! {
    #[test]
    fn a_wait_is_as_long_as_it_must_be(hours in any_hours(), zones in any_zones(), now in any_now()) {
        match quiet_until(hours, &zones, now) {
            Ok(None) => prop_assert!(!is_quiet(hours, &zones, now)),
            Ok(Some(quiet)) => {
                prop_assert!(quiet.until > now && zones.contains(&quiet.zone));
                prop_assert!(!is_quiet(hours, &zones, quiet.until), "never inside quiet hours after waking");
                let a_moment_before = Timestamp::from_millis(quiet.until.millis() - 1);
                prop_assert!(is_quiet(hours, &[quiet.zone], a_moment_before), "ends where that zone's hours end");
                // Quiet all the way: looked at every seven minutes.
                let mut between = now;
                while between < quiet.until {
                    prop_assert!(is_quiet(hours, &zones, between), "{between}");
                    between = between.plus(Duration::from_mins(7));
                }
            }
            Err(NoTimeOfDay) => {
                prop_assert!((0..288).all(|step| is_quiet(hours, &zones, now.plus(Duration::from_mins(5 * step)))));
            }
        }
    }
}
