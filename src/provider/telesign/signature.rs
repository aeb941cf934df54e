//! Whether a callback is TeleSign's own work (PROVIDERS.md B.5): the raw body alone is signed, with the account's API key.

use subtle::ConstantTimeEq as _;

use crate::provider::{Hook, NotGenuine, signing::Key};

/// Where the signature stands: TeleSign sends both, and a proxy may use up the second.
const HEADERS: [&str; 2] = ["x-ts-authorization", "authorization"];
const SCHEME: &str = "TSA ";

/// Fails unless the body was signed by someone who knows the key.
pub(super) fn verify(key: &Key, hook: &Hook) -> Result<(), NotGenuine> {
    let given = HEADERS.iter().find_map(|name| hook.header(name).map(str::trim).filter(|text| !text.is_empty()));
    let given = bare(given.ok_or(NotGenuine::Unsigned)?);
    let matches = key.sign(&[&hook.body]).as_bytes().ct_eq(given.as_bytes());
    if bool::from(matches) { Ok(()) } else { Err(NotGenuine::Mismatch) }
}

/// The signature of `TSA {customer_id}:{signature}`, or the whole where it stands alone.
fn bare(given: &str) -> &str {
    match given.get(..SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => given.rsplit(':').next().unwrap_or_default().trim(),
        Some(_) | None => given,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{
        Method, Provider as _,
        telesign::{TeleSign, TeleSignAccount, testing},
    };

    const BODY: &str = r#"{"reference_id":"B56259E45884010488343BAA15FB0002","status":{"code":200,"description":"Delivered to handset"},"external_id":"msg_1"}"#;
    /// As `telesign` 4.1.1 verifies it.
    const SIGNED: &str = "kOQzCFkPugUOj4dS3qbJ1wYBArWWR1YwGunthSs9N0I=";

    fn hook(headers: &[(&str, &str)], body: &str) -> Hook {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = "https://hooks.example/t/acc_1?message=msg_1".to_owned();
        Hook { method: Method::Post, url, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn genuine(headers: &[(&str, &str)], body: &str) -> Result<(), NotGenuine> {
        testing::telesign().verify(&hook(headers, body))
    }

    #[test]
    fn every_way_of_writing_it_is_accepted() {
        let whole = format!("TSA {}:{SIGNED}", testing::CUSTOMER_ID);
        let lower = format!("tsa {}:{SIGNED}", testing::CUSTOMER_ID);
        let table: [&[(&str, &str)]; 7] = [
            &[("x-ts-authorization", SIGNED)],
            &[("x-ts-authorization", &whole)],
            &[("authorization", SIGNED)],
            &[("authorization", &whole)],
            &[("authorization", &lower)],
            &[("authorization", "Basic dXNlcjpwYXNz"), ("x-ts-authorization", SIGNED)],
            &[("authorization", &whole), ("x-ts-authorization", " ")],
        ];
        for headers in table {
            assert_eq!(genuine(headers, BODY), Ok(()), "{headers:?}");
        }
    }

    #[test]
    fn what_is_not_signed_so_is_refused() {
        let other = TeleSignAccount { api_key: "b3RoZXI=".into(), ..testing::account() };
        let other = TeleSign::new(other).unwrap().verify(&hook(&[("authorization", SIGNED)], BODY));
        let table = [
            (genuine(&[], BODY), NotGenuine::Unsigned),
            (genuine(&[("x-ts-authorization", ""), ("authorization", " ")], BODY), NotGenuine::Unsigned),
            (genuine(&[("x-ts-authorization", "AAAA"), ("authorization", SIGNED)], BODY), NotGenuine::Mismatch),
            (genuine(&[("authorization", "Basic dXNlcjpwYXNz")], BODY), NotGenuine::Mismatch),
            (genuine(&[("authorization", "TSA :")], BODY), NotGenuine::Mismatch),
            (genuine(&[("authorization", SIGNED.trim_end_matches('='))], BODY), NotGenuine::Mismatch),
            (genuine(&[("authorization", SIGNED)], ""), NotGenuine::Mismatch),
            (other, NotGenuine::Mismatch),
        ];
        for (place, (found, expected)) in table.into_iter().enumerate() {
            assert_eq!(found, Err(expected), "{place}");
        }
    }

    #[test]
    fn a_change_anywhere_is_noticed() {
        let changes = |text: &str| -> Vec<String> {
            let changed = |place: usize| {
                let mut bytes = text.as_bytes().to_vec();
                bytes[place] ^= 1;
                String::from_utf8(bytes).ok()
            };
            (0..text.len()).filter_map(changed).collect()
        };
        for body in changes(BODY) {
            assert!(genuine(&[("authorization", SIGNED)], &body).is_err(), "{body}");
        }
        for signature in changes(SIGNED) {
            assert!(genuine(&[("authorization", &signature)], BODY).is_err(), "{signature}");
        }
        assert!(genuine(&[("authorization", SIGNED)], &format!("{BODY} ")).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_never_genuine(body: Vec<u8>, given in "\\PC{0,40}") {
            let mut hook = hook(&[("authorization", &given)], "");
            hook.body = Bytes::from(body);
            prop_assert!(testing::telesign().verify(&hook).is_err());
        }
    }
}
