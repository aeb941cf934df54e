//! Garbage in quantity, the same at every run: whatever is thrown at the doors, herald answers, and goes on.

use herald::domain::id::MessageId;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;

use crate::{
    house::{House, Knock, Sent},
    support::{Database, SENDER, phone, shipping},
};

/// Texts that break what was not made for them.
const ODD: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "9223372036854775808",
    "1e999",
    "null",
    "\u{0}",
    "a\u{0}b\\u0000",
    "\\",
    "\"",
    "'; DROP TABLE runs; --",
    "%00%FF",
    "../../etc/passwd",
    "{{CustomerName}}",
    "\u{202e}\u{200d}\u{feff}",
    "💥\u{1f3f4}\u{e0067}",
    "İstanbul ŞTOP",
    "STOP",
    "=cmd|' /C calc'!A0",
    "+4915155500001",
    "whatsapp:+4915155500001",
    "00491515",
    "\r\nset-cookie: x",
];

fn odd(dice: &mut StdRng) -> String {
    match dice.random_range(0..10) {
        0 => "x".repeat(dice.random_range(1..3_000)),
        1 => (0..dice.random_range(0..40)).filter_map(|_| char::from_u32(dice.random_range(0..0x11_0000))).collect(),
        _ => ODD.choose(dice).unwrap_or(&"").repeat(dice.random_range(1..3)),
    }
}

fn bytes(dice: &mut StdRng, most: usize) -> Vec<u8> {
    (0..dice.random_range(0..most)).map(|_| dice.random()).collect()
}

/// A value that a header can have: anything but the ends of lines.
fn value(dice: &mut StdRng) -> Vec<u8> {
    let raw = if dice.random() { odd(dice).into_bytes() } else { bytes(dice, 40) };
    raw.into_iter().filter(|byte| *byte >= 0x20 && *byte != 0x7f).take(2_000).collect()
}

/// A knock without a good signature, at either door.
fn nonsense(house: &House, dice: &mut StdRng) -> Knock {
    let own = if dice.random() { house.callbacks() } else { house.hook() };
    let mut path = own.clone().into_bytes();
    match dice.random_range(0..6) {
        0 => path.truncate(dice.random_range(1..path.len())),
        1 => *path.last_mut().unwrap() = b'0' + dice.random_range(0..10u8),
        2 => {
            let encoded = bytes(dice, 60).iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
            path = format!("{}/{encoded}", own.rsplit_once('/').unwrap().0).into_bytes();
        }
        3 => path
            .extend(format!("?message={}", odd(dice).bytes().map(|b| format!("%{b:02x}")).collect::<String>()).bytes()),
        _ => {}
    }
    let method = ["POST", "POST", "POST", "GET", "OPTIONS", "PUT", "HEAD"].choose(dice).unwrap();
    let mut knock = Knock::new(method, path);
    for name in [
        "x-twilio-signature",
        "x-twilio-webhooks-signature-settings",
        "content-type",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "authorization",
        "x-forwarded-host",
    ] {
        if dice.random_bool(0.4) {
            let value = value(dice);
            knock = knock.header(name, value);
        }
    }
    let body = match dice.random_range(0..3) {
        0 => bytes(dice, 6_000),
        1 => format!("MessageSid={}&MessageStatus={}&{}", odd(dice), odd(dice), odd(dice)).into_bytes(),
        _ => json!({ "type": odd(dice), "timestamp": odd(dice), "data": { odd(dice): odd(dice) } })
            .to_string()
            .into_bytes(),
    };
    let sent = if dice.random() { Sent::InChunks } else { Sent::WithItsLength };
    Knock { sent, ..knock.body(body) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_never_taken() {
    let house = House::open(Database::Sqlite).await;
    let before = house.rows().await;
    let mut dice = StdRng::seed_from_u64(7);
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    for nth in 0..600 {
        let knock = nonsense(&house, &mut dice);
        let answer = house.answer(&knock).await;
        assert!((400..500).contains(&answer.status), "{nth}: {answer:?} to {knock:?}");
        *seen.entry(answer.status).or_default() += 1;
    }
    let expected = [401, 403, 404, 405, 413];
    assert!(expected.iter().all(|status| seen.contains_key(status)), "not enough of everything: {seen:?}");
    assert_eq!(house.rows().await, before);
    assert!(house.counts().values().sum::<u64>() > 500, "{:?}", house.counts());
    house.close().await;
}

/// What somebody says who has the key, and has lost their mind.
async fn madness_is_survived(database: Database) {
    let house = House::open(database).await;
    let stage = &house.stage;
    let run = stage.send("shipping-delay", &shipping([phone(90_992)])).await;
    stage.over(run).await;
    let globex = async || {
        let rows = house.rows().await.into_values().flatten();
        rows.filter(|row| row.contains("globex") || row.contains("initech")).collect::<Vec<_>>()
    };
    let before = globex().await;
    let mut dice = StdRng::seed_from_u64(11);
    for nth in 0..150 {
        let id = MessageId { run, seq: *[1, 2, i64::MAX].choose(&mut dice).unwrap() }.to_string();
        let message = if dice.random() { id } else { odd(&mut dice) };
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("message", &message).finish();
        let words: Vec<String> = (0..12).map(|_| odd(&mut dice)).collect();
        let pick = |dice: &mut StdRng, good: &'static str, nth: usize| {
            if dice.random() { good.to_owned() } else { words[nth].clone() }
        };
        let person = phone(nth);
        let fields: Vec<(&str, String)> = vec![
            ("MessageSid", if dice.random() { format!("SM{nth}") } else { words[0].clone() }),
            ("MessageStatus", pick(&mut dice, "undelivered", 1)),
            ("ErrorCode", pick(&mut dice, "21610", 2)),
            ("From", if dice.random() { person } else { words[3].clone() }),
            ("To", pick(&mut dice, SENDER, 4)),
            ("Body", words[5].clone()),
            ("MediaUrl0", words[6].clone()),
            ("OptOutType", pick(&mut dice, "STOP", 7)),
            ("ErrorMessage", words[8].clone()),
            ("EventType", words[9].clone()),
            ("é\u{0}", words[10].clone()),
        ];
        let left_out = dice.random_range(0..fields.len());
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != left_out)
            .map(|(_, (name, value))| (*name, value.as_str()))
            .collect();
        // Without a status it is a reply.
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| nth % 2 == 0 || *name != "MessageStatus").collect();
        let answer = house.answer(&house.form(&format!("{}?{query}", house.callbacks()), &fields)).await;
        assert!([2, 4].contains(&(answer.status / 100)), "{nth}: {answer:?} to {fields:?}");

        let customer = json!({ "mobile": odd(&mut dice), "name": odd(&mut dice), "language": odd(&mut dice), "do_not_phone": false });
        let at = ["2026-11-20T09:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "-0001-01-01T00:00:00Z"]
            .choose(&mut dice);
        let data = json!({ "customer": customer, "id": odd(&mut dice), "title": odd(&mut dice), "priority": "high" });
        let event = json!({ "type": "case.created", "timestamp": at, "data": data }).to_string();
        let answer = house.answer(&house.event(&house.hook(), &format!("evt {nth} \"'\\"), event, 0)).await;
        assert!([2, 4].contains(&(answer.status / 100)), "{nth}: {answer:?}");
    }
    stage.quiet().await;
    let events = async || stage.app.store.new_events(&stage.org, 1).await.unwrap().is_empty().then_some(());
    stage.until("all events are dealt with", events).await;
    assert_eq!(globex().await, before);
    let counts = house.counts();
    for (door, result, least) in [
        ("callbacks_total{provider=\"twilio\"", "recorded", 50),
        ("callbacks_total{provider=\"twilio\"", "unknown_message", 5),
        ("callbacks_total{provider=\"twilio\"", "unknown_channel", 5),
        ("callbacks_total{provider=\"twilio\"", "ignored", 5),
        ("callbacks_total{provider=\"twilio\"", "unreadable", 1),
        ("webhooks_total{", "recorded", 100),
    ] {
        let found = counts.iter().find(|(name, _)| name.contains(door) && name.contains(&format!("\"{result}\"")));
        assert!(found.is_some_and(|(_, count)| *count >= least), "{door} {result}: {counts:?}");
    }

    // And the next sane word is heard.
    let customer = json!({ "mobile": phone(99_000), "name": "Ana", "language": "en", "do_not_phone": false });
    let data = json!({ "customer": customer, "id": "CAS-1", "title": "Door", "priority": "high" });
    let event = json!({ "type": "case.created", "timestamp": "2026-11-20T09:00:00Z", "data": data }).to_string();
    assert_eq!(house.answer(&house.event(&house.hook(), "evt_sane", event, 0)).await.status, 202);
    let heard = async || {
        let sent = "SELECT COUNT(*) FROM message_states s JOIN messages m ON m.org_id = s.org_id AND m.run_id = s.run_id AND m.seq = s.seq
                    WHERE m.recipient = 4915155599000 AND s.status = 'delivered'";
        (stage.number(sent).await == 1).then_some(())
    };
    stage.until("it is delivered", heard).await;
    let sums = stage.app.store.runs(&stage.org, None, 50).await.unwrap();
    for run in sums {
        let (kept, counted) = (stage.sums(run.id).await, stage.app.store.recount(&stage.org, run.id).await.unwrap());
        assert_eq!(kept.disagreements(&counted), Vec::<String>::new(), "{}", run.name);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn madness_is_survived_on_sqlite() {
    madness_is_survived(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn madness_is_survived_on_postgres() {
    madness_is_survived(Database::Postgres).await;
}
