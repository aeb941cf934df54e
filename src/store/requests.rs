//! The claim: a request is leased, fenced and counted against the organization's hour, all in one transaction.

use crate::domain::{
    fairness::Priority,
    id::{OrgId, RequestId, RunId},
    quota::{self, Allowance, Ask, Usage},
    run::{Pinned, RunStatus},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    lanes::{self, LaneKind},
};

/// A request in this worker's hands until its lease runs out.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub id: RequestId,
    /// The lane that it came from.
    pub priority: Priority,
    /// Its first message.
    pub first_seq: i64,
    /// How many messages it has.
    pub size: i64,
    /// The fence: every later write names it, and changes nothing if somebody else has claimed since.
    pub token: i64,
    /// Claims so far, this one included.
    pub attempts: i64,
    /// How many of its messages an earlier holder may have handed over before it vanished; 0 if it finished in good order.
    pub begun: i64,
    /// When its contacts were accepted: their age is counted from here.
    pub accepted_at: Timestamp,
    /// The channel that the last attempt left through; empty: the run's own.
    pub via: String,
    /// When a call was first made for it.
    pub first_sent: Option<Timestamp>,
}

/// What asking for requests brought.
#[derive(Debug)]
pub struct Claim {
    /// The requests.
    pub requests: Vec<Claimed>,
    /// The revision of the organization's definitions: a cache of another one is stale.
    pub revision: i64,
    /// Set when the hour is used up: when more comes.
    pub exhausted_until: Option<Timestamp>,
    /// Requests of the organization's hour that are used, these included.
    pub used: u64,
    /// Out of so many.
    pub limit: u64,
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub struct ClaimOrder<'a> {
    /// Whose requests.
    pub org: &'a OrgId,
    /// From which lane.
    pub priority: Priority,
    /// At most this many.
    pub want: usize,
    /// Now.
    pub now: Timestamp,
    /// Until when they are the worker's.
    pub lease_until: Timestamp,
}

/// The run is looked at as well as the request: a request that was added, or given back, while its run was being stopped is
/// still `ready`, and stays where it is until the run goes on.
const CLAIM: &str = "
WITH next AS MATERIALIZED (
  SELECT run_id, number FROM requests
  WHERE org_id = $1 AND priority = $2 AND state = 'ready' AND due_at <= $3
  AND EXISTS (SELECT 1 FROM runs WHERE runs.org_id = $1 AND runs.run_id = requests.run_id AND runs.status IN ('running', 'cancelling'))
  ORDER BY due_at, run_id, number LIMIT $4 SKIP LOCKED ROWS
)
UPDATE requests SET due_at = $5, token = token + 1, attempts = attempts + 1
FROM next
WHERE requests.org_id = $1 AND requests.run_id = next.run_id AND requests.number = next.number
RETURNING requests.run_id, requests.number, first_seq, size, token, attempts, begun, accepted_at, via, first_sent";

/// When the lane's next request is due, by the same rule.
const NEXT: &str = "SELECT due_at FROM requests WHERE org_id = $1 AND priority = $2 AND state = 'ready'
  AND EXISTS (SELECT 1 FROM runs WHERE runs.org_id = $1 AND runs.run_id = requests.run_id AND runs.status IN ('running', 'cancelling'))
  ORDER BY due_at LIMIT 1";

impl Store {
    /// Claims up to `want` requests of a lane, as far as the hour allows, and books them in the same transaction.
    pub async fn claim(&self, order: ClaimOrder<'_>) -> Result<Claim, StoreError> {
        let ClaimOrder { org, priority, want, now, lease_until } = order;
        let kind = LaneKind::Requests(priority);
        let mut tx = self.begin().await?;
        // The organization's row first: claims of one organization go one after another, so that the sum below holds.
        let sql = "SELECT quota_limit, quota_reserved, revision FROM organizations WHERE org_id = $1 LOCKED ROWS";
        let Some(row) = tx.row(sql, args![org.as_str()]).await? else {
            return Ok(Claim { requests: vec![], revision: 0, exhausted_until: None, used: 0, limit: 0 });
        };
        let allowance =
            Allowance { limit: unsigned(row.int(0)?), reserved_percent: u8::try_from(row.int(1)?).unwrap_or(0) };
        let revision = row.int(2)?;
        lanes::lock(&mut tx, org, kind).await?;

        let ask = if priority == Priority::Automatic { Ask::Automatic } else { Ask::Bulk };
        let buckets = usage_buckets(&mut tx, org, now).await?;
        let (used, hour) = (total(&buckets), allowance.limit);
        let granted = quota::grant(allowance, used, ask, want as u64);
        if granted == 0 {
            let until = quota::retry_at(allowance, &buckets, ask, now);
            lanes::rest(&mut tx, org, kind, Some(until)).await?;
            tx.commit().await?;
            return Ok(Claim {
                requests: vec![],
                revision,
                exhausted_until: Some(until),
                used: used.total,
                limit: hour,
            });
        }
        let limit = i64::try_from(granted).unwrap_or(i64::MAX);
        let rows =
            tx.rows(CLAIM, args![org.as_str(), priority.as_str(), now.millis(), limit, lease_until.millis()]).await?;
        let mut requests = Vec::with_capacity(rows.len());
        for row in &rows {
            requests.push(Claimed {
                org: org.clone(),
                id: RequestId { run: row.parsed::<RunId>(0)?, number: row.int(1)? },
                priority,
                first_seq: row.int(2)?,
                size: row.int(3)?,
                token: row.int(4)?,
                attempts: row.int(5)?,
                begun: row.int(6)?,
                accepted_at: Timestamp::from_millis(row.int(7)?),
                via: row.text(8)?.to_owned(),
                first_sent: row.maybe_int(9)?.map(Timestamp::from_millis),
            });
        }
        if !requests.is_empty() {
            let bucket_is_new = buckets.last().is_none_or(|(bucket, _)| *bucket != quota::bucket(now));
            book(&mut tx, org, ask, &requests, now).await?;
            if bucket_is_new {
                // Time has moved on: some may be in no window any more.
                let sql = "DELETE FROM org_usage WHERE org_id = $1 AND bucket < $2";
                tx.execute(sql, args![org.as_str(), quota::first_bucket_counted(now) - SLACK]).await?;
            }
        }
        if requests.len() < want {
            let next = tx.row(NEXT, args![org.as_str(), priority.as_str()]).await?;
            let next = next.map(|row| row.int(0)).transpose()?;
            if next.is_none_or(|next| next > now.millis()) {
                lanes::rest(&mut tx, org, kind, next.map(Timestamp::from_millis)).await?;
            }
        }
        tx.commit().await?;
        let used = used.total + requests.len() as u64;
        Ok(Claim { requests, revision, exhausted_until: None, used, limit: hour })
    }

    /// Moves the leases of requests still in these hands further into the future. Those that are no longer stay as they are.
    pub async fn renew(&self, held: &[Claimed], lease_until: Timestamp) -> Result<(), StoreError> {
        // A statement each: there are as many as slots, three times a lease. In the order in which settling locks them.
        let mut held: Vec<&Claimed> = held.iter().collect();
        held.sort_by_key(|request| (&request.org, request.id));
        let mut tx = self.begin().await?;
        for Claimed { org, id, token, .. } in held {
            let sql = "UPDATE requests SET due_at = $1
                       WHERE org_id = $2 AND run_id = $3 AND number = $4 AND token = $5 AND state IN ('ready', 'paused')";
            tx.execute(sql, args![lease_until.millis(), org.as_str(), id.run.to_string(), id.number, *token]).await?;
        }
        tx.commit().await
    }

    /// What a run keeps and where it stands: what a sender needs to know before each step.
    pub async fn run_facts(&self, org: &OrgId, run: RunId) -> Result<Option<(Pinned, RunStatus)>, StoreError> {
        let sql = "SELECT pinned, status FROM runs WHERE org_id = $1 AND run_id = $2";
        let row = self.row(sql, args![org.as_str(), run.to_string()]).await?;
        row.map(|row| Ok((row.json(0)?, row.parsed(1)?))).transpose()
    }

    /// How much of the hour is used: in all, and by what was not automatic.
    pub async fn usage(&self, org: &OrgId, now: Timestamp) -> Result<Vec<(i64, Usage)>, StoreError> {
        let rows = self.rows(USAGE, args![org.as_str(), quota::first_bucket_counted(now)]).await?;
        rows.iter().map(read_bucket).collect()
    }

    /// The organization's limit and the percentage reserved for automatic messages.
    pub async fn allowance(&self, org: &OrgId) -> Result<Option<Allowance>, StoreError> {
        let sql = "SELECT quota_limit, quota_reserved FROM organizations WHERE org_id = $1";
        let row = self.row(sql, args![org.as_str()]).await?;
        row.map(|row| {
            Ok(Allowance { limit: unsigned(row.int(0)?), reserved_percent: u8::try_from(row.int(1)?).unwrap_or(0) })
        })
        .transpose()
    }
}

const USAGE: &str = "SELECT bucket, used, bulk FROM org_usage WHERE org_id = $1 AND bucket >= $2 ORDER BY bucket";

fn read_bucket(row: &super::db::Row) -> Result<(i64, Usage), StoreError> {
    Ok((row.int(0)?, Usage { total: unsigned(row.int(1)?), bulk: unsigned(row.int(2)?) }))
}

async fn usage_buckets(tx: &mut Tx<'_>, org: &OrgId, now: Timestamp) -> Result<Vec<(i64, Usage)>, StoreError> {
    let rows = tx.rows(USAGE, args![org.as_str(), quota::first_bucket_counted(now)]).await?;
    rows.iter().map(read_bucket).collect()
}

fn total(buckets: &[(i64, Usage)]) -> Usage {
    buckets.iter().fold(Usage { total: 0, bulk: 0 }, |sum, (_, bucket)| Usage {
        total: sum.total + bucket.total,
        bulk: sum.bulk + bucket.bulk,
    })
}

/// Buckets that are kept although this clock counts them no longer: another worker's may be behind.
const SLACK: i64 = 60;

/// Books the claimed requests in the current bucket, and on their runs.
async fn book(tx: &mut Tx<'_>, org: &OrgId, ask: Ask, requests: &[Claimed], now: Timestamp) -> Result<(), StoreError> {
    let count = i64::try_from(requests.len()).unwrap_or(i64::MAX);
    let bulk = if ask == Ask::Bulk { count } else { 0 };
    let sql = "INSERT INTO org_usage (org_id, bucket, used, bulk) VALUES ($1, $2, $3, $4)
               ON CONFLICT (org_id, bucket) DO UPDATE SET used = org_usage.used + excluded.used, bulk = org_usage.bulk + excluded.bulk";
    tx.execute(sql, args![org.as_str(), quota::bucket(now), count, bulk]).await?;

    let mut by_run: std::collections::BTreeMap<RunId, i64> = std::collections::BTreeMap::new();
    for request in requests {
        *by_run.entry(request.id.run).or_default() += 1;
    }
    for (run, dispatched) in by_run {
        let sql = "UPDATE runs SET dispatched = dispatched + $1 WHERE org_id = $2 AND run_id = $3";
        tx.execute(sql, args![dispatched, org.as_str(), run.to_string()]).await?;
    }
    Ok(())
}

/// Counts are never negative in the store; should one be, it counts as none.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
