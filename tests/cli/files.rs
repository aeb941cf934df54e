//! Files by hand: rejected rows that come back, stored lists, how far a file has come, and memory that does not grow with it.

use std::{io::Write as _, path::Path, process::Stdio};

use serde_json::Value;

use crate::{Desk, sandbox};

const HEADER: &str = "Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate";

fn row(nth: u32) -> String {
    format!("+49151555{nth:05},yes,de,Ana,AC-{nth},Montag")
}

#[tokio::test]
async fn rejected_rows_come_back_corrected() {
    let sandbox = sandbox().await;
    let desk = Desk::with_acme(&sandbox.base_url()).await;
    let rows: Vec<String> = (0..50)
        .map(|nth| match nth % 10 {
            3 => row(nth).replace("+49151555", "15"),
            7 => row(nth).replace("yes", "perhaps"),
            _ => row(nth),
        })
        .collect();
    desk.file("all.csv", &format!("{HEADER}\n{}\n", rows.join("\n")));
    let sent = desk
        .herald(&[
            "send",
            "shipping-delay",
            "--csv",
            "all.csv",
            "--skip-invalid",
            "--rejected",
            "bad.csv",
            "--output",
            "json",
        ])
        .await;
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    assert_eq!(sandbox.summary().accepted, 40);
    for line in ["checking: 100 %", "taking in: 100 %"] {
        assert!(sent.stderr.contains(line), "{line:?} is not in:\n{}", sent.stderr);
    }
    // The file that was written, and the one that the run keeps, are the same.
    let run = sent.json()["run"]["id"].as_str().unwrap().to_owned();
    let exported =
        desk.herald(&["run", "export", &run, "--rejected", "--to", "again.csv", "--output", "json"]).await.json();
    assert_eq!(exported["rows"].as_u64(), Some(10));
    let bad = std::fs::read_to_string(desk.path("bad.csv")).unwrap();
    assert_eq!(std::fs::read_to_string(desk.path("again.csv")).unwrap(), bad);

    let corrected = bad.replace("\n15", "\n+49151555").replace(",perhaps,", ",yes,");
    desk.file("corrected.csv", &corrected);
    let second = desk.herald(&["send", "shipping-delay", "--csv", "corrected.csv", "--output", "json"]).await.json();
    assert_eq!((second["run"]["rows"].as_u64(), second["run"]["buckets"]["sent"].as_u64()), (Some(10), Some(10)));
    let calls = sandbox.calls(0, 1_000, None).calls;
    let numbers: std::collections::BTreeSet<String> = calls.iter().map(|call| call.to.to_string()).collect();
    assert_eq!((calls.len(), numbers.len()), (50, 50), "each of them once");
    desk.herald(&["send", "shipping-delay", "--csv", "corrected.csv"]).await.says(2, &["already sent"]);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_is_taken_in_by_hand() {
    let desk = Desk::with_acme(&crate::nobody()).await;
    desk.file("vips.csv", "to,CustomerName,CaseName\n+4915155500001,Ana,x\n+4915155500002,Bo,y\n");
    let import = ["list", "import", "vips", "--csv", "vips.csv"];
    desk.herald(&import).await.says(2, &["optin", "--opted-in"]);
    let done = desk.herald(&[&import[..], &["--opted-in", "--output", "json"]].concat()).await.json();
    assert_eq!((done["change"].as_str(), done["list"]["rows"].as_u64()), (Some("created"), Some(2)), "{done}");
    let shown = desk.herald(&["list", "show"]).await;
    assert!(
        shown.code == 0 && shown.stdout.contains("vips  2 entries, version 1; nothing is sent to it"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("customers  120 entries") && shown.stdout.contains("monthly-reminder"),
        "{}",
        shown.stdout
    );
    desk.file("bad.csv", "to,optin\n12,yes\n+4915155500001,perhaps\n");
    desk.herald(&["list", "import", "vips", "--csv", "bad.csv"])
        .await
        .says(2, &["2 of 2 rows are bad", "line 2, column to: \"12\"", "line 3, column optin"]);
    desk.herald(&["list", "import", "vips", "--csv", "missing.csv"]).await.says(2, &["cannot read missing.csv"]);
    desk.herald(&["list", "show", "nobody"]).await.says(2, &["nobody", "customers, vips"]);
}

/// Rows of the smaller file; the larger one has ten times as many.
#[cfg(target_os = "linux")]
const ROWS: u32 = 6_000;
/// What the larger file may take more, in KiB: pairs of number and row are held in memory up to 4 MiB, whatever the file.
#[cfg(target_os = "linux")]
const MORE: u64 = 6 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_does_not_grow_with_the_file() {
    let desk = Desk::with_acme(&crate::nobody()).await;
    let mut peaks = Vec::new();
    for (name, rows) in [("small.csv", ROWS), ("large.csv", ROWS * 10)] {
        write_file(&desk.path(name), rows);
        peaks.push(peak_of_a_dry_run(&desk, name, u64::from(rows)).await);
    }
    assert!(peaks[1] <= peaks[0] + MORE, "{peaks:?} KiB for {ROWS} rows and ten times as many");
}

#[cfg(target_os = "linux")]
fn write_file(path: &Path, rows: u32) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "{HEADER}").unwrap();
    (0..rows).for_each(|nth| writeln!(file, "{}", row(nth % 100_000)).unwrap());
    file.flush().unwrap();
}

/// The most memory that a dry run had at a time, in KiB: what the system says as long as there is a process to ask about.
#[cfg(target_os = "linux")]
async fn peak_of_a_dry_run(desk: &Desk, file: &str, rows: u64) -> u64 {
    let arguments = ["send", "shipping-delay", "--csv", file, "--dry-run", "--output", "json"];
    let child = desk.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut ended = std::pin::pin!(child.wait_with_output());
    let mut again = tokio::time::interval(std::time::Duration::from_millis(5));
    let mut peak = 0;
    let output = loop {
        tokio::select! {
            output = &mut ended => break output.unwrap(),
            _ = again.tick() => peak = peak.max(high_water_mark(&status).unwrap_or(0)),
        }
    };
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["dry_run"]["rows"].as_u64(), Some(rows), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(peak > 0, "nobody was asked");
    peak
}

#[cfg(target_os = "linux")]
fn high_water_mark(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
