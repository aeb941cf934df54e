//! Whether a callback is Twilio's own work (PROVIDERS.md A.6).
//!
//! What is signed: the URL as Twilio requested it, followed for a form by every name and its distinct values, sorted and
//! without anything between them. A body that is no form is covered by its hash in the URL, or not at all, and then it is
//! refused. Behind proxies the port comes and goes, so the URL is tried with and without it.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use url::form_urlencoded;

use super::{SharedKey, callback};
use crate::provider::{Hook, Method, NotGenuine, form::query};

const SIGNATURE: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const BODY_HASH: &str = "bodySHA256";

/// What callbacks can be signed with.
pub(super) struct Keys {
    pub(super) auth_token: Option<String>,
    pub(super) shared: Vec<SharedKey>,
}

/// A key with the algorithm that it is for: which of the two a callback uses is never its own free choice.
#[derive(Clone, Copy)]
enum Key<'a> {
    Token(&'a [u8]),
    Shared(&'a [u8]),
}

/// Fails unless the callback, as a whole, was signed by someone who knows the key.
pub(super) fn verify(keys: &Keys, hook: &Hook) -> Result<(), NotGenuine> {
    if !keys.any() {
        return Err(NotGenuine::NoKey);
    }
    let given = hook.header(SIGNATURE).map(str::trim).filter(|text| !text.is_empty()).ok_or(NotGenuine::Unsigned)?;
    let key = keys.chosen(hook.header(SETTINGS))?;
    let (tail, covered) = signed_body(hook);
    let matches = urls(&hook.url).iter().fold(Choice::from(0), |matches, url| {
        let computed = key.sign(url.as_bytes(), tail.as_bytes());
        matches | computed.as_bytes().ct_eq(given.as_bytes())
    });
    if bool::from(matches & covered) { Ok(()) } else { Err(NotGenuine::Mismatch) }
}

impl Keys {
    pub(super) fn any(&self) -> bool {
        self.auth_token.is_some() || !self.shared.is_empty()
    }

    /// The key that the settings header (`key=…,algorithm=…`) names; without it the auth token.
    fn chosen(&self, settings: Option<&str>) -> Result<Key<'_>, NotGenuine> {
        let token = || self.auth_token.as_ref().map(|token| Key::Token(token.as_bytes())).ok_or(NotGenuine::NoKey);
        let Some(settings) = settings else { return token() };
        let pairs = || settings.split(',').filter_map(|pair| pair.trim().split_once('='));
        let setting = |name: &str| pairs().find(|(key, _)| *key == name).map(|(_, value)| value);
        match setting("algorithm") {
            Some("HMAC_SHA1") => token(),
            Some("HMAC_SHA256") => {
                let named = self.shared.iter().find(|key| Some(key.id.as_str()) == setting("key"));
                named.map(|key| Key::Shared(key.secret.as_bytes())).ok_or(NotGenuine::UnknownAlgorithm)
            }
            Some(_) | None => Err(NotGenuine::UnknownAlgorithm),
        }
    }
}

impl Key<'_> {
    /// In base 64. (HMAC takes keys of any length, so there is always a signature; an empty one matches nothing, as an
    /// empty header was refused before.)
    fn sign(self, url: &[u8], tail: &[u8]) -> String {
        match self {
            Self::Token(key) => Hmac::<Sha1>::new_from_slice(key)
                .map(|mac| STANDARD.encode(mac.chain_update(url).chain_update(tail).finalize().into_bytes())),
            Self::Shared(key) => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| STANDARD.encode(mac.chain_update(url).chain_update(tail).finalize().into_bytes())),
        }
        .unwrap_or_default()
    }
}

/// What is signed after the URL, and whether that (or a hash in the URL) covers the body.
fn signed_body(hook: &Hook) -> (String, Choice) {
    match hook.method {
        Method::Get | Method::Options => (String::new(), Choice::from(1)),
        Method::Post if callback::is_form(hook) => (sorted(&hook.body), Choice::from(1)),
        Method::Post => (String::new(), hash_matches(hook)),
    }
}

/// The body's hash in the URL; an empty body needs none.
fn hash_matches(hook: &Hook) -> Choice {
    let given = form_urlencoded::parse(query(&hook.url).as_bytes()).find(|(name, _)| name == BODY_HASH);
    let Some((_, given)) = given else { return Choice::from(u8::from(hook.body.is_empty())) };
    let hash: String = Sha256::digest(&hook.body).iter().map(|byte| format!("{byte:02x}")).collect();
    hash.as_bytes().ct_eq(given.as_bytes())
}

fn sorted(form: &[u8]) -> String {
    let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(form) {
        fields.entry(name).or_default().insert(value);
    }
    let mut text = String::with_capacity(form.len());
    for (name, values) in &fields {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

/// The URL without its port, and with its own or its scheme's.
fn urls(url: &str) -> [String; 2] {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let bare = authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map(|(host, _)| host);
    match bare {
        Some(host) => [format!("{scheme}://{host}{path}"), url.to_owned()],
        None => {
            let port = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
            [url.to_owned(), format!("{scheme}://{authority}:{port}{path}")]
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{
        Provider as _,
        twilio::{Twilio, TwilioAccount, testing},
    };

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const FORM: &str =
        "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
    const SIGNED: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    const DUPLICATES: &str = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234";
    const DUPLICATES_SIGNED: &str = "IK+Dwps556ElfBT0I3Rgjkr1wJU=";
    const JSON: &str = r#"{"property": "value", "boolean": true}"#;
    const JSON_URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    const JSON_SIGNED: &str = "a9nBmqA0ju/hNViExpshrM61xv4=";
    const TYPE_FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
    const TYPE_JSON: &str = "application/json";

    fn hook(url: &str, content_type: &str, body: &str, signature: &str) -> Hook {
        let headers = vec![("content-type".into(), content_type.into()), (SIGNATURE.into(), signature.into())];
        Hook { method: Method::Post, url: url.into(), headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn genuine(hook: &Hook) -> Result<(), NotGenuine> {
        testing::twilio().verify(hook)
    }

    #[test]
    fn the_known_answers() {
        let http = "http://mycompany.com/myapp.php?foo=1&bar=2";
        let with_port = |url: &str| url.replace(".com", ".com:1234");
        let table = [
            (URL.to_owned(), FORM, SIGNED),
            (URL.to_owned(), DUPLICATES, DUPLICATES_SIGNED),
            (URL.to_owned(), "Digits=1234&Digits=5678&SidAccount=AC123&Sid=CA123&Digits=5678", DUPLICATES_SIGNED),
            (with_port(URL), FORM, SIGNED),
            (with_port(http), FORM, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            (URL.to_owned(), FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),
            (http.to_owned(), FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ];
        for (url, body, signature) in table {
            assert_eq!(genuine(&hook(&url, TYPE_FORM, body, signature)), Ok(()), "{url} {body}");
        }
        assert_eq!(genuine(&hook(JSON_URL, TYPE_JSON, JSON, JSON_SIGNED)), Ok(()));
        let get = Hook { method: Method::Get, ..hook(JSON_URL, "", "", JSON_SIGNED) };
        assert_eq!(genuine(&get), Ok(()));
    }

    #[test]
    fn what_is_not_signed_so_is_refused() {
        let mut unsigned = hook(URL, TYPE_FORM, FORM, SIGNED);
        unsigned.headers.clear();
        let mut other = testing::account();
        other.auth_token = Some("12346".into());
        let other = Twilio::new(other).unwrap().verify(&hook(URL, TYPE_FORM, FORM, SIGNED));
        let uncovered = hook(URL, TYPE_JSON, JSON, &Key::Token(b"12345").sign(URL.as_bytes(), b""));
        let table = [
            (genuine(&unsigned), NotGenuine::Unsigned),
            (genuine(&hook(URL, TYPE_FORM, FORM, " ")), NotGenuine::Unsigned),
            (genuine(&hook(URL, TYPE_FORM, FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8")), NotGenuine::Mismatch),
            (genuine(&hook(URL, TYPE_JSON, FORM, SIGNED)), NotGenuine::Mismatch),
            (genuine(&hook(JSON_URL, TYPE_JSON, "{}", JSON_SIGNED)), NotGenuine::Mismatch),
            (genuine(&uncovered), NotGenuine::Mismatch),
            (other, NotGenuine::Mismatch),
        ];
        for (place, (found, expected)) in table.into_iter().enumerate() {
            assert_eq!(found, Err(expected), "{place}");
        }
    }

    /// Every byte of a callback, changed in turn.
    fn changes(text: &str) -> impl Iterator<Item = String> {
        (0..text.len()).filter_map(|place| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] ^= 1;
            String::from_utf8(bytes).ok()
        })
    }

    #[test]
    fn a_change_anywhere_is_noticed() {
        for (url, content_type, body, signature) in [
            (URL, TYPE_FORM, FORM, SIGNED),
            (URL, TYPE_FORM, DUPLICATES, DUPLICATES_SIGNED),
            (JSON_URL, TYPE_JSON, JSON, JSON_SIGNED),
        ] {
            for changed in changes(url) {
                assert!(genuine(&hook(&changed, content_type, body, signature)).is_err(), "{changed}");
            }
            for changed in changes(body) {
                assert!(genuine(&hook(url, content_type, &changed, signature)).is_err(), "{changed}");
            }
            for changed in changes(signature) {
                assert!(genuine(&hook(url, content_type, body, &changed)).is_err(), "{changed}");
            }
            assert!(genuine(&hook(url, content_type, &format!("{body}&MessageStatus=read"), signature)).is_err());
        }
    }

    #[test]
    fn shared_keys_are_off_unless_configured() {
        let shared = vec![SharedKey { id: "k1".into(), secret: "shared".into() }];
        let with = Twilio::new(TwilioAccount { shared_keys: shared, ..testing::account() }).unwrap();
        let without = testing::twilio();
        let by_shared = Key::Shared(b"shared").sign(URL.as_bytes(), sorted(FORM.as_bytes()).as_bytes());
        let by_token = Key::Shared(b"12345").sign(URL.as_bytes(), sorted(FORM.as_bytes()).as_bytes());
        let table = [
            (&with, "key=k1,algorithm=HMAC_SHA256", by_shared.as_str(), Ok(())),
            (&with, "algorithm=HMAC_SHA256, key=k1", &by_shared, Ok(())),
            (&with, "key=k1,algorithm=HMAC_SHA256", &by_token, Err(NotGenuine::Mismatch)),
            (&with, "key=k2,algorithm=HMAC_SHA256", &by_shared, Err(NotGenuine::UnknownAlgorithm)),
            (&with, "key=k1,algorithm=HMAC_SHA1", &by_shared, Err(NotGenuine::Mismatch)),
            (&with, "key=k1,algorithm=HMAC_SHA1", SIGNED, Ok(())),
            (&with, "key=k1,algorithm=NONE", &by_shared, Err(NotGenuine::UnknownAlgorithm)),
            (&with, "", SIGNED, Err(NotGenuine::UnknownAlgorithm)),
            (&without, "key=k1,algorithm=HMAC_SHA256", &by_shared, Err(NotGenuine::UnknownAlgorithm)),
            (&without, "algorithm=HMAC_SHA256", &by_token, Err(NotGenuine::UnknownAlgorithm)),
        ];
        for (twilio, settings, signature, expected) in table {
            let mut hook = hook(URL, TYPE_FORM, FORM, signature);
            hook.headers.push((SETTINGS.into(), settings.into()));
            assert_eq!(twilio.verify(&hook), expected, "{settings}");
        }
    }

    #[test]
    fn the_port_comes_and_goes() {
        for (url, bare, full) in [
            ("https://a.example/p?x=1:2", "https://a.example/p?x=1:2", "https://a.example:443/p?x=1:2"),
            ("http://a.example", "http://a.example", "http://a.example:80"),
            ("https://a.example:8443/p", "https://a.example/p", "https://a.example:8443/p"),
            ("https://u:1@a.example/p", "https://u:1@a.example/p", "https://u:1@a.example:443/p"),
            ("https://[::1]:9/p", "https://[::1]/p", "https://[::1]:9/p"),
            ("https://[::1]/p", "https://[::1]/p", "https://[::1]:443/p"),
        ] {
            assert_eq!(urls(url), [bare.to_owned(), full.to_owned()], "{url}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_never_genuine(url in "\\PC{0,60}", body: Vec<u8>, signature in "\\PC{0,40}", kind in "\\PC{0,20}") {
            let mut hook = hook(&url, &kind, "", &signature);
            hook.body = Bytes::from(body);
            prop_assert!(genuine(&hook).is_err());
            hook.method = Method::Get;
            prop_assert!(genuine(&hook).is_err());
        }
    }
}
