//! What of a run waits for a time that is set, and for which.

use crate::domain::{
    id::{OrgId, RunId},
    time::Timestamp,
};

use super::{Store, StoreError, db::args};

/// When the held messages of a run go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldUntil {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

impl Store {
    /// When the held messages of a run go, as things stand; `None` if there are none.
    pub async fn held_until(&self, org: &OrgId, run: RunId) -> Result<Option<HeldUntil>, StoreError> {
        // One step along the index for each end, however many are held.
        let sql = "SELECT
            (SELECT MIN(held_until) FROM message_states WHERE org_id = $1 AND run_id = $2 AND held_until IS NOT NULL),
            (SELECT MAX(held_until) FROM message_states WHERE org_id = $1 AND run_id = $2 AND held_until IS NOT NULL)";
        let Some(row) = self.row(sql, args![org.as_str(), run.to_string()]).await? else { return Ok(None) };
        let ends = row.maybe_int(0)?.zip(row.maybe_int(1)?);
        Ok(ends.map(|(first, last)| HeldUntil {
            first: Timestamp::from_millis(first),
            last: Timestamp::from_millis(last),
        }))
    }
}
