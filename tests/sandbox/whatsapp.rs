//! Twilio's WhatsApp side: addresses, content, the window, what comes in, what is read.

use herald::sandbox::{ApprovalStatus, ContentTemplate, Settings, TwilioAccount, WhatsApp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    bench::{AC, Bench, FROM, HX, MG, TOKEN, settings},
    customer::Customer,
};

const SENDER: &str = "whatsapp:+4915100000001";
const SHARED: &str = "whatsapp:+14155238886";
const USER: &str = "whatsapp:+4917012345678";

fn sid(n: u8) -> String {
    format!("HX{n:032}")
}

/// An account with a WhatsApp sender and content in every state.
fn with_content() -> Settings {
    let mut settings = settings();
    let mut greeting = ContentTemplate::new(HX, "Dear {{1}}, your {{2}} is ready.");
    greeting.defaults.insert("2".into(), "order".into());
    let states = [ApprovalStatus::Pending, ApprovalStatus::Rejected, ApprovalStatus::Paused, ApprovalStatus::Disabled];
    let others = (2..).zip(states).map(|(n, status)| {
        let template = ContentTemplate::new(sid(n), "Hello");
        ContentTemplate { status, ..template }
    });
    settings.accounts[0].templates = std::iter::once(greeting).chain(others).collect();
    settings.accounts[0].numbers = vec![FROM.into(), SENDER.into()];
    settings
}

#[tokio::test]
async fn addresses_and_content_are_judged() {
    let mut settings = with_content();
    let mut other = TwilioAccount::new("AC00000000000000000000000000000002", "other");
    other.numbers = vec!["whatsapp:+4915100000002".into()];
    settings.accounts.push(other);
    let bench = Bench::new(settings).await;
    let (to, from, body) = (("To", USER), ("From", SENDER), ("Body", "Hi"));
    let (content, values) = (("ContentSid", HX), ("ContentVariables", r#"{"1":"Ana","2":"heater"}"#));
    let media = ("MediaUrl", "https://example.com/a.png");
    let table: Vec<(Vec<(&str, &str)>, u64)> = vec![
        (vec![to, from, body], 201),
        (vec![to, from, content, values], 201),
        (vec![to, from, body, media], 201),
        ([vec![to, from], vec![media; 10]].concat(), 201),
        (vec![to, ("From", SHARED), body], 201),
        (vec![to, ("MessagingServiceSid", MG), content, values], 201),
        (vec![("To", "+4917012345678"), ("From", FROM), content, values], 201),
        (vec![to, ("From", FROM), body], 21910),
        (vec![("To", "+4917012345678"), from, body], 21910),
        (vec![("To", "whatsapp:4917012345678"), from, body], 21211),
        (vec![("To", "whatsapp:"), from, body], 21211),
        (vec![("To", "WhatsApp:+4917012345678"), from, body], 21211),
        (vec![to, ("From", "whatsapp:Herald"), body], 21212),
        (vec![to, ("From", USER), body], 21266),
        (vec![to, ("From", "whatsapp:+4915100000002"), body], 63007),
        (vec![to, ("From", "whatsapp:+4915100000003"), body], 63007),
        (vec![to, from], 21602),
        (vec![to, from, values], 21654),
        (vec![to, from, ("ContentSid", "HX1")], 21655),
        (vec![to, from, ("ContentSid", "HX99999999999999999999999999999999")], 21655),
        (vec![to, from, content, ("ContentVariables", "Ana")], 21656),
        (vec![to, from, content, ("ContentVariables", r#"{"1":"a\nb"}"#)], 21656),
        (vec![to, from, content, values, body], 20400),
        (vec![to, from, content, values, media], 20400),
        ([vec![to, from], vec![media; 11]].concat(), 21623),
        (vec![to, from, ("MediaUrl", "a.png")], 21620),
    ];
    for (params, expected) in table {
        let answer = bench.send(&params).await;
        let got = answer.json["code"].as_u64().unwrap_or(answer.status.into());
        assert_eq!(got, expected, "{params:?}: {}", answer.json);
    }
    let message = bench.send(&[to, from, content, ("ContentVariables", r#"{"1":"Ana"}"#)]).await.json;
    assert_eq!(message["body"], "Dear Ana, your order is ready.");
    let message = bench.send(&[to, from, media, media]).await.json;
    assert_eq!((&message["num_media"], &message["sid"].as_str().unwrap()[..2]), (&json!("2"), "MM"));

    let calls = bench.control(Method::GET, "/sandbox/calls?limit=10", Value::Null).await.json;
    let (plain, templated) = (&calls["calls"][0], &calls["calls"][1]);
    assert_eq!((&plain["body"], plain.get("content_sid")), (&json!("Hi"), None));
    assert_eq!((&templated["body"], &templated["content_sid"]), (&json!(""), &json!(HX)));
    assert_eq!(templated["content_variables"], values.1);
    assert_eq!(calls["calls"][2]["media"], json!([media.1]));
    assert_eq!(plain["provider"], "twilio");
}

#[tokio::test]
async fn free_text_waits_for_the_recipient_and_templates_do_not() {
    let mut customer = Customer::new(&[]).await;
    let bench = Bench::new(with_content()).await;
    let url = customer.url.clone();
    let inbound = bench.control(Method::PUT, "/sandbox/inbound", json!({ "url": url })).await;
    assert_eq!(inbound.status, 204);
    let send = async |params: &[(&str, &str)], customer: &mut Customer| {
        let all = [&[("To", USER), ("StatusCallback", &*url)][..], params].concat();
        assert_eq!(bench.send(&all).await.status, 201, "{params:?}");
        loop {
            let receipt = customer.next().await;
            if !matches!(&*receipt["MessageStatus"], "queued" | "sent") {
                assert_eq!(receipt["ChannelPrefix"], "whatsapp");
                assert_eq!(receipt["ChannelInstallSid"], format!("XE{}", &AC[2..]));
                assert!(!receipt.contains_key("RawDlrDoneDate"));
                let code = receipt.get("ErrorCode").cloned().unwrap_or_default();
                assert_eq!(receipt.contains_key("ChannelStatusMessage"), !code.is_empty());
                return (receipt["MessageStatus"].clone(), code);
            }
        }
    };
    let delivered = ("delivered".to_owned(), String::new());
    let failed = |code: &str| ("failed".to_owned(), code.to_owned());
    let (pending, rejected, paused, disabled) = (sid(2), sid(3), sid(4), sid(5));
    let content = |sid| [("From", SENDER), ("ContentSid", sid), ("ContentVariables", r#"{"1":"Ana"}"#)];
    let text = [("From", SENDER), ("Body", "Hi")];
    let pool = [("MessagingServiceSid", MG), ("Body", "Hi")];

    assert_eq!(send(&text, &mut customer).await, failed("63016"));
    assert_eq!(send(&pool, &mut customer).await, failed("63016"));
    assert_eq!(send(&content(HX), &mut customer).await, delivered, "approved");
    assert_eq!(send(&content(HX)[..2], &mut customer).await, failed("63028"), "a placeholder without a value");
    assert_eq!(send(&content(&pending), &mut customer).await, failed("63027"));
    assert_eq!(send(&content(&rejected), &mut customer).await, failed("63027"));
    assert_eq!(send(&content(&paused), &mut customer).await, failed("63054"));
    assert_eq!(send(&content(&disabled), &mut customer).await, failed("63054"));
    assert_eq!(send(&text, &mut customer).await, failed("63016"), "what goes out opens nothing");

    // Somebody else, or to somebody else: still shut. Then it opens, even by a STOP, which stops nothing here.
    let write = async |from: &str, to: &str, text: &str, customer: &mut Customer| {
        let asked = json!({ "from": from, "to": to, "body": text });
        assert_eq!(bench.control(Method::POST, "/sandbox/reply", asked).await.status, 202);
        customer.next().await
    };
    write("whatsapp:+4917012345679", SENDER, "Hi", &mut customer).await;
    write(USER, SHARED, "join", &mut customer).await;
    assert_eq!(send(&text, &mut customer).await, failed("63016"));
    let stop = write(USER, SENDER, "STOP", &mut customer).await;
    for (name, value) in [
        ("From", USER),
        ("To", SENDER),
        ("Body", "STOP"),
        ("WaId", "4917012345678"),
        ("ProfileName", "Sandbox"),
        ("MessageType", "text"),
        ("NumMedia", "0"),
        ("SmsStatus", "received"),
    ] {
        assert_eq!(stop[name], value, "{name}");
    }
    assert_eq!(send(&text, &mut customer).await, delivered);
    assert_eq!(send(&pool, &mut customer).await, delivered);
    assert_eq!(send(&content(&pending), &mut customer).await, delivered, "not approved, but in the window");
    assert_eq!(send(&content(HX)[..2], &mut customer).await, failed("63028"));
}

#[tokio::test]
async fn the_window_shuts_again() {
    let mut customer = Customer::new(&[]).await;
    let settings = Settings { whatsapp: WhatsApp { window_ms: 0, ..WhatsApp::default() }, ..settings() };
    let bench = Bench::new(settings).await;
    let url = customer.url.clone();
    bench.control(Method::PUT, "/sandbox/inbound", json!({ "number": SENDER, "url": url })).await;
    let asked = json!({ "from": USER, "to": SENDER, "body": "Hi" });
    assert_eq!(bench.control(Method::POST, "/sandbox/reply", asked).await.status, 202);
    assert_eq!(customer.next().await["Body"], "Hi");
    bench.send(&[("To", USER), ("From", SENDER), ("Body", "Hi"), ("StatusCallback", &url)]).await;
    assert_eq!(customer.next().await["ErrorCode"], "63016");
}

#[tokio::test]
async fn answers_name_what_they_answer_and_carry_media() {
    let mut customer = Customer::new(&[]).await;
    let bench = Bench::new(settings()).await;
    bench.control(Method::PUT, "/sandbox/inbound", json!({ "url": customer.url })).await;
    let sent = bench.send(&[("To", USER), ("From", SENDER), ("ContentSid", HX)]).await.json;
    let link = "https://example.com/a.pdf";
    let mut asked = json!({
        "from": USER, "to": SENDER, "body": "see this", "media": [link],
        "profile_name": "Ana", "answers": sent["sid"],
    });
    let answer = bench.control(Method::POST, "/sandbox/reply", asked.clone()).await;
    assert_eq!(answer.status, 202);
    let reply = customer.next().await;
    for (name, value) in [
        ("MessageSid", answer.json["sid"].as_str().unwrap()),
        ("ProfileName", "Ana"),
        ("OriginalRepliedMessageSid", sent["sid"].as_str().unwrap()),
        ("OriginalRepliedMessageSender", SENDER),
        ("NumMedia", "1"),
        ("MediaUrl0", link),
        ("MediaContentType0", "application/pdf"),
        ("MessageType", "document"),
    ] {
        assert_eq!(reply[name], value, "{name}");
    }
    for (field, value) in [
        ("answers", json!("SM1")),
        ("from", json!("+4917012345678")),
        ("media", json!(["a.pdf"])),
        ("media", json!(vec![link; 11])),
        ("provider", json!("telesign")),
    ] {
        let good = asked[field].take();
        asked[field] = value;
        let refused = bench.control(Method::POST, "/sandbox/reply", asked.clone()).await;
        assert_eq!(refused.status, 400, "{field}");
        asked[field] = good;
    }
}

#[tokio::test]
async fn some_are_read_and_magic_recipients_fail_as_they_should() {
    let mut customer = Customer::new(&[]).await;
    let settings = Settings { whatsapp: WhatsApp { read_share: 1.0, ..WhatsApp::default() }, ..settings() };
    let bench = Bench::new(settings).await;
    let url = customer.url.clone();
    let send = async |to: &str, from: &str| {
        bench.send(&[("To", to), ("From", from), ("ContentSid", HX), ("StatusCallback", &*url)]).await.status
    };
    assert_eq!(send(USER, SENDER).await, 201);
    assert_eq!(customer.statuses(2).await, ["sent", "delivered"]);
    let read = customer.next().await;
    assert_eq!((&*read["MessageStatus"], &*read["EventType"]), ("read", "READ"));

    for (suffix, from, statuses, code) in [
        ("93014", SENDER, &["sent", "undelivered"][..], "63014"),
        ("93024", SENDER, &["sent", "undelivered"], "63024"),
        ("93049", SENDER, &["sent", "undelivered"], "63049"),
        ("93018", SENDER, &["failed"], "63018"),
        ("93016", SENDER, &["failed"], "63016"),
        ("93015", SHARED, &["failed"], "63015"),
        ("93015", SENDER, &["sent", "delivered", "read"], ""),
        // A code of SMS means nothing here.
        ("90003", SENDER, &["sent", "delivered", "read"], ""),
    ] {
        assert_eq!(send(&format!("whatsapp:+49170123{suffix}"), from).await, 201);
        let mut last = Default::default();
        for status in statuses {
            last = customer.next().await;
            assert_eq!(last["MessageStatus"], *status, "{suffix}");
        }
        assert_eq!(last.get("ErrorCode").map_or("", String::as_str), code, "{suffix}");
    }
    assert_eq!(send("whatsapp:+4917012390429", SENDER).await, 429);
    assert_eq!(send("whatsapp:+4917012390429", SENDER).await, 201);
}

#[tokio::test]
async fn approval_can_be_asked_for() {
    let bench = Bench::new(with_content()).await;
    let ask = async |sid: &str, user: String| {
        let path = format!("/v1/Content/{sid}/ApprovalRequests");
        let answer = bench.call(Method::GET, &path, &user, "", String::new()).await.unwrap();
        (answer.status, answer.json)
    };
    let own = || format!("{AC}:{TOKEN}");
    for (n, status) in [(1, "approved"), (2, "pending"), (3, "rejected"), (4, "paused"), (5, "disabled")] {
        let (code, approval) = ask(&sid(n), own()).await;
        assert_eq!((code, &approval["whatsapp"]["status"]), (200, &json!(status)));
        assert_eq!((&approval["sid"], &approval["account_sid"]), (&json!(sid(n)), &json!(AC)));
    }
    assert_eq!(ask(&sid(9), own()).await.0, 404);
    assert_eq!(ask(HX, format!("{AC}:no")).await.0, 401);
    let any = Bench::new(settings()).await;
    let path = format!("/v1/Content/{}/ApprovalRequests", sid(9));
    assert_eq!(any.get(&path).await.json["whatsapp"]["status"], "approved");
}
