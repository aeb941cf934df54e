//! The store's own text: every statement names the organization that it is about.

use std::{collections::BTreeMap, fs, path::Path};

/// Statements about no one organization, each with its reason: the beginning of its text.
const ABOUT_ALL: &[(&str, &str)] = &[
    ("SELECT org_id FROM organizations ORDER BY org_id", "commands that are not told which"),
    ("SELECT org_id, lane, due_at FROM lanes WHERE due_at", "the one question across organizations"),
    ("SELECT version, checksum FROM herald_schema", "the schema"),
    ("SELECT MAX(version) FROM herald_schema", "the schema"),
    ("INSERT INTO herald_schema", "the schema"),
    ("SELECT CAST(pg_advisory_xact_lock", "the schema"),
    ("SELECT current_setting(", "the server's own settings"),
];

/// A statement and where it stands.
#[derive(Clone, Debug)]
pub struct Statement {
    pub place: String,
    pub sql: String,
}

/// Every statement in `src/store`, with the constants that it is composed of.
pub fn statements() -> Vec<Statement> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let (mut all, mut parts) = (Vec::new(), BTreeMap::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        for (before, literal) in literals(&text) {
            let constant =
                before.trim_end().strip_suffix(": &str =").and_then(|rest| rest.rsplit(' ').next()).unwrap_or_default();
            parts.insert((file.clone(), constant.to_owned()), literal.clone());
            all.push(Statement { place: format!("{file} {constant}").trim_end().to_owned(), sql: literal });
        }
    }
    for statement in &mut all {
        let file = statement.place.split(' ').next().unwrap().to_owned();
        for ((of, constant), text) in &parts {
            if *of == file && !constant.is_empty() {
                statement.sql = statement.sql.replace(&format!("{{{constant}}}"), text);
            }
        }
        statement.sql = statement.sql.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
    all.retain(|statement| verbs.iter().any(|verb| statement.sql.starts_with(verb)));
    // Beginnings that are only ever completed.
    all.retain(|statement| {
        !["runs.rs RUN", "messages.rs MESSAGE", "access.rs KEY", "cases.rs CASE"].contains(&statement.place.as_str())
    });
    all
}

/// The text literals of a Rust source, each with what stands before it in its line, or in the line before if it begins one. Good for the store's plain code.
fn literals(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let line = rest[..at].trim_end().rsplit('\n').next().unwrap_or_default().to_owned();
        let tail = &rest[at..];
        if tail.starts_with("//") {
            rest = tail.find('\n').map_or("", |end| &tail[end..]);
        } else if let Some(inside) = tail.strip_prefix('"') {
            let mut escaped = false;
            let end = inside.find(|c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let end = end.unwrap();
            found.push((line, inside[..end].to_owned()));
            rest = &inside[end + 1..];
        } else {
            // A character, or a lifetime.
            let quoted = tail.char_indices().skip(2).take(2).find(|(_, c)| *c == '\'').map_or(1, |(end, _)| end + 1);
            rest = &tail[if tail.starts_with('\'') { quoted } else { 1 }..];
        }
    }
    found
}

#[test]
fn every_statement_names_its_organization() {
    let all = statements();
    assert!(all.len() > 70, "only {} statements were found", all.len());
    for Statement { place, sql } in &all {
        let about_all = ABOUT_ALL.iter().any(|(beginning, _)| sql.starts_with(beginning));
        let named = sql.contains("org_id = $") || (sql.starts_with("INSERT INTO") && sql.contains("(org_id, "));
        assert!(named != about_all, "{place}: {sql}");
        // Every table that is read or changed, not just one of them.
        let tables = [" FROM ", " JOIN ", "UPDATE "].iter().map(|word| sql.matches(word).count()).sum::<usize>();
        assert!(tables == 0 || about_all || sql.matches("org_id").count() >= 1, "{place}: {sql}");
    }
    for (beginning, _) in ABOUT_ALL {
        assert!(
            all.iter().any(|statement| statement.sql.starts_with(beginning)),
            "nothing begins with {beginning:?} any more"
        );
    }
}

#[test]
fn a_statement_is_found_among_comments_and_quotes() {
    let source =
        "// \"no\"\nlet a = 'x'; let b: &'static str = \"SELECT \\\"q\\\" 1\"; // '\"'\nconst C: &str = \"WITH\";";
    let found: Vec<String> = literals(source).into_iter().map(|(_, literal)| literal).collect();
    assert_eq!(found, ["SELECT \\\"q\\\" 1", "WITH"]);
}
