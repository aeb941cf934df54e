//! Locales: BCP 47 tags and the numbers that Windows gives to them (LCID, \[MS-LCID\]).

use std::{fmt, str::FromStr};

use icu_locale_core::LanguageIdentifier;
use serde::{Deserialize, Serialize};

/// A language, perhaps with script and region, in canonical form: `fr-CA`, `zh-Hant-TW`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Locale(LanguageIdentifier);

/// A text that is neither a language tag nor an LCID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a locale; expected a language tag like \"fr\" or \"fr-CA\", or a Windows number like 1036")]
pub struct NotALocale(String);

impl FromStr for Locale {
    type Err = NotALocale;

    fn from_str(text: &str) -> Result<Self, NotALocale> {
        let trimmed = text.trim();
        let tag = match trimmed.parse::<u32>() {
            Ok(lcid) => <&lcid::LanguageId>::try_from(lcid).map_err(|_| NotALocale(text.to_owned()))?.name,
            Err(_) => trimmed,
        };
        let language =
            LanguageIdentifier::try_from_str(&tag.replace('_', "-")).map_err(|_| NotALocale(text.to_owned()))?;
        if language.language.is_unknown() {
            return Err(NotALocale(text.to_owned()));
        }
        Ok(Self(language))
    }
}

impl Locale {
    /// This locale, then each wider one: `zh-Hant-TW`, `zh-Hant`, `zh`.
    pub fn and_parents(&self) -> impl Iterator<Item = Self> {
        let LanguageIdentifier { language, script, .. } = self.0;
        let with_script = LanguageIdentifier { language, script, ..LanguageIdentifier::UNKNOWN };
        let bare = LanguageIdentifier { language, ..LanguageIdentifier::UNKNOWN };
        let mut chain = vec![self.0.clone(), with_script, bare];
        chain.dedup();
        chain.into_iter().map(Self)
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialOrd for Locale {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Locale {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Serialize for Locale {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_windows_numbers_are_read() {
        for (text, tag) in [
            ("fr-CA", "fr-CA"),
            ("FR_ca", "fr-CA"),
            (" de ", "de"),
            ("1036", "fr-FR"),
            ("1033", "en-US"),
            ("1041", "ja-JP"),
            ("zh-hant-tw", "zh-Hant-TW"),
        ] {
            assert_eq!(text.parse::<Locale>().map(|l| l.to_string()), Ok(tag.to_owned()), "{text}");
        }
        for text in ["", "x", "und", "999999", "français", "en--US", "4294967296"] {
            assert_eq!(text.parse::<Locale>(), Err(NotALocale(text.to_owned())));
        }
    }

    #[test]
    fn the_chain_goes_from_narrow_to_wide() {
        for (tag, chain) in
            [("zh-Hant-TW", vec!["zh-Hant-TW", "zh-Hant", "zh"]), ("fr-CA", vec!["fr-CA", "fr"]), ("el", vec!["el"])]
        {
            let locale: Locale = tag.parse().unwrap();
            assert_eq!(locale.and_parents().map(|l| l.to_string()).collect::<Vec<_>>(), chain);
        }
    }
}
