//! HMAC-SHA256 with a key in base 64: how TeleSign and Azure sign, and how TeleSign's callbacks are signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// A key, ready to sign. It shows itself to nobody.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    /// From strict base 64: padded, with nothing else in it. `None` if it is not that, or decodes to nothing.
    pub(super) fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())?;
        Hmac::new_from_slice(&bytes).ok().map(Self)
    }

    /// The signature of these, one after the other, in base 64.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> String {
        let mac = parts.iter().fold(self.0.clone(), |mac, part| mac.chain_update(part));
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

/// The SHA-256 of a body, in base 64.
pub(super) fn digest(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_strict() {
        for (text, good) in [
            ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", true),
            ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", false),
            ("EXAMPLE----TE8sTgg45yusumoN6BYsBVkh+yRJ5czgsnCehZaOYldPJdmFh6NeX8kunZ2zU1YWaUw/0wV6xfw==", false),
            ("MDEy MzQ1", false),
            ("MDEyMzQ1\n", false),
            ("", false),
        ] {
            assert_eq!(Key::from_base64(text).is_some(), good, "{text}");
        }
    }

    #[test]
    fn what_is_signed_in_parts_is_signed_as_a_whole() {
        let key = Key::from_base64("a2V5").unwrap();
        let expected = "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=";
        assert_eq!(key.sign(&[b"The quick brown fox ", b"jumps over ", b"the lazy dog"]), expected);
        assert_eq!(digest(b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
