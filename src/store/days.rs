//! Runs of a day: what events, and programs that hand contacts over, amount to in one configuration. Contacts that come close
//! together share a request: the last one of the run waits for company for a moment, as long as it is not full.

use crate::domain::{
    id::{OrgId, RunId},
    run::{REQUEST_SIZE, RunStatus},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    lanes::{self, LaneKind},
    once::{self, Hold},
    runs::{self, NewMessage, NewRun, Place, Rejected},
};

/// Contacts for a run of the day.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The run, to be made if the day does not have it yet.
    pub run: NewRun,
    /// From when its requests may be claimed.
    pub due: Timestamp,
    /// When the run's day is over, and it takes in no more.
    pub day_ends: Timestamp,
    /// Whether its last request waits for more contacts; `None`: it does not, and joins none that does.
    pub company: Option<Company>,
    /// The contacts.
    pub messages: Vec<NewMessage>,
    /// What could not be made a contact.
    pub rejected: Vec<Rejected>,
}

/// How long a request waits for company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Company {
    /// Until then.
    pub until: Timestamp,
    /// Unless it holds so many contacts.
    pub enough: usize,
}

/// Where a batch's contacts went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// The run.
    pub run: RunId,
    /// The place of its first message there; the others follow it.
    pub first: i64,
    /// The number of the request that holds the first message.
    pub request: i64,
}

/// What became of contacts that a program handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// They are queued, and this is the answer that is kept.
    Over(Added, String),
    /// The day's run was cancelled, and with it every further contact.
    Cancelled(RunId),
    /// Somebody else has taken up the caller's key meanwhile.
    Superseded,
}

impl Store {
    /// Adds one call's contacts to the run of the day, in a request of their own, and keeps what the caller is answered.
    pub async fn hand_over(
        &self,
        org: &OrgId,
        batch: &Batch,
        key: Option<(&Hold, u16)>,
        answer: &(dyn Fn(&Added) -> String + Send + Sync),
        now: Timestamp,
    ) -> Result<Handed, StoreError> {
        let mut tx = self.begin().await?;
        let begun = begin(&mut tx, org, batch, now).await?;
        let run = begun.run;
        let sql = "SELECT status FROM runs WHERE org_id = $1 AND run_id = $2";
        let status = tx.row(sql, args![org.as_str(), run.to_string()]).await?.map(|row| row.parsed(0)).transpose()?;
        if matches!(status, Some(RunStatus::Cancelling | RunStatus::Cancelled | RunStatus::Failed)) {
            return Ok(Handed::Cancelled(run));
        }
        wake(&mut tx, org, batch).await?;
        let Some(added) = add(&mut tx, org, begun, now).await? else { return Ok(Handed::Cancelled(run)) };
        let body = answer(&added);
        if let Some((hold, status)) = key
            && !once::answer(&mut tx, org, hold, status, &body).await?
        {
            return Ok(Handed::Superseded);
        }
        tx.commit().await?;
        Ok(Handed::Over(added, body))
    }
}

/// A request that waits for company, locked.
struct Waiting {
    number: i64,
    size: i64,
    due: Timestamp,
}

/// What batches have found before any lane is locked.
pub(super) struct Begun<'a> {
    batch: &'a Batch,
    run: RunId,
    waiting: Option<Waiting>,
}

/// Makes or finds the run of a batch, and locks the request that it may join. To be done with every batch of a transaction
/// before [`add`]: requests are locked before lanes, and lanes before runs.
pub(super) async fn begin<'a>(
    tx: &mut Tx<'_>,
    org: &OrgId,
    batch: &'a Batch,
    now: Timestamp,
) -> Result<Begun<'a>, StoreError> {
    let run = runs::begin_run(tx, org, &batch.run, now).await?;
    let waiting = match batch.company {
        Some(company) if !batch.messages.is_empty() => waiting(tx, org, run, batch.due, company).await?,
        Some(_) | None => None,
    };
    Ok(Begun { batch, run, waiting })
}

/// The run's last request, if nobody has taken it up yet and it may be joined.
async fn waiting(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    due: Timestamp,
    company: Company,
) -> Result<Option<Waiting>, StoreError> {
    let sql = "SELECT requests FROM runs WHERE org_id = $1 AND run_id = $2";
    let number = tx.row(sql, args![org.as_str(), run.to_string()]).await?.map_or(Ok(0), |row| row.int(0))?;
    // Later than what is added could go by itself: so it waits for company.
    let sql = "SELECT size, due_at FROM requests WHERE org_id = $1 AND run_id = $2 AND number = $3 AND state = 'ready' AND token = 0
               AND due_at > $4 AND size < $5 LOCKED ROWS";
    let enough = i64::try_from(company.enough.min(REQUEST_SIZE)).unwrap_or(1);
    let row = tx.row(sql, args![org.as_str(), run.to_string(), number, due.millis(), enough]).await?;
    row.map(|row| Ok(Waiting { number, size: row.int(0)?, due: Timestamp::from_millis(row.int(1)?) })).transpose()
}

/// Wakes the lanes that a batch has work for.
pub(super) async fn wake(tx: &mut Tx<'_>, org: &OrgId, batch: &Batch) -> Result<(), StoreError> {
    lanes::wake(tx, org, LaneKind::Requests(batch.run.priority), batch.due).await?;
    lanes::wake(tx, org, LaneKind::Upkeep, batch.day_ends).await
}

/// Adds a batch to its run; `None` if the run is gone.
pub(super) async fn add(
    tx: &mut Tx<'_>,
    org: &OrgId,
    begun: Begun<'_>,
    now: Timestamp,
) -> Result<Option<Added>, StoreError> {
    let Begun { batch, run, waiting } = begun;
    let sql = "SELECT messages, requests FROM runs WHERE org_id = $1 AND run_id = $2 LOCKED ROWS";
    let Some(row) = tx.row(sql, args![org.as_str(), run.to_string()]).await? else { return Ok(None) };
    let (after, requests) = (row.int(0)?, row.int(1)?);
    // Somebody else may have added a request since: then the one that waits is not the last any more.
    let waiting = waiting.filter(|waiting| waiting.number == requests);
    let request = waiting.as_ref().map_or(requests + 1, |waiting| waiting.number);
    // Ready also while the run is stopped: a claim looks at the run, and resuming it cannot overlook what is added here.
    let mut place = Place {
        run,
        after,
        requests,
        priority: batch.run.priority,
        state: "ready",
        due: batch.due,
        show_in_timeline: batch.run.pinned.show_in_timeline,
    };
    let joined = match waiting {
        Some(waiting) => join(tx, org, batch, run, waiting).await?,
        None => 0,
    };
    request_the_rest(tx, org, batch, &mut place, joined, now).await?;
    runs::add_rows(tx, org, &place, &batch.messages, now).await?;
    if !batch.messages.is_empty() {
        // A run that was over has something to do again; one that was cancelled, to cancel.
        let sql = "UPDATE runs SET status = CASE WHEN status = 'completed' THEN 'running' ELSE 'cancelling' END, finished_at = NULL
                   WHERE org_id = $1 AND run_id = $2 AND status IN ('completed', 'cancelled')";
        tx.execute(sql, args![org.as_str(), run.to_string()]).await?;
    }
    refuse(tx, org, run, &batch.rejected).await?;
    Ok(Some(Added { run, first: after + 1, request }))
}

/// Lets a waiting request take as many of the contacts as it has room for; how many these are.
async fn join(tx: &mut Tx<'_>, org: &OrgId, batch: &Batch, run: RunId, waiting: Waiting) -> Result<usize, StoreError> {
    let room = REQUEST_SIZE.saturating_sub(usize::try_from(waiting.size).unwrap_or(0));
    let joined = batch.messages.len().min(room);
    let size = waiting.size + i64::try_from(joined).unwrap_or(0);
    let enough = batch.company.is_none_or(|company| usize::try_from(size).is_ok_and(|size| size >= company.enough));
    let due = if enough || joined == room { batch.due } else { waiting.due };
    let sql = "UPDATE requests SET size = $4, due_at = $5 WHERE org_id = $1 AND run_id = $2 AND number = $3";
    tx.execute(sql, args![org.as_str(), run.to_string(), waiting.number, size, due.millis()]).await?;
    Ok(joined)
}

/// Requests for what joined none: the full ones may go at once, the last one waits for company if it is not enough.
async fn request_the_rest(
    tx: &mut Tx<'_>,
    org: &OrgId,
    batch: &Batch,
    place: &mut Place,
    joined: usize,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rest = batch.messages.len() - joined;
    let last = rest % REQUEST_SIZE;
    let first = |done: usize| place.after + 1 + i64::try_from(joined + done).unwrap_or(0);
    let waits = batch.company.filter(|company| last < company.enough && company.until > batch.due && last > 0);
    let Some(company) = waits else {
        return runs::add_requests(tx, org, place, first(0), rest, now).await;
    };
    let full = rest - last;
    runs::add_requests(tx, org, place, first(0), full, now).await?;
    let requests = place.requests + i64::try_from(full / REQUEST_SIZE).unwrap_or(0);
    let waiting = Place { requests, due: company.until, run: place.run, ..*place };
    runs::add_requests(tx, org, &waiting, first(full), last, now).await
}

/// Keeps what was refused, numbered after what was refused before.
async fn refuse(tx: &mut Tx<'_>, org: &OrgId, run: RunId, rejected: &[Rejected]) -> Result<(), StoreError> {
    if rejected.is_empty() {
        return Ok(());
    }
    let sql = "SELECT COALESCE(MAX(row_number), 0) FROM rejected_rows WHERE org_id = $1 AND run_id = $2";
    let last = tx.row(sql, args![org.as_str(), run.to_string()]).await?.map_or(Ok(0), |row| row.int(0))?;
    let numbered: Vec<Rejected> =
        rejected.iter().cloned().zip(last + 1..).map(|(row, number)| Rejected { row: number, ..row }).collect();
    runs::add_rejected(tx, org, run, &numbered).await
}
