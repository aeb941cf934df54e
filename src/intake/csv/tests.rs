//! Files as people make them, from the bytes to the last entry.

use std::{
    collections::BTreeSet,
    fmt::Write,
    io::{Cursor, Read},
};

use proptest::prelude::*;

use super::*;
use crate::domain::contact::{ChannelType, Contact, OptIn};

fn slugs(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn expecting(required_slugs: &BTreeSet<String>) -> Expect<'_> {
    Expect {
        channel_type: ChannelType::Sms,
        configuration: None,
        required_slugs,
        default_country: None,
        attested: None,
    }
}

fn checked(file: &str, expect: Expect<'_>) -> Result<Checked, FileProblem> {
    check(Cursor::new(file), expect, CheckOptions::new(&mut |_, _| Ok(()), &mut |_| ()))
}

fn refused(file: &str, required: &[&str]) -> String {
    checked(file, expecting(&slugs(required))).unwrap_err().to_string()
}

#[test]
fn every_problem_of_every_row_is_told() {
    let file = "Phone;Opt-In;Locale;channelid;timezone;Case Name;msdyn_ocoutboundconfigurationid\r\n\
        +4915112345678;yes;de-DE;SMS;Europe/Berlin;Heater;\r\n\
        \r\n\
        12;maybe;français;whatsapp;Mars;;\r\n\
        +4915112345679;1;1036;;;\"Broken\r\nheater\";\r\n\
        ;;;;;x;cfg_1\r\n\
        ;;;;;;\r\n\
        +49151;yes\r\n\
        +4915112345670;no;;;;a;b;c;d";
    let required = slugs(&["casename"]);
    let mut expect = expecting(&required);
    expect.configuration = Some("cfg_00000000000000000000000001".parse().unwrap());
    let found = checked(file, expect).unwrap();
    assert_eq!((found.rows, found.valid, found.invalid), (6, 2, 4));
    let sentences: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    line 4, column Phone: "12" has no leading +; expected international form, like +4915112345678 (or set the organization's default_country)
    line 4, column Opt-In: "maybe" is neither yes nor no; expected yes/no, true/false or 1/0
    line 4, column Locale: "français" is not a locale; expected a tag like "fr" or "fr-CA", or a Windows number like 1036
    line 4, column channelid: "whatsapp" is not the configuration's channel type; expected "sms", or nothing
    line 4, column timezone: "Mars" is not a time zone; expected an IANA name like "Europe/Berlin"
    line 4, column Case Name: is empty; the template needs a value here
    line 7, column Phone: is empty; every row needs a value here
    line 7, column Opt-In: is empty; every row needs a value here
    line 7, column msdyn_ocoutboundconfigurationid: "cfg_1" is not the configuration that this file was given to
    line 9: the row has 2 fields; the header has 7
    line 10: the row has 9 fields; the header has 7
    "#);
    insta::assert_snapshot!(found.summary, @r#"
    bring 2 rows to 7 fields; fix 1 phone number; write yes or no into Opt-In in 1 row; fix Locale in 1 row; clear channelid or make it sms in 1 row; fix timezone in 1 row; fill in Case Name in 1 row; fill in Phone in 1 row; fill in Opt-In in 1 row; clear or correct msdyn_ocoutboundconfigurationid in 1 row
    "#);
    let mut rejected = String::new();
    found.rejected.unwrap().file.read_to_string(&mut rejected).unwrap();
    insta::assert_snapshot!(rejected.replace("\r\n", "\n"), @r#"
    Phone;Opt-In;Locale;channelid;timezone;Case Name;msdyn_ocoutboundconfigurationid;error
    12;maybe;français;whatsapp;Mars;;;"column Phone: ""12"" has no leading +; expected international form, like +4915112345678 (or set the organization's default_country); column Opt-In: ""maybe"" is neither yes nor no; expected yes/no, true/false or 1/0; column Locale: ""français"" is not a locale; expected a tag like ""fr"" or ""fr-CA"", or a Windows number like 1036; column channelid: ""whatsapp"" is not the configuration's channel type; expected ""sms"", or nothing; column timezone: ""Mars"" is not a time zone; expected an IANA name like ""Europe/Berlin""; column Case Name: is empty; the template needs a value here"
    ;;;;;x;cfg_1;"column Phone: is empty; every row needs a value here; column Opt-In: is empty; every row needs a value here; column msdyn_ocoutboundconfigurationid: ""cfg_1"" is not the configuration that this file was given to"
    +49151;yes;;;;;;"the row has 2 fields; the header has 7"
    +4915112345670;no;;;;a;b;"the row has 9 fields; the header has 7";c;d
    "#);
}

#[test]
fn what_is_asked_of_whatsapp_messages_is_kept_in_one_form() {
    let file = "to,optin,Send As Template,template_parameters,Name\n\
        +4915112345678,yes,Yes,\"{\"\"2\"\": 7, \"\"1\"\": \"\"Ana\"\"}\",x\n\
        +4915112345679,yes,0,{},\n\
        +4915112345670,yes,,,\n\
        +4915112345671,yes,perhaps,Ana,\n\
        +4915112345672,yes,,\"{\"\"1\"\": \"\"\"\"}\",\n";
    let required = slugs(&[]);
    let read = |channel_type| {
        let mut kept = Vec::new();
        let mut judge = |_: &Row<'_>, contact: &Contact| {
            kept.push(
                contact.slugs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "),
            );
            Ok(())
        };
        let expect = Expect { channel_type, ..expecting(&required) };
        let found = check(Cursor::new(file), expect, CheckOptions::new(&mut judge, &mut |_| ())).unwrap();
        (kept, found.problems.iter().map(|problem| format!("{} {problem}", problem.kind.code())).collect::<Vec<_>>())
    };
    let (kept, problems) = read(ChannelType::WhatsApp);
    assert_eq!(
        kept,
        ["name=x sendastemplate=true templateparameters={\"1\":\"Ana\",\"2\":\"7\"}", "sendastemplate=false", ""]
    );
    insta::assert_snapshot!(problems.join("\n"), @r#"
    invalid_sendastemplate line 5, column Send As Template: "perhaps" is neither yes nor no; expected yes/no, true/false or 1/0
    invalid_templateparameters line 5, column template_parameters: "Ana" is not a JSON object of names and texts, like {"1": "Ana"}, each of them filled and on one line
    invalid_templateparameters line 6, column template_parameters: "{"1": ""}" is not a JSON object of names and texts, like {"1": "Ana"}, each of them filled and on one line
    "#);
    let (kept, problems) = read(ChannelType::Sms);
    assert!(
        problems.is_empty() && kept[3].contains("sendastemplate=perhaps"),
        "columns like any others: {kept:?} {problems:?}"
    );
}

#[test]
fn files_that_no_row_can_mend_are_refused_at_once() {
    let long = format!("to,optin\n+4915112345678,yes\n+4915112345678,\"{}", "yes\n".repeat(40_000));
    let table = [
        ("", "the file is empty; expected a header line and one line for each recipient"),
        ("\u{feff}\n \n", "the file is empty; expected a header line and one line for each recipient"),
        ("to,optin\n\n,\n", "the file has a header line but no rows; expected one line for each recipient"),
        (
            "to,CaseName\n1,2\n",
            "the file has no column \"optin\", so nobody is known to have agreed; add one with yes or no in each row, or attest that all have agreed (--opted-in; opted_in=true in the API); found \"to\", \"CaseName\"",
        ),
        ("to,optin\n1,\"x\n1,yes\n", "line 2: the quote that opens here is never closed"),
        (
            "to,optin\n1,\"yes\n1,\"yes\"\n",
            "line 3: text after a closing quote at byte offset 19; a quote inside a quoted field is written twice",
        ),
        (&long, "line 3: the row is longer than 65536 bytes; is a quote left open?"),
    ];
    for (file, sentence) in table {
        assert_eq!(refused(file, &[]), sentence);
    }
    assert_eq!(
        refused("to;optin;Name\n1;1;1", &["CaseName"]),
        "the template needs columns that the file does not have: \"CaseName\"; found \"to\", \"optin\", \"Name\""
    );
}

#[test]
fn what_is_attested_fills_blanks_and_never_overrules_a_no() {
    let required = slugs(&[]);
    let expect = Expect { attested: Some(OptIn::Yes), ..expecting(&required) };
    let found = checked("to\n+4915112345678\n", expect).unwrap();
    assert_eq!((found.valid, found.not_opted_in), (1, 0));
    let found = checked("to,optin\n+4915112345678,\n+4915112345679,no\n", expect).unwrap();
    assert_eq!((found.valid, found.not_opted_in), (2, 1));
}

#[test]
fn a_corrected_file_comes_back_without_its_remarks() {
    let file = "\u{feff}to,optin,error,Name\n+49151,yes,old remark,=SUM(A1)\n";
    let required = slugs(&["name"]);
    let found = checked(file, expecting(&required)).unwrap();
    let mut text = String::new();
    found.rejected.unwrap().file.read_to_string(&mut text).unwrap();
    assert_eq!(
        text,
        "\u{feff}to,optin,Name,error\r\n+49151,yes,'=SUM(A1),\"column to: \"\"+49151\"\" is too short for its country\"\r\n"
    );
    let corrected = text.replacen("+49151,", "+4915112345678,", 1);
    assert_eq!(checked(&corrected, expecting(&required)).unwrap().valid, 1);
    let mut entries = entries_of(&corrected, &required);
    assert_eq!(entries.remove(0).contact.slugs.iter().collect::<Vec<_>>(), [("name", "=SUM(A1)")]);
}

fn entries_of(file: &str, required: &BTreeSet<String>) -> Vec<Entry> {
    let first = checked(file, expecting(required)).unwrap().second_pass;
    let mut entries = Entries::open(Cursor::new(file), expecting(required), first).unwrap();
    entries.next_chunk(1000).unwrap()
}

#[test]
fn the_second_pass_skips_what_the_first_refused_and_marks_repeats() {
    let file = "to,optin,Name,timezone,entityrelationshipname,regardingobjectid\n\
        +4915112345678,yes,Ana,Asia/Tokyo,incident,42\n\
        +49151,yes,Bob,,,\n\
        +4915112345670,yes,Refused,,,\n\
        +49 151 12345678,no,Cid,,incident,\n\
        +4915112345670,yes,Dan,,,\n";
    let required = slugs(&["Name"]);
    let mut judge = |row: &Row<'_>, contact: &Contact| match contact.slugs.get("Name") {
        Some("Refused") => Err(RowProblem::new(row.number, "Name", "Refused", RowProblemKind::TemplateFailed)),
        _ => Ok(()),
    };
    let mut told = 0;
    let mut progress = |bytes| told = bytes;
    let found = check(Cursor::new(file), expecting(&required), CheckOptions::new(&mut judge, &mut progress)).unwrap();
    assert_eq!((found.rows, found.valid, found.duplicates, told), (5, 3, 1, file.len() as u64));
    let mut entries = Entries::open(Cursor::new(file), expecting(&required), found.second_pass).unwrap();
    let chunks = [2, 2, 2].map(|most| entries.next_chunk(most).unwrap());
    let rows =
        chunks.each_ref().map(|chunk| chunk.iter().map(|entry| (entry.row, entry.duplicate)).collect::<Vec<_>>());
    assert_eq!(rows, [vec![(2, Duplicate::First), (5, Duplicate::Repeat)], vec![(6, Duplicate::First)], vec![]]);
    let place = Regarding { relationship: "incident".to_owned(), object: "42".to_owned() };
    assert_eq!((chunks[0][0].regarding.clone(), chunks[0][0].timezone), (Some(place), Some(chrono_tz::Asia::Tokyo)));
    assert_eq!(chunks[0][1].regarding, None);
}

#[test]
fn a_file_that_changes_between_the_passes_is_noticed() {
    let file = "to,optin\n+4915112345678,yes\n+4915112345679,yes\n";
    let required = slugs(&[]);
    for changed in [
        file.replace("679", "670"),
        format!("{file}\n"),
        format!("{file}+4915112345670,yes\n"),
        file.replace("+4915112345679,yes\n", ""),
    ] {
        let first = checked(file, expecting(&required)).unwrap().second_pass;
        let mut entries = Entries::open(Cursor::new(&changed), expecting(&required), first).unwrap();
        let end = loop {
            match entries.next_chunk(2) {
                Ok(chunk) if chunk.is_empty() => break Ok(()),
                Ok(_) => {}
                Err(problem) => break Err(problem.code()),
            }
        };
        assert_eq!(end, Err("file_changed"), "{changed}");
    }
}

proptest! {
    #[test]
    fn no_file_panics_and_every_row_is_counted_once(text in "(to|optin|name|,|;|\"|\n|\r\n|[+]4915112345678|yes|é| ){0,60}") {
        let required = slugs(&[]);
        let expect = Expect { attested: Some(OptIn::Yes), ..expecting(&required) };
        if let Ok(found) = checked(&text, expect) {
            prop_assert_eq!(found.rows, found.valid + found.invalid);
            prop_assert_eq!(found.rejected.map_or(0, |rejected| rejected.rows), found.invalid);
        }
    }

    #[test]
    fn cells_and_line_numbers_survive(cells in proptest::collection::vec("[a-zé,;\"\n ]{0,8}", 1..20), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut file = format!("to,optin,Name{end}");
        let (mut line, mut expected) = (2, Vec::new());
        for cell in &cells {
            write!(file, "+4915112345678,yes,\"{}\"{end}", cell.replace('"', "\"\"")).unwrap();
            expected.push((line, cell.trim().to_owned()));
            line += 1 + cell.matches('\n').count() as u64;
        }
        let found = entries_of(&file, &slugs(&[]));
        let read: Vec<_> = found.iter().map(|entry| (entry.row, entry.contact.slugs.get("Name").unwrap_or_default().to_owned())).collect();
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn rejected_rows_are_read_back_with_their_lines() {
    let required = slugs(&["Name"]);
    let found = checked(
        "to,optin,Name\n+4915112345678,yes,Ana\n12,maybe,\"B\nob\"\n+4915112345679,yes,\n",
        expecting(&required),
    )
    .unwrap();
    let rows: Vec<_> = found.rejected.unwrap().into_rows().map(Result::unwrap).collect();
    assert_eq!(
        rows.iter().map(|row| (row.line, row.fields.clone())).collect::<Vec<_>>(),
        [
            (3, vec!["12".to_owned(), "maybe".to_owned(), "B\nob".to_owned()]),
            (5, vec!["+4915112345679".to_owned(), "yes".to_owned(), String::new()]),
        ]
    );
    assert!(rows[1].remark.contains("Name"), "{}", rows[1].remark);
}
