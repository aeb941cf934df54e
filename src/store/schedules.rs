//! Schedules: when a configuration fires next. A firing is leased while it is made into a run, so that a crash repeats it and
//! the run's own key makes the repetition harmless.

use crate::domain::{
    id::{ConfigurationId, OrgId},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    lanes::{self, LaneKind},
};

/// A firing that is due, leased to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueFiring {
    /// What fires.
    pub configuration: ConfigurationId,
    /// When it was to fire.
    pub at: Timestamp,
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
        let sql = "UPDATE schedules SET lease_until = $1 WHERE org_id = $2 AND fires_at <= $3 AND lease_until <= $3 RETURNING configuration, fires_at";
        let rows = tx.rows(sql, args![lease_until.millis(), org.as_str(), now.millis()]).await?;
        rest_schedules(&mut tx, org).await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| Ok(DueFiring { configuration: row.parsed(0)?, at: Timestamp::from_millis(row.int(1)?) }))
            .collect()
    }

    /// The firing was dealt with; `next` is the following one. Nothing happens if the schedule has moved on meanwhile.
    pub async fn finish_firing(
        &self,
        org: &OrgId,
        fired: DueFiring,
        next: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM schedules WHERE org_id = $1 AND configuration = $2 AND fires_at = $3";
        let removed = tx.execute(sql, args![org.as_str(), fired.configuration.to_string(), fired.at.millis()]).await?;
        if removed == 1 {
            set_schedule(&mut tx, org, fired.configuration, next).await?;
        }
        rest_schedules(&mut tx, org).await?;
        tx.commit().await
    }
}

/// Says when a configuration fires next, and wakes the lane. [`rest_schedules`] belongs after it.
pub(super) async fn set_schedule(
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
                       ON CONFLICT (org_id, configuration) DO UPDATE SET fires_at = excluded.fires_at, lease_until = 0
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
pub(super) async fn rest_schedules(tx: &mut Tx<'_>, org: &OrgId) -> Result<(), StoreError> {
    lanes::lock(tx, org, LaneKind::Schedules).await?;
    let sql = "SELECT MIN(CASE WHEN fires_at > lease_until THEN fires_at ELSE lease_until END) FROM schedules WHERE org_id = $1";
    let next = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
    lanes::rest(tx, org, LaneKind::Schedules, next.map(Timestamp::from_millis)).await
}
