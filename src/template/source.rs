//! A template as it is written and as it is stored. Reading texts is all it does: whether a text is good Handlebars is
//! [`Template::compile`](super::Template::compile)'s to say, and opening files is another room's work.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::approved::{self, APPROVED, ApprovedContent, Draft, media_faults};
use crate::domain::{contact::ChannelType, locale::Locale, purpose::Purpose};

/// The manifest's file name; the texts lie beside it, one `<locale>.hbs` each.
pub const MANIFEST: &str = "template.toml";

/// A template in the words of its author. Equal templates give equal JSON: fields and texts have one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSource {
    /// The channels that it is for.
    pub channel_type: ChannelType,
    /// The locale whose text serves everyone who has no better one.
    pub default_locale: Locale,
    /// Whether it informs about the contact's own business, or advertises.
    pub purpose: Purpose,
    /// The text in each locale.
    pub texts: BTreeMap<Locale, String>,
    /// What the provider has approved, in each locale that it has approved something in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approved: BTreeMap<Locale, ApprovedContent>,
    /// Links to what is sent along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<String>,
}

impl TemplateSource {
    /// Reads a manifest and the texts beside it (file name and content), naming every problem at once.
    pub fn from_files(
        manifest_toml: &str,
        texts: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<SourceProblem>> {
        let mut problems = Vec::new();
        let texts = read_texts(texts, &mut problems);
        let manifest = match manifest_toml.strip_prefix('\u{FEFF}').unwrap_or(manifest_toml).parse::<toml::Table>() {
            Ok(manifest) => manifest,
            Err(error) => {
                problems.push(SourceProblem::in_manifest(None, SourceFault::NotToml(error.to_string())));
                return Err(problems);
            }
        };
        problems.extend(manifest.keys().filter(|key| !KEYS.contains(&key.as_str())).map(|key| {
            SourceProblem::in_manifest(Some(key), SourceFault::UnknownKey { nearest: nearest(key, &KEYS) })
        }));
        let channel_type = value(&manifest, "channel_type", "\"sms\" or \"whatsapp\"", &mut problems);
        let default_locale = value(&manifest, "default_locale", "a language tag like \"en\"", &mut problems);
        let purpose = value(&manifest, "purpose", "\"transactional\" or \"marketing\"", &mut problems);
        if let Some(locale) = default_locale.as_ref().filter(|locale| !texts.contains_key(locale)) {
            let fault = SourceFault::NoText { expected: format!("{locale}.hbs") };
            problems.push(SourceProblem::in_manifest(Some("default_locale"), fault));
        }
        let approved = approved::read(&manifest, &mut problems);
        let media = read_media(&manifest, &mut problems);
        // What stands there and cannot be read is not missing.
        let default = default_locale.as_ref().filter(|it| approved.contains_key(it) || !approved::names(&manifest, it));
        let draft = Draft { channel_type, default_locale: default, texts: &texts, approved: &approved };
        approved::ready(draft, &mut problems);
        match (channel_type, default_locale, purpose) {
            (Some(channel_type), Some(default_locale), Some(purpose)) if problems.is_empty() => {
                Ok(Self { channel_type, default_locale, purpose, texts, approved, media })
            }
            _ => Err(problems),
        }
    }
}

/// What is wrong with a template's files, and where.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}{}: {fault}", key.as_ref().map(|key| format!(", key \"{key}\"")).unwrap_or_default())]
pub struct SourceProblem {
    /// The file, as it was handed over.
    pub file: String,
    /// The manifest's key, if one is to blame.
    pub key: Option<String>,
    /// What is wrong.
    pub fault: SourceFault,
}

impl SourceProblem {
    pub(super) fn in_manifest(key: Option<&str>, fault: SourceFault) -> Self {
        Self { file: MANIFEST.to_owned(), key: key.map(str::to_owned), fault }
    }
}

/// What can be wrong with a template's files.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourceFault {
    /// The manifest cannot be read at all.
    #[error("this is not TOML: {}", .0.trim_end())]
    NotToml(String),
    /// A key that means nothing here.
    #[error("unknown key; the nearest known one is \"{nearest}\"")]
    UnknownKey {
        /// The known key that is most like it.
        nearest: &'static str,
    },
    /// A key that every manifest has.
    #[error("missing; expected {expected}")]
    Missing {
        /// What belongs there.
        expected: &'static str,
    },
    /// A value of another kind than belongs there.
    #[error("expected {expected}, found {found}")]
    WrongKind {
        /// What belongs there.
        expected: &'static str,
        /// The kind of value that stands there.
        found: &'static str,
    },
    /// A text that means nothing here; it says itself what was expected.
    #[error("{0}")]
    BadValue(String),
    /// The default locale, or one with approved content, has no text.
    #[error("there is no text for it; expected a file {expected}")]
    NoText {
        /// The file that should be there.
        expected: String,
    },
    /// A text whose file name is no locale.
    #[error("the name says no locale; expected one like en.hbs or fr-CA.hbs")]
    NotALocale,
    /// Two files for one locale.
    #[error("there is another text for {0}; expected one file for each locale")]
    SameLocale(Locale),
    /// A text without text.
    #[error("the text is empty")]
    EmptyText,
    /// A file that is no text.
    #[error("this is not UTF-8")]
    NotUtf8,
}

/// The manifest's key of the links to what is sent along.
pub(super) const MEDIA: &str = "media";
const KEYS: [&str; 5] = ["channel_type", "default_locale", "purpose", APPROVED, MEDIA];

/// The known key that is most like this one.
pub(super) fn nearest(key: &str, known: &[&'static str]) -> &'static str {
    let likeness = |known: &str| (strsim::normalized_damerau_levenshtein(key, known) * 1000.0) as u32;
    known.iter().copied().max_by_key(|known| likeness(known)).unwrap_or_default()
}

fn value<T: FromStr<Err: fmt::Display>>(
    manifest: &toml::Table,
    key: &str,
    expected: &'static str,
    problems: &mut Vec<SourceProblem>,
) -> Option<T> {
    let fault = match manifest.get(key) {
        None => SourceFault::Missing { expected },
        Some(toml::Value::String(text)) => match text.parse() {
            Ok(value) => return Some(value),
            Err(error) => SourceFault::BadValue(error.to_string()),
        },
        Some(other) => SourceFault::WrongKind { expected, found: other.type_str() },
    };
    problems.push(SourceProblem::in_manifest(Some(key), fault));
    None
}

fn read_media(manifest: &toml::Table, problems: &mut Vec<SourceProblem>) -> Vec<String> {
    let Some(value) = manifest.get(MEDIA) else { return Vec::new() };
    let list = value.as_array().map(Vec::as_slice);
    let other = list.map_or(Some(value), |list| list.iter().find(|link| !link.is_str()));
    if let Some(other) = other {
        let fault = SourceFault::WrongKind { expected: "a list of web addresses, as texts", found: other.type_str() };
        problems.push(SourceProblem::in_manifest(Some(MEDIA), fault));
    }
    let links: Vec<String> =
        list.unwrap_or_default().iter().filter_map(|link| link.as_str().map(str::to_owned)).collect();
    problems.extend(media_faults(&links).into_iter().map(|words| approved::bad(MEDIA, words)));
    links
}

fn read_texts(
    files: impl IntoIterator<Item = (String, String)>,
    problems: &mut Vec<SourceProblem>,
) -> BTreeMap<Locale, String> {
    let mut texts = BTreeMap::new();
    for (file, content) in files {
        let fault = match file.strip_suffix(".hbs").and_then(|stem| stem.parse::<Locale>().ok()) {
            None => SourceFault::NotALocale,
            Some(locale) if texts.contains_key(&locale) => SourceFault::SameLocale(locale),
            Some(locale) => {
                let text = without_editors_marks(&content);
                let blank = text.trim().is_empty();
                texts.insert(locale, text);
                if !blank {
                    continue;
                }
                SourceFault::EmptyText
            }
        };
        problems.push(SourceProblem { file, key: None, fault });
    }
    texts
}

/// The text without what an editor adds to a file: a byte order mark, Windows' line ends, the one line end at the end.
pub(super) fn without_editors_marks(content: &str) -> String {
    let text = content.strip_prefix('\u{FEFF}').unwrap_or(content).replace("\r\n", "\n");
    text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "channel_type = \"sms\"\ndefault_locale = \"en\"\npurpose = \"marketing\"\n";

    fn read(manifest: &str, texts: &[(&str, &str)]) -> Result<TemplateSource, String> {
        let texts = texts.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        TemplateSource::from_files(manifest, texts)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn files_become_one_canonical_json() {
        let one = read(GOOD, &[("fr_ca.hbs", "Salut"), ("en.hbs", "\u{FEFF}Hi\r\n\r\nyou\r\n")]).unwrap();
        let two = read(GOOD, &[("en.hbs", "Hi\n\nyou\n"), ("fr-CA.hbs", "Salut")]).unwrap();
        let json = serde_json::to_string(&one).unwrap();
        insta::assert_snapshot!(json, @r#"{"channel_type":"sms","default_locale":"en","purpose":"marketing","texts":{"en":"Hi\n\nyou","fr-CA":"Salut"}}"#);
        assert_eq!(json, serde_json::to_string(&two).unwrap());
        assert_eq!(serde_json::from_str::<TemplateSource>(&json).unwrap(), one);
    }

    #[test]
    fn only_the_last_line_end_is_the_editors() {
        for (content, text) in [("a\n\n", "a\n"), ("a \n", "a "), ("a", "a"), ("a\r\n", "a"), ("\na", "\na")] {
            assert_eq!(without_editors_marks(content), text, "{content:?}");
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let manifest = "chanel_type = \"sms\"\ndefault_locale = \"de\"\npurpose = 3\n";
        let texts = [("en.hbs", "Hi"), ("english.txt", "Hi"), ("EN.hbs", "Hello"), ("fr.hbs", " \n")];
        insta::assert_snapshot!(read(manifest, &texts).unwrap_err(), @r#"
        english.txt: the name says no locale; expected one like en.hbs or fr-CA.hbs
        EN.hbs: there is another text for en; expected one file for each locale
        fr.hbs: the text is empty
        template.toml, key "chanel_type": unknown key; the nearest known one is "channel_type"
        template.toml, key "channel_type": missing; expected "sms" or "whatsapp"
        template.toml, key "purpose": expected "transactional" or "marketing", found integer
        template.toml, key "default_locale": there is no text for it; expected a file de.hbs
        "#);
        let email = GOOD.replace("sms", "email").replace("marketing", "spam").replace("\"en\"", "\"english\"");
        insta::assert_snapshot!(read(&email, &[("en.hbs", "Hi")]).unwrap_err(), @r#"
        template.toml, key "channel_type": "email" is not a channel type; expected "sms" or "whatsapp"
        template.toml, key "default_locale": "english" is not a locale; expected a language tag like "fr" or "fr-CA", or a Windows number like 1036
        template.toml, key "purpose": "spam" is not a purpose; expected "transactional" or "marketing"
        "#);
        assert!(read("purpose = ", &[]).unwrap_err().starts_with("template.toml: this is not TOML: "));
    }

    const SID: &str = "HX0123456789abcdef0123456789abcdef";

    #[test]
    fn approved_content_is_read_and_has_one_form() {
        let whatsapp = GOOD.replace("sms", "whatsapp");
        let manifest = format!(
            "{whatsapp}media = [\"https://a.example/1.png\"]\n[approved.en]\ncontent_sid = \"{SID}\"\nvariables = {{ \"2\" = \"Day\", \"1\" = \"Name\" }}\n[approved.fr_ca]\ncontent_sid = \"{SID}\"\ntext = \"\"\"\nSalut {{{{1}}}}\n\"\"\"\n"
        );
        let texts = [("en.hbs", "Hi {{Name}}, {{Day}}"), ("fr-CA.hbs", "Salut {{Name}}")];
        let source = read(&manifest, &texts).unwrap();
        let json = serde_json::to_string(&source).unwrap();
        insta::assert_snapshot!(json, @r#"{"channel_type":"whatsapp","default_locale":"en","purpose":"marketing","texts":{"en":"Hi {{Name}}, {{Day}}","fr-CA":"Salut {{Name}}"},"approved":{"en":{"content_sid":"HX0123456789abcdef0123456789abcdef","variables":{"1":"Name","2":"Day"}},"fr-CA":{"content_sid":"HX0123456789abcdef0123456789abcdef","text":"Salut {{1}}"}},"media":["https://a.example/1.png"]}"#);
        assert_eq!(serde_json::from_str::<TemplateSource>(&json).unwrap(), source);
    }

    #[test]
    fn every_problem_of_approved_content_is_named_at_once() {
        let manifest = format!(
            "{GOOD}medias = []\nmedia = [\"x\", 3]\n[approved.english]\n[approved.en]\ncontent_id = 3\nvariables = {{ 1 = 7, 2 = \"a.b\" }}\n[approved.fr]\ncontent_sid = \"HX1\"\ntext = false\nvariables = \"x\"\n[approved.de]\ncontent_sid = \"{SID}\"\n[approved.DE]\ncontent_sid = \"{SID}\"\n"
        );
        let texts = [("en.hbs", "Hi"), ("fr.hbs", "Salut")];
        insta::assert_snapshot!(read(&manifest, &texts).unwrap_err(), @r#"
        template.toml, key "medias": unknown key; the nearest known one is "media"
        template.toml, key "approved.de": there is other approved content for de; expected one for each locale
        template.toml, key "approved.en.content_id": unknown key; the nearest known one is "content_sid"
        template.toml, key "approved.en.content_sid": missing; expected HX and 32 hexadecimal digits, as the provider shows it
        template.toml, key "approved.en.variables.1": expected a slug's name, or a small template like "{{default CustomerName \"there\"}}", found integer
        template.toml, key "approved.english": "english" is not a locale; expected a language tag like "fr" or "fr-CA", or a Windows number like 1036
        template.toml, key "approved.fr.text": expected the text as it was approved, found boolean
        template.toml, key "approved.fr.variables": expected a table like { "1" = "CustomerName" }, found string
        template.toml, key "media": expected a list of web addresses, as texts, found integer
        template.toml, key "media": "x" is not a web address; expected one like "https://example.com/map.png"
        template.toml, key "approved": only a template for whatsapp has approved content; expected channel_type = "whatsapp", or none of it
        template.toml, key "approved.de": there is no text for it; expected a file de.hbs
        template.toml, key "approved.fr.content_sid": "HX1" is no content; expected HX and 32 hexadecimal digits
        "#);
        let flat = format!("{GOOD}approved = true\n");
        insta::assert_snapshot!(read(&flat, &texts).unwrap_err(), @r#"template.toml, key "approved": expected tables like [approved.en], found boolean"#);
    }
}
