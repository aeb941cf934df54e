//! An account's settings, as far as they can be judged without its provider. No value that may be a secret is repeated.

use super::{
    super::{page::Page, problem::Problem},
    is_private_to_both, web,
};
use crate::{
    domain::account::{Account, AcsSettings, TeleSignSettings, TwilioSettings},
    provider::is_base_url,
};

/// What is wrong with an account.
pub(in super::super) fn account(page: &Page, account: &Account) -> Vec<Problem> {
    let (mut problems, base_url) = match account {
        Account::Twilio(settings) => (twilio(page, settings), settings.base_url.as_deref()),
        Account::TeleSign(settings) => (telesign(page, settings), settings.base_url.as_deref()),
        Account::Acs(settings) => (acs(page, settings), settings.base_url.as_deref()),
    };
    if base_url.is_some_and(|text| !is_base_url(text)) {
        let message = "is not the web address of an API; expected one like \"https://api.twilio.com\", without user, query or fragment";
        problems.push(page.problem("base_url", message));
    }
    problems
}

fn twilio(page: &Page, settings: &TwilioSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !is_sid(&settings.account_sid, "AC") {
        let message = "is not a Twilio account sid; expected AC and 32 hexadecimal digits";
        problems.push(page.problem("account_sid", message));
    }
    match (&settings.api_key, &settings.api_secret) {
        (Some(_), None) => problems.push(page.problem("api_key", "stands alone; expected api_secret with it")),
        (None, Some(_)) => problems.push(page.problem("api_secret", "stands alone; expected api_key with it")),
        (Some(key), Some(_)) if !is_sid(key, "SK") => {
            problems.push(page.problem("api_key", "is not a Twilio API key; expected SK and 32 hexadecimal digits"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if settings.messaging_service.as_deref().is_some_and(|sid| !is_sid(sid, "MG")) {
        let message = "is not a Messaging Service's sid; expected MG and 32 hexadecimal digits";
        problems.push(page.problem("messaging_service", message));
    }
    problems
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

fn telesign(page: &Page, settings: &TeleSignSettings) -> Vec<Problem> {
    let good = |id: &str| !id.is_empty() && !id.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
    if good(&settings.customer_id) {
        return Vec::new();
    }
    let message = "is not a customer id; expected one without blanks, as TeleSign's portal shows it";
    vec![page.problem("customer_id", message)]
}

fn acs(page: &Page, settings: &AcsSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let AcsSettings { connection_string, endpoint, access_key, api_version, .. } = settings;
    match (connection_string, endpoint, access_key) {
        (Some(_), None, None) | (None, Some(_), Some(_)) => {}
        (Some(_), ..) => {
            let message = "says endpoint and access_key already; expected either it alone, or these two without it";
            problems.push(page.problem("connection_string", message));
        }
        (None, None, None) => {
            problems.push(page.problem("connection_string", "missing; expected it, or endpoint and access_key"));
        }
        (None, Some(_), None) => problems.push(page.problem("endpoint", "stands alone; expected access_key with it")),
        (None, None, Some(_)) => problems.push(page.problem("access_key", "stands alone; expected endpoint with it")),
    }
    let is_endpoint = |text: &str| {
        web(text).is_some_and(|url| {
            is_private_to_both(&url) && url.path() == "/" && url.query().is_none() && url.username().is_empty()
        })
    };
    if endpoint.as_deref().is_some_and(|text| !is_endpoint(text)) {
        let message = "is not a resource's address; expected one like \"https://NAME.communication.azure.com\"";
        problems.push(page.problem("endpoint", message));
    }
    if let Some(version) = api_version.as_deref().filter(|version| !is_day(version)) {
        let message = format!("\"{version}\" is not a version; expected one like {VERSIONS}");
        problems.push(page.problem("api_version", message));
    }
    problems
}

/// The versions of the API that are known to work; others are taken at the operator's word.
const VERSIONS: &str = "\"2021-03-07\", \"2025-09-17\" or \"2026-01-23\"";

/// Versions are days, 2026-01-23, some of them before their time: 2026-01-23-preview.
fn is_day(text: &str) -> bool {
    let text = text.strip_suffix("-preview").unwrap_or(text);
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys that are found wrong, each with its message.
    fn problems(text: &str) -> Vec<String> {
        let page = Page::new("accounts/a.toml", text.as_bytes().to_vec()).unwrap();
        let read: Account = toml::from_str(text).unwrap();
        let told = account(&page, &read).into_iter();
        told.map(|problem| format!("{}: {}", problem.key.unwrap_or_default(), problem.message)).collect()
    }

    #[test]
    fn sids_are_their_prefix_and_hexadecimal() {
        assert!(is_sid("AC00000000000000000000000000000001", "AC"));
        for text in [
            "AC0000000000000000000000000000001",
            "SK00000000000000000000000000000001",
            "AC0000000000000000000000000000000g",
            "",
        ] {
            assert!(!is_sid(text, "AC"), "{text}");
        }
    }

    #[test]
    fn each_account_obeys_its_providers_rules() {
        const TWILIO: &str = "provider = \"twilio\"\naccount_sid = \"AC00000000000000000000000000000001\"\nauth_token = { env = \"T\" }\n";
        const TELESIGN: &str = "provider = \"telesign\"\napi_key = { env = \"T\" }\n";
        const ACS: &str = "provider = \"acs\"\n";
        const KEY: &str = "access_key = { env = \"K\" }\n";
        const WHOLE: &str = "connection_string = { env = \"C\" }\n";
        const HOME: &str = "endpoint = \"https://contoso.communication.azure.com\"\n";
        for (base, more, expected) in [
            (TWILIO, String::new(), &[][..]),
            (TWILIO, "messaging_service = \"MG00000000000000000000000000000001\"\n".to_owned(), &[]),
            (
                TWILIO,
                "messaging_service = \"MG1\"\nbase_url = \"ftp://x\"\n".to_owned(),
                &["messaging_service", "base_url"],
            ),
            (TELESIGN, "customer_id = \"FFFFFFFF-EEEE-DDDD-1234-AB1234567890\"\n".to_owned(), &[]),
            (TELESIGN, "customer_id = \"FFFF EEEE\"\n".to_owned(), &["customer_id"]),
            (TWILIO, "base_url = \"https://x:y@api.twilio.com\"\n".to_owned(), &["base_url"]),
            (TWILIO, "base_url = \"https://api.twilio.com?a=b\"\n".to_owned(), &["base_url"]),
            (TELESIGN, "customer_id = \"\"\nbase_url = \"x\"\n".to_owned(), &["customer_id", "base_url"]),
            (ACS, WHOLE.to_owned(), &[]),
            (ACS, format!("{HOME}{KEY}"), &[]),
            (ACS, format!("endpoint = \"http://127.0.0.1:4010/\"\n{KEY}api_version = \"2026-01-23\"\n"), &[]),
            (ACS, format!("endpoint = \"http://[::1]:4010\"\n{KEY}"), &[]),
            (ACS, String::new(), &["connection_string"]),
            (ACS, format!("{WHOLE}{HOME}"), &["connection_string"]),
            (ACS, format!("{WHOLE}{HOME}{KEY}"), &["connection_string"]),
            (ACS, HOME.to_owned(), &["endpoint"]),
            (ACS, KEY.to_owned(), &["access_key"]),
            (ACS, format!("endpoint = \"http://contoso.communication.azure.com\"\n{KEY}"), &["endpoint"]),
            (ACS, format!("endpoint = \"contoso.communication.azure.com\"\n{KEY}"), &["endpoint"]),
            (ACS, format!("endpoint = \"https://contoso.communication.azure.com/sms\"\n{KEY}"), &["endpoint"]),
            (ACS, format!("{WHOLE}api_version = \"2030-12-31\"\n"), &[]),
            (ACS, format!("{WHOLE}api_version = \"2030-12-31-preview\"\n"), &[]),
            (ACS, format!("{WHOLE}api_version = \"latest\"\n"), &["api_version"]),
            (ACS, format!("{WHOLE}api_version = \"2026-13-01\"\nbase_url = \"\"\n"), &["api_version", "base_url"]),
        ] {
            let found = problems(&format!("{base}{more}"));
            let keys: Vec<&str> = found.iter().filter_map(|problem| problem.split(':').next()).collect();
            assert_eq!(keys, expected, "{more}: {found:?}");
        }
    }
}
