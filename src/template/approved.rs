//! Approved content as it is written and stored: what WhatsApp has approved of a template, locale by locale (SPEC 6). Here it
//! is read from a manifest; `ready` judges it and makes it ready to render.

mod ready;
mod words;

use std::collections::{BTreeMap, btree_map::Entry};

use serde::{Deserialize, Serialize};

pub(super) use ready::{Content, Draft, Part, media_faults, ready};

use super::source::{SourceFault, SourceProblem, nearest};
use crate::domain::locale::Locale;

/// What the provider has approved in one locale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedContent {
    /// The provider's id of it: `HX` and 32 hexadecimal digits.
    pub content_sid: String,
    /// What each of its variables says: a slug's name, or a small template. Found by their places in `text` if left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// The text as it was approved, with `{{1}}` where variable 1 stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The manifest's key of approved content, and the table of all of it.
pub(super) const APPROVED: &str = "approved";

const CONTENT_SID: &str = "content_sid";
const TEXT: &str = "text";
const VARIABLES: &str = "variables";
const KEYS: [&str; 3] = [CONTENT_SID, TEXT, VARIABLES];

const SID: &str = "HX and 32 hexadecimal digits, as the provider shows it";
const VARIABLE: &str = "a slug's name, or a small template like \"{{default CustomerName \\\"there\\\"}}\"";

/// Reads `[approved.LOCALE]`: everything that can be read, and every problem of keys and kinds.
pub(super) fn read(manifest: &toml::Table, problems: &mut Vec<SourceProblem>) -> BTreeMap<Locale, ApprovedContent> {
    let mut approved = BTreeMap::new();
    let Some(value) = manifest.get(APPROVED) else { return approved };
    let Some(table) = value.as_table() else {
        problems.push(wrong(APPROVED, "tables like [approved.en]", value));
        return approved;
    };
    for (tag, value) in table {
        let key = format!("{APPROVED}.{tag}");
        let Ok(locale) = tag.parse::<Locale>().map_err(|error| problems.push(bad(&key, error.to_string()))) else {
            continue;
        };
        let Some(table) = value.as_table() else {
            problems.push(wrong(&key, "a table with content_sid and variables", value));
            continue;
        };
        let content = read_content(&key, table, problems);
        match (approved.entry(locale), content) {
            (Entry::Occupied(taken), _) => {
                let locale = taken.key();
                let words = format!("there is other approved content for {locale}; expected one for each locale");
                problems.push(bad(&key, words));
            }
            (Entry::Vacant(free), Some(content)) => drop(free.insert(content)),
            (Entry::Vacant(_), None) => {}
        }
    }
    approved
}

/// Whether the manifest has something to say of this locale, good or not.
pub(super) fn names(manifest: &toml::Table, locale: &Locale) -> bool {
    let table = manifest.get(APPROVED).and_then(toml::Value::as_table);
    table.is_some_and(|table| table.keys().any(|tag| tag.parse().as_ref() == Ok(locale)))
}

fn read_content(key: &str, table: &toml::Table, problems: &mut Vec<SourceProblem>) -> Option<ApprovedContent> {
    problems.extend(table.keys().filter(|name| !KEYS.contains(&name.as_str())).map(|name| {
        SourceProblem::in_manifest(
            Some(&format!("{key}.{name}")),
            SourceFault::UnknownKey { nearest: nearest(name, &KEYS) },
        )
    }));
    let sid_key = format!("{key}.{CONTENT_SID}");
    let content_sid = match table.get(CONTENT_SID) {
        Some(value) => text(&sid_key, SID, value, problems),
        None => {
            problems.push(SourceProblem::in_manifest(Some(&sid_key), SourceFault::Missing { expected: SID }));
            None
        }
    };
    let text_key = format!("{key}.{TEXT}");
    let said = table.get(TEXT).and_then(|value| text(&text_key, "the text as it was approved", value, problems));
    let variables_key = format!("{key}.{VARIABLES}");
    let variables = match table.get(VARIABLES) {
        None => BTreeMap::new(),
        Some(toml::Value::Table(variables)) => variables
            .iter()
            .filter_map(|(name, value)| {
                let value = text(&format!("{variables_key}.{name}"), VARIABLE, value, problems)?;
                Some((name.clone(), value))
            })
            .collect(),
        Some(other) => {
            problems.push(wrong(&variables_key, "a table like { \"1\" = \"CustomerName\" }", other));
            BTreeMap::new()
        }
    };
    Some(ApprovedContent {
        content_sid: content_sid?,
        variables,
        text: said.map(|text| super::source::without_editors_marks(&text)),
    })
}

fn text(key: &str, expected: &'static str, value: &toml::Value, problems: &mut Vec<SourceProblem>) -> Option<String> {
    let found = value.as_str().map(str::to_owned);
    if found.is_none() {
        problems.push(wrong(key, expected, value));
    }
    found
}

fn wrong(key: &str, expected: &'static str, found: &toml::Value) -> SourceProblem {
    SourceProblem::in_manifest(Some(key), SourceFault::WrongKind { expected, found: found.type_str() })
}

pub(super) fn bad(key: &str, words: impl Into<String>) -> SourceProblem {
    SourceProblem::in_manifest(Some(key), SourceFault::BadValue(words.into()))
}
