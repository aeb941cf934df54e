//! Audiences that herald holds itself, as they are read into runs: how far a run has come is written with its rows, so that
//! what broke off goes on where it stopped.

use crate::domain::{
    id::{OrgId, RunId},
    run::Pinned,
    time::Timestamp,
};

use super::{
    Store, StoreError, canary,
    db::{Tx, args},
    once::{self, Hold},
    runs::{self, NewMessage, Place, Rejected},
};

/// An answer that is kept under an idempotency key, in the transaction that does the work.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The key.
    pub hold: &'a Hold,
    /// The HTTP status.
    pub status: u16,
    /// The body, as JSON.
    pub body: &'a str,
}

/// A page of an audience, as a run takes it in.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// How far the run had come before it: what [`Store::run_cursor`] said.
    pub from: Option<String>,
    /// How far it has come with it.
    pub to: String,
    /// The good contacts.
    pub messages: Vec<NewMessage>,
    /// The others.
    pub rejected: Vec<Rejected>,
}

impl Store {
    /// How far a run has read its audience; `None`: it has not begun.
    pub async fn run_cursor(&self, org: &OrgId, run: RunId) -> Result<Option<String>, StoreError> {
        let sql = "SELECT place FROM run_cursors WHERE org_id = $1 AND run_id = $2";
        let row = self.row(sql, args![org.as_str(), run.to_string()]).await?;
        row.map(|row| row.text(0).map(str::to_owned)).transpose()
    }

    /// Adds a page to a run that is importing, with how far it has come. `false`, and nothing written, if somebody else has gone
    /// on from there, or the run takes in no more.
    pub async fn add_page(&self, org: &OrgId, run: RunId, page: &Page, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let sql = "SELECT messages, requests, priority, pinned FROM runs WHERE org_id = $1 AND run_id = $2 AND status = 'importing' LOCKED ROWS";
        let Some(row) = tx.row(sql, args![org.as_str(), run.to_string()]).await? else { return Ok(false) };
        if !go_on(&mut tx, org, run, page).await? {
            return Ok(false);
        }
        let place = Place {
            run,
            after: row.int(0)?,
            requests: row.int(1)?,
            priority: row.parsed(2)?,
            state: "importing",
            due: now,
            show_in_timeline: row.json::<Pinned>(3)?.show_in_timeline,
        };
        runs::add_messages(&mut tx, org, &place, &page.messages, now).await?;
        runs::add_rejected(&mut tx, org, run, &page.rejected).await?;
        let sql = "UPDATE runs SET touched_at = $1 WHERE org_id = $2 AND run_id = $3";
        tx.execute(sql, args![now.millis(), org.as_str(), run.to_string()]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The audience is complete: the run's requests may be claimed from now on, and the caller has its answer. `false`, and
    /// nothing written, if somebody else has taken the key up meanwhile, or the run was ended.
    pub async fn open_answered(
        &self,
        org: &OrgId,
        run: RunId,
        kept: Option<Kept<'_>>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if !canary::open(&mut tx, org, run, now).await? {
            return Ok(false);
        }
        let sql = "DELETE FROM run_cursors WHERE org_id = $1 AND run_id = $2";
        tx.execute(sql, args![org.as_str(), run.to_string()]).await?;
        // The key last: whoever takes one up holds a lane while it waits for it.
        if let Some(kept) = kept
            && !once::answer(&mut tx, org, kept.hold, kept.status, kept.body).await?
        {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Moves the run's place on, if it stands where the page begins.
async fn go_on(tx: &mut Tx<'_>, org: &OrgId, run: RunId, page: &Page) -> Result<bool, StoreError> {
    let (run, to) = (run.to_string(), page.to.as_str());
    let moved = match &page.from {
        None => {
            let sql = "INSERT INTO run_cursors (org_id, run_id, place) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            tx.execute(sql, args![org.as_str(), run, to]).await?
        }
        Some(from) => {
            let sql = "UPDATE run_cursors SET place = $3 WHERE org_id = $1 AND run_id = $2 AND place = $4";
            tx.execute(sql, args![org.as_str(), run, to, from.as_str()]).await?
        }
    };
    Ok(moved == 1)
}
