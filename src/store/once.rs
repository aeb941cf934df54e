//! Idempotency keys: a request that is sent twice under one key is done once, and answered with the same answer (SPEC 9).
//!
//! Whoever takes a key up holds it under a lease and a fence. An answer that is written in the transaction that does the work
//! (`answer`) is there if and only if the work is: a crash between the two cannot make it twice.

use std::time::Duration;

use crate::domain::{id::OrgId, time::Timestamp};

use super::{
    Store, StoreError,
    db::{Tx, args},
    lanes::{self, LaneKind},
};

/// How long an answer is kept, and a key with it.
pub const KEPT: Duration = Duration::from_hours(24);
/// How long somebody who has taken a key up is waited for: longer than any file takes to be taken in.
const LEASE: Duration = Duration::from_secs(300);

/// A key in the hands of whoever answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    key: String,
    token: i64,
}

/// What is known under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: the caller answers it now.
    Anew(Hold),
    /// Somebody is answering it.
    Underway,
    /// Another request came under it.
    Other,
    /// It was answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body, as JSON.
        answer: String,
    },
}

impl Store {
    /// Takes a key up, or says what is known under it. `digest` says what is asked for.
    pub async fn ask_once(&self, org: &OrgId, key: &str, digest: &str, now: Timestamp) -> Result<Asked, StoreError> {
        let mut tx = self.begin().await?;
        lanes::wake(&mut tx, org, LaneKind::Upkeep, now.plus(KEPT)).await?;
        // One that is too old, or whose holder has vanished without an answer, is taken up anew.
        let sql = "INSERT INTO idempotency_keys (org_id, idempotency_key, digest, token, lease_until, status, answer, created_at)
            VALUES ($1, $2, $3, 1, $4, NULL, '', $5)
            ON CONFLICT (org_id, idempotency_key) DO UPDATE SET digest = excluded.digest, token = idempotency_keys.token + 1,
              lease_until = excluded.lease_until, status = NULL, answer = '', created_at = excluded.created_at
            WHERE idempotency_keys.created_at <= $6
              OR (idempotency_keys.status IS NULL AND idempotency_keys.lease_until <= $5 AND idempotency_keys.digest = excluded.digest)
            RETURNING token";
        let (lease, oldest) = (now.plus(LEASE).millis(), now.minus(KEPT).millis());
        let taken = tx.row(sql, args![org.as_str(), key, digest, lease, now.millis(), oldest]).await?;
        if let Some(row) = taken {
            let hold = Hold { key: key.to_owned(), token: row.int(0)? };
            tx.commit().await?;
            return Ok(Asked::Anew(hold));
        }
        let sql = "SELECT digest, status, answer FROM idempotency_keys WHERE org_id = $1 AND idempotency_key = $2";
        let Some(row) = tx.row(sql, args![org.as_str(), key]).await? else { return Ok(Asked::Underway) };
        if row.text(0)? != digest {
            return Ok(Asked::Other);
        }
        Ok(match row.maybe_int(1)? {
            None => Asked::Underway,
            Some(status) => {
                Asked::Answered { status: u16::try_from(status).unwrap_or(500), answer: row.text(2)?.to_owned() }
            }
        })
    }

    /// Keeps an answer, unless the work has done so already.
    pub async fn answer_once(&self, org: &OrgId, hold: &Hold, status: u16, body: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        answer(&mut tx, org, hold, status, body).await?;
        tx.commit().await
    }

    /// Gives a key back without an answer: nothing was done, and the same request may come again.
    pub async fn let_go(&self, org: &OrgId, hold: &Hold) -> Result<(), StoreError> {
        let sql =
            "DELETE FROM idempotency_keys WHERE org_id = $1 AND idempotency_key = $2 AND token = $3 AND status IS NULL";
        self.execute(sql, args![org.as_str(), hold.key.as_str(), hold.token]).await?;
        Ok(())
    }
}

/// Keeps an answer in the transaction that does the work. `false`: somebody else has taken the key up meanwhile, or it was
/// answered; the work is theirs, and this transaction is to be dropped.
pub(super) async fn answer(
    tx: &mut Tx<'_>,
    org: &OrgId,
    hold: &Hold,
    status: u16,
    body: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE idempotency_keys SET status = $4, answer = $5
               WHERE org_id = $1 AND idempotency_key = $2 AND token = $3 AND status IS NULL";
    let kept = tx.execute(sql, args![org.as_str(), hold.key.as_str(), hold.token, i64::from(status), body]).await?;
    Ok(kept == 1)
}

/// Forgets keys that are too old; when the next one is.
pub(super) async fn forget(tx: &mut Tx<'_>, org: &OrgId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let sql = "DELETE FROM idempotency_keys WHERE org_id = $1 AND created_at <= $2";
    tx.execute(sql, args![org.as_str(), now.minus(KEPT).millis()]).await?;
    let sql = "SELECT MIN(created_at) FROM idempotency_keys WHERE org_id = $1";
    let oldest = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
    Ok(oldest.map(|at| Timestamp::from_millis(at).plus(KEPT)))
}
