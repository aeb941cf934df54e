//! Standard Webhooks, the receiving side (PROVIDERS D): is this post genuine, and recent?

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::{domain::time::Timestamp, secret::Secret};

/// How far the sender's clock may be from ours, both ways: what every official library tolerates.
pub const TOLERANCE_S: i64 = 300;
/// The longest id that is taken.
const ID_LIMIT: usize = 256;

/// Why a post is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// A header is missing or makes no sense.
    #[error(
        "the post needs the headers webhook-id (at most 256 characters, no dot), webhook-timestamp (Unix seconds) and webhook-signature"
    )]
    Headers,
    /// It was signed too long ago, or in the future.
    #[error("the webhook-timestamp is more than 300 seconds from now: the sender's clock is wrong, or the post is old")]
    Stale,
    /// No signature matches.
    #[error(
        "no v1 signature matches: it is the base64 of HMAC-SHA256 over \"id.timestamp.body\" with the hook's secret"
    )]
    Mismatch,
    /// The hook's own secret is not one.
    #[error("the hook's secret is not usable; expected whsec_ and the base64 of 24 to 64 bytes")]
    BadSecret,
}

/// The headers of a post.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `webhook-id`: the same for every try, so the key by which an event is taken once.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Whether a post is genuine and recent.
pub fn verify(secret: &Secret, signed: Signed<'_>, body: &[u8], now: Timestamp) -> Result<(), NotTaken> {
    let Signed { id, timestamp, signature } = signed;
    if id.is_empty() || id.len() > ID_LIMIT || id.contains('.') {
        return Err(NotTaken::Headers);
    }
    let seconds: i64 = timestamp.parse().map_err(|_| NotTaken::Headers)?;
    let expected = STANDARD.encode(mac(secret, id, timestamp, body)?.finalize().into_bytes());
    let matches = signature
        .split(' ')
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .filter(|given| bool::from(given.as_bytes().ct_eq(expected.as_bytes())));
    if matches.count() == 0 {
        return Err(NotTaken::Mismatch);
    }
    // The time is part of what is signed: only now is it worth believing.
    let distance = now.seconds().saturating_sub(seconds);
    if (-TOLERANCE_S..=TOLERANCE_S).contains(&distance) { Ok(()) } else { Err(NotTaken::Stale) }
}

/// The `webhook-signature` of a post: for the demo and for tests, which play the sender.
pub fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> Result<String, NotTaken> {
    let mac = mac(secret, id, &timestamp.to_string(), body)?;
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn mac(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> Result<Hmac<Sha256>, NotTaken> {
    let text = secret.expose().trim();
    let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| NotTaken::BadSecret)?;
    if !(24..=64).contains(&key.len()) {
        return Err(NotTaken::BadSecret);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| NotTaken::BadSecret)?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> Secret {
        Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    }

    fn check(signature: &str, body: &[u8], now: i64) -> Result<(), NotTaken> {
        let signed = Signed { id: ID, timestamp: "1614265330", signature };
        verify(&secret(), signed, body, Timestamp::from_millis(now * 1000))
    }

    #[test]
    fn the_known_answer_is_taken_and_anything_else_is_not() {
        assert_eq!(sign(&secret(), ID, 1_614_265_330, BODY).unwrap(), SIGNATURE);
        for (signature, now, expected) in [
            (SIGNATURE.to_owned(), 1_614_265_330, Ok(())),
            (format!("v1a,xyz v1,bm90IHRoaXM= {SIGNATURE}"), 1_614_265_330 + 300, Ok(())),
            (SIGNATURE.to_owned(), 1_614_265_330 + 301, Err(NotTaken::Stale)),
            (SIGNATURE.to_owned(), 1_614_265_330 - 301, Err(NotTaken::Stale)),
            (SIGNATURE.replace("v1,", "v2,"), 1_614_265_330, Err(NotTaken::Mismatch)),
            (SIGNATURE.replace('g', "h"), 1_614_265_330, Err(NotTaken::Mismatch)),
            (String::new(), 1_614_265_330, Err(NotTaken::Mismatch)),
        ] {
            assert_eq!(check(&signature, BODY, now), expected, "{signature} at {now}");
        }
        assert_eq!(check(SIGNATURE, b"{}", 1_614_265_330), Err(NotTaken::Mismatch));
    }

    #[test]
    fn senseless_headers_and_secrets_are_named() {
        for (id, timestamp) in [("", "1614265330"), ("a.b", "1614265330"), (ID, "now")] {
            let signed = Signed { id, timestamp, signature: SIGNATURE };
            assert_eq!(verify(&secret(), signed, BODY, Timestamp::from_millis(0)), Err(NotTaken::Headers));
        }
        for bad in ["whsec_", "whsec_c2hvcnQ=", "not base64!"] {
            assert_eq!(sign(&Secret::new(bad), ID, 0, BODY), Err(NotTaken::BadSecret), "{bad}");
        }
    }
}
