//! From what a definition says of an account to the adapter that calls its provider, with the secrets looked up.

use std::sync::Arc;

use super::Unusable;
use crate::{
    domain::{
        account::{Account, AcsSettings, TeleSignSettings, TwilioSettings},
        id::OrgId,
    },
    provider::{
        Provider,
        acs::{self, Acs, AcsAccount},
        telesign::{self, TeleSign, TeleSignAccount},
        twilio::{self, ApiKey, Twilio, TwilioAccount},
    },
    secret::{Place, Secret, SecretProblem, SecretRef, Secrets},
    store::definitions::Kind,
};

/// Why an account cannot be used. None of these repeats a secret.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Secret(#[from] SecretProblem),
    #[error(transparent)]
    Twilio(#[from] twilio::BadAccount),
    #[error(transparent)]
    TeleSign(#[from] telesign::BadAccount),
    #[error(transparent)]
    Acs(#[from] acs::BadAccount),
}

/// The secrets of one account.
#[derive(Clone, Copy)]
struct Own<'a> {
    secrets: &'a Secrets,
    org: &'a OrgId,
    name: &'a str,
}

impl Own<'_> {
    fn resolve(self, field: &'static str, reference: &SecretRef) -> Result<Secret, SecretProblem> {
        self.secrets.of(Place { org: self.org, kind: Kind::Account.as_str(), name: self.name, field }, reference)
    }
}

/// The adapter of an organization's account, with its secrets resolved.
pub fn connect(org: &OrgId, name: &str, account: &Account, secrets: &Secrets) -> Result<Arc<dyn Provider>, Unusable> {
    adapter(account, Own { secrets, org, name })
        .map_err(|problem| Unusable(format!("account \"{name}\" cannot be used: {problem}")))
}

fn adapter(account: &Account, secrets: Own<'_>) -> Result<Arc<dyn Provider>, Problem> {
    Ok(match account {
        Account::Twilio(settings) => Arc::new(Twilio::new(twilio(settings, secrets)?)?),
        Account::TeleSign(settings) => Arc::new(TeleSign::new(telesign(settings, secrets)?)?),
        Account::Acs(settings) => Arc::new(Acs::new(acs(settings, secrets)?)?),
    })
}

fn twilio(settings: &TwilioSettings, secrets: Own<'_>) -> Result<TwilioAccount, Problem> {
    let mut account = TwilioAccount::new(&settings.account_sid);
    account.auth_token = Some(secrets.resolve("auth_token", &settings.auth_token)?.expose().to_owned());
    if let (Some(sid), Some(secret)) = (&settings.api_key, &settings.api_secret) {
        account.api_key =
            Some(ApiKey { sid: sid.clone(), secret: secrets.resolve("api_secret", secret)?.expose().to_owned() });
    }
    account.messaging_service = settings.messaging_service.clone();
    if let Some(base_url) = &settings.base_url {
        account.base_url = base_url.clone();
    }
    Ok(account)
}

fn telesign(settings: &TeleSignSettings, secrets: Own<'_>) -> Result<TeleSignAccount, Problem> {
    Ok(TeleSignAccount::of(settings, secrets.resolve("api_key", &settings.api_key)?.expose()))
}

fn acs(settings: &AcsSettings, secrets: Own<'_>) -> Result<AcsAccount, Problem> {
    let mut account = match (&settings.connection_string, &settings.endpoint, &settings.access_key) {
        (Some(whole), None, None) => {
            AcsAccount::from_connection_string(secrets.resolve("connection_string", whole)?.expose())?
        }
        (None, Some(endpoint), Some(key)) => AcsAccount::new(endpoint, secrets.resolve("access_key", key)?.expose()),
        (Some(_), ..) | (None, ..) => return Err(acs::BadAccount::Credentials.into()),
    };
    account.base_url = settings.base_url.clone();
    if let Some(version) = &settings.api_version {
        account.api_version = version.clone();
    }
    if let Some(secret) = &settings.callback_secret {
        account.callback_secret = Some(secrets.resolve("callback_secret", secret)?.expose().to_owned());
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::time::Timestamp,
        provider::{Hook, Method, NotGenuine, Stamp},
    };

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn secrets() -> Secrets {
        Secrets::from_environment()
            .with_override("KEY", KEY)
            .with_override("TOKEN", "12345")
            .with_override("WRONG", "hunter2")
            .with_override("WHOLE", format!("endpoint=https://contoso.communication.azure.com/;accesskey={KEY}"))
    }

    fn connected(definition: &str) -> Result<Arc<dyn Provider>, Unusable> {
        connect(&"acme".parse().unwrap(), "main", &toml::from_str(definition).unwrap(), &secrets())
    }

    #[test]
    fn every_provider_is_reached_where_its_account_says() {
        let twilio = r#"provider = "twilio"
            account_sid = "AC0123456789abcdef0123456789abcdef"
            auth_token = { env = "TOKEN" }"#;
        let telesign = r#"provider = "telesign"
            customer_id = "C1"
            api_key = { env = "KEY" }"#;
        let whole = r#"provider = "acs"
            connection_string = { env = "WHOLE" }"#;
        let parts = r#"provider = "acs"
            endpoint = "https://fabrikam.communication.azure.com"
            access_key = { env = "KEY" }
            api_version = "2026-01-23""#;
        let elsewhere = "base_url = \"http://127.0.0.1:8081\"";
        for (definition, address) in [
            (twilio, "https://api.twilio.com/"),
            (telesign, "https://rest-ww.telesign.com/"),
            (whole, "https://contoso.communication.azure.com/"),
            (parts, "https://fabrikam.communication.azure.com/"),
        ] {
            let stamp = Stamp { now: Timestamp::from_millis(0), nonce: 7 };
            let check = connected(definition).unwrap().credential_check(stamp);
            assert!(check.url.starts_with(address), "{}", check.url);
            let check = connected(&format!("{definition}\n{elsewhere}")).unwrap().credential_check(stamp);
            assert!(check.url.starts_with("http://127.0.0.1:8081/"), "{}", check.url);
        }
    }

    #[test]
    fn the_secret_of_the_callbacks_is_looked_up_too() {
        let definition = r#"provider = "acs"
            connection_string = { env = "WHOLE" }
            callback_secret = { env = "TOKEN" }"#;
        let provider = connected(definition).unwrap();
        let hook = |query: &str| Hook {
            method: Method::Post,
            url: format!("https://hooks.example/t{query}"),
            headers: Vec::new(),
            body: "[]".into(),
        };
        assert_eq!(provider.verify(&hook("?secret=12345")), Ok(()));
        assert_eq!(provider.verify(&hook("")), Err(NotGenuine::Unsigned));
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        for (definition, expected) in [
            ("provider = \"telesign\"\ncustomer_id = \"C1\"\napi_key = { env = \"WRONG\" }", "api_key is not base64"),
            ("provider = \"telesign\"\ncustomer_id = \"C1\"\napi_key = { env = \"HERALD_NOT_SET\" }", "HERALD_NOT_SET"),
            ("provider = \"telesign\"\ncustomer_id = \"\"\napi_key = { env = \"KEY\" }", "customer_id"),
            ("provider = \"acs\"\nconnection_string = { env = \"WRONG\" }", "connection_string must be"),
            ("provider = \"acs\"\nendpoint = \"https://a.example\"\naccess_key = { env = \"WRONG\" }", "access_key"),
            ("provider = \"acs\"\nendpoint = \"https://a.example\"", "expected either connection_string"),
            ("provider = \"acs\"", "expected either connection_string"),
            (
                "provider = \"acs\"\nconnection_string = { env = \"WHOLE\" }\nendpoint = \"https://a.example\"",
                "expected either connection_string",
            ),
        ] {
            let problem = connected(definition).map(|_| ()).unwrap_err().to_string();
            assert!(
                problem.starts_with("account \"main\" cannot be used: ") && problem.contains(expected),
                "{problem}"
            );
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
