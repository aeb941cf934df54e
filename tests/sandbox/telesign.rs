//! TeleSign: field rules, statuses, reports, inbound messages, magic recipients, faults.

use herald::sandbox::{Faults, Keywords, ReportSignature, Settings, TeleSignAccount, Throttle};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    bench::{Answer, Bench, form, settings},
    customer::{Customer, Form},
};

pub const CUSTOMER: &str = Settings::DEFAULT_CUSTOMER_ID;
pub const KEY: &str = Settings::DEFAULT_API_KEY;
pub const PATH: &str = "/v1/messaging";
const FORM: &str = "application/x-www-form-urlencoded";
const TO: (&str, &str) = ("phone_number", "4917012345678");
const MESSAGE: (&str, &str) = ("message", "Hi");
const ARN: (&str, &str) = ("message_type", "ARN");
const SENDER: (&str, &str) = ("sender_id", "14252306549");

async fn try_send(bench: &Bench, params: &[(&str, &str)]) -> Result<Answer, reqwest::Error> {
    bench.call(Method::POST, PATH, &format!("{CUSTOMER}:{KEY}"), FORM, form(params)).await
}

async fn send(bench: &Bench, params: &[(&str, &str)]) -> Answer {
    try_send(bench, params).await.unwrap()
}

async fn send_to(bench: &Bench, to: &str) -> Answer {
    send(bench, &[("phone_number", to), MESSAGE, ARN, SENDER]).await
}

async fn read(bench: &Bench, reference: &str) -> Answer {
    let path = format!("{PATH}/{reference}");
    bench.call(Method::GET, &path, &format!("{CUSTOMER}:{KEY}"), "", String::new()).await.unwrap()
}

/// The codes of the next reports.
async fn codes(customer: &mut Customer, count: usize) -> Vec<u64> {
    let mut codes = Vec::new();
    while codes.len() < count {
        let report = customer.post().await.telesign(CUSTOMER, KEY, Form::Bare);
        codes.push(report["status"]["code"].as_u64().unwrap());
    }
    codes
}

#[tokio::test]
async fn fields_are_judged() {
    let bench = Bench::new(settings()).await;
    let (full, long) = ("ж".repeat(1600), "ж".repeat(1601));
    let (hundred, more) = ("x".repeat(100), "x".repeat(101));
    let forty_one = "x".repeat(41);
    let table: Vec<(Vec<(&str, &str)>, u64)> = vec![
        (vec![TO, MESSAGE, ARN], 290),
        (vec![TO, ("message", &full), ARN], 290),
        (vec![TO, MESSAGE, ("message_type", "OTP"), SENDER], 290),
        (vec![TO, MESSAGE, ("message_type", "MKT"), ("sender_id", "My Company")], 290),
        (vec![TO, MESSAGE, ARN, ("external_id", &hundred), ("account_lifecycle_event", "sign-in")], 290),
        (vec![TO, MESSAGE, ARN, ("originating_ip", "203.0.113.7"), ("is_primary", "true")], 290),
        (vec![TO, MESSAGE, ARN, ("surprise", "yes")], 290),
        (vec![MESSAGE, ARN], 12000),
        (vec![("phone_number", ""), MESSAGE, ARN], 12000),
        (vec![TO, ARN], 12009),
        (vec![TO, ("message", ""), ARN], 12009),
        (vec![TO, MESSAGE], 12017),
        (vec![("phone_number", "+4917012345678"), MESSAGE, ARN], 11000),
        (vec![("phone_number", "49 170 12345678"), MESSAGE, ARN], 11000),
        (vec![("phone_number", "49-17012345678"), MESSAGE, ARN], 11000),
        (vec![("phone_number", "491701"), MESSAGE, ARN], 11000),
        (vec![("phone_number", "1234567890123456"), MESSAGE, ARN], 11000),
        (vec![("phone_number", "017012345678"), MESSAGE, ARN], 11001),
        (vec![TO, ("message", &long), ARN], 11009),
        (vec![TO, MESSAGE, ("message_type", "arn")], 11017),
        (vec![TO, MESSAGE, ("message_type", "SMS")], 11017),
        (vec![TO, MESSAGE, ARN, ("sender_id", "123456789012345678901")], 11013),
        (vec![TO, MESSAGE, ARN, ("sender_id", "+14252306549")], 11013),
        (vec![TO, MESSAGE, ARN, ("external_id", &more)], 11016),
        (vec![TO, MESSAGE, ARN, ("external_id", "é")], 11016),
        (vec![TO, MESSAGE, ARN, ("account_lifecycle_event", "livecycle")], 11003),
        (vec![TO, MESSAGE, ARN, ("callback_url", "hooks.example.com")], 11004),
        (vec![TO, MESSAGE, ARN, ("callback_url", "")], 11004),
        (vec![TO, MESSAGE, ARN, ("originating_ip", "here")], 11010),
        (vec![TO, MESSAGE, ARN, ("dlt_template_id", &forty_one)], 11034),
        (vec![TO, MESSAGE, ARN, ("dlt_entity_id", &forty_one)], 11035),
    ];
    for (params, code) in table {
        let answer = send(&bench, &params).await;
        assert_eq!(answer.json["status"]["code"], code, "{params:?}: {}", answer.json);
        assert_eq!(answer.status, if code == 290 { 200 } else { 400 }, "{params:?}");
        assert!(answer.json["status"]["updated_on"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(bench.sandbox.calls(0, 100, None).calls.iter().map(|call| call.unknown_params).sum::<u32>(), 1);

    // A JSON body has no parameters, whatever is in it, and neither has one that is no UTF-8 a text.
    let user = format!("{CUSTOMER}:{KEY}");
    let body = json!({ "phone_number": TO.1, "message": "Hi", "message_type": "ARN" }).to_string();
    let json = bench.call(Method::POST, PATH, &user, "application/json", body).await.unwrap();
    assert_eq!((json.status, &json.json["status"]["code"]), (400, &json!(12000)));
    let latin = "phone_number=4917012345678&message=%E9&message_type=ARN".to_owned();
    let latin = bench.call(Method::POST, PATH, &user, FORM, latin).await.unwrap();
    assert_eq!(latin.json["status"]["code"], 11009);
    assert_eq!(bench.call(Method::PUT, PATH, &user, FORM, String::new()).await.unwrap().status, 405);
    assert_eq!(bench.call(Method::GET, "/v1/messaging/a/b", &user, "", String::new()).await.unwrap().status, 404);
}

#[tokio::test]
async fn what_is_accepted_can_be_read_back() {
    let mut settings = settings();
    settings.telesign.push(TeleSignAccount::new("other", KEY));
    let bench = Bench::new(settings).await;
    let answer = send(&bench, &[TO, MESSAGE, ARN, SENDER, ("external_id", "run-1/42")]).await;
    let reference = answer.json["reference_id"].as_str().unwrap();
    assert!(reference.len() == 32 && reference.bytes().all(|b| b.is_ascii_hexdigit()), "{reference}");
    assert_eq!((answer.status, &answer.json["status"]["code"]), (200, &json!(290)));
    assert_eq!(answer.json["external_id"], "run-1/42");
    bench.until(|summary| summary.pending == 0).await;
    let status = read(&bench, reference).await;
    assert_eq!((status.status, &status.json["status"]["code"]), (200, &json!(200)));
    assert_eq!(status.json["external_id"], "run-1/42");

    let code = async |reference: &str| {
        let answer = read(&bench, reference).await;
        (answer.status, answer.json["status"]["code"].clone())
    };
    assert_eq!(code("00000000000000000000000000000000").await, (404, json!(10017)));
    assert_eq!(code("1").await, (400, json!(11011)));
    let path = format!("{PATH}/{reference}");
    let other = bench.call(Method::GET, &path, &format!("other:{KEY}"), "", String::new()).await.unwrap();
    assert_eq!((other.status, &other.json["status"]["code"]), (404, &json!(10017)));

    let call = &bench.sandbox.calls(0, 1, None).calls[0];
    assert_eq!((&*call.to, &*call.from, &*call.body, &*call.account), (TO.1, SENDER.1, "Hi", CUSTOMER));
    assert_eq!((call.sid.as_deref(), call.accepted, call.status), (Some(reference), true, Some(200)));
    let summary = bench.control(Method::GET, "/sandbox/summary", Value::Null).await.json;
    assert_eq!((&summary["accepted"], &summary["providers"]["telesign"]["accepted"]), (&json!(1), &json!(1)));
    assert_eq!(summary["providers"]["twilio"]["calls"], 0);
}

#[tokio::test]
async fn reports_are_signed_and_come_until_they_are_answered_with_200() {
    let mut customer = Customer::answering(&[204, 500, 302], 200).await;
    let bench = Bench::new(settings()).await;
    let url = customer.url.clone();
    let params = [TO, ("message", &*"x".repeat(161)), ARN, SENDER, ("external_id", "42"), ("callback_url", &url)];
    let reference = send(&bench, &params).await.json["reference_id"].clone();
    assert_eq!(codes(&mut customer, 4).await, [203, 203, 203, 203]);
    let post = customer.post().await;
    assert_eq!(post.url, url);
    let report = post.telesign(CUSTOMER, KEY, Form::Bare);
    assert_eq!(report["status"]["code"], 200);
    assert_eq!((&report["reference_id"], &report["external_id"]), (&reference, &json!("42")));
    assert_eq!(report["additional_info"]["message_parts_count"], 2);
    bench.until(|summary| summary.receipts.sent == 2).await;
    let counts = bench.sandbox.summary().receipts;
    assert_eq!((counts.refused, counts.retried, counts.failed), (3, 3, 0));

    // Four attempts, no more. What comes after them comes all the same.
    let mut stubborn = Customer::answering(&[204; 4], 200).await;
    let url = stubborn.url.clone();
    send(&bench, &[TO, MESSAGE, ARN, ("callback_url", &url)]).await;
    assert_eq!(codes(&mut stubborn, 5).await, [203, 203, 203, 203, 200]);
    bench.until(|summary| summary.receipts.failed == 1 && summary.pending == 0).await;
}

#[tokio::test]
async fn an_account_has_its_own_ways() {
    let mut customer = Customer::answering(&[], 200).await;
    let mut settings = settings();
    let account = &mut settings.telesign[0];
    account.callback_url = Some(customer.url.clone());
    account.report_signature = ReportSignature::Full;
    account.senders = vec![SENDER.1.into()];
    account.keywords = Keywords::Off;
    account.inbound_url = Some(customer.url.clone());
    let bench = Bench::new(settings).await;
    let report = async |customer: &mut Customer| customer.post().await.telesign(CUSTOMER, KEY, Form::Full);
    send(&bench, &[TO, MESSAGE, ARN, SENDER]).await;
    assert_eq!(report(&mut customer).await["status"]["code"], 203);
    assert_eq!(report(&mut customer).await["status"]["code"], 200);
    send(&bench, &[TO, MESSAGE, ARN, ("sender_id", "Stranger")]).await;
    assert_eq!(report(&mut customer).await["status"]["code"], 521);
    // The number is the account's, so the provider need not be named.
    let asked = json!({ "from": "+4917012345678", "to": "+14252306549", "body": "stop" });
    assert_eq!(bench.control(Method::POST, "/sandbox/reply", asked).await.status, 202);
    let inbound = report(&mut customer).await;
    assert_eq!(inbound["user_response"]["mo_message"], "stop");
    assert_eq!(inbound["user_response"].get("action"), None);
}

#[tokio::test]
async fn inbound_messages_say_what_their_keyword_asks_for() {
    let mut customer = Customer::answering(&[], 200).await;
    let bench = Bench::new(settings()).await;
    let ask = |body: &str| json!({ "from": TO.1, "to": SENDER.1, "body": body, "provider": "telesign" });
    let nowhere = bench.control(Method::POST, "/sandbox/reply", ask("Hi")).await;
    assert!(nowhere.json["error"].as_str().unwrap().contains("PUT /sandbox/inbound"), "{}", nowhere.json);
    bench.control(Method::PUT, "/sandbox/inbound", json!({ "number": SENDER.1, "url": customer.url })).await;
    for (text, action, keyword) in [
        ("STOP", "stop", json!("stop")),
        (" Arrêt ", "stop", json!("arrêt")),
        ("arret", "stop", json!("arret")),
        ("Unsubscribe", "stop", json!("unsubscribe")),
        ("please stop", "generic", Value::Null),
        ("STOPALL", "generic", Value::Null),
        ("AIDE", "help", json!("aide")),
        ("info", "help", json!("info")),
        ("start", "start", json!("start")),
        ("yes", "generic", Value::Null),
    ] {
        let answer = bench.control(Method::POST, "/sandbox/reply", ask(text)).await;
        let inbound = customer.post().await.telesign(CUSTOMER, KEY, Form::Bare);
        let said = &inbound["user_response"];
        assert_eq!((&said["action"], &said["keyword"]), (&json!(action), &keyword), "{text}");
        assert_eq!((&said["phone_number"], &said["sender_id"]), (&json!(TO.1), &json!(SENDER.1)));
        assert_eq!((&inbound["sub_resource"], &inbound["status"]["code"]), (&json!("mo_sms"), &json!(1500)));
        assert_eq!((&inbound["errors"], &inbound["reference_id"]), (&json!({}), &answer.json["sid"]));
    }
    // The provider need not be named when the sender is known to be its own: here, because it was last sent from.
    send_to(&bench, TO.1).await;
    let known = json!({ "from": "+4917012345678", "to": "+14252306549", "text": "Hi" });
    assert_eq!(bench.control(Method::POST, "/sandbox/reply", known).await.status, 202);
    let said = customer.post().await.telesign(CUSTOMER, KEY, Form::Bare);
    assert_eq!(said["user_response"]["phone_number"], TO.1);
    // TeleSign keeps no list: who answered STOP is sent to again.
    let to = "4917012397867";
    assert_eq!(send_to(&bench, to).await.status, 200);
    let stop = customer.post().await.telesign(CUSTOMER, KEY, Form::Bare);
    assert_eq!(
        stop["user_response"],
        json!({
            "phone_number": to, "sender_id": SENDER.1, "mo_message": "STOP", "iso_country_code": null,
            "action": "stop", "keyword": "stop",
        })
    );
    assert_eq!(send_to(&bench, to).await.status, 200);
}

#[tokio::test]
async fn magic_recipients_do_what_the_table_says() {
    let mut customer = Customer::answering(&[], 200).await;
    let bench = Bench::new(settings()).await;
    for (suffix, first, second, code) in [
        ("90401", 401, 401, 10022),
        ("90402", 402, 402, 10030),
        ("90429", 429, 200, 10019),
        ("99429", 429, 429, 10019),
        ("90020", 429, 429, 10020),
        ("90500", 500, 200, 10000),
        ("90503", 500, 500, 10000),
        ("90010", 401, 401, 10010),
        ("90034", 400, 400, 10034),
        ("91000", 400, 400, 11000),
        ("95005", 500, 500, 10000),
    ] {
        let to = format!("49170123{suffix}");
        let answers = (send_to(&bench, &to).await, send_to(&bench, &to).await);
        assert_eq!((answers.0.status, answers.1.status), (first, second), "{suffix}");
        assert_eq!(answers.0.json["status"]["code"], code, "{suffix}");
    }
    let url = customer.url.clone();
    for (suffix, reports) in [
        ("95510", &[203, 510][..]),
        ("95503", &[203, 503]),
        ("95504", &[203, 504]),
        ("95210", &[203, 210]),
        ("95220", &[220]),
        ("95229", &[229]),
        ("95251", &[203, 251]),
        ("90992", &[203]),
        ("90993", &[200, 203]),
    ] {
        let to = format!("49170123{suffix}");
        let sent = send(&bench, &[("phone_number", &to), MESSAGE, ARN, ("callback_url", &url)]).await;
        assert_eq!(codes(&mut customer, reports.len()).await, reports, "{suffix}");
        let reference = sent.json["reference_id"].as_str().unwrap();
        let last = reports.iter().copied().find(|code| *code != 203).unwrap_or(203);
        bench.until(|summary| summary.pending == 0).await;
        assert_eq!(read(&bench, reference).await.json["status"]["code"], last, "{suffix}");
    }
    let silent = [("phone_number", "4917012390995"), MESSAGE, ARN, ("callback_url", &*url)];
    send(&bench, &silent).await;
    bench.until(|summary| summary.receipts.withheld == 2).await;
    assert!(customer.has_nothing_more());
    let doubled = [("phone_number", "4917012390994"), MESSAGE, ARN, ("callback_url", &*url)];
    send(&bench, &doubled).await;
    let mut twice = codes(&mut customer, 4).await;
    twice.sort_unstable();
    assert_eq!(twice, [200, 200, 203, 203]);
}

#[tokio::test]
async fn faults_by_share_are_in_its_words() {
    let bench = Bench::new(settings()).await;
    let set = |faults: Faults| bench.sandbox.set_faults(faults).unwrap();
    set(Faults { throttle: Throttle { share: 1.0, retry_after_s: 7 }, ..Faults::default() });
    let throttled = send_to(&bench, TO.1).await;
    assert_eq!((throttled.status, &throttled.json["status"]["code"]), (429, &json!(10019)));
    assert_eq!(throttled.headers["retry-after"], "7");
    set(Faults { error_5xx: 1.0, ..Faults::default() });
    let broken = send_to(&bench, TO.1).await;
    assert!(matches!(broken.status, 500 | 503), "{}", broken.status);
    assert_eq!(broken.json["status"]["code"], 10000);
    set(Faults { drop_before_accept: 1.0, ..Faults::default() });
    assert!(try_send(&bench, &[TO, MESSAGE, ARN]).await.is_err());
    assert_eq!(bench.sandbox.summary().accepted, 0);
    set(Faults { drop_after_accept: 1.0, ..Faults::default() });
    assert!(try_send(&bench, &[TO, MESSAGE, ARN]).await.is_err());
    assert_eq!(bench.sandbox.summary().accepted, 1);
    set(Faults { hang_after_accept: 1.0, ..Faults::default() });
    let hanging = [TO, MESSAGE, ARN];
    tokio::select! {
        answer = try_send(&bench, &hanging) => panic!("answered: {:?}", answer.map(|answer| answer.status)),
        () = bench.until(|summary| summary.accepted == 2) => {}
    }
    let summary = bench.sandbox.summary();
    let refused: Vec<(&str, u64)> = summary.refused.iter().map(|(code, count)| (code.as_str(), *count)).collect();
    assert_eq!(refused, [("10000", 1), ("10019", 1), ("dropped", 1)]);
    assert_eq!(summary.unanswered, 3);
}
