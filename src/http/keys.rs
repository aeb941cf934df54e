//! API keys: `herald_ORG_KEY_SECRET`. The organization and the key's id are in the clear, so that a key is looked up where it
//! belongs; of the secret only a hash is kept, and it is shown once.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    domain::{
        id::{KeyId, OrgId},
        time::Timestamp,
    },
    secret::Secret,
    store::access::StoredKey,
};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scope {
    /// Look.
    Read,
    /// Look and send.
    Send,
    /// Everything.
    Admin,
}

impl Scope {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Admin => "admin",
        }
    }

    /// By its name.
    pub fn read(name: &str) -> Option<Self> {
        [Self::Read, Self::Send, Self::Admin].into_iter().find(|scope| scope.as_str() == name)
    }
}

/// A new key: what is stored of it, and the text that is shown once.
pub fn mint(org: &OrgId, name: &str, scope: Scope, now: Timestamp) -> Result<(StoredKey, Secret), getrandom::Error> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)?;
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = KeyId::new(now, rand::random());
    let text = format!("herald_{org}_{}_{secret}", id.to_string().trim_start_matches("key_"));
    let secret_hash = hash(&secret);
    let stored = StoredKey {
        id,
        name: name.to_owned(),
        scope: scope.as_str().to_owned(),
        secret_hash,
        created_at: now,
        revoked_at: None,
        last_used_at: None,
    };
    Ok((stored, Secret::new(text)))
}

/// A key as a caller presents it.
#[derive(Debug)]
pub struct Presented {
    /// The organization that it claims.
    pub org: OrgId,
    /// Its public half.
    pub id: KeyId,
    secret: Secret,
}

impl Presented {
    /// Reads a key's text; `None` if it is not one.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("herald_")?.splitn(3, '_');
        let org = parts.next()?.parse().ok()?;
        let id = format!("key_{}", parts.next()?).parse().ok()?;
        Some(Self { org, id, secret: Secret::new(parts.next()?) })
    }

    /// What the key may do, if it is the stored one and still holds.
    pub fn scope(&self, stored: &StoredKey) -> Option<Scope> {
        let same = hash(self.secret.expose()).as_bytes().ct_eq(stored.secret_hash.as_bytes());
        (bool::from(same) && stored.revoked_at.is_none()).then(|| Scope::read(&stored.scope)).flatten()
    }
}

/// A secret of 256 random bits needs no slow hash.
fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_opens() {
        let org: OrgId = "acme-2".parse().unwrap();
        let (stored, text) = mint(&org, "crm", Scope::Send, Timestamp::from_millis(5)).unwrap();
        let presented = Presented::read(text.expose()).unwrap();
        assert_eq!(
            (presented.org.clone(), presented.id, presented.scope(&stored)),
            (org, stored.id, Some(Scope::Send))
        );
        assert!(!format!("{presented:?}{stored:?}").contains(presented.secret.expose()));
        let other = Presented::read(&format!("{}0", text.expose())).unwrap();
        assert_eq!(other.scope(&stored), None);
        let revoked = StoredKey { revoked_at: Some(Timestamp::from_millis(6)), ..stored };
        assert_eq!(presented.scope(&revoked), None);
        for text in ["", "herald_", "herald_acme", "herald_acme_x_y", "Bearer"] {
            assert!(Presented::read(text).is_none(), "{text}");
        }
    }
}
