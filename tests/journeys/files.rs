//! Files that come back: what was rejected is corrected and sent, and nothing goes twice; a report is the file itself.

use herald::{domain::id::RunId, http::keys::Scope};
use serde_json::Value;

use crate::{
    operator::buckets,
    support::{Database, Setup, Stage, phone},
};

const HEADER: [&str; 6] = ["Phone Number", "OptIn", "Locale", "CustomerName", "OrderNumber", "DeliveryDate"];
const ROWS: u32 = 1_000;
/// Bad rows of each kind.
const EACH: u32 = 37;
/// What can be wrong with a row: the code that it has.
const KINDS: [&str; 9] = [
    "missing_value",
    "invalid_number",
    "invalid_optin",
    "invalid_locale",
    "missing_slug",
    "message_too_long",
    "too few",
    "too many",
    "no optin",
];

/// What is wrong with a row, if anything is.
fn kind(nth: u32) -> Option<&'static str> {
    let (place, every) = (nth / 3, nth.is_multiple_of(3));
    (every && place < EACH * KINDS.len() as u32).then(|| KINDS[place as usize % KINDS.len()])
}

fn good(nth: u32) -> Vec<String> {
    // A value that a spreadsheet would run: it comes back as it was, whatever is wrong beside it.
    let name = if nth.is_multiple_of(2) { "=SUM(A1)" } else { "Ana" };
    [&phone(nth), "yes", "en", name, &format!("AC-{nth}"), "Monday"].map(str::to_owned).into()
}

fn spoilt(nth: u32) -> Vec<String> {
    let mut row = good(nth);
    match kind(nth) {
        None => {}
        Some("missing_value") => row[0].clear(),
        Some("invalid_number") => row[0] = "12".to_owned(),
        Some("invalid_optin") => row[1] = "perhaps".to_owned(),
        Some("invalid_locale") => row[2] = "no such language".to_owned(),
        Some("missing_slug") => row[5].clear(),
        Some("message_too_long") => row[5] = "x".repeat(1_600),
        Some("too few") => drop(row.pop()),
        Some("too many") => row.push("more".to_owned()),
        Some("no optin") => row[1].clear(),
        Some(other) => panic!("{other}"),
    }
    row
}

/// Mends a rejected row: its last cell of the file's own is followed by the remark, and by what was too many.
fn mended(mut row: Vec<String>) -> Vec<String> {
    let nth: u32 = row[4].trim_start_matches("AC-").parse().unwrap();
    let good = good(nth);
    for place in [0, 1, 2, 5] {
        row[place].clone_from(&good[place]);
    }
    row.truncate(7);
    row
}

fn csv_of<'a>(header: impl IntoIterator<Item = &'a str>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_record(header).unwrap();
    rows.into_iter().for_each(|row| writer.write_record(row).unwrap());
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn read(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let own = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    (own(reader.headers().unwrap()), reader.records().map(|record| own(&record.unwrap())).collect())
}

impl Stage {
    async fn fetched(&self, key: &str, path: &str) -> String {
        let answer = self.call(key, "GET", path, &[], "").await.good(200);
        answer.as_str().unwrap_or_else(|| panic!("{path}: {answer}")).to_owned()
    }

    async fn sent(&self, key: &str, query: &str, csv: String) -> (RunId, Value) {
        let path = format!("/v1/outbound-configurations/shipping-delay/runs{query}");
        let body = self.call(key, "POST", &path, &[("content-type", "text/csv")], csv).await.good(202);
        (body["run"]["id"].as_str().unwrap().parse().unwrap(), body)
    }
}

pub async fn rejected_rows_are_corrected_and_nothing_goes_twice(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let bad = usize::try_from(EACH).unwrap() * KINDS.len();
    let file = csv_of(HEADER, (0..ROWS).map(spoilt));
    let (run, answer) = stage.sent(&key, "?on_invalid=skip&name=customers.csv", file).await;
    assert_eq!(answer["file"]["invalid"].as_u64(), Some(bad as u64), "{answer}");
    let sums = stage.over(run).await;
    assert_eq!(sums.rejected, i64::try_from(bad).unwrap());
    assert_eq!(stage.accepted().len(), ROWS as usize - bad);

    // Every row of the file is in the report, where it stood in the file.
    let (_, report) = read(&stage.fetched(&key, &format!("/v1/runs/{run}/report.csv")).await);
    assert_eq!(
        report.iter().map(|row| row[0].parse().unwrap()).collect::<Vec<u32>>(),
        (2..ROWS + 2).collect::<Vec<_>>()
    );
    for (kind, code) in KINDS.map(|kind| match kind {
        "too few" | "too many" => (kind, "wrong_field_count"),
        "no optin" => (kind, "missing_value"),
        code => (code, code),
    }) {
        let of_kind = (0..ROWS).zip(&report).filter(|(nth, _)| self::kind(*nth) == Some(kind));
        let found: Vec<_> = of_kind.filter(|(_, row)| row[8] == "invalid" && row[9] == code).collect();
        assert_eq!(found.len(), EACH as usize, "{kind}");
    }

    // What was rejected, corrected, and nothing else.
    let place = answer["file"]["rejected_csv"].as_str().unwrap();
    let (header, rows) = read(&stage.fetched(&key, place).await);
    assert_eq!((header.len(), header[6].as_str(), rows.len()), (7, "error", bad));
    assert!(rows.iter().any(|row| row[3] == "'=SUM(A1)"), "a spreadsheet runs nothing of it");
    let corrected = csv_of(header.iter().map(String::as_str), rows.into_iter().map(mended));
    let (second, answer) = stage.sent(&key, "", corrected).await;
    assert_eq!((answer["file"]["rows"].as_u64(), answer["file"]["invalid"].as_u64()), (Some(bad as u64), Some(0)));
    let sums = stage.over(second).await;
    assert_eq!(buckets(&sums), [("delivered", i64::try_from(bad).unwrap())].into());

    let accepted = stage.accepted();
    assert_eq!(accepted.len(), ROWS as usize);
    assert!(accepted.values().all(|times| *times == 1), "nothing went twice");
    let spoilt_and_mended = (0..ROWS).find(|nth| kind(*nth).is_some() && nth.is_multiple_of(2)).unwrap();
    let texts = stage.texts_to(&phone(spoilt_and_mended));
    assert!(texts[0].starts_with("Hello =SUM(A1), your order"), "{texts:?}");
    let (header, _) = read(&stage.fetched(&key, &format!("/v1/runs/{second}/report.csv")).await);
    assert_eq!(header[1..7], HEADER, "herald's own remark is no column of the file");
    stage.strike().await;
}

pub async fn a_report_is_the_file_itself(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let header =
        ["Mobile", "OPT-IN", "status", "Locale", "Customer Name", "order_number", "DeliveryDate", "", "channelid"];
    let rows = [
        ["+49 151 555-00001", "1", "gold", "1031", " Ana ", "AC-1", "Montag", "x", "SMS"],
        ["+4915155500002", "yes", "", "fr", "Bo", "AC-2", "lundi", "", ""],
        ["+4915155500003", "TRUE", "+1 (425) 555 0100", "", "two\nlines", "=1+1", "Monday", "", ""],
        ["+4915155500004", "n", "", "en", "Di", "AC-4", "Monday", "", ""],
        ["12", "y", "", "en", "Di", "AC-5", "Monday", "-1", "sms"],
    ];
    let file = csv_of(header, rows.map(|row| row.map(str::to_owned).into()));
    let (run, _) = stage.sent(&key, "?on_invalid=skip", file.replace(',', ";")).await;
    stage.over(run).await;
    let text = stage.fetched(&key, &format!("/v1/runs/{run}/report.csv")).await;
    let (found, report) = read(&text);
    let names: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(names[0], "row");
    assert_eq!(names[1..10], header);
    let added = ["number", "herald_status", "code", "reason", "herald_locale", "segments", "sent_at", "changed_at"];
    assert_eq!(names[10..18], added);
    let neutral = |cell: &str| if ["=1+1", "-1"].contains(&cell) { format!("'{cell}") } else { cell.to_owned() };
    for (row, written) in report.iter().zip(rows) {
        assert_eq!(row[1..10], written.map(neutral));
    }
    let told: Vec<_> = report.iter().map(|row| (row[0].as_str(), row[10].as_str(), row[11].as_str())).collect();
    assert_eq!(
        told,
        [
            ("2", "+4915155500001", "delivered"),
            ("3", "+4915155500002", "delivered"),
            ("4", "+4915155500003", "delivered"),
            ("6", "+4915155500004", "suppressed"),
            ("7", "", "invalid"),
        ]
    );
    assert_eq!((report[0][14].as_str(), report[4][12].as_str()), ("de", "invalid_number"));
    // The command line writes the same bytes.
    let path = stage.folder.path().join("report.csv");
    stage.herald(&["run", "export", &run.to_string(), "--to", path.to_str().unwrap()]).await;
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    stage.strike().await;
}
