//! A template ready to render: compiled once a version, shared by every sender. It decides the locale and makes the
//! text; how the text is charged is [`segments`](super::segments())'s matter, and whether it may be sent is the engine's.

mod approved;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use approved::RenderedApproved;

use super::{
    approved::{Content, Draft, media_faults, ready},
    formats::Formats,
    helpers::Ask,
    parse::{Piece, Slug, parse},
    problem::{CompileFault, CompilePlace, CompileProblem, RenderProblem},
    source::{MEDIA, SourceFault, TemplateSource},
};
use crate::domain::{contact::Slugs, locale::Locale};

/// The longest text, in Unicode scalar values, that every provider takes.
pub const MAX_CHARACTERS: usize = 1600;

/// Beyond this the length of a text that is too long anyway is no longer measured.
const COUNTED: usize = 100_000;

/// A compiled template. Nothing in it changes: share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct Template {
    source: TemplateSource,
    default: Text,
    /// Every text, the default's as well.
    texts: BTreeMap<Locale, Text>,
    /// What the provider has approved, if it has approved something: then the default locale's is among it.
    approved: BTreeMap<Locale, Content>,
    required: BTreeSet<String>,
    /// Every slug, folded, with the author's first spelling.
    spellings: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Text {
    locale: Locale,
    pieces: Vec<Piece>,
    /// What its helpers, and those of the approved content in its locale, need.
    formats: Arc<Formats>,
}

/// One contact's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text: not blank, and no longer than [`MAX_CHARACTERS`].
    pub text: String,
    /// The locale that it is written in: the chosen one, not always the wanted one.
    pub locale: Locale,
}

impl Template {
    /// Compiles every text and all approved content, naming every problem of every locale at once.
    pub fn compile(source: &TemplateSource) -> Result<Self, Vec<CompileProblem>> {
        let mut parsed = BTreeMap::new();
        let mut problems = Vec::new();
        for (locale, text) in &source.texts {
            match parse(text) {
                Ok(pieces) => {
                    parsed.insert(locale.clone(), pieces);
                }
                Err(found) => problems.extend(found.into_iter().map(|((line, column), fault)| {
                    let place = CompilePlace::Text { locale: locale.clone(), line, column };
                    CompileProblem { place, fault }
                })),
            }
        }
        if !source.texts.contains_key(&source.default_locale) {
            let place = CompilePlace::Text { locale: source.default_locale.clone(), line: 1, column: 1 };
            problems.push(CompileProblem { place, fault: CompileFault::NoDefaultText });
        }
        let approved = compile_manifest(source, &mut problems);
        let texts: BTreeMap<Locale, Text> = if problems.is_empty() {
            parsed.into_iter().map(|(locale, pieces)| (locale.clone(), Text::new(locale, pieces, &approved))).collect()
        } else {
            BTreeMap::new()
        };
        match texts.get(&source.default_locale).cloned() {
            Some(default) if problems.is_empty() => {
                let variables = || approved.values().flat_map(|content| content.variables.values());
                let all = || texts.values().map(|text| &text.pieces).chain(variables());
                let required = all().flat_map(|pieces| required(pieces)).collect();
                let mut spellings = BTreeMap::new();
                all().for_each(|pieces| spell(pieces, &mut spellings));
                Ok(Self { source: source.clone(), default, texts, approved, required, spellings })
            }
            _ => Err(problems),
        }
    }

    /// Makes one contact's text in the best locale for them.
    pub fn render(&self, wanted: Option<&Locale>, slugs: &Slugs) -> Result<Rendered, RenderProblem> {
        let text = self.text(wanted);
        let mut output = Output::new(&text.formats);
        output.write(&text.pieces, slugs)?;
        Ok(Rendered { text: output.finish()?, locale: text.locale.clone() })
    }

    /// The locale whose text a contact gets: the wanted one, one of its parents, or the default.
    pub fn choose(&self, wanted: Option<&Locale>) -> &Locale {
        &self.text(wanted).locale
    }

    /// The slugs, folded, that every contact must fill, whichever text they get: without one there is no message.
    pub fn required_slugs(&self) -> &BTreeSet<String> {
        &self.required
    }

    /// Every slug, folded, that any text reads, required or not.
    pub fn known_slugs(&self) -> impl Iterator<Item = &str> {
        self.spellings.keys().map(String::as_str)
    }

    /// A folded slug as the template's author writes it, for messages; one that the template does not know stays as it is.
    pub fn slug_spelling<'a>(&'a self, folded: &'a str) -> &'a str {
        self.spellings.get(folded).map_or(folded, String::as_str)
    }

    /// Links to what is sent along with the text; approved content has its own at the provider.
    pub fn media(&self) -> &[String] {
        &self.source.media
    }

    /// What it was compiled from.
    pub fn source(&self) -> &TemplateSource {
        &self.source
    }

    fn text(&self, wanted: Option<&Locale>) -> &Text {
        let found = wanted.and_then(|wanted| {
            self.texts.get(wanted).or_else(|| wanted.and_parents().find_map(|locale| self.texts.get(&locale)))
        });
        found.unwrap_or(&self.default)
    }
}

impl Text {
    fn new(locale: Locale, pieces: Vec<Piece>, approved: &BTreeMap<Locale, Content>) -> Self {
        let mut asks = Vec::new();
        self::asks(&pieces, &mut asks);
        if let Some(content) = approved.get(&locale) {
            content.variables.values().for_each(|pieces| self::asks(pieces, &mut asks));
        }
        let formats = Arc::new(Formats::new(&locale, asks));
        Self { locale, pieces, formats }
    }
}

/// Approved content and links, and what is wrong with them.
fn compile_manifest(source: &TemplateSource, problems: &mut Vec<CompileProblem>) -> BTreeMap<Locale, Content> {
    let TemplateSource { channel_type, default_locale, texts, approved, media, .. } = source;
    let draft = Draft { channel_type: Some(*channel_type), default_locale: Some(default_locale), texts, approved };
    let mut found = Vec::new();
    let approved = ready(draft, &mut found);
    let mut add = |key: String, fault: SourceFault| {
        let place = CompilePlace::Manifest { key };
        problems.push(CompileProblem { place, fault: CompileFault::Manifest(fault) });
    };
    found.into_iter().for_each(|problem| add(problem.key.unwrap_or_default(), problem.fault));
    media_faults(media).into_iter().for_each(|words| add(MEDIA.to_owned(), SourceFault::BadValue(words)));
    approved
}

/// A text in the making: it stops growing at [`MAX_CHARACTERS`], whatever is written to it.
struct Output<'a> {
    text: String,
    characters: usize,
    formats: &'a Formats,
}

impl<'a> Output<'a> {
    fn new(formats: &'a Formats) -> Self {
        Self { text: String::with_capacity(320), characters: 0, formats }
    }

    /// The text, if it can be sent.
    fn finish(self) -> Result<String, RenderProblem> {
        if self.characters > MAX_CHARACTERS {
            return Err(RenderProblem::TooLong { characters: self.characters });
        }
        if self.text.trim_start().is_empty() {
            return Err(RenderProblem::Empty);
        }
        Ok(self.text)
    }

    /// Walks the pieces: there are no loops in them, so this ends.
    fn write(&mut self, pieces: &[Piece], slugs: &Slugs) -> Result<(), RenderProblem> {
        for piece in pieces {
            if self.characters > COUNTED {
                break;
            }
            match piece {
                Piece::Literal { text, characters } => self.push(text, *characters),
                Piece::Slug(slug) => match slug.value(slugs) {
                    Some(value) => self.push_value(value),
                    None => return Err(slug.missing()),
                },
                Piece::Helper(helper) => {
                    self.push_value(&helper.write(slugs, self.formats)?);
                }
                Piece::If { slug, then, otherwise } => {
                    self.write(if slug.is_true(slugs) { then } else { otherwise }, slugs)?;
                }
            }
        }
        Ok(())
    }

    /// Somebody else's text may be of any length: it is counted as far as that matters.
    fn push_value(&mut self, text: &str) {
        self.push(text, text.chars().take(COUNTED).count());
    }

    fn push(&mut self, text: &str, characters: usize) {
        self.characters = self.characters.saturating_add(characters);
        if self.characters <= MAX_CHARACTERS {
            self.text.push_str(text);
        }
    }
}

/// The slugs without which these pieces cannot be written, however the conditions fall.
fn required(pieces: &[Piece]) -> BTreeSet<String> {
    let of = |slug: &Slug| BTreeSet::from([slug.folded.clone()]);
    let each = pieces.iter().map(|piece| match piece {
        Piece::Literal { .. } => BTreeSet::new(),
        Piece::Slug(slug) => of(slug),
        Piece::Helper(helper) => helper.required().flat_map(of).collect(),
        Piece::If { then, otherwise, .. } => &required(then) & &required(otherwise),
    });
    each.flatten().collect()
}

/// Adds every slug, folded, with the author's first spelling.
pub(super) fn spell(pieces: &[Piece], spellings: &mut BTreeMap<String, String>) {
    let mut note = |slug: &Slug| {
        spellings.entry(slug.folded.clone()).or_insert_with(|| slug.written.clone());
    };
    for piece in pieces {
        match piece {
            Piece::Literal { .. } => {}
            Piece::Slug(slug) => note(slug),
            Piece::Helper(helper) => helper.slugs().for_each(&mut note),
            Piece::If { slug, .. } => note(slug),
        }
    }
    for piece in pieces {
        if let Piece::If { then, otherwise, .. } = piece {
            spell(then, spellings);
            spell(otherwise, spellings);
        }
    }
}

/// What the helpers among these pieces need to be at hand.
fn asks(pieces: &[Piece], asked: &mut Vec<Ask>) {
    for piece in pieces {
        match piece {
            Piece::Literal { .. } | Piece::Slug(_) => {}
            Piece::Helper(helper) => asked.extend(helper.asks()),
            Piece::If { then, otherwise, .. } => {
                asks(then, asked);
                asks(otherwise, asked);
            }
        }
    }
}

#[cfg(test)]
mod tests;
