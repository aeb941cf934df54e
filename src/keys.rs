//! Keys of settings and definition files: which are unknown, which was meant, and on which line.
//!
//! Used beside serde, not instead of it: serde reads the values, this finds the keys that nobody reads. It never shows a
//! line of the file, as `toml`'s own errors do: a secret may stand there by mistake.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// A key that means nothing where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The whole path, e.g. `worker.slot`.
    pub path: String,
    /// The line that it stands on, from 1.
    pub line: usize,
    /// What was probably meant, as a whole path.
    pub nearest: Option<String>,
    /// The keys that are known at this place.
    pub expected: Vec<String>,
}

impl fmt::Display for UnknownKey {
    /// Without the line: whoever names the file puts it beside the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown key \"{}\"", self.path)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean \"{nearest}\"?"),
            None => write!(f, "; expected one of: {}", self.expected.join(", ")),
        }
    }
}

/// What is wrong with a file's text, without its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct Complaint {
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// A TOML error (of syntax or of a type) with its line and without the line's text.
pub fn complaint(text: &str, error: &toml::de::Error) -> Complaint {
    Complaint { line: error.span().map(|span| line_of(text, span.start)), message: error.message().to_owned() }
}

/// The number of the line, from 1, on which a byte of the text stands.
pub fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|b| *b == b'\n').count()
}

/// Every key of a TOML text that no pattern knows, in the order of their lines.
///
/// A pattern is a dotted path; `*` stands for any one key; what lies below a pattern's end is not looked at,
/// unless another pattern goes on there. An array of
/// tables counts as its tables: `steps.at` knows the `at` of every `[[steps]]`.
pub fn unknown_keys(text: &str, known: &[&str]) -> Result<Vec<UnknownKey>, Complaint> {
    let table = DeTable::parse(text).map_err(|error| complaint(text, &error))?;
    let mut search = Search { text, known, path: Vec::new(), found: Vec::new() };
    search.table(table.get_ref());
    search.found.sort_by_key(|unknown| unknown.line);
    Ok(search.found)
}

struct Search<'a> {
    text: &'a str,
    known: &'a [&'a str],
    path: Vec<String>,
    found: Vec<UnknownKey>,
}

impl Search<'_> {
    fn table(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            self.path.push(key.get_ref().to_string());
            match place(&self.path, self.known) {
                Place::Setting => {}
                Place::Table => self.value(value.get_ref()),
                Place::Nowhere => self.found.push(UnknownKey {
                    path: self.path.join("."),
                    line: line_of(self.text, key.span().start),
                    nearest: nearest_path(&self.path.join("."), self.known),
                    expected: siblings(&self.path, self.known).into_iter().map(str::to_owned).collect(),
                }),
            }
            self.path.pop();
        }
    }

    fn value(&mut self, value: &DeValue<'_>) {
        if let Some(table) = value.as_table() {
            self.table(table);
        }
        for element in value.as_array().into_iter().flat_map(|array| array.iter()) {
            self.value(element.get_ref());
        }
    }
}

/// What a path is to the patterns.
enum Place {
    Setting,
    Table,
    Nowhere,
}

fn place(path: &[String], known: &[&str]) -> Place {
    let leads = |pattern: &&&str| begins(pattern, path);
    let depths: Vec<usize> = known.iter().filter(leads).map(|pattern| pattern.split('.').count()).collect();
    if depths.iter().any(|depth| *depth > path.len()) {
        Place::Table
    } else if depths.is_empty() {
        Place::Nowhere
    } else {
        Place::Setting
    }
}

/// Whether the pattern's first keys are this path.
fn begins(pattern: &str, path: &[String]) -> bool {
    let mut keys = pattern.split('.');
    path.iter().all(|key| keys.next().is_some_and(|known| known == "*" || known == key))
}

/// The keys known beside the path's last.
fn siblings<'k>(path: &[String], known: &[&'k str]) -> Vec<&'k str> {
    let depth = path.len().saturating_sub(1);
    let parent = path.get(..depth).unwrap_or_default();
    let mut keys: Vec<&str> = known
        .iter()
        .filter(|pattern| begins(pattern, parent))
        .filter_map(|pattern| pattern.split('.').nth(depth))
        .filter(|key| *key != "*")
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The known path that an unknown one was probably meant to be: another key of the same table, else the same key of
/// another table, else (unless the table is right) the path that is spelled most like it.
pub fn nearest_path(path: &str, known: &[&str]) -> Option<String> {
    let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    let (last, parents) = keys.split_last()?;
    let siblings = siblings(&keys, known);
    if let Some(sibling) = nearest(last, &siblings) {
        return Some(parents.iter().map(String::as_str).chain([sibling]).collect::<Vec<_>>().join("."));
    }
    let concrete: Vec<&str> = known.iter().filter(|pattern| !pattern.contains('*')).copied().collect();
    let same_key = concrete.iter().find(|pattern| pattern.rsplit('.').next() == Some(last)).copied();
    let wrong_table = parents.is_empty() || siblings.is_empty();
    same_key.or_else(|| nearest(path, &concrete).filter(|_| wrong_table)).map(str::to_owned)
}

/// The known key that is spelled most like this one; none if nothing is near. Case and `-` for `_` do not count.
pub fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let key = plain(key);
    let reach = key.chars().count().max(3) / 3;
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&key, &plain(candidate)), *candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["name", "trigger.kind", "trigger.delay", "texts.*.body", "steps.at", "auth", "labels.*"];

    #[test]
    fn the_nearest_key_is_near_or_none() {
        for (key, expected) in [
            ("nmae", Some("name")),
            ("Name", Some("name")),
            ("name", Some("name")),
            ("titel", Some("title")),
            ("max-rows", Some("max_rows")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(key, &["name", "title", "max_rows"]), expected, "{key}");
        }
        assert_eq!(nearest("name", &[]), None);
    }

    #[test]
    fn unknown_keys_are_found_wherever_they_stand() {
        let text = r#"
nam = "x"
delay = 3
auth = { enw = "A" }
labels = { anything = "goes" }

[trigger]
kind = "automatic"
zebra = 1

[texts.en]
body = "Hi"
bdy = "Hi"

[[steps]]
at = 1
[[steps]]
att = 2
"#;
        let found: Vec<String> = unknown_keys(text, KNOWN)
            .unwrap()
            .into_iter()
            .map(|unknown| format!("{}: {unknown}", unknown.line))
            .collect();
        assert_eq!(
            found,
            [
                r#"2: unknown key "nam"; did you mean "name"?"#,
                r#"3: unknown key "delay"; did you mean "trigger.delay"?"#,
                r#"9: unknown key "trigger.zebra"; expected one of: delay, kind"#,
                r#"13: unknown key "texts.en.bdy"; did you mean "texts.en.body"?"#,
                r#"18: unknown key "steps.att"; did you mean "steps.at"?"#,
            ]
        );
    }

    #[test]
    fn a_path_is_recognized_with_a_slip_anywhere() {
        for (path, expected) in [
            ("triger.kind", Some("trigger.kind")),
            ("trigger_kind", Some("trigger.kind")),
            ("trigger.knid", Some("trigger.kind")),
            ("elsewhere.kind", Some("trigger.kind")),
            ("quite.different", None),
        ] {
            assert_eq!(nearest_path(path, KNOWN).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn complaints_have_a_line_and_never_the_lines_text() {
        let complaint = unknown_keys("a = 1\ntoken = \"hunter2\" x\n", KNOWN).unwrap_err();
        assert!(complaint.to_string().starts_with("line 2: ") && !complaint.to_string().contains("hunter2"));
        assert_eq!((line_of("a\nb", 0), line_of("a\nb", 2), line_of("", 9)), (1, 2, 1));
    }
}
