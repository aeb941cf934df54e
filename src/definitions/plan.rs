//! What is to be saved, worked out: everything as it will be, validated as a whole over what is stored; and saving it, unless
//! somebody else has changed something meanwhile.

use std::collections::BTreeMap;

use super::{
    apply::{Applied, ApplyError},
    firings,
    lists::{self, ListPlan},
    made::Made,
    notices,
    problem::{Problem, Problems},
    reader, rules,
    set::DefinitionSet,
    stored::Stored,
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
        definitions::{Base, Change, Definition, Firing, Kind, NewDefinition, Save, Saved},
    },
};

/// A change of an organization's definitions that is good.
pub(super) struct Plan {
    /// What was seen before it.
    pub seen: Stored,
    /// Everything as it will be.
    pub whole: DefinitionSet,
    /// What goes.
    pub removed: Vec<(Kind, String)>,
    lists: Vec<ListPlan>,
    bodies: Vec<(Kind, String, String)>,
}

impl Plan {
    /// Of what a reader made of the files over what is stored. What it did not take over is written.
    pub async fn of(
        store: &Store,
        seen: Stored,
        whole: DefinitionSet,
        removed: Vec<(Kind, String)>,
    ) -> Result<Self, ApplyError> {
        let problems = lists::no_longer_good(store, &seen, &whole).await?;
        if !problems.is_empty() {
            return Err(ApplyError::Problems(Problems(problems)));
        }
        let mut lists = Vec::new();
        for (name, place) in whole.lists.iter().filter(|(name, _)| !whole.has_taken_over(Kind::List, name)) {
            let old = seen.find(Kind::List, name);
            let old: Option<List> = old.map(|old| serde_json::from_str(&old.body)).transpose()?;
            lists.push(ListPlan::make(name, place, whole.list_needs(name), old).await?);
        }
        let mut bodies = bodies(&whole, &lists)?;
        bodies.retain(|(kind, name, _)| !whole.has_taken_over(*kind, name));
        Ok(Self { seen, whole, removed, lists, bodies })
    }

    /// What is stored and stays as it is.
    pub fn kept(&self) -> Vec<(Kind, String)> {
        self.whole.taken_over.names.iter().cloned().collect()
    }

    /// What would be done.
    pub async fn shown(self, store: &Store, now: Timestamp) -> Result<Applied, StoreError> {
        let organization = match &self.seen.before {
            None => Change::Created,
            Some(before) if *before == self.whole.organization => Change::Unchanged,
            Some(_) => Change::Changed,
        };
        let changes = self.bodies.iter().map(|(kind, name, body)| match self.seen.find(*kind, name) {
            None => Change::Created,
            Some(old) if old.body == *body => Change::Unchanged,
            Some(_) => Change::Changed,
        });
        let changes = changes.collect();
        self.applied(store, organization, changes, now).await
    }

    /// Does it; `None` if the definitions are others than were seen.
    pub async fn save(
        mut self,
        store: &Store,
        now: Timestamp,
        random: &mut impl FnMut() -> u128,
    ) -> Result<Option<Applied>, ApplyError> {
        let org = &self.whole.organization.id;
        let new: Vec<NewDefinition> = self
            .bodies
            .iter()
            .map(|(kind, name, body)| NewDefinition {
                kind: *kind,
                fresh_id: fresh_id(*kind, now, random()),
                name: name.clone(),
                body: body.clone(),
            })
            .collect();
        // Tokens and entries come first: whoever sees the new revision finds them there.
        ensure_tokens(store, org, TokenKind::Account, self.whole.accounts.keys()).await?;
        ensure_tokens(store, org, TokenKind::Hook, self.whole.hooks.keys()).await?;
        let new_version = |plan: &ListPlan| (plan.name.clone(), plan.list.version);
        let imported: Vec<(String, i64)> =
            self.lists.iter().filter(|plan| plan.import.is_some()).map(new_version).collect();
        for plan in &mut self.lists {
            plan.import(store, org).await?;
        }
        let firings = to_fire(&self.whole, now);
        let save = Save {
            organization: &self.whole.organization,
            definitions: &new,
            removed: &self.removed,
            firings: &firings,
            base: Base::At(self.seen.revision),
        };
        let (organization, changes) = match store.save(&save, now).await? {
            Saved::Done(organization, changes) => (organization, changes),
            Saved::Stale => return Ok(None),
            Saved::Needed(runs) => return Err(ApplyError::Needed(runs)),
        };
        for (name, version) in imported {
            store.keep_list_versions(org, &name, version).await?;
        }
        Ok(Some(self.applied(store, organization, changes, now).await?))
    }

    async fn applied(
        self,
        store: &Store,
        organization: Change,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let kept = self.kept();
        let Self { whole, removed, bodies, .. } = self;
        let org = &whole.organization.id;
        let firings = firings::of(&whole, &said(store, &whole).await?, now);
        let named = bodies.into_iter().zip(changes);
        Ok(Applied {
            organization,
            changes: named.map(|((kind, name, _), change)| (kind, name, change)).collect(),
            removed,
            kept,
            callback_tokens: tokens(store, org, TokenKind::Account, whole.accounts.keys()).await?,
            hook_tokens: tokens(store, org, TokenKind::Hook, whole.hooks.keys()).await?,
            notices: notices::of(&whole, &firings),
            firings,
        })
    }
}

/// Reads files that were made here over what is stored, on a thread that may block.
pub(super) async fn read_made(made: Made, stored: Stored) -> Result<DefinitionSet, ApplyError> {
    let read = tokio::task::spawn_blocking(move || reader::read(&made, &stored)).await?;
    read.map_err(|Problems(found)| ApplyError::Problems(Problems(found.into_iter().map(without_line).collect())))
}

/// The line of a file that was made here says nothing to anybody, but for a text's.
fn without_line(problem: Problem) -> Problem {
    let line = problem.line.filter(|_| problem.file.ends_with(".hbs"));
    Problem { line, ..problem }
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

pub(super) fn fresh_id(kind: Kind, now: Timestamp, random: u128) -> String {
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

async fn ensure_tokens(
    store: &Store,
    org: &OrgId,
    kind: TokenKind,
    names: impl Iterator<Item = &String>,
) -> Result<(), ApplyError> {
    let known = store.tokens(org, kind).await?;
    for name in names.filter(|name| !known.contains_key(*name)) {
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

/// Since when each configuration that says "so long after" has said so, by name; none that says something else by now.
async fn said(store: &Store, set: &DefinitionSet) -> Result<BTreeMap<String, Timestamp>, StoreError> {
    let org = &set.organization.id;
    let (known, stored) = (store.said_after(org).await?, store.definitions(org).await?);
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

/// When each configuration fires next.
fn to_fire(set: &DefinitionSet, now: Timestamp) -> Vec<(String, Firing)> {
    let of = |configuration: &Configuration| {
        if let Some(after) = says_after(configuration) {
            return Firing::After(after);
        }
        match rules::schedule(configuration, set.organization.timezone, None) {
            Some(schedule) if configuration.active => Firing::Next(schedule.ok().and_then(|it| it.next_after(now))),
            Some(_) | None => Firing::Never,
        }
    };
    set.configurations.iter().map(|(name, configuration)| (name.clone(), of(configuration))).collect()
}
