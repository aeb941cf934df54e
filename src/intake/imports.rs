//! Uploads whose process has vanished: failed in words, their rows cleared away, so that the file can be sent again.

use std::time::Duration;

use crate::{
    domain::{id::OrgId, time::Timestamp},
    store::{Store, StoreError, lanes::LaneKind},
};

/// An upload to which nothing was added for so long has been left. A live one adds a chunk every second or so.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What an operator reads.
const WHY: &str = "taking the file in broke off, and nothing was sent: send it again";
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;

/// The loop that clears up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Imports {
    /// The store.
    pub store: Store,
}

impl Imports {
    /// Looks where there may be something. How many transactions had something to do.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, StoreError> {
        let due = self.store.due_work(now, LANES).await?;
        let mut done = 0;
        for work in due.into_iter().filter(|work| work.kind == LaneKind::Imports) {
            done += usize::from(sweep_some(&self.store, &work.org, now).await?);
        }
        Ok(done)
    }
}

/// Clears up one organization's uploads, wholly.
pub async fn sweep(store: &Store, org: &OrgId, now: Timestamp) -> Result<(), StoreError> {
    while sweep_some(store, org, now).await? {}
    Ok(())
}

async fn sweep_some(store: &Store, org: &OrgId, now: Timestamp) -> Result<bool, StoreError> {
    let swept = store.sweep_imports(org, PATIENCE, WHY, now).await?;
    for run in &swept.failed {
        tracing::warn!(%org, %run, "an upload had been left half taken in; it has failed, and its file can be sent again");
    }
    Ok(swept.more)
}
