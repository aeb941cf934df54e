//! Who may come in: API keys, and the unguessable addresses of callbacks and hooks.

use std::collections::BTreeMap;

use crate::domain::{
    id::{KeyId, OrgId},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, args},
};

/// A stored API key, without its secret.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its public half.
    pub id: KeyId,
    /// For people.
    pub name: String,
    /// `admin`, `send` or `read`.
    pub scope: String,
    /// SHA-256 of the secret, in hexadecimal.
    pub secret_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What an unguessable address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A provider calls back about an account.
    Account,
    /// Events are posted to a hook.
    Hook,
}

impl TokenKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Hook => "hook",
        }
    }
}

const KEY: &str =
    "SELECT key_id, name, scope, secret_hash, created_at, revoked_at, last_used_at FROM api_keys WHERE org_id = $1";

fn read_key(row: &Row) -> Result<StoredKey, StoreError> {
    Ok(StoredKey {
        id: row.parsed(0)?,
        name: row.text(1)?.to_owned(),
        scope: row.text(2)?.to_owned(),
        secret_hash: row.text(3)?.to_owned(),
        created_at: Timestamp::from_millis(row.int(4)?),
        revoked_at: row.maybe_int(5)?.map(Timestamp::from_millis),
        last_used_at: row.maybe_int(6)?.map(Timestamp::from_millis),
    })
}

impl Store {
    /// Keeps a new key.
    pub async fn add_key(&self, org: &OrgId, key: &StoredKey) -> Result<(), StoreError> {
        let sql = "INSERT INTO api_keys (org_id, key_id, name, scope, secret_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        let args = args![
            org.as_str(),
            key.id.to_string(),
            key.name.as_str(),
            key.scope.as_str(),
            key.secret_hash.as_str(),
            key.created_at.millis()
        ];
        self.execute(sql, args).await?;
        Ok(())
    }

    /// One key, revoked or not.
    pub async fn key(&self, org: &OrgId, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
        let row = self.row(&format!("{KEY} AND key_id = $2"), args![org.as_str(), id.to_string()]).await?;
        row.as_ref().map(read_key).transpose()
    }

    /// Every key of the organization, oldest first.
    pub async fn keys(&self, org: &OrgId) -> Result<Vec<StoredKey>, StoreError> {
        let rows = self.rows(&format!("{KEY} ORDER BY key_id"), args![org.as_str()]).await?;
        rows.iter().map(read_key).collect()
    }

    /// Keeps that a key was used.
    pub async fn note_key_use(&self, org: &OrgId, id: KeyId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE api_keys SET last_used_at = $1 WHERE org_id = $2 AND key_id = $3";
        self.execute(sql, args![now.millis(), org.as_str(), id.to_string()]).await?;
        Ok(())
    }

    /// Ends a key. `false` if there is none, or it has ended already.
    pub async fn revoke_key(&self, org: &OrgId, id: KeyId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE api_keys SET revoked_at = $1 WHERE org_id = $2 AND key_id = $3 AND revoked_at IS NULL";
        Ok(self.execute(sql, args![now.millis(), org.as_str(), id.to_string()]).await? == 1)
    }

    /// What a token of this organization opens: the name of the account or hook.
    pub async fn token(&self, org: &OrgId, kind: TokenKind, token: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT name FROM tokens WHERE org_id = $1 AND token = $2 AND kind = $3";
        let row = self.row(sql, args![org.as_str(), token, kind.as_str()]).await?;
        row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
    }

    /// Every token of a kind, by the name of what it opens.
    pub async fn tokens(&self, org: &OrgId, kind: TokenKind) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = self
            .rows("SELECT name, token FROM tokens WHERE org_id = $1 AND kind = $2", args![org.as_str(), kind.as_str()])
            .await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect()
    }

    /// The token of an account or hook; the given one is kept if it has none yet.
    pub async fn ensure_token(
        &self,
        org: &OrgId,
        kind: TokenKind,
        name: &str,
        fresh: &str,
    ) -> Result<String, StoreError> {
        let mut tx = self.begin().await?;
        let sql = "INSERT INTO tokens (org_id, token, kind, name) VALUES ($1, $2, $3, $4) ON CONFLICT (org_id, kind, name) DO NOTHING";
        tx.execute(sql, args![org.as_str(), fresh, kind.as_str(), name]).await?;
        let sql = "SELECT token FROM tokens WHERE org_id = $1 AND kind = $2 AND name = $3";
        let row = tx.row(sql, args![org.as_str(), kind.as_str(), name]).await?;
        tx.commit().await?;
        row.map_or(Ok(fresh.to_owned()), |row| Ok(row.text(0)?.to_owned()))
    }
}
