//! The helpers that an author may call: `{{default Slug "text"}}`.
//!
//! Helpers that format dates, numbers and money for the chosen locale belong here: a variant each in [`Helper`], read
//! from its call in [`Helper::read`], written in [`Helper::write`] (which would then be told the locale, and may say
//! [`RenderProblem::Failed`](super::RenderProblem::Failed)), and listed in [`ALLOWED`](super::problem::ALLOWED). A
//! helper that needs its slug says so in [`Helper::required`].

use std::borrow::Cow;

use handlebars::template::Parameter;
use serde_json::Value as Json;

use super::{
    parse::{Slug, slug},
    problem::CompileFault,
};
use crate::domain::contact::Slugs;

/// A call of a helper, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Helper {
    /// The slug's value, or a text for a contact that has none.
    Default {
        /// The slug.
        slug: Slug,
        /// The text in its place.
        otherwise: String,
    },
}

impl Helper {
    /// Reads a call.
    pub(super) fn read(name: &str, parameters: &[Parameter]) -> Result<Self, CompileFault> {
        let misused = CompileFault::Misused { expected: "{{default Slug \"text\"}}: one slug, then a text in quotes" };
        match (name, parameters) {
            ("default", [Parameter::Path(path), Parameter::Literal(otherwise)]) => {
                let otherwise = match otherwise {
                    Json::String(text) => text.clone(),
                    Json::Number(number) => number.to_string(),
                    Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return Err(misused),
                };
                Ok(Self::Default { slug: slug(path)?, otherwise })
            }
            ("default", _) => Err(misused),
            _ => Err(CompileFault::UnknownHelper { name: name.to_owned() }),
        }
    }

    /// What the call comes to for one contact.
    pub(super) fn write<'a>(&'a self, slugs: &'a Slugs) -> Cow<'a, str> {
        match self {
            Self::Default { slug, otherwise } => Cow::Borrowed(slug.value(slugs).unwrap_or(otherwise)),
        }
    }

    /// The slug that it reads.
    pub(super) fn slug(&self) -> &Slug {
        match self {
            Self::Default { slug, .. } => slug,
        }
    }

    /// The slug without which it cannot work.
    pub(super) fn required(&self) -> Option<&Slug> {
        match self {
            Self::Default { .. } => None,
        }
    }
}
