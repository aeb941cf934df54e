//! Approved content made ready to render, or everything that is wrong with it.
//!
//! What the recipient reads is made by the provider, from its own copy. So herald's text must say the same, as far as that can
//! be known here: word for word where the approved text is given, and with a variable for every slug where it is not.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        compiled::spell,
        helpers::Helper,
        parse::{Piece, parse},
        source::{SourceFault, SourceProblem},
    },
    APPROVED, ApprovedContent, CONTENT_SID, TEXT, VARIABLES, bad,
    words::{difference, flat, is_name, joined, parts},
};
use crate::domain::{contact::ChannelType, locale::Locale, wishes::variable_fault};

pub(in super::super) use super::words::Part;

/// What approved content is held against; as much of it as could be read.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Draft<'a> {
    pub channel_type: Option<ChannelType>,
    pub default_locale: Option<&'a Locale>,
    pub texts: &'a BTreeMap<Locale, String>,
    pub approved: &'a BTreeMap<Locale, ApprovedContent>,
}

/// Approved content of one locale, ready to render.
#[derive(Clone, Debug)]
pub(in super::super) struct Content {
    pub content_id: String,
    /// What each variable says.
    pub variables: BTreeMap<String, Vec<Piece>>,
    /// The text as it was approved, if it is known.
    pub text: Option<Vec<Part>>,
}

const NEVER: &str = "a text that differs from the approved one is never sent as a template";

/// Makes all of it ready; problems name the manifest's keys.
pub(in super::super) fn ready(draft: Draft<'_>, problems: &mut Vec<SourceProblem>) -> BTreeMap<Locale, Content> {
    if draft.approved.is_empty() {
        return BTreeMap::new();
    }
    if draft.channel_type.is_some_and(|channel_type| channel_type != ChannelType::WhatsApp) {
        let words =
            "only a template for whatsapp has approved content; expected channel_type = \"whatsapp\", or none of it";
        problems.push(bad(APPROVED, words));
    }
    if let Some(default) = draft.default_locale.filter(|default| !draft.approved.contains_key(default)) {
        let words = format!(
            "missing; {default} is the default locale and serves everyone who has no better one, so it needs approved content if others have it"
        );
        problems.push(bad(&format!("{APPROVED}.{default}"), words));
    }
    let mut all = BTreeMap::new();
    for (locale, content) in draft.approved {
        let key = format!("{APPROVED}.{locale}");
        let before = problems.len();
        if !is_content_sid(&content.content_sid) {
            let words = format!("\"{}\" is no content; expected HX and 32 hexadecimal digits", content.content_sid);
            problems.push(bad(&format!("{key}.{CONTENT_SID}"), words));
        }
        let variables = read_variables(&key, content, problems);
        let Some(text) = draft.texts.get(locale) else {
            let fault = SourceFault::NoText { expected: format!("{locale}.hbs") };
            problems.push(SourceProblem::in_manifest(Some(&key), fault));
            continue;
        };
        // What is wrong with the text itself is said where it is compiled.
        if let (Ok(pieces), true) = (parse(text), problems.len() == before) {
            let file = format!("{locale}.hbs");
            match fit(&key, &file, content, variables, &joined(&pieces)) {
                Ok(content) => drop(all.insert(locale.clone(), content)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    all
}

fn is_content_sid(text: &str) -> bool {
    text.strip_prefix("HX").is_some_and(|digits| digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

fn read_variables(
    key: &str,
    content: &ApprovedContent,
    problems: &mut Vec<SourceProblem>,
) -> BTreeMap<String, Vec<Piece>> {
    let mut variables = BTreeMap::new();
    for (name, written) in &content.variables {
        let key = format!("{key}.{VARIABLES}.{name}");
        if !is_name(name) {
            problems.push(bad(&key, "is not a variable's name; expected a number like \"1\""));
        }
        match variable(written) {
            Ok(pieces) => drop(variables.insert(name.clone(), pieces)),
            Err(words) => problems.push(bad(&key, words)),
        }
    }
    variables
}

/// What a variable says: the slug of this name, or a small template.
fn variable(written: &str) -> Result<Vec<Piece>, String> {
    if let Some(fault) = variable_fault(written) {
        return Err(fault.to_owned());
    }
    if written.contains("{{") {
        let first = |found: Vec<(_, crate::template::CompileFault)>| found.first().map(|(_, fault)| fault.to_string());
        return parse(written).map_err(|found| first(found).unwrap_or_default());
    }
    match parse(&format!("{{{{[{}]}}}}", written.trim())).as_deref() {
        Ok([Piece::Slug(slug)]) => Ok(vec![Piece::Slug(slug.clone())]),
        Ok(_) | Err(_) => {
            Err(format!("\"{written}\" is not a slug; expected one plain name, or a small template with {{{{Slug}}}}"))
        }
    }
}

/// Holds the content against the text of its locale.
fn fit(
    key: &str,
    file: &str,
    content: &ApprovedContent,
    variables: BTreeMap<String, Vec<Piece>>,
    pieces: &[Piece],
) -> Result<Content, SourceProblem> {
    let content_id = content.content_sid.clone();
    let Some(text) = &content.text else {
        let missing =
            slugs(pieces).into_iter().find(|(slug, _)| !variables.values().any(|v| slugs(v).contains_key(slug)));
        // A slug as it stands is not what the text says of it, if that is a date or an amount.
        let unlike = formatted(pieces)
            .into_iter()
            .find(|said| !variables.values().any(|variable| formatted(variable).contains(said)));
        if let Some(said) = unlike {
            let words = format!("{file} says {said}, which no variable carries so; {NEVER}");
            return Err(bad(&format!("{key}.{VARIABLES}"), words));
        }
        return match missing {
            None => Ok(Content { content_id, variables, text: None }),
            Some((_, slug)) => {
                let words = format!("{file} says {{{{{slug}}}}}, which no variable carries; {NEVER}");
                Err(bad(&format!("{key}.{VARIABLES}"), words))
            }
        };
    };
    let key = format!("{key}.{TEXT}");
    let parts = parts(text);
    let variables = if content.variables.is_empty() { by_position(&parts, pieces) } else { variables };
    let mut said = Vec::new();
    for part in &parts {
        match part {
            Part::Literal(text) => said.push(Piece::Literal { text: text.clone(), characters: text.chars().count() }),
            Part::Variable(name) => match variables.get(name) {
                Some(pieces) => said.extend(pieces.iter().cloned()),
                None if content.variables.is_empty() => {
                    said.push(Piece::Literal { text: format!("{{{{{name}}}}}"), characters: 0 });
                }
                None => {
                    let known = content.variables.keys().cloned().collect::<Vec<_>>().join(", ");
                    let words = format!("has {{{{{name}}}}}, which {VARIABLES} does not have; it has {known}");
                    return Err(bad(&key, words));
                }
            },
        }
    }
    let (approved, own) = (flat(&joined(&said)), flat(pieces));
    if approved != own {
        let (approved, own) = difference(&approved, &own);
        let words = format!(
            "says something else than {file} with the variables put in: \"{approved}\" here, \"{own}\" there; {NEVER}"
        );
        return Err(bad(&key, words));
    }
    Ok(Content { content_id, variables, text: Some(parts) })
}

/// The variables of an approved text, by what stands in their places in herald's own; as far as the two agree.
fn by_position(parts: &[Part], pieces: &[Piece]) -> BTreeMap<String, Vec<Piece>> {
    let mut variables = BTreeMap::new();
    for (part, piece) in parts.iter().zip(pieces) {
        match (part, piece) {
            (Part::Literal(text), Piece::Literal { text: own, .. }) if text == own => {}
            (Part::Variable(name), Piece::Slug(_) | Piece::Helper(_) | Piece::If { .. }) => {
                variables.entry(name.clone()).or_insert_with(|| vec![piece.clone()]);
            }
            (Part::Literal(_) | Part::Variable(_), _) => break,
        }
    }
    variables
}

/// Every slug of a text, folded, with the author's spelling.
fn slugs(pieces: &[Piece]) -> BTreeMap<String, String> {
    let mut slugs = BTreeMap::new();
    spell(pieces, &mut slugs);
    slugs
}

/// Every call of a helper that formats, in the one form that it is written in.
fn formatted(pieces: &[Piece]) -> BTreeSet<String> {
    let each = pieces.iter().map(|piece| match piece {
        Piece::Helper(helper @ Helper::Format(_)) => BTreeSet::from([helper.to_string()]),
        Piece::Literal { .. } | Piece::Slug(_) | Piece::Helper(Helper::Default { .. }) => BTreeSet::new(),
        Piece::If { then, otherwise, .. } => &formatted(then) | &formatted(otherwise),
    });
    each.flatten().collect()
}

/// The most that a message can carry along.
const MOST_MEDIA: usize = 10;

/// What is wrong with the links to what is sent along.
pub(in super::super) fn media_faults(media: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    if media.len() > MOST_MEDIA {
        faults.push(format!("{} links; expected at most {MOST_MEDIA}", media.len()));
    }
    let web =
        |text: &str| url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    for link in media.iter().filter(|link| !web(link)) {
        faults.push(format!("\"{link}\" is not a web address; expected one like \"https://example.com/map.png\""));
    }
    let twice: BTreeSet<&String> =
        media.iter().enumerate().filter(|(at, link)| media[..*at].contains(link)).map(|(_, link)| link).collect();
    faults.extend(twice.into_iter().map(|link| format!("\"{link}\" stands there twice; expected each link once")));
    faults
}
