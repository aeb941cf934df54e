//! Runs that begin to fail in bulk are paused in the very transaction that writes the failure.
//!
//! A transaction remembers the runs that it wrote failures of; one that wrote none looks at nothing. The others lock those runs,
//! in their order and after everything else, and hold the sums against the limits.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::{
    canary::CanaryState,
    id::{OrgId, RunId},
    limits::{Counts, Excess, Watch},
    message::Status,
    reason::Reason,
    run::{Pinned, RunStatus},
};

use super::{
    StoreError,
    consents::{Consent, ConsentChange},
    db::{Tx, args},
    replies::News,
};

/// Reasons that are named beside the figures.
const REASONS: usize = 3;

/// The runs that a transaction gave a reason to look at, each with the opt-outs that are to be counted on it.
#[derive(Default)]
pub(super) struct Watched(BTreeMap<OrgId, BTreeMap<RunId, i64>>);

impl Watched {
    /// Messages of the run have failed.
    pub(super) fn failed(&mut self, org: &OrgId, run: RunId) {
        self.0.entry(org.clone()).or_default().entry(run).or_default();
    }

    /// The runs of one organization; nobody else looks at them then.
    pub(super) fn take(&mut self, org: &OrgId) -> BTreeMap<RunId, i64> {
        self.0.remove(org).unwrap_or_default()
    }
}

/// Counts the replies that opted out on the runs that they answer. `changed` are the words that changed a consent: somebody who
/// says STOP twice is counted once.
pub(super) fn count_opt_outs(tx: &mut Tx<'_>, org: &OrgId, news: &[News<'_>], changed: &[&ConsentChange]) {
    let stops = changed.iter().filter(|change| change.consent == Consent::Out);
    for stop in stops {
        let said = news.iter().find(|news| {
            let reply = news.reply;
            (reply.channel_type, reply.from, reply.received_at) == (stop.channel_type, stop.of, stop.at)
        });
        if let Some(message) = said.and_then(|news| news.reply.answers) {
            *tx.watched.0.entry(org.clone()).or_default().entry(message.run).or_default() += 1;
        }
    }
}

/// Looks at every run that nobody has looked at yet: the last thing before a transaction ends, but for the lane of deliveries.
pub(super) async fn look_at_all(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (org, runs) in std::mem::take(&mut tx.watched.0) {
        for (run, opted_out) in runs {
            look(tx, &org, run, opted_out).await?;
        }
    }
    Ok(())
}

/// Counts opt-outs on a run, and pauses it if it has exceeded its limits and has anything left to send.
pub(super) async fn look(tx: &mut Tx<'_>, org: &OrgId, run: RunId, opted_out: i64) -> Result<(), StoreError> {
    let id = run.to_string();
    if opted_out > 0 {
        let sql = "UPDATE runs SET opted_out = opted_out + $1 WHERE org_id = $2 AND run_id = $3";
        tx.execute(sql, args![opted_out, org.as_str(), id.as_str()]).await?;
    }
    // Locked before its sums are read: of two that write failures at once, the second sees those of the first.
    let sql = "SELECT status, pinned, watch, canary, open_requests + open_ended, canary_size FROM runs WHERE org_id = $1 AND run_id = $2 LOCKED ROWS";
    let Some(row) = tx.row(sql, args![org.as_str(), id.as_str()]).await? else { return Ok(()) };
    if row.parsed::<RunStatus>(0)? != RunStatus::Running || row.int(4)? == 0 {
        return Ok(());
    }
    let limits = row.json::<Pinned>(1)?.guard.limits;
    let watch = if row.text(2)?.is_empty() { Watch::default() } else { row.json(2)? };
    let found = figures(tx, org, run).await?;
    let canary = row.text(3)?;
    let undecided = [CanaryState::Sending, CanaryState::Waiting].iter().any(|state| state.as_str() == canary);
    if undecided && found.settled >= row.int(5)? {
        return Ok(()); // nothing more of its slice goes out: what comes back is awaited, and then decided on as a whole
    }
    let Some(excess) = limits.judge(found.counts, watch) else {
        let moved = watch.moved_on(found.counts, &limits);
        if moved != watch {
            let sql = "UPDATE runs SET watch = $1 WHERE org_id = $2 AND run_id = $3";
            tx.execute(sql, args![json!(moved).to_string(), org.as_str(), id]).await?;
        }
        return Ok(());
    };
    let why = in_words(excess, &found, if undecided { "canary: " } else { "" });
    tracing::warn!(%org, %run, why, "a run fails in bulk and is paused");
    set_aside(tx, org, run).await?;
    let sql = "UPDATE runs SET status = 'paused', why = $1, canary = CASE WHEN canary IN ('sending', 'waiting') THEN 'over' ELSE canary END,
          canary_at = NULL WHERE org_id = $2 AND run_id = $3 AND status = 'running'";
    tx.execute(sql, args![why, org.as_str(), id]).await?;
    Ok(())
}

/// What is ready is paused, so that no claim goes through it all. What somebody has locked is being claimed or given back at
/// this moment: nobody waits for that here, for a claim looks at the run, and whoever holds a request asks before each wave.
async fn set_aside(tx: &mut Tx<'_>, org: &OrgId, run: RunId) -> Result<(), StoreError> {
    let sql = "WITH mine AS MATERIALIZED (
          SELECT number FROM requests WHERE org_id = $1 AND run_id = $2 AND state = 'ready' ORDER BY number SKIP LOCKED ROWS)
        UPDATE requests SET state = 'paused' FROM mine WHERE org_id = $1 AND run_id = $2 AND requests.number = mine.number";
    tx.execute(sql, args![org.as_str(), run.to_string()]).await?;
    Ok(())
}

/// What a run's sums say of how it goes.
pub(super) struct Figures {
    pub counts: Counts,
    /// Messages that have an end of whatever kind.
    settled: i64,
    /// The reasons of what failed, the most frequent first.
    reasons: Vec<(String, i64)>,
}

/// Reads a run's sums: a handful of rows, however large it is.
pub(super) async fn figures(tx: &mut Tx<'_>, org: &OrgId, run: RunId) -> Result<Figures, StoreError> {
    let id = run.to_string();
    let sql = "SELECT status, code, CAST(SUM(messages) AS BIGINT) FROM tallies WHERE org_id = $1 AND run_id = $2 GROUP BY status, code";
    let tallies = tx.rows(sql, args![org.as_str(), id.as_str()]).await?;
    let sql = "SELECT opted_out FROM runs WHERE org_id = $1 AND run_id = $2";
    let opted_out = tx.row(sql, args![org.as_str(), id]).await?.map_or(Ok(0), |row| row.int(0))?;
    let mut found = Figures { counts: Counts { opted_out, ..Counts::default() }, settled: 0, reasons: Vec::new() };
    for row in &tallies {
        let (status, code, messages) = (row.parsed::<Status>(0)?, row.text(1)?, row.int(2)?);
        let failed = matches!(status, Status::Failed | Status::Undelivered);
        if status.is_settled() {
            found.settled += messages;
        }
        if status.was_tried() {
            found.counts.ended += messages;
        }
        if failed {
            found.counts.failed += messages;
            match found.reasons.iter_mut().find(|(known, _)| known == code) {
                Some((_, count)) => *count += messages,
                None => found.reasons.push((code.to_owned(), messages)),
            }
        }
        if failed && code == Reason::OptedOut.code() {
            found.counts.opted_out += messages;
        }
    }
    found.reasons.retain(|(_, count)| *count > 0);
    found.reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(found)
}

/// Why a run is paused, for an operator.
pub(super) fn in_words(excess: Excess, found: &Figures, beginning: &str) -> String {
    let reasons: Vec<&str> = found.reasons.iter().take(REASONS).map(|(code, _)| code.as_str()).collect();
    let mostly = if reasons.is_empty() { String::new() } else { format!(" (mostly {})", reasons.join(", ")) };
    format!("{beginning}{excess}{mostly}: nothing more is sent until the run is resumed")
}
