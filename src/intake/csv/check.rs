//! The first pass over a file: every row judged, nothing kept but counts, the first problems, and spilled files.

use std::io::Read;

use super::{
    audience::{CsvAudience, Expect},
    columns::Column,
    problem::{FileProblem, RowProblem},
    rejected::{Rejected, RejectedWriter},
    row::Row,
    summary::Summary,
};
use crate::{
    domain::contact::{Contact, OptIn},
    intake::duplicates::{DuplicateFinder, Duplicates, IN_MEMORY, RowSet},
};

/// After how many rows progress is told.
const PROGRESS_ROWS: u64 = 4096;

/// The most row problems that are named one by one, unless the caller wants fewer.
const SHOWN: usize = 1_000;

/// How a check is done.
pub struct CheckOptions<'a> {
    /// The most row problems that are kept for display; all are counted and all rejected rows written.
    pub shown: usize,
    /// The most pairs of number and row that are held in memory.
    pub in_memory: usize,
    /// The caller's own verdict on a row that is good otherwise: renders it, say. What it refuses, the second pass skips.
    pub judge: &'a mut dyn FnMut(&Row<'_>, &Contact) -> Result<(), RowProblem>,
    /// Told the number of bytes read, every few thousand rows and at the end.
    pub progress: &'a mut dyn FnMut(u64),
}

impl<'a> CheckOptions<'a> {
    /// The first 1,000 problems shown, up to 4 MiB of numbers in memory.
    pub fn new(
        judge: &'a mut dyn FnMut(&Row<'_>, &Contact) -> Result<(), RowProblem>,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self { shown: SHOWN, in_memory: IN_MEMORY, judge, progress }
    }
}

/// What a first pass found.
#[derive(Debug)]
pub struct Checked {
    /// Data rows, blank ones not counted. Always `valid + invalid`.
    pub rows: u64,
    /// Rows that make a contact; duplicates and those that did not agree are among them.
    pub valid: u64,
    /// Rows that do not.
    pub invalid: u64,
    /// Of the valid rows, those that say that the contact did not agree.
    pub not_opted_in: u64,
    /// The file's length in bytes.
    pub bytes: u64,
    /// SHA-256 of the file's bytes: what "the same file" means (SPEC 5).
    pub sha256: [u8; 32],
    /// The file's own columns with what each means, in their order.
    pub columns: Vec<Column>,
    /// The problems counted, and the instruction that they amount to.
    pub summary: Summary,
    /// The first problems, in the order of the file.
    pub problems: Vec<RowProblem>,
    /// The rejected rows as a CSV; `None` if there are none.
    pub rejected: Option<Rejected>,
    /// How many of the valid rows repeat the number of an earlier one.
    pub duplicates: u64,
    /// What a second pass needs.
    pub second_pass: SecondPass,
}

/// What the second pass over the same file needs to know of the first.
#[derive(Debug)]
pub struct SecondPass {
    pub(super) valid: u64,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) duplicates: Duplicates,
    /// Rows that only the caller's judge refused.
    pub(super) refused: RowSet,
}

/// Reads a whole file and judges every row (SPEC 5). Memory does not grow with the file.
///
/// # Errors
/// [`FileProblem`]: the file as a whole is refused, and nothing of it may be sent.
pub fn check<R: Read>(file: R, expect: Expect<'_>, options: CheckOptions<'_>) -> Result<Checked, FileProblem> {
    let mut audience = CsvAudience::open(file, expect)?;
    let mut tally = Tally::new(&audience, options.shown, options.in_memory);
    while let Some(row) = audience.next_row() {
        tally.row(row?, options.judge)?;
        if tally.rows.is_multiple_of(PROGRESS_ROWS) {
            (options.progress)(audience.source().bytes_read());
        }
    }
    (options.progress)(audience.source().bytes_read());
    tally.finish(&audience)
}

struct Tally {
    rows: u64,
    valid: u64,
    not_opted_in: u64,
    shown: usize,
    problems: Vec<RowProblem>,
    summary: Summary,
    rejected: RejectedWriter,
    finder: DuplicateFinder,
    refused: RowSet,
}

impl Tally {
    fn new<R: Read>(audience: &CsvAudience<R>, shown: usize, in_memory: usize) -> Self {
        let source = audience.source();
        Self {
            rows: 0,
            valid: 0,
            not_opted_in: 0,
            shown,
            problems: Vec::new(),
            summary: Summary::default(),
            rejected: RejectedWriter::new(audience.layout(), source.delimiter(), source.bom()),
            finder: DuplicateFinder::with_limit(in_memory),
            refused: RowSet::with_limit(in_memory),
        }
    }

    fn row(
        &mut self,
        row: Row<'_>,
        judge: &mut dyn FnMut(&Row<'_>, &Contact) -> Result<(), RowProblem>,
    ) -> Result<(), FileProblem> {
        self.rows += 1;
        let contact = match &row.contact {
            Ok(contact) => contact,
            Err(problems) => return self.reject(&row, problems),
        };
        if let Err(problem) = judge(&row, contact) {
            self.refused.push(row.number).map_err(FileProblem::Spill)?;
            return self.reject(&row, &[problem]);
        }
        self.valid += 1;
        self.not_opted_in += u64::from(contact.opted_in == OptIn::No);
        self.finder.push(contact.to.digits(), row.number).map_err(FileProblem::Spill)
    }

    fn reject(&mut self, row: &Row<'_>, problems: &[RowProblem]) -> Result<(), FileProblem> {
        for problem in problems {
            self.summary.add(problem);
            if self.problems.len() < self.shown {
                self.problems.push(problem.clone());
            }
        }
        self.rejected.write(row.number, row.fields, problems)
    }

    fn finish<R: Read>(self, audience: &CsvAudience<R>) -> Result<Checked, FileProblem> {
        let (bytes, sha256) = (audience.source().bytes_read(), audience.source().sha256());
        let duplicates = self.finder.finish().map_err(FileProblem::Spill)?;
        Ok(Checked {
            rows: self.rows,
            valid: self.valid,
            invalid: self.rows - self.valid,
            not_opted_in: self.not_opted_in,
            bytes,
            sha256,
            columns: audience.layout().own().map(|(_, column)| column.clone()).collect(),
            summary: self.summary,
            problems: self.problems,
            rejected: self.rejected.finish()?,
            duplicates: duplicates.count(),
            second_pass: SecondPass { valid: self.valid, bytes, sha256, duplicates, refused: self.refused },
        })
    }
}
