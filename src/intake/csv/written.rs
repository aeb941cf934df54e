//! A file's own cells, as they were written, out of what is kept of a message.
//!
//! Of a row is kept what sending needs: the number in one form, a yes or a no, the language's tag, the slugs' values. From that
//! most cells can be written again as they stood in the file. Those that cannot (a number with blanks, `1` for yes, a column that
//! means nothing) are kept beside the message, and only those: a file in plain form costs nothing.

use std::collections::BTreeMap;

use super::columns::{fold_header, is_recipient};
use crate::domain::{
    contact::{Contact, OptIn, Slugs},
    phone::E164,
};

/// What is kept of a message.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The number.
    pub to: E164,
    /// Whether the contact agreed.
    pub opted_in: OptIn,
    /// The language's tag; empty if there is none.
    pub locale: &'a str,
    /// The values.
    pub slugs: &'a Slugs,
}

/// The cells of some rows that were written otherwise than they can be told: place of the column, and text.
pub type Otherwise = BTreeMap<usize, String>;

/// How a file's cells are told from what is kept.
#[derive(Clone, Debug)]
pub struct Layout(Vec<Told>);

#[derive(Clone, Debug)]
enum Told {
    Number,
    OptIn,
    Locale,
    /// A value, under the header as written or folded.
    Value {
        name: String,
        folded: String,
    },
}

impl Layout {
    /// Of the file's own columns, by their names.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let told = |name: &str| match fold_header(name) {
            folded if is_recipient(&folded) => Told::Number,
            folded if folded == "optin" => Told::OptIn,
            folded if folded == "locale" => Told::Locale,
            folded => Told::Value { name: name.to_owned(), folded },
        };
        Self(names.into_iter().map(told).collect())
    }

    /// The cells as they were written, in order.
    pub fn cells(&self, kept: Kept<'_>, otherwise: &Otherwise) -> Vec<String> {
        let cell = |(place, told): (usize, &Told)| {
            otherwise.get(&place).cloned().unwrap_or_else(|| told.cell(kept, |text| text.to_owned()))
        };
        self.0.iter().enumerate().map(cell).collect()
    }

    /// Which of a row's own cells were written otherwise than they would be told.
    pub fn otherwise<'c>(&self, cells: impl Iterator<Item = &'c str>, contact: &Contact) -> Otherwise {
        let locale = contact.locale.as_ref().map(ToString::to_string).unwrap_or_default();
        let kept = Kept { to: contact.to, opted_in: contact.opted_in, locale: &locale, slugs: &contact.slugs };
        let told = self.0.iter().enumerate().zip(cells);
        told.filter(|((_, told), cell)| !told.cell(kept, |text| text == *cell))
            .map(|((place, _), cell)| (place, cell.to_owned()))
            .collect()
    }
}

impl Told {
    fn cell<T>(&self, kept: Kept<'_>, then: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Number => then(&kept.to.to_string()),
            Self::OptIn if kept.opted_in == OptIn::Yes => then("yes"),
            Self::OptIn => then("no"),
            Self::Locale => then(kept.locale),
            Self::Value { name, folded } => then(value(kept.slugs, name, folded)),
        }
    }
}

/// A slug's value under a header; the template may spell the slug in another way.
fn value<'s>(slugs: &'s Slugs, name: &str, folded: &str) -> &'s str {
    let spelt_otherwise = || slugs.iter().find(|(slug, _)| fold_header(slug) == folded).map(|(_, value)| value);
    slugs.get(name).or_else(|| slugs.get(folded)).or_else(spelt_otherwise).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["Phone Number", "Opt-In", "Locale", "Customer_Name", "", "Channel ID"];

    fn contact() -> Contact {
        let mut slugs = Slugs::default();
        slugs.insert("customername", "Ana").unwrap();
        let to = E164::parse("+4915112345678", None).unwrap();
        Contact { to, opted_in: OptIn::Yes, locale: Some("fr-FR".parse().unwrap()), slugs }
    }

    #[test]
    fn every_cell_comes_back_as_it_was_written_and_a_plain_row_costs_nothing() {
        let (layout, contact) = (Layout::of(NAMES), contact());
        let kept = Kept { to: contact.to, opted_in: contact.opted_in, locale: "fr-FR", slugs: &contact.slugs };
        for (cells, kept_beside) in [
            (["+4915112345678", "yes", "fr-FR", "Ana", "", ""], 0),
            (["+49 151 12345678", "1", "1036", " Ana ", "x", "sms"], 6),
            (["0151/12345678", "", "", "Ana", "", ""], 3),
        ] {
            let otherwise = layout.otherwise(cells.into_iter(), &contact);
            assert_eq!(otherwise.len(), kept_beside, "{cells:?}");
            assert_eq!(layout.cells(kept, &otherwise), cells);
        }
    }
}
