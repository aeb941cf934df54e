//! Signatures, versions, field rules, repeats, opt-outs, numbers.

use herald::sandbox::{
    AcsResource, Settings,
    acs::{Signed, authorization, content_hash},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, Draft, FROM, KEY, SEND, TO, date, item, message, repeatable, settings};

const GUID: &str = "fda6d242-46aa-4247-8bf6-619a1206f9c3";
const DENIED: &str = "/error/code=Denied";

fn with_numbers(numbers: &[&str]) -> Settings {
    let numbers = numbers.iter().map(|number| (*number).to_owned()).collect();
    Settings { acs: vec![AcsResource { numbers, ..AcsResource::new("sandbox", KEY) }], ..settings() }
}

/// `pointer=value` in an answer; nothing expects nothing.
fn assert_says(answer: &Answer, expected: &str, what: &str) {
    if let Some((pointer, value)) = expected.split_once('=') {
        assert_eq!(answer.json.pointer(pointer), Some(&json!(value)), "{what}: {}", answer.json);
    }
}

#[test]
fn the_signature_is_the_official_sdks() {
    let body = r#"{"from":"+18001110000","smsRecipients":[{"to":"+11234567890","repeatabilityRequestId":"fda6d242-46aa-4247-8bf6-619a1206f9c3","repeatabilityFirstSent":"Fri, 20 Nov 2026 08:00:00 GMT"}],"message":"Hello world!","smsSendOptions":{"enableDeliveryReport":true,"tag":"camp-1"}}"#;
    let hash = content_hash(body.as_bytes());
    assert_eq!(hash, "zIsFGpG+HtNFDJI63g8aBmF+sOCyMmEth/2ksl/VU08=");
    let signed = Signed {
        method: "POST",
        path_and_query: "/sms?api-version=2021-03-07",
        date: "Fri, 20 Nov 2026 08:00:00 GMT",
        host: "contoso.communication.azure.com",
        content_hash: &hash,
    };
    let expected = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=lSlJuPsg6pHQloz5f0hxCdZ1RuEj6vQbT9gSJN3bS6k=";
    assert_eq!(authorization("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", signed).as_deref(), Some(expected));
}

#[tokio::test]
async fn every_part_of_a_signature_is_checked() {
    let bench = Bench::new(settings()).await;
    let body = message(&[TO]);
    let draft = || Draft::post(SEND, &body);
    let other_key = "b3RoZXI=";
    let official = "/error/message=Request 'x-ms-content-sha256' differs from generated content hash.";
    let (now, hash, address) = (date(0), content_hash(body.to_string().as_bytes()), bench.sandbox.local_addr());
    let signed = |method, path_and_query, host: &str| {
        let signed = Signed { method, path_and_query, date: &now, host, content_hash: &hash };
        draft().with("x-ms-date", now.as_str()).with("authorization", authorization(KEY, signed).unwrap())
    };
    let (whole, bare) = (address.to_string(), address.ip().to_string());
    let mut other_headers = signed("POST", SEND, &whole);
    other_headers.headers[1].1 = other_headers.headers[1].1.replace("x-ms-date;host", "host;x-ms-date");
    let table = [
        ("as it must be", draft(), 202, ""),
        ("14 minutes ahead", draft().with("x-ms-date", date(14 * 60)), 202, ""),
        ("14 minutes behind", draft().with("x-ms-date", date(-14 * 60)), 202, ""),
        ("16 minutes ahead", draft().with("x-ms-date", date(16 * 60)), 401, DENIED),
        ("16 minutes behind", draft().with("x-ms-date", date(-16 * 60)), 401, DENIED),
        ("no date", draft().with("x-ms-date", "yesterday"), 401, DENIED),
        ("without a date", draft().with("x-ms-date", ""), 401, DENIED),
        ("without a hash", draft().with("x-ms-content-sha256", ""), 401, DENIED),
        ("of another body", draft().with("x-ms-content-sha256", content_hash(b"{}")), 401, official),
        ("without a signature", draft().with("authorization", ""), 401, DENIED),
        ("of another kind", draft().with("authorization", "Bearer abc"), 401, DENIED),
        ("another key", Draft { key: other_key, ..draft() }, 401, DENIED),
        ("signed by hand", signed("POST", SEND, &whole), 202, ""),
        ("other headers signed", other_headers, 401, DENIED),
        ("another path", signed("POST", "/sms?api-version=2021-03-07", &whole), 401, DENIED),
        ("without the query", signed("POST", "/sms", &whole), 401, DENIED),
        ("another method", signed("GET", SEND, &whole), 401, DENIED),
        ("the host without its port", signed("POST", SEND, &bare), 401, DENIED),
        ("another host, sent as it was signed", draft().with("host", "contoso.communication.azure.com"), 202, ""),
    ];
    for (what, draft, status, says) in table {
        let answer = bench.call(draft).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.json);
        assert_says(&answer, says, what);
    }
    let refused = bench.sandbox.summary().providers[&herald::sandbox::Provider::Acs].refused.clone();
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), [("401".to_owned(), 14)]);
}

#[tokio::test]
async fn each_resource_has_its_own_key() {
    let other = AcsResource::new("other", "b3RoZXI=");
    let mut both = settings();
    both.acs.push(other);
    let bench = Bench::new(both).await;
    let body = message(&[TO]);
    bench.send(&body).await;
    bench.call(Draft { key: "b3RoZXI=", ..Draft::post(SEND, &body) }).await;
    let accounts: Vec<_> = bench.calls().iter().map(|call| call.account.to_string()).collect();
    assert_eq!(accounts, ["sandbox", "other"]);
}

#[tokio::test]
async fn versions_are_known_by_path() {
    let bench = Bench::new(settings()).await;
    let sms = message(&[TO]);
    let optouts = json!({ "from": FROM, "recipients": [{ "to": TO }] });
    let missing = "/error/code=ApiVersionUnspecified";
    let unknown = "/error/code=UnsupportedApiVersion";
    let get = |path| Draft { method: Method::GET, body: String::new(), ..Draft::post(path, &Value::Null) };
    let table = [
        (Draft::post("/sms?api-version=2021-03-07", &sms), 202, ""),
        (Draft::post("/sms?api-version=2025-09-17", &sms), 202, ""),
        (Draft::post("/sms?api-version=2026-01-23", &sms), 202, ""),
        (Draft::post("/sms", &sms), 400, missing),
        (Draft::post("/sms?api-version=", &sms), 400, unknown),
        (Draft::post("/sms?api-version=2024-12-10-preview", &sms), 400, unknown),
        (
            Draft::post("/sms?api-version=2021-03-07&api-version=2026-01-23", &sms),
            400,
            "/error/code=AmbiguousApiVersion",
        ),
        (Draft::post("/sms/optouts:check?api-version=2025-09-17", &optouts), 200, ""),
        (Draft::post("/sms/optouts:check?api-version=2026-01-23", &optouts), 200, ""),
        (Draft::post("/sms/optouts:check?api-version=2021-03-07", &optouts), 400, unknown),
        (Draft::post("/sms/optouts:add", &optouts), 400, missing),
        (Draft::post("/sms/optouts:forget?api-version=2026-01-23", &optouts), 404, "/error/code=NotFound"),
        (get("/phoneNumbers?api-version=2022-12-01"), 200, ""),
        (get("/phoneNumbers"), 400, missing),
        (get("/phoneNumbers?api-version=2026-01-23"), 400, unknown),
        (get(SEND), 405, "/error/code=MethodNotAllowed"),
    ];
    for (draft, status, says) in table {
        let what = format!("{} {}", draft.method, draft.path);
        let answer = bench.call(draft).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.json);
        assert_says(&answer, says, &what);
    }
}

#[tokio::test]
async fn fields_are_judged() {
    let bench = Bench::new(with_numbers(&[FROM, "12345", "Herald"])).await;
    let changed = |pointer: &str, value: Value| {
        let mut body = message(&[TO]);
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let without = |pointer: &str, field: &str| {
        let mut body = message(&[TO]);
        body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        body
    };
    let with = |pointer: &str, field: &str, value: Value| {
        let mut body = message(&[TO]);
        body.pointer_mut(pointer).unwrap()[field] = value;
        body
    };
    let many = |count: usize| {
        let to: Vec<String> = (0..count).map(|nth| format!("+4917012{nth:06}")).collect();
        message(&to.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let bad = "/error/code=BadRequest";
    let malformed = "/From/0=Invalid From phone number format";
    let foreign = "/error/code=Unauthorized";
    let options = "/smsSendOptions";
    let table = [
        (message(&[TO]), 202, ""),
        (without("", "smsSendOptions"), 202, ""),
        (without(options, "tag"), 202, ""),
        (changed("/message", json!("")), 202, ""),
        (changed("/message", json!("ж".repeat(2048))), 202, ""),
        (changed("/from", json!("12345")), 202, ""),
        (changed("/from", json!("Herald")), 202, ""),
        (many(100), 202, ""),
        (with("", "surprise", json!(1)), 202, ""),
        (with(options, "deliveryReportTimeoutInSeconds", json!(60)), 202, ""),
        (with(options, "messagingConnect", json!({ "apiKey": "k", "partner": "p" })), 202, ""),
        (with(options, "validityPeriodSeconds", json!(300)), 202, ""),
        (without("", "from"), 400, bad),
        (without("", "message"), 400, bad),
        (without("", "smsRecipients"), 400, bad),
        (without(options, "enableDeliveryReport"), 400, bad),
        (without("/smsRecipients/0", "to"), 400, bad),
        (changed("/message", Value::Null), 400, bad),
        (changed("/message", json!(7)), 400, bad),
        (changed("/message", json!("ж".repeat(2049))), 400, bad),
        (changed("/smsSendOptions/enableDeliveryReport", json!("true")), 400, bad),
        (with(options, "deliveryReportTimeoutInSeconds", json!(59)), 400, bad),
        (with(options, "deliveryReportTimeoutInSeconds", json!(43_201)), 400, bad),
        (with(options, "messagingConnect", json!({ "partner": "p" })), 400, bad),
        (many(0), 400, bad),
        (many(101), 400, bad),
        (json!([]), 400, bad),
        (changed("/from", json!("18001110000")), 400, malformed),
        (changed("/from", json!("+180011100000")), 400, malformed),
        (changed("/from", json!("1234")), 400, malformed),
        (changed("/from", json!("Much too long a name")), 400, malformed),
        (changed("/from", json!("+18001110001")), 401, foreign),
        (changed("/from", json!("Another")), 401, foreign),
    ];
    for (body, status, says) in table {
        let answer = bench.send(&body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.json);
        assert_says(&answer, says, &body.to_string());
    }
    let unknown: Vec<u32> = bench.calls().iter().map(|call| call.unknown_params).filter(|count| *count > 0).collect();
    assert_eq!(unknown, [1, 1], "a field that the version does not know is ignored, and counted");
    let broken = Draft { body: "{".into(), ..Draft::post(SEND, &Value::Null) };
    assert_eq!(bench.call(broken).await.status, 400);
    let form = Draft::post(SEND, &message(&[TO])).with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(bench.call(form).await.status, 415);
}

#[tokio::test]
async fn one_bad_recipient_does_not_spoil_the_others() {
    let bench = Bench::new(settings()).await;
    let mut body = message(&[]);
    body["smsRecipients"] = json!([
        { "to": "+11234567890" },
        { "to": "+112345678901" },
        { "to": "4917012345678" },
        { "to": "+11234567893", "repeatabilityRequestId": GUID, "repeatabilityFirstSent": "Mon, 01 Apr 2019 06:22:03 GMT" },
        { "to": "+11234567894", "repeatabilityRequestId": GUID },
        { "to": "+11234567895", "repeatabilityRequestId": "12", "repeatabilityFirstSent": "Mon, 01 Apr 2019 06:22:03 GMT" },
        { "to": "+11234567896", "repeatabilityRequestId": GUID, "repeatabilityFirstSent": "2019-04-01T06:22:03Z" },
    ]);
    let answer = bench.send(&body).await;
    assert_eq!(answer.status, 202);
    let late =
        "Request sent with Invalid DateTime value for repeatability-first-sent. Expected is DateTime ,RFC1123 pattern.";
    let format = "Invalid To phone number format.";
    for (to, status, repeatability, why) in [
        ("+11234567890", 202, Value::Null, None),
        ("+112345678901", 400, Value::Null, Some(format)),
        ("4917012345678", 400, Value::Null, Some(format)),
        ("+11234567893", 202, json!("accepted"), None),
        ("+11234567894", 400, json!("rejected"), Some(late)),
        (
            "+11234567895",
            400,
            json!("rejected"),
            Some("Request sent with an invalid repeatability-request-id. Expected is a GUID."),
        ),
        ("+11234567896", 400, json!("rejected"), Some(late)),
    ] {
        let item = item(&answer, to);
        assert_eq!(item["httpStatusCode"], status, "{item}");
        assert_eq!(item["successful"], status == 202, "{item}");
        assert_eq!(item["repeatabilityResult"], repeatability, "{item}");
        assert_eq!(item.get("errorMessage").and_then(Value::as_str), why, "{item}");
        let id = item.get("messageId").and_then(Value::as_str);
        assert_eq!(id.is_some_and(|id| id.starts_with("Outgoing_")), status == 202, "{item}");
    }
    let order: Vec<&str> = answer.json["value"].as_array().unwrap().iter().map(|i| i["to"].as_str().unwrap()).collect();
    assert_eq!((order[0], order[6]), ("+11234567896", "+11234567890"), "the order is not the request's");
    let logged: Vec<_> = bench.calls().iter().map(|call| (call.to.to_string(), call.accepted, call.code)).collect();
    assert_eq!(logged.len(), 7, "an entry for each");
    assert_eq!(logged[0], ("+11234567890".into(), true, None));
    assert_eq!(logged[1], ("+112345678901".into(), false, Some(400)));
    let summary = bench.sandbox.summary();
    assert_eq!((summary.calls, summary.accepted, summary.unanswered), (7, 2, 0));
    // The example of the oldest version shows an id with what was rejected, too.
    let oldest = bench.call(Draft::post("/sms?api-version=2021-03-07", &body)).await;
    assert!(item(&oldest, "+11234567894")["messageId"].is_string());
    assert!(item(&oldest, "+112345678901").get("messageId").is_none());
}

#[tokio::test]
async fn a_repeat_is_answered_and_not_handed_over_again() {
    let bench = Bench::new(settings()).await;
    let first_sent = date(0);
    let body = repeatable(TO, GUID, &first_sent);
    let first = item(&bench.send(&body).await, TO);
    let (accepted, id) = (json!("accepted"), &first["messageId"]);
    assert_eq!((&first["httpStatusCode"], &first["repeatabilityResult"]), (&json!(202), &accepted));
    for again in [body.clone(), repeatable(TO, &GUID.to_uppercase(), &first_sent)] {
        let again = item(&bench.send(&again).await, TO);
        assert_eq!((&again["httpStatusCode"], &again["repeatabilityResult"]), (&json!(202), &accepted));
        assert_eq!((&again["messageId"], &again["successful"]), (id, &json!(true)));
    }
    let mut other_text = body.clone();
    other_text["message"] = "Hello again".into();
    let mut other_tag = body.clone();
    other_tag["smsSendOptions"]["tag"] = "camp-2".into();
    let other_date = repeatable(TO, GUID, &date(60));
    for (to, other) in
        [(TO, other_text), (TO, other_tag), (TO, other_date), (FROM, repeatable(FROM, GUID, &first_sent))]
    {
        let item = item(&bench.send(&other).await, to);
        assert_eq!((&item["httpStatusCode"], &item["repeatabilityResult"]), (&json!(400), &json!("rejected")));
        assert_eq!(item["successful"], false);
    }
    let summary = bench.sandbox.summary();
    assert_eq!((summary.calls, summary.accepted, summary.repeats, summary.recipients_more_than_once), (7, 1, 2, 0));
    assert_eq!(summary.refused.into_iter().collect::<Vec<_>>(), [("400".to_owned(), 4)]);
    let calls = bench.calls();
    let told: Vec<_> = calls.iter().map(|call| (call.accepted, call.repeat, call.sid.as_deref())).collect();
    let id = id.as_str();
    assert_eq!(told[..4], [(true, false, id), (false, true, id), (false, true, id), (false, false, None)]);
    assert_eq!(calls[0].request_id.as_deref(), Some(GUID));
    assert_eq!(serde_json::to_value(calls[0].provider).unwrap(), "acs");

    // Without an id there are two messages.
    bench.send_to("+4917012345679").await;
    bench.send_to("+4917012345679").await;
    assert_eq!(bench.sandbox.summary().recipients_more_than_once, 1);
}

#[tokio::test]
async fn an_id_is_tracked_for_a_while_if_the_settings_say_so() {
    let resource = AcsResource { repeatability_window_s: Some(300), ..AcsResource::new("sandbox", KEY) };
    let bench = Bench::new(Settings { acs: vec![resource], ..settings() }).await;
    let other = GUID.replace('f', "e");
    for (id, later_s, status, result) in [(GUID, -240, 202, "accepted"), (&other, -360, 412, "rejected")] {
        let item = item(&bench.send(&repeatable(TO, id, &date(later_s))).await, TO);
        assert_eq!((&item["httpStatusCode"], &item["repeatabilityResult"]), (&json!(status), &json!(result)), "{item}");
    }
}

#[tokio::test]
async fn what_was_refused_may_be_tried_again_under_the_same_id() {
    let bench = Bench::new(settings()).await;
    let to = "+4917012390503";
    let body = repeatable(to, GUID, &date(0));
    let first = item(&bench.send(&body).await, to);
    assert_eq!((&first["httpStatusCode"], first.get("repeatabilityResult")), (&json!(503), None));
    let second = item(&bench.send(&body).await, to);
    assert_eq!((&second["httpStatusCode"], &second["repeatabilityResult"]), (&json!(202), &json!("accepted")));
    let third = item(&bench.send(&body).await, to);
    assert_eq!(third["messageId"], second["messageId"]);
    let summary = bench.sandbox.summary();
    assert_eq!((summary.accepted, summary.repeats), (1, 1));
}

#[tokio::test]
async fn opt_outs_are_kept_by_sender_and_recipient() {
    let bench = Bench::new(with_numbers(&[FROM, "+18001110001", "Herald"])).await;
    let act = async |action: &str, from: &str, to: &[&str]| {
        let recipients: Vec<Value> = to.iter().map(|to| json!({ "to": to })).collect();
        let path = format!("/sms/optouts:{action}?api-version=2026-01-23");
        bench.call(Draft::post(&path, &json!({ "from": from, "recipients": recipients }))).await
    };
    let checked = async |from: &str| item(&act("check", from, &[TO]).await, TO)["isOptedOut"].clone();
    assert_eq!(checked(FROM).await, false);
    let added = act("add", FROM, &[TO, "+123"]).await;
    assert_eq!(added.status, 200);
    assert_eq!(item(&added, TO), json!({ "to": TO, "httpStatusCode": 200 }));
    let words = "Invalid recipient phone number format";
    assert_eq!(item(&added, "+123"), json!({ "to": "+123", "httpStatusCode": 400, "errorMessage": words }));
    assert_eq!((checked(FROM).await, checked("+18001110001").await), (json!(true), json!(false)));
    act("remove", FROM, &[TO]).await;
    assert_eq!(checked(FROM).await, false);
    let full = vec![TO; 101];
    for (from, to, status) in
        [(FROM, &full[..], 400), (FROM, &[], 400), ("800", &full[..1], 400), ("+18001110002", &full[..1], 401)]
    {
        assert_eq!(act("check", from, to).await.status, status, "{from}");
    }
    let unsigned = Draft::post("/sms/optouts:check?api-version=2026-01-23", &json!({})).with("authorization", "");
    assert_eq!(bench.call(unsigned).await.json["error"]["code"], "Denied");
    assert_eq!(bench.sandbox.summary().calls, 0, "only sending is logged");
}

#[tokio::test]
async fn the_numbers_of_a_resource_are_listed() {
    let bench = Bench::new(with_numbers(&[FROM, "+4915112345678", "12345", "Herald"])).await;
    let path = "/phoneNumbers?api-version=2022-12-01";
    let get = || Draft { method: Method::GET, body: String::new(), ..Draft::post(path, &Value::Null) };
    let listed = bench.call(get()).await.json;
    let of = |field: &str| -> Vec<&str> {
        listed["phoneNumbers"].as_array().unwrap().iter().map(|number| number[field].as_str().unwrap()).collect()
    };
    assert_eq!(of("phoneNumber"), [FROM, "+4915112345678"]);
    assert_eq!(of("id"), ["18001110000", "4915112345678"]);
    assert_eq!(of("phoneNumberType"), ["tollFree", "geographic"]);
    assert_eq!(listed["phoneNumbers"][0]["capabilities"]["sms"], "inbound+outbound");
    assert_eq!(bench.call(Draft { key: "b3RoZXI=", ..get() }).await.status, 401);
}

#[tokio::test]
async fn settings_are_read_strictly_and_keep_their_secrets() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    let text = r#"{"acs":[{"name":"a","access_key":"aHVzaA==","events":{"callback_url":"http://h.example/?s=hush","headers":{"x-s":"hush"},"schema":"cloud_events","casing":"mixed"}}]}"#;
    let shown = format!("{:?}", read(text).unwrap());
    assert!(!shown.contains("hush") && !shown.contains("aHVzaA"), "{shown}");
    assert!(read(&text.replace("casing", "case")).is_err());
    for (wrong, word) in [
        (text.replace("aHVzaA==", "no base64"), "access_key"),
        (text.replace("http://", "ftp://"), "callback_url"),
        (text.replace(r#""schema""#, r#""batch":0,"schema""#), "batch"),
        (text.replace("x-s", "x s"), "headers"),
        (text.replace(r#""name":"a""#, r#""name":"""#), "name"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = herald::sandbox::Sandbox::start(listener, read(&wrong).unwrap()).await;
        let why = refused.err().expect("refused").to_string();
        assert!(why.contains(word) && !why.contains("hush"), "{why}");
    }
}
