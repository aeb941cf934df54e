//! How runs and messages are shown to programs: the same in the API and on the command line.

use serde_json::{Map, Value, json};

use crate::{
    domain::{
        contact::{REGARDING, RELATIONSHIP},
        message::Status,
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

/// A run as JSON (SPEC 2).
pub fn run(run: &Run, sums: &Sums, audit: &Audit, now: Timestamp) -> Value {
    let buckets: Map<String, Value> =
        sums.buckets().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    let adds_up = match audit {
        Audit::Counted(differences) => differences.is_empty(),
        Audit::Running => sums.untouched() >= 0,
    };
    let seconds = seconds(run, now);
    json!({
        "id": run.id, "configuration": run.name, "configuration_id": run.configuration, "priority": run.priority.as_str(),
        "status": run.status, "why": run.why, "source": run.source,
        "rows": sums.rows(), "buckets": buckets, "reasons": reasons(sums), "locales": locales(sums), "adds_up": adds_up,
        "requests": run.requests, "dispatched": run.dispatched, "segments": sums.segments(),
        "created_at": run.created_at, "started_at": run.started_at, "finished_at": run.finished_at,
        "seconds": round(seconds), "messages_per_second": round(rate(sums, seconds)),
        "warnings": warnings(run), "opted_out": run.opted_out,
        "canary": run.canary.map(|canary| json!({
            "state": canary.state, "messages": canary.messages, "decided_at": canary.decided_at,
            "in_words": canary.in_words(run.messages),
        })),
    })
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
fn reasons(sums: &Sums) -> Map<String, Value> {
    let mut reasons = Map::new();
    for tally in sums.tallies.iter().filter(|tally| !tally.code.is_empty() && tally.messages != 0) {
        let count = reasons.get(&tally.code).and_then(Value::as_i64).unwrap_or(0);
        reasons.insert(tally.code.clone(), (count + tally.messages).into());
    }
    reasons
}

/// How many messages were rendered in each locale.
pub fn locales(sums: &Sums) -> Map<String, Value> {
    let mut locales = Map::new();
    for tally in sums.tallies.iter().filter(|tally| !tally.locale.is_empty() && tally.messages != 0) {
        let count = locales.get(&tally.locale).and_then(Value::as_i64).unwrap_or(0);
        locales.insert(tally.locale.clone(), (count + tally.messages).into());
    }
    locales
}

/// A message as JSON.
pub fn message(message: &StoredMessage) -> Value {
    let state = message.state.as_ref();
    let why = state.and_then(|state| state.why.as_ref());
    json!({
        "id": message.id, "run": message.id.run, "row": message.row, "to": message.to, "status": message.status(),
        "code": why.map(|why| why.reason.code()), "reason": why.map(ToString::to_string),
        "provider_code": why.map(|why| why.provider_code.as_str()).filter(|code| !code.is_empty()),
        "provider_id": state.map(|state| state.provider_id.as_str()).filter(|id| !id.is_empty()),
        "locale": state.map(|state| state.locale.as_str()).filter(|locale| !locale.is_empty()),
        "segments": state.map(|state| state.segments), "sent_at": state.and_then(|state| state.sent_at),
        "changed_at": state.map(|state| state.changed_at),
    })
}
