//! Texts: what a dry run shows is what leaves, what is counted, and what a timeline shows.

use std::collections::BTreeMap;

use herald::{
    domain::message::Status,
    http::timeline::items,
    inbound::timeline::Timelines,
    intake::upload::{self, NotSent, OnInvalid},
    template::segments,
};

use crate::{
    automatic::case,
    operator::buckets,
    support::{CHANNEL, Database, Setup, Stage, bucket, phone},
};

const ENGLISH: &str = "It’s late, {{CustomerName}} – “{{OrderNumber}}” comes on {{date DeliveryDate style=\"full\"}}…";
const FRENCH: &str = "Désolé {{CustomerName}} : « {{OrderNumber}} » arrivera le {{date DeliveryDate style=\"long\"}}, {{money Fee currency=\"EUR\"}} offerts.";

fn row(nth: u32, locale: &str, date: &str) -> String {
    format!("{},yes,{locale},Ana,AC-{nth},{date},1234.5,incident,CAS-{nth}\n", phone(nth))
}

const HEADER: &str =
    "Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate,Fee,entityrelationshipname,regardingobjectid\n";

pub async fn what_is_previewed_is_what_is_sent_counted_and_shown(database: Database) {
    let mut setup = Setup::new(database);
    setup.set.channels.get_mut(CHANNEL).unwrap().smart_encoding = true;
    setup.set.configurations.get_mut("shipping-delay").unwrap().show_in_timeline = true;
    let texts = &mut setup.set.templates.get_mut("shipping-delay").unwrap().texts;
    texts.insert("en".parse().unwrap(), ENGLISH.to_owned());
    texts.insert("fr".parse().unwrap(), FRENCH.to_owned());
    let texts = &mut setup.set.templates.get_mut("case-created").unwrap().texts;
    texts.insert("en".parse().unwrap(), "{{CustomerName}}: {{date CaseName}}".to_owned());
    let stage = Stage::set(setup).await;

    let good: String = (0..6).map(|nth| row(nth, ["en", "fr-CA", "el"][nth as usize % 3], "2026-12-01")).collect();
    let file = format!("{HEADER}{good}{}", row(6, "en", "01/12/2026"));
    let mut upload = stage.upload("shipping-delay", &file).await;
    let NotSent::Invalid(refused) = stage.begin(&upload).await.unwrap_err() else { panic!("it was sent") };
    assert_eq!(refused.checked.summary.to_string(), "fix DeliveryDate in 1 row");
    let problem = &refused.checked.problems[0];
    assert_eq!((problem.line, problem.kind.code(), problem.value.as_str()), (8, "invalid_value", "01/12/2026"));

    upload.on_invalid = OnInvalid::Skip;
    let preview = upload::preview(&upload, |_| ()).await.unwrap();
    let run = stage.begin(&upload).await.unwrap();
    let sums = stage.over(run).await;
    assert_eq!(buckets(&sums), [("delivered", 6), ("invalid", 1)].into());
    let mut counted: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for tally in sums.tallies.iter().filter(|tally| tally.status == Status::Delivered) {
        let figures = counted.entry(tally.locale.clone()).or_default();
        figures.0 += u64::try_from(tally.messages).unwrap();
        figures.1 += u64::try_from(tally.segments).unwrap();
    }
    let shown: BTreeMap<_, _> =
        preview.texts.iter().map(|(locale, text)| (locale.clone(), (text.rows, text.segments))).collect();
    assert_eq!(shown, counted, "what the dry run counts is what was sent");

    let expected = [
        (0, "It's late, Ana - \"AC-0\" comes on Tuesday, December 1, 2026..."),
        (1, "Désolé Ana : \" AC-1 \" arrivera le 1 décembre 2026, 1 234,50 € offerts."),
    ];
    let timelines = Timelines { store: stage.app.store.clone(), books: stage.app.books.clone() };
    let book = stage.app.organization(Some(&stage.org)).await.unwrap();
    for (nth, text) in expected {
        assert_eq!(stage.texts_to(&phone(nth)), [text]);
        assert_eq!(segments(text).first_ucs2, None, "{text}");
        let page = timelines.regarding(&book, &format!("CAS-{nth}"), None, stage.app.clock.now()).await.unwrap();
        assert_eq!(serde_json::json!(items(&page))[0]["text"].as_str(), Some(text), "what is shown is what was sent");
    }
    assert_eq!(preview.texts["en"].sample, expected[0].1);

    // An event's values are looked at when its message is made.
    assert!(stage.event("evt_1", &case(20, "en", "soon", "high")).await);
    assert!(stage.event("evt_2", &case(21, "en", "2026-12-01", "high")).await);
    let day = stage.day("case-created", 2).await;
    stage.quiet().await;
    assert_eq!(bucket(&stage.sums(day).await, Status::Failed, Some("invalid_value")), 1);
    assert_eq!(stage.texts_to(&phone(21)), ["Ana: Dec 1, 2026"]);
    stage.strike().await;
}
