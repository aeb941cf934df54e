//! Providers' JSON, read without trust: a field may be missing, null or of another type than promised, and that spoils nothing
//! but itself. Texts are borrowed from the body wherever they hold no escapes.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Reads a JSON object; anything else (nothing, HTML, half an object, an array) is `None`.
pub(super) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok()).flatten()
}

/// Reads an object that was left for later, in the same manner; `None` if it is missing or something else.
pub(super) fn part<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    object(raw.get().as_bytes())
}

/// The items of a list that was left for later; none if it is missing or something else.
pub(super) fn list(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// A text, or a number as its text; `None` for everything else.
#[derive(Default)]
pub(super) struct Loose<'a>(Option<Cow<'a, str>>);

impl Loose<'_> {
    /// The text, unless it is missing or empty.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    /// The text, empty if it is missing.
    pub(super) fn or_empty(&self) -> &str {
        self.text().unwrap_or_default()
    }

    /// An error code; zero is none.
    pub(super) fn code(&self) -> Option<u32> {
        code(self.or_empty())
    }

    /// A whole number, whatever it means.
    pub(super) fn number(&self) -> Option<i64> {
        self.or_empty().trim().parse().ok()
    }
}

/// An error code, from its text; zero is none.
pub(super) fn code(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|code| *code != 0)
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor).map(Loose)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Whole<'a> {
        #[serde(borrow)]
        word: Loose<'a>,
        #[serde(borrow)]
        inner: Option<&'a RawValue>,
    }

    #[test]
    fn a_part_of_another_type_spoils_only_itself() {
        for (body, word, number, inner) in [
            (r#"{"word":"a","inner":{"word":7}}"#, "a", None, Some("7")),
            (r#"{"word":-7,"inner":{"word":"\u00e9"}}"#, "-7", Some(-7), Some("é")),
            (r#"{"word":" 290 ","inner":null}"#, " 290 ", Some(290), None),
            (r#"{"word":290.0,"inner":"text"}"#, "290", Some(290), None),
            (r#"{"word":["a"],"inner":[1]}"#, "", None, None),
            ("{}", "", None, None),
        ] {
            let whole: Whole<'_> = object(body.as_bytes()).unwrap();
            assert_eq!((whole.word.or_empty(), whole.word.number()), (word, number), "{body}");
            let read: Option<Whole<'_>> = whole.inner.and_then(part);
            assert_eq!(read.as_ref().map(|read| read.word.or_empty()), inner, "{body}");
            assert_eq!(list(whole.inner).len(), usize::from(body.contains("[1]")), "{body}");
        }
    }
}
