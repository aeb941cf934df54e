//! The second pass: the valid rows again, in chunks, each knowing whether it repeats an earlier number.

use std::io::Read;

use chrono_tz::Tz;

use super::{
    audience::{CsvAudience, Expect},
    check::SecondPass,
    problem::FileProblem,
    row::Regarding,
};
use crate::{
    domain::contact::{Contact, REGARDING, RELATIONSHIP, TIMEZONE},
    intake::duplicates::{DuplicateCursor, RowCursor},
};

/// A valid row, for the importer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line of the file on which the row begins; the header is line 1.
    pub row: u64,
    /// Who gets the message.
    pub contact: Contact,
    /// Whether the number stands earlier in the file.
    pub duplicate: Duplicate,
    /// The contact's own time zone.
    pub timezone: Option<Tz>,
    /// The place on a timeline.
    pub regarding: Option<Regarding>,
}

impl Entry {
    /// The contact, with its time zone and its place on a timeline among the values, as a Dynamics flow hands it over; a column
    /// that says the same is left as it is.
    pub fn into_contact(self) -> Contact {
        let mut contact = self.contact;
        if let Some(zone) = self.timezone {
            contact.slugs.set(TIMEZONE, zone.name());
        }
        if let Some(regarding) = self.regarding {
            for (name, value) in [(RELATIONSHIP, regarding.relationship), (REGARDING, regarding.object)] {
                if contact.slugs.get(name).is_none() {
                    drop(contact.slugs.insert(name, value));
                }
            }
        }
        contact
    }
}

/// Whether a row is the first with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// It is: it gets the message.
    First,
    /// It is not: suppressed as `duplicate`.
    Repeat,
}

/// The valid rows of a file that was checked.
#[derive(Debug)]
pub struct Entries<R> {
    audience: CsvAudience<R>,
    duplicates: DuplicateCursor,
    refused: RowCursor,
    expected: Expected,
    given: u64,
}

#[derive(Debug)]
struct Expected {
    valid: u64,
    bytes: u64,
    sha256: [u8; 32],
}

impl<R: Read> Entries<R> {
    /// Begins a second pass over the same bytes, with the same expectations as the first.
    ///
    /// # Errors
    /// As [`CsvAudience::open`]; a file that has changed so much that it cannot be opened is reported as what it is.
    pub fn open(file: R, expect: Expect<'_>, first: SecondPass) -> Result<Self, FileProblem> {
        Ok(Self {
            audience: CsvAudience::open(file, expect)?,
            duplicates: first.duplicates.into_cursor().map_err(FileProblem::Spill)?,
            refused: first.refused.into_cursor().map_err(FileProblem::Spill)?,
            expected: Expected { valid: first.valid, bytes: first.bytes, sha256: first.sha256 },
            given: 0,
        })
    }

    /// The next valid rows, at most `most` of them (at least one is tried); none when the file has ended.
    ///
    /// # Errors
    /// [`FileProblem::Changed`] comes at the latest with the chunk that would have been the empty last one: until that
    /// one has come, nothing that was handed out may be sent.
    pub fn next_chunk(&mut self, most: usize) -> Result<Vec<Entry>, FileProblem> {
        let mut chunk = Vec::with_capacity(most.clamp(1, 10_000));
        while chunk.len() < most.max(1) {
            let Some(row) = self.audience.next_row() else {
                self.verify()?;
                break;
            };
            let row = row?;
            let Ok(contact) = row.contact else { continue };
            if self.refused.contains(row.number).map_err(FileProblem::Spill)? {
                continue;
            }
            let repeat = self.duplicates.is_duplicate(row.number).map_err(FileProblem::Spill)?;
            let duplicate = if repeat { Duplicate::Repeat } else { Duplicate::First };
            let (timezone, regarding) = (row.timezone, row.regarding);
            chunk.push(Entry { row: row.number, contact, duplicate, timezone, regarding });
        }
        self.given += chunk.len() as u64;
        if self.given > self.expected.valid { Err(FileProblem::Changed) } else { Ok(chunk) }
    }

    /// How many bytes have been read, for a progress bar.
    pub fn bytes(&self) -> u64 {
        self.audience.source().bytes_read()
    }

    fn verify(&self) -> Result<(), FileProblem> {
        let source = self.audience.source();
        let same = source.bytes_read() == self.expected.bytes && source.sha256() == self.expected.sha256;
        if same { Ok(()) } else { Err(FileProblem::Changed) }
    }
}
