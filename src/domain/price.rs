//! What messages cost, by the table that a channel carries (`[prices]`). Prices are decimal texts, read exactly into millionths of
//! the currency and summed as whole numbers: no cent is lost to rounding.
//!
//! An estimate, from the organization's own figures: what a provider charges is on its invoice.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    figures::{Amount, Figures},
    phone::Country,
};

/// Millionths in one unit of the currency.
const MICRO: u64 = 1_000_000;
/// Places after the point that a price may have.
const PLACES: usize = 6;
/// Places after the point that a sum is shown with.
const SHOWN: u128 = 10_000;
/// The dearest message, in units of the currency: a higher price is a slip of the pen.
const DEAREST: u64 = 1_000_000;

/// What one message or segment costs, in millionths of the currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u64);

/// A text that is not a price.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAPrice {
    /// Not digits with at most one point.
    #[error("\"{0}\" is not a price: expected digits with a point, like \"0.0850\"")]
    NotANumber(String),
    /// More than six places.
    #[error("\"{0}\" is finer than a price can be: expected at most 6 places after the point, like \"0.008500\"")]
    TooFine(String),
    /// Above the dearest.
    #[error("\"{0}\" is more than one message can cost: expected less than 1000000")]
    TooDear(String),
}

impl FromStr for Price {
    type Err = NotAPrice;

    fn from_str(text: &str) -> Result<Self, NotAPrice> {
        let wrong = || NotAPrice::NotANumber(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        if fraction.len() > PLACES {
            return Err(NotAPrice::TooFine(text.to_owned()));
        }
        let dear = || NotAPrice::TooDear(text.to_owned());
        let whole: u64 = whole.parse().map_err(|_| dear())?;
        let micro: u64 = format!("{fraction:0<PLACES$}").parse().map_err(|_| wrong())?;
        if whole < DEAREST { Ok(Self(whole * MICRO + micro)) } else { Err(dear()) }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / MICRO, self.0 % MICRO);
        // Two places at least, as prices are written.
        let end = text.trim_end_matches('0').len().max(text.len() - 4);
        f.write_str(text.get(..end).unwrap_or(&text))
    }
}

/// A currency's code of ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency([u8; 3]);

/// A text that is not a currency.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a currency: expected three capital letters of ISO 4217, like \"EUR\"")]
pub struct NotACurrency(String);

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let letters = <[u8; 3]>::try_from(text.as_bytes()).ok();
        let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_uppercase));
        letters.map(Self).ok_or_else(|| NotACurrency(text.to_owned()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Price, Currency);

/// What a price is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Each segment of a text.
    #[default]
    Segment,
    /// Each message, however long.
    Message,
}

impl Per {
    fn is_segment(&self) -> bool {
        *self == Self::Segment
    }
}

/// A channel's price table (`[prices]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// In which currency.
    pub currency: Currency,
    /// What a price is for.
    #[serde(default, skip_serializing_if = "Per::is_segment")]
    pub per: Per,
    /// To countries that have no price of their own.
    pub default: Price,
    /// By the recipient's country.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub country: BTreeMap<Country, Price>,
}

/// A sum of money, exact to the millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    micro: u128,
    /// In which currency.
    pub currency: Currency,
}

impl Cost {
    /// The number alone, with four places, rounded to the nearest.
    pub fn amount(&self) -> String {
        let step = u128::from(MICRO) / SHOWN;
        let shown = (self.micro + step / 2) / step;
        format!("{}.{:04}", shown / SHOWN, shown % SHOWN)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl Prices {
    /// What texts cost.
    pub fn cost(&self, figures: &Figures) -> Cost {
        let micro = figures.iter().map(|(kind, amount)| self.micro(kind.country, amount)).sum();
        Cost { micro, currency: self.currency }
    }

    /// What texts to one country cost.
    pub fn cost_to(&self, country: Option<Country>, amount: Amount) -> Cost {
        Cost { micro: self.micro(country, amount), currency: self.currency }
    }

    fn micro(&self, country: Option<Country>, amount: Amount) -> u128 {
        let price = country.and_then(|country| self.country.get(&country)).unwrap_or(&self.default);
        let count = match self.per {
            Per::Segment => amount.segments,
            Per::Message => amount.messages,
        };
        u128::from(price.0) * u128::from(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::figures::{Alphabet, TextKind};

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn prices_are_read_exactly() {
        for (text, micro, shown) in [
            ("0.0850", 85_000, "0.085"),
            ("1", 1_000_000, "1.00"),
            ("0.000001", 1, "0.000001"),
            ("0.1", 100_000, "0.10"),
            ("12.50", 12_500_000, "12.50"),
            ("0", 0, "0.00"),
        ] {
            assert_eq!(price(text), Price(micro), "{text}");
            assert_eq!((price(text).to_string().as_str(), price(shown)), (shown, price(text)));
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        let texts = ["", ".", "1.", ".5", "-1", "0,085", "1e3", "0.0000001", "1000000", "99999999999999999999999"];
        let errors = texts.map(|text| text.parse::<Price>().unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r#"
"" is not a price: expected digits with a point, like "0.0850"
"." is not a price: expected digits with a point, like "0.0850"
"1." is not a price: expected digits with a point, like "0.0850"
".5" is not a price: expected digits with a point, like "0.0850"
"-1" is not a price: expected digits with a point, like "0.0850"
"0,085" is not a price: expected digits with a point, like "0.0850"
"1e3" is not a price: expected digits with a point, like "0.0850"
"0.0000001" is finer than a price can be: expected at most 6 places after the point, like "0.008500"
"1000000" is more than one message can cost: expected less than 1000000
"99999999999999999999999" is more than one message can cost: expected less than 1000000
"#);
        let currencies = ["", "eur", "EURO", "E1R"].map(|text| text.parse::<Currency>().unwrap_err().to_string());
        insta::assert_snapshot!(currencies.join("\n"), @r#"
"" is not a currency: expected three capital letters of ISO 4217, like "EUR"
"eur" is not a currency: expected three capital letters of ISO 4217, like "EUR"
"EURO" is not a currency: expected three capital letters of ISO 4217, like "EUR"
"E1R" is not a currency: expected three capital letters of ISO 4217, like "EUR"
"#);
    }

    #[test]
    fn each_country_has_its_price() {
        let table = "currency = \"EUR\"\ndefault = \"0.05\"\n[country]\nDE = \"0.0850\"\nUS = \"0.0079\"";
        let prices: Prices = toml::from_str(table).unwrap();
        let mut figures = Figures::default();
        for (country, messages, segments) in [("DE", 10, 12), ("US", 1, 1), ("FR", 3, 6), ("-", 1, 1)] {
            let kind = TextKind { locale: "en".into(), alphabet: Alphabet::Gsm7, country: country.parse().ok() };
            figures.add(kind, Amount { messages, segments });
        }
        // 12 × 0.0850 + 1 × 0.0079 + 7 × 0.05
        assert_eq!(prices.cost(&figures).to_string(), "1.3779 EUR");
        let by_message = Prices { per: Per::Message, ..prices.clone() };
        assert_eq!(by_message.cost(&figures).to_string(), "1.0579 EUR");
        let kept = serde_json::to_string(&prices).unwrap();
        assert_eq!(serde_json::from_str::<Prices>(&kept).unwrap(), prices);
        assert_eq!(kept, r#"{"currency":"EUR","default":"0.05","country":{"DE":"0.085","US":"0.0079"}}"#);
    }

    #[test]
    fn sums_are_rounded_only_where_they_are_shown() {
        let prices = Prices {
            currency: "USD".parse().unwrap(),
            per: Per::Segment,
            default: price("0.000033"),
            country: [].into(),
        };
        let cost = |segments| prices.cost_to(None, Amount { messages: segments, segments }).to_string();
        assert_eq!([1, 2, 1_000_000].map(cost), ["0.0000 USD", "0.0001 USD", "33.0000 USD"]);
    }

    proptest! {
        #[test]
        fn prices_survive_their_text(micro in 0..DEAREST * MICRO) {
            prop_assert_eq!(Price(micro).to_string().parse(), Ok(Price(micro)));
        }

        #[test]
        fn no_text_panics(text in "[0-9.]{0,12}|.*") {
            let _price: Result<Price, _> = text.parse();
            let _currency: Result<Currency, _> = text.parse();
        }
    }
}
