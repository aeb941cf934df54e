//! CSV for people with spreadsheets: cells that a spreadsheet would run as a formula are neutralised (SPEC 13).
//!
//! A cell that begins with `=`, `+`, `-`, `@` (also in full width), a tab or a line end gets a leading apostrophe, which
//! spreadsheets show as plain text. One exception: a phone number, that is `+` and nothing but digits and what people put
//! between them, in whatever column, is left as it is in the file: without a letter there is nothing that could be run.
//! What herald has put before a cell it takes away again from a file of rejected rows that comes back ([`restored`]).

use std::{borrow::Cow, io};

/// A cell as it may be written: borrowed if it is harmless.
pub fn neutralised(cell: &str) -> Cow<'_, str> {
    if is_dangerous(cell.trim_start_matches('\'')) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell that [`neutralised`] had made this of.
pub fn restored(cell: &str) -> &str {
    let is_ours = |_: &&str| is_dangerous(cell.trim_start_matches('\''));
    cell.strip_prefix('\'').filter(is_ours).unwrap_or(cell)
}

fn is_dangerous(cell: &str) -> bool {
    const DANGEROUS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    cell.starts_with(DANGEROUS) && !cell.strip_prefix('+').is_some_and(is_number)
}

fn is_number(rest: &str) -> bool {
    let between = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')');
    rest.bytes().any(|byte| byte.is_ascii_digit()) && rest.bytes().all(|byte| byte.is_ascii_digit() || between(byte))
}

/// Writes a report: comma, CRLF, UTF-8 without a byte order mark, every cell neutralised.
#[derive(Debug)]
pub struct ReportWriter<W: io::Write> {
    inner: csv::Writer<W>,
}

impl<W: io::Write> ReportWriter<W> {
    /// Into a file, a response, a buffer; it is buffered here.
    pub fn new(writer: W) -> Self {
        let mut builder = csv::WriterBuilder::new();
        builder.terminator(csv::Terminator::CRLF).flexible(true);
        Self { inner: builder.from_writer(writer) }
    }

    /// Writes one line; the header is a line like any other.
    ///
    /// # Errors
    /// The writer failed.
    pub fn write<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) -> io::Result<()> {
        for cell in cells {
            self.inner.write_field(neutralised(cell).as_bytes()).map_err(io::Error::from)?;
        }
        self.inner.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    /// Hands out what was written to, after the last byte.
    ///
    /// # Errors
    /// The writer failed.
    pub fn finish(self) -> io::Result<W> {
        self.inner.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text_and_numbers_stay_readable() {
        let table = [
            ("Ana", "Ana"),
            ("", ""),
            ("+4915112345678", "+4915112345678"),
            ("+", "'+"),
            ("+49 151/123-45", "+49 151/123-45"),
            ("+1 (425) 555.0100", "+1 (425) 555.0100"),
            ("+A1", "'+A1"),
            ("'+A1", "''+A1"),
            ("'tis", "'tis"),
            ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("＝1", "'＝1"),
            ("a=1", "a=1"),
        ];
        for (cell, written) in table {
            assert_eq!((neutralised(cell).as_ref(), restored(&neutralised(cell))), (written, cell));
        }
    }

    #[test]
    fn a_report_is_a_sound_csv() {
        let mut report = ReportWriter::new(Vec::new());
        report.write(["to", "name", "status"]).unwrap();
        report.write(["+33612345678", "Zoé, \"Z\"\nB", "=1+1"]).unwrap();
        report.write([""]).unwrap();
        let text = String::from_utf8(report.finish().unwrap()).unwrap();
        assert_eq!(text, "to,name,status\r\n+33612345678,\"Zoé, \"\"Z\"\"\nB\",'=1+1\r\n\"\"\r\n");
    }
}
