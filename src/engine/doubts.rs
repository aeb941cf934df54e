//! Messages that may have been handed over without anybody having written what became of them: settled by the provider's own
//! means before anything else is sent.
//!
//! A provider that knows repeated tries is simply tried again; one that keeps a list is asked; where neither helps the message
//! stays `uncertain`, unless its configuration would rather send twice than never.

use std::sync::Arc;

use super::{
    judge::{Bar, Doubt, Ready},
    route::Route,
    sender::{Job, LetGo},
    transport::Answer,
    verdict::{Wish, ask_after},
};
use crate::{
    domain::{
        definition::OnUncertain,
        reason::{Reason, Why},
    },
    provider::{Found, InDoubt},
};

/// What is to be sent, and by which way.
pub(super) type Leaving = (Arc<Route>, Vec<Ready>);

impl Job<'_> {
    /// Settles doubts. What is to be sent again as the same is returned with its way; what certainly was not sent joins the
    /// ready ones.
    pub(super) async fn settle_doubts(
        &mut self,
        doubts: Vec<Doubt>,
        ready: &mut Vec<Ready>,
    ) -> Result<Vec<Leaving>, LetGo> {
        let mut again: Vec<Leaving> = Vec::new();
        let mut taken: Vec<String> = Vec::new();
        for doubt in doubts {
            let name = if doubt.ready.via.is_empty() { &self.pinned.channel } else { &doubt.ready.via };
            let known = again.iter().map(|(route, _)| route).chain([&self.route]);
            let known = known.into_iter().find(|route| route.channel_name == *name).cloned();
            let route = match known {
                Some(route) => Ok(route),
                None => self.shared.route_through(&self.book, name, &self.pinned.channel),
            };
            let route = match route {
                Ok(route) => route,
                Err(why) => {
                    self.ask_again(&doubt.ready, why);
                    continue;
                }
            };
            self.shared.metrics.in_doubt(route.account.kind.as_str(), Reason::WorkerLost);
            match route.provider.repeats_within() {
                Some(within) if doubt.bar.is_none() && self.is_young(within) => {
                    self.goes_again(&doubt.ready);
                    match again.iter_mut().find(|(known, _)| known.channel_name == route.channel_name) {
                        Some((_, same)) => same.push(doubt.ready),
                        None => again.push((route, vec![doubt.ready])),
                    }
                }
                Some(_) => self.waits_as_it_is(&doubt),
                None => self.settle(doubt, &route, &mut taken, ready).await?,
            }
        }
        ready.sort_by_key(|one| one.seq);
        Ok(again)
    }

    /// Whether a provider still knows the request's first try.
    fn is_young(&self, within: std::time::Duration) -> bool {
        self.request.first_sent.is_some_and(|first| self.shared.clock.now().since(first) < within)
    }

    fn ask_again(&mut self, doubtful: &Ready, why: Why) {
        let wish = Wish::AskAgain(ask_after(self.request.attempts));
        self.verdict.doubt(doubtful, why, wish, self.shared.clock.now());
    }

    /// It is handed over again; until that has an outcome it is written as what it is. Should its wave not be made (the run is
    /// paused, the way is shut), whoever comes next finds the doubt, and does not take it for a message that never left.
    fn goes_again(&mut self, doubtful: &Ready) {
        self.stays(doubtful);
        self.doubtful.insert(doubtful.seq);
    }

    fn stays(&mut self, doubtful: &Ready) {
        self.verdict.doubt(doubtful, Reason::WorkerLost.into(), Wish::Nothing, self.shared.clock.now());
    }

    /// It is not handed over again now. If that is only for the hour's sake, it is looked at again when the hour is over.
    fn waits_as_it_is(&mut self, doubt: &Doubt) {
        self.stays(&doubt.ready);
        if let Some(Bar::Wait(until, _)) = &doubt.bar {
            self.verdict.hold_until(*until);
        }
    }

    async fn settle(
        &mut self,
        doubt: Doubt,
        route: &Route,
        taken: &mut Vec<String>,
        ready: &mut Vec<Ready>,
    ) -> Result<(), LetGo> {
        let found = self.ask(&doubt.ready, route, taken).await?;
        if found.is_none() && doubt.bar.is_some() && self.pinned.on_uncertain == OnUncertain::Resend {
            self.waits_as_it_is(&doubt);
            return Ok(());
        }
        let Doubt { ready: doubtful, bar } = doubt;
        match (found, bar) {
            (Some(Found::Sent { provider_id, status, why }), _) => {
                taken.push(provider_id.clone());
                self.verdict.found(&doubtful, provider_id, status, why, self.shared.clock.now());
            }
            (Some(Found::NotSent), Some(bar)) => self.verdict.hold(doubtful.seq, bar.state(self.shared.clock.now())),
            (Some(Found::NotSent), None) => ready.push(Ready { via: self.route.via.clone(), ..doubtful }),
            (Some(Found::Unknown(why)), _) => self.ask_again(&doubtful, why),
            (None, None) if self.pinned.on_uncertain == OnUncertain::Resend => {
                self.goes_again(&doubtful);
                ready.push(Ready { via: self.route.via.clone(), ..doubtful });
            }
            (None, _) => self.stays(&doubtful),
        }
        Ok(())
    }

    /// Asks the provider about one message; `None` if it cannot be asked. Two messages with one text to one person look alike
    /// there, and one id is not an answer for both: ids that others bear (`taken` by this request, or in the store) are put
    /// aside, and what is left of the answer is judged again.
    async fn ask(&self, doubtful: &Ready, route: &Route, taken: &[String]) -> Result<Option<Found>, LetGo> {
        let outgoing = &doubtful.outgoing;
        let mut doubt = InDoubt {
            sender: route.sender.clone(),
            message: outgoing.clone(),
            since: self.request.accepted_at,
            others: taken.to_vec(),
        };
        let Some(question) = route.provider.lookup(self.shared.stamp(), &doubt) else { return Ok(None) };
        let reply = match self.shared.transport.call(&question).await {
            Answer::Reply(reply) => reply,
            Answer::NotSent(detail) | Answer::PerhapsSent(detail) => {
                return Ok(Some(Found::Unknown(Why::detailed(Reason::NoAnswer, detail))));
            }
        };
        loop {
            let found = route.provider.found(&doubt, &reply);
            let Found::Sent { provider_id, .. } = &found else { return Ok(Some(found)) };
            if doubt.others.contains(provider_id) {
                let why = Why::detailed(Reason::Unreadable, "the provider names a message that is known to be another");
                return Ok(Some(Found::Unknown(why)));
            }
            let store = &self.shared.store;
            if !store.provider_id_taken(&self.request.org, outgoing.to, provider_id, outgoing.id).await? {
                return Ok(Some(found));
            }
            doubt.others.push(provider_id.clone());
        }
    }
}
