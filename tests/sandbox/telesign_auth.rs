//! Who may call TeleSign's side: Basic credentials and the TSA scheme, signed here by hand from the contract.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald::sandbox::{AccountStatus, TeleSignAccount};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    bench::{Answer, Bench, settings},
    telesign::{CUSTOMER, KEY, PATH},
};

const FORM: &str = "application/x-www-form-urlencoded";
const BODY: &str = "phone_number=4917012345678&message=Hi+there&message_type=ARN";

/// A call with the TSA scheme, of which each part may be off. What is signed is what is sent, unless said otherwise.
#[derive(Clone)]
struct Call {
    method: Method,
    path: String,
    customer: &'static str,
    key: &'static str,
    content_type: &'static str,
    date: Option<String>,
    ts_date: Option<String>,
    auth_method: Option<&'static str>,
    nonce: Option<String>,
    body: &'static str,
    signed_body: &'static str,
    signed_content_type: &'static str,
    signed_path: String,
}

/// Calls at about the sandbox's time, which it tells in its log.
struct Caller {
    now_ms: i64,
}

impl Caller {
    async fn new(bench: &Bench) -> Caller {
        let body = BODY.to_owned();
        bench.call(Method::POST, PATH, &format!("{CUSTOMER}:{KEY}"), FORM, body).await.unwrap();
        Caller { now_ms: bench.sandbox.calls(0, 1, None).calls[0].at_ms }
    }

    /// A date so many minutes from now.
    fn date(&self, minutes: i64) -> String {
        let at = chrono::DateTime::from_timestamp_millis(self.now_ms + minutes * 60_000).unwrap();
        at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn call(&self, nonce: u32) -> Call {
        Call {
            method: Method::POST,
            path: PATH.into(),
            customer: CUSTOMER,
            key: KEY,
            content_type: FORM,
            date: Some(self.date(0)),
            ts_date: None,
            auth_method: Some("HMAC-SHA256"),
            nonce: Some(format!("A1592C6F-E384-4CDB-BC42-{nonce:012}")),
            body: BODY,
            signed_body: BODY,
            signed_content_type: FORM,
            signed_path: PATH.into(),
        }
    }

    fn reading(&self, nonce: u32, path: String) -> Call {
        let signed_path = path.split('?').next().unwrap().to_owned();
        let blank = Call { content_type: "", signed_content_type: "", body: "", signed_body: "", ..self.call(nonce) };
        Call { method: Method::GET, path, signed_path, ..blank }
    }
}

impl Call {
    fn signature(&self) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut lines = vec![self.method.to_string(), self.signed_content_type.to_owned()];
        lines.push(if self.ts_date.is_some() { String::new() } else { text(&self.date) });
        lines.push(format!("x-ts-auth-method:{}", self.auth_method.unwrap_or_default()));
        lines.extend(self.ts_date.iter().map(|date| format!("x-ts-date:{date}")));
        lines.push(format!("x-ts-nonce:{}", text(&self.nonce)));
        if !self.signed_content_type.is_empty() && !self.signed_body.is_empty() {
            lines.push(self.signed_body.to_owned());
        }
        lines.push(self.signed_path.clone());
        let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(self.key).unwrap()).unwrap();
        mac.update(lines.join("\n").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    async fn send(&self, bench: &Bench) -> Answer {
        let authorization = format!("TSA {}:{}", self.customer, self.signature());
        self.send_with(bench, Some(&authorization)).await
    }

    async fn send_with(&self, bench: &Bench, authorization: Option<&str>) -> Answer {
        let url = format!("{}{}", bench.sandbox.base_url(), self.path);
        let headers = [
            ("authorization", authorization),
            ("content-type", Some(self.content_type).filter(|kind| !kind.is_empty())),
            ("date", self.date.as_deref()),
            ("x-ts-date", self.ts_date.as_deref()),
            ("x-ts-auth-method", self.auth_method),
            ("x-ts-nonce", self.nonce.as_deref()),
        ];
        let request = bench.client.request(self.method.clone(), url).body(self.body);
        let given = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let request = given.fold(request, |request, (name, value)| request.header(name, value));
        Answer::read(request.send().await.unwrap()).await.unwrap()
    }
}

fn code(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.json["status"]["code"].as_u64().unwrap_or_default())
}

#[tokio::test]
async fn every_part_of_a_signed_call_is_checked() {
    let mut settings = settings();
    let docs_key = "ABC12345yusumoN6BYsBVkh+yRJ5czgsnCehZaOYldPJdmFh6NeX8kunZ2zU1YWaUw/0wV6xfw==";
    settings.telesign.push(TeleSignAccount::new("FFFFFFFF-EEEE-DDDD-1234-AB1234567890", docs_key));
    let bench = Bench::new(settings).await;
    let caller = Caller::new(&bench).await;
    let own = |text: &str| Some(text.to_owned());
    let table: Vec<(&str, Call, (u16, u64))> = vec![
        ("as it should be", caller.call(1), (200, 290)),
        ("with another account's key", Call { key: docs_key, ..caller.call(2) }, (401, 10008)),
        (
            "another account",
            Call { customer: "FFFFFFFF-EEEE-DDDD-1234-AB1234567890", key: docs_key, ..caller.call(3) },
            (200, 290),
        ),
        ("nobody's account", Call { customer: "nobody", ..caller.call(4) }, (401, 10015)),
        ("a nonce again", caller.call(1), (401, 10002)),
        (
            "the same nonce, another account",
            Call { customer: "FFFFFFFF-EEEE-DDDD-1234-AB1234567890", key: docs_key, ..caller.call(1) },
            (200, 290),
        ),
        ("no nonce", Call { nonce: None, ..caller.call(5) }, (401, 10003)),
        ("a short nonce", Call { nonce: own("1234567"), ..caller.call(6) }, (401, 10003)),
        ("a long nonce", Call { nonce: Some("x".repeat(65)), ..caller.call(7) }, (401, 10003)),
        ("14 minutes late", Call { date: Some(caller.date(-14)), ..caller.call(8) }, (200, 290)),
        ("14 minutes early", Call { date: Some(caller.date(14)), ..caller.call(9) }, (200, 290)),
        ("16 minutes late", Call { date: Some(caller.date(-16)), ..caller.call(10) }, (401, 10004)),
        ("16 minutes early", Call { date: Some(caller.date(16)), ..caller.call(11) }, (401, 10004)),
        ("a date of ISO 8601", Call { date: own("2026-11-20T08:00:00Z"), ..caller.call(12) }, (401, 10005)),
        ("no date", Call { date: None, ..caller.call(13) }, (401, 10007)),
        ("x-ts-date alone", Call { date: None, ts_date: Some(caller.date(0)), ..caller.call(14) }, (200, 290)),
        (
            "x-ts-date before Date",
            Call { date: own("yesterday"), ts_date: Some(caller.date(0)), ..caller.call(15) },
            (200, 290),
        ),
        ("x-ts-date too late", Call { ts_date: Some(caller.date(-16)), ..caller.call(16) }, (401, 10004)),
        ("another method", Call { auth_method: Some("HMAC-SHA1"), ..caller.call(17) }, (401, 10006)),
        ("no method", Call { auth_method: None, ..caller.call(18) }, (401, 10006)),
        ("another body signed", Call { signed_body: "phone_number=1", ..caller.call(19) }, (401, 10008)),
        ("the body not signed", Call { signed_body: "", ..caller.call(20) }, (401, 10008)),
        ("no content type signed", Call { signed_content_type: "", signed_body: "", ..caller.call(21) }, (401, 10008)),
        (
            "another content type sent",
            Call { content_type: "application/x-www-form-urlencoded; charset=utf-8", ..caller.call(22) },
            (401, 10008),
        ),
        ("another path signed", Call { signed_path: "/v1/verify/sms".into(), ..caller.call(23) }, (401, 10008)),
        (
            "the host signed",
            Call { signed_path: format!("{}{PATH}", bench.sandbox.base_url()), ..caller.call(24) },
            (401, 10008),
        ),
        ("the query not signed", Call { path: format!("{PATH}?x=1"), ..caller.call(25) }, (200, 290)),
        ("a read", caller.reading(26, format!("{PATH}/00000000000000000000000000000000")), (404, 10017)),
        (
            "a read with a query",
            caller.reading(27, format!("{PATH}/00000000000000000000000000000000?x=1")),
            (404, 10017),
        ),
        (
            "a read that signs a content type",
            Call { signed_content_type: FORM, ..caller.reading(28, format!("{PATH}/1")) },
            (401, 10008),
        ),
        (
            "a signed JSON body",
            Call { content_type: "application/json", signed_content_type: "application/json", ..caller.call(29) },
            (400, 12000),
        ),
    ];
    for (what, call, expected) in table {
        let answer = call.send(&bench).await;
        assert_eq!(code(&answer), expected, "{what}: {}", answer.json);
        let echoed = answer.json.get("signature_string").is_some();
        assert_eq!(echoed, expected.1 == 10008, "{what}");
    }
    // A nonce is used up by a call that was signed, not by one that was not.
    let forged = Call { signed_body: "x", ..caller.call(30) };
    assert_eq!(code(&forged.send(&bench).await), (401, 10008));
    assert_eq!(code(&caller.call(30).send(&bench).await), (200, 290));
    let counts = bench.sandbox.summary().providers;
    assert_eq!(counts[&herald::sandbox::Provider::TeleSign].accepted, 10);
}

#[tokio::test]
async fn the_authorization_header_is_read_strictly() {
    let mut settings = settings();
    let status = |name: &str, status| TeleSignAccount { status, ..TeleSignAccount::new(name, KEY) };
    settings.telesign.extend([status("late", AccountStatus::Suspended), status("gone", AccountStatus::Closed)]);
    let bench = Bench::new(settings).await;
    let basic = |user: &str| format!("Basic {}", STANDARD.encode(user));
    let caller = Caller::new(&bench).await;
    let signature = caller.call(1).signature();
    let table = [
        (None, (401, 10009)),
        (Some(String::new()), (401, 10028)),
        (Some("TSA".into()), (401, 10028)),
        (Some(format!("TSA {CUSTOMER}")), (401, 10028)),
        (Some(format!("TSA {CUSTOMER}:no base64!")), (401, 10028)),
        (Some(format!("tsa {CUSTOMER}:{signature}")), (401, 10028)),
        (Some(format!("Bearer {signature}")), (401, 10028)),
        (Some("Basic ????".into()), (401, 10028)),
        (Some(basic(CUSTOMER)), (401, 10028)),
        (Some(basic(&format!("{CUSTOMER}:{KEY}"))), (200, 290)),
        (Some(basic(&format!("{CUSTOMER}:no"))), (401, 10022)),
        (Some(basic(&format!("nobody:{KEY}"))), (401, 10015)),
        (Some(basic(&format!("late:{KEY}"))), (401, 10010)),
        (Some(basic(&format!("gone:{KEY}"))), (401, 10013)),
        (Some(format!("TSA {CUSTOMER}:{signature}")), (200, 290)),
    ];
    for (authorization, expected) in table {
        let answer = caller.call(1).send_with(&bench, authorization.as_deref()).await;
        assert_eq!(code(&answer), expected, "{authorization:?}: {}", answer.json);
    }
    // The credential check: nothing is sent, and good credentials are told from bad ones.
    let check = caller.reading(2, format!("{PATH}/00000000000000000000000000000000"));
    assert_eq!(code(&check.send_with(&bench, Some(&basic(&format!("{CUSTOMER}:{KEY}")))).await), (404, 10017));
    assert_eq!(code(&check.send_with(&bench, Some(&basic(&format!("{CUSTOMER}:no")))).await), (401, 10022));
    let refused = bench.control(Method::GET, "/sandbox/summary", Value::Null).await.json;
    assert_eq!(refused["providers"]["telesign"]["refused"]["10028"], json!(8));
}
