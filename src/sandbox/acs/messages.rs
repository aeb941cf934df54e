//! A message from its acceptance to its report and perhaps a reply.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use serde_json::Value;

use super::{
    Acs, events, new_id,
    resources::{Resource, owner},
    rules::{Sender, is_e164},
    subscription::Subscription,
};
use crate::sandbox::{
    callbacks::{Callback, Followup, Gated, Kind},
    control::Reply,
    log::{Provider, masked},
    magic::Behaviour,
    plan::{Text, step_delay},
    schedule::Event as Scheduled,
    segments::segments,
    state::State,
    time,
};

/// A message that was accepted.
pub(in crate::sandbox) struct Message {
    pub id: Arc<str>,
    pub resource: Arc<Resource>,
    pub from: Arc<str>,
    pub to: Arc<str>,
    pub tag: Option<Arc<str>>,
    /// Whether its sender wants a report.
    pub report: bool,
    pub segments: u32,
    pub accepted_ms: i64,
}

/// A message from somebody.
pub(super) struct Inbound {
    pub id: String,
    pub from: String,
    pub to: String,
    pub text: String,
    pub segments: u32,
}

/// What becomes of a message, as its one report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Outcome {
    Delivered,
    /// With the code in the report's details.
    Failed(u32),
}

/// Something that is to happen to a message, or to events that were put aside.
#[derive(Clone)]
pub(in crate::sandbox) enum Event {
    /// Its outcome is known.
    Report { message: Arc<Message>, plan: Plan },
    /// Its recipient answers.
    Answer { message: Arc<Message>, text: Text },
    /// Events that were put aside are posted.
    Flush { subscription: Arc<Subscription>, kind: Kind },
    /// A post, once its receiver has agreed to get events.
    Post { subscription: Arc<Subscription>, post: Box<Callback> },
}

/// A post, and the subscription whose receiver must have agreed to it.
type Post = (Arc<Subscription>, Callback);

/// What is to happen to a message. Small and copied along, as a million may wait.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Plan {
    outcome: Outcome,
    reply: Option<Text>,
    /// How often the report is posted; drawn unless a magic number says it.
    copies: Option<u8>,
    /// The report does not wait for the call's answer.
    early: bool,
}

impl Plan {
    /// Decides what will happen to a message that is being accepted.
    pub(super) fn draw(state: &State, magic: Option<Behaviour>, opted_out: bool) -> Plan {
        let outcome = match magic {
            _ if opted_out => Outcome::Failed(events::OPTED_OUT),
            Some(Behaviour::Failed(code) | Behaviour::Undelivered(code)) => Outcome::Failed(code),
            Some(_) | None => Outcome::Delivered,
        };
        let stays = magic == Some(Behaviour::StaysSent);
        let reply = match outcome {
            Outcome::Delivered if !stays => Text::draw(state, magic),
            Outcome::Delivered | Outcome::Failed(_) => None,
        };
        let copies = match magic {
            Some(Behaviour::NoReceipts | Behaviour::StaysSent) => Some(0),
            Some(Behaviour::DoubleReceipts) => Some(2),
            Some(_) | None => None,
        };
        let early = magic == Some(Behaviour::ReversedReceipts) || state.dice.reorders();
        Plan { outcome, reply, copies, early }
    }

    /// Whether the report comes before the call is answered: with one report, that is the only wrong order.
    pub(super) fn is_early(self) -> bool {
        self.early
    }

    pub(super) fn start(self, state: &State, message: Arc<Message>) {
        let after = if self.early { Duration::ZERO } else { step_delay(state) };
        state.schedule.add(after, Scheduled::Acs(Event::Report { message, plan: self }));
    }
}

impl Acs {
    /// Lets an event happen. What it returns is to be posted; what follows is scheduled once that is over.
    pub(in crate::sandbox) fn perform(&self, state: &State, event: Event) -> Option<Gated> {
        let (subscription, post) = self.happen(state, event)?;
        Some((Some(subscription), post))
    }

    fn happen(&self, state: &State, event: Event) -> Option<Post> {
        match event {
            Event::Report { message, plan } => report(state, message, plan),
            Event::Answer { message, text } => {
                let words = text.words(state)?;
                self.inbound(state, &message.resource, (&message.to, &message.from), words).1
            }
            Event::Flush { subscription, kind } => {
                for events in subscription.take(kind) {
                    let post = subscription.post(kind, events, None);
                    post_later(state, Duration::ZERO, (subscription.clone(), post));
                }
                None
            }
            Event::Post { subscription, post } => Some((subscription, *post)),
        }
    }

    /// Somebody sends to one of our senders, now. Returns the message's id, or why not.
    pub(in crate::sandbox) fn receive(&self, state: &State, reply: &Reply) -> Result<Arc<str>, &'static str> {
        let (from, to) = (with_plus(&reply.from), with_plus(&reply.to));
        let resource = owner(&self.resources, &to).ok_or("to: no resource has this sender, or it is a name")?;
        if resource.subscription().is_none() {
            return Err("no subscription to the resource's events is known: set one with PUT /sandbox/acs/events");
        }
        let (id, post) = self.inbound(state, resource, (&from, &to), &reply.body);
        if let Some(post) = post {
            post_later(state, Duration::ZERO, post);
        }
        Ok(id)
    }

    /// Whether a resource has this sender on its list.
    pub(in crate::sandbox) fn lists(&self, sender: &str) -> bool {
        self.resources.iter().any(|resource| resource.lists(sender))
    }

    /// Takes an inbound message in, heeds its keyword at once, and builds the post if there is a subscription.
    fn inbound(
        &self,
        state: &State,
        resource: &Resource,
        (from, to): (&str, &str),
        text: &str,
    ) -> (Arc<str>, Option<Post>) {
        let now_ms = time::now_ms();
        let id = new_id("Incoming", now_ms);
        match text.trim().to_uppercase().as_str() {
            "STOP" => self.book().opt_out(&resource.name, to, from),
            "START" | "UNSTOP" => self.book().opt_in(&resource.name, to, from),
            _ => {}
        }
        tracing::debug!(from = masked(from), "sandbox: somebody replied");
        let Some(subscription) = resource.subscription() else {
            state.counters(Provider::Acs, Kind::Reply).withheld.fetch_add(1, Relaxed);
            return (id.into(), None);
        };
        let (from, to, text) = (from.to_owned(), to.to_owned(), text.to_owned());
        let message = Inbound { segments: segments(&text), id, from, to, text };
        let event = events::received(&message, &subscription, now_ms);
        (message.id.into(), hand_over(state, &subscription, (Kind::Reply, event), None))
    }
}

fn report(state: &State, message: Arc<Message>, plan: Plan) -> Option<Post> {
    let receives = Sender::of(&message.from).is_some_and(|sender| sender != Sender::Name);
    let then = plan.reply.filter(|_| receives).map(|text| Followup {
        after: state.dice.delay(state.settings.replies.min_delay_ms..=state.settings.replies.max_delay_ms),
        event: Scheduled::Acs(Event::Answer { message: message.clone(), text }),
    });
    if !message.report || !state.settings.receipts.enabled {
        return go_on(state, then);
    }
    let counters = state.counters(Provider::Acs, Kind::Receipt);
    let copies = plan.copies.unwrap_or_else(|| state.dice.copies());
    let subscription = message.resource.subscription().filter(|_| copies > 0);
    let Some(subscription) = subscription else {
        counters.withheld.fetch_add(1, Relaxed);
        return go_on(state, then);
    };
    let event = events::report(&message, plan.outcome, &subscription, time::now_ms());
    if copies > 1 {
        counters.duplicated.fetch_add(1, Relaxed);
        if let Some(again) = hand_over(state, &subscription, (Kind::Receipt, event.clone()), None) {
            post_later(state, step_delay(state), again);
        }
    }
    hand_over(state, &subscription, (Kind::Receipt, event), then)
}

/// A number as the service is given it; its events leave the plus out.
fn with_plus(number: &str) -> String {
    let whole = format!("+{number}");
    if is_e164(&whole) { whole } else { number.to_owned() }
}

/// A post with the event, or nothing if it waits for others to go with it.
fn hand_over(
    state: &State,
    subscription: &Arc<Subscription>,
    (kind, event): (Kind, Value),
    then: Option<Followup>,
) -> Option<Post> {
    if subscription.batch == 1 {
        return Some((subscription.clone(), subscription.post(kind, vec![event], then)));
    }
    if subscription.put_aside(kind, event) {
        let event = Event::Flush { subscription: subscription.clone(), kind };
        state.schedule.add(step_delay(state), Scheduled::Acs(event));
    }
    go_on(state, then)
}

fn post_later(state: &State, after: Duration, (subscription, post): Post) {
    state.schedule.add(after, Scheduled::Acs(Event::Post { subscription, post: Box::new(post) }));
}

/// Nothing to post: what follows is scheduled at once.
fn go_on(state: &State, then: Option<Followup>) -> Option<Post> {
    if let Some(then) = then {
        state.schedule.add(then.after, then.event);
    }
    None
}
