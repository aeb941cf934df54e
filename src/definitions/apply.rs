//! From a set to the store: all definitions in one transaction, or nothing; then what follows from them. Applying the same
//! set again changes nothing.

use std::collections::BTreeMap;

use super::{
    made::Made,
    plan::{self, Plan},
    problem::{Notice, Problems},
    set::DefinitionSet,
    stored::Stored,
};
use crate::{
    domain::time::Timestamp,
    store::{
        Store, StoreError,
        definitions::{Change, InTheWay, Kind},
    },
};

/// How often a change is worked out anew because somebody else was quicker.
pub(super) const TRIES: usize = 5;

/// What becomes of what is stored and not in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It stays as it is.
    Stays,
    /// It goes.
    Goes,
}

/// What an apply did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What became of the organization itself.
    pub organization: Change,
    /// What became of each definition of the set, by kind and name.
    pub changes: Vec<(Kind, String, Change)>,
    /// What was stored and not in the set, and went.
    pub removed: Vec<(Kind, String)>,
    /// What was stored and not in the set, and stays.
    pub kept: Vec<(Kind, String)>,
    /// The tokens of the accounts' callback URLs, by account. A dry run knows only those that exist.
    pub callback_tokens: BTreeMap<String, String>,
    /// The tokens of the hooks' URLs, by hook. A dry run knows only those that exist.
    pub hook_tokens: BTreeMap<String, String>,
    /// What is worth knowing.
    pub notices: Vec<Notice>,
}

impl Applied {
    /// Whether nothing is or would be changed.
    pub fn is_unchanged(&self) -> bool {
        let same = self.changes.iter().all(|(_, _, change)| *change == Change::Unchanged);
        self.organization == Change::Unchanged && same && self.removed.is_empty()
    }
}

/// Why a set was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A list's file is not good, or has changed while it was read; or what is stored and stays would not fit any more.
    #[error("{0}")]
    Problems(Problems),
    /// What was to go is needed by runs that are not over.
    #[error("{}", needed(.0))]
    Needed(Vec<InTheWay>),
    /// Others change the definitions all the time.
    #[error("the definitions were changed by others while they were looked at, {TRIES} times over; try again")]
    Contended,
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
    /// A definition cannot be written as JSON: a path that is not UTF-8.
    #[error("a definition cannot be stored")]
    Body(#[from] serde_json::Error),
    /// A definition cannot be written as TOML.
    #[error("a definition cannot be written down")]
    Text(#[from] toml::ser::Error),
    /// The machine has no randomness for tokens.
    #[error("no unguessable token could be made")]
    Random(#[from] getrandom::Error),
    /// The thread that read a list has gone.
    #[error("reading a list was broken off")]
    Reader(#[from] tokio::task::JoinError),
}

/// What keeps definitions from being removed, a line each.
fn needed(runs: &[InTheWay]) -> String {
    let line = |it: &InTheWay| {
        let (kind, name) = &it.needs;
        format!(
            "{} \"{name}\" is needed by {} of \"{}\", which is not over; wait for its end, or cancel it",
            kind.as_str(),
            it.run,
            it.configuration
        )
    };
    runs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Says what [`apply`] would do, and writes nothing.
///
/// # Errors
/// As [`apply`].
pub async fn plan_apply(store: &Store, set: &DefinitionSet, now: Timestamp) -> Result<Applied, ApplyError> {
    plan_apply_and(store, set, Rest::Stays, now).await
}

/// Says what [`apply_and`] would do, and writes nothing. Whether runs still need what is to go is found out when it goes.
///
/// # Errors
/// As [`apply_and`].
pub async fn plan_apply_and(
    store: &Store,
    set: &DefinitionSet,
    rest: Rest,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    Ok(planned(store, set, rest).await?.shown(store, now).await?)
}

/// Applies a set. What is stored and not in the set stays as it is. `random` makes the second halves of new ids.
///
/// # Errors
/// [`ApplyError`]; no definition is changed then, though new tokens and entries of lists that nobody reads may remain.
pub async fn apply(
    store: &Store,
    set: &DefinitionSet,
    now: Timestamp,
    random: impl FnMut() -> u128,
) -> Result<Applied, ApplyError> {
    apply_and(store, set, Rest::Stays, now, random).await
}

/// Applies a set, and says what becomes of what is stored and not in it.
///
/// # Errors
/// As [`apply`].
pub async fn apply_and(
    store: &Store,
    set: &DefinitionSet,
    rest: Rest,
    now: Timestamp,
    mut random: impl FnMut() -> u128,
) -> Result<Applied, ApplyError> {
    for _ in 0..TRIES {
        let plan = planned(store, set, rest).await?;
        if let Some(applied) = plan.save(store, now, &mut random).await? {
            return Ok(applied);
        }
    }
    Err(ApplyError::Contended)
}

async fn planned(store: &Store, set: &DefinitionSet, rest: Rest) -> Result<Plan, ApplyError> {
    let seen = Stored::read(store, &set.organization.id).await?;
    let others = seen.without(|kind, name| set.has(kind, name) && !set.has_taken_over(kind, name));
    let names = others.definitions.iter().map(|one| (one.kind, one.name.clone()));
    let (beside, removed) = match rest {
        Rest::Stays => (others.clone(), Vec::new()),
        Rest::Goes => (Stored { definitions: Vec::new(), ..others.clone() }, names.collect()),
    };
    // What the set has taken over may have changed since, and what is beside it may stand on what it changes.
    let alone = beside.definitions.is_empty() && set.taken_over.names.is_empty();
    let fresh = rest == Rest::Stays && seen.revision.is_some() && set.taken_over.revision == seen.revision;
    let whole = match alone || fresh {
        true => set.clone(),
        false => plan::read_made(Made::of(set)?, Stored { organization: None, ..beside }).await?,
    };
    Plan::of(store, seen, whole, removed).await
}
