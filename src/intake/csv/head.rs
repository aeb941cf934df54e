//! The header line, looked at before anything is parsed: which delimiter does the file use?

use std::io::{self, Read};

use super::source::MAX_ROW_BYTES;

/// The delimiter that stands most often in the header line outside quotes; a comma if none does.
pub(super) fn delimiter_of(head: &[u8]) -> u8 {
    let line = header_line(head).unwrap_or(head);
    let count = |delimiter: u8| {
        let mut quoted = false;
        let outside = line.iter().filter(|byte| {
            quoted ^= **byte == b'"';
            **byte == delimiter && !quoted
        });
        outside.count()
    };
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// The first line that is not blank, if its end is there; line ends in quotes do not count.
fn header_line(head: &[u8]) -> Option<&[u8]> {
    let start = head.iter().position(|byte| !matches!(byte, b'\n' | b'\r' | b' '))?;
    let mut quoted = false;
    let length = head[start..].iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b'\n' && !quoted
    })?;
    Some(&head[start..start + length])
}

/// Reads until the header line is complete, the file ends, or the limit is passed.
pub(super) fn read_head(inner: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while header_line(&head).is_none() && (head.len() as u64) < MAX_ROW_BYTES {
        match read_some(inner, &mut chunk)? {
            0 => break,
            count => head.extend_from_slice(&chunk[..count]),
        }
    }
    Ok(head)
}

/// Reads once, whatever signals come between.
pub(super) fn read_some(inner: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match inner.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found_in_the_header_alone() {
        for (head, delimiter) in [
            ("a,b\n1;2;3;4", b','),
            ("a;\"b,c,d\";e\n", b';'),
            ("\n\na\tb\n", b'\t'),
            ("to\n1,2", b','),
            ("\"a\nb,c\";d;e", b';'),
        ] {
            assert_eq!(delimiter_of(head.as_bytes()), delimiter, "{head}");
        }
    }
}
