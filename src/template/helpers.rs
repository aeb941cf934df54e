//! The helpers that an author may call, as they are written and as they work: `{{default Slug "text"}}`, and those that format a
//! value for the chosen locale: `date`, `time`, `datetime`, `number`, `money`. How a language writes a date is
//! [`Formats`]' matter, and what a value says is `values`'.

mod read;

use std::borrow::Cow;

use chrono_tz::Tz;

use super::{
    currencies::Currency,
    formats::Formats,
    parse::Slug,
    problem::RenderProblem,
    values::{self, ValueKind},
};
use crate::domain::contact::Slugs;

/// A call of a helper, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Helper {
    /// The slug's value, or a text for a contact that has none.
    Default {
        /// The slug.
        slug: Slug,
        /// The text in its place.
        otherwise: String,
    },
    /// The slug's value as the chosen locale writes it.
    Format(Format),
}

/// A value, formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// The slug that has the value.
    slug: Slug,
    what: What,
    /// The text for a contact that has none.
    otherwise: Option<String>,
}

/// What a value is formatted as.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Moment { look: Look, zone: Option<Given<Tz>> },
    Number { decimals: Option<u8> },
    Money { currency: Given<Currency> },
}

/// An argument: written in the template, or the value of a slug.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given<T> {
    Fixed(T),
    Slug(Slug),
}

/// What is shown of a moment, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    Date(Style),
    Time,
    DateTime(Style),
}

impl Look {
    const fn kind(self) -> ValueKind {
        match self {
            Self::Date(_) => ValueKind::Date,
            Self::Time => ValueKind::Time,
            Self::DateTime(_) => ValueKind::DateTime,
        }
    }
}

/// How much room a date takes: `12/1/26`, `Dec 1, 2026`, `December 1, 2026`, `Tuesday, December 1, 2026`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Style {
    Short,
    Medium,
    Long,
    Full,
}

/// What a helper needs to be at hand when it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Moment(Look),
    Number,
    Money(Currency),
}

impl Helper {
    /// What the call comes to for one contact.
    pub(super) fn write<'a>(&'a self, slugs: &'a Slugs, formats: &Formats) -> Result<Cow<'a, str>, RenderProblem> {
        match self {
            Self::Default { slug, otherwise } => Ok(Cow::Borrowed(slug.value(slugs).unwrap_or(otherwise))),
            Self::Format(format) => match (format.slug.value(slugs), &format.otherwise) {
                (Some(value), _) => format.write(value, slugs, formats).map(Cow::Owned),
                (None, Some(otherwise)) => Ok(Cow::Borrowed(otherwise)),
                (None, None) => Err(format.slug.missing()),
            },
        }
    }

    /// The slugs that it reads.
    pub(super) fn slugs(&self) -> impl Iterator<Item = &Slug> {
        let (slug, argument) = match self {
            Self::Default { slug, .. } => (slug, None),
            Self::Format(format) => (&format.slug, format.argument()),
        };
        [Some(slug), argument].into_iter().flatten()
    }

    /// The slugs without which it cannot work.
    pub(super) fn required(&self) -> impl Iterator<Item = &Slug> {
        let needed = match self {
            Self::Default { .. } => false,
            Self::Format(format) => format.otherwise.is_none(),
        };
        self.slugs().filter(move |_| needed)
    }

    /// The slugs that this contact does not fill and that it cannot work without.
    pub(super) fn missing<'a>(&'a self, slugs: &Slugs) -> Vec<&'a Slug> {
        match self {
            Self::Default { .. } => Vec::new(),
            Self::Format(Format { slug, otherwise: Some(_), .. }) if slug.value(slugs).is_none() => Vec::new(),
            Self::Format(_) => self.slugs().filter(|slug| slug.value(slugs).is_none()).collect(),
        }
    }

    /// What it needs to be at hand.
    pub(super) fn asks(&self) -> Option<Ask> {
        match self {
            Self::Default { .. } => None,
            Self::Format(format) => match &format.what {
                What::Moment { look, .. } => Some(Ask::Moment(*look)),
                What::Number { .. } => Some(Ask::Number),
                What::Money { currency: Given::Fixed(currency) } => Some(Ask::Money(*currency)),
                What::Money { currency: Given::Slug(_) } => None,
            },
        }
    }
}

impl Format {
    fn write(&self, value: &str, slugs: &Slugs, formats: &Formats) -> Result<String, RenderProblem> {
        let text = match &self.what {
            What::Moment { look, zone } => {
                let zone = zone.as_ref().map(|zone| zone.of(slugs, ValueKind::TimeZone, values::zone)).transpose()?;
                let at = values::moment(value, look.kind(), zone).ok_or_else(|| self.unreadable(value, look.kind()))?;
                formats.moment(*look, at)
            }
            What::Number { decimals } => {
                let number = values::number(value).ok_or_else(|| self.unreadable(value, ValueKind::Number))?;
                let rounded = match decimals {
                    Some(decimals) => values::with_decimals(number, *decimals),
                    None => number,
                };
                formats.number(&rounded)
            }
            What::Money { currency } => {
                let amount = values::number(value).ok_or_else(|| self.unreadable(value, ValueKind::Number))?;
                let currency = currency.of(slugs, ValueKind::Currency, values::currency)?;
                formats.money(currency, &amount)
            }
        };
        let why = || format!("{} cannot be written in this language", self.slug.written);
        text.ok_or_else(|| RenderProblem::Failed { why: why() })
    }

    fn unreadable(&self, value: &str, kind: ValueKind) -> RenderProblem {
        self.slug.unreadable(value, kind)
    }

    /// The slug that says how the value is to be formatted, where it is not the template that does.
    fn argument(&self) -> Option<&Slug> {
        match &self.what {
            What::Moment { zone: Some(Given::Slug(slug)), .. } | What::Money { currency: Given::Slug(slug) } => {
                Some(slug)
            }
            What::Moment { zone: None | Some(Given::Fixed(_)), .. }
            | What::Number { .. }
            | What::Money { currency: Given::Fixed(_) } => None,
        }
    }
}

impl<T: Copy> Given<T> {
    fn of(&self, slugs: &Slugs, kind: ValueKind, read: fn(&str) -> Option<T>) -> Result<T, RenderProblem> {
        match self {
            Self::Fixed(value) => Ok(*value),
            Self::Slug(slug) => {
                let value = slug.value(slugs).ok_or_else(|| slug.missing())?;
                read(value).ok_or_else(|| slug.unreadable(value, kind))
            }
        }
    }
}

#[cfg(test)]
mod tests;
