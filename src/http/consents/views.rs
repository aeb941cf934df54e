//! How consents, and what was taken in of a file of them, are shown to programs.

use serde::Serialize;
use utoipa::ToSchema;

use super::{PAGE, channel_types};
use crate::{
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, OrgId},
        phone::E164,
        time::Timestamp,
    },
    http::query,
    intake::{consents::ImportedConsents, csv::RowProblem},
    store::{
        Store, StoreError,
        consents::{Consent, StoredConsent},
    },
};

/// What holds for a number on a channel type, and who said so.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConsentView {
    number: E164,
    channel: ChannelType,
    #[schema(value_type = Consent)]
    state: &'static str,
    /// By which way it was said; null: nobody has said anything.
    source: Option<String>,
    /// Who said so.
    actor: Option<String>,
    changed_at: Option<Timestamp>,
}

/// One person's consent with a page of its history.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PersonView {
    number: E164,
    /// One for each channel type.
    consents: Vec<ConsentView>,
    /// The newest first.
    history: Vec<ChangeView>,
    /// The next page's `after`; null: this is the last page.
    next: Option<ConsentChangeId>,
}

/// A change of consent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangeView {
    id: Option<ConsentChangeId>,
    #[serde(flatten)]
    consent: ConsentView,
}

/// What was taken in of a file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ImportView {
    rows: u64,
    valid: u64,
    invalid: u64,
    /// How many consents are not what they were.
    changed: usize,
    /// Columns that mean nothing here.
    ignored_columns: Vec<String>,
    /// The problems as an instruction.
    summary: String,
    /// The first thousand.
    problems: Vec<RowProblemView>,
}

/// What is wrong with one row of a file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RowProblemView {
    /// The line on which the row begins; the header is line 1.
    line: u64,
    /// The column as its header is written; empty: the row as a whole is meant.
    column: String,
    /// What stands in the cell, cut to what can be shown.
    value: String,
    /// What is wrong, for programs.
    code: String,
    /// What is wrong, for people.
    detail: String,
}

impl RowProblemView {
    /// As programs see it.
    pub fn of(problem: &RowProblem) -> Self {
        Self {
            line: problem.line,
            column: problem.column.clone(),
            value: problem.value.clone(),
            code: problem.kind.code().to_owned(),
            detail: problem.to_string(),
        }
    }
}

/// What was taken in of a file: the same in the API and on the command line.
pub fn imported(imported: &ImportedConsents) -> ImportView {
    let ImportedConsents { checked, changed } = imported;
    ImportView {
        rows: checked.rows,
        valid: checked.valid,
        invalid: checked.invalid,
        changed: *changed,
        ignored_columns: checked.ignored.clone(),
        summary: checked.summary.to_string(),
        problems: checked.problems.iter().map(RowProblemView::of).collect(),
    }
}

/// One person's consent with its history: the same in the API and on the command line.
pub async fn of_person(
    store: &Store,
    org: &OrgId,
    person: E164,
    after: Option<ConsentChangeId>,
) -> Result<PersonView, StoreError> {
    let stored = store.consent_of(org, person).await?;
    let current = |channel_type: ChannelType| {
        let known = stored.iter().find(|one| one.channel_type == channel_type);
        known.map_or_else(|| nothing_said(person, channel_type), consent)
    };
    let history = store.consent_history(org, person, after, PAGE).await?;
    Ok(PersonView {
        number: person,
        consents: channel_types(None).into_iter().map(current).collect(),
        next: query::next(&history, PAGE, |last| last.id).flatten(),
        history: history.iter().map(|change| ChangeView { id: change.id, consent: consent(change) }).collect(),
    })
}

fn nothing_said(number: E164, channel: ChannelType) -> ConsentView {
    let state = Consent::Unknown.name();
    ConsentView { number, channel, state, source: None, actor: None, changed_at: None }
}

pub(super) fn consent(stored: &StoredConsent) -> ConsentView {
    ConsentView {
        number: stored.of,
        channel: stored.channel_type,
        state: stored.consent.name(),
        source: Some(stored.source.clone()),
        actor: Some(stored.actor.clone()),
        changed_at: Some(stored.changed_at),
    }
}
