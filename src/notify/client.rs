//! The client that posts: the only socket of this room. It connects to nothing that the guard refuses, follows no redirect,
//! uses no proxy (which would connect in its stead), and never retries: that is the queue's business.

use std::{error::Error as _, net::SocketAddr, time::Duration};

use chrono::DateTime;
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use super::guard::{Reach, Refused};
use crate::{domain::time::Timestamp, engine::NoClient};

/// How long an endpoint has to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// The most of an answer that is read, so that its connection can be used again. What it says does not matter.
const ANSWER_LIMIT: usize = 16 * 1024;
/// How long an answer whose status has come may go on.
const REST: Duration = Duration::from_secs(1);
/// How long a connection is kept for the next post.
const IDLE: Duration = Duration::from_secs(30);

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The endpoint answered with this status, and asked for this wait.
    Status(u16, Option<Duration>),
    /// It did not; in words, without its URL.
    Nothing(String),
}

/// The client that all posts share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    reach: Reach,
}

impl Client {
    pub fn new(reach: Reach, timeout: Duration) -> Result<Self, NoClient> {
        // Another part of the process may have chosen the provider of ciphers already: it is the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Guarded(reach))
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, reach })
    }

    /// Posts a body with these headers.
    pub async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String, now: Timestamp) -> Answer {
        let url = match self.reach.url(url) {
            Ok(url) => url,
            Err(refused) => return Answer::Nothing(refused.to_string()),
        };
        let mut post = self.http.post(url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            post = post.header(*name, value);
        }
        match post.send().await {
            Ok(mut response) => {
                let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let asked = asked.and_then(|text| retry_after(text, now));
                let status = response.status().as_u16();
                drop(tokio::time::timeout(REST, read_off(&mut response)).await);
                Answer::Status(status, asked)
            }
            Err(problem) => Answer::Nothing(in_words(&problem)),
        }
    }
}

async fn read_off(response: &mut reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > ANSWER_LIMIT {
            return;
        }
    }
}

/// The wait that a `Retry-After` asks for: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let seconds = || text.parse().ok().map(Duration::from_secs);
    let date = || DateTime::parse_from_rfc2822(text).ok().map(|at| Timestamp::from(at.to_utc()).since(now));
    seconds().or_else(date)
}

/// What the guard or the system says, without the URL: it may hold a secret.
fn in_words(problem: &reqwest::Error) -> String {
    if problem.is_timeout() {
        return "the endpoint did not answer in time".to_owned();
    }
    let mut cause = problem.source();
    let mut innermost = None;
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return refused.to_string();
        }
        innermost = Some(inner);
        cause = inner.source();
    }
    let what = if problem.is_connect() { "the endpoint could not be reached" } else { "the connection broke" };
    innermost.map_or_else(|| what.to_owned(), |inner| format!("{what}: {inner}"))
}

/// Finds the addresses of a name, and passes on only those that may be connected to. A name that leads elsewhere the next time
/// is judged again then: what is connected to is what was judged.
#[derive(Clone, Copy, Debug)]
struct Guarded(Reach);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(let_through(reach, found)?.into_iter()) as Addrs)
        })
    }
}

/// Those addresses that may be connected to; if there are none, why the first may not.
fn let_through(reach: Reach, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
    let (mut good, mut refused) = (Vec::new(), None);
    for address in found {
        match reach.address(address.ip()) {
            Ok(()) => good.push(address),
            Err(problem) => refused = refused.or(Some(problem)),
        }
    }
    match refused {
        Some(problem) if good.is_empty() => Err(problem),
        Some(_) | None => Ok(good),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn a_name_is_judged_every_time_by_where_it_leads() {
        let led = |addresses: &[&str]| {
            let found = addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0));
            let_through(Reach::World, found).map(|good| good.len()).map_err(|refused| refused.to_string())
        };
        assert_eq!(led(&["8.8.8.8", "2606:4700::1111"]), Ok(2));
        assert_eq!(led(&["10.0.0.1", "8.8.8.8", "::1"]), Ok(1), "what may not be connected to is left out");
        assert_eq!(led(&[]), Ok(0));
        let rebound = led(&["127.0.0.1", "10.0.0.1"]).unwrap_err();
        assert!(
            rebound.starts_with("127.0.0.1 is a loopback address; webhooks go to public addresses only"),
            "{rebound}"
        );
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        for (text, wait) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 18 Nov 2026 11:08:40 GMT", Some(120)),
            ("Wed, 18 Nov 2026 11:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, NOW), wait.map(Duration::from_secs), "{text}");
        }
    }

    /// A listener that answers every connection with the same text, and counts them.
    async fn answering(text: &'static str) -> (SocketAddr, tokio::sync::watch::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, counted) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let mut request = [0; 4096];
                let _read = connection.read(&mut request).await;
                let _written = connection.write_all(text.as_bytes()).await;
                if text.is_empty() {
                    std::future::pending::<()>().await;
                }
            }
        });
        (address, counted)
    }

    async fn post(reach: Reach, url: &str) -> Answer {
        let client = Client::new(reach, Duration::from_millis(300)).unwrap();
        client.post(url, &[("webhook-id", "dlv_1".to_owned())], "{}".to_owned(), NOW).await
    }

    #[tokio::test]
    async fn what_is_refused_is_never_connected_to() {
        let (address, counted) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let port = address.port();
        for url in [format!("https://127.0.0.1:{port}/"), format!("https://localhost:{port}/")] {
            let Answer::Nothing(why) = post(Reach::World, &url).await else { panic!("{url} was posted to") };
            assert!(why.contains("is a loopback address") && !why.contains(&port.to_string()), "{url}: {why}");
        }
        assert_eq!(*counted.borrow(), 0);
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(post(Reach::Anywhere, &format!("http://{host}:{port}/")).await, Answer::Status(200, None));
        }
        assert_eq!(*counted.borrow(), 2);
    }

    #[tokio::test]
    async fn answers_are_told_apart() {
        let (redirecting, _) =
            answering("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        let (busy, _) = answering("HTTP/1.1 503 No\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n").await;
        let (endless, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nand so on").await;
        let (silent, _) = answering("").await;
        let (garbled, _) = answering("GET / HTTP/1.1\r\n\r\n").await;
        let at = |address: SocketAddr| format!("http://{address}/secret-path");
        assert_eq!(post(Reach::Anywhere, &at(redirecting)).await, Answer::Status(302, None), "it is not followed");
        assert_eq!(post(Reach::Anywhere, &at(busy)).await, Answer::Status(503, Some(Duration::from_secs(90))));
        assert_eq!(
            post(Reach::Anywhere, &at(endless)).await,
            Answer::Status(200, None),
            "its status is all that counts"
        );
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for (address, said) in
            [(silent, "in time"), (garbled, "the connection broke"), (closed, "could not be reached")]
        {
            let Answer::Nothing(why) = post(Reach::Anywhere, &at(address)).await else { panic!("{said}") };
            assert!(why.contains(said) && !why.contains("secret-path"), "{why}");
        }
    }
}
