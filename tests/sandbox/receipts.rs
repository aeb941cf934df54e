//! What Twilio's side posts: receipts and replies, signed, in order unless a fault says otherwise.

use herald::sandbox::Faults;
use reqwest::Method;
use serde_json::json;

use super::{
    bench::{AC, Bench, FROM, MG, settings},
    customer::Customer,
};

#[tokio::test]
async fn receipts_come_signed_and_in_order_and_are_retried() {
    let mut customer = Customer::new(&[500, 503]).await;
    let bench = Bench::new(settings()).await;
    let url = customer.url.clone();
    let sent = bench.send(&[("To", "+4917012345678"), ("From", FROM), ("Body", "x"), ("StatusCallback", &url)]).await;
    assert_eq!(customer.statuses(4).await, ["sent", "sent", "sent", "delivered"]);
    bench.until(|summary| summary.receipts.sent == 2 && summary.receipts.retried == 2).await;
    let path = format!("/2010-04-01/Accounts/{AC}/Messages/{}.json", sent.json["sid"].as_str().unwrap());
    let message = bench.get(&path).await.json;
    assert_eq!(message["status"], "delivered");
    assert!(message["date_sent"].is_string());

    for (to, statuses) in [
        ("+4917012390003", vec![("sent", None), ("undelivered", Some("30003"))]),
        ("+4917012390008", vec![("failed", Some("30008"))]),
        ("+4917012390993", vec![("delivered", None), ("sent", None)]),
    ] {
        bench.send(&[("To", to), ("From", FROM), ("Body", "x"), ("StatusCallback", &url)]).await;
        for (status, code) in statuses {
            let post = customer.next().await;
            assert_eq!((post["MessageStatus"].as_str(), post.get("ErrorCode").map(String::as_str)), (status, code));
            assert_eq!((&*post["To"], &*post["From"], &*post["AccountSid"]), (to, FROM, AC));
        }
    }
    let params = [("To", "+4917012345678"), ("MessagingServiceSid", MG), ("Body", "x"), ("StatusCallback", &url)];
    bench.send(&params).await;
    assert_eq!(customer.statuses(3).await, ["queued", "sent", "delivered"]);
    bench.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn receipts_are_doubled_and_lost_by_share() {
    let mut customer = Customer::new(&[]).await;
    let bench = Bench::new(settings()).await;
    let url = customer.url.clone();
    let params = [("To", "+4917012345678"), ("From", FROM), ("Body", "x"), ("StatusCallback", &*url)];
    bench.sandbox.set_faults(Faults { duplicate_receipt: 1.0, ..Faults::default() }).unwrap();
    bench.send(&params).await;
    let mut doubled = customer.statuses(4).await;
    doubled.sort();
    assert_eq!(doubled, ["delivered", "delivered", "sent", "sent"]);
    bench.sandbox.set_faults(Faults { lose_receipt: 1.0, ..Faults::default() }).unwrap();
    bench.send(&params).await;
    bench.until(|summary| summary.receipts.withheld == 2 && summary.receipts.duplicated == 2).await;
    assert!(customer.has_nothing_more());
}

#[tokio::test]
async fn stop_is_answered_with_21610_until_start() {
    let mut customer = Customer::new(&[]).await;
    let bench = Bench::new(settings()).await;
    let to = "+4917012397867";
    let inbound = bench.control(Method::PUT, "/sandbox/inbound", json!({ "number": FROM, "url": customer.url })).await;
    assert_eq!(inbound.status, 204);
    assert_eq!(bench.send_to(to).await.status, 201);
    let reply = customer.next().await;
    assert_eq!((&*reply["Body"], &*reply["From"], &*reply["To"], &*reply["SmsStatus"]), ("STOP", to, FROM, "received"));
    assert_eq!(bench.send_to(to).await.json["code"], 21610);
    let other_sender = bench.send(&[("To", to), ("From", "+4915100000001"), ("Body", "x")]).await;
    assert_eq!(other_sender.status, 201, "an opt-out holds for one sender");

    // A Messaging Service finds it out later.
    let url = &*customer.url.clone();
    bench.send(&[("To", to), ("MessagingServiceSid", MG), ("Body", "x"), ("StatusCallback", url)]).await;
    let mut last = customer.next().await;
    while last.get("MessageStatus").is_none_or(|status| status == "queued") {
        last = customer.next().await;
    }
    assert_eq!((&*last["MessageStatus"], &*last["ErrorCode"]), ("failed", "21610"));

    let asked = json!({ "from": to, "to": FROM, "body": " Start " });
    assert_eq!(bench.control(Method::POST, "/sandbox/reply", asked).await.status, 202);
    assert_eq!(customer.next().await["Body"], " Start ");
    assert_eq!(bench.send_to(to).await.status, 201);
}

#[tokio::test]
async fn recipients_reply_by_share() {
    let mut customer = Customer::new(&[]).await;
    let mut settings = settings();
    settings.replies.share = 1.0;
    settings.inbound_url = Some(customer.url.clone());
    let bench = Bench::new(settings).await;
    bench.send_to("+4917012345678").await;
    assert_eq!(customer.next().await["Body"], "Thank you");
    bench.until(|summary| summary.replies.sent == 1 && summary.pending == 0).await;
}
