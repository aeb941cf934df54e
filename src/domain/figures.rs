//! What the texts of a run amount to: how many messages and segments in each locale and alphabet, to each country. Counted once,
//! when the audience is taken in; what is left of it while a run goes is these figures less what has been reported on.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;

use super::phone::Country;

/// The alphabet that a text is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// GSM 03.38.
    Gsm7,
    /// UTF-16.
    Ucs2,
}

impl Alphabet {
    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        })
    }
}

/// A text that is not an alphabet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not an alphabet: expected \"gsm7\" or \"ucs2\"")]
pub struct NotAnAlphabet(String);

impl FromStr for Alphabet {
    type Err = NotAnAlphabet;

    fn from_str(text: &str) -> Result<Self, NotAnAlphabet> {
        [Self::Gsm7, Self::Ucs2]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| NotAnAlphabet(text.to_owned()))
    }
}

/// What texts are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextKind {
    /// The locale of the text; empty where none is kept.
    pub locale: String,
    /// Its alphabet.
    pub alphabet: Alphabet,
    /// The recipient's country, if the number tells.
    pub country: Option<Country>,
}

/// So many messages in so many segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Messages.
    pub messages: u64,
    /// Their segments.
    pub segments: u64,
}

impl Amount {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            segments: self.segments.saturating_add(other.segments),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            segments: self.segments.saturating_sub(other.segments),
        }
    }

    /// So many of the messages, and their part of the segments, rounded up: a message takes at least what it takes on average.
    fn scaled(self, messages: u64) -> Self {
        let segments = u128::from(self.segments) * u128::from(messages);
        let segments = segments.div_ceil(u128::from(self.messages.max(1)));
        Self { messages, segments: u64::try_from(segments).unwrap_or(u64::MAX) }
    }
}

/// Amounts by the kind of text. Grows with locales and countries, not with messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<TextKind, Amount>);

impl Figures {
    /// Counts more of a kind.
    pub fn add(&mut self, kind: TextKind, amount: Amount) {
        let sum = self.0.entry(kind).or_default();
        *sum = sum.plus(amount);
    }

    /// Counts all of the others as well.
    pub fn add_all(&mut self, others: &Self) {
        others.iter().for_each(|(kind, amount)| self.add(kind.clone(), amount));
    }

    /// Takes off what turned out not to be sent.
    pub fn take_off(&mut self, others: &Self) {
        for (kind, amount) in &others.0 {
            if let Some(sum) = self.0.get_mut(kind) {
                *sum = sum.minus(*amount);
            }
        }
        self.0.retain(|_, amount| amount.messages > 0);
    }

    /// Every kind with its amount, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TextKind, Amount)> {
        self.0.iter().map(|(kind, amount)| (kind, *amount))
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything together.
    pub fn total(&self) -> Amount {
        self.iter().fold(Amount::default(), |sum, (_, amount)| sum.plus(amount))
    }

    /// Summed up by what a kind is asked for.
    pub fn by<K: Ord>(&self, key: impl Fn(&TextKind) -> K) -> BTreeMap<K, Amount> {
        let mut sums: BTreeMap<K, Amount> = BTreeMap::new();
        for (kind, amount) in self.iter() {
            let sum = sums.entry(key(kind)).or_default();
            *sum = sum.plus(amount);
        }
        sums
    }

    /// What is left when so many messages of each locale have been dealt with.
    pub fn less(&self, done: &BTreeMap<String, u64>) -> Self {
        let mut left = Self::default();
        for (locale, amount) in self.by(|kind| kind.locale.clone()) {
            let messages = amount.messages.saturating_sub(done.get(&locale).copied().unwrap_or(0));
            let of_locale = Self(self.iter().filter(|(kind, _)| kind.locale == locale).map(own).collect());
            left.add_all(&of_locale.scaled(messages));
        }
        left
    }

    /// As many messages as are asked for, in the same proportions; never fewer segments than their part.
    pub fn scaled(&self, messages: u64) -> Self {
        let mut whole = self.total().messages;
        let mut left = messages.min(whole);
        let mut scaled = Self::default();
        // Each kind takes its part of what the kinds before it have left: the parts add up exactly.
        for (kind, amount) in self.iter() {
            let part = u128::from(left) * u128::from(amount.messages) / u128::from(whole.max(1));
            let part = u64::try_from(part).unwrap_or(0);
            // What rounding has left for later must fit there.
            let part = part.max(left.saturating_sub(whole - amount.messages));
            if part > 0 {
                scaled.add(kind.clone(), amount.scaled(part));
            }
            (left, whole) = (left - part, whole - amount.messages);
        }
        scaled
    }
}

fn own((kind, amount): (&TextKind, Amount)) -> (TextKind, Amount) {
    (kind.clone(), amount)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figures(kinds: &[(&str, Alphabet, &str, u64, u64)]) -> Figures {
        let mut all = Figures::default();
        for (locale, alphabet, country, messages, segments) in kinds {
            let kind = TextKind { locale: (*locale).into(), alphabet: *alphabet, country: country.parse().ok() };
            all.add(kind, Amount { messages: *messages, segments: *segments });
        }
        all
    }

    #[test]
    fn what_is_left_is_what_was_less_what_is_done() {
        let all = figures(&[
            ("de", Alphabet::Gsm7, "DE", 100, 100),
            ("de", Alphabet::Gsm7, "AT", 50, 50),
            ("fr", Alphabet::Ucs2, "FR", 10, 30),
        ]);
        assert_eq!(all.total(), Amount { messages: 160, segments: 180 });
        let left = all.less(&[("de".to_owned(), 75), ("fr".to_owned(), 9), ("xx".to_owned(), 5)].into());
        let expected = figures(&[
            ("de", Alphabet::Gsm7, "DE", 50, 50),
            ("de", Alphabet::Gsm7, "AT", 25, 25),
            ("fr", Alphabet::Ucs2, "FR", 1, 3),
        ]);
        assert_eq!(left, expected);
        let by_country = left.by(|kind| kind.country.map(|country| country.to_string()));
        assert_eq!(by_country[&Some("FR".to_owned())], Amount { messages: 1, segments: 3 });
        let mut rest = all.clone();
        rest.take_off(&all);
        assert!(rest.is_empty());
    }

    #[test]
    fn alphabets_survive_their_text() {
        for alphabet in [Alphabet::Gsm7, Alphabet::Ucs2] {
            assert_eq!(alphabet.as_str().parse(), Ok(alphabet));
        }
        assert!("GSM".parse::<Alphabet>().is_err());
    }

    proptest! {
        #[test]
        fn parts_add_up(kinds in prop::collection::vec((0usize..5, 1u64..1_000, 1u64..4), 0..12), wanted in 0u64..9_000) {
            let mut all = Figures::default();
            for (locale, messages, each) in kinds {
                let kind = TextKind { locale: format!("l{locale}"), alphabet: Alphabet::Gsm7, country: None };
                all.add(kind, Amount { messages, segments: messages * each });
            }
            let part = all.scaled(wanted);
            prop_assert_eq!(part.total().messages, wanted.min(all.total().messages));
            prop_assert!(part.total().segments <= all.total().segments);
            for (kind, amount) in part.iter() {
                let whole = all.iter().find(|(other, _)| *other == kind).map(|(_, amount)| amount).unwrap_or_default();
                prop_assert!(amount.messages <= whole.messages && amount.segments <= whole.segments);
                prop_assert!(amount.segments >= amount.messages);
            }
        }
    }
}
