//! Phone numbers in international form. Whether a number exists only a carrier knows; here it must be *possible*.

use std::{fmt, str::FromStr};

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat, Region, ValidationError};
use serde::{Deserialize, Serialize};

/// A country as its two-letter ISO 3166 code, for numbers written in national form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(Region);

/// A text that is not a country code.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a country: expected two letters of ISO 3166, like \"DE\"")]
pub struct NotACountry(String);

impl FromStr for Country {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, NotACountry> {
        text.trim().to_ascii_uppercase().parse().map(Self).map_err(|_| NotACountry(text.to_owned()))
    }
}

impl Country {
    /// Its two letters.
    pub fn code(self) -> impl std::ops::Deref<Target = str> {
        self.0.as_region_str()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({:?})", self.0)
    }
}

impl Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.as_region_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A number in E.164: country code and subscriber number, at most 15 digits, shown with a leading `+`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(u64);

/// Why a text is not a number that could be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberProblem {
    /// Nothing there.
    #[error("is empty; expected a number in international form, like +4915112345678")]
    Empty,
    /// No `+` and no default country.
    #[error(
        "has no leading +; expected international form, like +4915112345678 (or set the organization's default_country)"
    )]
    NoCountry,
    /// Letters, or a country code that does not exist.
    #[error("is not a phone number; expected international form, like +4915112345678")]
    NotANumber,
    /// Fewer digits than any number of that country has.
    #[error("is too short for its country")]
    TooShort,
    /// More digits than any number of that country has.
    #[error("is too long for its country")]
    TooLong,
}

impl E164 {
    /// Reads what a person or a system wrote: `+49 151 12345678`, or national form if a default country is given.
    pub fn parse(text: &str, default: Option<Country>) -> Result<Self, NumberProblem> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NumberProblem::Empty);
        }
        if text.len() > 64 || text.chars().any(char::is_alphabetic) {
            return Err(NumberProblem::NotANumber);
        }
        if default.is_none() && !text.starts_with(['+', '＋']) {
            return Err(NumberProblem::NoCountry);
        }
        let number =
            PHONE_NUMBER_UTIL.parse(text, default.map(|country| country.0)).map_err(|_| NumberProblem::NotANumber)?;
        match number.is_possible_with_reason() {
            Ok(NumberLengthType::IsPossible) => {}
            Ok(NumberLengthType::IsPossibleLocalOnly)
            | Err(ValidationError::TooShort | ValidationError::InvalidLength) => return Err(NumberProblem::TooShort),
            Err(ValidationError::TooLong) => return Err(NumberProblem::TooLong),
            Err(ValidationError::InvalidCountryCode) => return Err(NumberProblem::NotANumber),
        }
        number
            .format_as(PhoneNumberFormat::E164)
            .trim_start_matches('+')
            .parse()
            .map(Self)
            .map_err(|_| NumberProblem::NotANumber)
    }

    /// The number as a whole number: at most fifteen digits, never a leading zero. What the store keeps.
    pub const fn digits(self) -> u64 {
        self.0
    }

    /// From what [`E164::digits`] gave.
    pub const fn from_digits(digits: u64) -> Self {
        Self(digits)
    }

    /// The country that the number belongs to: told by its first digits where several share a country code, and the largest of
    /// these where the digits do not tell. `None` for numbers of no country.
    pub fn country(self) -> Option<Country> {
        let number = PHONE_NUMBER_UTIL.parse(&self.to_string(), None).ok()?;
        let main = || PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code);
        number.get_region_code().or_else(main).map(Country)
    }

    /// For logs: the country's beginning and the last two digits, `+49151******78`.
    pub fn masked(self) -> String {
        let digits = self.0.to_string();
        let (shown, tail) = (digits.len().min(5), digits.len().saturating_sub(2));
        digits.chars().enumerate().fold("+".to_owned(), |mut text, (place, digit)| {
            text.push(if place < shown.min(tail) || place >= tail { digit } else { '*' });
            text
        })
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// Masked: a number must not reach a log through `{:?}`.
impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for E164 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let germany: Country = "de".parse().unwrap();
        let table = [
            ("+4915112345678", None, Ok("+4915112345678")),
            (" +49 (151) 123-456 78 ", None, Ok("+4915112345678")),
            ("0151 12345678", Some(germany), Ok("+4915112345678")),
            ("+33 6 12 34 56 78", Some(germany), Ok("+33612345678")),
            ("+39 06 1234 5678", None, Ok("+390612345678")),
            ("+15005550006", None, Ok("+15005550006")),
            ("", None, Err(NumberProblem::Empty)),
            ("0151 12345678", None, Err(NumberProblem::NoCountry)),
            ("+49", None, Err(NumberProblem::NotANumber)),
            ("+491", None, Err(NumberProblem::NotANumber)),
            ("+1500555", None, Err(NumberProblem::TooShort)),
            ("+1500555000612345", None, Err(NumberProblem::TooLong)),
            ("+999123456789", None, Err(NumberProblem::NotANumber)),
            ("call me", Some(germany), Err(NumberProblem::NotANumber)),
            ("1-800-FLOWERS", Some(germany), Err(NumberProblem::NotANumber)),
        ];
        for (text, country, expected) in table {
            assert_eq!(
                E164::parse(text, country).map(|number| number.to_string()),
                expected.map(str::to_owned),
                "{text}"
            );
        }
        assert!("DEU".parse::<Country>().is_err());
    }

    #[test]
    fn a_number_has_a_country() {
        for (text, country) in [
            ("+4915112345678", Some("DE")),
            ("+14255550100", Some("US")),
            ("+15005550006", Some("US")),
            ("+14165550100", Some("CA")),
            ("+447400123456", Some("GB")),
            ("+77012345678", Some("KZ")),
            ("+79161234567", Some("RU")),
            ("+80012345678", Some("001")),
        ] {
            let found = E164::parse(text, None).unwrap().country().map(|country| country.code().to_owned());
            assert_eq!(found.as_deref(), country, "{text}");
        }
    }

    #[test]
    fn logs_never_show_a_whole_number() {
        let number = E164::parse("+4915112345678", None).unwrap();
        assert_eq!(format!("{number:?}"), "+49151******78");
        assert_eq!(E164::from_digits(49).masked(), "+49");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_read_again(text in ".{0,40}") {
            if let Ok(number) = E164::parse(&text, "US".parse().ok()) {
                prop_assert_eq!(E164::parse(&number.to_string(), None), Ok(number));
                prop_assert_eq!(E164::from_digits(number.digits()), number);
            }
        }
    }
}
