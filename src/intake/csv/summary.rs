//! What is wrong with a file's rows, counted and put as an instruction: "fix 3 phone numbers; fill in CaseName in 2 rows".

use std::fmt;

use super::problem::{RowProblem, RowProblemKind};

/// Problems of one kind in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The column as written; empty for rows as a whole.
    pub column: String,
    /// The first problem's kind; the others have the same code.
    pub kind: RowProblemKind,
    /// How many rows have it.
    pub rows: u64,
}

/// All groups. Its `Display` is the instruction, the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    groups: Vec<Group>,
}

impl Summary {
    /// Counts a problem. There are never more groups than columns times kinds.
    pub fn add(&mut self, problem: &RowProblem) {
        let same = |group: &&mut Group| group.kind.code() == problem.kind.code() && group.column == problem.column;
        match self.groups.iter_mut().find(same) {
            Some(group) => group.rows += 1,
            None => self.groups.push(Group { column: problem.column.clone(), kind: problem.kind, rows: 1 }),
        }
    }

    /// The groups, the most frequent first; among equals the one met first.
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.rows));
        groups
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, group) in self.groups().into_iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            group.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, kind, rows } = self;
        let (s, unit) = if *rows == 1 { ("", "row") } else { ("s", "rows") };
        match kind {
            RowProblemKind::InvalidNumber(_) => write!(f, "fix {rows} phone number{s}"),
            RowProblemKind::MissingValue | RowProblemKind::MissingSlug => {
                write!(f, "fill in {column} in {rows} {unit}")
            }
            RowProblemKind::InvalidOptIn | RowProblemKind::InvalidSendAsTemplate => {
                write!(f, "write yes or no into {column} in {rows} {unit}")
            }
            RowProblemKind::InvalidLocale
            | RowProblemKind::InvalidTimezone
            | RowProblemKind::InvalidTemplateParameters
            | RowProblemKind::InvalidChannel
            | RowProblemKind::InvalidConsent
            | RowProblemKind::InvalidTime
            | RowProblemKind::InvalidValue(_) => {
                write!(f, "fix {column} in {rows} {unit}")
            }
            RowProblemKind::FutureTime => write!(f, "write into {column} when it was said in {rows} {unit}"),
            RowProblemKind::WrongChannel(expected) => {
                write!(f, "clear {column} or make it {expected} in {rows} {unit}")
            }
            RowProblemKind::WrongConfiguration => write!(f, "clear or correct {column} in {rows} {unit}"),
            RowProblemKind::AmbiguousSlug => write!(f, "give {column} one value in {rows} {unit}"),
            RowProblemKind::WrongFieldCount { expected, .. } => {
                write!(f, "bring {rows} {unit} to {expected} fields")
            }
            RowProblemKind::MessageTooLong { limit, .. } => {
                write!(f, "shorten the text to {limit} characters in {rows} {unit}")
            }
            RowProblemKind::EmptyMessage => write!(f, "give {rows} {unit} a text that is not empty"),
            RowProblemKind::InvalidVariable(_) => {
                write!(f, "correct {rows} {unit} with values that WhatsApp does not take")
            }
            RowProblemKind::TemplateFailed if column.is_empty() => {
                write!(f, "correct {rows} {unit} that the template cannot use")
            }
            RowProblemKind::TemplateFailed => write!(f, "correct {column} in {rows} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone::NumberProblem;

    #[test]
    fn the_instruction_names_the_most_frequent_first() {
        let mut summary = Summary::default();
        assert_eq!(summary.to_string(), "");
        for (column, kind) in [
            ("CaseName", RowProblemKind::MissingSlug),
            ("to", RowProblemKind::InvalidNumber(NumberProblem::TooShort)),
            ("", RowProblemKind::WrongFieldCount { expected: 4, found: 5 }),
            ("to", RowProblemKind::InvalidNumber(NumberProblem::NoCountry)),
            ("CaseName", RowProblemKind::MissingSlug),
            ("to", RowProblemKind::InvalidNumber(NumberProblem::TooShort)),
        ] {
            summary.add(&RowProblem::new(2, column, "", kind));
        }
        assert_eq!(summary.to_string(), "fix 3 phone numbers; fill in CaseName in 2 rows; bring 1 row to 4 fields");
    }
}
