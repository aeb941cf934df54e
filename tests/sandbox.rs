//! The provider simulator, over real HTTP on loopback: field rules, credentials, receipts, replies, faults, the log.
//!
//! It is called the way Twilio is called, not with herald's adapters, as it exists to catch their mistakes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers panic as its tests do")]

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::State, http::HeaderMap, http::Uri, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald::sandbox::{
    ApiKey, Callbacks, Faults, Receipts, Replies, Sandbox, Settings, Throttle, TwilioAccount, twilio::sign,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

const AC: &str = Settings::DEFAULT_ACCOUNT_SID;
const TOKEN: &str = Settings::DEFAULT_AUTH_TOKEN;
const FROM: &str = "+15005550006";
const MG: &str = "MG00000000000000000000000000000001";
const DEADLINE: Duration = Duration::from_secs(5);

/// A sandbox, and a client that calls it.
struct Bench {
    sandbox: Sandbox,
    client: reqwest::Client,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    json: Value,
}

impl Bench {
    async fn new(settings: Settings) -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(listener, settings).await.unwrap();
        Bench { sandbox, client: reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap() }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        user: &str,
        kind: &str,
        body: String,
    ) -> Result<Answer, reqwest::Error> {
        let request = self
            .client
            .request(method, format!("{}{path}", self.sandbox.base_url()))
            .header("authorization", format!("Basic {}", STANDARD.encode(user)))
            .header("content-type", kind)
            .body(body);
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        Ok(Answer { status, headers, json: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    async fn try_send(&self, params: &[(&str, &str)]) -> Result<Answer, reqwest::Error> {
        let path = format!("/2010-04-01/Accounts/{AC}/Messages.json");
        let kind = "application/x-www-form-urlencoded";
        self.call(Method::POST, &path, &format!("{AC}:{TOKEN}"), kind, form(params)).await
    }

    async fn send(&self, params: &[(&str, &str)]) -> Answer {
        self.try_send(params).await.unwrap()
    }

    async fn send_to(&self, to: &str) -> Answer {
        self.send(&[("To", to), ("From", FROM), ("Body", "Hello")]).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &format!("{AC}:{TOKEN}"), "", String::new()).await.unwrap()
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call(method, path, "", "application/json", body.to_string()).await.unwrap()
    }

    /// Waits until the summary is as wanted.
    async fn until(&self, wanted: impl Fn(&herald::sandbox::Summary) -> bool) {
        let mut again = tokio::time::interval(Duration::from_millis(2));
        let poll = async {
            while !wanted(&self.sandbox.summary()) {
                again.tick().await;
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, poll).await.is_ok();
        assert!(in_time, "still {:?}", self.sandbox.summary());
    }
}

fn form(params: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

fn settings() -> Settings {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    Settings {
        receipts: Receipts { enabled: true, min_delay_ms: 0, max_delay_ms: 1 },
        replies: Replies { min_delay_ms: 0, max_delay_ms: 1, ..Replies::default() },
        callbacks: Callbacks { retry_ms: 1, ..Callbacks::default() },
        ..Settings::default()
    }
}

/// The customer's server: what it is posted, with the signature checked.
struct Customer {
    url: String,
    posts: mpsc::UnboundedReceiver<HashMap<String, String>>,
    _server: JoinSet<()>,
}

struct Desk {
    base: String,
    posts: mpsc::UnboundedSender<HashMap<String, String>>,
    /// Statuses of the first answers; afterwards 204.
    answers: std::sync::Mutex<Vec<u16>>,
}

async fn receive(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: String) -> StatusCode {
    let params: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let signature = headers.get("x-twilio-signature").unwrap().to_str().unwrap();
    assert_eq!(signature, sign(TOKEN, &format!("{}{uri}", desk.base), &params));
    assert!(headers.contains_key("i-twilio-idempotency-token"));
    let answer = desk.answers.lock().unwrap().pop().unwrap_or(204);
    desk.posts.send(params.into_iter().collect()).unwrap();
    StatusCode::from_u16(answer).unwrap()
}

impl Customer {
    async fn new(answers: &[u16]) -> Customer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, posts) = mpsc::unbounded_channel();
        let answers = std::sync::Mutex::new(answers.iter().rev().copied().collect());
        let desk = Arc::new(Desk { base: base.clone(), posts: sender, answers });
        let router = Router::new().route("/hook", post(receive)).with_state(desk);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Customer { url: format!("{base}/hook?channel=1&x=a%20b"), posts, _server: server }
    }

    async fn next(&mut self) -> HashMap<String, String> {
        tokio::time::timeout(DEADLINE, self.posts.recv()).await.expect("a post in time").unwrap()
    }

    async fn statuses(&mut self, count: usize) -> Vec<String> {
        let mut statuses = Vec::new();
        while statuses.len() < count {
            statuses.push(self.next().await["MessageStatus"].clone());
        }
        statuses
    }
}

#[test]
fn the_signature_is_twilios() {
    let params = [
        ("To", "+18005551212"),
        ("From", "+14158675309"),
        ("Digits", "1234"),
        ("Caller", "+14158675309"),
        ("CallSid", "CA1234567890ABCDE"),
    ];
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    assert_eq!(sign("12345", url, &params), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
}

#[tokio::test]
async fn fields_are_judged() {
    let mut settings = settings();
    settings.accounts[0].numbers = vec![FROM.into(), "+4915100000001".into(), "Herald".into(), "12345".into()];
    let mut other = TwilioAccount::new("AC00000000000000000000000000000002", "other");
    other.numbers = vec!["+4915100000002".into()];
    settings.accounts.push(other);
    let bench = Bench::new(settings).await;
    let long = "ж".repeat(1601);
    let full = "ж".repeat(1600);
    let to = ("To", "+4917012345678");
    let from = ("From", FROM);
    let body = ("Body", "Hi");
    let media = ("MediaUrl", "https://example.com/a.png");
    let table: Vec<(Vec<(&str, &str)>, u64)> = vec![
        (vec![to, from, body], 201),
        (vec![to, from, ("Body", &full)], 201),
        (vec![to, ("From", "Herald"), body], 201),
        (vec![to, ("From", "12345"), body], 201),
        (vec![to, ("MessagingServiceSid", MG), body], 201),
        (
            vec![to, from, ("ContentSid", "HX00000000000000000000000000000001"), ("ContentVariables", r#"{"1":"x"}"#)],
            201,
        ),
        (vec![to, from, media], 201),
        (vec![to, from, body, ("ValidityPeriod", "36000")], 201),
        (vec![to, from, body, ("Surprise", "yes")], 201),
        (vec![from, body], 21604),
        (vec![("To", ""), from, body], 21604),
        (vec![("To", "4917012345678"), from, body], 21211),
        (vec![("To", "+49 170 12345678"), from, body], 21211),
        (vec![("To", "+0123456789"), from, body], 21211),
        (vec![("To", "+1234567890123456"), from, body], 21211),
        (vec![to, body], 21603),
        (vec![to, ("MessagingServiceSid", "MG1"), body], 21701),
        (vec![to, ("From", "+4915100000002"), body], 21660),
        (vec![to, ("From", "+4915100000003"), body], 21659),
        (vec![to, ("From", "?"), body], 21212),
        (vec![to, ("From", "whatsapp:+4915100000001"), body], 21910),
        (vec![to, from], 21602),
        (vec![to, from, ("Body", "")], 21602),
        (vec![to, from, ("Body", &long)], 21617),
        (vec![to, from, body, ("StatusCallback", "not a url")], 21609),
        (vec![to, from, body, ("StatusCallback", "https://a_b.example.com/x")], 21609),
        (vec![to, from, body, ("StatusCallback", "ftp://example.com/x")], 21609),
        (vec![to, from, body, ("ValidityPeriod", "0")], 21624),
        (vec![to, from, body, ("ValidityPeriod", "36001")], 21624),
        (vec![to, from, ("MediaUrl", "a.png")], 21620),
        ([vec![to, from], vec![media; 11]].concat(), 21623),
        (vec![to, from, ("ContentSid", "HX1")], 20400),
        (vec![to, from, body, ("ScheduleType", "fixed"), ("SendAt", "2020-01-01T00:00:00Z")], 35118),
        (
            vec![to, ("MessagingServiceSid", MG), body, ("ScheduleType", "fixed"), ("SendAt", "2020-01-01T00:00:00Z")],
            35114,
        ),
        (vec![("To", "+15005550001"), from, body], 21211),
        (vec![("To", "+15005550002"), from, body], 21612),
        (vec![("To", "+15005550003"), from, body], 21408),
        (vec![("To", "+15005550004"), from, body], 21610),
        (vec![("To", "+15005550009"), from, body], 21614),
        (vec![to, ("From", "+15005550001"), body], 21212),
        (vec![to, ("From", "+15005550007"), body], 21606),
        (vec![to, ("From", "+15005550008"), body], 21611),
    ];
    for (params, expected) in table {
        let answer = bench.send(&params).await;
        if expected == 201 {
            assert_eq!(answer.status, 201, "{params:?}: {}", answer.json);
        } else {
            assert_eq!(answer.json["code"], expected, "{params:?}: {}", answer.json);
            assert_eq!(answer.json["status"], answer.status);
            assert_eq!(answer.json["more_info"], format!("https://www.twilio.com/docs/errors/{expected}"));
        }
    }
    let surprised = bench.sandbox.calls(0, 100, None).calls;
    assert_eq!(surprised.iter().map(|call| call.unknown_params).sum::<u32>(), 1);
}

#[tokio::test]
async fn the_resource_has_every_field_in_its_type() {
    let bench = Bench::new(settings()).await;
    let answer = bench.send(&[("To", "+4917012345678"), ("From", FROM), ("Body", &"ñ{".repeat(60))]).await;
    let message = &answer.json;
    let sid = message["sid"].as_str().unwrap();
    assert!(sid.len() == 34 && sid.starts_with("SM"));
    assert!(chrono::DateTime::parse_from_rfc2822(message["date_created"].as_str().unwrap()).is_ok());
    let uri = format!("/2010-04-01/Accounts/{AC}/Messages/{sid}");
    for (field, value) in [
        ("account_sid", json!(AC)),
        ("api_version", json!("2010-04-01")),
        ("body", json!("ñ{".repeat(60))),
        ("date_sent", Value::Null),
        ("direction", json!("outbound-api")),
        ("error_code", Value::Null),
        ("error_message", Value::Null),
        ("from", json!(FROM)),
        ("messaging_service_sid", Value::Null),
        ("num_media", json!("0")),
        ("num_segments", json!("2")),
        ("price", Value::Null),
        ("price_unit", Value::Null),
        ("status", json!("queued")),
        ("subresource_uris", json!({ "media": format!("{uri}/Media.json") })),
        ("to", json!("+4917012345678")),
        ("uri", json!(format!("{uri}.json"))),
    ] {
        assert_eq!(message.get(field), Some(&value), "{field}");
    }
    let pooled = bench.send(&[("To", "+4917012345678"), ("MessagingServiceSid", MG), ("Body", "x")]).await.json;
    assert_eq!(
        (&pooled["status"], &pooled["from"], &pooled["num_segments"]),
        (&json!("accepted"), &Value::Null, &json!("0"))
    );
}

#[tokio::test]
async fn credentials_are_checked() {
    let mut settings = settings();
    let key = "SK00000000000000000000000000000001";
    settings.accounts[0].api_keys = vec![ApiKey { sid: key.into(), secret: "s".into() }];
    let closed = "AC00000000000000000000000000000002";
    let mut suspended = TwilioAccount::new(closed, "t");
    suspended.status = herald::sandbox::AccountStatus::Suspended;
    settings.accounts.push(suspended);
    let bench = Bench::new(settings).await;
    let form_kind = "application/x-www-form-urlencoded; charset=UTF-8";
    let body = form(&[("To", "+4917012345678"), ("From", FROM), ("Body", "Hi")]);
    let own = format!("{AC}:{TOKEN}");
    let send = |user: String, account: &'static str, kind: &'static str| {
        let path = format!("/2010-04-01/Accounts/{account}/Messages.json");
        let (bench, body) = (&bench, body.clone());
        async move { bench.call(Method::POST, &path, &user, kind, body).await.unwrap() }
    };
    for (user, account, kind, status, code) in [
        (own.clone(), AC, form_kind, 201, Value::Null),
        (format!("{key}:s"), AC, form_kind, 201, Value::Null),
        (format!("{key}:t"), AC, form_kind, 401, json!(20003)),
        (format!("{AC}:wrong"), AC, form_kind, 401, json!(20003)),
        (String::new(), AC, form_kind, 401, json!(20003)),
        (own.clone(), closed, form_kind, 401, json!(20003)),
        (own.clone(), "AC1", form_kind, 404, json!(20404)),
        (format!("{closed}:t"), closed, form_kind, 403, json!(20005)),
        (own.clone(), AC, "application/json", 415, json!(20415)),
    ] {
        let answer = send(user.clone(), account, kind).await;
        assert_eq!(
            (answer.status, answer.json.get("code").unwrap_or(&Value::Null)),
            (status, &code),
            "{user} {account}"
        );
    }
    let check = |user: String, account: &'static str| {
        let (bench, path) = (&bench, format!("/2010-04-01/Accounts/{account}.json"));
        async move { bench.call(Method::GET, &path, &user, "", String::new()).await.unwrap() }
    };
    assert_eq!(check(own, AC).await.json["status"], "active");
    assert_eq!(check(format!("{closed}:t"), closed).await.json["status"], "suspended");
    assert_eq!(check(format!("{key}:s"), AC).await.status, 401);
    assert_eq!(check(format!("{AC}:no"), AC).await.json["code"], 20003);
    assert_eq!(bench.get("/2010-04-01/Accounts/x/Calls.json").await.json["code"], 20404);
}

#[tokio::test]
async fn messages_are_listed_filtered_and_paged() {
    let bench = Bench::new(settings()).await;
    let mut sids = Vec::new();
    for n in 0..5 {
        let to = if n == 4 { "+4917012345679" } else { "+4917012345678" };
        let from = if n == 0 { "+4915100000001" } else { FROM };
        let sent = bench.send(&[("To", to), ("From", from), ("Body", "x")]).await;
        sids.push(sent.json["sid"].as_str().unwrap().to_owned());
    }
    let list = format!("/2010-04-01/Accounts/{AC}/Messages.json");
    let count =
        async |query: &str| bench.get(&format!("{list}?{query}")).await.json["messages"].as_array().map(Vec::len);
    let today = bench.get(&list).await.json["messages"][0]["date_created"].as_str().unwrap().to_owned();
    let today = chrono::DateTime::parse_from_rfc2822(&today).unwrap();
    let day = today.format("%Y-%m-%d");
    assert_eq!(count("").await, Some(5));
    assert_eq!(count("To=%2B4917012345678").await, Some(4));
    assert_eq!(count("To=%2B4917012345678&From=%2B4915100000001").await, Some(1));
    assert_eq!(count(&format!("DateSent={day}&To=%2B4917012345679")).await, Some(1));
    assert_eq!(count(&format!("DateSent>={day}")).await, Some(5));
    assert_eq!(count(&format!("DateSent%3E={}", today.format("%Y-%m-%dT%H:%M:%SZ"))).await, Some(5));
    assert_eq!(count("DateSent<=2020-01-01").await, Some(0));
    assert_eq!(count("DateSent=2020-01-01").await, Some(0));
    assert_eq!(bench.get(&format!("{list}?DateSent=yesterday")).await.status, 400);

    let (mut next, mut seen) = (Some(format!("{list}?To=%2B4917012345678&PageSize=3")), Vec::new());
    while let Some(path) = next {
        let page = bench.get(&path).await.json;
        seen.extend(page["messages"].as_array().unwrap().iter().map(|m| m["sid"].as_str().unwrap().to_owned()));
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, [&sids[3], &sids[2], &sids[1], &sids[0]].map(String::clone));
    let one = bench.get(&format!("/2010-04-01/Accounts/{AC}/Messages/{}.json", sids[4])).await;
    assert_eq!((one.status, &one.json["to"]), (200, &json!("+4917012345679")));
    let none = bench.get(&format!("/2010-04-01/Accounts/{AC}/Messages/SM1.json")).await;
    assert_eq!((none.status, &none.json["code"]), (404, &json!(20404)));
}

#[tokio::test]
async fn receipts_come_signed_and_in_order_and_are_retried() {
    let mut customer = Customer::new(&[500, 503]).await;
    let bench = Bench::new(settings()).await;
    let url = customer.url.clone();
    let sent = bench.send(&[("To", "+4917012345678"), ("From", FROM), ("Body", "x"), ("StatusCallback", &url)]).await;
    assert_eq!(customer.statuses(4).await, ["sent", "sent", "sent", "delivered"]);
    bench.until(|summary| summary.receipts.sent == 2 && summary.receipts.retried == 2).await;
    let path = format!("/2010-04-01/Accounts/{AC}/Messages/{}.json", sent.json["sid"].as_str().unwrap());
    let message = bench.get(&path).await.json;
    assert_eq!(message["status"], "delivered");
    assert!(message["date_sent"].is_string());

    for (to, statuses) in [
        ("+4917012390003", vec![("sent", None), ("undelivered", Some("30003"))]),
        ("+4917012390008", vec![("failed", Some("30008"))]),
        ("+4917012390993", vec![("delivered", None), ("sent", None)]),
    ] {
        bench.send(&[("To", to), ("From", FROM), ("Body", "x"), ("StatusCallback", &url)]).await;
        for (status, code) in statuses {
            let post = customer.next().await;
            assert_eq!((post["MessageStatus"].as_str(), post.get("ErrorCode").map(String::as_str)), (status, code));
            assert_eq!((&*post["To"], &*post["From"], &*post["AccountSid"]), (to, FROM, AC));
        }
    }
    let params = [("To", "+4917012345678"), ("MessagingServiceSid", MG), ("Body", "x"), ("StatusCallback", &url)];
    bench.send(&params).await;
    assert_eq!(customer.statuses(3).await, ["queued", "sent", "delivered"]);
    bench.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn receipts_are_doubled_and_lost_by_share() {
    let mut customer = Customer::new(&[]).await;
    let bench = Bench::new(settings()).await;
    let url = customer.url.clone();
    let params = [("To", "+4917012345678"), ("From", FROM), ("Body", "x"), ("StatusCallback", &*url)];
    bench.sandbox.set_faults(Faults { duplicate_receipt: 1.0, ..Faults::default() }).unwrap();
    bench.send(&params).await;
    let mut doubled = customer.statuses(4).await;
    doubled.sort();
    assert_eq!(doubled, ["delivered", "delivered", "sent", "sent"]);
    bench.sandbox.set_faults(Faults { lose_receipt: 1.0, ..Faults::default() }).unwrap();
    bench.send(&params).await;
    bench.until(|summary| summary.receipts.withheld == 2 && summary.receipts.duplicated == 2).await;
    assert!(customer.posts.try_recv().is_err());
}

#[tokio::test]
async fn stop_is_answered_with_21610_until_start() {
    let mut customer = Customer::new(&[]).await;
    let bench = Bench::new(settings()).await;
    let to = "+4917012397867";
    let inbound = bench.control(Method::PUT, "/sandbox/inbound", json!({ "number": FROM, "url": customer.url })).await;
    assert_eq!(inbound.status, 204);
    assert_eq!(bench.send_to(to).await.status, 201);
    let reply = customer.next().await;
    assert_eq!((&*reply["Body"], &*reply["From"], &*reply["To"], &*reply["SmsStatus"]), ("STOP", to, FROM, "received"));
    assert_eq!(bench.send_to(to).await.json["code"], 21610);
    let other_sender = bench.send(&[("To", to), ("From", "+4915100000001"), ("Body", "x")]).await;
    assert_eq!(other_sender.status, 201, "an opt-out holds for one sender");

    // A Messaging Service finds it out later.
    let url = &*customer.url.clone();
    bench.send(&[("To", to), ("MessagingServiceSid", MG), ("Body", "x"), ("StatusCallback", url)]).await;
    let mut last = customer.next().await;
    while last.get("MessageStatus").is_none_or(|status| status == "queued") {
        last = customer.next().await;
    }
    assert_eq!((&*last["MessageStatus"], &*last["ErrorCode"]), ("failed", "21610"));

    let asked = json!({ "from": to, "to": FROM, "body": " Start " });
    assert_eq!(bench.control(Method::POST, "/sandbox/reply", asked).await.status, 202);
    assert_eq!(customer.next().await["Body"], " Start ");
    assert_eq!(bench.send_to(to).await.status, 201);
}

#[tokio::test]
async fn magic_recipients_do_what_the_table_says() {
    let bench = Bench::new(settings()).await;
    let twice = async |suffix: &str| {
        let to = format!("+49170123{suffix}");
        (bench.send_to(&to).await.status, bench.send_to(&to).await.status)
    };
    for (suffix, first, second) in [
        ("90401", 401, 401),
        ("90429", 429, 201),
        ("99429", 429, 429),
        ("90500", 500, 201),
        ("90503", 503, 503),
        ("91211", 400, 400),
        ("91611", 429, 201),
        ("95005", 500, 500),
    ] {
        assert_eq!(twice(suffix).await, (first, second), "{suffix}");
    }
    let tables = herald::sandbox::magic::TABLES;
    for table in tables {
        let shared = herald::sandbox::magic::COMMON.rows.iter().filter(|_| table.of != "any");
        let suffixes: Vec<&str> = table.rows.iter().chain(shared).map(|row| row.suffix).collect();
        let different: HashSet<&str> = suffixes.iter().copied().filter(|suffix| suffix.len() == 5).collect();
        assert_eq!(different.len(), suffixes.len(), "{}", table.of);
    }
    let shown = bench.control(Method::GET, "/sandbox/magic", Value::Null).await.json;
    let rows = shown.as_array().unwrap();
    assert_eq!(rows.len(), tables.iter().map(|table| table.rows.len()).sum::<usize>());
    let once = rows.iter().find(|row| row["of"] == "twilio" && row["suffix"] == "90429").unwrap();
    assert_eq!(once["behaviour"], json!({ "refuse_once": 20429 }));
}

#[tokio::test]
async fn what_hangs_or_is_cut_is_counted_as_it_was() {
    let bench = Bench::new(settings()).await;
    let params = |to| [("To", to), ("From", FROM), ("Body", "x")];
    // Hangs after accepting: the caller gives up when the sandbox has it in the log.
    let hanging = params("+4917012390999");
    tokio::select! {
        answer = bench.try_send(&hanging) => panic!("answered: {:?}", answer.map(|answer| answer.status)),
        () = bench.until(|summary| summary.accepted == 1) => {}
    }
    assert!(bench.try_send(&params("+4917012390996")).await.is_err(), "accepted and cut");
    assert!(bench.try_send(&params("+4917012390997")).await.is_err(), "cut before accepting");
    assert_eq!(bench.send_to("+4917012390997").await.status, 201);
    let summary = bench.sandbox.summary();
    assert_eq!((summary.calls, summary.accepted, summary.unanswered), (4, 3, 3));
    assert_eq!(summary.refused.get("dropped"), Some(&1));
    let calls = bench.sandbox.calls(0, 10, None).calls;
    let seen: Vec<_> = calls.iter().map(|call| (call.accepted, call.answered, call.status)).collect();
    assert_eq!(seen, [(true, false, None), (true, false, None), (false, false, None), (true, true, Some(201))]);

    // Stopping does not wait for ever for a call that hangs.
    let hung = tokio::spawn({
        let (client, url) = (bench.client.clone(), bench.sandbox.base_url());
        async move {
            let request = client
                .post(format!("{url}/2010-04-01/Accounts/{AC}/Messages.json"))
                .header("authorization", format!("Basic {}", STANDARD.encode(format!("{AC}:{TOKEN}"))))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form(&[("To", "+4917112390999"), ("From", FROM), ("Body", "x")]));
            request.send().await.is_err()
        }
    });
    bench.until(|summary| summary.accepted == 4).await;
    bench.sandbox.stop().await.unwrap();
    assert!(hung.await.unwrap());
}

#[tokio::test]
async fn scheduled_messages_can_be_canceled_and_texts_redacted() {
    let bench = Bench::new(settings()).await;
    let at = bench.send_to("+4917012345678").await.json["date_created"].as_str().unwrap().to_owned();
    let at = chrono::DateTime::parse_from_rfc2822(&at).unwrap() + chrono::TimeDelta::hours(1);
    let (to, service, at) = (("To", "+4917012345678"), ("MessagingServiceSid", MG), at.to_rfc3339());
    let scheduled = [to, service, ("Body", "x"), ("ScheduleType", "fixed"), ("SendAt", &at)];
    let message = bench.send(&scheduled).await.json;
    assert_eq!(message["status"], "scheduled");
    let path = message["uri"].as_str().unwrap();
    let update = async |body: &str| {
        let kind = "application/x-www-form-urlencoded";
        bench.call(Method::POST, path, &format!("{AC}:{TOKEN}"), kind, body.into()).await.unwrap()
    };
    assert_eq!(update("Status=canceled").await.json["status"], "canceled");
    assert_eq!(update("Status=canceled").await.status, 400);
    assert_eq!(update("Body=").await.json["body"], "");
    assert_eq!(bench.control(Method::POST, "/sandbox/reset", Value::Null).await.status, 204);
    assert_eq!(bench.get(path).await.status, 404);
}

#[tokio::test]
async fn recipients_reply_by_share() {
    let mut customer = Customer::new(&[]).await;
    let mut settings = settings();
    settings.replies.share = 1.0;
    settings.inbound_url = Some(customer.url.clone());
    let bench = Bench::new(settings).await;
    bench.send_to("+4917012345678").await;
    assert_eq!(customer.next().await["Body"], "Thank you");
    bench.until(|summary| summary.replies.sent == 1 && summary.pending == 0).await;
}

#[tokio::test]
async fn faults_are_set_live_and_by_share() {
    let bench = Bench::new(settings()).await;
    let set = async |faults: Value| bench.control(Method::PUT, "/sandbox/faults", faults).await;
    assert_eq!(set(json!({ "error_5xx": 1.5 })).await.status, 400);
    let unknown = set(json!({ "error_6xx": 1.0 })).await;
    assert!(unknown.json["error"].as_str().unwrap().contains("error_6xx"), "{}", unknown.json);

    assert_eq!(set(json!({ "throttle": { "share": 1.0, "retry_after_s": 7 } })).await.status, 200);
    let throttled = bench.send_to("+4917012345678").await;
    assert_eq!((throttled.status, &throttled.json["code"]), (429, &json!(20429)));
    assert_eq!(throttled.headers["retry-after"], "7");
    let expected = Faults { throttle: Throttle { share: 1.0, retry_after_s: 7 }, ..Faults::default() };
    let shown = bench.control(Method::GET, "/sandbox/faults", Value::Null).await.json;
    assert_eq!(serde_json::from_value::<Faults>(shown).unwrap(), expected);

    set(json!({ "error_5xx": 1.0 })).await;
    assert!(bench.send_to("+4917012345678").await.status >= 500);
    set(json!({ "drop_before_accept": 1.0 })).await;
    let params = [("To", "+4917012345678"), ("From", FROM), ("Body", "x")];
    assert!(bench.try_send(&params).await.is_err());
    assert_eq!(bench.sandbox.summary().accepted, 0);
    set(json!({ "error_after_accept": 1.0 })).await;
    assert_eq!(bench.send_to("+4917012345678").await.status, 500);
    assert_eq!(bench.sandbox.summary().accepted, 1);
    set(json!({ "slow": { "share": 1.0, "ms": 20 } })).await;
    let slow = bench.send_to("+4917012345678");
    assert_eq!(tokio::time::timeout(DEADLINE, slow).await.unwrap().status, 201);
    set(json!({ "rate_limit_per_second": 1 })).await;
    let mut statuses = [0; 3];
    for status in &mut statuses {
        *status = bench.send_to("+4917012345678").await.status;
    }
    assert!(statuses.contains(&429), "{statuses:?}");

    // By share: about a third, the same third for the same seed.
    let third = async || {
        let mut settings = settings();
        settings.faults.error_5xx = 1.0 / 3.0;
        settings.seed = 7;
        let bench = Bench::new(settings).await;
        let mut statuses = Vec::new();
        for _ in 0..60 {
            statuses.push(bench.send_to("+4917012345678").await.status);
        }
        statuses
    };
    let (first, second) = (third().await, third().await);
    assert_eq!(first, second);
    let failed = first.iter().filter(|status| **status >= 500).count();
    assert!((8..35).contains(&failed), "{failed} of 60");
}

#[tokio::test]
async fn the_log_is_paged_bounded_and_summed_up() {
    let mut settings = settings();
    settings.log_limit = 4;
    let bench = Bench::new(settings).await;
    for to in
        ["+4917012300001", "+4917012300002", "+4917012300001", "+4917012391211", "+4917012300003", "+4917012300001"]
    {
        bench.send_to(to).await;
    }
    let get = async |path: &str| bench.control(Method::GET, path, Value::Null).await.json;
    let summary = get("/sandbox/summary").await;
    for (field, value) in [("calls", 6), ("accepted", 5), ("unique_recipients", 3), ("recipients_more_than_once", 1)] {
        assert_eq!(summary[field], value, "{field}");
    }
    assert_eq!(summary["more_than_once"], json!([{ "to": "+4917012300001", "times": 3 }]));
    assert_eq!(summary["refused"], json!({ "21211": 1 }));
    let page = get("/sandbox/calls?limit=3").await;
    assert_eq!((&page["dropped"], &page["next_after"]), (&json!(2), &json!(5)));
    assert_eq!(page["calls"][0]["number"], 3);
    assert_eq!(page["calls"][1]["code"], 21211);
    let rest = get("/sandbox/calls?after=5").await;
    assert_eq!((rest["calls"].as_array().map(Vec::len), &rest["next_after"]), (Some(1), &Value::Null));
    assert_eq!(get("/sandbox/calls?to=%2B4917012300001").await["calls"].as_array().map(Vec::len), Some(2));
    assert!(get("/sandbox/calls?limit=0").await["error"].is_string());
    assert!(get("/sandbox/nothing").await["error"].is_string());
    assert_eq!(bench.control(Method::DELETE, "/sandbox/calls", Value::Null).await.status, 204);
    assert_eq!(get("/sandbox/summary").await["calls"], 0);
    bench.send_to("+4917012300001").await;
    assert_eq!(get("/sandbox/calls").await["calls"][0]["number"], 7, "the numbering goes on");
}

#[tokio::test]
async fn settings_are_read_strictly_and_keep_their_secrets() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    let settings =
        read(r#"{"accounts":[{"account_sid":"AC1","auth_token":"hush"}],"receipts":{"max_delay_ms":5}}"#).unwrap();
    assert!(!format!("{settings:?}").contains("hush"));
    assert!(read(r#"{"recipts":{}}"#).is_err());
    let refused = |settings: Settings| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Sandbox::start(listener, settings).await.err().expect("refused").to_string()
    };
    assert!(refused(settings).await.contains("AC1"));
    let shares = Settings { faults: Faults { lose_receipt: 2.0, ..Faults::default() }, ..Settings::default() };
    assert!(refused(shares).await.contains("lose_receipt"));
}
