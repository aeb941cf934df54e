//! How calls to Azure are signed (PROVIDERS.md C.2): HMAC-SHA256 over the method, the path with its query, the date, the host that
//! is called, and the body's hash. Each call is signed anew, for the date is a part of it.

use bytes::Bytes;

use super::Acs;
use crate::provider::{
    HttpRequest, Method,
    signing::digest,
    stamp::{Stamp, http_date},
};

impl Acs {
    /// A call with a JSON body; what is signed is what is sent, byte for byte.
    pub(super) fn post(&self, stamp: Stamp, resource: &str, body: Bytes) -> HttpRequest {
        let mut headers = self.sign(stamp, "POST", resource, &body);
        headers.push(("content-type", "application/json".to_owned()));
        HttpRequest { method: Method::Post, url: format!("{}{resource}", self.place.url), headers, body }
    }

    /// A question.
    pub(super) fn get(&self, stamp: Stamp, resource: &str) -> HttpRequest {
        let headers = self.sign(stamp, "GET", resource, b"");
        HttpRequest { method: Method::Get, url: format!("{}{resource}", self.place.url), headers, body: Bytes::new() }
    }

    fn sign(&self, stamp: Stamp, method: &str, resource: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        let (date, hash) = (http_date(stamp.now), digest(body));
        let (path, host) = (&self.place.path, &self.place.authority);
        let signature = self.key.sign(&[format!("{method}\n{path}{resource}\n{date};{host};{hash}").as_bytes()]);
        let authorization =
            format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
        vec![("authorization", authorization), ("x-ms-content-sha256", hash), ("x-ms-date", date)]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::provider::acs::{AcsAccount, testing};

    /// PROVIDERS.md, "Known answers".
    const BODY: &str = r#"{"from":"+18001110000","smsRecipients":[{"to":"+11234567890","repeatabilityRequestId":"fda6d242-46aa-4247-8bf6-619a1206f9c3","repeatabilityFirstSent":"Fri, 20 Nov 2026 08:00:00 GMT"}],"message":"Hello world!","smsSendOptions":{"enableDeliveryReport":true,"tag":"camp-1"}}"#;
    const SIGNED: &str = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=lSlJuPsg6pHQloz5f0hxCdZ1RuEj6vQbT9gSJN3bS6k=";

    fn authorization(acs: &Acs, stamp: Stamp, resource: &str, body: &str) -> String {
        acs.post(stamp, resource, Bytes::copy_from_slice(body.as_bytes())).headers[0].1.clone()
    }

    #[test]
    fn the_known_answer() {
        let acs = testing::acs();
        let request = acs.post(testing::stamp(), &acs.send_resource, BODY.into());
        assert_eq!(request.url, "https://contoso.communication.azure.com/sms?api-version=2021-03-07");
        assert_eq!(request.body, BODY);
        assert_eq!(
            request.headers,
            [
                ("authorization", SIGNED.to_owned()),
                ("x-ms-content-sha256", "zIsFGpG+HtNFDJI63g8aBmF+sOCyMmEth/2ksl/VU08=".to_owned()),
                ("x-ms-date", "Fri, 20 Nov 2026 08:00:00 GMT".to_owned()),
                ("content-type", "application/json".to_owned()),
            ]
        );
    }

    #[test]
    fn the_host_that_is_called_is_the_one_that_is_signed() {
        let at =
            |base_url: &str| Acs::new(AcsAccount { base_url: Some(base_url.into()), ..testing::account() }).unwrap();
        let sign = |acs: &Acs| authorization(acs, testing::stamp(), &acs.send_resource, BODY);
        assert_eq!(sign(&at("https://contoso.communication.azure.com:443/")), SIGNED);
        assert_eq!(sign(&at("http://CONTOSO.communication.azure.com")), SIGNED);
        assert_ne!(sign(&at("https://contoso.communication.azure.com:8443")), SIGNED);
        assert_ne!(sign(&at("https://contoso.communication.azure.com/acs")), SIGNED);
        assert_ne!(sign(&at("https://fabrikam.communication.azure.com")), SIGNED);
    }

    #[test]
    fn any_change_gives_another_signature() {
        let acs = testing::acs();
        let later = Stamp { now: testing::NOW.plus(Duration::from_secs(1)), ..testing::stamp() };
        let resource = acs.send_resource.as_str();
        assert_eq!(authorization(&acs, testing::stamp(), resource, BODY), SIGNED);
        assert_ne!(authorization(&acs, later, resource, BODY), SIGNED);
        assert_ne!(authorization(&acs, testing::stamp(), "/sms?api-version=2026-01-23", BODY), SIGNED);
        assert_ne!(authorization(&acs, testing::stamp(), resource, &BODY.replace("world", "World")), SIGNED);
        assert_ne!(acs.get(testing::stamp(), resource).headers[0].1, SIGNED);
    }

    #[test]
    fn a_question_has_the_hash_of_nothing() {
        let request = testing::acs().get(testing::stamp(), "/phoneNumbers?api-version=2022-12-01");
        let hash = ("x-ms-content-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned());
        assert!(request.body.is_empty() && request.headers.contains(&hash));
        assert!(!request.headers.iter().any(|(name, _)| *name == "content-type"));
    }
}
