//! What a slug's value says where a helper wants a date, a time, a number, a currency or a time zone of it. Values are read as
//! machines write them: `2026-12-01`, `1234.5`. What only a country's custom could tell (`01/12/2026`, `1.234,50`) is refused,
//! because a wrong guess would be sent.

use std::str::FromStr;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use icu_decimal::input::Decimal;

use super::currencies::Currency;

/// What a helper wanted of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time.
    DateTime,
    /// A number.
    Number,
    /// A currency.
    Currency,
    /// A time zone.
    TimeZone,
}

impl ValueKind {
    /// Its name, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Date => "a date",
            Self::Time => "a time",
            Self::DateTime => "a date with a time",
            Self::Number => "a number",
            Self::Currency => "a currency",
            Self::TimeZone => "a time zone",
        }
    }

    /// How it is written.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Date => "2026-12-01, 2026-12-01T09:00 or 2026-12-01T09:00:00+01:00",
            Self::Time => "09:00, 2026-12-01T09:00 or 2026-12-01T09:00:00+01:00",
            Self::DateTime => "2026-12-01T09:00 or 2026-12-01T09:00:00+01:00",
            Self::Number => "1234 or 1234.5, with a point and without separators",
            Self::Currency => "three letters of ISO 4217, like EUR",
            Self::TimeZone => "an IANA name like Europe/Berlin",
        }
    }
}

/// Longer values are none of these.
const LONGEST: usize = 64;

fn trimmed(text: &str) -> Option<&str> {
    Some(text).filter(|text| text.len() <= 2 * LONGEST).map(str::trim).filter(|text| text.len() <= LONGEST)
}

/// When something is, as far as a value says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Day(NaiveDate),
    Clock(NaiveTime),
    Local(NaiveDateTime),
    Instant(DateTime<FixedOffset>),
}

/// Reads a value as what a helper wants, on the clocks of `zone`. A value without an offset is taken as it stands; one with an
/// offset is taken on its own clock if no zone is given.
pub(super) fn moment(text: &str, kind: ValueKind, zone: Option<Tz>) -> Option<NaiveDateTime> {
    let at = match (read(trimmed(text)?)?, kind) {
        (Moment::Day(day), ValueKind::Date) => day.and_time(NaiveTime::MIN),
        (Moment::Clock(clock), ValueKind::Time) => NaiveDate::default().and_time(clock),
        (Moment::Day(_) | Moment::Clock(_), _) => return None,
        (Moment::Local(at), _) => at,
        (Moment::Instant(at), _) => {
            zone.map_or_else(|| Some(at.naive_local()), |zone| Some(at.with_timezone(&zone).naive_local()))?
        }
    };
    Some(at).filter(|at| (1..=9999).contains(&at.year()))
}

fn read(text: &str) -> Option<Moment> {
    if let Ok(day) = NaiveDate::from_str(text) {
        return Some(Moment::Day(day));
    }
    let Some((day, clock)) = text.split_once(['T', 't', ' ']) else {
        let read = |form| NaiveTime::parse_from_str(text, form).ok();
        return first(&["%H:%M", "%H:%M:%S%.f"], read).map(Moment::Clock);
    };
    if clock.contains(['+', '-', 'Z', 'z']) {
        let clock = clock.strip_suffix(['Z', 'z']).map_or_else(|| clock.to_owned(), |clock| format!("{clock}+00:00"));
        let text = format!("{day}T{clock}");
        let read = |form| DateTime::parse_from_str(&text, form).ok();
        return first(&["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"], read).map(Moment::Instant);
    }
    let text = format!("{day}T{clock}");
    let read = |form| NaiveDateTime::parse_from_str(&text, form).ok();
    first(&["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"], read).map(Moment::Local)
}

fn first<T>(forms: &[&'static str], read: impl Fn(&'static str) -> Option<T>) -> Option<T> {
    forms.iter().find_map(|form| read(form))
}

/// Reads a number: digits, perhaps with a sign and a point.
pub(super) fn number(text: &str) -> Option<Decimal> {
    let text = trimmed(text)?;
    let text = text.strip_prefix('+').filter(|rest| !rest.starts_with('-')).unwrap_or(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all(whole) || !all(fraction) {
        return None;
    }
    let mut number = Decimal::from_str(text).ok()?;
    number.absolute.trim_start();
    Some(without_minus_at_zero(number))
}

/// The number with so many decimals, rounded half away from zero, as money is.
pub(super) fn with_decimals(mut number: Decimal, decimals: u8) -> Decimal {
    let place = -i16::from(decimals);
    if number.absolute.digit_at(place - 1) >= 5 {
        number.absolute.expand(place);
    } else {
        number.absolute.trunc(place);
    }
    number.absolute.pad_end(place);
    without_minus_at_zero(number)
}

fn without_minus_at_zero(mut number: Decimal) -> Decimal {
    if number.absolute.is_zero() {
        number.sign = Decimal::from(0).sign;
    }
    number
}

/// Reads a currency's code.
pub(super) fn currency(text: &str) -> Option<Currency> {
    trimmed(text)?.parse().ok()
}

/// Reads a time zone's name.
pub(super) fn zone(text: &str) -> Option<Tz> {
    trimmed(text)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_as_machines_write_them() {
        use ValueKind::{Date, DateTime, Time};
        let berlin = Some(chrono_tz::Europe::Berlin);
        for (text, kind, zone, expected) in [
            ("2026-12-01", Date, None, "2026-12-01T00:00:00"),
            ("2026-12-01", Date, berlin, "2026-12-01T00:00:00"),
            (" 2026-12-01T09:05 ", Date, berlin, "2026-12-01T09:05:00"),
            ("2026-12-01 09:05", DateTime, None, "2026-12-01T09:05:00"),
            ("2026-12-01T09:05:07.123", DateTime, None, "2026-12-01T09:05:07.123"),
            ("09:05", Time, berlin, "1970-01-01T09:05:00"),
            ("2026-12-01T09:05", Time, None, "2026-12-01T09:05:00"),
            // With an offset: on its own clock, or on that of the zone.
            ("2026-12-01T23:30:00Z", DateTime, None, "2026-12-01T23:30:00"),
            ("2026-12-01T23:30:00Z", DateTime, berlin, "2026-12-02T00:30:00"),
            ("2026-12-01T23:30:00Z", Date, berlin, "2026-12-02T00:30:00"),
            ("2026-07-01T09:00:00-05:00", Time, berlin, "2026-07-01T16:00:00"),
            ("2026-07-01 09:00:00.5+02:00", DateTime, None, "2026-07-01T09:00:00.500"),
            ("2026-07-01T09:00+0200", DateTime, None, "2026-07-01T09:00:00"),
            ("2026-07-01T09:00Z", DateTime, berlin, "2026-07-01T11:00:00"),
        ] {
            let found = moment(text, kind, zone).map(|at| at.format("%Y-%m-%dT%H:%M:%S%.f").to_string());
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for (text, kind) in [
            ("2026-12-01", DateTime),
            ("2026-12-01", Time),
            ("09:05", Date),
            ("09:05", DateTime),
            ("01/12/2026", Date),
            ("1.12.2026", Date),
            ("2026-13-01", Date),
            ("2026-02-30", Date),
            ("2026-12-01T25:00", DateTime),
            ("2026-12-01T09:00:00 Europe/Berlin", DateTime),
            ("tomorrow", Date),
            ("1796108400", Date),
            ("", Date),
            ("+262000-01-01", Date),
            ("-0001-01-01", Date),
        ] {
            assert_eq!(moment(text, kind, None), None, "{text}");
        }
        assert_eq!(moment(&format!("2026-12-01{}", " ".repeat(200)), Date, None), None);
    }

    #[test]
    fn numbers_are_read_and_rounded() {
        for (text, expected, two) in [
            ("0", "0", "0.00"),
            ("1234.5", "1234.5", "1234.50"),
            ("-1234.565", "-1234.565", "-1234.57"),
            ("+7", "7", "7.00"),
            (" 007.10 ", "7.10", "7.10"),
            ("2.345", "2.345", "2.35"),
            ("2.344999", "2.344999", "2.34"),
            ("9.999", "9.999", "10.00"),
            ("0.005", "0.005", "0.01"),
            ("-0.001", "-0.001", "0.00"),
            ("-0.00", "0.00", "0.00"),
        ] {
            let number = number(text).unwrap();
            assert_eq!((number.to_string().as_str(), with_decimals(number, 2).to_string().as_str()), (expected, two));
        }
        assert_eq!(with_decimals(number("2.5").unwrap(), 0).to_string(), "3");
        for text in
            ["", "-", ".", "1.", ".5", "1,5", "1,234.50", "1 234", "1e5", "0x10", "NaN", "٣", "+-3", "--3", "1.2.3"]
        {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(&"9".repeat(65)), None);
        assert!(number(&"9".repeat(64)).is_some());
    }

    #[test]
    fn currencies_and_zones_are_known_ones() {
        assert_eq!(currency(" eur ").map(|it| it.to_string()).as_deref(), Some("EUR"));
        assert_eq!((currency("EURO"), currency("XXQ"), currency("€")), (None, None, None));
        assert_eq!((zone("Europe/Berlin"), zone("CEST")), (Some(chrono_tz::Europe::Berlin), None));
    }
}
