//! What every trigger does first: look up what the configuration names, and fix what the run will keep.

use tokio::task::JoinError;

use crate::{
    book::{Book, ReadyConfiguration, Unusable},
    clock::Clock,
    domain::{fairness::Priority, id::RunId, run::Pinned, time::Timestamp},
    store::{
        Store, StoreError,
        runs::{Lasting, NewRun},
    },
};

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// The configuration is inactive.
    #[error("outbound configuration \"{0}\" is inactive: nothing is sent until it is active again")]
    Inactive(String),
    /// The definitions do not allow it.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
    /// Reading broke.
    #[error("reading the audience broke off")]
    Broken(#[from] JoinError),
}

/// What a run of this configuration keeps, as things stand now.
pub fn pin(book: &Book, ready: &ReadyConfiguration) -> Result<Pinned, NotBegun> {
    let configuration = &ready.configuration;
    if !configuration.active {
        return Err(NotBegun::Inactive(configuration.name.clone()));
    }
    let channel = book.channel(&configuration.channel)?;
    let template = book.template(&configuration.template)?;
    Ok(Pinned {
        channel: configuration.channel.clone(),
        template: Some(template.id),
        version: template.version,
        valid_for: configuration.valid_for,
        on_uncertain: configuration.on_uncertain,
        show_in_timeline: configuration.show_in_timeline,
        purpose: template.template.source().purpose,
        channel_type: channel.channel_type,
        guard: configuration.guard(),
    })
}

/// A run of a configuration, to be filled.
pub fn new_run(
    clock: &Clock,
    ready: &ReadyConfiguration,
    pinned: Pinned,
    priority: Priority,
    source: String,
) -> NewRun {
    NewRun {
        id: RunId::new(clock.now(), rand::random()),
        configuration: ready.id,
        name: ready.configuration.name.clone(),
        priority,
        firing: None,
        pinned,
        source,
        digest: String::new(),
        columns: Vec::new(),
        lasting: Lasting::OneAudience,
    }
}

/// How the contacts of a run of a day come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// With system events.
    Events,
    /// Handed over by a program.
    Requests,
}

/// The configuration's run of the organization's day, which more is added to until the day is over. A changed template, channel
/// or place on timelines begins another one.
pub fn day_run(
    clock: &Clock,
    book: &Book,
    ready: &ReadyConfiguration,
    pinned: Pinned,
    coming: Coming,
    now: Timestamp,
) -> NewRun {
    let day = now.to_utc().with_timezone(&book.organization.timezone).date_naive();
    let template = pinned.template.map(|template| template.to_string()).unwrap_or_default();
    let shown = if pinned.show_in_timeline { " on timelines" } else { "" };
    let through = format!("{template} version {} through {}{shown}", pinned.version, pinned.channel);
    let (firing, source, priority) = match coming {
        Coming::Events => (format!("{day} {through}"), format!("events of {day}"), Priority::Automatic),
        Coming::Requests => {
            let priority = ready.configuration.trigger.priority();
            (format!("{day} by API {through}"), format!("requests by API of {day}"), priority)
        }
    };
    NewRun { firing: Some(firing), lasting: Lasting::OpenEnded, ..new_run(clock, ready, pinned, priority, source) }
}

/// A run whose account is stopped waits from the start, and says why; unless its channel has a fallback, which whoever sends
/// first will look at.
pub async fn hold_if_stopped(store: &Store, book: &Book, run: RunId, channel: &str) -> Result<(), StoreError> {
    let Ok(channel) = book.channel(channel) else { return Ok(()) };
    if channel.fallback.is_some() {
        return Ok(());
    }
    let org = &book.organization.id;
    if let Some(state) = store.account_state(org, &channel.account).await?
        && !state.stopped.is_empty()
    {
        store.stop_run(org, run, "held", &state.stopped).await?;
    }
    Ok(())
}
