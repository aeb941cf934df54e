//! What can be wrong with a text, in words: when it is compiled (the author is told, with the place), and when it is
//! rendered (the message ends, with the reason).

use crate::domain::{
    locale::Locale,
    reason::{Reason, Why},
};

/// What is wrong with a template's text, and where.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{locale}, line {line}, column {column}: {fault}")]
pub struct CompileProblem {
    /// The text that has it.
    pub locale: Locale,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub fault: CompileFault,
}

/// What can be wrong with a text.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CompileFault {
    /// The default locale has no text.
    #[error("this is the default locale and has no text; expected one")]
    NoDefaultText,
    /// It cannot be read as Handlebars.
    #[error("this is not Handlebars: {0}")]
    Syntax(String),
    /// More of something than any message needs; it guards the parser.
    #[error("too many {what}: expected at most {limit} in one text")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A helper that does not exist here.
    #[error("there is no helper \"{name}\"{}; expected {ALLOWED}", hint(name))]
    UnknownHelper {
        /// As written.
        name: String,
    },
    /// A block that does not exist here.
    #[error("there is no block \"#{name}\"; expected {ALLOWED}")]
    UnknownBlock {
        /// As written, without the #.
        name: String,
    },
    /// A construct of Handlebars that is not for messages.
    #[error("{what} are not for messages; expected {ALLOWED}")]
    NotForMessages {
        /// The construct, in the plural.
        what: &'static str,
    },
    /// Something other than one plain name.
    #[error("\"{written}\" is not a slug: expected one plain name, without dots, slashes, @ or \"this\"")]
    NotASlug {
        /// As written.
        written: String,
    },
    /// A helper that is used otherwise than it can be.
    #[error("expected {expected}")]
    Misused {
        /// The right way to write it.
        expected: &'static str,
    },
}

/// What an author may write, for messages.
pub(super) const ALLOWED: &str =
    "{{Slug}}, {{#if Slug}}…{{else}}…{{/if}}, {{#unless Slug}}…{{/unless}} or {{default Slug \"text\"}}";

/// What the author may have meant: `{{If A}}`, `{{if A}}`, `{{Customer Name}}`.
fn hint(name: &str) -> String {
    let meant = ["if", "unless", "default"].into_iter().find(|known| known.eq_ignore_ascii_case(name));
    match meant {
        Some("default") => " (it is written small)".to_owned(),
        Some(block) => format!(" (it is a block: {{{{#{block} Slug}}}})"),
        None if HELPERS.contains(&name) => String::new(),
        None => " (a slug with blanks in its name is written in brackets: {{[Slug Name]}})".to_owned(),
    }
}

/// Names that Handlebars takes for its helpers even without parameters, so they cannot be slugs.
pub(super) const HELPERS: [&str; 8] = ["if", "unless", "default", "each", "with", "lookup", "log", "raw"];

/// Why a text could not be made for one contact.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RenderProblem {
    /// The text needs a value that the contact does not have, or has blank.
    #[error("the contact has no value for {name}")]
    MissingSlug {
        /// The slug, as the template's author writes it.
        name: String,
    },
    /// The text is longer than [`MAX_CHARACTERS`](super::MAX_CHARACTERS).
    #[error("the text has {characters} characters; expected at most {}", super::MAX_CHARACTERS)]
    TooLong {
        /// Its length; for one that is absurdly long, a number that it is at least.
        characters: usize,
    },
    /// Nothing is left to send.
    #[error("the text is empty")]
    Empty,
    /// A helper cannot do its work with this contact's value.
    #[error("{why}")]
    Failed {
        /// In words.
        why: String,
    },
}

impl From<RenderProblem> for Why {
    fn from(problem: RenderProblem) -> Self {
        match problem {
            RenderProblem::MissingSlug { name } => Self::detailed(Reason::MissingSlug, name),
            RenderProblem::TooLong { characters } => {
                Self::detailed(Reason::MessageTooLong, format!("{characters} characters"))
            }
            RenderProblem::Empty => Self::plain(Reason::EmptyMessage),
            RenderProblem::Failed { why } => Self::detailed(Reason::TemplateFailed, why),
        }
    }
}
