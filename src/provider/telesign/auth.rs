//! How calls to TeleSign are authenticated (PROVIDERS.md B.4): signed with its own scheme, *TSA*, or with Basic credentials.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{TeleSign, TeleSignAccount};
use crate::{
    domain::account::TeleSignAuth,
    provider::{
        HttpRequest, Method,
        form::FORM,
        signing::Key,
        stamp::{Stamp, http_date, uuid},
    },
};

const METHOD: &str = "HMAC-SHA256";

/// What calls are authenticated with.
pub(super) enum Auth {
    /// Each call is signed: the key never travels.
    Digest {
        /// Named beside the signature.
        customer_id: String,
        /// Signs.
        key: Key,
    },
    /// The whole value of the `authorization` header.
    Basic(String),
}

impl Auth {
    pub(super) fn new(account: &TeleSignAccount, key: Key) -> Self {
        match account.auth {
            TeleSignAuth::Digest => Self::Digest { customer_id: account.customer_id.clone(), key },
            TeleSignAuth::Basic => {
                let pair = format!("{}:{}", account.customer_id, account.api_key);
                Self::Basic(format!("Basic {}", STANDARD.encode(pair)))
            }
        }
    }

    fn headers(&self, stamp: Stamp, covered: &Covered<'_>) -> Vec<(&'static str, String)> {
        match self {
            Self::Basic(value) => vec![("authorization", value.clone())],
            Self::Digest { customer_id, key } => {
                let (date, nonce) = (http_date(stamp.now), uuid(stamp.nonce).to_ascii_uppercase());
                let signature = covered.signature(key, &date, &nonce);
                vec![
                    ("authorization", format!("TSA {customer_id}:{signature}")),
                    ("date", date),
                    ("x-ts-auth-method", METHOD.to_owned()),
                    ("x-ts-nonce", nonce),
                ]
            }
        }
    }
}

/// What a signature covers beside the time and the nonce.
struct Covered<'a> {
    method: &'static str,
    content_type: &'static str,
    body: &'a [u8],
    /// The path: without host and query, and without what a `base_url` may put before it.
    resource: &'a str,
}

impl Covered<'_> {
    /// Lines, the last one without an end; the body's is left out where there is none.
    fn signature(&self, key: &Key, date: &str, nonce: &str) -> String {
        let Self { method, content_type, body, resource } = self;
        let head = format!("{method}\n{content_type}\n{date}\nx-ts-auth-method:{METHOD}\nx-ts-nonce:{nonce}\n");
        let after_body: &[u8] = if body.is_empty() { b"" } else { b"\n" };
        key.sign(&[head.as_bytes(), body, after_body, resource.as_bytes()])
    }
}

impl TeleSign {
    /// A call with a form; what is signed is what is sent, byte for byte.
    pub(super) fn post(&self, stamp: Stamp, resource: &str, body: Bytes) -> HttpRequest {
        let covered = Covered { method: "POST", content_type: FORM, body: &body, resource };
        let mut headers = self.auth.headers(stamp, &covered);
        headers.push(("content-type", FORM.to_owned()));
        HttpRequest { method: Method::Post, url: format!("{}{resource}", self.base_url), headers, body }
    }

    /// A question.
    pub(super) fn get(&self, stamp: Stamp, resource: &str) -> HttpRequest {
        let covered = Covered { method: "GET", content_type: "", body: b"", resource };
        let headers = self.auth.headers(stamp, &covered);
        HttpRequest { method: Method::Get, url: format!("{}{resource}", self.base_url), headers, body: Bytes::new() }
    }
}

/// The customer id is no secret; the rest is.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest { customer_id, .. } => {
                f.debug_struct("Digest").field("customer_id", customer_id).finish_non_exhaustive()
            }
            Self::Basic(_) => f.write_str("Basic"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{Provider as _, telesign::testing};

    fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
        request.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// PROVIDERS.md, "Known answers".
    const BODY: &str = "phone_number=15558675309&message=Your+package+has+shipped%21+Follow+your+delivery+at+https%3A%2F%2Fvero-finto.com%2Forders%2F3456&message_type=ARN&sender_id=14252306549&external_id=camp-1%2Fr-42&callback_url=https%3A%2F%2Fhooks.example.com%2Fwebhooks%2Ftelesign%2Fstatus";
    const SIGNED: &str = "TSA FFFFFFFF-EEEE-DDDD-1234-AB1234567890:Buwu8X/AT09uatB8tFiSBiol+u3329vq5N67rXAS8Ro=";

    #[test]
    fn the_known_answer() {
        let request = testing::telesign().post(testing::stamp(), "/v1/messaging", Bytes::from_static(BODY.as_bytes()));
        assert_eq!(request.url, "https://rest-ww.telesign.com/v1/messaging");
        assert_eq!(request.body, BODY);
        assert_eq!(
            request.headers,
            [
                ("authorization", SIGNED.to_owned()),
                ("date", "Wed, 14 Dec 2016 18:20:12 GMT".to_owned()),
                ("x-ts-auth-method", "HMAC-SHA256".to_owned()),
                ("x-ts-nonce", "A1592C6F-E384-4CDB-BC42-C3AB970369E9".to_owned()),
                ("content-type", FORM.to_owned()),
            ]
        );
    }

    /// As `telesign` 4.1.1 signs it.
    #[test]
    fn a_question_is_signed_without_type_and_body() {
        let request = testing::telesign().get(testing::stamp(), "/v1/messaging/0123456789ABCDEF0123456789ABCDEF");
        assert_eq!(request.url, "https://rest-ww.telesign.com/v1/messaging/0123456789ABCDEF0123456789ABCDEF");
        assert_eq!((request.method, header(&request, "content-type")), (Method::Get, None));
        assert!(request.body.is_empty());
        let expected = "TSA FFFFFFFF-EEEE-DDDD-1234-AB1234567890:+8ysX/WZU0ydBD0SWJT5o/tlYf52C8+JTM5TkxqM5e0=";
        assert_eq!(header(&request, "authorization"), Some(expected));
    }

    #[test]
    fn basic_credentials_are_the_id_and_the_key_as_printed() {
        let account = TeleSignAccount { auth: TeleSignAuth::Basic, ..testing::account() };
        let request = TeleSign::new(account).unwrap().credential_check(testing::stamp());
        let pair = format!("{}:{}", testing::CUSTOMER_ID, testing::API_KEY);
        assert_eq!(request.headers, [("authorization", format!("Basic {}", STANDARD.encode(pair)))]);
    }

    #[test]
    fn a_path_before_the_api_is_no_part_of_what_is_signed() {
        let account = TeleSignAccount { base_url: "http://127.0.0.1:8081/telesign/".into(), ..testing::account() };
        let request = TeleSign::new(account).unwrap().post(testing::stamp(), "/v1/messaging", BODY.into());
        assert_eq!(request.url, "http://127.0.0.1:8081/telesign/v1/messaging");
        assert_eq!(header(&request, "authorization"), Some(SIGNED));
    }

    proptest! {
        #[test]
        fn any_change_gives_another_signature(at in 0..1_000_000_000_000i64, nonce: u128, body in "[a-z=&]{1,40}") {
            let sign = |stamp, body: &str| {
                let request = testing::telesign().post(stamp, "/v1/messaging", Bytes::copy_from_slice(body.as_bytes()));
                header(&request, "authorization").unwrap_or_default().to_owned()
            };
            let stamp = Stamp { now: crate::domain::time::Timestamp::from_millis(at), nonce };
            let later = Stamp { now: stamp.now.plus(std::time::Duration::from_secs(1)), ..stamp };
            let signed = sign(stamp, &body);
            prop_assert_eq!(&signed, &sign(stamp, &body));
            prop_assert_ne!(&signed, &sign(later, &body));
            prop_assert_ne!(&signed, &sign(Stamp { nonce: nonce ^ 1, ..stamp }, &body));
            prop_assert_ne!(&signed, &sign(stamp, &format!("{body}a")));
        }
    }
}
