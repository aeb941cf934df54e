//! Runs: made, filled, opened, controlled, counted.

use serde_json::{Value, json};

use crate::domain::{
    canary::Canary,
    contact::{Contact, OptIn},
    fairness::Priority,
    id::{ConfigurationId, OrgId, RunId},
    purpose::Purpose,
    run::{Pinned, REQUEST_SIZE, Run, Sums, Tally},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args, json_rows},
    lanes::{self, LaneKind},
    timeline,
};

/// A run that is to begin.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// What fires.
    pub configuration: ConfigurationId,
    /// The configuration's name.
    pub name: String,
    /// Its lane.
    pub priority: Priority,
    /// What it is the one answer to: a due time, a day. `None`: nothing else will ever be the same firing.
    pub firing: Option<String>,
    /// What it keeps.
    pub pinned: Pinned,
    /// Where its audience comes from, in words.
    pub source: String,
    /// SHA-256 of the uploaded file; empty if there is none.
    pub digest: String,
    /// The file's own columns.
    pub columns: Vec<String>,
    /// Whether more may be added until it is closed (a day of automatic messages).
    pub lasting: Lasting,
}

/// How long a run takes in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Until its audience is read.
    OneAudience,
    /// Until it is closed.
    OpenEnded,
}

/// A row for a run.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The line in the file, or the place in the call.
    pub row: i64,
    /// The recipient and what the text needs.
    pub contact: Contact,
    /// Whether the number stands earlier in the run.
    pub repeat: Repeat,
}

/// Whether a number stands earlier in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It does not.
    First,
    /// It does: suppressed as a duplicate.
    Again,
}

/// A row that was refused at the door.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The line in the file, or the place in the call.
    pub row: i64,
    /// As it was.
    pub fields: Vec<String>,
    /// What is wrong with it, in words.
    pub problems: String,
}

const RUN: &str =
    "SELECT run_id, configuration, name, priority, status, why, pinned, source, columns, messages, rejected, requests,
  open_requests, dispatched, created_at, started_at, finished_at, unlinked, canary, canary_size, canary_decided, opted_out FROM runs";

fn read_run(row: &Row) -> Result<Run, StoreError> {
    Ok(Run {
        id: row.parsed(0)?,
        configuration: row.parsed(1)?,
        name: row.text(2)?.to_owned(),
        priority: row.parsed(3)?,
        status: row.parsed(4)?,
        why: row.text(5)?.to_owned(),
        pinned: row.json(6)?,
        source: row.text(7)?.to_owned(),
        columns: row.json(8)?,
        messages: row.int(9)?,
        rejected: row.int(10)?,
        requests: row.int(11)?,
        open_requests: row.int(12)?,
        dispatched: row.int(13)?,
        created_at: Timestamp::from_millis(row.int(14)?),
        started_at: row.maybe_int(15)?.map(Timestamp::from_millis),
        finished_at: row.maybe_int(16)?.map(Timestamp::from_millis),
        unlinked: row.int(17)?,
        canary: read_canary(row, 18)?,
        opted_out: row.int(21)?,
    })
}

/// Reads a first slice from three columns, beginning at `first` with how far it has come.
fn read_canary(row: &Row, first: usize) -> Result<Option<Canary>, StoreError> {
    if row.text(first)?.is_empty() {
        return Ok(None);
    }
    let decided_at = row.maybe_int(first + 2)?.map(Timestamp::from_millis);
    Ok(Some(Canary { state: row.parsed(first)?, messages: row.int(first + 1)?, decided_at }))
}

impl Store {
    /// Makes a run. If the same firing already has one, that one is returned instead and nothing is made.
    pub async fn begin_run(&self, org: &OrgId, new: &NewRun, now: Timestamp) -> Result<RunId, StoreError> {
        let mut tx = self.begin().await?;
        let run = begin_run(&mut tx, org, new, now).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// Adds rows to a run that is importing, cut into requests; `after` is how many messages it must have already, so that a
    /// chunk is never added twice. Nothing can be claimed before [`Store::open_run`].
    pub async fn add_chunk(
        &self,
        org: &OrgId,
        run: RunId,
        after: i64,
        messages: &[NewMessage],
        rejected: &[Rejected],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sql = "SELECT messages, requests, priority, pinned FROM runs WHERE org_id = $1 AND run_id = $2 AND status = 'importing' LOCKED ROWS";
        let row = tx.row(sql, args![org.as_str(), run.to_string()]).await?;
        let Some(row) = row.filter(|row| row.int(0).is_ok_and(|have| have == after)) else {
            return Ok(()); // already there
        };
        let show_in_timeline = row.json::<Pinned>(3)?.show_in_timeline;
        let (requests, priority) = (row.int(1)?, row.parsed(2)?);
        let place = Place { run, after, requests, priority, state: "importing", due: now, show_in_timeline };
        add_messages(&mut tx, org, &place, messages, now).await?;
        add_rejected(&mut tx, org, run, rejected).await?;
        let sql = "UPDATE runs SET touched_at = $1 WHERE org_id = $2 AND run_id = $3";
        tx.execute(sql, args![now.millis(), org.as_str(), run.to_string()]).await?;
        tx.commit().await
    }

    /// The audience could not be taken in: nothing of the run was or will be sent.
    pub async fn fail_run(&self, org: &OrgId, run: RunId, why: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        lanes::wake(&mut tx, org, LaneKind::Upkeep, now).await?; // its rows are cleared away
        let sql = "UPDATE runs SET status = 'failed', why = $1, finished_at = $2 WHERE org_id = $3 AND run_id = $4 AND status = 'importing'";
        tx.execute(sql, args![why, now.millis(), org.as_str(), run.to_string()]).await?;
        tx.commit().await
    }

    /// One run.
    pub async fn run(&self, org: &OrgId, run: RunId) -> Result<Option<Run>, StoreError> {
        let sql = format!("{RUN} WHERE org_id = $1 AND run_id = $2");
        let row = self.row(&sql, args![org.as_str(), run.to_string()]).await?;
        row.as_ref().map(read_run).transpose()
    }

    /// The newest runs before `before` (all: `None`), newest first.
    pub async fn runs(&self, org: &OrgId, before: Option<RunId>, limit: i64) -> Result<Vec<Run>, StoreError> {
        // Greater than any id, in whatever order the database sorts letters and marks.
        let before = before.map_or_else(|| "run_ZZZZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(), |run| run.to_string());
        let sql = format!("{RUN} WHERE org_id = $1 AND run_id < $2 ORDER BY run_id DESC LIMIT $3");
        let rows = self.rows(&sql, args![org.as_str(), before, limit]).await?;
        rows.iter().map(read_run).collect()
    }

    /// The run's sums as they are kept while it goes.
    pub async fn sums(&self, org: &OrgId, run: RunId) -> Result<Sums, StoreError> {
        let sql = "SELECT status, code, locale, messages, segments FROM tallies WHERE org_id = $1 AND run_id = $2 ORDER BY status, code, locale";
        let tallies = self.rows(sql, args![org.as_str(), run.to_string()]).await?;
        let sql = "SELECT messages, rejected FROM runs WHERE org_id = $1 AND run_id = $2";
        let row = self.row(sql, args![org.as_str(), run.to_string()]).await?;
        let (messages, rejected) =
            row.map(|row| Ok::<_, StoreError>((row.int(0)?, row.int(1)?))).transpose()?.unwrap_or((0, 0));
        Ok(Sums { tallies: tallies.iter().map(read_tally).collect::<Result<_, _>>()?, messages, rejected })
    }

    /// The same sums counted afresh from the rows themselves: reads every row of the run.
    pub async fn recount(&self, org: &OrgId, run: RunId) -> Result<Sums, StoreError> {
        let sql = "SELECT status, code, locale, COUNT(*), CAST(SUM(segments) AS BIGINT) FROM message_states
                   WHERE org_id = $1 AND run_id = $2 GROUP BY status, code, locale ORDER BY status, code, locale";
        let tallies = self.rows(sql, args![org.as_str(), run.to_string()]).await?;
        let count = async |sql: &str| -> Result<i64, StoreError> {
            let row = self.row(sql, args![org.as_str(), run.to_string()]).await?;
            row.map_or(Ok(0), |row| row.int(0))
        };
        let messages = count("SELECT COUNT(*) FROM messages WHERE org_id = $1 AND run_id = $2").await?;
        let rejected = count("SELECT COUNT(*) FROM rejected_rows WHERE org_id = $1 AND run_id = $2").await?;
        Ok(Sums { tallies: tallies.iter().map(read_tally).collect::<Result<_, _>>()?, messages, rejected })
    }

    /// How many of the run's messages a provider has given an id: those that were handed over.
    pub async fn handed_over(&self, org: &OrgId, run: RunId) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) FROM message_states WHERE org_id = $1 AND run_id = $2 AND provider_id <> ''";
        let row = self.row(sql, args![org.as_str(), run.to_string()]).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// The rows that were refused at the door, in order, after row `after`.
    pub async fn rejected_rows(
        &self,
        org: &OrgId,
        run: RunId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Rejected>, StoreError> {
        let sql = "SELECT row_number, fields, problems FROM rejected_rows WHERE org_id = $1 AND run_id = $2 AND row_number > $3 ORDER BY row_number LIMIT $4";
        let rows = self.rows(sql, args![org.as_str(), run.to_string(), after, limit]).await?;
        rows.iter()
            .map(|row| Ok(Rejected { row: row.int(0)?, fields: row.json(1)?, problems: row.text(2)?.to_owned() }))
            .collect()
    }
}

pub(super) fn read_tally(row: &Row) -> Result<Tally, StoreError> {
    Ok(Tally {
        status: row.parsed(0)?,
        code: row.text(1)?.to_owned(),
        locale: row.text(2)?.to_owned(),
        messages: row.int(3)?,
        segments: row.int(4)?,
    })
}

/// Makes a run within a transaction, or finds the one that the same firing has made.
pub(super) async fn begin_run(tx: &mut Tx<'_>, org: &OrgId, new: &NewRun, now: Timestamp) -> Result<RunId, StoreError> {
    let firing = new.firing.clone().unwrap_or_else(|| new.id.to_string());
    let (status, open_ended, started) = match new.lasting {
        Lasting::OneAudience => ("importing", 0, None),
        Lasting::OpenEnded => ("running", 1, Some(now.millis())),
    };
    if new.lasting == Lasting::OneAudience && !new.digest.is_empty() {
        lanes::wake(tx, org, LaneKind::Upkeep, now).await?;
    }
    let sql = "INSERT INTO runs (org_id, run_id, configuration, name, priority, status, why, firing, pinned, source, digest, columns, open_ended,
                 messages, rejected, requests, open_requests, dispatched, created_at, started_at, touched_at,
                 marketing, channel_type)
               VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, $10, $11, $12, 0, 0, 0, 0, 0, $13, $14, $13, $15, $16)
               ON CONFLICT (org_id, configuration, firing) DO NOTHING";
    let pinned = json!(new.pinned).to_string();
    let columns = json!(new.columns).to_string();
    tx.execute(
        sql,
        args![
            org.as_str(),
            new.id.to_string(),
            new.configuration.to_string(),
            new.name.as_str(),
            new.priority.as_str(),
            status,
            firing.as_str(),
            pinned,
            new.source.as_str(),
            new.digest.as_str(),
            columns,
            open_ended,
            now.millis(),
            started,
            i64::from(new.pinned.purpose == Purpose::Marketing),
            new.pinned.channel_type.as_str()
        ],
    )
    .await?;
    let sql = "SELECT run_id FROM runs WHERE org_id = $1 AND configuration = $2 AND firing = $3";
    let row = tx.row(sql, args![org.as_str(), new.configuration.to_string(), firing]).await?;
    row.map_or(Ok(new.id), |row| row.parsed(0))
}

/// Where in a run rows are added, and in which state their requests begin.
pub(super) struct Place {
    pub run: RunId,
    /// Messages that the run has.
    pub after: i64,
    /// Requests that it has.
    pub requests: i64,
    pub priority: Priority,
    pub state: &'static str,
    /// From when its requests may be claimed.
    pub due: Timestamp,
    /// Whether each message leaves an activity.
    pub show_in_timeline: bool,
}

const INSERT_MESSAGES: &str = "INSERT INTO messages (org_id, run_id, seq, row_number, recipient, opted_in, repeat, locale, slugs, accepted_at)
  SELECT $2, $3, CAST(r.value ->> 0 AS BIGINT), CAST(r.value ->> 1 AS BIGINT), CAST(r.value ->> 2 AS BIGINT), CAST(r.value ->> 3 AS BIGINT),
    CAST(r.value ->> 4 AS BIGINT), r.value ->> 5, r.value ->> 6, $4
  FROM ROWS($1) WHERE 1 = 1";

const INSERT_REQUESTS: &str = "INSERT INTO requests (org_id, run_id, number, priority, state, first_seq, size, due_at, token, attempts, begun, accepted_at)
  SELECT $2, $3, CAST(r.value ->> 0 AS BIGINT), $4, $5, CAST(r.value ->> 1 AS BIGINT), CAST(r.value ->> 2 AS BIGINT), $6, 0, 0, 0, $7
  FROM ROWS($1) WHERE 1 = 1";

/// Adds messages and the requests that hold them, a hundred in each, and counts them on the run.
pub(super) async fn add_messages(
    tx: &mut Tx<'_>,
    org: &OrgId,
    place: &Place,
    messages: &[NewMessage],
    now: Timestamp,
) -> Result<(), StoreError> {
    add_requests(tx, org, place, place.after + 1, messages.len(), now).await?;
    add_rows(tx, org, place, messages, now).await
}

/// Adds requests for so many messages from `first` on, a hundred in each, and counts them on the run.
pub(super) async fn add_requests(
    tx: &mut Tx<'_>,
    org: &OrgId,
    place: &Place,
    mut first: i64,
    messages: usize,
    now: Timestamp,
) -> Result<(), StoreError> {
    let starts = (0..messages).step_by(REQUEST_SIZE).zip(place.requests + 1..);
    let requests: Vec<Value> = starts
        .map(|(start, number)| {
            let size = i64::try_from((messages - start).min(REQUEST_SIZE)).unwrap_or(0);
            let row = json!([number, first, size]);
            first += size;
            row
        })
        .collect();
    if requests.is_empty() {
        return Ok(());
    }
    let (run, count) = (place.run.to_string(), i64::try_from(requests.len()).unwrap_or(0));
    let json = Value::from(requests).to_string();
    tx.execute(
        INSERT_REQUESTS,
        args![json, org.as_str(), run.as_str(), place.priority.as_str(), place.state, place.due.millis(), now.millis()],
    )
    .await?;
    let sql = "UPDATE runs SET requests = requests + $1, open_requests = open_requests + $1 WHERE org_id = $2 AND run_id = $3";
    tx.execute(sql, args![count, org.as_str(), run]).await?;
    Ok(())
}

/// Adds messages to a run whose requests hold them, and counts them on it.
pub(super) async fn add_rows(
    tx: &mut Tx<'_>,
    org: &OrgId,
    place: &Place,
    messages: &[NewMessage],
    now: Timestamp,
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let run = place.run.to_string();
    let rows = json_rows(messages.iter().zip(place.after + 1..).map(|(message, seq)| message_row(message, seq)));
    tx.execute(INSERT_MESSAGES, args![rows, org.as_str(), run.as_str(), now.millis()]).await?;
    let unlinked =
        if place.show_in_timeline { timeline::add_activities(tx, org, place, messages, now).await? } else { 0 };
    let sql = "UPDATE runs SET messages = messages + $1, unlinked = unlinked + $2 WHERE org_id = $3 AND run_id = $4";
    let added = i64::try_from(messages.len()).unwrap_or(0);
    tx.execute(sql, args![added, unlinked, org.as_str(), run]).await?;
    Ok(())
}

fn message_row(message: &NewMessage, seq: i64) -> impl serde::Serialize {
    let contact = &message.contact;
    let opted_in = i64::from(contact.opted_in == OptIn::Yes);
    let repeat = i64::from(message.repeat == Repeat::Again);
    let locale = contact.locale.as_ref().map(ToString::to_string).unwrap_or_default();
    // Texts by text: serializing them cannot fail.
    let slugs = serde_json::to_string(&contact.slugs).unwrap_or_default();
    (seq, message.row, contact.to.digits(), opted_in, repeat, locale, slugs)
}

/// Keeps rows that were refused at the door, and counts them on the run.
pub(super) async fn add_rejected(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    rejected: &[Rejected],
) -> Result<(), StoreError> {
    if rejected.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> =
        rejected.iter().map(|row| json!([row.row, json!(row.fields).to_string(), row.problems])).collect();
    let sql = "INSERT INTO rejected_rows (org_id, run_id, row_number, fields, problems)
               SELECT $2, $3, CAST(r.value ->> 0 AS BIGINT), r.value ->> 1, r.value ->> 2 FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING";
    let added = tx.execute(sql, args![Value::from(rows).to_string(), org.as_str(), run.to_string()]).await?;
    let sql = "UPDATE runs SET rejected = rejected + $1 WHERE org_id = $2 AND run_id = $3";
    tx.execute(sql, args![i64::try_from(added).unwrap_or(0), org.as_str(), run.to_string()]).await?;
    Ok(())
}
