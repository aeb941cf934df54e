//! By which channel a request leaves: its run's own, or that one's fallback while the account is stopped or does not answer.

use std::sync::Arc;

use super::{Shared, circuits::Breaker, pace::Pace};
use crate::{
    book::{Book, ReadyAccount, Unusable, sender_of},
    domain::{
        circuit::Passage,
        definition::Channel,
        pace::{self, Unit},
        reason::{Reason, Why},
        run::Pinned,
        time::Timestamp,
    },
    provider::{Provider, Sender},
    store::StoreError,
};

/// Who sends, and how.
pub(super) struct Route {
    pub channel_name: String,
    pub channel: Channel,
    pub account: ReadyAccount,
    pub provider: Arc<dyn Provider>,
    pub sender: Sender,
    pub pace: Arc<Pace>,
    pub unit: Unit,
    pub breaker: Breaker,
    /// What is kept with a message: the channel's name, or nothing if it is its run's own.
    pub via: String,
}

/// Why a request cannot leave at all for now.
pub(super) enum NoRoute {
    /// An operator has to do something.
    Held(Why),
    /// The provider does not answer; it is tried again at this time.
    Shut(Timestamp),
}

impl Shared {
    /// The way through a channel, whatever the state of its account; `own` is the run's own channel.
    pub(super) fn route_through(&self, book: &Book, name: &str, own: &str) -> Result<Arc<Route>, Why> {
        let unusable = |problem: Unusable| Why::detailed(Reason::NotConfigured, problem.to_string());
        let channel = book.channel(name).map_err(unusable)?.clone();
        let account = book.account(&channel.account).map_err(unusable)?.clone();
        let org = &book.organization.id;
        Ok(Arc::new(Route {
            provider: account.provider.clone().map_err(unusable)?,
            sender: sender_of(&channel),
            pace: self.paces.of(org, name, channel.pace(account.kind)),
            unit: pace::unit(account.kind, channel.channel_type),
            breaker: self.circuits.of(org, &account.name),
            via: if name == own { String::new() } else { name.to_owned() },
            channel_name: name.to_owned(),
            channel,
            account,
        }))
    }

    /// The way that a run's messages take now.
    pub(super) async fn route(
        &self,
        book: &Book,
        pinned: &Pinned,
        now: Timestamp,
    ) -> Result<Result<Arc<Route>, NoRoute>, StoreError> {
        let own = match self.route_through(book, &pinned.channel, &pinned.channel) {
            Ok(own) => own,
            Err(why) => return Ok(Err(NoRoute::Held(why))),
        };
        let Some(problem) = self.barrier(book, &own, now).await? else { return Ok(Ok(own)) };
        let fallback = own.channel.fallback.as_deref();
        // One that cannot be used is no reason to stop a run that its own channel would carry again.
        let fallback = fallback.and_then(|name| self.route_through(book, name, &pinned.channel).ok());
        if let Some(fallback) = fallback
            && self.barrier(book, &fallback, now).await?.is_none()
        {
            return Ok(Ok(fallback));
        }
        Ok(Err(problem))
    }

    /// What keeps a way from being taken.
    async fn barrier(&self, book: &Book, route: &Route, now: Timestamp) -> Result<Option<NoRoute>, StoreError> {
        let state = self.store.account_state(&book.organization.id, &route.account.name).await?.unwrap_or_default();
        if !state.stopped.is_empty() {
            let detail = format!("account \"{}\" is stopped: {}", route.account.name, state.stopped);
            return Ok(Some(NoRoute::Held(Why::detailed(Reason::NotConfigured, detail))));
        }
        Ok(match route.breaker.ask(now) {
            Passage::Free => None,
            Passage::Shut { until } => Some(NoRoute::Shut(until)),
        })
    }
}
