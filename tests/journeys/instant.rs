//! A file, handed over by a person.

use std::collections::BTreeSet;

use herald::{
    domain::{contact::ChannelType, id::ConsentChangeId, message::Status, phone::E164, run::RunStatus},
    intake::upload::{NotSent, OnInvalid, OnSameFile},
    store::consents::{Consent, ConsentChange},
};

use crate::{
    operator::buckets,
    support::{Database, Setup, Stage, bucket, phone},
};

const HEADER: &str = "Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate";

/// 240 people in three languages; two of them stand there a second time, three did not agree, four have opted out, and four
/// rows are bad: so many good rows of different people are left.
const SENT: i64 = 233;

/// One row for each of 240 people, then the repetitions and the bad rows.
fn file() -> String {
    let mut rows: Vec<String> = (0..240)
        .map(|nth| {
            let (optin, locale) = (if nth % 100 == 7 { "no" } else { "yes" }, ["en", "de-DE", "fr"][nth as usize % 3]);
            format!("{},{optin},{locale},Ana,AC-{nth},Monday", phone(nth))
        })
        .collect();
    rows.push(format!("{},yes,en,Ana,AC-1,Monday", phone(0)));
    rows.push(format!("{},yes,en,Ana,AC-2,Monday", phone(1)));
    rows.insert(50, "12345,yes,en,Ana,AC-3,Monday".to_owned());
    rows.push(format!("{},yes,en,,AC-4,Monday", phone(300)));
    rows.push(format!("{},perhaps,en,Ana,AC-5,Monday", phone(301)));
    rows.push(format!("{},yes,no such language,Ana,AC-6,Monday", phone(302)));
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

fn opted_out(nth: u32) -> ConsentChange {
    let of: E164 = E164::parse(&phone(nth), None).unwrap();
    let at = herald::domain::time::Timestamp::from_millis(1);
    ConsentChange {
        id: ConsentChangeId::new(at, rand::random()),
        channel_type: ChannelType::Sms,
        of,
        consent: Consent::Out,
        source: "import".into(),
        actor: "operator".into(),
        at,
    }
}

pub async fn a_file_with_every_kind_of_row(database: Database) {
    let mut setup = Setup::new(database);
    // One request at a time: the sandbox's log then shows where one ends and the next begins.
    setup.config.worker.slots = 1;
    let stage = Stage::set(setup).await;
    let changes: Vec<ConsentChange> = [10, 20, 130, 230].into_iter().map(opted_out).collect();
    stage.app.store.set_consents(&stage.org, &changes).await.unwrap();
    let mut upload = stage.upload("shipping-delay", &file()).await;

    let refused = stage.begin(&upload).await.unwrap_err();
    let NotSent::Invalid(preview) = &refused else { panic!("{refused}") };
    assert_eq!((preview.checked.rows, preview.checked.invalid), (246, 4), "{refused}");
    assert!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().is_empty());

    upload.on_invalid = OnInvalid::Skip;
    let run = stage.begin(&upload).await.unwrap();
    let sums = stage.over(run).await;
    assert_eq!(buckets(&sums), [("delivered", SENT), ("invalid", 4), ("suppressed", 9)].into());
    for (code, count) in [("duplicate", 2), ("not_opted_in", 3), ("opted_out", 4)] {
        assert_eq!(bucket(&sums, Status::Suppressed, Some(code)), count, "{code}");
    }
    stage.assert_adds_up(run, 246).await;
    let done = stage.run(run).await;
    assert_eq!((done.status, done.requests, done.dispatched, done.open_requests), (RunStatus::Completed, 3, 3, 0));

    let calls = stage.calls();
    assert_eq!(i64::try_from(calls.len()), Ok(SENT), "nothing was sent before the bad rows were set aside");
    assert!(stage.accepted().values().all(|times| *times == 1));
    // Rows 0 to 99 are the first request, less one that did not agree and two that opted out; and so on.
    let mut rest = calls.iter().map(|call| call.to.to_string());
    for (people, left_out) in [(0..100, [7, 10, 20].as_slice()), (100..200, &[107, 130]), (200..240, &[207, 230])] {
        let expected: BTreeSet<String> = people.filter(|nth| !left_out.contains(nth)).map(phone).collect();
        assert_eq!(rest.by_ref().take(expected.len()).collect::<BTreeSet<_>>(), expected);
    }
    for (nth, text) in [
        (0, "Hello Ana, your order AC-0 is delayed."),
        (1, "Guten Tag Ana, Ihre Bestellung AC-1 verspätet sich"),
        (2, "Bonjour Ana, votre commande AC-2 a pris du retard."),
    ] {
        let texts = stage.texts_to(&phone(nth));
        assert!(texts.len() == 1 && texts[0].starts_with(text), "{texts:?}");
    }
    report(&stage, &run.to_string()).await;

    let again = stage.begin(&upload).await.unwrap_err();
    assert!(matches!(&again, NotSent::AlreadySent { run: named, .. } if *named == run), "{again}");
    assert!(again.to_string().contains(&run.to_string()), "{again}");
    upload.on_same_file = OnSameFile::Send;
    let second = stage.begin(&upload).await.unwrap();
    assert_ne!(second, run);
    assert_eq!(stage.over(second).await.of(Status::Delivered), SENT);
    assert!(stage.accepted().values().all(|times| *times == 2));
    stage.strike().await;
}

/// The report has every row of the file once, in its order, with its own columns, and counts what the buckets count.
async fn report(stage: &Stage, run: &str) {
    let path = stage.folder.path().join("report.csv");
    let (told, code) = stage.herald(&["run", "export", run, "--to", path.to_str().unwrap()]).await;
    assert_eq!((told["rows"].as_i64(), code), (Some(246), 0), "{told}");
    let mut report = csv::Reader::from_path(path).unwrap();
    let header = report.headers().unwrap().clone();
    let own: Vec<&str> = header.iter().skip(1).take(6).collect();
    assert_eq!(own, HEADER.split(',').collect::<Vec<_>>());
    let rows: Vec<csv::StringRecord> = report.records().map(Result::unwrap).collect();
    let lines: Vec<u32> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(lines, (2..248).collect::<Vec<u32>>());
    let with = |status: &str, code: &str| rows.iter().filter(|row| &row[8] == status && &row[9] == code).count();
    let counts = [
        with("delivered", ""),
        with("suppressed", "duplicate"),
        with("suppressed", "not_opted_in"),
        with("suppressed", "opted_out"),
        rows.iter().filter(|row| &row[8] == "invalid").count(),
    ];
    assert_eq!(counts, [usize::try_from(SENT).unwrap(), 2, 3, 4, 4]);
    let first = &rows[0];
    assert_eq!((&first[1], &first[11], &first[12], &first[4], &first[5]), (&*phone(0), "en", "1", "Ana", "AC-0"));
}
