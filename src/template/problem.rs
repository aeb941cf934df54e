//! What can be wrong with a text, in words: when it is compiled (the author is told, with the place), and when it is
//! rendered (the message ends, with the reason).

use std::fmt;

use super::{source::SourceFault, values::ValueKind};
use crate::domain::{
    locale::Locale,
    reason::{Reason, Why},
};

/// What is wrong with a template, and where.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{place}: {fault}")]
pub struct CompileProblem {
    /// Where.
    pub place: CompilePlace,
    /// What is wrong.
    pub fault: CompileFault,
}

/// A place in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompilePlace {
    /// In a text.
    Text {
        /// The text.
        locale: Locale,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// In the manifest.
    Manifest {
        /// The key, like `approved.en.text`.
        key: String,
    },
}

impl fmt::Display for CompilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { locale, line, column } => write!(f, "{locale}, line {line}, column {column}"),
            Self::Manifest { key } => f.write_str(key),
        }
    }
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
    /// A helper is given an argument that it does not have.
    #[error("{helper} takes no {name}; expected {expected}")]
    UnknownArgument {
        /// The helper.
        helper: &'static str,
        /// The argument, as written.
        name: String,
        /// The right way to write it.
        expected: &'static str,
    },
    /// A helper is given an argument that it cannot use.
    #[error("{name}={given} cannot be used; expected {expected}")]
    BadArgument {
        /// The argument.
        name: &'static str,
        /// As written.
        given: String,
        /// What it may be.
        expected: &'static str,
    },
    /// What the manifest says beside the texts.
    #[error("{0}")]
    Manifest(SourceFault),
}

/// What an author may write, for messages.
pub(super) const ALLOWED: &str = "{{Slug}}, {{#if Slug}}…{{else}}…{{/if}}, {{#unless Slug}}…{{/unless}}, \
     {{default Slug \"text\"}}, or one of date, time, datetime, number and money, as in {{date Slug}}";

/// What the author may have meant: `{{If A}}`, `{{if A}}`, `{{Customer Name}}`.
fn hint(name: &str) -> String {
    let known = ["if", "unless", "default", "date", "time", "datetime", "number", "money"];
    match known.into_iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some("default" | "date" | "time" | "datetime" | "number" | "money") => " (it is written small)".to_owned(),
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
    /// A helper wants something else than the contact's value is.
    #[error("{name} is not {}; expected {}", kind.name(), kind.expected())]
    InvalidValue {
        /// The slug, as the template's author writes it.
        name: String,
        /// Its value, or the beginning of it. No part of the sentence, which is kept and logged.
        value: String,
        /// What was wanted.
        kind: ValueKind,
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
    /// Approved content was asked for, and the template has none.
    #[error("the template has no approved content")]
    NotApproved,
    /// The provider would not take this value of a variable of approved content.
    #[error("variable {name} {fault}")]
    BadVariable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A helper cannot do its work with this contact's value, or a variable was given that there is not.
    #[error("{why}")]
    Failed {
        /// In words.
        why: String,
    },
}

impl From<RenderProblem> for Why {
    fn from(problem: RenderProblem) -> Self {
        let words = problem.to_string();
        match problem {
            RenderProblem::MissingSlug { name } => Self::detailed(Reason::MissingSlug, name),
            RenderProblem::TooLong { characters } => {
                Self::detailed(Reason::MessageTooLong, format!("{characters} characters"))
            }
            RenderProblem::Empty => Self::plain(Reason::EmptyMessage),
            RenderProblem::InvalidValue { .. } => Self::detailed(Reason::InvalidValue, words),
            RenderProblem::NotApproved => Self::detailed(Reason::InvalidTemplate, words),
            RenderProblem::BadVariable { .. } | RenderProblem::Failed { .. } => {
                Self::detailed(Reason::TemplateFailed, words)
            }
        }
    }
}
