//! One claimed request, from its rows to its outcomes.
//!
//! Every message that may have been handed over has a durable intent before its call and a durable outcome after it. Messages
//! leave in waves, as many as the channel's pace lets go in half a second, so that a crash leaves few in doubt and a pause is
//! noticed soon.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};

use super::{
    Shared,
    committer::NotWritten,
    judge::{Content, Decision, Doubt, Facts, Ready},
    lease::Lease,
    route::{NoRoute, Route},
    transport::Answer,
    verdict::Verdict,
};
use crate::{
    book::{Book, Unusable},
    clock::Stopwatch,
    domain::{
        circuit::{Passage, Seen},
        contact::ChannelType,
        id::ConsentChangeId,
        message::Status,
        pace::Unit,
        phone::E164,
        polling::{self, Receipts},
        quota,
        reason::{Reason, Why},
        run::{Pinned, RunStatus},
        session,
        state::MessageState,
        time::Timestamp,
    },
    provider::Call,
    store::{
        StoreError,
        consents::{Consent, ConsentChange},
        messages::StoredMessage,
        requests::Claimed,
        settle::{Fence, Finish, Intent, Word},
    },
};

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

/// A request being sent.
pub(super) struct Job<'a> {
    pub shared: &'a Shared,
    pub request: &'a Arc<Claimed>,
    pub book: Arc<Book>,
    pub pinned: Pinned,
    pub route: Arc<Route>,
    pub verdict: Verdict,
    /// The places of messages that are handed over again without anybody knowing whether they arrived the first time.
    pub doubtful: BTreeSet<i64>,
    lease: Lease,
    claimed_at: Timestamp,
    first_sent: Timestamp,
    /// Whether a call may have been made for it.
    begun: Begun,
}

/// Whether a call may have been made for a request by this holder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
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
    let now = shared.clock.now();
    let route = match shared.route(&book, &pinned, now).await? {
        Ok(route) => route,
        Err(NoRoute::Held(why)) => return hold(shared, &request, why, claimed_at).await,
        Err(NoRoute::Shut(until)) => return put_off(shared, &request, until, claimed_at).await,
    };
    let first_sent = request.first_sent.unwrap_or(now);
    let (verdict, doubtful, begun) = (Verdict::new(request.token), BTreeSet::new(), Begun::No);
    let request = &request;
    let mut job = Job { shared, request, book, pinned, route, verdict, doubtful, lease, claimed_at, first_sent, begun };
    let (mut ready, doubts) = job.judge(run_status).await?;
    let again = job.settle_doubts(doubts, &mut ready).await?;
    let fresh = (job.route.clone(), ready);
    for (route, ready) in again.into_iter().chain([fresh]) {
        match job.send_waves(&route, ready).await? {
            Waves::Made => {}
            Waves::Ended => break,
            Waves::Lost => return Ok(()),
        }
    }
    job.give_back().await
}

/// The same time in every try, as long as the provider would know it again; and as long as a message beside it is in doubt,
/// which with another time would be another message.
fn first_sent(request: &Claimed, messages: &[StoredMessage], route: &Route, now: Timestamp) -> Timestamp {
    let in_doubt = request.begun > 0 || messages.iter().any(|message| message.status() == Status::Uncertain);
    let known = |first: &Timestamp| route.provider.repeats_within().is_none_or(|within| now.since(*first) < within);
    request.first_sent.filter(|first| in_doubt || known(first)).unwrap_or(now)
}

/// What became of the waves of one way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waves {
    /// All were made.
    Made,
    /// The rest is not to be made now.
    Ended,
    /// The request is no longer this worker's.
    Lost,
}

/// Whether the request is still this worker's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Yes,
    No,
}

/// The run cannot go on as things stand: it is held, its messages stay queued, and an operator reads why.
async fn hold(shared: &Shared, request: &Arc<Claimed>, why: Why, claimed_at: Timestamp) -> Result<(), LetGo> {
    tracing::error!(org = %request.org, run = %request.id.run, %why, "a run is held");
    shared.store.stop_run(&request.org, request.id.run, "held", &why.to_string()).await?;
    put_off(shared, request, shared.clock.now().plus(LATER), claimed_at).await
}

/// The request is given back untouched.
async fn put_off(
    shared: &Shared,
    request: &Arc<Claimed>,
    until: Timestamp,
    claimed_at: Timestamp,
) -> Result<(), LetGo> {
    if request.begun > 0 {
        // An earlier holder vanished and may have handed messages over. Giving the request back would say that everything
        // begun has its outcome, and the next holder would send again: it is left to its lease instead, doubts and all.
        return Ok(());
    }
    let finish = Some(Finish::PutOff { until, claimed_at });
    shared.say(request, Word { finish, ..Word::default() }).await?;
    Ok(())
}

impl Job<'_> {
    async fn judge(&mut self, run_status: RunStatus) -> Result<(Vec<Ready>, Vec<Doubt>), LetGo> {
        let messages = self.shared.store.messages_of(self.request).await?;
        self.first_sent = first_sent(self.request, &messages, &self.route, self.shared.clock.now());
        let people: Vec<E164> = messages.iter().map(|message| message.to).collect();
        let channel_type: ChannelType = self.route.channel.channel_type;
        let consents = self.shared.store.consents(&self.request.org, channel_type, &people).await?;
        let last_inbound = if session::is_kept(channel_type) {
            self.shared.store.last_inbound(&self.request.org, &self.route.channel_name, &people).await?
        } else {
            BTreeMap::new()
        };
        let (content, now) = (self.content(&self.pinned).await?, self.shared.clock.now());
        let facts = Facts {
            people: self.people(&messages, &content, now).await?,
            request: self.request,
            pinned: &self.pinned,
            run_status,
            content,
            consents,
            channel_type,
            smart_encoding: self.route.channel.smart_encoding(),
            last_inbound,
            callback: self.shared.callback_url(&self.book, &self.route.account.name),
            via: &self.route.via,
            first_sent: self.first_sent,
            may_ask_again: self.request.attempts < i64::from(self.shared.policy.attempts),
            now,
        };
        let (mut ready, mut doubts) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in &messages {
            match facts.judge(message) {
                Decision::Nothing => {}
                Decision::End(state) => self.verdict.add(message.id.seq, state),
                Decision::Hold(state) => self.verdict.hold(message.id.seq, state),
                Decision::Send(one) => ready.push(one),
                Decision::Ask(one) => doubts.push(one),
            }
        }
        Ok((ready, doubts))
    }

    /// What the messages of a run say.
    pub(super) async fn content(&self, pinned: &Pinned) -> Result<Result<Content, Why>, StoreError> {
        let Some(template) = pinned.template else { return Ok(Ok(Content::Own)) };
        let template = self.shared.books.template(&self.book, template, pinned.version).await?;
        let failed = |problem: Unusable| Why::detailed(Reason::TemplateFailed, problem.to_string());
        Ok(template.map(Content::Template).map_err(failed))
    }

    async fn send_waves(&mut self, route: &Route, ready: Vec<Ready>) -> Result<Waves, LetGo> {
        let mut waves = ready.chunks(route.pace.wave());
        while let Some(wave) = waves.next() {
            let rest = || wave.iter().chain(waves.clone().flatten());
            if let Some(until) = self.barrier(route) {
                self.verdict.put_off(until);
                return Ok(Waves::Ended);
            }
            let begun = wave.last().map_or(0, |last| last.seq - self.request.first_seq + 1);
            let intent = Some(Intent { begun, via: route.via.clone(), first_sent: self.first_sent });
            let word = Word { intent, states: self.verdict.take(), finish: None };
            match self.shared.say(self.request, word).await? {
                Fence::Lost => return Ok(Waves::Lost),
                Fence::Held(RunStatus::Paused | RunStatus::Held) => {
                    self.verdict.put_off(self.shared.clock.now());
                    return Ok(Waves::Ended);
                }
                Fence::Held(RunStatus::Cancelling | RunStatus::Cancelled) => {
                    let now = self.shared.clock.now();
                    rest().filter(|one| !self.doubtful.contains(&one.seq)).for_each(|one| {
                        self.verdict
                            .add(one.seq, MessageState::new(Status::Cancelled, Some(Reason::Cancelled.into()), now))
                    });
                    return Ok(Waves::Made);
                }
                Fence::Held(RunStatus::Importing | RunStatus::Running | RunStatus::Completed | RunStatus::Failed) => {}
            }
            self.begun = Begun::Yes;
            if self.send_wave(route, wave).await? == Held::No {
                return Ok(Waves::Lost);
            }
            if let Some(why) = self.verdict.stop() {
                self.stop(route, why).await?;
                return Ok(Waves::Ended);
            }
        }
        Ok(Waves::Made)
    }

    /// Until when the next wave must wait, if it must.
    fn barrier(&self, route: &Route) -> Option<Timestamp> {
        let now = self.shared.clock.now();
        match (self.begun, route.breaker.ask(now)) {
            // Booked in one part of the hour and used in another: given back instead, to be booked again.
            (Begun::No, _) if now > quota::use_by(self.claimed_at) => Some(now),
            // Whoever chose the way has asked already, and may be the trial.
            (Begun::No, _) | (Begun::Yes, Passage::Free) => None,
            (Begun::Yes, Passage::Shut { until }) => Some(until),
        }
    }

    /// Makes the calls of a wave side by side, writing outcomes as they come.
    async fn send_wave(&mut self, route: &Route, wave: &[Ready]) -> Result<Held, LetGo> {
        let outgoing: Vec<_> = wave.iter().map(|one| one.outgoing.clone()).collect();
        let calls = route.provider.calls(self.shared.stamp(), &route.sender, &outgoing);
        let (shared, lease) = (self.shared, &self.lease);
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
                        &*route.provider,
                        call,
                        answer,
                        wave,
                        self.shared.trial(self.request, &self.pinned, now),
                    );
                    if let Some(asked) = found {
                        route.pace.slow_down(asked);
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

    /// The account or the sender is refused: everything that would leave through it, and no other way, waits for an operator.
    async fn stop(&mut self, route: &Route, why: Why) -> Result<(), LetGo> {
        let account = &route.account.name;
        tracing::error!(org = %self.request.org, account, channel = route.channel_name, %why, "the provider refuses the sender");
        self.shared.stop_sender(&self.book, route, self.request.id.run, &why).await?;
        self.verdict.try_again_at(self.shared.clock.now());
        Ok(())
    }

    async fn give_back(&mut self) -> Result<(), LetGo> {
        let untouched_since = (self.begun == Begun::No).then_some(self.claimed_at);
        let receipts = if self.shared.public_url.is_some() { Receipts::Expected } else { Receipts::Never };
        let poll_at = self.route.provider.polls().then(|| polling::first(receipts, self.shared.clock.now()));
        let finish = self.verdict.finish(untouched_since, poll_at);
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
    let units = match route.unit {
        Unit::Segments => carried.map(|one| one.segments).sum(),
        Unit::Messages => u32::try_from(carried.count()).unwrap_or(u32::MAX),
    };
    route.pace.ready(units).await;
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
    route.breaker.note(seen(&answer), shared.clock.now());
    (call, answer)
}

fn seen(answer: &Answer) -> Seen {
    match answer {
        Answer::Reply(reply) if reply.status < 500 => Seen::Answer,
        Answer::Reply(_) | Answer::NotSent(_) | Answer::PerhapsSent(_) => Seen::Fault,
    }
}
