//! A forecast in words for people.

use std::time::Duration;

use super::{
    super::{pace::Unit, quota::Allowance, rate::Rate},
    Bound,
};

/// A length of time as people say it: `12 minutes`, `28 hours`, `3 days`.
pub fn in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (minutes, hours, days) = ((seconds / 60.0).round(), (seconds / 3600.0).round(), (seconds / 86_400.0).round());
    match seconds {
        ..1.5 => "a second".to_owned(),
        ..120.0 => format!("{} seconds", seconds.round()),
        ..7_200.0 if hours < 2.0 => format!("{minutes} minutes"),
        ..259_200.0 if hours < 72.0 => format!("{hours} hours"),
        _ => format!("{days} days"),
    }
}

/// A number as people read it: 100,000.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let from_the_end = |at: usize| digits.len() - at;
    digits.char_indices().fold(String::new(), |mut text, (at, digit)| {
        if at > 0 && from_the_end(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

/// What a bound is, for people.
pub fn because(bound: Bound, channel: &str, rate: Rate, unit: Unit, allowance: Allowance) -> String {
    match bound {
        Bound::Quota => {
            format!("the organization's quota of {} requests in any 60 minutes", grouped(allowance.limit))
        }
        Bound::Pace => format!("the pace of channel \"{channel}\", {}", paced(rate, unit)),
        Bound::QuietHours => "quiet hours".to_owned(),
        Bound::Nothing => "nothing but the provider's own speed".to_owned(),
    }
}

/// `1 segment a second`.
pub fn paced(rate: Rate, unit: Unit) -> String {
    let unit = match (unit, rate.count) {
        (Unit::Segments, 1) => "segment",
        (Unit::Segments, _) => "segments",
        (Unit::Messages, 1) => "message",
        (Unit::Messages, _) => "messages",
    };
    let per = match rate.per.as_secs() {
        1 => "a second".to_owned(),
        60 => "a minute".to_owned(),
        3_600 => "an hour".to_owned(),
        _ => format!("in {}", in_words(rate.per)),
    };
    format!("{} {unit} {per}", grouped(rate.count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_are_told_as_people_read_them() {
        for (seconds, expected) in [
            (0, "a second"),
            (30, "30 seconds"),
            (720, "12 minutes"),
            (5_000, "83 minutes"),
            (7_000, "2 hours"),
            (10_000, "3 hours"),
            (100_000, "28 hours"),
            (1_000_000, "12 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), expected);
        }
        assert_eq!([0, 999, 1_000, 100_000, 1_234_567].map(grouped).join(" "), "0 999 1,000 100,000 1,234,567");
    }

    #[test]
    fn a_bound_is_told_in_words() {
        let told =
            |bound, rate: &str, unit| because(bound, "support", rate.parse().unwrap(), unit, Allowance::default());
        assert_eq!(told(Bound::Pace, "1/s", Unit::Segments), "the pace of channel \"support\", 1 segment a second");
        assert_eq!(
            told(Bound::Pace, "200/min", Unit::Messages),
            "the pace of channel \"support\", 200 messages a minute"
        );
        assert_eq!(
            told(Bound::Quota, "1/s", Unit::Messages),
            "the organization's quota of 30,000 requests in any 60 minutes"
        );
    }
}
