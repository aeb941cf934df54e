//! Schedules: when a configuration fires next. A firing is leased while it is made into a run, so that a crash repeats it and
//! the run's own key makes the repetition harmless.

use std::collections::BTreeMap;

use crate::domain::{
    id::{ConfigurationId, OrgId},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args},
    lanes::{self, LaneKind},
    runs::{self, NewRun},
};

/// A firing that is due, leased to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueFiring {
    /// What fires.
    pub configuration: ConfigurationId,
    /// When it was to fire.
    pub at: Timestamp,
    /// The due time that somebody has decided to make a run of, and perhaps has; `None`: nobody has yet.
    pub decided: Option<Timestamp>,
}

/// A due time of which there will be no other run than this one, which says why.
#[derive(Clone, Debug)]
pub struct Unfired {
    /// The run, which has no messages.
    pub run: NewRun,
    /// What an operator reads.
    pub why: String,
}

impl Store {
    /// Says when a configuration fires next; `None`: never again.
    pub async fn set_schedule(
        &self,
        org: &OrgId,
        configuration: ConfigurationId,
        next: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        set_schedule(&mut tx, org, configuration, next).await?;
        rest_schedules(&mut tx, org).await?;
        tx.commit().await
    }

    /// When a configuration fires next.
    pub async fn next_firing(
        &self,
        org: &OrgId,
        configuration: ConfigurationId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT fires_at FROM schedules WHERE org_id = $1 AND configuration = $2";
        let row = self.row(sql, args![org.as_str(), configuration.to_string()]).await?;
        row.map(|row| row.int(0).map(Timestamp::from_millis)).transpose()
    }

    /// Leases every firing of the organization that is due.
    pub async fn lease_firings(
        &self,
        org: &OrgId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<DueFiring>, StoreError> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE schedules SET lease_until = $1 WHERE org_id = $2 AND fires_at <= $3 AND lease_until <= $3
                   RETURNING configuration, fires_at, decided_at";
        let rows = tx.rows(sql, args![lease_until.millis(), org.as_str(), now.millis()]).await?;
        rest_schedules(&mut tx, org).await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                let decided = row.maybe_int(2)?.map(Timestamp::from_millis);
                Ok(DueFiring { configuration: row.parsed(0)?, at: Timestamp::from_millis(row.int(1)?), decided })
            })
            .collect()
    }

    /// Keeps which due time is made a run of, before that is begun, so that whoever takes a broken firing up goes on with the same
    /// one; and with it the run of those that were missed. `false` if somebody else has decided, or the schedule has moved on.
    pub async fn decide_firing(
        &self,
        org: &OrgId,
        firing: DueFiring,
        at: Timestamp,
        missed: Option<&Unfired>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE schedules SET decided_at = $1 WHERE org_id = $2 AND configuration = $3 AND fires_at = $4 AND decided_at IS NULL";
        let id = firing.configuration.to_string();
        if tx.execute(sql, args![at.millis(), org.as_str(), id, firing.at.millis()]).await? == 0 {
            return Ok(false);
        }
        if let Some(missed) = missed {
            record(&mut tx, org, missed, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The firing was dealt with; `next` is the following one. Nothing happens if the schedule has moved on meanwhile.
    pub async fn finish_firing(
        &self,
        org: &OrgId,
        fired: DueFiring,
        next: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.end_firing(org, fired, next, None, Timestamp::default()).await
    }

    /// The same of one that did not fire: what it leaves is a run that says why.
    pub async fn finish_unfired(
        &self,
        org: &OrgId,
        fired: DueFiring,
        next: Option<Timestamp>,
        unfired: &Unfired,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_firing(org, fired, next, Some(unfired), now).await
    }

    async fn end_firing(
        &self,
        org: &OrgId,
        fired: DueFiring,
        next: Option<Timestamp>,
        unfired: Option<&Unfired>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM schedules WHERE org_id = $1 AND configuration = $2 AND fires_at = $3";
        let removed = tx.execute(sql, args![org.as_str(), fired.configuration.to_string(), fired.at.millis()]).await?;
        if removed == 1 {
            if let Some(unfired) = unfired {
                record(&mut tx, org, unfired, now).await?;
            }
            set_schedule(&mut tx, org, fired.configuration, next).await?;
        }
        rest_schedules(&mut tx, org).await?;
        tx.commit().await
    }
}

/// Keeps a run that says why a due time has no other. If it was begun and not filled, it is that one.
async fn record(tx: &mut Tx<'_>, org: &OrgId, unfired: &Unfired, now: Timestamp) -> Result<(), StoreError> {
    let run = runs::begin_run(tx, org, &unfired.run, now).await?;
    let sql = "UPDATE runs SET status = 'failed', why = $1, finished_at = $2 WHERE org_id = $3 AND run_id = $4 AND status = 'importing'";
    tx.execute(sql, args![unfired.why.as_str(), now.millis(), org.as_str(), run.to_string()]).await?;
    Ok(())
}

impl Store {
    /// Since when a configuration says what it says; from now on, if it says something else than before.
    pub async fn say_after(
        &self,
        org: &OrgId,
        configuration: ConfigurationId,
        said: &str,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let mut tx = self.begin().await?;
        let id = configuration.to_string();
        let sql = "INSERT INTO schedule_origins (org_id, configuration, said, said_at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (org_id, configuration) DO UPDATE SET said = excluded.said, said_at = excluded.said_at
                   WHERE schedule_origins.said <> excluded.said";
        tx.execute(sql, args![org.as_str(), id.as_str(), said, now.millis()]).await?;
        let sql = "SELECT said_at FROM schedule_origins WHERE org_id = $1 AND configuration = $2";
        let row = tx.row(sql, args![org.as_str(), id]).await?;
        tx.commit().await?;
        row.map_or(Ok(now), |row| row.int(0).map(Timestamp::from_millis))
    }

    /// A configuration says so no longer: when it does again, that counts from then on.
    pub async fn unsay_after(&self, org: &OrgId, configuration: ConfigurationId) -> Result<(), StoreError> {
        let sql = "DELETE FROM schedule_origins WHERE org_id = $1 AND configuration = $2";
        self.execute(sql, args![org.as_str(), configuration.to_string()]).await?;
        Ok(())
    }

    /// Since when each of the organization's configurations that says "so long after" has said so, with what it says.
    pub async fn said_after(&self, org: &OrgId) -> Result<BTreeMap<ConfigurationId, (String, Timestamp)>, StoreError> {
        let sql = "SELECT configuration, said, said_at FROM schedule_origins WHERE org_id = $1";
        let rows = self.rows(sql, args![org.as_str()]).await?;
        let read = |row: &Row| Ok((row.parsed(0)?, (row.text(1)?.to_owned(), Timestamp::from_millis(row.int(2)?))));
        rows.iter().map(read).collect()
    }
}

async fn set_schedule(
    tx: &mut Tx<'_>,
    org: &OrgId,
    configuration: ConfigurationId,
    next: Option<Timestamp>,
) -> Result<(), StoreError> {
    let id = configuration.to_string();
    match next {
        None => {
            tx.execute("DELETE FROM schedules WHERE org_id = $1 AND configuration = $2", args![org.as_str(), id])
                .await?
        }
        Some(at) => {
            let sql = "INSERT INTO schedules (org_id, configuration, fires_at, lease_until) VALUES ($1, $2, $3, 0)
                       ON CONFLICT (org_id, configuration) DO UPDATE SET fires_at = excluded.fires_at, lease_until = 0, decided_at = NULL
                       WHERE schedules.fires_at <> excluded.fires_at";
            // The schedule before its lane, as everywhere here.
            let set = tx.execute(sql, args![org.as_str(), id, at.millis()]).await?;
            lanes::wake(tx, org, LaneKind::Schedules, at).await?;
            set
        }
    };
    Ok(())
}

/// The lane sleeps until the earliest firing, or the end of the earliest lease.
async fn rest_schedules(tx: &mut Tx<'_>, org: &OrgId) -> Result<(), StoreError> {
    lanes::lock(tx, org, LaneKind::Schedules).await?;
    let sql = "SELECT MIN(CASE WHEN fires_at > lease_until THEN fires_at ELSE lease_until END) FROM schedules WHERE org_id = $1";
    let next = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
    lanes::rest(tx, org, LaneKind::Schedules, next.map(Timestamp::from_millis)).await
}
