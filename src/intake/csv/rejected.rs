//! The rejected rows as a CSV that can be corrected and uploaded again (SPEC 5).
//!
//! The file's own columns, order, delimiter and cells are kept as they are, plus one column that says what is wrong. When the
//! file comes back that column is ignored, and replaced if rows are rejected again; and cells that were neutralised, so that no
//! spreadsheet runs them, are again what they were.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

use csv::{StringRecord, Terminator};

use super::{
    columns::{Columns, Role},
    export::{neutralised, restored},
    problem::{FileProblem, RowProblem},
};

/// The rejected rows in a temporary file that vanishes when it is dropped.
#[derive(Debug)]
pub struct Rejected {
    /// The CSV, at its beginning.
    pub file: File,
    /// How many rows it holds.
    pub rows: u64,
    /// Of each row, in order: its line in the file that it was read from, in 8 bytes, and its code, after a byte with its length.
    marks: File,
    delimiter: u8,
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// The line of the file on which it began.
    pub line: u64,
    /// Its cells, as they were.
    pub fields: Vec<String>,
    /// What is wrong with it.
    pub remark: String,
    /// The code of what is wrong with it first.
    pub code: String,
}

impl Rejected {
    /// The rows, one after another.
    pub fn into_rows(self) -> impl Iterator<Item = Result<RejectedRow, FileProblem>> {
        let mut marks = BufReader::new(self.marks);
        let mut builder = csv::ReaderBuilder::new();
        let rows = builder.delimiter(self.delimiter).flexible(true).from_reader(BufReader::new(self.file));
        let mut remark_at = 0;
        let mut rows = rows.into_records();
        std::iter::from_fn(move || {
            if remark_at == 0 {
                // The remark stands behind the file's own columns: the last of the header.
                remark_at = rows.reader_mut().headers().map_or(0, |header| header.len().saturating_sub(1));
            }
            let record = rows.next()?;
            Some(
                record
                    .map_err(io::Error::from)
                    .and_then(|record| read_row(&mut marks, &record, remark_at))
                    .map_err(FileProblem::Spill),
            )
        })
    }
}

fn read_row(marks: &mut impl Read, record: &StringRecord, remark_at: usize) -> io::Result<RejectedRow> {
    let (mut line, mut length) = ([0; 8], [0; 1]);
    marks.read_exact(&mut line)?;
    marks.read_exact(&mut length)?;
    let mut code = String::new();
    marks.take(u64::from(length[0])).read_to_string(&mut code)?;
    let own = record.iter().enumerate().filter(|(place, _)| *place != remark_at);
    Ok(RejectedRow {
        line: u64::from_le_bytes(line),
        fields: own.map(|(_, cell)| restored(cell).to_owned()).collect(),
        remark: restored(record.get(remark_at).unwrap_or_default()).to_owned(),
        code,
    })
}

/// Writes rejected rows as they are met; no file is made before the first.
#[derive(Debug)]
pub(super) struct RejectedWriter {
    delimiter: u8,
    bom: &'static [u8],
    columns: Columns,
    /// The column in which an earlier remark stands.
    old_remark: Option<usize>,
    writer: Option<csv::Writer<BufWriter<File>>>,
    marks: Option<BufWriter<File>>,
    rows: u64,
}

impl RejectedWriter {
    pub fn new(columns: &Columns, delimiter: u8, bom: &'static [u8]) -> Self {
        let old_remark = columns.position(Role::Error);
        Self { delimiter, bom, columns: columns.clone(), old_remark, writer: None, marks: None, rows: 0 }
    }

    /// Adds a row with all its problems. Fields beyond the header's follow the remark, so that columns stay in line.
    pub fn write(&mut self, line: u64, fields: &StringRecord, problems: &[RowProblem]) -> Result<(), FileProblem> {
        let remark = problems.iter().map(|problem| problem.reason().to_string()).collect::<Vec<_>>().join("; ");
        let (width, old_remark) = (self.columns.all.len(), self.old_remark);
        let own = (0..width).filter(|place| Some(*place) != old_remark).map(|place| fields.get(place).unwrap_or(""));
        let cells = own.chain([remark.as_str()]).chain(fields.iter().skip(width));
        let cells: Vec<_> = cells.map(neutralised).collect();
        let code = problems.first().map_or("", |problem| problem.kind.code());
        let written = self
            .open()
            .and_then(|writer| writer.write_record(cells.iter().map(AsRef::<str>::as_ref)).map_err(io::Error::from));
        let written = written.and_then(|()| self.mark(line, code));
        self.rows += 1;
        written.map_err(FileProblem::Spill)
    }

    fn mark(&mut self, line: u64, code: &str) -> io::Result<()> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        marks.write_all(&line.to_le_bytes())?;
        marks.write_all(&[u8::try_from(code.len()).unwrap_or(0)])?;
        marks.write_all(code.as_bytes())
    }

    fn open(&mut self) -> io::Result<&mut csv::Writer<BufWriter<File>>> {
        if self.writer.is_none() {
            let mut file = BufWriter::new(tempfile::tempfile()?);
            file.write_all(self.bom)?;
            let mut builder = csv::WriterBuilder::new();
            builder.delimiter(self.delimiter).flexible(true).terminator(Terminator::CRLF);
            let mut writer = builder.from_writer(file);
            let old_remark = self.old_remark;
            let names = self.columns.names.iter().enumerate().filter(|(place, _)| Some(*place) != old_remark);
            writer.write_record(names.map(|(_, name)| name.as_str()).chain([self.columns.error_name]))?;
            self.writer = Some(writer);
            self.marks = Some(BufWriter::new(tempfile::tempfile()?));
        }
        self.writer.as_mut().ok_or_else(|| io::Error::other("no writer"))
    }

    /// The file, if there was any row for it.
    pub fn finish(self) -> Result<Option<Rejected>, FileProblem> {
        let (Some(writer), Some(marks)) = (self.writer, self.marks) else { return Ok(None) };
        let file = finished(writer).map_err(FileProblem::Spill)?;
        let mut marks = marks.into_inner().map_err(io::IntoInnerError::into_error).map_err(FileProblem::Spill)?;
        marks.rewind().map_err(FileProblem::Spill)?;
        Ok(Some(Rejected { file, rows: self.rows, marks, delimiter: self.delimiter }))
    }
}

fn finished(writer: csv::Writer<BufWriter<File>>) -> io::Result<File> {
    let buffer = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    let mut file = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}
