//! Secrets that the API was given, sealed at rest: XChaCha20-Poly1305 under herald's one seal key. Where a secret belongs is
//! part of what is authenticated, so that it opens in the field that it was sealed for and nowhere else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

use super::{Secret, SecretProblem, SecretRef, Secrets};
use crate::domain::{id::OrgId, secret_ref::Sealed};

/// The length of a nonce: long enough that one made by chance is never made again.
const NONCE: usize = 24;
/// The length of a key.
const KEY: usize = 32;

/// Where a secret belongs: in this field of this definition.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose it is.
    pub org: &'a OrgId,
    /// The kind of definition.
    pub kind: &'static str,
    /// Its name.
    pub name: &'a str,
    /// The field.
    pub field: &'static str,
}

impl Place<'_> {
    /// As it is authenticated. None of its parts can hold the mark between them.
    fn bound(self) -> String {
        let Self { org, kind, name, field } = self;
        format!("herald sealed 1\n{org}\n{kind}\n{name}\n{field}")
    }
}

/// Why nothing can be sealed. Says how to get there.
#[derive(Debug, thiserror::Error)]
pub enum NotSealed {
    /// There is no key.
    #[error(
        "herald has no key to seal secrets with: make one with `openssl rand -base64 32`, keep it as HERALD_SEAL_KEY (or where the setting seal_key says) and start herald anew"
    )]
    NoKey(#[source] SecretProblem),
    /// What is there is no key.
    #[error("the seal key is not one; expected 32 bytes in base64, as `openssl rand -base64 32` makes them")]
    BadKey,
    /// The machine has no randomness.
    #[error("no unguessable number could be made")]
    Random(#[from] getrandom::Error),
    /// The cipher refused.
    #[error("the secret cannot be sealed; expected a shorter one")]
    Refused,
}

impl Secrets {
    /// Says where the seal key is found.
    #[must_use]
    pub fn sealed_with(mut self, key: SecretRef) -> Self {
        self.seal_key = key;
        self
    }

    /// The secret that a reference in this place leads to.
    ///
    /// # Errors
    /// As [`Secrets::resolve`]; and a sealed secret opens only in its own place, with the key that sealed it.
    pub fn of(&self, place: Place<'_>, reference: &SecretRef) -> Result<Secret, SecretProblem> {
        match reference {
            SecretRef::Env(_) | SecretRef::File(_) => self.resolve(reference),
            SecretRef::Sealed(sealed) => {
                let cipher = self.cipher().map_err(|problem| SecretProblem::NoSealKey(Box::new(problem)))?;
                open(&cipher, place, sealed).ok_or(SecretProblem::Unopened)
            }
        }
    }

    /// Seals a secret for its place.
    ///
    /// # Errors
    /// If there is no key to seal with.
    pub fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<SecretRef, NotSealed> {
        let cipher = self.cipher()?;
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce)?;
        let bound = place.bound();
        let payload = Payload { msg: secret.expose().as_bytes(), aad: bound.as_bytes() };
        let closed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| NotSealed::Refused)?;
        Ok(SecretRef::Sealed(Sealed(STANDARD.encode([&nonce[..], &closed].concat()))))
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, NotSealed> {
        let key = self.resolve(&self.seal_key).map_err(NotSealed::NoKey)?;
        let bytes = STANDARD.decode(key.expose().trim()).map_err(|_| NotSealed::BadKey)?;
        let bytes: [u8; KEY] = bytes.try_into().map_err(|_| NotSealed::BadKey)?;
        Ok(XChaCha20Poly1305::new(&Key::from(bytes)))
    }
}

fn open(cipher: &XChaCha20Poly1305, place: Place<'_>, sealed: &Sealed) -> Option<Secret> {
    let bytes = STANDARD.decode(&sealed.0).ok()?;
    let (nonce, closed) = bytes.split_first_chunk::<NONCE>()?;
    let bound = place.bound();
    let payload = Payload { msg: closed, aad: bound.as_bytes() };
    let opened = cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
    String::from_utf8(opened).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(key: &str) -> Secrets {
        Secrets::from_environment().with_override("KEY", key).sealed_with(SecretRef::Env("KEY".into()))
    }

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; KEY])
    }

    #[test]
    fn a_sealed_secret_opens_in_its_own_place_with_its_own_key_and_nowhere_else() {
        let (acme, globex): (OrgId, OrgId) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let place = Place { org: &acme, kind: "account", name: "main", field: "auth_token" };
        let sealed = secrets(&key(1)).seal(place, &Secret::new("hunter2")).unwrap();
        assert_ne!(
            sealed,
            secrets(&key(1)).seal(place, &Secret::new("hunter2")).unwrap(),
            "each has a nonce of its own"
        );
        let kept = serde_json::to_string(&sealed).unwrap();
        assert!(kept.starts_with("{\"sealed\":") && !kept.contains("hunter2"), "{kept}");
        assert_eq!(serde_json::from_str::<SecretRef>(&kept).unwrap(), sealed);
        assert!(!format!("{sealed:?} {sealed}").contains(&kept[11..30]));

        assert_eq!(secrets(&key(1)).of(place, &sealed).unwrap().expose(), "hunter2");
        for other in [
            Place { org: &globex, ..place },
            Place { kind: "hook", ..place },
            Place { name: "other", ..place },
            Place { field: "api_secret", ..place },
        ] {
            let refused = secrets(&key(1)).of(other, &sealed).unwrap_err();
            assert!(matches!(refused, SecretProblem::Unopened), "{other:?}: {refused}");
        }
        let refused = secrets(&key(2)).of(place, &sealed).unwrap_err().to_string();
        assert!(refused.contains("sealed with another key") && !refused.contains("hunter2"), "{refused}");
        let cut = SecretRef::Sealed(Sealed("AAAA".to_owned()));
        assert!(matches!(secrets(&key(1)).of(place, &cut), Err(SecretProblem::Unopened)));
    }

    #[test]
    fn without_a_key_it_is_said_how_to_make_one() {
        let acme: OrgId = "acme".parse().unwrap();
        let place = Place { org: &acme, kind: "account", name: "main", field: "auth_token" };
        let none = Secrets::from_environment().sealed_with(SecretRef::Env("HERALD_TEST_NO_SUCH_KEY".into()));
        let refused = none.seal(place, &Secret::new("hunter2")).unwrap_err().to_string();
        assert!(refused.contains("openssl rand -base64 32") && refused.contains("HERALD_SEAL_KEY"), "{refused}");
        for wrong in ["hunter2", "AAAA", &STANDARD.encode([1_u8; 31])] {
            let refused = secrets(wrong).seal(place, &Secret::new("x")).unwrap_err().to_string();
            assert!(refused.contains("32 bytes in base64") && !refused.contains(wrong), "{refused}");
        }
    }
}
