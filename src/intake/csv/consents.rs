//! A CSV file of consents: who may be written to and who may not. It is read like an audience, as a whole first; here is what
//! its columns and cells mean.
//!
//! The number's column has the names that it has in an audience. `channel`, `state` (or `optin`, with yes and no) and `at` may be
//! left out; what else a file has is passed over.

use std::io::Read;

use chrono::DateTime;
use csv::StringRecord;

use super::{
    columns::{Columns, Role, fold_header},
    problem::{FileProblem, RowProblem, RowProblemKind},
    records::Records,
    rejected::{Rejected, RejectedWriter},
    summary::Summary,
};
use crate::{
    domain::{
        contact::{ChannelType, OptIn},
        phone::{Country, E164, NumberProblem},
        time::Timestamp,
    },
    store::consents::Consent,
};

/// After how many rows progress is told.
const PROGRESS_ROWS: u64 = 4096;

/// What stands in for what a row does not say.
#[derive(Clone, Copy, Debug)]
pub struct Unsaid {
    /// The channel type; `None`: both.
    pub channel_type: Option<ChannelType>,
    /// The consent.
    pub consent: Consent,
    /// For numbers in national form.
    pub default_country: Option<Country>,
    /// When it was said. No row can speak of a later time.
    pub now: Timestamp,
}

/// What one row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// Of whom.
    pub of: E164,
    /// On which channel type; `None`: on both.
    pub channel_type: Option<ChannelType>,
    /// What they said.
    pub consent: Consent,
    /// When.
    pub at: Timestamp,
}

/// A row, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedRow {
    /// The line of the file on which it begins; the header is line 1.
    pub line: u64,
    /// What it says, or all that is wrong with it (never empty).
    pub said: Result<ConsentRow, Vec<RowProblem>>,
}

/// What a first pass found.
#[derive(Debug)]
pub struct CheckedConsents {
    /// Data rows, blank ones not counted. Always `valid + invalid`.
    pub rows: u64,
    /// Rows that say something.
    pub valid: u64,
    /// Rows that do not.
    pub invalid: u64,
    /// The problems counted, and the instruction that they amount to.
    pub summary: Summary,
    /// The first problems, in the order of the file.
    pub problems: Vec<RowProblem>,
    /// The rejected rows as a CSV; `None` if there are none.
    pub rejected: Option<Rejected>,
    /// Columns that mean nothing here, as written.
    pub ignored: Vec<String>,
    /// SHA-256 of the file's bytes.
    pub sha256: [u8; 32],
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Number,
    Channel,
    State,
    OptIn,
    At,
    Ignored,
}

/// The rows of a file of consents.
#[derive(Debug)]
pub struct ConsentRows<R> {
    records: Records<R>,
    columns: Columns,
    cells: Vec<Cell>,
    unsaid: Unsaid,
}

impl<R: Read> ConsentRows<R> {
    /// Reads the header and refuses at once what no row could mend.
    ///
    /// # Errors
    /// Everything that [`FileProblem`] says of a file as a whole and of its header.
    pub fn open(reader: R, unsaid: Unsaid) -> Result<Self, FileProblem> {
        let records = Records::open(reader)?;
        let columns = Columns::read(records.record().iter(), &std::collections::BTreeSet::new())?;
        let cells: Vec<Cell> = columns.all.iter().map(|column| cell(column.role, &column.name)).collect();
        for (what, meant) in [
            ("the channel", &[Cell::Channel][..]),
            ("the consent", &[Cell::State, Cell::OptIn]),
            ("the time", &[Cell::At]),
        ] {
            let mut found = cells.iter().zip(&columns.names).filter(|(cell, _)| meant.contains(cell));
            if let (Some((_, first)), Some((_, second))) = (found.next(), found.next()) {
                return Err(FileProblem::TwoColumns { what, first: first.clone(), second: second.clone() });
            }
        }
        Ok(Self { records, columns, cells, unsaid })
    }

    /// What the next row says, or all that is wrong with it; after an error or the end, `None`.
    ///
    /// # Errors
    /// [`FileProblem`]: from here on the file cannot be read.
    pub fn next_row(&mut self) -> Option<Result<JudgedRow, FileProblem>> {
        let line = self.records.advance()?;
        if self.columns.position(Role::Error).is_some() {
            self.records.restore(); // a file of rejected rows that comes back
        }
        Some(line.map(|line| JudgedRow { line, said: self.read(line, self.records.record()) }))
    }

    /// SHA-256 of the bytes read so far; of the whole file once it has ended.
    pub fn sha256(&self) -> [u8; 32] {
        self.records.source().sha256()
    }

    fn read(&self, line: u64, fields: &StringRecord) -> Result<ConsentRow, Vec<RowProblem>> {
        if fields.len() != self.cells.len() {
            let kind = RowProblemKind::WrongFieldCount { expected: self.cells.len(), found: fields.len() };
            return Err(vec![RowProblem::new(line, "", "", kind)]);
        }
        let Unsaid { channel_type, consent, now, default_country } = self.unsaid;
        let mut row = ConsentRow { of: E164::from_digits(0), channel_type, consent, at: now };
        let mut problems = Vec::new();
        for ((cell, name), value) in self.cells.iter().zip(&self.columns.names).zip(fields) {
            let value = value.trim();
            let read = match cell {
                Cell::Number => number(value, default_country).map(|of| row.of = of),
                Cell::Channel | Cell::State | Cell::OptIn | Cell::At if value.is_empty() => Ok(()),
                Cell::Channel => channel(value).map(|channel_type| row.channel_type = channel_type),
                Cell::State => value.parse().map(|said| row.consent = said).map_err(|_| RowProblemKind::InvalidConsent),
                Cell::OptIn => opt_in(value).map(|said| row.consent = said),
                Cell::At => moment(value, now).map(|at| row.at = at),
                Cell::Ignored => Ok(()),
            };
            problems.extend(read.err().map(|kind| RowProblem::new(line, name, value, kind)));
        }
        if problems.is_empty() { Ok(row) } else { Err(problems) }
    }
}

fn cell(role: Role, name: &str) -> Cell {
    match role {
        Role::Recipient => Cell::Number,
        Role::Channel => Cell::Channel,
        Role::OptIn => Cell::OptIn,
        Role::Slug => match fold_header(name).as_str() {
            "channel" | "channeltype" => Cell::Channel,
            "state" | "consent" => Cell::State,
            "at" | "changedat" => Cell::At,
            _ => Cell::Ignored,
        },
        Role::Locale
        | Role::Timezone
        | Role::Relationship
        | Role::Regarding
        | Role::Configuration
        | Role::SendAsTemplate
        | Role::TemplateParameters
        | Role::Error
        | Role::Unnamed => Cell::Ignored,
    }
}

fn number(value: &str, default_country: Option<Country>) -> Result<E164, RowProblemKind> {
    E164::parse(value, default_country).map_err(|problem| match problem {
        NumberProblem::Empty => RowProblemKind::MissingValue,
        NumberProblem::NoCountry | NumberProblem::NotANumber | NumberProblem::TooShort | NumberProblem::TooLong => {
            RowProblemKind::InvalidNumber(problem)
        }
    })
}

fn channel(value: &str) -> Result<Option<ChannelType>, RowProblemKind> {
    match value.parse() {
        Ok(channel_type) => Ok(Some(channel_type)),
        Err(_) if value.eq_ignore_ascii_case("both") => Ok(None),
        Err(_) => Err(RowProblemKind::InvalidChannel),
    }
}

fn opt_in(value: &str) -> Result<Consent, RowProblemKind> {
    match OptIn::parse(value) {
        Some(OptIn::Yes) => Ok(Consent::In),
        Some(OptIn::No) => Ok(Consent::Out),
        None => Err(RowProblemKind::InvalidOptIn),
    }
}

/// A time that has not come yet would keep every later word from being heeded.
fn moment(value: &str, now: Timestamp) -> Result<Timestamp, RowProblemKind> {
    let at = DateTime::parse_from_rfc3339(value).map_err(|_| RowProblemKind::InvalidTime)?;
    let at = Timestamp::from(at.to_utc());
    if at > now { Err(RowProblemKind::FutureTime) } else { Ok(at) }
}

/// Reads a whole file and judges every row. Memory does not grow with the file; `shown` is the most problems that are kept.
///
/// # Errors
/// [`FileProblem`]: the file as a whole is refused.
pub fn check_consents<R: Read>(
    file: R,
    unsaid: Unsaid,
    shown: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<CheckedConsents, FileProblem> {
    let mut rows = ConsentRows::open(file, unsaid)?;
    let source = rows.records.source();
    let mut rejected = RejectedWriter::new(&rows.columns, source.delimiter(), source.bom());
    let (mut summary, mut problems) = (Summary::default(), Vec::new());
    let (mut all, mut valid) = (0u64, 0);
    while let Some(row) = rows.next_row() {
        let JudgedRow { line, said } = row?;
        all += 1;
        match said {
            Ok(_) => valid += 1,
            Err(found) => {
                found.iter().for_each(|problem| summary.add(problem));
                rejected.write(line, rows.records.record(), &found)?;
                problems.extend(found.into_iter().take(shown.saturating_sub(problems.len())));
            }
        }
        if all.is_multiple_of(PROGRESS_ROWS) {
            progress(rows.records.source().bytes_read());
        }
    }
    progress(rows.records.source().bytes_read());
    let named = rows.cells.iter().zip(&rows.columns.all);
    let ignored =
        named.filter(|(cell, column)| **cell == Cell::Ignored && !matches!(column.role, Role::Error | Role::Unnamed));
    Ok(CheckedConsents {
        rows: all,
        valid,
        invalid: all - valid,
        summary,
        problems,
        ignored: ignored.map(|(_, column)| column.name.clone()).collect(),
        sha256: rows.sha256(),
        rejected: rejected.finish()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const UNSAID: Unsaid = Unsaid { channel_type: None, consent: Consent::Out, default_country: None, now: NOW };

    fn all(file: &str, unsaid: Unsaid) -> Vec<Result<ConsentRow, Vec<RowProblem>>> {
        let mut rows = ConsentRows::open(file.as_bytes(), unsaid).unwrap();
        std::iter::from_fn(|| rows.next_row()).map(|row| row.unwrap().said).collect()
    }

    #[test]
    fn a_list_of_numbers_is_a_list_of_opt_outs() {
        let of = E164::parse("+4915112345678", None).unwrap();
        let said = |channel_type, consent, at| Ok(ConsentRow { of, channel_type, consent, at });
        use ChannelType::{Sms, WhatsApp};
        assert_eq!(all("Phone Number\n+49 151 12345678\n", UNSAID), [said(None, Consent::Out, NOW)]);
        let german = Unsaid { default_country: "DE".parse().ok(), channel_type: Some(Sms), ..UNSAID };
        assert_eq!(all("mobile\n0151 12345678\n", german), [said(Some(Sms), Consent::Out, NOW)]);
        let file = "to;Channel;STATE;At;Name\n\
            +4915112345678;whatsapp;opted_in;2026-11-18T11:06:40Z;Ana\n\
            +4915112345678;Both;UNKNOWN;2026-11-18T13:06:39+02:00;Ana\n\
            +4915112345678;;;;\n";
        assert_eq!(
            all(file, german),
            [
                said(Some(WhatsApp), Consent::In, NOW),
                said(None, Consent::Unknown, Timestamp::from_millis(NOW.millis() - 1_000)),
                said(Some(Sms), Consent::Out, NOW),
            ]
        );
        let contacts = "to,optin,channelid\n+4915112345678,yes,sms\n+4915112345678,no,\n";
        assert_eq!(all(contacts, UNSAID), [said(Some(Sms), Consent::In, NOW), said(None, Consent::Out, NOW)]);
    }

    #[test]
    fn every_problem_of_every_row_is_told() {
        let file = "phone,channel,state,at,Name\n\
            12,fax,perhaps,yesterday,Ana\n\
            +4915112345678,sms,opted_out,2026-11-18T11:06:41Z,Bo\n\
            ,,,,Cid\n\
            +4915112345678\n\
            +4915112345678,,,,Dan\n";
        let found = check_consents(file.as_bytes(), UNSAID, 5, &mut |_| ()).unwrap();
        assert_eq!((found.rows, found.valid, found.invalid), (5, 1, 4));
        assert_eq!(found.ignored, ["Name"]);
        let sentences: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(sentences.join("\n"), @r#"
        line 2, column phone: "12" has no leading +; expected international form, like +4915112345678 (or set the organization's default_country)
        line 2, column channel: "fax" is no channel; expected "sms", "whatsapp", "both", or nothing
        line 2, column state: "perhaps" is no consent; expected "opted_out", "opted_in", "unknown", or nothing
        line 2, column at: "yesterday" is no point in time; expected one like "2026-11-18T11:06:40Z"
        line 3, column at: "2026-11-18T11:06:41Z" has not come yet; expected when it was said
        "#);
        insta::assert_snapshot!(found.summary, @"fix 1 phone number; fix channel in 1 row; fix state in 1 row; fix at in 1 row; write into at when it was said in 1 row; fill in phone in 1 row; bring 1 row to 5 fields");
        assert_eq!(found.rejected.unwrap().rows, 4);
    }

    #[test]
    fn files_that_no_row_can_mend_are_refused_at_once() {
        for (file, sentence) in [
            (
                "state\nopted_out\n",
                "no column holds the recipient's number; expected one of tocontactid, to, phone, phone number, mobile; found \"state\"",
            ),
            (
                "to,state,optin\n1,2,3\n",
                "two columns could hold the consent, \"state\" and \"optin\"; keep or rename one of them",
            ),
            (
                "to,channel,channelid\n1,2,3\n",
                "two columns could hold the channel, \"channel\" and \"channelid\"; keep or rename one of them",
            ),
            ("to\n", "the file has a header line but no rows; expected one line for each recipient"),
        ] {
            let refused = check_consents(file.as_bytes(), UNSAID, 5, &mut |_| ()).unwrap_err();
            assert_eq!(refused.to_string(), sentence);
        }
    }
}
