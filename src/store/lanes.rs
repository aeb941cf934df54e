//! Where there is work: the one question across organizations, answered by one small table.

use crate::domain::{fairness::Priority, id::OrgId, time::Timestamp};

use super::{
    Store, StoreError,
    db::{Dialect, Tx, args},
};

/// A kind of work that an organization may have waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKind {
    /// Requests of this priority.
    Requests(Priority),
    /// Events to be made into requests.
    Events,
    /// Callbacks to be applied.
    Callbacks,
    /// Schedules to be fired.
    Schedules,
    /// Uploads that may have been left, days that may be over.
    Upkeep,
    /// Messages of which no receipt has come.
    Polls,
    /// Webhooks to be posted.
    Deliveries,
}

impl LaneKind {
    /// The name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests(priority) => priority.as_str(),
            Self::Events => "events",
            Self::Callbacks => "callbacks",
            Self::Schedules => "schedules",
            Self::Upkeep => "upkeep",
            Self::Polls => "polls",
            Self::Deliveries => "deliveries",
        }
    }

    fn read(name: &str) -> Option<Self> {
        match name {
            "events" => Some(Self::Events),
            "callbacks" => Some(Self::Callbacks),
            "schedules" => Some(Self::Schedules),
            "upkeep" => Some(Self::Upkeep),
            "polls" => Some(Self::Polls),
            "deliveries" => Some(Self::Deliveries),
            priority => priority.parse().ok().map(Self::Requests),
        }
    }
}

/// Work that is due.
#[derive(Clone, Debug)]
pub struct DueWork {
    /// Whose.
    pub org: OrgId,
    /// What kind.
    pub kind: LaneKind,
    /// Since when.
    pub due_at: Timestamp,
}

impl Store {
    /// The lanes that are due, the longest due first; at most `limit`.
    pub async fn due_work(&self, now: Timestamp, limit: i64) -> Result<Vec<DueWork>, StoreError> {
        let sql = "SELECT org_id, lane, due_at FROM lanes WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
        let rows = self.rows(sql, args![now.millis(), limit]).await?;
        let read = rows.iter().map(|row| {
            let kind = LaneKind::read(row.text(1)?);
            let kind =
                kind.ok_or_else(|| StoreError::Damaged { column: "lane".into(), problem: "an unknown lane".into() })?;
            Ok(DueWork { org: row.parsed(0)?, kind, due_at: Timestamp::from_millis(row.int(2)?) })
        });
        read.collect()
    }
}

/// Says that a lane has work from `due` on, if it did not have some earlier. Part of the transaction that makes the work.
pub(super) async fn wake(tx: &mut Tx<'_>, org: &OrgId, kind: LaneKind, due: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO lanes (org_id, lane, due_at) VALUES ($1, $2, $3)
               ON CONFLICT (org_id, lane) DO UPDATE SET due_at = excluded.due_at WHERE lanes.due_at > excluded.due_at";
    tx.execute(sql, args![org.as_str(), kind.as_str(), due.millis()]).await?;
    Ok(())
}

/// Takes a lane's row for this transaction. Whoever adds work to it waits, and so will find it as it is left here; whoever has
/// added some is waited for, and so the statements after this one see it. Without this, work that arrives while a lane is
/// put to rest could be forgotten.
pub(super) async fn lock(tx: &mut Tx<'_>, org: &OrgId, kind: LaneKind) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(()); // it has the whole database already
    }
    let sql = "SELECT due_at FROM lanes WHERE org_id = $1 AND lane = $2 LOCKED ROWS";
    tx.rows(sql, args![org.as_str(), kind.as_str()]).await?;
    Ok(())
}

/// Says when a locked lane has work next; `None`: it has none.
pub(super) async fn rest(
    tx: &mut Tx<'_>,
    org: &OrgId,
    kind: LaneKind,
    next: Option<Timestamp>,
) -> Result<(), StoreError> {
    let sql = "UPDATE lanes SET due_at = $1 WHERE org_id = $2 AND lane = $3";
    tx.execute(sql, args![next.map_or(i64::MAX, Timestamp::millis), org.as_str(), kind.as_str()]).await?;
    Ok(())
}
