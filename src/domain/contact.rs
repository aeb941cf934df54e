//! A contact: one recipient as handed over, with the values that its text needs.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{locale::Locale, phone::E164};

/// The two kinds of channel. Nothing else exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelType {
    /// Short message service.
    Sms,
    /// WhatsApp.
    WhatsApp,
}

impl ChannelType {
    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::WhatsApp => "whatsapp",
        }
    }
}

/// A text that names no channel type.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a channel type; expected \"sms\" or \"whatsapp\"")]
pub struct NotAChannelType(String);

impl FromStr for ChannelType {
    type Err = NotAChannelType;

    fn from_str(text: &str) -> Result<Self, NotAChannelType> {
        let name = text.trim();
        let found = [Self::Sms, Self::WhatsApp].into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name));
        found.ok_or_else(|| NotAChannelType(text.to_owned()))
    }
}

impl fmt::Display for ChannelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ChannelType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ChannelType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The values of a contact's slugs. Names are matched without regard to case (SPEC 5), so they are kept folded.
///
/// Values are texts: a number or a truth from JSON is kept as JSON writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slugs(BTreeMap<String, String>);

/// The slug that says how a message is related to what it is about; with [`REGARDING`] it places the message on a timeline.
pub const RELATIONSHIP: &str = "entityrelationshipname";
/// The slug that says what a message is about: the id of a case.
pub const REGARDING: &str = "regardingobjectid";

/// The slug that says in which time zone a contact is (an IANA name): what quiet hours go by.
pub const TIMEZONE: &str = "timezone";

/// Two names that differ only in case, with different values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is given twice with different values (names differ only in case)")]
pub struct AmbiguousSlug(pub String);

impl Slugs {
    /// Adds a value. The same value under the same name again is no mistake; another one is.
    pub fn insert(&mut self, name: &str, value: impl Into<String>) -> Result<(), AmbiguousSlug> {
        let value = value.into();
        match self.0.entry(fold(name)) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(value);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(taken) if *taken.get() == value => Ok(()),
            std::collections::btree_map::Entry::Occupied(_) => Err(AmbiguousSlug(name.to_owned())),
        }
    }

    /// Puts a value under a name, whatever stood there.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(fold(name), value.into());
    }

    /// The value under a name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).or_else(|| self.0.get(&fold(name))).map(String::as_str)
    }

    /// Every name (folded) and value, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The one form under which a slug's name is kept and looked up.
pub fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// One recipient, checked: what intake hands to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The recipient.
    pub to: E164,
    /// What the hand-over said of consent: `false` is counted and never called.
    pub opted_in: OptIn,
    /// The contact's language, if it said one.
    pub locale: Option<Locale>,
    /// The slugs' values.
    pub slugs: Slugs,
}

/// What the hand-over itself said of consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptIn {
    /// Agreed.
    Yes,
    /// Did not agree: suppressed, counted, never called.
    No,
}

impl OptIn {
    /// As files and people write it: yes/no, true/false, 1/0, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" => Some(Self::Yes),
            "false" | "no" | "n" | "0" => Some(Self::No),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_ignore_case_and_refuse_contradiction() {
        let mut slugs = Slugs::default();
        slugs.insert("CustomerName", "Ana").unwrap();
        slugs.insert("customername", "Ana").unwrap();
        assert_eq!(slugs.insert("CUSTOMERNAME", "Bob"), Err(AmbiguousSlug("CUSTOMERNAME".into())));
        assert_eq!(slugs.get("customerNAME"), Some("Ana"));
        assert_eq!(slugs.get("CaseName"), None);
    }

    #[test]
    fn channel_types_and_opt_ins_are_read() {
        assert_eq!("SMS".parse(), Ok(ChannelType::Sms));
        assert!("email".parse::<ChannelType>().is_err());
        assert_eq!(
            (OptIn::parse(" Yes "), OptIn::parse("0"), OptIn::parse("maybe")),
            (Some(OptIn::Yes), Some(OptIn::No), None)
        );
    }
}
