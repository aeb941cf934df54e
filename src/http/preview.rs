//! `POST /v1/templates/{name}/preview`: what a contact would get of a template, stored or just being written, and what it costs.
//! Nothing is sent and nothing is kept.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Reader,
    body::Body,
    problem::{FieldError, Problem},
    query::Path,
};
use crate::{
    book::{Book, Unusable},
    domain::{
        contact::{ChannelType, Slugs},
        definition::{Channel, SmartEncoding},
        locale::Locale,
        purpose::Purpose,
        reason::Why,
    },
    intake::payload::{ContactRules, parse_items},
    template::{CompilePlace, CompileProblem, Costly, Encoding, Preview, Template, TemplateSource},
};

/// More languages than this are not previewed in one go.
const MOST_TEXTS: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(preview))
}

/// For whom, and of what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The contact's locale, as a tag or a Windows number; every language of the template if left out.
    locale: Option<String>,
    /// The values of the slugs, as in a contact.
    #[serde(default)]
    contextitems: Map<String, Value>,
    /// A draft: these texts in the place of the stored ones of the same languages. With it, the template need not be stored.
    #[serde(default)]
    texts: BTreeMap<String, String>,
    /// The channel that it would leave through: says whether look-alikes are replaced.
    channel: Option<String>,
}

/// What a contact would get of a template.
#[derive(Serialize, ToSchema)]
pub struct Previews {
    /// The template's name.
    pub template: String,
    /// The version that was rendered; none for a draft.
    pub version: Option<i64>,
    /// `sms` or `whatsapp`.
    pub channel_type: &'static str,
    /// The language that serves everyone who has no better one.
    pub default_locale: Locale,
    /// One for each language, or one for the locale that was asked for.
    pub previews: Vec<Shown>,
}

/// One text, made for one contact.
#[derive(Serialize, ToSchema)]
#[schema(as = PreviewedText)]
pub struct Shown {
    /// The language that was chosen.
    pub locale: Locale,
    /// What the contact would read; none if `problem` says why.
    pub text: Option<String>,
    /// Its length in characters, of at most 1,600.
    pub characters: Option<usize>,
    /// What it takes on the air; none for WhatsApp.
    pub sms: Option<Sms>,
    /// The approved content that would be sent.
    pub approved: Option<Content>,
    /// The slugs that are read for this contact.
    pub used: Vec<String>,
    /// Those of them that are needed and not filled.
    pub missing: Vec<String>,
    /// Why the contact would be refused.
    pub problem: Option<Refusal>,
}

/// Why a contact would be refused.
#[derive(Serialize, ToSchema)]
pub struct Refusal {
    /// A reason's stable code, as of messages.
    pub code: &'static str,
    /// In words.
    pub detail: String,
}

/// Approved content of WhatsApp.
#[derive(Serialize, ToSchema)]
pub struct Content {
    /// The provider's id of it.
    pub content_sid: String,
    /// The variables' values.
    pub variables: BTreeMap<String, String>,
}

/// What an SMS takes on the air.
#[derive(Serialize, ToSchema)]
pub struct Sms {
    /// `gsm7` or `ucs2`.
    pub encoding: &'static str,
    /// Its length in septets or UTF-16 code units.
    pub units: usize,
    /// The segments that it is sent, and charged, in.
    pub segments: u32,
    /// The units that are left in the last segment.
    pub left: usize,
    /// The characters that GSM-7 does not have; the first of them made the text UCS-2.
    pub ucs2: Vec<Character>,
    /// What the channel's `smart_encoding` does, or would do.
    pub smart_encoding: Smart,
}

/// What `smart_encoding` does to a text.
#[derive(Serialize, ToSchema)]
pub struct Smart {
    /// Whether the channel has it.
    pub on: bool,
    /// What was replaced, with places in the text before.
    pub replaced: Vec<Character>,
    /// The segments without it.
    pub segments_without: u32,
    /// The segments with it.
    pub segments_with: u32,
    /// What it saves, in segments.
    pub saves: i64,
}

/// A character that GSM-7 does not have.
#[derive(Serialize, ToSchema)]
pub struct Character {
    /// It.
    pub character: char,
    /// Its number, and its name if it is a look-alike: `U+2019 right single quotation mark`.
    pub name: String,
    /// What would do in its place.
    pub replacement: Option<&'static str>,
    /// Where it stands, in characters from 0.
    pub places: Vec<usize>,
}

/// Shows what a contact would get of a template
///
/// The text in the contact's language, or in every language; for SMS with its encoding, its segments, the characters that make it
/// dear, and what `smart_encoding` would save. `texts` is a draft, held to the same rules as a template that is saved.
#[utoipa::path(
    post, path = "/v1/templates/{name}/preview", tag = "templates",
    params(("name" = String, Path, description = "The template's name")),
    request_body = Asked, security(("key" = ["read"])), responses((status = 200, body = Previews))
)]
async fn preview(
    State(api): Shared,
    reader: Reader,
    Path(name): Path<String>,
    body: Body<Asked>,
) -> Result<Json<Previews>, Problem> {
    let nothing = || Problem::not_found("the organization defines nothing yet");
    let book = api.books.current(&reader.org).await?.ok_or_else(nothing)?;
    // Compiling and rendering a hundred texts is work for a thread that may take its time.
    tokio::task::spawn_blocking(move || answer(&book, name, &body.value))
        .await
        .map_err(|_| Problem::unwritable())?
        .map(Json)
}

fn answer(book: &Book, name: String, asked: &Asked) -> Result<Previews, Problem> {
    let mut errors = Vec::new();
    let stored = book.template(&name);
    let missing = |problem: &Unusable| Problem::not_found(problem.to_string());
    let channel = asked.channel.as_deref().map(|name| channel(book, name, &mut errors)).unwrap_or_default();
    let wanted = asked.locale.as_deref().and_then(|text| locale(text, "/locale", &mut errors));
    let draft = draft(&asked.texts, &mut errors);
    let (source, version) = match (stored, asked.texts.is_empty()) {
        (Ok(ready), true) => (None, Some((ready.template.clone(), ready.version))),
        (Err(problem), true) => return Err(missing(&problem)),
        (Ok(ready), false) => (Some(ready.template.source().clone()), None),
        (Err(_), false) => (anew(&draft, wanted.as_ref(), channel), None),
    };
    if !errors.is_empty() {
        return Err(refused("invalid_body", "the preview cannot be made", errors));
    }
    let (template, version) = match (source, version) {
        (Some(source), _) => (Arc::new(compiled(source, draft)?), None),
        (None, Some((template, version))) => (template, Some(version)),
        (None, None) => return Err(Problem::not_found(format!("there is no template \"{name}\""))),
    };
    let channel_type = template.source().channel_type;
    let slugs = slugs(&asked.contextitems, channel_type, &mut errors);
    if let Some(channel) = channel.filter(|channel| channel.channel_type != channel_type) {
        let detail = format!("is a channel for {}; expected one for {channel_type}", channel.channel_type);
        errors.push(FieldError { pointer: "/channel".to_owned(), detail });
    }
    if !errors.is_empty() {
        return Err(refused("invalid_body", "the preview cannot be made", errors));
    }
    let smart_encoding = channel.map(Channel::smart_encoding).unwrap_or_default();
    Ok(previews(name, version, &template, wanted.as_ref(), &slugs, smart_encoding))
}

/// The previews of a template, as programs see them.
pub fn previews(
    name: String,
    version: Option<i64>,
    template: &Template,
    wanted: Option<&Locale>,
    slugs: &Slugs,
    smart_encoding: SmartEncoding,
) -> Previews {
    let made = match wanted {
        Some(_) => vec![Preview::new(template, wanted, slugs, smart_encoding)],
        None => Preview::every(template, slugs, smart_encoding),
    };
    let source = template.source();
    Previews {
        template: name,
        version,
        channel_type: source.channel_type.as_str(),
        default_locale: source.default_locale.clone(),
        previews: made.into_iter().map(|preview| shown(preview, smart_encoding)).collect(),
    }
}

fn shown(preview: Preview, smart_encoding: SmartEncoding) -> Shown {
    let Preview { locale, text, cost, approved, used, missing } = preview;
    let (text, problem) = match text {
        Ok(text) => (Some(text), None),
        Err(problem) => {
            let detail = problem.to_string();
            (None, Some(Refusal { code: Why::from(problem).reason.code(), detail }))
        }
    };
    let sms = cost.map(|cost| {
        let (without, with) = cost.without_and_with;
        Sms {
            encoding: match cost.counted.encoding {
                Encoding::Gsm7 => "gsm7",
                Encoding::Ucs2 => "ucs2",
            },
            units: cost.counted.units,
            segments: cost.counted.segments,
            left: cost.counted.left,
            ucs2: cost.ucs2.into_iter().map(character).collect(),
            smart_encoding: Smart {
                on: smart_encoding == SmartEncoding::On,
                replaced: cost.replaced.into_iter().map(character).collect(),
                segments_without: without,
                segments_with: with,
                saves: i64::from(without) - i64::from(with),
            },
        }
    });
    let approved = approved.map(|one| Content { content_sid: one.content_id, variables: one.variables });
    let characters = text.as_ref().map(|text| text.chars().count());
    Shown { locale, text, characters, sms, approved, used, missing, problem }
}

fn character(costly: Costly) -> Character {
    let Costly { character, name, replacement, places } = costly;
    Character { character, name, replacement, places }
}

fn refused(code: &'static str, detail: &str, errors: Vec<FieldError>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).with_errors(errors)
}

fn channel<'a>(book: &'a Book, name: &str, errors: &mut Vec<FieldError>) -> Option<&'a Channel> {
    let found = book.channel(name);
    found
        .map_err(|problem| errors.push(FieldError { pointer: "/channel".to_owned(), detail: problem.to_string() }))
        .ok()
}

fn locale(text: &str, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Locale> {
    let wrong = |problem: crate::domain::locale::NotALocale| FieldError {
        pointer: pointer.to_owned(),
        detail: problem.to_string(),
    };
    text.parse().map_err(|problem| errors.push(wrong(problem))).ok()
}

fn slugs(items: &Map<String, Value>, channel_type: ChannelType, errors: &mut Vec<FieldError>) -> Slugs {
    let rules = ContactRules { channel_type, configuration: None, default_country: None, attested: None };
    match parse_items(Some(&Value::Object(items.clone())), &rules) {
        Ok(slugs) => slugs,
        Err(problem) => {
            errors.push(FieldError { pointer: problem.field, detail: problem.message });
            Slugs::default()
        }
    }
}

/// The texts of a draft, by locale.
fn draft(texts: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) -> BTreeMap<Locale, String> {
    let mut draft = BTreeMap::new();
    if texts.len() > MOST_TEXTS {
        let detail = format!("{} texts; expected at most {MOST_TEXTS}", texts.len());
        errors.push(FieldError { pointer: "/texts".to_owned(), detail });
        return draft;
    }
    for (tag, text) in texts {
        let pointer = format!("/texts/{}", tag.replace('~', "~0").replace('/', "~1"));
        let Some(locale) = locale(tag, &pointer, errors) else { continue };
        if text.trim().is_empty() {
            errors.push(FieldError { pointer, detail: "the text is empty".to_owned() });
        } else if let Some(other) = draft.insert(locale.clone(), text.clone()) {
            let detail = format!("there is another text for {locale}; expected one for each locale");
            errors.push(FieldError { pointer, detail });
            drop(other);
        }
    }
    draft
}

/// A template that is not stored yet: for SMS, unless the channel says otherwise.
fn anew(
    draft: &BTreeMap<Locale, String>,
    wanted: Option<&Locale>,
    channel: Option<&Channel>,
) -> Option<TemplateSource> {
    let english = draft.keys().find(|locale| locale.to_string() == "en");
    let default =
        english.or_else(|| wanted.filter(|locale| draft.contains_key(locale))).or_else(|| draft.keys().next());
    Some(TemplateSource {
        channel_type: channel.map_or(ChannelType::Sms, |channel| channel.channel_type),
        default_locale: default?.clone(),
        purpose: Purpose::Transactional,
        texts: BTreeMap::new(),
        approved: BTreeMap::new(),
        media: Vec::new(),
    })
}

fn compiled(mut source: TemplateSource, draft: BTreeMap<Locale, String>) -> Result<Template, Problem> {
    source.texts.extend(draft);
    Template::compile(&source).map_err(|problems| {
        let errors = problems.into_iter().map(|CompileProblem { place, fault }| match place {
            CompilePlace::Text { locale, line, column } => {
                let detail = format!("line {line}, column {column}: {fault}");
                FieldError { pointer: format!("/texts/{locale}"), detail }
            }
            // The draft no longer says what was approved in this language.
            CompilePlace::Manifest { key } => {
                let locale = key.split('.').nth(1).filter(|_| key.starts_with("approved."));
                let pointer = locale.map_or_else(|| "/texts".to_owned(), |locale| format!("/texts/{locale}"));
                FieldError { pointer, detail: format!("{key}: {fault}") }
            }
        });
        refused("invalid_template", "the draft cannot be a template", errors.collect())
    })
}
