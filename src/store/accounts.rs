//! What is known of accounts beyond their definitions: whether they may send, and when their credentials were proven.

use crate::domain::{id::OrgId, time::Timestamp};

use super::{Store, StoreError, db::args};

/// What is known of an account beyond its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Why it may not send; empty: it may.
    pub stopped: String,
    /// When its credentials were last checked.
    pub checked_at: Option<Timestamp>,
    /// What was found.
    pub checked: String,
}

impl Store {
    /// When an account's credentials were last checked, what was found, and why it is stopped (empty: it is not).
    pub async fn account_state(&self, org: &OrgId, account: &str) -> Result<Option<AccountState>, StoreError> {
        let sql = "SELECT stopped, checked_at, checked FROM account_states WHERE org_id = $1 AND account = $2";
        let row = self.row(sql, args![org.as_str(), account]).await?;
        row.map(|row| {
            Ok(AccountState {
                stopped: row.text(0)?.to_owned(),
                checked_at: row.maybe_int(1)?.map(Timestamp::from_millis),
                checked: row.text(2)?.to_owned(),
            })
        })
        .transpose()
    }

    /// Keeps what is known of an account.
    pub async fn set_account_state(&self, org: &OrgId, account: &str, state: &AccountState) -> Result<(), StoreError> {
        let sql = "INSERT INTO account_states (org_id, account, stopped, checked_at, checked) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (org_id, account) DO UPDATE SET stopped = excluded.stopped, checked_at = excluded.checked_at, checked = excluded.checked";
        let checked_at = state.checked_at.map(Timestamp::millis);
        self.execute(sql, args![org.as_str(), account, state.stopped.as_str(), checked_at, state.checked.as_str()])
            .await?;
        Ok(())
    }
}
