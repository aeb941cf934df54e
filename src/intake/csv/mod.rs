//! A CSV file as an audience (SPEC 5): read twice, held in memory never.
//!
//! The first pass, [`check`], judges every row and says what is to be mended; the second, [`Entries`], hands the good
//! rows to the importer in chunks and notices a file that has changed meanwhile. Both walk the file with
//! [`CsvAudience`], which sees through its bytes with a [`source::Source`] and knows its columns by
//! [`columns::Columns`]. Nothing here is async or talks to a store: callers run it on a thread that may block.

mod audience;
mod check;
pub mod columns;
pub mod consents;
mod entries;
pub mod export;
mod head;
mod problem;
mod records;
mod rejected;
mod row;
pub mod source;
mod summary;
pub mod written;

#[cfg(test)]
mod example;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;

pub use audience::{CsvAudience, Expect};
pub use check::{CheckOptions, Checked, SecondPass, check};
pub use entries::{Duplicate, Entries, Entry};
pub use problem::{FileProblem, RowProblem, RowProblemKind, Seems};
pub use rejected::{Rejected, RejectedRow};
pub use row::{Regarding, Row};
pub use summary::{Group, Summary};
