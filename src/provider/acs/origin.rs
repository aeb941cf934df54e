//! Whether an event may be believed (PROVIDERS.md C.4). Event Grid signs nothing. What protects the callbacks is their unguessable
//! address, and, if the account has one, a secret that the subscription must say with each event: as `secret` in the query of its
//! address, or in a header. The query is never part of a log or an error.

use subtle::ConstantTimeEq as _;

use crate::provider::{Hook, NotGenuine, form};

/// The header in which it may come.
const HEADER: &str = "x-callback-secret";
/// The parameter in which it may come.
const PARAMETER: &str = "secret";

/// Fails unless the secret comes with the event, if there is one. The same holds for the handshake.
pub(super) fn verify(secret: Option<&str>, hook: &Hook) -> Result<(), NotGenuine> {
    let Some(secret) = secret else { return Ok(()) };
    let header = hook.header(HEADER).map(str::to_owned);
    let parameter = form::in_query(&hook.url, PARAMETER).map(String::from);
    let given = || [&header, &parameter].into_iter().flatten().filter(|given| !given.is_empty());
    let matches = given().any(|given| bool::from(given.as_bytes().ct_eq(secret.as_bytes())));
    match (matches, given().next()) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(NotGenuine::Mismatch),
        (false, None) => Err(NotGenuine::Unsigned),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{
        Method, Provider as _,
        acs::{Acs, AcsAccount, testing},
    };

    const SECRET: &str = "gr8+secret/value=";

    fn hook(query: &str, headers: &[(&str, &str)]) -> Hook {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = format!("https://hooks.example/t/acc_1{query}");
        Hook { method: Method::Post, url, headers, body: Bytes::from_static(b"[]") }
    }

    fn protected() -> Acs {
        Acs::new(AcsAccount { callback_secret: Some(SECRET.into()), ..testing::account() }).unwrap()
    }

    #[test]
    fn the_secret_must_come_in_the_query_or_the_header() {
        let table: [(&str, &[(&str, &str)], _); 11] = [
            ("?secret=gr8%2Bsecret%2Fvalue%3D", &[], Ok(())),
            ("?a=b&secret=gr8%2Bsecret/value=#x", &[], Ok(())),
            ("", &[("x-callback-secret", SECRET)], Ok(())),
            ("?secret=wrong", &[("x-callback-secret", SECRET)], Ok(())),
            ("?secret=gr8%2Bsecret%2Fvalue%3D", &[("x-callback-secret", "wrong")], Ok(())),
            ("", &[], Err(NotGenuine::Unsigned)),
            ("?secret=", &[("x-callback-secret", "")], Err(NotGenuine::Unsigned)),
            ("#?secret=gr8%2Bsecret%2Fvalue%3D", &[], Err(NotGenuine::Unsigned)),
            ("?secret=gr8%2Bsecret%2Fvalue", &[], Err(NotGenuine::Mismatch)),
            ("?secret=GR8%2Bsecret%2Fvalue%3D", &[], Err(NotGenuine::Mismatch)),
            ("", &[("x-callback-secret", "gr8+secret/value==")], Err(NotGenuine::Mismatch)),
        ];
        for (query, headers, expected) in table {
            for method in [Method::Post, Method::Options, Method::Get] {
                let hook = Hook { method, ..hook(query, headers) };
                assert_eq!(protected().verify(&hook), expected, "{query} {headers:?}");
            }
        }
    }

    #[test]
    fn without_one_the_address_alone_protects() {
        assert_eq!(testing::acs().verify(&hook("", &[])), Ok(()));
        assert_eq!(testing::acs().verify(&hook("?secret=any", &[])), Ok(()));
    }

    #[test]
    fn a_change_anywhere_is_noticed() {
        for place in 0..SECRET.len() {
            let mut changed = SECRET.as_bytes().to_vec();
            changed[place] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            let hook = hook("", &[("x-callback-secret", &changed)]);
            assert_eq!(protected().verify(&hook), Err(NotGenuine::Mismatch), "{changed}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_never_believed(query in "\\PC{0,40}", header in "\\PC{0,40}") {
            let hook = hook(&format!("?{query}"), &[("x-callback-secret", &header)]);
            prop_assert!(protected().verify(&hook).is_err());
        }
    }
}
