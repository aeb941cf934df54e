//! The customer's server: what it is posted, with the signatures computed anew, not by the sandbox's own code.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, http::Uri, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha1::Sha1;
use sha2::Sha256;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use super::bench::{DEADLINE, TOKEN};

/// What was posted.
pub struct Post {
    /// The URL that was asked for.
    pub url: String,
    pub headers: HeaderMap,
    pub body: String,
}

pub struct Customer {
    /// Where posts go.
    pub url: String,
    posts: mpsc::UnboundedReceiver<Post>,
    _server: JoinSet<()>,
}

struct Desk {
    base: String,
    posts: mpsc::UnboundedSender<Post>,
    /// Statuses of the first answers, the first one last; afterwards the usual one.
    answers: Mutex<Vec<u16>>,
    usual: u16,
}

async fn receive(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: String) -> StatusCode {
    let answer = desk.answers.lock().unwrap().pop().unwrap_or(desk.usual);
    desk.posts.send(Post { url: format!("{}{uri}", desk.base), headers, body }).unwrap();
    StatusCode::from_u16(answer).unwrap()
}

impl Customer {
    /// Answers 204 after these first ones.
    pub async fn new(answers: &[u16]) -> Customer {
        Customer::answering(answers, 204).await
    }

    pub async fn answering(first: &[u16], usual: u16) -> Customer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, posts) = mpsc::unbounded_channel();
        let answers = Mutex::new(first.iter().rev().copied().collect());
        let desk = Arc::new(Desk { base: base.clone(), posts: sender, answers, usual });
        let router = Router::new().route("/hook", post(receive)).with_state(desk);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Customer { url: format!("{base}/hook?channel=1&x=a%20b"), posts, _server: server }
    }

    /// The next post, whoever it is from.
    pub async fn post(&mut self) -> Post {
        tokio::time::timeout(DEADLINE, self.posts.recv()).await.expect("a post in time").unwrap()
    }

    pub fn has_nothing_more(&mut self) -> bool {
        self.posts.try_recv().is_err()
    }

    /// The next form of Twilio's.
    pub async fn next(&mut self) -> HashMap<String, String> {
        let post = self.post().await;
        let params: HashMap<String, String> = url::form_urlencoded::parse(post.body.as_bytes()).into_owned().collect();
        let mut names: Vec<&String> = params.keys().collect();
        names.sort();
        let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
        mac.update(post.url.as_bytes());
        names.iter().for_each(|name| mac.update(format!("{name}{}", params[*name]).as_bytes()));
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(post.headers["x-twilio-signature"], signature);
        assert!(post.headers.contains_key("i-twilio-idempotency-token"));
        params
    }

    /// The statuses of the next forms of Twilio's.
    pub async fn statuses(&mut self, count: usize) -> Vec<String> {
        let mut statuses = Vec::new();
        while statuses.len() < count {
            statuses.push(self.next().await["MessageStatus"].clone());
        }
        statuses
    }
}

impl Post {
    /// The body, if its signature is that of TeleSign with this key, in the form given.
    pub fn telesign(&self, customer_id: &str, api_key: &str, form: Form) -> Value {
        let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(api_key).unwrap()).unwrap();
        mac.update(self.body.as_bytes());
        let bare = STANDARD.encode(mac.finalize().into_bytes());
        let full = format!("TSA {customer_id}:{bare}");
        assert_eq!(self.headers["authorization"], full);
        assert_eq!(self.headers["x-ts-authorization"], if form == Form::Full { full } else { bare });
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How a signature stands in `X-TS-Authorization`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Bare,
    Full,
}
