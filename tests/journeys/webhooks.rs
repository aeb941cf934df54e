//! What the organization hears of: events posted to its endpoints, signed, at least once.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use herald::{
    definitions,
    domain::{
        definition::Endpoint,
        id::DeliveryId,
        secret_ref::SecretRef,
        webhook::{EventType, WAITS},
    },
    inbound::webhook::{Signed, verify},
    notify::{Deliverer, Parts},
    secret::Secret,
    store::endpoints::DeliveryState,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::support::{Database, HOOK_SECRET, SENDER, Setup, Stage, listener, phone, shipping};

/// Answers STOP to whatever reaches it.
const STOPS: u32 = 97_867;
/// Is not delivered.
const UNREACHABLE: u32 = 90_003;
/// Is refused.
const REFUSED: u32 = 91_211;

/// A post as it came in.
#[derive(Clone, Debug)]
struct Post {
    id: String,
    timestamp: String,
    signature: String,
    content_type: String,
    body: Bytes,
}

impl Post {
    fn read(headers: &HeaderMap, body: Bytes) -> Self {
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            content_type: header("content-type"),
            body,
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn event(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

/// An endpoint as an organization has it.
struct Receiver {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
    /// With which status it answers; `None`: not at all, until it does.
    answer: watch::Sender<Option<u16>>,
    _serving: JoinSet<()>,
}

impl Receiver {
    async fn start(address: &str, first: Option<u16>) -> Self {
        let listener = listener(address).await;
        let address = listener.local_addr().unwrap();
        let posts: Arc<Mutex<Vec<Post>>> = Arc::default();
        let (answer, answering) = watch::channel(first);
        let seen = posts.clone();
        let receive = move |headers: HeaderMap, body: Bytes| {
            let (seen, mut answering) = (seen.clone(), answering.clone());
            async move {
                seen.lock().unwrap().push(Post::read(&headers, body));
                let status = *answering.wait_for(Option::is_some).await.unwrap();
                StatusCode::from_u16(status.unwrap()).unwrap()
            }
        };
        let router = axum::Router::new().fallback(receive);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, posts, answer, _serving: serving }
    }

    async fn good() -> Self {
        Self::start("127.0.0.1:0", Some(204)).await
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
}

/// A stage whose organization has these endpoints.
fn setup(database: Database, endpoints: &[(&str, SocketAddr, &[&str])]) -> Setup {
    let mut setup = Setup::new(database);
    setup.config.webhooks.allow_private = true;
    for (name, address, events) in endpoints {
        let endpoint = Endpoint {
            url: format!("http://{address}/{name}"),
            secret: SecretRef::Env("ACME_HOOK_SECRET".to_owned()),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            active: true,
        };
        setup.set.endpoints.insert((*name).to_owned(), endpoint);
    }
    setup
}

impl Stage {
    /// What has not arrived at an endpoint.
    async fn waiting(&self, endpoint: &str) -> Vec<DeliveryId> {
        let state = Some(DeliveryState::Waiting);
        let waiting = self.app.store.deliveries(&self.org, endpoint, state, None, 1_000).await.unwrap();
        waiting.iter().map(|delivery| delivery.id).collect()
    }

    async fn test_endpoint(&self, endpoint: &str) -> DeliveryId {
        self.app.store.test_endpoint(&self.org, endpoint, self.app.clock.now()).await.unwrap()
    }

    /// The posts are genuine, recent, JSON, and their own.
    fn assert_genuine(&self, posts: &[Post]) {
        for post in posts {
            let signed = Signed { id: &post.id, timestamp: &post.timestamp, signature: &post.signature };
            let now = self.app.clock.now();
            assert_eq!(verify(&Secret::new(HOOK_SECRET), signed, &post.body, now), Ok(()), "{post:?}");
            assert_eq!(post.content_type, "application/json");
            assert!(post.id.parse::<DeliveryId>().is_ok());
            let body = post.json();
            assert!(body["timestamp"].as_str().unwrap().ends_with('Z') && body["data"].is_object(), "{body}");
        }
    }

    /// Waits until a try of a delivery has failed so often.
    async fn failed(&self, endpoint: &str, id: DeliveryId, times: i64) -> String {
        self.until(&format!("{id} has failed {times} times"), async || {
            let found = self.app.store.deliveries(&self.org, endpoint, None, None, 9).await.unwrap();
            let delivery = found.into_iter().find(|delivery| delivery.id == id)?;
            (delivery.failed == times).then_some(delivery.last_error)
        })
        .await
    }
}

pub async fn what_happens_is_told_signed(database: Database) {
    let (crm, ends) = (Receiver::good().await, Receiver::good().await);
    let endpoints: [(_, _, &[&str]); 2] = [("crm", crm.address, &["*"]), ("ends", ends.address, &["run.completed"])];
    let mut setup = setup(database, &endpoints);
    setup.sandbox.accounts[0].numbers = vec![SENDER.to_owned()];
    let stage = Stage::set(setup).await;
    stage.listen().await;
    let numbers = [phone(1), phone(UNREACHABLE), phone(REFUSED), phone(STOPS), phone(1)];
    let run = stage.send("shipping-delay", &shipping(numbers)).await;
    stage.over(run).await;
    stage.until("everything has arrived", async || stage.waiting("crm").await.is_empty().then_some(())).await;
    stage.until("the end has arrived", async || stage.waiting("ends").await.is_empty().then_some(())).await;

    let posts = crm.posts();
    stage.assert_genuine(&posts);
    let ids: BTreeSet<&String> = posts.iter().map(|post| &post.id).collect();
    assert_eq!(ids.len(), posts.len(), "each once");
    let mut of: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for post in &posts {
        of.entry(post.event()).or_default().push(post.json()["data"].take());
    }
    // A receipt may overtake the answer: then it is sent no more, but delivered at once.
    of.remove("message.sent");
    let counts: BTreeMap<&str, usize> = of.iter().map(|(event, all)| (event.as_str(), all.len())).collect();
    let expected = [
        ("message.delivered", 2),
        ("message.undelivered", 1),
        ("message.failed", 1),
        ("message.suppressed", 1),
        ("reply.received", 1),
        ("consent.changed", 1),
        ("run.completed", 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    let failed = &of["message.failed"][0];
    assert_eq!((failed["to"].as_str(), failed["code"].as_str()), (Some(&*phone(REFUSED)), Some("invalid_number")));
    assert_eq!((failed["channel"].as_str(), &failed["run"]), (Some("support-sms"), &json!(run)));
    assert_eq!(of["message.suppressed"][0]["code"], "duplicate");
    let reply = &of["reply.received"][0];
    assert_eq!((reply["from"].as_str(), reply["text"].as_str()), (Some(&*phone(STOPS)), Some("STOP")));
    assert_eq!(reply["answers"].as_str().map(|id| id.starts_with("msg_")), Some(true));
    assert_eq!(of["consent.changed"][0]["number"].as_str(), Some(&*phone(STOPS)));
    let end = &of["run.completed"][0];
    assert_eq!((&end["id"], &end["status"], &end["rows"]), (&json!(run), &json!("completed"), &json!(5)));

    let ends = ends.posts();
    stage.assert_genuine(&ends);
    assert_eq!(ends.iter().map(Post::event).collect::<Vec<_>>(), ["run.completed"]);
    let counted = format!("herald_deliveries_total{{result=\"arrived\"}} {}", posts.len() + 1);
    let told = async || stage.app.metrics.render().contains(&counted).then_some(());
    stage.until("every arrival is counted", told).await;
    stage.strike().await;
}

pub async fn an_endpoint_that_is_away_hears_later(database: Database) {
    let address = Receiver::good().await.address; // and gone again
    let stage = Stage::set(setup(database, &[("crm", address, &["message.*"])])).await;
    let id = stage.test_endpoint("crm").await;
    let why = stage.failed("crm", id, 1).await;
    assert!(why.contains("could not be reached"), "{why}");
    let crm = Receiver::start(&address.to_string(), Some(500)).await;
    stage.hand.advance(Duration::from_secs(6));
    assert_eq!(stage.failed("crm", id, 2).await, "the endpoint answered 500");
    crm.answer.send_replace(Some(200));
    stage.hand.advance(Duration::from_secs(4 * 60));
    let other = stage.test_endpoint("crm").await;
    let arrived = async || (crm.posts().len() == 2).then_some(());
    stage.until("another one has arrived meanwhile", arrived).await;
    // What was posted is written as arrived a moment later.
    let one_left = async || (stage.waiting("crm").await.len() == 1).then_some(());
    stage.until("that is written", one_left).await;
    assert_eq!((stage.waiting("crm").await, crm.posts().len()), (vec![id], 2), "it is not five minutes yet");
    stage.hand.advance(Duration::from_secs(2 * 60));
    stage.until("it has arrived", async || stage.waiting("crm").await.is_empty().then_some(())).await;
    let mut posts = crm.posts();
    assert_eq!(posts.remove(1).id, other.to_string());
    let ids: Vec<&String> = posts.iter().map(|post| &post.id).collect();
    assert_eq!(ids, [&id.to_string(), &id.to_string()], "the same id on every try");
    assert!(posts[0].timestamp < posts[1].timestamp, "and the time of each");
    assert_eq!(posts[0].body, posts[1].body);
    stage.assert_genuine(&posts[1..]);
    assert_eq!(posts[1].event(), EventType::EndpointTest.as_str());
    stage.strike().await;
}

pub async fn a_delivery_is_tried_ten_times(database: Database) {
    let crm = Receiver::start("127.0.0.1:0", Some(503)).await;
    let stage = Stage::set(setup(database, &[("crm", crm.address, &["message.*"])])).await;
    let id = stage.test_endpoint("crm").await;
    for (tries, wait) in (1..).zip(WAITS) {
        stage.failed("crm", id, tries).await;
        stage.hand.advance(wait + wait / 10);
    }
    let why = stage.failed("crm", id, 10).await;
    assert_eq!(why, "the endpoint answered 503; it was the last of 10 tries");
    assert_eq!((stage.waiting("crm").await, crm.posts().len()), (vec![], 10));
    let failed = stage.app.store.deliveries(&stage.org, "crm", Some(DeliveryState::Failed), None, 9).await.unwrap();
    assert_eq!(failed.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [id], "and it is kept to be looked at");
    stage.strike().await;
}

pub async fn an_endpoint_that_is_gone_is_disabled(database: Database) {
    let crm = Receiver::start("127.0.0.1:0", Some(410)).await;
    let stage = Stage::set(setup(database, &[("crm", crm.address, &["*"])])).await;
    let disabled = async || {
        let states = stage.app.store.endpoint_states(&stage.org).await.unwrap();
        states["crm"].disabled.clone().map(|(_, why)| why)
    };
    let first = stage.test_endpoint("crm").await;
    let why = stage.until("it is disabled", disabled).await;
    assert_eq!(why, "the endpoint answered 410 Gone: it wants no more webhooks");
    let run = stage.send("shipping-delay", &shipping([phone(1)])).await;
    stage.over(run).await;
    assert_eq!(stage.waiting("crm").await, [first], "nothing more is kept for it");
    stage.hand.advance(Duration::from_secs(3_600));
    crm.answer.send_replace(Some(200));
    // The same definition changes nothing; another one, or an administrator, lets it hear again.
    definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap();
    assert!(disabled().await.is_some());
    let mut other = stage.set.clone();
    other.endpoints.get_mut("crm").unwrap().events = vec!["run.*".to_owned()];
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    stage.until("what waited has arrived", async || stage.waiting("crm").await.is_empty().then_some(())).await;
    assert_eq!(disabled().await, None);
    let run = stage.send("shipping-delay", &shipping([phone(2)])).await;
    stage.over(run).await;
    stage.until("the run's end has arrived", async || (crm.posts().len() == 3).then_some(())).await;
    let told: Vec<String> = crm.posts().iter().map(Post::event).collect();
    assert_eq!(told, ["endpoint.test", "endpoint.test", "run.completed"]);
    stage.strike().await;
}

pub async fn an_endpoint_that_hangs_holds_up_no_other(database: Database) {
    let (hangs, crm) = (Receiver::start("127.0.0.1:0", None).await, Receiver::good().await);
    let endpoints: [(_, _, &[&str]); 2] = [("a-slow-one", hangs.address, &["*"]), ("crm", crm.address, &["*"])];
    let stage = Stage::set(setup(database, &endpoints)).await;
    let run = stage.send("shipping-delay", &shipping((0..100).map(phone))).await;
    stage.over(run).await;
    stage.until("the other one has heard", async || stage.waiting("crm").await.is_empty().then_some(())).await;
    let ends = crm.posts().iter().filter(|post| post.event() == "message.delivered").count();
    assert_eq!(ends, 100);
    let open = hangs.posts().len();
    assert!((1..=32).contains(&open), "it holds its own places: {open}");
    assert!(stage.waiting("a-slow-one").await.len() > 100);
    hangs.answer.send_replace(Some(200));
    stage.until("it has heard", async || stage.waiting("a-slow-one").await.is_empty().then_some(())).await;
    stage.strike().await;
}

pub async fn a_post_that_nobody_kept_word_of_is_made_again(database: Database) {
    let crm = Receiver::start("127.0.0.1:0", None).await;
    let mut stage = Stage::set(setup(database, &[("crm", crm.address, &["*"])])).await;
    stage.running.take().unwrap().stop().await.unwrap();
    let parts = || Parts {
        store: stage.app.store.clone(),
        books: stage.app.books.clone(),
        clock: stage.app.clock.clone(),
        metrics: stage.app.metrics.clone(),
    };
    let settings = &stage.app.config.webhooks;
    let id = stage.test_endpoint("crm").await;
    let mut first = Deliverer::new(parts(), settings).unwrap();
    assert_eq!(first.tick(stage.app.clock.now()).await.unwrap(), 1);
    stage.until("it was posted", async || (crm.posts().len() == 1).then_some(())).await;
    drop(first); // as a process that ends between the post and its word
    let mut second = Deliverer::new(parts(), settings).unwrap();
    assert_eq!(second.tick(stage.app.clock.now()).await.unwrap(), 0, "its lease has not ended");
    crm.answer.send_replace(Some(200));
    stage.hand.advance(Duration::from_secs(61));
    assert_eq!(second.tick(stage.app.clock.now()).await.unwrap(), 1);
    second.settled().await.unwrap();
    let ids: Vec<String> = crm.posts().into_iter().map(|post| post.id).collect();
    assert_eq!(ids, [id.to_string(), id.to_string()], "at least once, under the same id");
    assert!(stage.waiting("crm").await.is_empty());
    assert_eq!(second.tick(stage.app.clock.now()).await.unwrap(), 0);
    stage.sandbox.take().unwrap().stop().await.unwrap();
    stage.app.store.close().await;
}

pub async fn an_endpoint_in_our_own_network_is_refused(database: Database) {
    let crm = Receiver::good().await;
    let mut setup = setup(database, &[("crm", crm.address, &["*"])]);
    setup.config.webhooks.allow_private = false;
    let stage = Stage::set(setup).await;
    let id = stage.test_endpoint("crm").await;
    let why = stage.failed("crm", id, 1).await;
    let expected = "127.0.0.1 is a loopback address; webhooks go to public addresses only, unless the operator sets webhooks.allow_private";
    assert_eq!((why.as_str(), crm.posts().len()), (expected, 0));
    stage.strike().await;
}
