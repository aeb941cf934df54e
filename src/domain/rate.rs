//! Rates as settings and definitions write them: `"30_000/hour"`, `"10/s"`, `"100/15min"` (SPEC 2).
//!
//! A rate here is only a number with a time. Who keeps to it is decided elsewhere: the hour in [`super::quota`], the
//! pace of a channel by governor.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u64,
    /// In what time; whole milliseconds, more than zero.
    pub per: Duration,
}

/// A text that is not a rate, and what a rate looks like.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotARate {
    /// There is no `/`.
    #[error("\"{0}\" is not a rate: expected a whole number, a slash and a time, like \"10/s\" or \"30_000/hour\"")]
    NoSlash(String),
    /// What stands before the `/` is not a whole number of at least 1.
    #[error("\"{0}\" is not a rate: expected a whole number of at least 1 before the slash, like \"10/s\"{hint}", hint = hint(.0))]
    Count(String),
    /// What stands after the `/` is not a time.
    #[error("\"{0}\" is not a rate: expected s, min, hour or day after the slash (or a number of them, like \"1/2s\")")]
    Per(String),
}

/// A fraction is a whole number in a longer time.
fn hint(given: &str) -> &'static str {
    if given.contains('.') {
        "; write a fraction with a longer time: \"30/min\" or \"1/2s\", not \"0.5/s\""
    } else {
        ""
    }
}

/// What a unit may be called, the name that is shown first; and its length in milliseconds.
const UNITS: [(&[&str], u64); 5] = [
    (&["ms"], 1),
    (&["s", "sec", "second", "seconds"], 1000),
    (&["min", "m", "minute", "minutes"], 60_000),
    (&["hour", "h", "hr", "hours"], 3_600_000),
    (&["day", "d", "days"], 86_400_000),
];

impl Rate {
    /// How many a second, on average. Zero if the rate's time is zero, which no parsed rate has.
    pub fn per_second(&self) -> f64 {
        if self.per.is_zero() { 0.0 } else { self.count as f64 / self.per.as_secs_f64() }
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (count, per) = text.split_once('/').ok_or_else(|| NotARate::NoSlash(text.to_owned()))?;
        let count = whole(count.trim()).ok_or_else(|| NotARate::Count(text.to_owned()))?;
        let per = span(per.trim()).ok_or_else(|| NotARate::Per(text.to_owned()))?;
        Ok(Self { count, per })
    }
}

/// A whole number of at least 1; `_` may part its digits.
fn whole(text: &str) -> Option<u64> {
    let digits = text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '_');
    text.replace('_', "").parse().ok().filter(|count| digits && *count >= 1)
}

/// `s`, `hour`, `2s`, `15 min`.
fn span(text: &str) -> Option<Duration> {
    let (number, name) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let times = if number.is_empty() { 1 } else { whole(number.trim())? };
    let (_, millis) = UNITS.iter().find(|(names, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)))?;
    times.checked_mul(*millis).map(Duration::from_millis)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.per.as_millis()).unwrap_or(u64::MAX);
        let (names, size) = UNITS.iter().rev().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(&UNITS[0]);
        write!(f, "{}/", Grouped(self.count))?;
        if millis != *size {
            write!(f, "{}", millis / size)?;
        }
        f.write_str(names[0])
    }
}

/// A number with `_` between its thousands.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str("_")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_read_and_shown() {
        for (text, count, seconds, shown) in [
            ("30_000/hour", 30_000, 3600, "30_000/hour"),
            ("30000 / Hours", 30_000, 3600, "30_000/hour"),
            ("10/s", 10, 1, "10/s"),
            ("1/min", 1, 60, "1/min"),
            ("100/15m", 100, 900, "100/15min"),
            ("1/2s", 1, 2, "1/2s"),
            ("5/60s", 5, 60, "5/min"),
            ("1_000_000/day", 1_000_000, 86_400, "1_000_000/day"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate, Rate { count, per: Duration::from_secs(seconds) }, "{text}");
            assert_eq!(rate.to_string(), shown);
        }
        assert!((Rate { count: 30_000, per: Duration::from_hours(1) }.per_second() - 8.3333).abs() < 0.001);
    }

    #[test]
    fn errors_say_what_was_expected() {
        let texts = [
            "",
            "10",
            "/s",
            "0/s",
            "-1/s",
            "_/s",
            "0.5/s",
            "1/",
            "1/0s",
            "1/week",
            "1/2",
            "10/1/s",
            "1/99999999999999999d",
        ];
        let errors = texts.map(|text| text.parse::<Rate>().unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r#"
"" is not a rate: expected a whole number, a slash and a time, like "10/s" or "30_000/hour"
"10" is not a rate: expected a whole number, a slash and a time, like "10/s" or "30_000/hour"
"/s" is not a rate: expected a whole number of at least 1 before the slash, like "10/s"
"0/s" is not a rate: expected a whole number of at least 1 before the slash, like "10/s"
"-1/s" is not a rate: expected a whole number of at least 1 before the slash, like "10/s"
"_/s" is not a rate: expected a whole number of at least 1 before the slash, like "10/s"
"0.5/s" is not a rate: expected a whole number of at least 1 before the slash, like "10/s"; write a fraction with a longer time: "30/min" or "1/2s", not "0.5/s"
"1/" is not a rate: expected s, min, hour or day after the slash (or a number of them, like "1/2s")
"1/0s" is not a rate: expected s, min, hour or day after the slash (or a number of them, like "1/2s")
"1/week" is not a rate: expected s, min, hour or day after the slash (or a number of them, like "1/2s")
"1/2" is not a rate: expected s, min, hour or day after the slash (or a number of them, like "1/2s")
"10/1/s" is not a rate: expected s, min, hour or day after the slash (or a number of them, like "1/2s")
"1/99999999999999999d" is not a rate: expected s, min, hour or day after the slash (or a number of them, like "1/2s")
"#);
    }

    proptest! {
        #[test]
        fn rates_survive_their_text(count in 1u64.., millis in 1u64..=u64::MAX / 2) {
            let rate = Rate { count, per: Duration::from_millis(millis) };
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            prop_assert_eq!(serde_json::from_str::<Rate>(&serde_json::to_string(&rate).unwrap()).unwrap(), rate);
        }

        #[test]
        fn no_text_panics(text in ".*", tail in "[0-9_ ]{0,3}[/a-z0-9.]{0,6}") {
            let _rate: Result<Rate, _> = text.parse();
            let _rate: Result<Rate, _> = tail.parse();
        }
    }
}
