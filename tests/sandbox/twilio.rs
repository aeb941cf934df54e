//! Twilio's SMS side: field rules, credentials, resources, lists.

use herald::sandbox::{ApiKey, TwilioAccount, twilio::sign};
use reqwest::Method;
use serde_json::{Value, json};

use super::bench::{AC, Bench, FROM, HX, MG, TOKEN, form, settings};

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
        (vec![to, from, ("ContentSid", HX), ("ContentVariables", r#"{"1":"x"}"#)], 201),
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
        (vec![to, from, ("ContentSid", "HX1")], 21655),
        (vec![to, from, body, ("ContentVariables", "{}")], 21654),
        (vec![to, from, ("ContentSid", HX), ("ContentVariables", r#"{"1":7}"#)], 21656),
        (vec![to, from, body, ("ContentSid", HX)], 20400),
        (vec![to, from, media, ("ContentSid", HX)], 20400),
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
