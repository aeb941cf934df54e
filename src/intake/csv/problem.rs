//! What can be wrong with a file and with a row, each with a stable code and a sentence that says where and what to do.

use std::{fmt, io};

use super::columns::MAX_COLUMNS;
use crate::{
    domain::{contact::ChannelType, phone::NumberProblem},
    template::ValueKind,
};

/// Why a whole file is refused. Nothing of it is sent.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// Reading failed.
    #[error("the file could not be read")]
    Io(#[source] io::Error),
    /// Writing to or reading from a temporary file failed.
    #[error("a temporary file could not be used while the file was checked")]
    Spill(#[source] io::Error),
    /// Nothing but blanks.
    #[error("the file is empty; expected a header line and one line for each recipient")]
    Empty,
    /// A header and nothing else.
    #[error("the file has a header line but no rows; expected one line for each recipient")]
    NoRows,
    /// Not UTF-8 from this byte (counted from 0) on.
    #[error("line {line}: not UTF-8 at byte offset {byte}{seems}; save the file as \"CSV UTF-8\"")]
    NotUtf8 {
        /// The offset of the offending byte, from 0.
        byte: u64,
        /// Its line, from 1.
        line: u64,
        /// What it may be instead.
        seems: Seems,
    },
    /// A NUL byte, which no text has.
    #[error(
        "line {line}: a NUL byte at byte offset {byte}, as in UTF-16 or in a spreadsheet's own format; save the file as \"CSV UTF-8\""
    )]
    NulByte {
        /// The offset of the byte, from 0.
        byte: u64,
        /// Its line, from 1.
        line: u64,
    },
    /// Text after a closing quote: where the row ends cannot be known.
    #[error(
        "line {line}: text after a closing quote at byte offset {byte}; a quote inside a quoted field is written twice"
    )]
    StrayQuote {
        /// The offset of the text, from 0.
        byte: u64,
        /// Its line, from 1.
        line: u64,
    },
    /// A quote that is still open where the file ends.
    #[error("line {line}: the quote that opens here is never closed")]
    OpenQuote {
        /// The line of the opening quote, from 1.
        line: u64,
    },
    /// A carriage return that no line feed follows.
    #[error(
        "line {line}: a carriage return without a line feed at byte offset {byte}; expected lines that end with LF or CRLF"
    )]
    BareReturn {
        /// The offset of the carriage return, from 0.
        byte: u64,
        /// Its line, from 1.
        line: u64,
    },
    /// A record that is longer than [`super::source::MAX_ROW_BYTES`].
    #[error("line {line}: the row is longer than {limit} bytes; is a quote left open?")]
    RowTooLong {
        /// The line on which the row, or the quote left open, begins; from 1.
        line: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More columns than [`super::columns::MAX_COLUMNS`].
    #[error("the header has {found} columns; at most {limit} are allowed")]
    TooManyColumns {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No column holds the number.
    #[error("no column holds the recipient's number; expected one of {accepted}; found {}", list(found))]
    NoRecipient {
        /// The accepted names.
        accepted: &'static str,
        /// The file's columns.
        found: Vec<String>,
    },
    /// Two columns hold a number.
    #[error("two columns could hold the recipient's number, \"{first}\" and \"{second}\"; keep or rename one of them")]
    TwoRecipients {
        /// The first of them, as written.
        first: String,
        /// The second of them, as written.
        second: String,
    },
    /// Two columns of one meaning, in a file of consents.
    #[error("two columns could hold {what}, \"{first}\" and \"{second}\"; keep or rename one of them")]
    TwoColumns {
        /// What they mean.
        what: &'static str,
        /// The first of them, as written.
        first: String,
        /// The second of them, as written.
        second: String,
    },
    /// Two headers that differ at most in case, blanks, `_` and `-`.
    #[error(
        "the columns \"{first}\" and \"{second}\" have the same name (case, blanks, _ and - do not count); rename or remove one of them"
    )]
    DuplicateColumn {
        /// The first of them, as written.
        first: String,
        /// The second of them, as written.
        second: String,
    },
    /// Columns that the template needs are not there.
    #[error("the template needs columns that the file does not have: {}; found {}", list(missing), list(found))]
    MissingColumns {
        /// The names that are missing.
        missing: Vec<String>,
        /// The file's columns.
        found: Vec<String>,
    },
    /// Nothing says that the recipients agreed.
    #[error(
        "the file has no column \"optin\", so nobody is known to have agreed; add one with yes or no in each row, or attest that all have agreed (--opted-in; opted_in=true in the API); found {}",
        list(found)
    )]
    NoOptIn {
        /// The file's columns.
        found: Vec<String>,
    },
    /// The bytes of the second pass are not those of the first.
    #[error("the file changed while it was read; nothing of it may be sent; start again")]
    Changed,
}

/// What a file that is not UTF-8 may be instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Seems {
    /// It begins with the mark of UTF-16.
    #[error(" (it begins like UTF-16)")]
    Utf16,
    /// One byte a letter, as Latin-1 and Windows-1252 have it.
    #[error(" (it may be Latin-1 or Windows-1252)")]
    OneByteALetter,
}

/// Names for an error message: quoted, and no more of them than can be read.
fn list(names: &[String]) -> String {
    let shown = names.iter().take(MAX_COLUMNS).map(|name| {
        let short: String = name.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        format!("\"{short}\"")
    });
    shown.collect::<Vec<_>>().join(", ")
}

impl FileProblem {
    /// The stable code that programs go by.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "unreadable_file",
            Self::Spill(_) => "no_temporary_space",
            Self::Empty => "empty_file",
            Self::NoRows => "no_rows",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NulByte { .. } => "nul_byte",
            Self::StrayQuote { .. } => "stray_quote",
            Self::OpenQuote { .. } => "open_quote",
            Self::BareReturn { .. } => "bare_carriage_return",
            Self::RowTooLong { .. } => "row_too_long",
            Self::TooManyColumns { .. } => "too_many_columns",
            Self::NoRecipient { .. } => "no_recipient_column",
            Self::TwoRecipients { .. } => "two_recipient_columns",
            Self::TwoColumns { .. } => "two_columns",
            Self::DuplicateColumn { .. } => "duplicate_column",
            Self::MissingColumns { .. } => "missing_columns",
            Self::NoOptIn { .. } => "no_optin_column",
            Self::Changed => "file_changed",
        }
    }
}

/// What is wrong with a cell, or with a row as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowProblemKind {
    /// A cell that every row must fill (the number, optin) is blank.
    MissingValue,
    /// The number is not possible.
    InvalidNumber(NumberProblem),
    /// `optin` is neither yes nor no.
    InvalidOptIn,
    /// `locale` is neither a language tag nor an LCID.
    InvalidLocale,
    /// `timezone` is no IANA name.
    InvalidTimezone,
    /// `channelid` is not the configuration's channel type, which is given here.
    WrongChannel(ChannelType),
    /// `msdyn_ocoutboundconfigurationid` is not the configuration invoked.
    WrongConfiguration,
    /// Two columns give one slug different values.
    AmbiguousSlug,
    /// The row does not have as many fields as the header.
    WrongFieldCount {
        /// As many as the header has.
        expected: usize,
        /// As many as the row has.
        found: usize,
    },
    /// A slug that the template needs is blank.
    MissingSlug,
    /// A helper of the template wants something else than stands there. From the caller's judge.
    InvalidValue(ValueKind),
    /// The rendered text is longer than is allowed (SPEC 6). From the caller's judge.
    MessageTooLong {
        /// Its length in Unicode scalar values.
        characters: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The rendered text is empty. From the caller's judge.
    EmptyMessage,
    /// A variable of approved content has a value that WhatsApp does not take: what is wrong with it. From the caller's judge.
    InvalidVariable(&'static str),
    /// `sendastemplate` is neither true nor false.
    InvalidSendAsTemplate,
    /// `templateparameters` is no JSON object of texts that WhatsApp takes.
    InvalidTemplateParameters,
    /// The template could not be rendered: the problem's value says why. From the caller's judge.
    TemplateFailed,
    /// In a file of consents: neither SMS nor WhatsApp nor both.
    InvalidChannel,
    /// In a file of consents: no state of consent.
    InvalidConsent,
    /// In a file of consents: no point in time.
    InvalidTime,
    /// In a file of consents: a time that has not come yet.
    FutureTime,
}

impl RowProblemKind {
    /// The stable code that programs go by.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingValue => "missing_value",
            Self::InvalidNumber(_) => "invalid_number",
            Self::InvalidOptIn => "invalid_optin",
            Self::InvalidLocale => "invalid_locale",
            Self::InvalidTimezone => "invalid_timezone",
            Self::WrongChannel(_) => "wrong_channel",
            Self::WrongConfiguration => "wrong_configuration",
            Self::AmbiguousSlug => "ambiguous_slug",
            Self::WrongFieldCount { .. } => "wrong_field_count",
            Self::MissingSlug => "missing_slug",
            Self::InvalidValue(_) => "invalid_value",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::EmptyMessage => "empty_message",
            Self::InvalidVariable(_) => "invalid_variable",
            Self::InvalidSendAsTemplate => "invalid_sendastemplate",
            Self::InvalidTemplateParameters => "invalid_templateparameters",
            Self::TemplateFailed => "template_failed",
            Self::InvalidChannel => "invalid_channel",
            Self::InvalidConsent => "invalid_consent",
            Self::InvalidTime => "invalid_time",
            Self::FutureTime => "future_time",
        }
    }
}

impl fmt::Display for RowProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingValue => f.write_str("is empty; every row needs a value here"),
            Self::InvalidNumber(problem) => problem.fmt(f),
            Self::InvalidOptIn => f.write_str("is neither yes nor no; expected yes/no, true/false or 1/0"),
            Self::InvalidLocale => {
                f.write_str("is not a locale; expected a tag like \"fr\" or \"fr-CA\", or a Windows number like 1036")
            }
            Self::InvalidTimezone => f.write_str("is not a time zone; expected an IANA name like \"Europe/Berlin\""),
            Self::WrongChannel(expected) => {
                write!(f, "is not the configuration's channel type; expected \"{expected}\", or nothing")
            }
            Self::WrongConfiguration => f.write_str("is not the configuration that this file was given to"),
            Self::AmbiguousSlug => f.write_str("is given twice in this row with different values"),
            Self::WrongFieldCount { expected, found } => {
                write!(f, "has {found} {}; the header has {expected}", fields(*found))
            }
            Self::InvalidValue(kind) => write!(f, "is not {}; expected {}", kind.name(), kind.expected()),
            Self::MissingSlug => f.write_str("is empty; the template needs a value here"),
            Self::MessageTooLong { characters, limit } => {
                write!(f, "makes a text of {characters} characters; at most {limit} are allowed")
            }
            Self::EmptyMessage => f.write_str("makes an empty text"),
            Self::InvalidVariable(fault) => f.write_str(fault),
            Self::InvalidSendAsTemplate => f.write_str("is neither yes nor no; expected yes/no, true/false or 1/0"),
            Self::InvalidTemplateParameters => f.write_str(
                "is not a JSON object of names and texts, like {\"1\": \"Ana\"}, each of them filled and on one line",
            ),
            Self::TemplateFailed => f.write_str("cannot be used by the template"),
            Self::InvalidChannel => f.write_str("is no channel; expected \"sms\", \"whatsapp\", \"both\", or nothing"),
            Self::InvalidConsent => {
                f.write_str("is no consent; expected \"opted_out\", \"opted_in\", \"unknown\", or nothing")
            }
            Self::InvalidTime => f.write_str("is no point in time; expected one like \"2026-11-18T11:06:40Z\""),
            Self::FutureTime => f.write_str("has not come yet; expected when it was said"),
        }
    }
}

fn fields(count: usize) -> &'static str {
    if count == 1 { "field" } else { "fields" }
}

/// The most of a cell that a problem shows, in characters.
pub const SHOWN: usize = 60;

/// One thing that is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The line on which the row begins; the header is line 1.
    pub line: u64,
    /// The column as its header is written; empty if the row as a whole is meant.
    pub column: String,
    /// What stands in the cell, cut to a length that can be shown, without control characters; empty if nothing does.
    pub value: String,
    /// What is wrong with it.
    pub kind: RowProblemKind,
}

impl RowProblem {
    /// A problem of a cell; the value is cut and made fit to be shown.
    pub fn new(line: u64, column: &str, value: &str, kind: RowProblemKind) -> Self {
        Self { line, column: column.to_owned(), value: shown(value), kind }
    }

    /// The sentence without the line, for a cell or a column of the row itself.
    pub fn reason(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| match (self.column.as_str(), self.value.as_str()) {
            ("", "") => write!(f, "the row {}", self.kind),
            ("", value) => write!(f, "\"{value}\" {}", self.kind),
            (column, "") => write!(f, "column {column}: {}", self.kind),
            (column, value) => write!(f, "column {column}: \"{value}\" {}", self.kind),
        })
    }
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.column.is_empty() { ":" } else { "," };
        write!(f, "line {}{mark} {}", self.line, self.reason())
    }
}

fn shown(value: &str) -> String {
    let value = value.trim();
    let mut text: String =
        value.chars().take(SHOWN).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if value.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
