//! The records of a CSV file, one after another, each with the line on which it begins. Its memory is one record, however long
//! the file. What the cells mean is decided elsewhere.

use std::io::Read;

use csv::StringRecord;

use super::{
    export::restored,
    problem::FileProblem,
    source::{MAX_ROW_BYTES, Source},
};

/// How much is read from the file at once, in bytes.
const BUFFER: usize = 32 * 1024;

/// A file being read, record by record.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: csv::Reader<Source<R>>,
    record: StringRecord,
    rows: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

impl<R: Read> Records<R> {
    /// Reads the header: the first record that is not blank.
    pub fn open(reader: R) -> Result<Self, FileProblem> {
        let source = Source::open(reader)?;
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(source.delimiter()).has_headers(false).flexible(true).buffer_capacity(BUFFER);
        let mut reader = builder.from_reader(source);
        let mut record = StringRecord::new();
        loop {
            if !read(&mut reader, &mut record)? {
                return Err(FileProblem::Empty);
            }
            if !is_blank(&record) {
                break;
            }
        }
        Ok(Self { reader, record, rows: 0, state: State::Reading })
    }

    /// Goes on to the next record that is not blank, and gives its line; after an error or the end, `None`. A file without
    /// any is an error.
    pub fn advance(&mut self) -> Option<Result<u64, FileProblem>> {
        loop {
            if self.state == State::Ended {
                return None;
            }
            match read(&mut self.reader, &mut self.record) {
                Ok(true) if is_blank(&self.record) => {}
                Ok(true) => break,
                Ok(false) => {
                    self.state = State::Ended;
                    return (self.rows == 0).then_some(Err(FileProblem::NoRows));
                }
                Err(problem) => {
                    self.state = State::Ended;
                    return Some(Err(problem));
                }
            }
        }
        self.rows += 1;
        Some(Ok(first_line(self.reader.position().line(), &self.record)))
    }

    /// The record that was read last.
    pub fn record(&self) -> &StringRecord {
        &self.record
    }

    /// Gives the record back what herald had put before some of its cells so that no spreadsheet runs them.
    pub fn restore(&mut self) {
        if self.record.iter().any(|cell| cell.starts_with('\'')) {
            self.record = self.record.iter().map(restored).collect();
        }
    }

    /// The bytes behind the records: how many were read, their hash, the delimiter.
    pub fn source(&self) -> &Source<R> {
        self.reader.get_ref()
    }
}

fn is_blank(record: &StringRecord) -> bool {
    record.iter().all(|field| field.trim().is_empty())
}

/// Reads a record; whether there was one.
fn read<R: Read>(reader: &mut csv::Reader<Source<R>>, record: &mut StringRecord) -> Result<bool, FileProblem> {
    let start = reader.position().byte();
    reader.get_mut().record_begins(start);
    let found = reader.read_record(record);
    let found =
        found.map_err(|error| reader.get_mut().take_problem().unwrap_or_else(|| FileProblem::Io(error.into())))?;
    if found && reader.position().byte() - start > MAX_ROW_BYTES {
        let line = first_line(reader.position().line(), record);
        return Err(FileProblem::RowTooLong { line, limit: MAX_ROW_BYTES });
    }
    Ok(found)
}

/// The line on which a record began, from the line after it. Its own LF is the only one that is not in its fields.
fn first_line(after: u64, record: &StringRecord) -> u64 {
    let inside = record.as_slice().bytes().filter(|byte| *byte == b'\n').count() as u64;
    after.saturating_sub(1 + inside)
}
