//! A CSV file as a stream of judged rows. Its memory is one row, however long the file.

use std::{collections::BTreeSet, io::Read};

use super::{
    columns::{Columns, Role},
    problem::FileProblem,
    records::Records,
    row::{self, Row, Rules},
    source::Source,
};
use crate::domain::{
    contact::{ChannelType, OptIn},
    id::ConfigurationId,
    phone::Country,
};

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
    records: Records<R>,
    columns: Columns,
    rules: Rules,
    /// It is a file of rejected rows that comes back.
    returned: bool,
}

impl<R: Read> CsvAudience<R> {
    /// Reads the header and refuses at once what no row could mend.
    ///
    /// # Errors
    /// Everything that [`FileProblem`] says of a file as a whole and of its header.
    pub fn open(reader: R, expect: Expect<'_>) -> Result<Self, FileProblem> {
        let records = Records::open(reader)?;
        let columns = Columns::read(records.record().iter(), expect.required_slugs)?;
        if columns.position(Role::OptIn).is_none() && expect.attested.is_none() {
            return Err(FileProblem::NoOptIn { found: columns.names });
        }
        let Expect { channel_type, configuration, default_country, attested, .. } = expect;
        let rules = Rules { channel_type, configuration, default_country, attested };
        let returned = columns.position(Role::Error).is_some();
        Ok(Self { records, columns, rules, returned })
    }

    /// The next row that is not blank; after an error or the end, `None`.
    ///
    /// # Errors
    /// [`FileProblem`]: from here on the file cannot be read. Problems of the row itself are in the [`Row`].
    pub fn next_row(&mut self) -> Option<Result<Row<'_>, FileProblem>> {
        let line = self.records.advance()?;
        if self.returned {
            self.records.restore();
        }
        Some(line.map(|line| row::read(&self.rules, &self.columns, line, self.records.record())))
    }
}

impl<R: Read> CsvAudience<R> {
    /// What the columns mean.
    pub fn layout(&self) -> &Columns {
        &self.columns
    }

    /// The bytes behind the rows: how many were read, their hash, the delimiter.
    pub fn source(&self) -> &Source<R> {
        self.records.source()
    }
}
