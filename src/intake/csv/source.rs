//! The bytes of a CSV file on their way to the parser: hashed, counted, proven to be UTF-8 and soundly quoted.
//!
//! The parser behind it is lenient: it would swallow rows after a quote that is left open. So the quoting is checked
//! here, where the byte and the line are known. Line ends become a plain LF (those inside quotes are left alone), which
//! makes every record end with exactly one LF and line numbers exact. What a field means is not decided here.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{
    head::{delimiter_of, read_head, read_some},
    problem::{FileProblem, Seems},
};

/// The most bytes that one record, or the header, may take.
pub const MAX_ROW_BYTES: u64 = 64 * 1024;

const BOM: &[u8] = b"\xEF\xBB\xBF";
/// What files in UTF-16 begin with, in one byte order and the other.
const UTF16: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Where in the grammar of RFC 4180 the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote inside a quoted field: its end, or the first of two.
    Quote,
    /// After a quoted field and blanks.
    Closed,
    /// After a carriage return outside quotes.
    Return,
}

/// A reader that refuses what is no sound CSV in UTF-8, and drops the byte order mark.
#[derive(Debug)]
pub struct Source<R> {
    inner: R,
    /// What was read ahead to find the delimiter, and how much of it has been given out.
    head: Vec<u8>,
    head_given: usize,
    bom: Option<()>,
    delimiter: u8,
    state: State,
    /// An unfinished UTF-8 sequence at the end of the last chunk.
    unfinished: Vec<u8>,
    hash: Sha256,
    bytes: u64,
    line: u64,
    quote_line: u64,
    given: u64,
    record_start: u64,
    last: u8,
    problem: Option<FileProblem>,
}

impl<R: Read> Source<R> {
    /// Reads ahead to the end of the header line, and finds the delimiter there.
    ///
    /// # Errors
    /// [`FileProblem::Io`], and [`FileProblem::Empty`] for a file with nothing but blanks.
    pub fn open(mut inner: R) -> Result<Self, FileProblem> {
        let head = read_head(&mut inner).map_err(FileProblem::Io)?;
        let text = head.strip_prefix(BOM).unwrap_or(&head);
        if text.iter().all(u8::is_ascii_whitespace) && (text.len() as u64) < MAX_ROW_BYTES {
            return Err(FileProblem::Empty);
        }
        let mut hash = Sha256::new();
        let bom = head.starts_with(BOM).then_some(());
        let head_given = if bom.is_some() { BOM.len() } else { 0 };
        hash.update(&head[..head_given]);
        Ok(Self {
            inner,
            delimiter: delimiter_of(text),
            head,
            head_given,
            bom,
            state: State::FieldStart,
            unfinished: Vec::with_capacity(4),
            hash,
            bytes: head_given as u64,
            line: 1,
            quote_line: 1,
            given: 0,
            record_start: 0,
            last: b'\n',
            problem: None,
        })
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = &self.head[self.head_given..];
        if !waiting.is_empty() {
            let count = waiting.len().min(buffer.len());
            buffer[..count].copy_from_slice(&waiting[..count]);
            self.head_given += count;
            return Ok(count);
        }
        read_some(&mut self.inner, buffer)
    }
}

impl<R> Source<R> {
    /// The field delimiter: comma, semicolon or tab.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The byte order mark, if the file began with one.
    pub fn bom(&self) -> &'static [u8] {
        self.bom.map_or(&[], |()| BOM)
    }

    /// How many bytes of the file have been read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the bytes read so far; of the whole file once it has ended.
    pub fn sha256(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// Says that a record begins after so many bytes given out: from there its length is limited.
    pub fn record_begins(&mut self, given: u64) {
        self.record_start = given;
    }

    /// Why the last read failed.
    pub fn take_problem(&mut self) -> Option<FileProblem> {
        self.problem.take()
    }

    fn refuse(&mut self, problem: FileProblem) -> io::Error {
        self.problem = Some(problem);
        io::Error::other("refused")
    }

    /// Where a record that outgrew the limit began to do so: at an open quote, if there is one.
    fn too_long(&mut self) -> io::Error {
        let line = if self.state == State::Quoted { self.quote_line } else { self.line };
        self.refuse(FileProblem::RowTooLong { line, limit: MAX_ROW_BYTES })
    }

    /// Checks a chunk in place; gives the length that is left. Of two problems the one that stands first is told.
    fn check(&mut self, chunk: &mut [u8]) -> Result<usize, FileProblem> {
        let utf8 = self.check_utf8(chunk);
        if let Err(FileProblem::NotUtf8 { byte, .. }) = &utf8 {
            let until = usize::try_from((byte + 1).saturating_sub(self.bytes)).unwrap_or(chunk.len());
            self.check_quoting(&mut chunk[..until])?;
        }
        utf8.and_then(|()| self.check_quoting(chunk))
    }

    fn not_utf8(&self, byte: u64, line: u64) -> FileProblem {
        let utf16 = UTF16.iter().any(|mark| self.head.starts_with(mark));
        FileProblem::NotUtf8 { byte, line, seems: if utf16 { Seems::Utf16 } else { Seems::OneByteALetter } }
    }

    fn check_utf8(&mut self, chunk: &[u8]) -> Result<(), FileProblem> {
        let mut rest = chunk;
        while !self.unfinished.is_empty() {
            let Some((first, others)) = rest.split_first() else { return Ok(()) };
            self.unfinished.push(*first);
            rest = others;
            match std::str::from_utf8(&self.unfinished) {
                Ok(_) => self.unfinished.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    let begun = (chunk.len() - rest.len()) as u64;
                    let byte = self.bytes + begun - self.unfinished.len() as u64;
                    return Err(self.not_utf8(byte, self.line));
                }
            }
        }
        let Err(error) = std::str::from_utf8(rest) else { return Ok(()) };
        let (good, bad) = rest.split_at(error.valid_up_to());
        if error.error_len().is_none() {
            self.unfinished.extend_from_slice(bad);
            return Ok(());
        }
        let before = chunk.len() - bad.len();
        let lines = good.iter().filter(|byte| **byte == b'\n').count() as u64;
        Err(self.not_utf8(self.bytes + before as u64, self.line + lines))
    }

    /// Checks a chunk's quoting in place and drops the CR of line ends; gives the length that is left.
    fn check_quoting(&mut self, chunk: &mut [u8]) -> Result<usize, FileProblem> {
        let (mut state, mut kept) = (self.state, 0);
        for place in 0..chunk.len() {
            let byte = chunk[place];
            let at = self.bytes + place as u64;
            if byte == 0 {
                return Err(FileProblem::NulByte { byte: at, line: self.line });
            }
            state = match state {
                State::Quoted => match byte {
                    b'"' => State::Quote,
                    _ => State::Quoted,
                },
                State::Quote if byte == b'"' => State::Quoted,
                State::FieldStart if byte == b'"' => {
                    self.quote_line = self.line;
                    State::Quoted
                }
                State::Return if byte != b'\n' => {
                    return Err(FileProblem::BareReturn { byte: at - 1, line: self.line });
                }
                State::FieldStart | State::Plain | State::Quote | State::Closed | State::Return => match byte {
                    b'\n' => State::FieldStart,
                    b'\r' => State::Return,
                    _ if byte == self.delimiter => State::FieldStart,
                    _ if matches!(state, State::FieldStart | State::Plain) => State::Plain,
                    b' ' => State::Closed,
                    _ => return Err(FileProblem::StrayQuote { byte: at, line: self.line }),
                },
            };
            self.line += u64::from(byte == b'\n');
            if state != State::Return {
                chunk[kept] = byte;
                kept += 1;
            }
        }
        self.state = state;
        Ok(kept)
    }

    /// At the end of the file: nothing may be open, and the last record gets its LF.
    fn end(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.unfinished.is_empty() {
            let byte = self.bytes - self.unfinished.len() as u64;
            let problem = self.not_utf8(byte, self.line);
            return Err(self.refuse(problem));
        }
        if self.state == State::Quoted {
            return Err(self.refuse(FileProblem::OpenQuote { line: self.quote_line }));
        }
        if self.last == b'\n' {
            return Ok(0);
        }
        buffer[0] = b'\n';
        self.last = b'\n';
        self.given += 1;
        Ok(1)
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.given.saturating_sub(self.record_start) > MAX_ROW_BYTES {
            return Err(self.too_long());
        }
        loop {
            let count = self.fill(buffer)?;
            if count == 0 {
                return self.end(buffer);
            }
            let chunk = &mut buffer[..count];
            self.hash.update(&*chunk);
            let kept = self.check(chunk).map_err(|problem| self.refuse(problem))?;
            self.bytes += count as u64;
            if let Some(last) = chunk[..kept].last() {
                self.last = *last;
                self.given += kept as u64;
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives out at most so many bytes a read, so that every chunk boundary is met.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn pass(bytes: &[u8], step: usize) -> Result<Vec<u8>, String> {
        let mut source = Source::open(Trickle(bytes, step)).map_err(|problem| problem.to_string())?;
        let mut all = Vec::new();
        let mut buffer = vec![0; step.max(1)];
        loop {
            source.record_begins(source.given);
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(_) => return Err(source.take_problem().unwrap().code().to_owned()),
            }
        }
        assert_eq!(source.sha256(), <[u8; 32]>::from(Sha256::digest(bytes)));
        assert_eq!(source.bytes_read(), bytes.len() as u64);
        Ok(all)
    }

    #[test]
    fn what_passes_and_what_is_refused() {
        type Case<'a> = (&'a [u8], Result<&'a [u8], &'a str>);
        let table: [Case<'_>; 14] = [
            (b"a,b\r\n1,2\r\n", Ok(b"a,b\n1,2\n")),
            (b"\xEF\xBB\xBFa\n1", Ok(b"a\n1\n")),
            (b"a\n\"x\r\ny\"\r\n", Ok(b"a\n\"x\r\ny\"\n")),
            (b"a\n\"x \"\"y\"\"\" \n", Ok(b"a\n\"x \"\"y\"\"\" \n")),
            (b"a\n5\" pipe\n", Ok(b"a\n5\" pipe\n")),
            ("a\nジョン\n".as_bytes(), Ok("a\nジョン\n".as_bytes())),
            (b"a\n\"x", Err("open_quote")),
            (b"a\n\"x\"y\n", Err("stray_quote")),
            (b"a\nx\ry\n", Err("bare_carriage_return")),
            (b"a\nx\0y\n", Err("nul_byte")),
            (b"a\nfran\xE7ais\n", Err("not_utf8")),
            (b"a\nfran\xC3", Err("not_utf8")),
            (b"\xFF\xFEa\0\n\0", Err("not_utf8")),
            (b" \r\n", Err("the file is empty; expected a header line and one line for each recipient")),
        ];
        for (bytes, expected) in table {
            for step in [1, 2, 3, 7, 4096] {
                let found = pass(bytes, step);
                assert_eq!(
                    found,
                    expected.map(<[u8]>::to_vec).map_err(str::to_owned),
                    "{step}: {}",
                    bytes.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn the_offending_byte_and_line_are_named() {
        for step in [1, 3, 4096] {
            let mut source = Source::open(Trickle(b"\xEF\xBB\xBFa\n\xC3\xA9\nfran\xE7ais\n", step)).unwrap();
            let mut text = Vec::new();
            assert!(source.read_to_end(&mut text).is_err());
            assert!(matches!(source.take_problem(), Some(FileProblem::NotUtf8 { byte: 12, line: 3, .. })), "{step}");
        }
    }

    proptest! {
        #[test]
        fn chunking_never_matters(bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\n'), Just(b'\r'), Just(b','), Just(b' '), Just(0xC3), Just(0xA9), Just(b'x')], 1..60), step in 1usize..8) {
            prop_assert_eq!(pass(&bytes, step), pass(&bytes, 4096));
        }
    }
}
