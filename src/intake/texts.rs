//! The text that a contact would get, made at the door: so that what cannot be said is refused before anything is sent.

use super::{
    csv::{RowProblem, RowProblemKind},
    payload::{Refused, pointed},
};
use crate::{
    domain::{contact::Contact, definition::SmartEncoding},
    template::{MAX_CHARACTERS, RenderProblem, Rendered, Template},
};

/// The text that a contact would read: [`Template::text_for`], through a channel of this kind.
///
/// # Errors
/// Why there is none.
pub fn text_for(
    template: &Template,
    contact: &Contact,
    smart_encoding: SmartEncoding,
) -> Result<Rendered, RenderProblem> {
    template.text_for(contact.locale.as_ref(), &contact.slugs, smart_encoding)
}

/// The same as a problem of a file's row.
pub(super) fn of_row(line: u64, problem: RenderProblem) -> RowProblem {
    let (column, value, kind) = match problem {
        RenderProblem::MissingSlug { name } => (name, String::new(), RowProblemKind::MissingSlug),
        RenderProblem::TooLong { characters } => {
            (String::new(), String::new(), RowProblemKind::MessageTooLong { characters, limit: MAX_CHARACTERS })
        }
        RenderProblem::InvalidValue { name, value, kind } => (name, value, RowProblemKind::InvalidValue(kind)),
        RenderProblem::Empty => (String::new(), String::new(), RowProblemKind::EmptyMessage),
        RenderProblem::BadVariable { name, fault } => {
            (String::new(), format!("variable {name}"), RowProblemKind::InvalidVariable(fault))
        }
        RenderProblem::NotApproved | RenderProblem::Failed { .. } => {
            (String::new(), problem.to_string(), RowProblemKind::TemplateFailed)
        }
    };
    RowProblem::new(line, &column, &value, kind)
}

/// The same as the refusal of a contact; a slug that is missing is looked for among its context items.
pub(super) fn of_contact(problem: &RenderProblem) -> Refused {
    let items = "/contextitems";
    match problem {
        RenderProblem::MissingSlug { name } => {
            let field = format!("{items}/{}", pointed(name));
            Refused::new("missing_slug", field, "is missing or blank; the template needs a value here")
        }
        RenderProblem::InvalidValue { name, kind, .. } => {
            let message = format!("is not {}; expected {}", kind.name(), kind.expected());
            Refused::new("invalid_value", format!("{items}/{}", pointed(name)), message)
        }
        RenderProblem::TooLong { characters } => {
            let message = format!("makes a text of {characters} characters; at most {MAX_CHARACTERS} are allowed");
            Refused::new("message_too_long", items, message)
        }
        RenderProblem::InvalidValue { name, kind, .. } => {
            let message = format!("is not {}; expected {}", kind.name(), kind.expected());
            Refused::new("invalid_value", format!("{items}/{}", pointed(name)), message)
        }
        RenderProblem::Empty => Refused::new("empty_message", items, "makes an empty text"),
        RenderProblem::BadVariable { .. } => Refused::new("invalid_variable", items, problem.to_string()),
        RenderProblem::NotApproved | RenderProblem::Failed { .. } => {
            Refused::new("template_failed", items, problem.to_string())
        }
    }
}
