//! The table against the source: every code that is passed to a problem stands in it.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

/// The source below a folder of ours, file by file, without what follows its tests.
pub(crate) fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            found.extend(sources(&path));
        } else if path.ends_with(".rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            found.push((path, code));
        }
    }
    found
}

/// The text in quotes that `text` begins with, if that has the form of a code.
fn quoted(text: &str) -> Option<&str> {
    let (name, _) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let formed = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    formed.then_some(name)
}

/// What follows each occurrence of `mark`.
fn after<'s>(text: &'s str, mark: &'s str) -> impl Iterator<Item = &'s str> {
    text.match_indices(mark).map(move |(at, _)| &text[at + mark.len()..])
}

/// The codes that a file passes to a problem: after a status, or to `bad_request`.
fn passed(text: &str) -> Vec<&str> {
    let by_status = after(text, "StatusCode::").filter_map(|rest| {
        let (status, rest) = rest.split_once(',')?;
        status.chars().all(|c| c.is_ascii_uppercase() || c == '_').then(|| quoted(rest)).flatten()
    });
    by_status.chain(after(text, "bad_request(").filter_map(quoted)).collect()
}

/// The codes that a file's functions `code` give.
fn given(text: &str) -> Vec<&str> {
    after(text, "fn code(")
        .flat_map(|rest| {
            // A function ends where a line closes a brace at the depth of its own `fn`.
            let function = rest.split("\n    }\n").next().unwrap_or(rest);
            after(function, "=>").filter_map(quoted).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_code_is_in_the_table() {
    let answers: BTreeSet<&str> = ANSWERS.iter().map(|code| code.name).collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|code| code.name).collect();
    let mut found = BTreeSet::new();
    for (path, text) in sources("src/http") {
        for code in passed(&text).into_iter().chain(given(&text)) {
            assert!(answers.contains(code), "{path}: \"{code}\" is passed to a problem and is not in ANSWERS");
            found.insert(code.to_owned());
        }
    }
    for folder in ["src/intake", "src/inbound", "src/definitions", "src/engine"] {
        for (path, text) in sources(folder) {
            for code in given(&text) {
                let known = answers.contains(code) || rows.contains(code);
                assert!(known, "{path}: the code \"{code}\" is in neither ANSWERS nor ROWS");
                found.insert(code.to_owned());
            }
        }
    }
    // What the source does not give is not in the table either, as far as it can be read there.
    let unused: Vec<_> = answers.iter().chain(&rows).filter(|code| !found.contains(**code)).collect();
    let elsewhere = |code: &str| {
        sources("src/http")
            .iter()
            .any(|(path, text)| !path.ends_with("codes.rs") && text.contains(&format!("\"{code}\"")))
    };
    assert!(unused.iter().all(|code| elsewhere(code)), "nothing gives {unused:?}");
    assert!(found.len() > 40, "only {} codes were found", found.len());
}

#[test]
fn what_is_passed_is_found() {
    let text = "Problem::new(StatusCode::CONFLICT, \"a_b\", x); Problem::new(\n    StatusCode::NOT_FOUND,\n    \"c\",\n); \
                Problem::bad_request(\n\"d_1\", \"A sentence.\"); StatusCode::OK; bad_request(code, \"e\")";
    assert_eq!(passed(text), ["a_b", "c", "d_1"]);
    let text = "    pub const fn code(self) -> &'static str {\n        match self {\n            Self::A => \"a\",\n            \
                Self::B { .. } => \"b_c\",\n        }\n    }\n    fn other() { x => \"no\" }\n";
    assert_eq!(given(text), ["a", "b_c"]);
}

#[test]
fn the_table_is_in_order_and_says_something() {
    for table in [ANSWERS, ROWS] {
        assert!(table.is_sorted_by(|one, other| one.name < other.name), "out of order, or twice");
        for code in table {
            assert!(code.means.ends_with(['.', '?']) && code.means.len() > 15, "{code:?}");
            assert!(code.statuses.iter().all(|status| (400..600).contains(status)), "{code:?}");
        }
    }
    assert!(ANSWERS.iter().all(|code| !code.statuses.is_empty()) && ROWS.iter().all(|code| code.statuses.is_empty()));
    assert!(markdown().contains("| `invalid_body` | 400, 422 | The body is no JSON"));
    assert_eq!(markdown().lines().count(), ANSWERS.len() + ROWS.len() + 5);
}
