//! Which file is what: the folders of an organization, and files that are in the wrong place.

use super::{
    problem::Problem,
    source::{Found, FoundKind, Source},
};
use crate::keys;

/// The organization itself.
pub(super) const ORGANIZATION: &str = "organization.toml";

/// The folders, and what is in them.
const FOLDERS: [(&str, &str); 6] = [
    ("accounts", "toml"),
    ("channels", "toml"),
    ("outbound", "toml"),
    ("hooks", "toml"),
    ("endpoints", "toml"),
    ("lists", "csv"),
];
const NAMES: [&str; 7] = ["accounts", "channels", "outbound", "hooks", "endpoints", "lists", super::templates::FOLDER];

/// Whether a file is nobody's definition: hidden, a note, what an editor leaves behind.
pub(super) fn is_ignored(name: &str) -> bool {
    let lower = name.to_lowercase();
    let note = [".md", ".txt", "~", ".bak", ".orig"].iter().any(|end| lower.ends_with(end));
    name.starts_with('.') || note || ["readme", "license"].contains(&lower.as_str())
}

/// What lies beside `organization.toml` and should not. CSV files may: they are what a person hands over, not definitions.
pub(super) fn strangers(source: &dyn Source, problems: &mut Vec<Problem>) {
    for entry in list(source, "", problems).unwrap_or_default() {
        let name = entry.name.as_str();
        let fine = match entry.kind {
            FoundKind::File => name == ORGANIZATION || name.ends_with(".csv"),
            FoundKind::Folder => NAMES.contains(&name),
        };
        if fine || is_ignored(name) {
            continue;
        }
        let (what, path, expected) = match entry.kind {
            FoundKind::File => ("file", name.to_owned(), keys::nearest(name, &[ORGANIZATION]).map(str::to_owned)),
            FoundKind::Folder => {
                ("folder", format!("{name}/"), keys::nearest(name, &NAMES).map(|near| format!("{near}/")))
            }
        };
        let meant = expected.map(|near| format!("did you mean {near}?"));
        let meant = meant.unwrap_or_else(|| format!("expected {ORGANIZATION} and the folders {}", NAMES.join(", ")));
        problems.push(Problem::new(&path, format!("nothing is read from a {what} of this name; {meant}")));
    }
}

/// The definitions in a folder: name and path.
pub(super) fn in_folder(source: &dyn Source, folder: &str, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let ending = FOLDERS.iter().find(|(name, _)| *name == folder).map_or("toml", |(_, ending)| ending);
    let mut found = Vec::new();
    for entry in list(source, folder, problems).unwrap_or_default().into_iter().filter(|entry| !is_ignored(&entry.name))
    {
        let path = format!("{folder}/{}", entry.name);
        match entry.name.strip_suffix(ending).and_then(|rest| rest.strip_suffix('.')) {
            Some(stem) if entry.kind == FoundKind::File => {
                check_name(&path, stem, problems);
                found.push((stem.to_owned(), path));
            }
            _ => problems.push(Problem::new(&path, format!("is not read; expected files {folder}/NAME.{ending}"))),
        }
    }
    found
}

/// A name that can stand in a URL, a log and a command without being quoted.
pub(super) fn check_name(path: &str, stem: &str, problems: &mut Vec<Problem>) {
    let good = (1..=60).contains(&stem.len())
        && stem.starts_with(|c: char| c.is_ascii_alphanumeric())
        && stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !good {
        let message = format!(
            "\"{stem}\" cannot be a name; expected 1 to 60 of a-z, A-Z, 0-9, -, _ and ., beginning with a letter or digit"
        );
        problems.push(Problem::new(path, message));
    }
}

/// What lies in a folder; `None` if there is no such folder, or it cannot be read, which is then said.
pub(super) fn list(source: &dyn Source, folder: &str, problems: &mut Vec<Problem>) -> Option<Vec<Found>> {
    match source.list(folder) {
        Ok(found) => found,
        Err(problem) => {
            let shown = if folder.is_empty() { "." } else { folder };
            problems.push(Problem::new(shown, format!("cannot be read: {problem}; expected a folder")));
            None
        }
    }
}

/// A file's bytes; `None` if it cannot be read, which is then said.
pub(super) fn read(source: &dyn Source, path: &str, problems: &mut Vec<Problem>) -> Option<Vec<u8>> {
    let read = source.read(path);
    read.map_err(|problem| problems.push(Problem::new(path, format!("cannot be read: {problem}")))).ok()
}
