//! What a request's sending has amounted to so far: outcomes not yet written, and what the request is to do next.

use std::time::Duration;

use super::{judge::Ready, transport::Answer};
use crate::{
    domain::{
        message::Status,
        outcome::Outcome,
        phone::E164,
        reason::{Reason, Scope, Why},
        retry::{self, Next, RetryPolicy, Tried},
        state::MessageState,
        time::Timestamp,
    },
    provider::{Call, Provider},
    store::settle::Finish,
};

/// What a doubt still wishes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: only a later receipt can resolve it.
    Nothing,
    /// To ask the provider once more, after so long.
    AskAgain(Duration),
}

/// How long to wait before the provider is first asked about a doubt: its own records lag.
const ASK_AFTER: Duration = Duration::from_secs(5);
/// The longest wait between two questions.
const ASK_AFTER_AT_MOST: Duration = Duration::from_mins(30);

/// How long to wait before the provider is asked about a doubt, in this attempt: 5 s, 20 s, 80 s, …, so that the questions
/// outlast an outage of an hour, as retries do.
pub fn ask_after(attempts: i64) -> Duration {
    let rounds = u32::try_from(attempts.clamp(1, 8) - 1).unwrap_or(0);
    (ASK_AFTER * 4u32.pow(rounds)).min(ASK_AFTER_AT_MOST)
}

/// What a retry goes by.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The policy.
    pub policy: &'a RetryPolicy,
    /// Claims of the request so far, this one included.
    pub attempt: u32,
    /// When its contacts were accepted.
    pub accepted_at: Timestamp,
    /// How long they are worth sending.
    pub valid_for: Duration,
    /// Now.
    pub now: Timestamp,
    /// A number from 0 to 1.
    pub jitter: f64,
}

/// Outcomes not yet written, and what comes next.
#[derive(Debug)]
pub struct Verdict {
    token: i64,
    states: Vec<(i64, MessageState)>,
    retry_at: Option<Timestamp>,
    put_off: Option<Timestamp>,
    held: Option<Timestamp>,
    stop: Option<Why>,
    counted: Vec<(Status, Option<Reason>)>,
    opted_out: Vec<(E164, String)>,
}

impl Verdict {
    /// Nothing yet, in the attempt with this fence.
    pub fn new(token: i64) -> Self {
        Self {
            token,
            states: Vec::new(),
            retry_at: None,
            put_off: None,
            held: None,
            stop: None,
            counted: Vec::new(),
            opted_out: Vec::new(),
        }
    }

    /// Adds what became of a message.
    pub fn add(&mut self, seq: i64, state: MessageState) {
        self.counted.push((state.status, state.why.as_ref().map(|why| why.reason)));
        self.states.push((seq, MessageState { token: self.token, ..state }));
    }

    /// Adds that a message is held: it waits for the time that its state says.
    pub fn hold(&mut self, seq: i64, state: MessageState) {
        state.held_until.into_iter().for_each(|until| self.hold_until(until));
        self.add(seq, state);
    }

    /// Something of the request waits for a time that is set.
    pub fn hold_until(&mut self, until: Timestamp) {
        self.held = Some(self.held.map_or(until, |earlier| earlier.min(until)));
    }

    /// The provider has a message that was in doubt.
    pub fn found(&mut self, ready: &Ready, provider_id: String, status: Status, why: Option<Why>, now: Timestamp) {
        let state = MessageState { provider_id, sent_at: Some(now), ..rendered(ready, status, why, now) };
        self.add(ready.seq, state);
    }

    /// Nobody knows whether a message was sent.
    pub fn doubt(&mut self, ready: &Ready, why: Why, wish: Wish, now: Timestamp) {
        self.add(ready.seq, rendered(ready, Status::Uncertain, Some(why), now));
        if let Wish::AskAgain(after) = wish {
            self.try_again_at(now.plus(after));
        }
    }

    /// Judges what a call brought. `Some`: the provider asks the channel to slow down, for so long if it said.
    pub fn judge(
        &mut self,
        provider: &dyn Provider,
        call: &Call,
        answer: Answer,
        wave: &[Ready],
        trial: Trial<'_>,
    ) -> Option<Option<Duration>> {
        let outcomes = match answer {
            Answer::Reply(reply) => provider.outcomes(call, &reply),
            Answer::NotSent(detail) => {
                let why = Why::detailed(Reason::NoConnection, detail);
                call.carries.iter().map(|_| Outcome::Deferred { why: why.clone(), after: None }).collect()
            }
            Answer::PerhapsSent(detail) => {
                let why = Why::detailed(Reason::NoAnswer, detail);
                call.carries.iter().map(|_| Outcome::InDoubt { why: why.clone() }).collect()
            }
        };
        let mut slow = None;
        for ((id, _), outcome) in call.carries.iter().zip(outcomes) {
            let Some(ready) = wave.iter().find(|one| one.seq == id.seq) else { continue };
            if let Outcome::Deferred { why, after } = &outcome
                && matches!(why.reason, Reason::Throttled | Reason::QueueFull)
            {
                slow = Some(*after);
            }
            self.take_outcome(ready, outcome, trial);
        }
        slow
    }

    fn take_outcome(&mut self, ready: &Ready, outcome: Outcome, trial: Trial<'_>) {
        let now = trial.now;
        match outcome {
            Outcome::Accepted { provider_id } => {
                let state =
                    MessageState { provider_id, sent_at: Some(now), ..rendered(ready, Status::Sent, None, now) };
                self.add(ready.seq, state);
            }
            Outcome::Deferred { why, after } => self.defer(ready, why, after, trial),
            Outcome::Rejected { why } if matches!(why.reason.scope(), Scope::Account | Scope::Channel) => {
                // Not this message's fault: it stays queued, and the sender stops.
                self.add(ready.seq, rendered(ready, Status::Queued, Some(why.clone()), now));
                self.stop.get_or_insert(why);
            }
            Outcome::Rejected { why } => {
                if why.reason == Reason::OptedOut {
                    self.opted_out.push((ready.outgoing.to, format!("provider {}", why.provider_code)));
                }
                self.add(ready.seq, rendered(ready, Status::Failed, Some(why), now));
            }
            Outcome::InDoubt { why } => {
                self.doubt(ready, why, Wish::AskAgain(ask_after(i64::from(trial.attempt))), now);
            }
        }
    }

    fn defer(&mut self, ready: &Ready, why: Why, asked: Option<Duration>, trial: Trial<'_>) {
        let tried = Tried {
            attempt: trial.attempt,
            reason: why.reason,
            asked,
            accepted_at: trial.accepted_at,
            valid_for: trial.valid_for,
        };
        match retry::next(trial.policy, &tried, trial.now, trial.jitter) {
            Next::RetryAt(at) => {
                self.try_again_at(at);
                self.add(ready.seq, rendered(ready, Status::Queued, Some(why), trial.now));
            }
            Next::Hopeless(_) => self.add(ready.seq, rendered(ready, Status::Failed, Some(why), trial.now)),
            Next::Spent(attempts) => {
                let last = Why::detailed(Reason::AttemptsSpent, format!("{attempts} tries; the last: {why}"))
                    .with_code(&why.provider_code);
                self.add(ready.seq, rendered(ready, Status::Failed, Some(last), trial.now));
            }
            Next::TooOld => {
                let last = Why::detailed(Reason::Expired, format!("the last try: {why}")).with_code(&why.provider_code);
                self.add(ready.seq, rendered(ready, Status::Expired, Some(last), trial.now));
            }
        }
    }

    /// The request is wanted again, not later than this.
    pub fn try_again_at(&mut self, at: Timestamp) {
        self.retry_at = Some(self.retry_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Why the account or the sender is to stop, if it is.
    pub fn stop(&self) -> Option<Why> {
        self.stop.clone()
    }

    /// What is left is not begun now; it is wanted again at this time.
    pub fn put_off(&mut self, until: Timestamp) {
        self.put_off = Some(until);
    }

    /// What becomes of the request: as `claimed_at` if no call was made for it, and to be polled at `poll_at` if it is done.
    pub fn finish(&self, untouched_since: Option<Timestamp>, poll_at: Option<Timestamp>) -> Finish {
        let later = [self.retry_at, self.put_off, self.held].into_iter().flatten().min();
        match (later, self.retry_at, self.put_off, untouched_since) {
            (None, ..) => Finish::Done { poll_at },
            (Some(until), None, _, Some(claimed_at)) => Finish::PutOff { until, claimed_at },
            (Some(until), None, None, None) => Finish::Hold { until },
            (Some(until), Some(_), _, _) | (Some(until), _, Some(_), None) => Finish::RetryAt(until),
        }
    }

    /// The outcomes that are not written yet; they count as written from now on.
    pub fn take(&mut self) -> Vec<(i64, MessageState)> {
        std::mem::take(&mut self.states)
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Those who the provider says have opted out, and in which words.
    pub fn opted_out(&self) -> &[(E164, String)] {
        &self.opted_out
    }

    /// Everything that was judged in this attempt.
    pub fn counted(&self) -> &[(Status, Option<Reason>)] {
        &self.counted
    }
}

fn rendered(ready: &Ready, status: Status, why: Option<Why>, now: Timestamp) -> MessageState {
    MessageState {
        locale: ready.locale.clone(),
        segments: i64::from(ready.segments),
        via: ready.via.clone(),
        ..MessageState::new(status, why, now)
    }
}
