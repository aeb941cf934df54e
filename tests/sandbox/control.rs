//! The control surface's reading side, and the settings.

use herald::sandbox::{Faults, Sandbox, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::bench::{Bench, settings};

#[tokio::test]
async fn the_log_is_paged_bounded_and_summed_up() {
    let mut settings = settings();
    settings.log_limit = 4;
    let bench = Bench::new(settings).await;
    for to in
        ["+4917012300001", "+4917012300002", "+4917012300001", "+4917012391211", "+4917012300003", "+4917012300001"]
    {
        bench.send_to(to).await;
    }
    let get = async |path: &str| bench.control(Method::GET, path, Value::Null).await.json;
    let summary = get("/sandbox/summary").await;
    for (field, value) in [("calls", 6), ("accepted", 5), ("unique_recipients", 3), ("recipients_more_than_once", 1)] {
        assert_eq!(summary[field], value, "{field}");
    }
    assert_eq!(summary["more_than_once"], json!([{ "to": "+4917012300001", "times": 3 }]));
    assert_eq!(summary["refused"], json!({ "21211": 1 }));
    let page = get("/sandbox/calls?limit=3").await;
    assert_eq!((&page["dropped"], &page["next_after"]), (&json!(2), &json!(5)));
    assert_eq!(page["calls"][0]["number"], 3);
    assert_eq!(page["calls"][1]["code"], 21211);
    let rest = get("/sandbox/calls?after=5").await;
    assert_eq!((rest["calls"].as_array().map(Vec::len), &rest["next_after"]), (Some(1), &Value::Null));
    assert_eq!(get("/sandbox/calls?to=%2B4917012300001").await["calls"].as_array().map(Vec::len), Some(2));
    assert!(get("/sandbox/calls?limit=0").await["error"].is_string());
    assert!(get("/sandbox/nothing").await["error"].is_string());
    assert_eq!(bench.control(Method::DELETE, "/sandbox/calls", Value::Null).await.status, 204);
    assert_eq!(get("/sandbox/summary").await["calls"], 0);
    bench.send_to("+4917012300001").await;
    assert_eq!(get("/sandbox/calls").await["calls"][0]["number"], 7, "the numbering goes on");
}

#[tokio::test]
async fn settings_are_read_strictly_and_keep_their_secrets() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    let settings =
        read(r#"{"accounts":[{"account_sid":"AC1","auth_token":"hush"}],"receipts":{"max_delay_ms":5}}"#).unwrap();
    assert!(!format!("{settings:?}").contains("hush"));
    assert!(read(r#"{"recipts":{}}"#).is_err());
    let refused = |settings: Settings| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Sandbox::start(listener, settings).await.err().expect("refused").to_string()
    };
    assert!(refused(settings).await.contains("AC1"));
    let shares = Settings { faults: Faults { lose_receipt: 2.0, ..Faults::default() }, ..Settings::default() };
    assert!(refused(shares).await.contains("lose_receipt"));
}
