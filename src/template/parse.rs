//! From a text to the small form that is rendered: literals, slugs, helpers, conditions. Whatever an author may not use
//! is refused here, all of it at once. Nothing is rendered here.
//!
//! Handlebars' own parser reads the text, so escapes, comments, whitespace control and lines that hold only a block are
//! Handlebars' to the letter (a property in `compiled` compares the two). What it has read is then narrowed to the four
//! pieces below instead of being rendered by Handlebars, because its renderer wants JSON and names in one case, reports a
//! missing value as prose, and cannot be stopped at a length; a walk over four pieces needs none of that and is faster.

use handlebars::{
    Path, PathSeg, Template as Ast,
    template::{HelperTemplate, Parameter, TemplateElement},
};

use super::{
    compiled::MAX_CHARACTERS,
    helpers::Helper,
    limits::{self, Place},
    problem::{CompileFault, HELPERS, RenderProblem},
};
use crate::domain::contact::{Slugs, fold};

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// What is always there.
    Literal {
        /// The text.
        text: String,
        /// Its length.
        characters: usize,
    },
    /// A slug's value; without one there is no text.
    Slug(Slug),
    /// What a helper makes.
    Helper(Helper),
    /// `{{#if}}`; `{{#unless}}` is the same with its branches exchanged.
    If {
        /// The slug that decides.
        slug: Slug,
        /// For a contact that has it.
        then: Vec<Piece>,
        /// For one that has not.
        otherwise: Vec<Piece>,
    },
}

/// A slug's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slug {
    /// As the author writes it, for messages.
    pub(super) written: String,
    /// As it is looked up.
    pub(super) folded: String,
}

impl Slug {
    /// The contact's value, if there is one to be seen: blanks are none.
    ///
    /// Nobody reads on in a value that begins with more blanks than a message may have characters.
    pub(super) fn value<'a>(&self, slugs: &'a Slugs) -> Option<&'a str> {
        slugs.get(&self.folded).filter(|value| value.chars().take(MAX_CHARACTERS).any(|c| !c.is_whitespace()))
    }

    /// What is said of a contact that has no value for it.
    pub(super) fn missing(&self) -> RenderProblem {
        RenderProblem::MissingSlug { name: self.written.clone() }
    }

    /// Whether `{{#if}}` takes the contact's value for true. JSON's `false` and `0` come as texts, so these are false.
    pub(super) fn is_true(&self, slugs: &Slugs) -> bool {
        self.value(slugs).map(str::trim).is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }
}

/// Reads a text, or says everything that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, Vec<(Place, CompileFault)>> {
    limits::check(text).map_err(|problem| vec![problem])?;
    let ast = Ast::compile(text).map_err(|error| vec![limits::diagnose(text, error.pos().unwrap_or((1, 1)))])?;
    let mut reader = Reader { problems: Vec::new() };
    let pieces = reader.pieces(&ast, (1, 1));
    // A block is judged after what stands in it; an author reads from top to bottom.
    reader.problems.sort_by_key(|(place, _)| *place);
    if reader.problems.is_empty() { Ok(pieces) } else { Err(reader.problems) }
}

/// Checks that a path is one plain name.
pub(super) fn slug(path: &Path) -> Result<Slug, CompileFault> {
    let (segments, raw) = match path {
        Path::Relative((segments, raw)) => (segments.as_slice(), raw),
        Path::Local((_, _, raw)) => (&[][..], raw),
    };
    let name = match segments {
        [PathSeg::Named(name)]
            if raw == name || raw.strip_prefix('[').and_then(|r| r.strip_suffix(']')) == Some(name) =>
        {
            name
        }
        _ => return Err(CompileFault::NotASlug { written: raw.clone() }),
    };
    let folded = fold(name);
    if folded.is_empty() {
        return Err(CompileFault::NotASlug { written: raw.clone() });
    }
    Ok(Slug { written: name.trim().to_owned(), folded })
}

struct Reader {
    problems: Vec<(Place, CompileFault)>,
}

impl Reader {
    /// `near` serves for pieces whose place the parser does not keep (`{{else if}}`).
    fn pieces(&mut self, template: &Ast, near: Place) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (index, element) in template.elements.iter().enumerate() {
            let at = template.mapping.get(index).map_or(near, |place| (place.0, place.1));
            let read = match element {
                TemplateElement::RawString(text) => {
                    Ok(Piece::Literal { text: text.clone(), characters: text.chars().count() })
                }
                TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => expression(call),
                TemplateElement::HelperBlock(block) => self.block(block, at),
                TemplateElement::Comment(_) => continue,
                TemplateElement::PartialExpression(_) | TemplateElement::PartialBlock(_) => {
                    Err(CompileFault::NotForMessages { what: "partials" })
                }
                TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                    Err(CompileFault::NotForMessages { what: "decorators" })
                }
                _ => Err(CompileFault::NotForMessages { what: "such constructs" }),
            };
            match read {
                Ok(piece) => pieces.push(piece),
                Err(fault) => self.problems.push((at, fault)),
            }
        }
        pieces
    }

    fn block(&mut self, block: &HelperTemplate, at: Place) -> Result<Piece, CompileFault> {
        let mut branch = |template: &Option<Ast>| template.as_ref().map_or_else(Vec::new, |t| self.pieces(t, at));
        // Both branches are read first, so that their problems are told too.
        let (filled, empty) = (branch(&block.template), branch(&block.inverse));
        let (then, otherwise, expected) = match block.name.as_name().unwrap_or_default() {
            "if" => (filled, empty, "{{#if Slug}}: one slug and nothing else"),
            "unless" => (empty, filled, "{{#unless Slug}}: one slug and nothing else"),
            name => return Err(CompileFault::UnknownBlock { name: name.to_owned() }),
        };
        match block.params.as_slice() {
            [Parameter::Path(path)] if block.hash.is_empty() && block.block_param.is_none() => {
                Ok(Piece::If { slug: slug(path)?, then, otherwise })
            }
            _ => Err(CompileFault::Misused { expected }),
        }
    }
}

fn expression(call: &HelperTemplate) -> Result<Piece, CompileFault> {
    match &call.name {
        Parameter::Path(path) => {
            let slug = slug(path)?;
            if HELPERS.contains(&slug.written.as_str()) {
                return Ok(Piece::Helper(Helper::read(&slug.written, call)?));
            }
            // A slug may be called as a helper is: {{date}} alone is the slug of that name.
            Ok(Piece::Slug(slug))
        }
        Parameter::Name(name) => Ok(Piece::Helper(Helper::read(name, call)?)),
        Parameter::Literal(_) | Parameter::Subexpression(_) => {
            Err(CompileFault::NotForMessages { what: "calls in round brackets" })
        }
        _ => Err(CompileFault::NotForMessages { what: "such constructs" }),
    }
}
