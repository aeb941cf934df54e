//! One claimed request, from its rows to its outcomes.
//!
//! Every message that may have been handed over has a durable intent before its call and a durable outcome after it. Messages
//! leave in waves, as many as the channel's pace lets go in half a second, so that a crash leaves few in doubt and a pause is
//! noticed soon.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};

use super::{
    Shared,
    judge::{Decision, Facts, Ready},
    lease::Lease,
    pace::Pace,
    verdict::{Verdict, Wish, ask_after},
};
use crate::{
    book::{Book, ReadyAccount, sender_of},
    clock::Stopwatch,
    domain::{
        contact::ChannelType,
        definition::{Channel, OnUncertain},
        id::ConsentChangeId,
        message::Status,
        phone::E164,
        quota,
        reason::{Reason, Why},
        run::{Pinned, RunStatus},
        state::MessageState,
        time::Timestamp,
    },
    provider::{Call, Found, InDoubt, Provider, Sender},
    store::{
        StoreError,
        consents::{Consent, ConsentChange},
        requests::Claimed,
        settle::{Fence, Finish, Word},
    },
};

use super::{committer::NotWritten, transport::Answer};

/// Outcomes are written at least so often while others of the same wave are still awaited.
const FLUSH: Duration = Duration::from_millis(100);
/// A request that could not be looked at (no configuration, no account) is looked at again after this.
const LATER: Duration = Duration::from_secs(30);

/// Why a request was let go without being finished: its lease runs out and it comes round again.
#[derive(Debug, thiserror::Error)]
pub enum LetGo {
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
    /// What became of messages could not be written.
    #[error("what became of messages could not be written")]
    NotWritten(#[from] NotWritten),
}

/// Who sends a request, and how.
struct Route {
    book: Arc<Book>,
    channel_name: String,
    channel: Channel,
    account: ReadyAccount,
    provider: Arc<dyn Provider>,
    sender: Sender,
    pace: Arc<Pace>,
}

/// A request being sent.
struct Job<'a> {
    shared: &'a Shared,
    request: &'a Arc<Claimed>,
    lease: Lease,
    pinned: Pinned,
    route: Route,
    claimed_at: Timestamp,
    verdict: Verdict,
}

/// Sends what is to be sent of a request, and gives it back.
pub async fn send(
    shared: &Shared,
    request: Arc<Claimed>,
    lease: Lease,
    book: Arc<Book>,
    claimed_at: Timestamp,
) -> Result<(), LetGo> {
    let Some((pinned, run_status)) = shared.store.run_facts(&request.org, request.id.run).await? else {
        return Ok(()); // the run is gone, and the request with it
    };
    let route = match route(shared, book, &pinned) {
        Ok(route) => route,
        Err(why) => return hold(shared, &request, why).await,
    };
    let verdict = Verdict::new(request.token);
    let mut job = Job { shared, request: &request, lease, pinned, route, claimed_at, verdict };
    let (ready, doubts) = job.judge(run_status).await?;
    let ready = job.settle_doubts(doubts, ready).await?;
    if job.send_waves(ready).await? == Held::Yes {
        job.give_back().await?;
    }
    Ok(())
}

/// Whether the request is still this worker's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Yes,
    No,
}

fn route(shared: &Shared, book: Arc<Book>, pinned: &Pinned) -> Result<Route, Why> {
    let unusable = |problem: crate::book::Unusable| Why::detailed(Reason::NotConfigured, problem.to_string());
    let channel = book.channel(&pinned.channel).map_err(unusable)?.clone();
    let account = book.account(&channel.account).map_err(unusable)?.clone();
    let provider = account.provider.clone().map_err(unusable)?;
    let sender = sender_of(&channel);
    let pace = shared.paces.of(&book.organization.id, &pinned.channel, channel.pace(account.kind));
    Ok(Route { channel_name: pinned.channel.clone(), channel, account, provider, sender, pace, book })
}

/// The run cannot go on as things stand: it is held, its messages stay queued, and an operator reads why.
async fn hold(shared: &Shared, request: &Arc<Claimed>, why: Why) -> Result<(), LetGo> {
    tracing::error!(org = %request.org, run = %request.id.run, %why, "a run is held");
    shared.store.stop_run(&request.org, request.id.run, "held", &why.to_string()).await?;
    if request.begun > 0 {
        // An earlier holder vanished and may have handed messages over. Giving the request back would say that everything
        // begun has its outcome, and the next holder would send again: it is left to its lease instead, doubts and all.
        return Ok(());
    }
    let finish = Some(Finish::RetryAt(shared.clock.now().plus(LATER)));
    shared.say(request, Word { finish, ..Word::default() }).await?;
    Ok(())
}

impl Job<'_> {
    async fn judge(&mut self, run_status: RunStatus) -> Result<(Vec<Ready>, Vec<Ready>), LetGo> {
        let messages = self.shared.store.messages_of(self.request).await?;
        let people: Vec<E164> = messages.iter().map(|message| message.to).collect();
        let channel_type: ChannelType = self.route.channel.channel_type;
        let consents = self.shared.store.consents(&self.request.org, channel_type, &people).await?;
        let template = match self.pinned.template {
            Some(template) => self.shared.books.template(&self.route.book, template, self.pinned.version).await?,
            None => Err(crate::book::Unusable("the run has no template".to_owned())),
        };
        let callback = self.shared.callback_url(&self.route.book, &self.route.account.name);
        let facts = Facts {
            request: self.request,
            pinned: &self.pinned,
            run_status,
            template: template.map_err(|problem| Why::detailed(Reason::TemplateFailed, problem.to_string())),
            consents,
            callback,
            may_ask_again: self.request.attempts < i64::from(self.shared.policy.attempts),
            now: self.shared.clock.now(),
        };
        let (mut ready, mut doubts) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in &messages {
            match facts.judge(message) {
                Decision::Nothing => {}
                Decision::End(state) => self.verdict.add(message.id.seq, state),
                Decision::Send(one) => ready.push(one),
                Decision::Ask(one) => doubts.push(one),
            }
        }
        Ok((ready, doubts))
    }

    /// Finds out about messages that may have been handed over; those that certainly were not join the ready ones.
    async fn settle_doubts(&mut self, doubts: Vec<Ready>, mut ready: Vec<Ready>) -> Result<Vec<Ready>, LetGo> {
        let mut taken: Vec<String> = Vec::new();
        for doubtful in doubts {
            self.shared.metrics.in_doubt(self.route.account.kind.as_str(), Reason::WorkerLost);
            match self.ask(&doubtful, &taken).await? {
                Some(Found::Sent { provider_id, status, why }) => {
                    taken.push(provider_id.clone());
                    self.verdict.found(&doubtful, provider_id, status, why, self.shared.clock.now())
                }
                Some(Found::NotSent) => ready.push(doubtful),
                Some(Found::Unknown(why)) => {
                    let wish = Wish::AskAgain(ask_after(self.request.attempts));
                    self.verdict.doubt(&doubtful, why, wish, self.shared.clock.now())
                }
                None if self.pinned.on_uncertain == OnUncertain::Resend => ready.push(doubtful),
                None => {
                    self.verdict.doubt(&doubtful, Reason::WorkerLost.into(), Wish::Nothing, self.shared.clock.now())
                }
            }
        }
        ready.sort_by_key(|one| one.seq);
        Ok(ready)
    }

    /// Asks the provider about one message; `None` if it cannot be asked. Two messages with one text to one person look alike
    /// there, and one id is not an answer for both: ids that others bear (`taken` by this request, or in the store) are put
    /// aside, and what is left of the answer is judged again.
    async fn ask(&self, doubtful: &Ready, taken: &[String]) -> Result<Option<Found>, LetGo> {
        let outgoing = &doubtful.outgoing;
        let mut doubt = InDoubt {
            sender: self.route.sender.clone(),
            message: outgoing.clone(),
            since: self.request.accepted_at,
            others: taken.to_vec(),
        };
        let Some(question) = self.route.provider.lookup(self.shared.stamp(), &doubt) else { return Ok(None) };
        let reply = match self.shared.transport.call(&question).await {
            Answer::Reply(reply) => reply,
            Answer::NotSent(detail) | Answer::PerhapsSent(detail) => {
                return Ok(Some(Found::Unknown(Why::detailed(Reason::NoAnswer, detail))));
            }
        };
        loop {
            let found = self.route.provider.found(&doubt, &reply);
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

    async fn send_waves(&mut self, ready: Vec<Ready>) -> Result<Held, LetGo> {
        let mut waves = ready.chunks(self.route.pace.wave());
        while let Some(wave) = waves.next() {
            let rest = || wave.iter().chain(waves.clone().flatten());
            if self.shared.clock.now() > quota::use_by(self.claimed_at) && wave[0].seq == ready[0].seq {
                // Booked in one part of the hour and used in another: given back instead, to be booked again.
                self.verdict.try_again_at(self.shared.clock.now());
                return Ok(Held::Yes);
            }
            let begun = wave.last().map_or(0, |last| last.seq - self.request.first_seq + 1);
            let word = Word { intent: Some(begun), states: self.verdict.take(), finish: None };
            match self.shared.say(self.request, word).await? {
                Fence::Lost => return Ok(Held::No),
                Fence::Held(RunStatus::Paused | RunStatus::Held) => {
                    self.verdict.try_again_at(self.shared.clock.now());
                    return Ok(Held::Yes);
                }
                Fence::Held(RunStatus::Cancelling | RunStatus::Cancelled) => {
                    let now = self.shared.clock.now();
                    rest().for_each(|one| {
                        self.verdict
                            .add(one.seq, MessageState::new(Status::Cancelled, Some(Reason::Cancelled.into()), now))
                    });
                    return Ok(Held::Yes);
                }
                Fence::Held(RunStatus::Importing | RunStatus::Running | RunStatus::Completed | RunStatus::Failed) => {}
            }
            if self.send_wave(wave).await? == Held::No {
                return Ok(Held::No);
            }
            if let Some(why) = self.verdict.stop() {
                self.stop(why).await?;
                return Ok(Held::Yes);
            }
        }
        Ok(Held::Yes)
    }

    /// Makes the calls of a wave side by side, writing outcomes as they come.
    async fn send_wave(&mut self, wave: &[Ready]) -> Result<Held, LetGo> {
        let outgoing: Vec<_> = wave.iter().map(|one| one.outgoing.clone()).collect();
        let calls = self.route.provider.calls(self.shared.stamp(), &self.route.sender, &outgoing);
        let (shared, route, lease) = (self.shared, &self.route, &self.lease);
        let mut under_way: FuturesUnordered<_> =
            calls.iter().map(|call| make(shared, route, lease, call, wave)).collect();
        let mut written = Stopwatch::start();
        loop {
            let next = tokio::time::timeout(FLUSH.saturating_sub(written.elapsed()), under_way.next()).await;
            let now = self.shared.clock.now();
            match next {
                Ok(None) => return Ok(Held::Yes),
                Ok(Some((call, answer))) => {
                    let found = self.verdict.judge(
                        &*self.route.provider,
                        call,
                        answer,
                        wave,
                        self.shared.trial(self.request, &self.pinned, now),
                    );
                    if let Some(asked) = found {
                        self.route.pace.slow_down(asked);
                    }
                }
                Err(_) => {}
            }
            if written.elapsed() >= FLUSH {
                if !self.verdict.is_empty() {
                    let word = Word { states: self.verdict.take(), ..Word::default() };
                    // Somebody else has the request by now, and asks about what is still under way here.
                    if self.shared.say(self.request, word).await? == Fence::Lost {
                        return Ok(Held::No);
                    }
                }
                written = Stopwatch::start();
            }
        }
    }

    /// The account or the sender is refused: everything that would leave through it waits for an operator.
    async fn stop(&mut self, why: Why) -> Result<(), LetGo> {
        let account = &self.route.account.name;
        tracing::error!(org = %self.request.org, account, channel = self.route.channel_name, %why, "the provider refuses the sender; its runs are held");
        self.shared.stop_sender(&self.route.book, account, &self.route.channel_name, &why).await?;
        self.verdict.try_again_at(self.shared.clock.now());
        Ok(())
    }

    async fn give_back(&mut self) -> Result<(), LetGo> {
        let finish = self.verdict.finish();
        self.keep_opt_outs().await?;
        self.shared.count(&self.verdict, self.route.account.kind.as_str());
        let word = Word { intent: None, states: self.verdict.take(), finish: Some(finish) };
        self.shared.say(self.request, word).await?;
        Ok(())
    }
}

impl Job<'_> {
    /// A provider that refuses because a person opted out knows something that must hold for every other path too.
    async fn keep_opt_outs(&self) -> Result<(), LetGo> {
        let (channel_type, at) = (self.route.channel.channel_type, self.shared.clock.now());
        let change = |(of, source): &(E164, String)| ConsentChange {
            id: ConsentChangeId::new(at, rand::random()),
            channel_type,
            of: *of,
            consent: Consent::Out,
            source: source.clone(),
            actor: "provider".to_owned(),
            at,
        };
        let changes: Vec<ConsentChange> = self.verdict.opted_out().iter().map(change).collect();
        if !changes.is_empty() {
            self.shared.store.set_consents(&self.request.org, &changes).await?;
        }
        Ok(())
    }
}

/// One call, when the channel's pace and a free place allow.
async fn make<'a>(shared: &Shared, route: &Route, lease: &Lease, call: &'a Call, wave: &[Ready]) -> (&'a Call, Answer) {
    let carried = call.carries.iter().filter_map(|(id, _)| wave.iter().find(|one| one.seq == id.seq));
    let segments = carried.map(|one| one.segments).sum();
    route.pace.ready(segments).await;
    let _place = shared.transport.place().await;
    let watch = Stopwatch::start();
    // The wait for the pace and the place can outlast what allowed the call.
    if !lease.allows(shared.clock.now()) {
        return (
            call,
            Answer::NotSent("the lease on the request was running out before the call could be made".to_owned()),
        );
    }
    let answer = shared.transport.call(&call.request).await;
    shared.metrics.provider_call(route.account.kind.as_str(), watch.elapsed());
    (call, answer)
}
