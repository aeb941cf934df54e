//! How runs and messages are shown to programs: the same in the API and on the command line.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        contact::{REGARDING, RELATIONSHIP},
        fairness::Priority,
        id::{ConfigurationId, MessageId, RunId},
        message::Status,
        phone::E164,
        run::{Run, RunStatus, Sums},
        time::Timestamp,
    },
    store::{messages::StoredMessage, timeline::LONGEST_LINK},
};

/// Whether a run's sums were held against the rows themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audit {
    /// They were: these are the differences, none if it adds up.
    Counted(Vec<String>),
    /// The run still goes: only that nothing is reported on twice is known.
    Running,
}

/// One firing of a configuration over an audience, with its sums (SPEC 2).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunView {
    id: RunId,
    /// The name of the configuration that fired.
    configuration: String,
    configuration_id: ConfigurationId,
    #[schema(value_type = Priority)]
    priority: &'static str,
    status: RunStatus,
    /// Why it is held, or failed; empty otherwise.
    why: String,
    /// Where its audience came from.
    source: String,
    /// Rows that came in: each stands in exactly one bucket.
    rows: i64,
    /// How many messages have each status; `invalid`: the rows that were refused.
    buckets: BTreeMap<String, i64>,
    /// How many messages each reason holds, by its code.
    reasons: BTreeMap<String, i64>,
    /// How many messages were rendered in each locale.
    locales: BTreeMap<String, i64>,
    /// Whether the buckets make up the rows.
    adds_up: bool,
    /// Batches of at most 100 messages that it was cut into.
    requests: i64,
    /// Requests counted against the quota, retries included.
    dispatched: i64,
    segments: i64,
    created_at: Timestamp,
    /// When it could first be sent.
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// How long it has been sending.
    seconds: f64,
    /// Messages that a provider has taken, each second.
    messages_per_second: f64,
    /// What somebody who looks at it should know beyond its sums.
    warnings: Vec<String>,
    /// How many people opted out with a reply to it.
    opted_out: i64,
    /// Its first slice, if it has one.
    canary: Option<CanaryView>,
}

/// A run's first slice: what was sent first, to see how it goes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CanaryView {
    state: &'static str,
    /// How many messages it has.
    messages: i64,
    /// When it was, or will be, decided on.
    decided_at: Option<Timestamp>,
    /// For people.
    in_words: String,
}

/// A run as programs see it.
pub fn run(run: &Run, sums: &Sums, audit: &Audit, now: Timestamp) -> RunView {
    let adds_up = match audit {
        Audit::Counted(differences) => differences.is_empty(),
        Audit::Running => sums.untouched() >= 0,
    };
    let seconds = seconds(run, now);
    RunView {
        id: run.id,
        configuration: run.name.clone(),
        configuration_id: run.configuration,
        priority: run.priority.as_str(),
        status: run.status,
        why: run.why.clone(),
        source: run.source.clone(),
        rows: sums.rows(),
        buckets: sums.buckets().into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        reasons: reasons(sums),
        locales: locales(sums),
        adds_up,
        requests: run.requests,
        dispatched: run.dispatched,
        segments: sums.segments(),
        created_at: run.created_at,
        started_at: run.started_at,
        finished_at: run.finished_at,
        seconds: round(seconds),
        messages_per_second: round(rate(sums, seconds)),
        warnings: warnings(run),
        opted_out: run.opted_out,
        canary: run.canary.map(|canary| CanaryView {
            state: canary.state.as_str(),
            messages: canary.messages,
            decided_at: canary.decided_at,
            in_words: canary.in_words(run.messages),
        }),
    }
}

/// What somebody who looks at the run should know beyond its sums, in words.
pub fn warnings(run: &Run) -> Vec<String> {
    let unlinked = (run.unlinked > 0 && run.status != RunStatus::Failed).then(|| {
        format!(
            "{} of {} messages leave no activity on a timeline: they came without {RELATIONSHIP} and {REGARDING}, or these are longer than {LONGEST_LINK} bytes",
            run.unlinked, run.messages
        )
    });
    unlinked.into_iter().collect()
}

/// How long the run has been sending, in seconds.
pub fn seconds(run: &Run, now: Timestamp) -> f64 {
    run.started_at.map_or(0.0, |started| run.finished_at.unwrap_or(now).since(started).as_secs_f64())
}

/// Messages that a provider has taken, each second of the run.
pub fn rate(sums: &Sums, seconds: f64) -> f64 {
    let taken: i64 = [Status::Sent, Status::Delivered, Status::Read, Status::Undelivered]
        .iter()
        .map(|status| sums.of(*status))
        .sum();
    if seconds > 0.0 { taken as f64 / seconds } else { 0.0 }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// How many messages each reason holds.
fn reasons(sums: &Sums) -> BTreeMap<String, i64> {
    let mut reasons = BTreeMap::new();
    for tally in sums.tallies.iter().filter(|tally| !tally.code.is_empty() && tally.messages != 0) {
        *reasons.entry(tally.code.clone()).or_default() += tally.messages;
    }
    reasons
}

/// How many messages were rendered in each locale.
pub fn locales(sums: &Sums) -> BTreeMap<String, i64> {
    let mut locales = BTreeMap::new();
    for tally in sums.tallies.iter().filter(|tally| !tally.locale.is_empty() && tally.messages != 0) {
        *locales.entry(tally.locale.clone()).or_default() += tally.messages;
    }
    locales
}

/// One text to one contact.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageView {
    id: MessageId,
    run: RunId,
    /// The line in the file, or the place in the call.
    row: i64,
    to: E164,
    status: Status,
    /// Why it has this status, for programs.
    code: Option<&'static str>,
    /// Why it has this status, for people.
    reason: Option<String>,
    /// The provider's own code for it.
    provider_code: Option<String>,
    /// What the provider calls the message.
    provider_id: Option<String>,
    /// The locale that it was rendered in.
    locale: Option<String>,
    segments: Option<i64>,
    /// When a provider took it.
    sent_at: Option<Timestamp>,
    /// Until when it waits, and the reason says for what.
    held_until: Option<Timestamp>,
    changed_at: Option<Timestamp>,
}

/// A message as programs see it.
pub fn message(message: &StoredMessage) -> MessageView {
    let state = message.state.as_ref();
    let why = state.and_then(|state| state.why.as_ref());
    MessageView {
        id: message.id,
        run: message.id.run,
        row: message.row,
        to: message.to,
        status: message.status(),
        code: why.map(|why| why.reason.code()),
        reason: why.map(ToString::to_string),
        provider_code: why.and_then(|why| filled(&why.provider_code)),
        provider_id: state.and_then(|state| filled(&state.provider_id)),
        locale: state.and_then(|state| filled(&state.locale)),
        segments: state.map(|state| state.segments),
        sent_at: state.and_then(|state| state.sent_at),
        held_until: state.and_then(|state| state.held_until),
        changed_at: state.map(|state| state.changed_at),
    }
}

/// A text, or nothing where it is empty.
pub(super) fn filled(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).map(str::to_owned)
}
