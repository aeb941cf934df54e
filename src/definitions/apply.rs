//! From a set to the store: all definitions in one transaction, or nothing; then what follows from them. Applying the same
//! set again changes nothing.

use std::collections::BTreeMap;

use super::{
    firings::{self, Firings},
    lists::ListPlan,
    notices,
    problem::{Notice, Problems},
    rules,
    set::DefinitionSet,
    token,
};
use crate::{
    domain::{
        definition::{Configuration, List, Trigger},
        id::{AccountId, ChannelId, ConfigurationId, EndpointId, HookId, ListId, OrgId, TemplateId},
        time::{Span, Timestamp},
    },
    store::{
        Store, StoreError,
        access::TokenKind,
        definitions::{Change, Definition, Kind, NewDefinition},
    },
};

/// What an apply did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What became of the organization itself.
    pub organization: Change,
    /// What became of each definition, by kind and name.
    pub changes: Vec<(Kind, String, Change)>,
    /// The tokens of the accounts' callback URLs, by account. A dry run knows only those that exist.
    pub callback_tokens: BTreeMap<String, String>,
    /// The tokens of the hooks' URLs, by hook. A dry run knows only those that exist.
    pub hook_tokens: BTreeMap<String, String>,
    /// When its schedules fire next.
    pub firings: Vec<Firings>,
    /// What is worth knowing.
    pub notices: Vec<Notice>,
}

impl Applied {
    /// Whether nothing is or would be changed.
    pub fn is_unchanged(&self) -> bool {
        self.organization == Change::Unchanged && self.changes.iter().all(|(_, _, change)| *change == Change::Unchanged)
    }
}

/// Why a set was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A list's file is not good, or has changed while it was read.
    #[error("{0}")]
    Problems(Problems),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
    /// A definition cannot be written as JSON: a path that is not UTF-8.
    #[error("a definition cannot be stored")]
    Body(#[from] serde_json::Error),
    /// The machine has no randomness for tokens.
    #[error("no unguessable token could be made")]
    Random(#[from] getrandom::Error),
    /// The thread that read a list has gone.
    #[error("reading a list was broken off")]
    Reader(#[from] tokio::task::JoinError),
}

/// Says what [`apply`] would do, and writes nothing.
///
/// # Errors
/// As [`apply`].
pub async fn plan_apply(store: &Store, set: &DefinitionSet, now: Timestamp) -> Result<Applied, ApplyError> {
    let org = &set.organization.id;
    let stored = store.definitions(org).await?;
    let lists = plan_lists(set, &stored).await?;
    let organization = match store.organization(org).await? {
        None => Change::Created,
        Some((before, _)) if before == set.organization => Change::Unchanged,
        Some(_) => Change::Changed,
    };
    let changes = bodies(set, &lists)?.into_iter().map(|(kind, name, body)| {
        let change = match stored.iter().find(|old| old.kind == kind && old.name == name) {
            None => Change::Created,
            Some(old) if old.body == body => Change::Unchanged,
            Some(_) => Change::Changed,
        };
        (kind, name, change)
    });
    let firings = firings::of(set, &said(store, set, &stored).await?, now);
    Ok(Applied {
        organization,
        changes: changes.collect(),
        callback_tokens: tokens(store, org, TokenKind::Account, set.accounts.keys()).await?,
        hook_tokens: tokens(store, org, TokenKind::Hook, set.hooks.keys()).await?,
        notices: notices::of(set, &firings),
        firings,
    })
}

/// Applies a set. What is stored and not in the set stays as it is. `random` makes the second halves of new ids.
///
/// # Errors
/// [`ApplyError`]; no definition is changed then, though new tokens and entries of lists that nobody reads may remain.
pub async fn apply(
    store: &Store,
    set: &DefinitionSet,
    now: Timestamp,
    mut random: impl FnMut() -> u128,
) -> Result<Applied, ApplyError> {
    let org = &set.organization.id;
    let stored = store.definitions(org).await?;
    let mut lists = plan_lists(set, &stored).await?;
    let new: Vec<NewDefinition> = bodies(set, &lists)?
        .into_iter()
        .map(|(kind, name, body)| NewDefinition { kind, fresh_id: fresh_id(kind, now, random()), name, body })
        .collect();
    // Tokens and entries come first: whoever sees the new revision finds them there.
    for name in set.accounts.keys() {
        ensure_token(store, org, TokenKind::Account, name).await?;
    }
    for name in set.hooks.keys() {
        ensure_token(store, org, TokenKind::Hook, name).await?;
    }
    let imported: Vec<(String, i64)> =
        lists.iter().filter(|plan| plan.import.is_some()).map(|plan| (plan.name.clone(), plan.list.version)).collect();
    for plan in &mut lists {
        plan.import(store, org).await?;
    }
    let (organization, changes) = store.save_definitions(&set.organization, &new, now).await?;
    for (name, version) in imported {
        store.keep_list_versions(org, &name, version).await?;
    }
    let changes: Vec<(Kind, String, Change)> =
        new.into_iter().zip(changes).map(|(new, change)| (new.kind, new.name, change)).collect();
    set_schedules(store, set, now, organization, &changes).await?;
    let firings = firings::of(set, &said(store, set, &store.definitions(org).await?).await?, now);
    Ok(Applied {
        organization,
        changes,
        callback_tokens: tokens(store, org, TokenKind::Account, set.accounts.keys()).await?,
        hook_tokens: tokens(store, org, TokenKind::Hook, set.hooks.keys()).await?,
        notices: notices::of(set, &firings),
        firings,
    })
}

async fn plan_lists(set: &DefinitionSet, stored: &[Definition]) -> Result<Vec<ListPlan>, ApplyError> {
    let mut plans = Vec::with_capacity(set.lists.len());
    for (name, place) in &set.lists {
        let old = stored.iter().find(|old| old.kind == Kind::List && old.name == *name);
        let old: Option<List> = old.map(|old| serde_json::from_str(&old.body)).transpose()?;
        plans.push(ListPlan::make(name, place, set.list_needs(name), old).await?);
    }
    Ok(plans)
}

/// Every definition as it is stored: kind, name and canonical JSON.
fn bodies(set: &DefinitionSet, lists: &[ListPlan]) -> Result<Vec<(Kind, String, String)>, serde_json::Error> {
    let mut all = Vec::new();
    for (name, account) in &set.accounts {
        all.push((Kind::Account, name.clone(), serde_json::to_string(account)?));
    }
    for (name, channel) in &set.channels {
        all.push((Kind::Channel, name.clone(), serde_json::to_string(channel)?));
    }
    for (name, template) in &set.templates {
        all.push((Kind::Template, name.clone(), serde_json::to_string(template)?));
    }
    for (name, configuration) in &set.configurations {
        all.push((Kind::Configuration, name.clone(), serde_json::to_string(configuration)?));
    }
    for (name, hook) in &set.hooks {
        all.push((Kind::Hook, name.clone(), serde_json::to_string(hook)?));
    }
    for (name, endpoint) in &set.endpoints {
        all.push((Kind::Endpoint, name.clone(), serde_json::to_string(endpoint)?));
    }
    for plan in lists {
        all.push((Kind::List, plan.name.clone(), serde_json::to_string(&plan.list)?));
    }
    Ok(all)
}

fn fresh_id(kind: Kind, now: Timestamp, random: u128) -> String {
    match kind {
        Kind::Account => AccountId::new(now, random).to_string(),
        Kind::Channel => ChannelId::new(now, random).to_string(),
        Kind::Template => TemplateId::new(now, random).to_string(),
        Kind::Configuration => ConfigurationId::new(now, random).to_string(),
        Kind::Hook => HookId::new(now, random).to_string(),
        Kind::Endpoint => EndpointId::new(now, random).to_string(),
        Kind::List => ListId::new(now, random).to_string(),
    }
}

async fn ensure_token(store: &Store, org: &OrgId, kind: TokenKind, name: &str) -> Result<(), ApplyError> {
    if !store.tokens(org, kind).await?.contains_key(name) {
        store.ensure_token(org, kind, name, &token::fresh(org)?).await?;
    }
    Ok(())
}

async fn tokens(
    store: &Store,
    org: &OrgId,
    kind: TokenKind,
    names: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, String>, StoreError> {
    let all = store.tokens(org, kind).await?;
    Ok(names.filter_map(|name| Some((name.clone(), all.get(name)?.clone()))).collect())
}

/// Says when each configuration fires next.
async fn set_schedules(
    store: &Store,
    set: &DefinitionSet,
    now: Timestamp,
    organization: Change,
    changes: &[(Kind, String, Change)],
) -> Result<(), ApplyError> {
    let org = &set.organization.id;
    let stored = store.definitions(org).await?;
    let known_to_say = store.said_after(org).await?;
    for (kind, name, change) in changes.iter().filter(|(kind, ..)| *kind == Kind::Configuration) {
        let found = stored.iter().find(|found| found.kind == *kind && found.name == *name);
        let (Some(found), Some(configuration)) = (found, set.configurations.get(name)) else { continue };
        let Ok(id) = found.id.parse::<ConfigurationId>() else { continue };
        let known = store.next_firing(org, id).await?;
        let said = match says_after(configuration) {
            Some(after) => Some(store.say_after(org, id, &after.to_string(), now).await?),
            None if known_to_say.contains_key(&id) => {
                store.unsay_after(org, id).await?;
                None
            }
            None => None,
        };
        let next = next_firing(set, configuration, said, now);
        // A time that is due and has not fired yet is the scheduler's, which judges it by the schedule as it is now.
        let due = known.is_some_and(|known| known <= now) && is_scheduled(configuration);
        let same =
            *change == Change::Unchanged && organization == Change::Unchanged && known.is_some() == next.is_some();
        if !due && !same && known != next {
            store.set_schedule(org, id, next).await?;
        }
    }
    Ok(())
}

/// Since when the configurations of a set that say "so long after" have said so, as far as they say the same as before; by name.
async fn said(
    store: &Store,
    set: &DefinitionSet,
    stored: &[Definition],
) -> Result<BTreeMap<String, Timestamp>, StoreError> {
    let known = store.said_after(&set.organization.id).await?;
    let since = |found: &Definition| {
        let (said, at) = known.get(&found.id.parse().ok()?)?;
        let after = says_after(set.configurations.get(&found.name)?)?;
        (after.to_string() == *said).then(|| (found.name.clone(), *at))
    };
    Ok(stored.iter().filter(|found| found.kind == Kind::Configuration).filter_map(since).collect())
}

/// How long after it is said an active configuration fires, if that is what it says.
fn says_after(configuration: &Configuration) -> Option<Span> {
    match &configuration.trigger {
        Trigger::Scheduled { after, .. } if configuration.active => *after,
        Trigger::Scheduled { .. } | Trigger::Automatic { .. } | Trigger::Instant {} => None,
    }
}

fn is_scheduled(configuration: &Configuration) -> bool {
    configuration.active && matches!(configuration.trigger, Trigger::Scheduled { .. })
}

fn next_firing(
    set: &DefinitionSet,
    configuration: &Configuration,
    said: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    if !configuration.active {
        return None;
    }
    rules::schedule(configuration, set.organization.timezone, said)?.ok()?.next_after(now)
}
