//! SPEC 5's rules for files, one by one, as a table: what a file is, and what is said of it.

use std::{collections::BTreeSet, io::Cursor};

use super::*;
use crate::domain::contact::{ChannelType, OptIn};

fn judged(file: &[u8], needs: &[&str], attested: Option<OptIn>) -> Result<Checked, FileProblem> {
    let required_slugs: BTreeSet<String> = needs.iter().map(|name| (*name).to_owned()).collect();
    let expect = Expect {
        channel_type: ChannelType::Sms,
        configuration: None,
        required_slugs: &required_slugs,
        default_country: None,
        attested,
    };
    check(Cursor::new(file), expect, CheckOptions::new(&mut |_, _| Ok(()), &mut |_| ()))
}

/// Rows, valid rows, duplicates, and the first problem.
fn counted(file: &[u8], needs: &[&str]) -> (u64, u64, u64, String) {
    let found = judged(file, needs, None).unwrap();
    let first = found.problems.first().map(ToString::to_string).unwrap_or_default();
    (found.rows, found.valid, found.duplicates, first)
}

const A: &str = "+4915155500001";
const B: &str = "+4915155500002";

/// What it shows, the file, the slugs that it needs; its rows, good ones and repetitions, as [`files_that_are_good`] counts them.
type Good = (&'static str, String, &'static [&'static str], (u64, u64, u64));

#[test]
fn files_that_are_good() {
    let table: [Good; 14] = [
        ("comma", format!("to,optin,Name\n{A},yes,Ana\n"), &["Name"], (1, 1, 0)),
        ("semicolon, with commas in its cells", format!("to;optin;Name\n{A};yes;\"a,b\"\n"), &["Name"], (1, 1, 0)),
        ("tab", format!("to\toptin\tName\n{A}\tyes\tAna\n"), &["Name"], (1, 1, 0)),
        ("a byte order mark", format!("\u{feff}to,optin\n{A},yes\n"), &[], (1, 1, 0)),
        ("a quoted header", format!("\"to\";\"optin\"\r\n{A};yes\r\n"), &[], (1, 1, 0)),
        ("no line end at the end", format!("to,optin\n{A},yes"), &[], (1, 1, 0)),
        (
            "headers without regard to case, blanks, _ and -",
            format!("PHONE_NUMBER,Opt-In,case name\n{A},1,x\n"),
            &["CaseName"],
            (1, 1, 0),
        ),
        ("each name of the recipient", format!("Mobile,optin\n{A},1\n"), &[], (1, 1, 0)),
        (
            "yes and no in every form",
            format!("to,optin\n{A},YES\n{B},0\n+4915155500003,True\n+4915155500004,n\n"),
            &[],
            (4, 4, 0),
        ),
        (
            "blank rows count for nothing",
            format!("\n , \nto,optin\n\n{A},yes\n,\n   \n{B},yes\n,,,,\n"),
            &[],
            (2, 2, 0),
        ),
        ("a line break in quotes", format!("to,optin,Name\n{A},yes,\"An\na\"\n{B},yes,Bo\n"), &["Name"], (2, 2, 0)),
        (
            "the same number twice, written otherwise",
            format!("to,optin\n{A},yes\n+49 151 555-00001,yes\n{B},no\n"),
            &[],
            (3, 3, 1),
        ),
        ("a column of herald's own remarks", format!("to,optin,error\n{A},yes,column x: is empty\n"), &[], (1, 1, 0)),
        ("columns without a name", format!("to,optin,,\n{A},yes,1,2\n"), &[], (1, 1, 0)),
    ];
    for (what, file, needs, (rows, valid, duplicates)) in table {
        assert_eq!(counted(file.as_bytes(), needs), (rows, valid, duplicates, String::new()), "{what}");
    }
}

#[test]
fn files_that_are_refused_as_a_whole() {
    let latin1 = [b"to,optin,Name\n+4915155500001,yes,Ren".as_slice(), b"\xe9\n"].concat();
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain("to,optin\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let utf16_without_mark: Vec<u8> = "to,optin\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = (0..101).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let open = format!("to,optin\n{A},yes\n{B},\"yes\n{A},yes\n");
    let table: [(&[u8], &str, &str); 13] = [
        (b"", "empty_file", "the file is empty"),
        (b"\xef\xbb\xbf \n", "empty_file", "the file is empty"),
        (b"to,optin,CaseName\n\n,\n", "no_rows", "a header line but no rows"),
        (
            &latin1,
            "not_utf8",
            "line 2: not UTF-8 at byte offset 36 (it may be Latin-1 or Windows-1252); save the file as \"CSV UTF-8\"",
        ),
        (&utf16, "not_utf8", "line 1: not UTF-8 at byte offset 0 (it begins like UTF-16)"),
        (&utf16_without_mark, "nul_byte", "line 1: a NUL byte at byte offset 1, as in UTF-16"),
        (
            b"to,optin,Name\n1,1,x\n",
            "missing_columns",
            "columns that the file does not have: \"CaseName\"; found \"to\", \"optin\", \"Name\"",
        ),
        (
            b"to,optin,Case Name,case-name\n1,1,x,y\n",
            "duplicate_column",
            "\"Case Name\" and \"case-name\" have the same name",
        ),
        (b"to,Phone,optin,CaseName\n1,1,x,y\n", "two_recipient_columns", "\"to\" and \"Phone\""),
        (
            b"CaseName,optin\nx,1\n",
            "no_recipient_column",
            "expected one of tocontactid, to, phone, phone number, mobile; found \"CaseName\", \"optin\"",
        ),
        (b"to,CaseName\n1,x\n", "no_optin_column", "add one with yes or no in each row"),
        (wide.as_bytes(), "too_many_columns", "101 columns; at most 100"),
        (
            b"to,optin,CaseName\n1,1,x\ry\n",
            "bare_carriage_return",
            "line 2: a carriage return without a line feed at byte offset 23",
        ),
    ];
    for (file, code, words) in table {
        let problem = judged(file, &["CaseName"], None).unwrap_err();
        assert_eq!(problem.code(), code, "{problem}");
        assert!(problem.to_string().contains(words), "{words:?} is not in: {problem}");
    }
    let problem = judged(open.as_bytes(), &[], None).unwrap_err();
    assert_eq!(
        (problem.code(), problem.to_string().as_str()),
        ("open_quote", "line 3: the quote that opens here is never closed")
    );
}

#[test]
fn rows_that_are_bad_are_told_with_their_lines() {
    let after_a_break = format!("to,optin,Name\n{A},yes,\"An\r\n\r\na\"\r\n12,yes,Bo\r\n");
    let ragged = format!("to,optin,Name\n{A},yes\n{B},yes,Bo,more\n");
    for (file, first) in [
        (after_a_break.as_str(), "line 5, column to: \"12\" has no leading +"),
        (&ragged, "line 2: the row has 2 fields; the header has 3"),
        ("to,optin,Name\n\n+49151,perhaps,\n", "line 3, column to: \"+49151\" is too short for its country"),
    ] {
        let (.., told) = counted(file.as_bytes(), &["Name"]);
        assert!(told.starts_with(first), "{told}");
    }
    // Every problem of every row is counted, whatever is shown of them.
    let many = format!("to,optin,Name\n{}", "12,perhaps,\n".repeat(2_500));
    let found = judged(many.as_bytes(), &["Name"], None).unwrap();
    assert_eq!((found.rows, found.invalid, found.problems.len()), (2_500, 2_500, 1_000));
    let mend = "fix 2500 phone numbers; write yes or no into optin in 2500 rows; fill in Name in 2500 rows";
    assert_eq!((found.summary.to_string().as_str(), found.rejected.unwrap().rows), (mend, 2_500));
}

#[test]
fn a_missing_column_can_be_attested_and_a_blank_number_cannot() {
    let found = judged(format!("to\n{A}\n").as_bytes(), &[], Some(OptIn::Yes)).unwrap();
    assert_eq!((found.valid, found.not_opted_in), (1, 0));
    let found = judged(format!("to,Name\n{A},x\n,y\n").as_bytes(), &[], Some(OptIn::Yes)).unwrap();
    assert_eq!((found.valid, found.invalid, found.problems[0].kind.code()), (1, 1, "missing_value"));
}
