//! A CSV file as a stream of judged rows. Its memory is one row, however long the file.

use std::{collections::BTreeSet, io::Read};

use csv::StringRecord;

use super::{
    columns::{Columns, Role},
    problem::FileProblem,
    row::{self, Row, Rules},
    source::{MAX_ROW_BYTES, Source},
};
use crate::domain::{
    contact::{ChannelType, OptIn},
    id::ConfigurationId,
    phone::Country,
};

/// How much is read from the file at once, in bytes.
const BUFFER: usize = 32 * 1024;

/// What the file is held against: the configuration's side of SPEC 5.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// A `channelid` that differs is refused.
    pub channel_type: ChannelType,
    /// A `msdyn_ocoutboundconfigurationid` that differs is refused; `None`: whatever it is.
    pub configuration: Option<ConfigurationId>,
    /// The slugs that the template cannot do without, spelled as in the template or folded.
    pub required_slugs: &'a BTreeSet<String>,
    /// For numbers in national form.
    pub default_country: Option<Country>,
    /// What is attested for every row that does not say itself (`--opted-in`, the list, the configuration).
    pub attested: Option<OptIn>,
}

/// A file being read, row by row.
#[derive(Debug)]
pub struct CsvAudience<R> {
    reader: csv::Reader<Source<R>>,
    columns: Columns,
    rules: Rules,
    record: StringRecord,
    rows: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

impl<R: Read> CsvAudience<R> {
    /// Reads the header and refuses at once what no row could mend.
    ///
    /// # Errors
    /// Everything that [`FileProblem`] says of a file as a whole and of its header.
    pub fn open(reader: R, expect: Expect<'_>) -> Result<Self, FileProblem> {
        let source = Source::open(reader)?;
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(source.delimiter()).has_headers(false).flexible(true).buffer_capacity(BUFFER);
        let mut reader = builder.from_reader(source);
        let mut record = StringRecord::new();
        if !read(&mut reader, &mut record)? {
            return Err(FileProblem::Empty);
        }
        let columns = Columns::read(record.iter(), expect.required_slugs)?;
        if columns.position(Role::OptIn).is_none() && expect.attested.is_none() {
            return Err(FileProblem::NoOptIn { found: columns.found() });
        }
        let Expect { channel_type, configuration, default_country, attested, .. } = expect;
        let rules = Rules { channel_type, configuration, default_country, attested };
        Ok(Self { reader, columns, rules, record, rows: 0, state: State::Reading })
    }

    /// The next row that is not blank; after an error or the end, `None`.
    ///
    /// # Errors
    /// [`FileProblem`]: from here on the file cannot be read. Problems of the row itself are in the [`Row`].
    pub fn next_row(&mut self) -> Option<Result<Row<'_>, FileProblem>> {
        loop {
            if self.state == State::Ended {
                return None;
            }
            match read(&mut self.reader, &mut self.record) {
                Ok(true) if self.record.iter().all(|field| field.trim().is_empty()) => {}
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
        let line = first_line(self.reader.position().line(), &self.record);
        Some(Ok(row::read(&self.rules, &self.columns, line, &self.record)))
    }
}

impl<R: Read> CsvAudience<R> {
    /// The columns' names as written, in their order.
    pub fn columns(&self) -> &[String] {
        &self.columns.names
    }

    /// What the columns mean.
    pub fn layout(&self) -> &Columns {
        &self.columns
    }

    /// The bytes behind the rows: how many were read, their hash, the delimiter.
    pub fn source(&self) -> &Source<R> {
        self.reader.get_ref()
    }
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
