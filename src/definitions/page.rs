//! One TOML file: every key judged by itself, so that all that is wrong with it is said at once, and then read as a whole.

use serde::de::DeserializeOwned;
use toml::{Value, de::DeTable};

use super::problem::Problem;
use crate::keys;

/// A file that was read, for whoever has to name a place in it.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// The file, as seen from the organization's folder.
    pub file: String,
    text: String,
    lines: Lines,
}

/// Whether the lines of a page are those of a file that somebody can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    Told,
    Untold,
}

/// A key that a file may have.
pub(super) struct Key {
    /// Its path; `*` stands for any one key.
    pub path: &'static str,
    /// Whether it must be there.
    pub need: Need,
    /// What belongs there.
    pub expected: &'static str,
    /// Whether a value fits.
    pub reads: fn(&Value) -> Result<(), String>,
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// In every file.
    Always,
    /// If the table that it belongs to is there.
    WithTable,
    /// It may be left out.
    Optional,
}

/// Whether a value can be read as this type; if not, why.
pub(super) fn reads<T: DeserializeOwned>(value: &Value) -> Result<(), String> {
    T::deserialize(value.clone()).map(|_| ()).map_err(|problem| problem.message().trim().replace('\n', " "))
}

impl Page {
    /// Takes a file's bytes as text.
    pub fn new(file: &str, bytes: Vec<u8>) -> Result<Self, Problem> {
        let text = String::from_utf8(bytes).map_err(|problem| {
            let byte = problem.utf8_error().valid_up_to();
            Problem::new(file, format!("not UTF-8 at byte offset {byte}; expected TOML in UTF-8"))
        })?;
        let text = text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text);
        Ok(Self { file: file.to_owned(), text, lines: Lines::Told })
    }

    /// The page of something that is no file: a definition as it is stored.
    pub fn made(name: &str, text: String) -> Self {
        Self { file: name.to_owned(), text, lines: Lines::Untold }
    }

    /// A problem of a key of this file, with its line.
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem::new(&self.file, message).at(self.line(key)).of(key)
    }

    /// The file as a table without any checks: to see what kind of thing it is.
    pub fn table(&self) -> Option<toml::Table> {
        self.text.parse().ok()
    }

    /// Reads the file as a whole, if every key that it needs is there and every known one fits.
    pub fn read<T: DeserializeOwned>(&self, known: &[&[Key]], problems: &mut Vec<Problem>) -> Option<T> {
        let all: Vec<&Key> = known.iter().flat_map(|keys| keys.iter()).collect();
        let paths: Vec<&str> = all.iter().map(|key| key.path).collect();
        let unknown = match keys::unknown_keys(&self.text, &paths) {
            Ok(unknown) => unknown,
            Err(complaint) => {
                problems.push(
                    Problem::new(&self.file, format!("this is not TOML: {}", complaint.message))
                        .at(complaint.line.and_then(|line| self.told(line))),
                );
                return None;
            }
        };
        problems.extend(unknown.iter().map(|unknown| self.unknown(unknown)));
        let mut table = Value::Table(self.table()?);
        let before = problems.len();
        for key in all {
            self.judge(&table, key, problems);
        }
        if problems.len() > before {
            return None;
        }
        // A key that nobody reads does not keep the others from being judged together.
        unknown.iter().for_each(|unknown| remove(&mut table, &unknown.path));
        let read = T::deserialize(table);
        read.map_err(|error| problems.push(Problem::new(&self.file, error.message().trim().replace('\n', " ")))).ok()
    }

    fn unknown(&self, unknown: &keys::UnknownKey) -> Problem {
        let meant = unknown.nearest.as_ref().map(|nearest| format!("did you mean \"{nearest}\"?"));
        let meant = meant.unwrap_or_else(|| format!("expected one of: {}", unknown.expected.join(", ")));
        Problem::new(&self.file, format!("unknown key; {meant}")).at(self.told(unknown.line)).of(unknown.path.clone())
    }

    fn judge(&self, table: &Value, key: &Key, problems: &mut Vec<Problem>) {
        let parts: Vec<&str> = key.path.split('.').collect();
        let Some((last, parents)) = parts.split_last() else { return };
        let mut place = table;
        for (depth, part) in parents.iter().enumerate() {
            match place.get(*part) {
                Some(inner @ Value::Table(_)) => place = inner,
                Some(other) => {
                    let path = parents[..=depth].join(".");
                    let problem = self.problem(&path, format!("expected a table, found {}", other.type_str()));
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                    return;
                }
                None => {
                    if key.need == Need::Always {
                        problems.push(self.missing(key));
                    }
                    return;
                }
            }
        }
        if *last == "*" {
            let entries = place.as_table().into_iter().flatten();
            entries.for_each(|(name, value)| self.fits(&key.path.replace('*', name), key, value, problems));
            return;
        }
        match place.get(*last) {
            Some(value) => self.fits(key.path, key, value, problems),
            None if key.need == Need::Optional => {}
            None => problems.push(self.missing(key)),
        }
    }

    fn fits(&self, path: &str, key: &Key, value: &Value, problems: &mut Vec<Problem>) {
        if let Err(message) = (key.reads)(value) {
            let said = message.contains("expected") || message.contains("is written as");
            let hint = if said { String::new() } else { format!("; expected {}", key.expected) };
            problems.push(self.problem(path, format!("{message}{hint}")));
        }
    }

    fn missing(&self, key: &Key) -> Problem {
        self.problem(key.path, format!("missing; expected {}", key.expected))
    }

    fn told(&self, line: usize) -> Option<usize> {
        (self.lines == Lines::Told).then_some(line)
    }

    /// The line of a key, or of the innermost table of its path that is there.
    fn line(&self, path: &str) -> Option<usize> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut table = document.get_ref();
        let mut line = None;
        for part in path.split('.') {
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == part) else { break };
            line = self.told(keys::line_of(&self.text, key.span().start));
            match value.get_ref().as_table() {
                Some(inner) => table = inner,
                None => break,
            }
        }
        line
    }
}

/// Takes a key out of a table.
fn remove(table: &mut Value, path: &str) {
    let (parents, last) = path.rsplit_once('.').map_or((None, path), |(parents, last)| (Some(parents), last));
    let mut place = Some(table);
    for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
        place = place.and_then(|table| table.get_mut(part));
    }
    if let Some(Value::Table(table)) = place {
        table.remove(last);
    }
}
