//! Dates, numbers and amounts as one language writes them. What formats is made once for each version of a template and locale,
//! from what its helpers ask for; a message then costs microseconds.
//!
//! What comes out is written with plain spaces, hyphens and apostrophes, on every channel: the no-break and thin spaces that
//! languages have here look the same and would make a GSM-7 text UCS-2, which is charged as twice as much.

use std::{collections::BTreeMap, fmt};

use chrono::{Datelike, NaiveDateTime, Timelike};
use icu_datetime::{
    DateTimeFormatter, DateTimeFormatterLoadError, DateTimeFormatterPreferences,
    fieldsets::{T, YMD, YMDE, enums::CompositeDateTimeFieldSet},
    input::{Date, DateTime, Time},
};
use icu_decimal::{DecimalFormatter, input::Decimal};
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_locale_core::Locale as Tag;

use super::{
    currencies::Currency,
    helpers::{Ask, Look, Style},
    smart,
};
use crate::domain::locale::Locale;

type Dates = DateTimeFormatter<CompositeDateTimeFieldSet>;
type Money = CurrencyFormatter<DecimalFormatter>;

/// What formats for one text.
pub(super) struct Formats {
    tag: Tag,
    dates: BTreeMap<Look, Dates>,
    numbers: Option<DecimalFormatter>,
    money: BTreeMap<Currency, Money>,
}

impl fmt::Debug for Formats {
    /// Without the languages' data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Formats({})", self.tag)
    }
}

impl Formats {
    /// Everything that is asked for, in this language; where nothing is known of it, as no language in particular.
    pub(super) fn new(locale: &Locale, asks: impl IntoIterator<Item = Ask>) -> Self {
        let tag = Tag::try_from_str(&locale.to_string()).unwrap_or(Tag::UNKNOWN);
        let mut formats = Self { tag, dates: BTreeMap::new(), numbers: None, money: BTreeMap::new() };
        for ask in asks {
            match ask {
                Ask::Moment(look) => {
                    if let Ok(formatter) = dates(&formats.tag, look) {
                        formats.dates.insert(look, formatter);
                    }
                }
                Ask::Number => {
                    formats.numbers = DecimalFormatter::try_new((&formats.tag).into(), Default::default()).ok();
                }
                Ask::Money(currency) => {
                    if let Some(formatter) = formats.of_currency(currency) {
                        formats.money.insert(currency, formatter);
                    }
                }
            }
        }
        formats
    }

    /// A date, a time, or both. `None`: this was not asked for when the formats were made, or the language cannot say it.
    pub(super) fn moment(&self, look: Look, at: NaiveDateTime) -> Option<String> {
        let small = |number: u32| u8::try_from(number).ok();
        let date = Date::try_new_iso(at.year(), small(at.month())?, small(at.day())?).ok()?;
        let time = Time::try_new(small(at.hour())?, small(at.minute())?, 0, 0).ok()?;
        let text = self.dates.get(&look)?.format(&DateTime { date, time }).to_string();
        Some(smart::quiet(text))
    }

    /// A number, in the language's digits.
    pub(super) fn number(&self, number: &Decimal) -> Option<String> {
        self.numbers.as_ref().map(|formatter| smart::quiet(formatter.format(number).to_string()))
    }

    /// An amount, with as many decimals as the currency has.
    pub(super) fn money(&self, currency: Currency, amount: &Decimal) -> Option<String> {
        let text = match self.money.get(&currency) {
            Some(known) => known.format_fixed_decimal(amount).to_string(),
            None => self.of_currency(currency)?.format_fixed_decimal(amount).to_string(),
        };
        Some(smart::quiet(text))
    }

    fn of_currency(&self, currency: Currency) -> Option<Money> {
        let code = currency.code().parse().ok()?;
        CurrencyFormatter::try_new_symbol((&self.tag).into(), code, Default::default()).ok()
    }
}

fn dates(tag: &Tag, look: Look) -> Result<Dates, DateTimeFormatterLoadError> {
    let tag = DateTimeFormatterPreferences::from(tag);
    macro_rules! made {
        ($fields:expr) => {
            DateTimeFormatter::try_new(tag, $fields)?.cast_into_fset()
        };
    }
    Ok(match look {
        Look::Time => made!(T::hm()),
        Look::Date(Style::Short) => made!(YMD::short()),
        Look::Date(Style::Medium) => made!(YMD::medium()),
        Look::Date(Style::Long) => made!(YMD::long()),
        Look::Date(Style::Full) => made!(YMDE::long()),
        Look::DateTime(Style::Short) => made!(YMD::short().with_time_hm()),
        Look::DateTime(Style::Medium) => made!(YMD::medium().with_time_hm()),
        Look::DateTime(Style::Long) => made!(YMD::long().with_time_hm()),
        Look::DateTime(Style::Full) => made!(YMDE::long().with_time_hm()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_at_hand_before_the_first_message() {
        let at = NaiveDateTime::default();
        let (asked, other) = (Look::Date(Style::Long), Look::DateTime(Style::Long));
        let euro: Currency = "EUR".parse().unwrap_or_else(|_| panic!("EUR is one"));
        let formats = Formats::new(&"de".parse().unwrap(), [Ask::Moment(asked), Ask::Moment(asked), Ask::Money(euro)]);
        assert_eq!((formats.dates.len(), formats.money.len(), formats.numbers.is_some()), (1, 1, false));
        assert_eq!(formats.moment(asked, at).as_deref(), Some("1. Januar 1970"));
        assert_eq!((formats.moment(other, at), formats.number(&Decimal::from(1))), (None, None));
        // A currency that a contact brings along is not known before.
        let yen = "JPY".parse().unwrap_or_else(|_| panic!("JPY is one"));
        assert_eq!(formats.money(yen, &Decimal::from(5)).as_deref(), Some("5 ¥"));
    }
}
