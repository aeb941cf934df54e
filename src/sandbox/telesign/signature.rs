//! The two things that are signed: a call (the TSA scheme) and the body of a report. HMAC-SHA256 with the decoded API key,
//! in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What of a call is signed, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The `Content-Type`; empty if there is none.
    pub content_type: &'a str,
    /// The `Date`, which is not looked at if there is an `x-ts-date`.
    pub date: &'a str,
    /// The `x-ts-date`, if there is one.
    pub ts_date: Option<&'a str>,
    /// The `x-ts-auth-method`.
    pub auth_method: &'a str,
    /// The `x-ts-nonce`.
    pub nonce: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The path, without host and query.
    pub path: &'a str,
}

impl Signed<'_> {
    /// The text whose signature the call carries.
    pub fn text(&self) -> Vec<u8> {
        let date = if self.ts_date.is_some() { "" } else { self.date };
        let mut text = format!("{}\n{}\n{date}\n", self.method, self.content_type).into_bytes();
        let mut line = |parts: &[&[u8]]| parts.iter().for_each(|part| text.extend_from_slice(part));
        line(&[b"x-ts-auth-method:", self.auth_method.as_bytes(), b"\n"]);
        if let Some(date) = self.ts_date {
            line(&[b"x-ts-date:", date.as_bytes(), b"\n"]);
        }
        line(&[b"x-ts-nonce:", self.nonce.as_bytes(), b"\n"]);
        if !self.content_type.is_empty() && !self.body.is_empty() {
            line(&[self.body, b"\n"]);
        }
        line(&[self.path.as_bytes()]);
        text
    }
}

/// Signs a text: with the API key as it is printed, or with nothing if that is not base64.
pub fn sign(api_key: &str, text: &[u8]) -> String {
    STANDARD.encode(mac(&STANDARD.decode(api_key).unwrap_or_default(), text))
}

/// Signs with the decoded key.
pub(super) fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length, so this never ends early.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::{Signed, sign};

    const KEY: &str = "ABC12345yusumoN6BYsBVkh+yRJ5czgsnCehZaOYldPJdmFh6NeX8kunZ2zU1YWaUw/0wV6xfw==";
    const BODY: &str = "phone_number=15558675309&message=Your+package+has+shipped%21+Follow+your+delivery+at+\
        https%3A%2F%2Fvero-finto.com%2Forders%2F3456&message_type=ARN&sender_id=14252306549&\
        external_id=camp-1%2Fr-42&callback_url=https%3A%2F%2Fhooks.example.com%2Fwebhooks%2Ftelesign%2Fstatus";

    fn known() -> Signed<'static> {
        Signed {
            method: "POST",
            content_type: "application/x-www-form-urlencoded",
            date: "Wed, 14 Dec 2016 18:20:12 GMT",
            ts_date: None,
            auth_method: "HMAC-SHA256",
            nonce: "A1592C6F-E384-4CDB-BC42-C3AB970369E9",
            body: BODY.as_bytes(),
            path: "/v1/messaging",
        }
    }

    #[test]
    fn the_known_answer_of_the_official_library() {
        assert_eq!(sign(KEY, &known().text()), "Buwu8X/AT09uatB8tFiSBiol+u3329vq5N67rXAS8Ro=");
    }

    #[test]
    fn a_date_of_its_own_goes_before_the_date_and_an_empty_body_has_no_line() {
        let dated = Signed { ts_date: Some("now"), ..known() };
        let text = String::from_utf8(dated.text()).unwrap();
        let head =
            "POST\napplication/x-www-form-urlencoded\n\nx-ts-auth-method:HMAC-SHA256\nx-ts-date:now\nx-ts-nonce:";
        assert!(text.starts_with(head), "{text}");
        let read = Signed { method: "GET", content_type: "", body: b"", path: "/v1/messaging/1", ..known() };
        let expected = "GET\n\nWed, 14 Dec 2016 18:20:12 GMT\nx-ts-auth-method:HMAC-SHA256\n\
            x-ts-nonce:A1592C6F-E384-4CDB-BC42-C3AB970369E9\n/v1/messaging/1";
        assert_eq!(String::from_utf8(read.text()).unwrap(), expected);
    }
}
