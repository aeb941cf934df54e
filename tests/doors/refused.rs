//! Every way to be refused, at both doors: status, code, count, and nothing else.

use std::collections::BTreeMap;

use herald::sandbox::{Settings, twilio::sign};

use crate::{
    house::{House, Knock, LIMIT},
    support::{Database, HOOK_SECRET},
};

/// A knock, and how it is to be refused.
struct Case {
    what: String,
    knock: Knock,
    status: u16,
    code: &'static str,
    /// The one line of the figures that goes up by one.
    counted: String,
}

impl House {
    /// Knocks, and holds everything against what is expected.
    async fn refuses(&self, case: Case) {
        let Case { what, knock, status, code, counted } = case;
        let before = self.counts();
        let answer = self.answer(&knock).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let kind = answer.headers.get("content-type").map(String::as_str);
        assert_eq!(kind, Some("application/problem+json"), "{what}: {answer:?}");
        if knock.method != "HEAD" {
            let told = (answer.body["status"].as_u64(), answer.body["code"].as_str());
            assert_eq!(told, (Some(status.into()), Some(code)), "{what}");
            assert!(answer.body["detail"].as_str().is_some_and(|words| words.len() > 10), "{what}: {answer:?}");
        }
        let allowed = if counted.contains("callbacks") { "GET, POST, OPTIONS" } else { "POST" };
        let allow = answer.headers.get("allow").map(String::as_str);
        assert_eq!(allow, (status == 405).then_some(allowed), "{what}: {answer:?}");
        if status == 413 {
            assert!(answer.body["detail"].as_str().unwrap().contains(&LIMIT.to_string()), "{what}: {answer:?}");
        }
        let after = self.counts();
        let more: BTreeMap<&str, u64> = after
            .iter()
            .map(|(name, count)| (name.as_str(), count - before.get(name).copied().unwrap_or(0)))
            .filter(|(_, more)| *more != 0)
            .collect();
        assert_eq!(more, [(counted.as_str(), 1)].into(), "{what}");
    }
}

fn callback(provider: &str, result: &str) -> String {
    format!("herald_callbacks_total{{provider=\"{provider}\",result=\"{result}\"}}")
}

fn webhook(result: &str) -> String {
    format!("herald_webhooks_total{{result=\"{result}\"}}")
}

const FIELDS: [(&str, &str); 2] = [("MessageSid", "SM1"), ("MessageStatus", "delivered")];
const EVENT: &str = r#"{"type":"case.created","timestamp":"2026-11-20T09:00:00Z","data":{}}"#;

/// Tokens that open nothing, whichever door they are shown at.
fn unknown_tokens(house: &House, own: &str) -> Vec<Vec<u8>> {
    let (org, digits) = own.split_once('.').unwrap();
    let foreign = |token: &str| token.split_once('.').unwrap().1.to_owned();
    let globex = &house.globex.1;
    let mut tokens: Vec<Vec<u8>> = [
        "x".to_owned(),
        format!("{org}.{}", "0".repeat(32)),
        format!("nobody.{}", "0".repeat(32)),
        format!("globex.{digits}"),
        format!("{org}.{}", foreign(&globex.callback_tokens["twilio"])),
        format!("{org}.{}", foreign(&globex.hook_tokens["crm"])),
        own.to_uppercase(),
        format!("{own}0"),
        format!("{own}.{digits}"),
        format!("%20{own}"),
        format!("{own}%00"),
        format!("{own}%0d%0aset-cookie:x"),
        format!("{org}.%FF%FE"),
        "%C3%28".to_owned(),
        "%".to_owned(),
        "%zz".to_owned(),
        "..".to_owned(),
        "%2e%2e%2fmetrics".to_owned(),
        "'%20OR%20''='".to_owned(),
        "a".repeat(8_000),
        format!("{org}.{}", "0".repeat(8_000)),
    ]
    .map(String::into_bytes)
    .into();
    tokens.push(format!("{org}.é").into_bytes());
    tokens
}

/// What is refused at the door of providers.
fn callbacks(house: &House) -> Vec<Case> {
    let path = house.callbacks();
    let case = |what: &str, knock, status, code, counted| Case {
        what: format!("callbacks: {what}"),
        knock,
        status,
        code,
        counted,
    };
    let genuine = || house.form(&path, &FIELDS);
    let forged = |name: &str, value: &str| {
        let mut knock = genuine();
        knock.headers.retain(|(header, _)| header != name);
        if value.is_empty() { knock } else { knock.header(name, value) }
    };
    let url = |path: &str| format!("{}{path}", house.stage.base_url);
    let elsewhere = sign(Settings::DEFAULT_AUTH_TOKEN, &url("/callbacks/other"), &FIELDS);
    let anothers = sign("another token", &url(&path), &FIELDS);
    let not_genuine = || callback("twilio", "not_genuine");
    let signature = "x-twilio-signature";
    let mut cases = vec![
        case("unsigned", forged(signature, ""), 403, "not_genuine", not_genuine()),
        case("garbage for a signature", forged(signature, "AAAA"), 403, "not_genuine", not_genuine()),
        case("signed by another", forged(signature, &anothers), 403, "not_genuine", not_genuine()),
        case("signed for another address", forged(signature, &elsewhere), 403, "not_genuine", not_genuine()),
        case(
            "a field was added",
            {
                let mut k = genuine();
                k.body.extend(b"&ErrorCode=1");
                k
            },
            403,
            "not_genuine",
            not_genuine(),
        ),
        case(
            "another query",
            {
                let mut k = genuine();
                k.path.extend(b"?message=x");
                k
            },
            403,
            "not_genuine",
            not_genuine(),
        ),
        case(
            "its type is no form",
            {
                let mut k = forged("content-type", "text/plain");
                k.body.push(b'x');
                k
            },
            403,
            "not_genuine",
            not_genuine(),
        ),
        case("nothing at all", Knock::new("POST", path.as_str()), 403, "not_genuine", not_genuine()),
        case("GET, unsigned", Knock::new("GET", path.as_str()), 403, "not_genuine", not_genuine()),
        case("OPTIONS, unsigned", Knock::new("OPTIONS", path.as_str()), 403, "not_genuine", not_genuine()),
        case("the dot is encoded, the signature is not", forged(signature, "x"), 403, "not_genuine", not_genuine()),
        case(
            "genuine garbage",
            house.form(&path, &[("garbage", "in")]),
            400,
            "unreadable_callback",
            callback("twilio", "unreadable"),
        ),
        case(
            "genuine, and empty",
            house.form(&path, &[]),
            400,
            "unreadable_callback",
            callback("twilio", "unreadable"),
        ),
        case(
            "an id that no provider gives",
            house.form(&path, &[("MessageSid", &"S".repeat(300)), ("MessageStatus", "sent")]),
            400,
            "unreadable_callback",
            callback("twilio", "unreadable"),
        ),
        case(
            "a reply from nobody",
            house.form(&path, &[("MessageSid", "SM1"), ("Body", "hi")]),
            400,
            "unreadable_callback",
            callback("twilio", "unreadable"),
        ),
        case(
            "too large",
            house.form(&path, &[("Body", &"x".repeat(LIMIT))]),
            413,
            "body_too_large",
            callback("twilio", "too_large"),
        ),
        case(
            "too large, in chunks",
            house.form(&path, &[("Body", &"x".repeat(LIMIT))]).in_chunks(),
            413,
            "body_too_large",
            callback("twilio", "too_large"),
        ),
        case(
            "far too large, in chunks",
            genuine().body(vec![b'x'; 8 * LIMIT]).in_chunks(),
            413,
            "body_too_large",
            callback("twilio", "too_large"),
        ),
    ];
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "TRACE", "BREW", "post"] {
        let knock = Knock { method: method.to_owned(), ..genuine() };
        cases.push(case(method, knock, 405, "method_not_allowed", callback("unknown", "wrong_method")));
    }
    let own = &house.stage.applied.callback_tokens["twilio"];
    let hook = house.stage.applied.hook_tokens["crm"].clone().into_bytes();
    for token in unknown_tokens(house, own).into_iter().chain([hook]) {
        let what = format!("token {}", String::from_utf8_lossy(&token));
        let knock = Knock { path: [b"/callbacks/".as_slice(), &token].concat(), ..genuine() };
        // Nobody reads what a stranger sends, however much it is.
        let large = Knock { body: vec![b'x'; 2 * LIMIT], ..knock.clone() };
        for knock in [knock, large] {
            cases.push(case(&what, knock, 404, "not_found", callback("unknown", "unknown_token")));
        }
    }
    let path = format!("/callbacks/{}", house.initech.1.callback_tokens["twilio"]);
    let knock = house.form(&path, &FIELDS);
    cases.push(case("its secret is nowhere", knock, 503, "unavailable", callback("twilio", "not_taken")));
    cases
}

/// The same at the door of the other providers.
fn other_providers(house: &House) -> Vec<Case> {
    let without = |mut knock: Knock| {
        knock.headers.retain(|(name, _)| name == "content-type");
        knock
    };
    let report = r#"{"reference_id":"B56259E45884010488343BAA15FB0002","status":{"code":203,"description":"Delivered to handset"}}"#;
    let large = format!("[{}]", " ".repeat(LIMIT));
    let mut cases = Vec::new();
    for (provider, genuine) in [
        ("telesign", Box::new(|body: &str| house.telesign(body)) as Box<dyn Fn(&str) -> Knock + '_>),
        ("acs", Box::new(|body: &str| house.event_grid("POST", body))),
    ] {
        for (what, knock, status, code, result) in [
            ("unsigned", without(genuine(report)), 403, "not_genuine", "not_genuine"),
            (
                "forged",
                without(genuine(report)).header("authorization", "TSA x:AAAA").header("x-callback-secret", "x"),
                403,
                "not_genuine",
                "not_genuine",
            ),
            ("no JSON", genuine("garbage"), 400, "unreadable_callback", "unreadable"),
            ("JSON of another shape", genuine("[7]"), 400, "unreadable_callback", "unreadable"),
            ("deep JSON", genuine(&"[".repeat(LIMIT - 1)), 400, "unreadable_callback", "unreadable"),
            ("too large", genuine(&large), 413, "body_too_large", "too_large"),
            ("too large, in chunks", genuine(&large).in_chunks(), 413, "body_too_large", "too_large"),
        ] {
            cases.push(Case {
                what: format!("{provider}: {what}"),
                knock,
                status,
                code,
                counted: callback(provider, result),
            });
        }
    }
    cases
}

/// What is refused at the door of events.
fn hooks(house: &House) -> Vec<Case> {
    let path = house.hook();
    let case = |what: &str, knock, status, code, counted| Case {
        what: format!("hooks: {what}"),
        knock,
        status,
        code,
        counted,
    };
    let with = |name: &str, value: &[u8]| {
        let mut knock = house.event(&path, "evt_1", EVENT, 0);
        knock.headers.retain(|(header, _)| header != name);
        knock.header(name, value)
    };
    let (unauthorized, not_genuine) = ("unauthorized", || webhook("not_genuine"));
    let other = herald::inbound::webhook::sign(
        &herald::secret::Secret::new("whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI="),
        "evt_1",
        house.stage.app.clock.now().seconds(),
        EVENT.as_bytes(),
    );
    let mut cases = vec![
        case("nothing at all", Knock::new("POST", path.as_str()), 401, unauthorized, not_genuine()),
        case(
            "signed by another",
            with("webhook-signature", other.unwrap().as_bytes()),
            401,
            unauthorized,
            not_genuine(),
        ),
        case(
            "the secret for a signature",
            with("webhook-signature", HOOK_SECRET.as_bytes()),
            401,
            unauthorized,
            not_genuine(),
        ),
        case("another id", with("webhook-id", b"evt_2"), 401, unauthorized, not_genuine()),
        case("no id", with("webhook-id", b""), 401, unauthorized, not_genuine()),
        case("an id that is no text", with("webhook-id", b"\xff\xfe"), 401, unauthorized, not_genuine()),
        case("another time", with("webhook-timestamp", b"1"), 401, unauthorized, not_genuine()),
        case("no time", with("webhook-timestamp", b"99999999999999999999"), 401, unauthorized, not_genuine()),
        case("the end of time", with("webhook-timestamp", b"-9223372036854775808"), 401, unauthorized, not_genuine()),
        case("too long ago", house.event(&path, "evt_1", EVENT, 302), 401, unauthorized, not_genuine()),
        case("from the future", house.event(&path, "evt_1", EVENT, -302), 401, unauthorized, not_genuine()),
        case(
            "signed at the beginning of time",
            house.event(&path, "evt_1", EVENT, i64::MAX / 2),
            401,
            unauthorized,
            not_genuine(),
        ),
        case("an id with a dot", house.event(&path, "evt.1", EVENT, 0), 401, unauthorized, not_genuine()),
        case("a long id", house.event(&path, &"e".repeat(257), EVENT, 0), 401, unauthorized, not_genuine()),
        case("another body", house.event(&path, "evt_1", EVENT, 0).body("{}"), 401, unauthorized, not_genuine()),
        case(
            "too large",
            house.event(&path, "evt_1", vec![b' '; LIMIT + 1], 0),
            413,
            "body_too_large",
            webhook("too_large"),
        ),
        case(
            "too large, in chunks",
            house.event(&path, "evt_1", vec![b' '; LIMIT + 1], 0).in_chunks(),
            413,
            "body_too_large",
            webhook("too_large"),
        ),
    ];
    for (nth, body) in garbage_events().into_iter().enumerate() {
        let knock = house.event(&path, &format!("evt_g{nth}"), body, 0);
        cases.push(case(&format!("genuine garbage {nth}"), knock, 400, "invalid_event", webhook("unreadable")));
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"] {
        let knock = Knock { method: method.to_owned(), ..house.event(&path, "evt_1", EVENT, 0) };
        cases.push(case(method, knock, 405, "method_not_allowed", webhook("wrong_method")));
    }
    let own = &house.stage.applied.hook_tokens["crm"];
    let account = house.stage.applied.callback_tokens["twilio"].clone().into_bytes();
    for token in unknown_tokens(house, own).into_iter().chain([account]) {
        let what = format!("token {}", String::from_utf8_lossy(&token));
        let path = [b"/hooks/".as_slice(), &token].concat();
        let knock = Knock { path, ..house.event(&house.hook(), "evt_1", EVENT, 0) };
        cases.push(case(&what, knock, 404, "not_found", webhook("unknown_token")));
    }
    let path = format!("/hooks/{}", house.initech.1.hook_tokens["crm"]);
    let knock = house.event(&path, "evt_1", EVENT, 0);
    cases.push(case("its secret is nowhere", knock, 503, "unavailable", webhook("not_taken")));
    cases
}

fn garbage_events() -> Vec<Vec<u8>> {
    let mut garbage: Vec<Vec<u8>> = [
        "",
        "no event",
        "[]",
        "null",
        "{}",
        r#"{"type":"case.created"}"#,
        r#"{"type":"","timestamp":"2026-11-20T09:00:00Z","data":{}}"#,
        r#"{"type":"case.created","timestamp":"yesterday","data":{}}"#,
        r#"{"type":"case.created","timestamp":"2026-11-20T09:00:00Z","data":[]}"#,
        r#"{"type":"case.created","timestamp":"2026-11-20T09:00:00Z","data":{"a":"\ud800"}}"#,
        r#"{"type":"case.created","timestamp":"2026-11-20T09:00:00Z","data":{"a":1e999}}"#,
        r#"{"type":"case.created","timestamp":"2026-11-20T09:00:00Z","data":{}} {}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    garbage.push(b"\xff\xfe\x00".to_vec());
    garbage.push([vec![b'['; 2_000], vec![b']'; 2_000]].concat());
    garbage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_is_told_and_counted_and_leaves_no_trace() {
    let house = House::open(Database::Sqlite).await;
    let before = house.rows().await;
    assert!(before.values().map(Vec::len).sum::<usize>() > 20, "{before:?}");
    for case in callbacks(&house).into_iter().chain(other_providers(&house)).chain(hooks(&house)) {
        house.refuses(case).await;
    }
    assert_eq!(house.rows().await, before);
    let figures = house.stage.app.metrics.render();
    for outside in ["acme", "globex", "initech", "nobody", "BREW", "evt_", "SM1", "0000"] {
        assert!(!figures.contains(outside), "{outside} is in\n{figures}");
    }
    house.close().await;
}

/// What does not reach a door, because it is no HTTP or no address of one, is refused before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_reaches_no_door() {
    let house = House::open(Database::Sqlite).await;
    let (before, counts) = (house.rows().await, house.counts());
    for (path, statuses) in [
        (b"/callbacks".to_vec(), [404, 404]),
        (b"/callbacks/".to_vec(), [404, 404]),
        (format!("{}/", house.callbacks()).into_bytes(), [404, 404]),
        (format!("{}/status", house.callbacks()).into_bytes(), [404, 404]),
        (format!("/{}", house.callbacks()).into_bytes(), [404, 404]),
        (format!("{}/x", house.hook()).into_bytes(), [404, 404]),
        (format!("/hooks/{}", "a".repeat(70_000)).into_bytes(), [414, 431]),
        (b"/hooks/\x01".to_vec(), [400, 400]),
        (b"/hooks/a b".to_vec(), [400, 400]),
        (b"hooks".to_vec(), [400, 404]),
        (b"*".to_vec(), [400, 404]),
    ] {
        let knock = Knock { path, ..house.event(&house.hook(), "evt_1", EVENT, 0) };
        let answer = house.answer(&knock).await;
        assert!(statuses.contains(&answer.status), "{}: {answer:?}", String::from_utf8_lossy(&knock.path));
    }
    assert_eq!((house.rows().await, house.counts()), (before, counts));
    house.close().await;
}
