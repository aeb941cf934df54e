//! What is to happen to a message after it was accepted: the steps of its status, how often each is told, and perhaps a
//! reply. Generic over a provider's statuses; each provider draws its own plan and gives its steps their wire form.
//!
//! A step is scheduled when the one before it is over, so that receipts leave in order unless a fault says otherwise.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    callbacks::{Callback, Followup, Kind},
    magic::Behaviour,
    schedule::Event,
    state::State,
};

/// Steps at most: queued, sent, delivered, read.
const STEPS: usize = 4;

/// The steps of a message. Small and copied along, as a million may wait.
#[derive(Clone, Copy)]
pub(super) struct Plan<S> {
    steps: [Option<S>; STEPS],
    len: u8,
    /// The provider's code, if the last step is a failure.
    pub(super) error: Option<u32>,
    /// What the recipient answers once the last step is over.
    pub(super) reply: Option<Text>,
    /// How often each receipt is posted; drawn for each unless a magic number says it.
    copies: Option<u8>,
}

/// What a recipient answers.
#[derive(Clone, Copy)]
pub(super) enum Text {
    /// What the magic number says.
    Magic(&'static str),
    /// One of the texts of the settings.
    Setting(usize),
}

impl<S: Copy> Plan<S> {
    pub(super) fn new() -> Self {
        Plan { steps: [None; STEPS], len: 0, error: None, reply: None, copies: None }
    }

    pub(super) fn push(&mut self, step: S) {
        if let Some(place) = self.steps.get_mut(usize::from(self.len)) {
            *place = Some(step);
            self.len += 1;
        }
    }

    /// The last step, a failure.
    pub(super) fn fail(&mut self, step: S, code: u32) {
        self.push(step);
        self.error = Some(code);
    }

    /// Ends the plan at the step `at`, which then is a failure.
    pub(super) fn cut_short(&mut self, at: u8, code: u32) {
        self.len = at + 1;
        self.error = Some(code);
        self.reply = None;
    }

    pub(super) fn step(&self, at: u8) -> Option<S> {
        self.steps.get(usize::from(at)).copied().flatten().filter(|_| at < self.len)
    }

    /// What magic and faults do to the receipts: none, twice, or the last two in the wrong order.
    pub(super) fn spoil(&mut self, state: &State, magic: Option<Behaviour>) {
        match magic {
            Some(Behaviour::NoReceipts) => self.copies = Some(0),
            Some(Behaviour::DoubleReceipts) => self.copies = Some(2),
            Some(_) | None => {}
        }
        if self.len >= 2 && (magic == Some(Behaviour::ReversedReceipts) || state.dice.reorders()) {
            let last = usize::from(self.len) - 1;
            self.steps.swap(last - 1, last);
        }
    }

    /// What follows the step `at`: the next one, as `advance` puts it, or the reply.
    pub(super) fn followup(
        &self,
        state: &State,
        at: u8,
        advance: impl FnOnce(u8) -> Event,
        answer: impl FnOnce(Text) -> Event,
    ) -> Option<Followup> {
        if at + 1 < self.len {
            return Some(Followup { after: step_delay(state), event: advance(at + 1) });
        }
        let replies = &state.settings.replies;
        self.reply.map(|text| Followup {
            after: state.dice.delay(replies.min_delay_ms..=replies.max_delay_ms),
            event: answer(text),
        })
    }

    /// Hands a step's receipt over as often as it is to be posted, and `then` to be scheduled once that is over. Without a
    /// receipt (nobody wants one) what follows is scheduled at once.
    pub(super) fn tell(&self, state: &State, receipt: Option<Callback>, then: Option<Followup>) -> Option<Callback> {
        let Some(receipt) = receipt else { return go_on(state, then) };
        let copies = self.copies.unwrap_or_else(|| state.dice.copies());
        if copies == 0 {
            state.counters(receipt.provider, Kind::Receipt).withheld.fetch_add(1, Relaxed);
            return go_on(state, then);
        }
        if copies > 1 {
            state.counters(receipt.provider, Kind::Receipt).duplicated.fetch_add(1, Relaxed);
            state.schedule.add(step_delay(state), Event::Post(Box::new(receipt.clone())));
        }
        Some(Callback { then, ..receipt })
    }
}

impl Text {
    /// Whether, and what, the recipient of a message that is being accepted will answer.
    pub(super) fn draw(state: &State, magic: Option<Behaviour>) -> Option<Text> {
        if let Some(Behaviour::Reply(text)) = magic {
            return Some(Text::Magic(text));
        }
        let replies = &state.settings.replies;
        state.dice.hit(replies.share).then(|| Text::Setting(state.dice.index(replies.texts.len())))
    }

    pub(super) fn words(self, state: &State) -> Option<&str> {
        match self {
            Text::Magic(text) => Some(text),
            Text::Setting(index) => state.settings.replies.texts.get(index).map(String::as_str),
        }
    }
}

/// The time between two steps, drawn anew for each.
pub(super) fn step_delay(state: &State) -> Duration {
    state.dice.delay(state.settings.receipts.min_delay_ms..=state.settings.receipts.max_delay_ms)
}

/// Nothing to post: what follows is scheduled at once.
fn go_on(state: &State, then: Option<Followup>) -> Option<Callback> {
    if let Some(then) = then {
        state.schedule.add(then.after, then.event);
    }
    None
}
