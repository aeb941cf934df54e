//! What changes definitions: one transaction, all of it or nothing. With a definition goes what lives and dies with it: a
//! template's versions, a configuration's next firing, who asks an endpoint for what, an account's token and state.

use std::collections::BTreeMap;

use super::{
    Store, StoreError,
    db::{Tx, args},
    definitions::{self, Change, Definition, Kind, NewDefinition},
    endpoints, outbox, schedules,
};
use crate::domain::{
    definition::{Endpoint, Organization},
    id::{ConfigurationId, OrgId, RunId},
    run::{Pinned, RunStatus},
    time::Timestamp,
};

/// What is to be saved.
#[derive(Clone, Copy, Debug)]
pub struct Save<'a> {
    /// The organization, as it is to be.
    pub organization: &'a Organization,
    /// Definitions that are new or say something else. What is not named stays as it is.
    pub definitions: &'a [NewDefinition],
    /// Definitions that are to go.
    pub removed: &'a [(Kind, String)],
    /// When configurations fire next, by name.
    pub firings: &'a [(String, Firing)],
    /// What the caller has seen.
    pub base: Base,
}

/// What a change is a change of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Whatever is there.
    Any,
    /// This revision; `None`: no organization yet. If there is another by now, nothing is saved.
    At(Option<i64>),
}

/// When a configuration fires by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// It does not: it is inactive, or has another trigger.
    Never,
    /// At this time, as things stand; `None`: all of its times are past.
    Next(Option<Timestamp>),
}

/// What became of a save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is done: what became of the organization, and of each definition, in order.
    Done(Change, Vec<Change>),
    /// The definitions are others than the caller has seen; nothing was done.
    Stale,
    /// What was to go is still needed; nothing was done.
    Needed(Vec<InTheWay>),
}

/// A run that still needs a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// The run.
    pub run: RunId,
    /// Its configuration's name.
    pub configuration: String,
    /// What it needs.
    pub needs: (Kind, String),
}

impl Store {
    /// Saves an organization and definitions over whatever is there; what is not named stays as it is. Returns what was done to
    /// the organization and to each definition, in order.
    pub async fn save_definitions(
        &self,
        org: &Organization,
        new: &[NewDefinition],
        now: Timestamp,
    ) -> Result<(Change, Vec<Change>), StoreError> {
        let save = Save { organization: org, definitions: new, removed: &[], firings: &[], base: Base::Any };
        Ok(match self.save(&save, now).await? {
            Saved::Done(organization, changes) => (organization, changes),
            Saved::Stale | Saved::Needed(_) => (Change::Unchanged, vec![Change::Unchanged; new.len()]),
        })
    }

    /// Saves a change, all of it or nothing.
    pub async fn save(&self, save: &Save<'_>, now: Timestamp) -> Result<Saved, StoreError> {
        let mut tx = self.begin().await?;
        let org = &save.organization.id;
        let settings = serde_json::json!(save.organization).to_string();
        let Some(organization) = lock(&mut tx, save, &settings).await? else { return Ok(Saved::Stale) };
        let known = definitions::all(&mut tx, org).await?;
        let needed = still_needed(&mut tx, org, save.removed).await?;
        if !needed.is_empty() {
            return Ok(Saved::Needed(needed));
        }
        let mut changes = Vec::with_capacity(save.definitions.len());
        for definition in save.definitions {
            changes.push(write(&mut tx, org, &known, definition, now).await?);
        }
        let mut removed = 0;
        for (kind, name) in save.removed {
            if let Some(gone) = known.iter().find(|known| known.kind == *kind && known.name == *name) {
                remove(&mut tx, org, gone, now).await?;
                removed += 1;
            }
        }
        let changed = changes.iter().any(|change| *change != Change::Unchanged);
        if organization != Change::Unchanged || changed || removed > 0 {
            let (limit, reserved) = allowance(save.organization);
            let sql = "UPDATE organizations SET settings = $2, quota_limit = $3, quota_reserved = $4, revision = revision + 1 WHERE org_id = $1";
            tx.execute(sql, args![org.as_str(), settings, limit, reserved]).await?;
        }
        let same = organization == Change::Unchanged;
        reschedule(&mut tx, save, &changes, &known, if same { Change::Unchanged } else { Change::Changed }, now)
            .await?;
        tx.commit().await?;
        Ok(Saved::Done(organization, changes))
    }
}

fn allowance(organization: &Organization) -> (i64, i64) {
    let allowance = organization.allowance();
    (i64::try_from(allowance.limit).unwrap_or(i64::MAX), i64::from(allowance.reserved_percent))
}

/// Locks the organization, made at once if it is new: whoever changes the same one waits here. What is to become of it; `None`
/// if it is not as the caller has seen it.
async fn lock(tx: &mut Tx<'_>, save: &Save<'_>, settings: &str) -> Result<Option<Change>, StoreError> {
    let org = &save.organization.id;
    let (limit, reserved) = allowance(save.organization);
    let sql =
        "INSERT INTO organizations (org_id, settings, quota_limit, quota_reserved, revision) VALUES ($1, $2, $3, $4, 0)
        ON CONFLICT (org_id) DO NOTHING";
    let created = tx.execute(sql, args![org.as_str(), settings, limit, reserved]).await?;
    let sql = "SELECT settings, revision FROM organizations WHERE org_id = $1 LOCKED ROWS";
    let row = tx.row(sql, args![org.as_str()]).await?;
    let seen = match (save.base, row.as_ref().map(|row| row.int(1)).transpose()?) {
        (Base::Any, _) => true,
        (Base::At(None), _) => created == 1,
        (Base::At(seen), revision) => created == 0 && seen == revision,
    };
    Ok(match row {
        _ if !seen => None,
        _ if created == 1 => Some(Change::Created),
        Some(row) if row.text(0)? == settings => Some(Change::Unchanged),
        Some(_) | None => Some(Change::Changed),
    })
}

async fn write(
    tx: &mut Tx<'_>,
    org: &OrgId,
    known: &[Definition],
    new: &NewDefinition,
    now: Timestamp,
) -> Result<Change, StoreError> {
    let before = known.iter().find(|old| old.kind == new.kind && old.name == new.name);
    let (id, version, change) = match before {
        Some(old) if old.body == new.body => return Ok(Change::Unchanged),
        Some(old) => (old.id.as_str(), old.version + 1, Change::Changed),
        None => (new.fresh_id.as_str(), 1, Change::Created),
    };
    let sql = "INSERT INTO definitions (org_id, kind, definition_id, name, body, version, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (org_id, kind, definition_id) DO UPDATE SET body = excluded.body, version = excluded.version, changed_at = excluded.changed_at";
    let args = args![org.as_str(), new.kind.as_str(), id, new.name.as_str(), new.body.as_str(), version, now.millis()];
    tx.execute(sql, args).await?;
    if new.kind == Kind::Template {
        let sql = "INSERT INTO template_versions (org_id, template_id, version, source) VALUES ($1, $2, $3, $4)";
        tx.execute(sql, args![org.as_str(), id, version, new.body.as_str()]).await?;
    }
    if new.kind == Kind::Endpoint {
        let damaged =
            |problem: serde_json::Error| StoreError::Damaged { column: "body".into(), problem: problem.to_string() };
        let endpoint: Endpoint = serde_json::from_str(&new.body).map_err(damaged)?;
        endpoints::subscribe(tx, org, &new.name, &endpoint, now).await?;
    }
    Ok(change)
}

/// Takes a definition away, with what belongs to its name: another one of this name begins anew. A template's versions stay, as
/// runs keep them.
async fn remove(tx: &mut Tx<'_>, org: &OrgId, gone: &Definition, now: Timestamp) -> Result<(), StoreError> {
    let sql = "DELETE FROM definitions WHERE org_id = $1 AND kind = $2 AND definition_id = $3";
    tx.execute(sql, args![org.as_str(), gone.kind.as_str(), gone.id.as_str()]).await?;
    let name = gone.name.as_str();
    match gone.kind {
        Kind::Account | Kind::Hook => {
            let sql = "DELETE FROM tokens WHERE org_id = $1 AND kind = $2 AND name = $3";
            tx.execute(sql, args![org.as_str(), gone.kind.as_str(), name]).await?;
            if gone.kind == Kind::Account {
                let sql = "DELETE FROM account_states WHERE org_id = $1 AND account = $2";
                tx.execute(sql, args![org.as_str(), name]).await?;
            }
        }
        Kind::Endpoint => {
            endpoints::unsubscribe(tx, org, name).await?;
            outbox::wake_at(tx, org, now); // whoever posts drops what is waiting for it
        }
        Kind::List => {
            let sql = "DELETE FROM list_entries WHERE org_id = $1 AND list = $2";
            tx.execute(sql, args![org.as_str(), name]).await?;
        }
        // The firing goes with the schedules below, as that of any configuration that fires no more.
        Kind::Channel | Kind::Template | Kind::Configuration => {}
    }
    Ok(())
}

/// The runs that are not over and need something that is to go: a channel that what they have left leaves through, a list that
/// they are still reading.
async fn still_needed(tx: &mut Tx<'_>, org: &OrgId, removed: &[(Kind, String)]) -> Result<Vec<InTheWay>, StoreError> {
    if !removed.iter().any(|(kind, _)| matches!(kind, Kind::Channel | Kind::List)) {
        return Ok(Vec::new());
    }
    let sql = "SELECT run_id, name, pinned, source, status, open_requests FROM runs WHERE org_id = $1 AND finished_at IS NULL ORDER BY run_id";
    let mut needed = Vec::new();
    for row in tx.rows(sql, args![org.as_str()]).await? {
        let pinned: Pinned = row.json(2)?;
        let importing = row.parsed::<RunStatus>(4)? == RunStatus::Importing;
        let (source, left) = (row.text(3)?, importing || row.int(5)? > 0);
        for (kind, name) in removed {
            let needs = match kind {
                Kind::Channel => left && pinned.channel == *name,
                Kind::List => importing && source.starts_with(&format!("list {name},")),
                Kind::Account | Kind::Template | Kind::Configuration | Kind::Hook | Kind::Endpoint => false,
            };
            if needs {
                let (run, configuration) = (row.parsed(0)?, row.text(1)?.to_owned());
                needed.push(InTheWay { run, configuration, needs: (*kind, name.clone()) });
            }
        }
    }
    Ok(needed)
}

/// Says when configurations fire next. `organization` is what became of it: its time zone may be theirs.
async fn reschedule(
    tx: &mut Tx<'_>,
    save: &Save<'_>,
    changes: &[Change],
    before: &[Definition],
    organization: Change,
    now: Timestamp,
) -> Result<(), StoreError> {
    let org = &save.organization.id;
    let gone = |name: &str| save.removed.iter().any(|(kind, gone)| *kind == Kind::Configuration && gone == name);
    let found = before.iter().filter(|old| old.kind == Kind::Configuration);
    let mut ids: BTreeMap<&str, (&str, Change)> =
        found.map(|old| (old.name.as_str(), (old.id.as_str(), Change::Unchanged))).collect();
    let new = save.definitions.iter().zip(changes).filter(|(new, _)| new.kind == Kind::Configuration);
    for (new, change) in new {
        ids.entry(&new.name).or_insert((&new.fresh_id, Change::Created)).1 = *change;
    }
    let removed = ids.keys().filter(|name| gone(name)).map(|name| (*name, Firing::Never));
    let kept = save.firings.iter().map(|(name, firing)| (name.as_str(), *firing));
    let firings: Vec<(&str, Firing)> = removed.chain(kept).collect();
    if firings.is_empty() {
        return Ok(());
    }
    let rows = tx.rows("SELECT configuration, fires_at FROM schedules WHERE org_id = $1", args![org.as_str()]).await?;
    let read = rows.iter().map(|row| Ok((row.text(0)?.to_owned(), Timestamp::from_millis(row.int(1)?))));
    let known: BTreeMap<String, Timestamp> = read.collect::<Result<_, StoreError>>()?;
    let mut moved = false;
    for (name, firing) in firings {
        let Some((id, change)) = ids.get(name) else { continue };
        let known = known.get(*id).copied();
        let next = match firing {
            Firing::Never => None,
            // A time that is due and has not fired yet is the scheduler's, which judges it by the schedule as it is now.
            Firing::Next(_) if known.is_some_and(|known| known <= now) => known,
            Firing::Next(next) => next,
        };
        let same = *change == Change::Unchanged && organization == Change::Unchanged;
        if known == next || same && known.is_some() == next.is_some() {
            continue;
        }
        let Ok(id) = id.parse::<ConfigurationId>() else { continue };
        schedules::set_schedule(tx, org, id, next).await?;
        moved = true;
    }
    if moved { schedules::rest_schedules(tx, org).await } else { Ok(()) }
}
