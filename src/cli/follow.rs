//! Follows a run to its end: a bar on a terminal, a line now and then elsewhere.

use std::time::Duration;

use super::{Failure, out::Out};
use crate::{
    app::{App, Running},
    domain::{
        id::{OrgId, RunId},
        message::Status,
        run::{Run, RunStatus, Sums},
    },
    http::views::{self, Audit},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Between two lines where nobody watches a bar.
const LINE_EVERY: u32 = 50;

/// A run as it ended, or as it stands.
#[derive(Debug)]
pub struct Followed {
    pub run: Run,
    pub sums: Sums,
    pub audit: Audit,
}

impl Followed {
    /// A run as it stands; its rows are counted if nothing changes them any more.
    pub async fn look(app: &App, org: &OrgId, id: RunId) -> Result<Option<Self>, Failure> {
        let Some(run) = app.store.run(org, id).await? else { return Ok(None) };
        let audit = if run.status.is_over() { recount(app, org, id).await? } else { Audit::Running };
        let sums = app.store.sums(org, id).await?;
        Ok(Some(Self { run, sums, audit }))
    }

    /// Whether every row stands in exactly one bucket.
    pub fn adds_up(&self) -> bool {
        match &self.audit {
            Audit::Counted(differences) => differences.is_empty(),
            Audit::Running => self.sums.untouched() >= 0,
        }
    }
}

/// Holds the running sums against the rows. Receipts may come between the two looks: only what stays different is a difference.
pub async fn recount(app: &App, org: &OrgId, id: RunId) -> Result<Audit, Failure> {
    let mut differences = Vec::new();
    for _ in 0..5 {
        let before = app.store.sums(org, id).await?;
        let counted = app.store.recount(org, id).await?;
        differences = before.disagreements(&counted);
        if differences.is_empty() {
            break;
        }
        app.clock.sleep(LOOK).await;
    }
    Ok(Audit::Counted(differences))
}

/// Follows a run until it is over or waits for a person; a broken engine ends the wait.
pub async fn follow(app: &App, running: &mut Running, out: Out, org: &OrgId, id: RunId) -> Result<Followed, Failure> {
    let gone = || anyhow::anyhow!("run {id} is gone");
    let first = app.store.run(org, id).await?.ok_or_else(gone)?;
    let bar = out.bar(u64::try_from(first.messages).unwrap_or(0), "sending");
    for round in 0u32.. {
        let sums = app.store.sums(org, id).await?;
        let run = app.store.run(org, id).await?.ok_or_else(gone)?;
        bar.set_position(u64::try_from(sums.messages - sums.waiting()).unwrap_or(0));
        if run.status.is_over() || matches!(run.status, RunStatus::Paused | RunStatus::Held) {
            break;
        }
        if !out.is_watched() && round.is_multiple_of(LINE_EVERY) && round > 0 {
            out.note(format!("  {} of {} messages dealt with", sums.messages - sums.waiting(), sums.messages));
        }
        tokio::select! {
            () = app.clock.sleep(LOOK) => {}
            broken = running.broken() => broken?,
        }
    }
    bar.finish_and_clear();
    Ok(Followed::look(app, org, id).await?.ok_or_else(gone)?)
}

/// A run for people.
pub fn print(out: Out, app: &App, followed: &Followed) {
    let Followed { run, sums, .. } = followed;
    let now = app.clock.now();
    let seconds = views::seconds(run, now);
    out.line(format!(
        "{}  {}  {}{}",
        run.id,
        run.name,
        run.status,
        if run.why.is_empty() { String::new() } else { format!(": {}", run.why) }
    ));
    out.line(format!(
        "  from {}; {} rows in {} requests, {} counted against the quota",
        run.source,
        sums.rows(),
        run.requests,
        run.dispatched
    ));
    if let Some(canary) = run.canary {
        out.line(format!("  {}", canary.in_words(run.messages)));
    }
    for warning in views::warnings(run) {
        out.line(format!("  warning: {warning}"));
    }
    for (bucket, count) in sums.buckets() {
        out.line(format!("  {bucket:12} {count:>9}{}", reasons(sums, bucket)));
    }
    if run.opted_out > 0 {
        out.line(format!("  {} answered with an opt-out", run.opted_out));
    }
    out.line(format!("  {:12} {:>9}  {}", "all rows", sums.rows(), told(&followed.audit)));
    out.line(format!("  {} segments; {seconds:.1} s, {:.0} messages/s", sums.segments(), views::rate(sums, seconds)));
}

fn told(audit: &Audit) -> String {
    match audit {
        Audit::Counted(differences) if differences.is_empty() => "every row counted in exactly one bucket".to_owned(),
        Audit::Counted(differences) => format!("DOES NOT ADD UP: {}", differences.join("; ")),
        Audit::Running => "so far".to_owned(),
    }
}

/// The reasons behind a bucket, the most frequent first.
fn reasons(sums: &Sums, bucket: &str) -> String {
    let Ok(status) = bucket.parse::<Status>() else { return String::new() };
    let mut reasons: Vec<(String, i64)> = Vec::new();
    for tally in
        sums.tallies.iter().filter(|tally| tally.status == status && !tally.code.is_empty() && tally.messages > 0)
    {
        match reasons.iter_mut().find(|(code, _)| *code == tally.code) {
            Some((_, count)) => *count += tally.messages,
            None => reasons.push((tally.code.clone(), tally.messages)),
        }
    }
    reasons.sort_by_key(|(_, count)| -count);
    let told: Vec<String> = reasons.into_iter().map(|(code, count)| format!("{code} {count}")).collect();
    if told.is_empty() { String::new() } else { format!("  ({})", told.join(", ")) }
}
