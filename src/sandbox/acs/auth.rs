//! Who may call: HMAC-SHA256 with a resource's access key over the method, the path and query, and three signed headers.

use std::sync::Arc;

use axum::http::{HeaderMap, Method, Uri, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::NaiveDateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{errors::ApiError, resources::Resource};

/// The only headers that may be signed, in the only order.
const SIGNED_HEADERS: &str = "x-ms-date;host;x-ms-content-sha256";
/// How far the caller's clock may be off.
const CLOCK_SKEW_MS: u64 = 15 * 60 * 1000;
const OTHER_CONTENT: &str = "Request 'x-ms-content-sha256' differs from generated content hash.";

/// What a signature covers, exactly as it is on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path and the query.
    pub path_and_query: &'a str,
    /// The value of `x-ms-date`.
    pub date: &'a str,
    /// The value of `Host`, with the port if it has one.
    pub host: &'a str,
    /// The value of `x-ms-content-sha256`.
    pub content_hash: &'a str,
}

/// The value of `x-ms-content-sha256` for a body.
pub fn content_hash(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

/// The value of `Authorization` for a request; none if the access key is not base64.
pub fn authorization(access_key: &str, signed: Signed<'_>) -> Option<String> {
    let signature = STANDARD.encode(mac(&STANDARD.decode(access_key).ok()?, signed));
    Some(format!("HMAC-SHA256 SignedHeaders={SIGNED_HEADERS}&Signature={signature}"))
}

fn mac(key: &[u8], signed: Signed<'_>) -> Vec<u8> {
    // HMAC takes a key of any length, so this never ends early.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    let Signed { method, path_and_query, date, host, content_hash } = signed;
    mac.update(format!("{method}\n{path_and_query}\n{date};{host};{content_hash}").as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The resource whose access key signed the request.
pub(super) fn authorize(
    resources: &[Arc<Resource>],
    (method, uri): (&Method, &Uri),
    headers: &HeaderMap,
    body: &[u8],
    now_ms: i64,
) -> Result<Arc<Resource>, ApiError> {
    let denied = ApiError::denied;
    let given = text(headers, header::AUTHORIZATION.as_str())
        .ok_or_else(|| denied("The request has no 'Authorization' header."))?;
    let signature = signature(given).ok_or_else(|| {
        denied("The 'Authorization' header is not HMAC-SHA256 with the signed headers x-ms-date, host and x-ms-content-sha256.")
    })?;
    let date = text(headers, "x-ms-date").ok_or_else(|| denied("The request has no 'x-ms-date' header."))?;
    let sent_ms = rfc1123(date).ok_or_else(|| denied("The 'x-ms-date' header is not an RFC 1123 date."))?;
    if sent_ms.abs_diff(now_ms) > CLOCK_SKEW_MS {
        return Err(denied("The 'x-ms-date' header is more than 15 minutes away from now."));
    }
    let host = text(headers, header::HOST.as_str()).ok_or_else(|| denied("The request has no 'Host' header."))?;
    let hash = text(headers, "x-ms-content-sha256")
        .ok_or_else(|| denied("The request has no 'x-ms-content-sha256' header."))?;
    if hash != content_hash(body) {
        return Err(denied(OTHER_CONTENT));
    }
    let path_and_query = uri.path_and_query().map_or("/", |both| both.as_str());
    let signed = Signed { method: method.as_str(), path_and_query, date, host, content_hash: hash };
    // Every key is tried, so that the time tells nothing about which one was near.
    let mut signer = None;
    for resource in resources {
        let matches: Choice = mac(&resource.key, signed).ct_eq(&signature);
        if bool::from(matches) {
            signer = Some(resource);
        }
    }
    signer.cloned().ok_or_else(|| denied("The signature differs from the one that the resource's access key makes."))
}

/// The signature in an `Authorization` header that is all that it should be.
fn signature(authorization: &str) -> Option<Vec<u8>> {
    let rest = authorization.strip_prefix("HMAC-SHA256 ")?;
    let (signed_headers, signature) = rest.strip_prefix("SignedHeaders=")?.split_once("&Signature=")?;
    if signed_headers != SIGNED_HEADERS {
        return None;
    }
    STANDARD.decode(signature).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Milliseconds since 1970 of a date like `Fri, 20 Nov 2026 08:00:00 GMT`, in exactly that form.
pub(super) fn rfc1123(date: &str) -> Option<i64> {
    const FORM: &str = "%a, %d %b %Y %H:%M:%S GMT";
    let at = NaiveDateTime::parse_from_str(date, FORM).ok()?;
    // The parser is lenient about widths.
    (at.format(FORM).to_string() == date).then(|| at.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::{Signed, authorization, content_hash, rfc1123};

    #[test]
    fn the_signature_is_that_of_the_official_sdk() {
        let body = concat!(
            r#"{"from":"+18001110000","smsRecipients":[{"to":"+11234567890","#,
            r#""repeatabilityRequestId":"fda6d242-46aa-4247-8bf6-619a1206f9c3","#,
            r#""repeatabilityFirstSent":"Fri, 20 Nov 2026 08:00:00 GMT"}],"message":"Hello world!","#,
            r#""smsSendOptions":{"enableDeliveryReport":true,"tag":"camp-1"}}"#,
        );
        let hash = content_hash(body.as_bytes());
        assert_eq!(hash, "zIsFGpG+HtNFDJI63g8aBmF+sOCyMmEth/2ksl/VU08=");
        assert_eq!(content_hash(b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        let signed = Signed {
            method: "POST",
            path_and_query: "/sms?api-version=2021-03-07",
            date: "Fri, 20 Nov 2026 08:00:00 GMT",
            host: "contoso.communication.azure.com",
            content_hash: &hash,
        };
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        assert_eq!(
            authorization(key, signed).as_deref(),
            Some(concat!(
                "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256",
                "&Signature=lSlJuPsg6pHQloz5f0hxCdZ1RuEj6vQbT9gSJN3bS6k=",
            ))
        );
        assert_eq!(authorization("no base64", signed), None);
    }

    #[test]
    fn dates_have_one_form() {
        assert_eq!(rfc1123("Thu, 01 Jan 1970 00:00:01 GMT"), Some(1_000));
        for other in [
            "Thu, 1 Jan 1970 00:00:01 GMT",
            "Fri, 01 Jan 1970 00:00:01 GMT",
            "Thu, 01 Jan 1970 00:00:01 +0000",
            "1970-01-01T00:00:01Z",
            "",
        ] {
            assert_eq!(rfc1123(other), None, "{other}");
        }
    }
}
