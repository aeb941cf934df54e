//! The text that a contact would get, made at the door: so that what cannot be said is refused before anything is sent.

use super::csv::{RowProblem, RowProblemKind};
use crate::{
    domain::{
        contact::Contact,
        wishes::{SendAs, Wishes},
    },
    template::{MAX_CHARACTERS, RenderProblem, Rendered, Template},
};

/// The text that a contact would read: the approved one if there is one, unless the contact asks for free text. Whether free
/// text is allowed is known only when it is sent.
///
/// # Errors
/// Why there is none.
pub fn text_for(template: &Template, contact: &Contact) -> Result<Rendered, RenderProblem> {
    let locale = contact.locale.as_ref();
    if !template.has_approved() {
        return template.render(locale, &contact.slugs);
    }
    let wishes = Wishes::of(&contact.slugs).map_err(|problem| RenderProblem::Failed { why: problem.to_string() })?;
    if wishes.send_as == Some(SendAs::Text) {
        return template.render(locale, &contact.slugs);
    }
    let approved = template.render_approved(locale, &contact.slugs, Some(&wishes.parameters))?;
    Ok(Rendered { text: approved.text, locale: approved.locale })
}

/// The same as a problem of a file's row.
pub(super) fn of_row(line: u64, problem: RenderProblem) -> RowProblem {
    let (column, value, kind) = match problem {
        RenderProblem::MissingSlug { name } => (name, String::new(), RowProblemKind::MissingSlug),
        RenderProblem::TooLong { characters } => {
            (String::new(), String::new(), RowProblemKind::MessageTooLong { characters, limit: MAX_CHARACTERS })
        }
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
