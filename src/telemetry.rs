//! What an operator sees: logs on stderr, and metrics for Prometheus.
//!
//! Metrics are a value that is passed around; nothing is global. Every label comes from a closed list (a status, a reason, a
//! provider, a route), never from data: no organization, number or configuration, so that their count stays bounded.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
    sync::atomic::AtomicU64,
    time::Duration,
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry},
};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::MakeWriter,
    util::{SubscriberInitExt, TryInitError},
};

use crate::{
    config::{LogConfig, LogFormat},
    domain::{message::Status, reason::Reason},
};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogProblem {
    /// The filter cannot be understood.
    #[error("log.filter: expected levels like \"info\" or \"herald=debug,warn\", found \"{filter}\"")]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// It was set up before, in this process.
    #[error("logging is already set up")]
    Again(#[source] TryInitError),
}

/// Sends this process's logs to stderr, from now on. Once a process.
pub fn init_logs(config: &LogConfig) -> Result<(), LogProblem> {
    let colour = if io::stderr().is_terminal() { Colour::Ansi } else { Colour::None };
    subscriber(config, colour, io::stderr)?.try_init().map_err(LogProblem::Again)
}

enum Colour {
    Ansi,
    None,
}

type Logs = Box<dyn Subscriber + Send + Sync>;

fn subscriber<W>(config: &LogConfig, colour: Colour, writer: W) -> Result<Logs, LogProblem>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| LogProblem::Filter { filter: config.filter.clone(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match config.format {
        LogFormat::Pretty => Box::new(lines.compact().with_ansi(matches!(colour, Colour::Ansi)).finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_current_span(false).finish()),
    })
}

/// What became of something that came in from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was recorded.
    Recorded,
    /// It had been recorded before.
    Repeated,
    /// It is genuine, and of no use.
    Ignored,
    /// There is nothing at the address that it came to.
    UnknownToken,
    /// Its method is none that is taken there.
    WrongMethod,
    /// It is larger than what is read.
    TooLarge,
    /// Its signature or its time is wrong.
    NotGenuine,
    /// It could not be understood.
    Unreadable,
    /// herald itself could not take it: a secret or the database was missing. Nothing was recorded.
    NotTaken,
    /// It is genuine, and about a message that the organization does not have.
    UnknownMessage,
    /// It is genuine, and came to a number that is no channel of the account.
    UnknownChannel,
}

impl Received {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Repeated => "repeated",
            Self::Ignored => "ignored",
            Self::UnknownToken => "unknown_token",
            Self::WrongMethod => "wrong_method",
            Self::TooLarge => "too_large",
            Self::NotGenuine => "not_genuine",
            Self::Unreadable => "unreadable",
            Self::NotTaken => "not_taken",
            Self::UnknownMessage => "unknown_message",
            Self::UnknownChannel => "unknown_channel",
        }
    }
}

/// Labels with their values, all of them from closed lists.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The counts, levels and times of this process. Make one, share it by `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests_claimed: Family<Labels<1>, Counter>,
    messages: Family<Labels<3>, Counter>,
    provider_calls: Family<Labels<1>, Histogram>,
    retries: Family<Labels<2>, Counter>,
    in_doubt: Family<Labels<2>, Counter>,
    callbacks: Family<Labels<2>, Counter>,
    webhooks: Family<Labels<1>, Counter>,
    deliveries: Family<Labels<1>, Counter>,
    deliveries_in_flight: Gauge,
    endpoints_behind: Gauge,
    lane_waiting: Family<Labels<1>, Gauge>,
    lane_age: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    quota_used: Gauge,
    quota_fullest: Gauge<f64, AtomicU64>,
    commit_messages: Histogram,
    commit_seconds: Histogram,
    http_requests: Family<[(&'static str, Cow<'static, str>); 2], Counter>,
}

/// The content type of [`Metrics::render`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From 1 ms to 33 s, doubling: a local answer and the answer timeout both lie inside.
fn provider_times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// With everything at zero.
    pub fn new() -> Self {
        let mut r = Registry::with_prefix("herald");
        let times = Family::new_with_constructor(provider_times as fn() -> Histogram);
        let (groups, waits) = (exponential_buckets(1.0, 4.0, 8), exponential_buckets(0.0005, 2.0, 14));
        Self {
            requests_claimed: add(&mut r, "requests_claimed", "Requests that a worker took up", Family::default()),
            messages: add(&mut r, "messages", "Messages that came to a status", Family::default()),
            provider_calls: add(&mut r, "provider_call_seconds", "Time until a provider answered", times),
            retries: add(&mut r, "retries", "Messages put off to be tried again", Family::default()),
            in_doubt: add(&mut r, "in_doubt", "Messages perhaps sent, perhaps not", Family::default()),
            callbacks: add(&mut r, "callbacks", "Receipts and replies from providers", Family::default()),
            webhooks: add(&mut r, "webhooks", "System events from signed webhooks", Family::default()),
            deliveries: add(&mut r, "deliveries", "Webhooks to organizations' endpoints", Family::default()),
            deliveries_in_flight: add(&mut r, "deliveries_in_flight", "Webhooks being posted", Gauge::default()),
            endpoints_behind: add(&mut r, "endpoints_behind", "Endpoints with more due than room", Gauge::default()),
            lane_waiting: add(
                &mut r,
                "lane_waiting_organizations",
                "Organizations with requests due",
                Family::default(),
            ),
            lane_age: add(&mut r, "lane_oldest_seconds", "How long the oldest has been due", Family::default()),
            quota_used: add(&mut r, "quota_used_requests", "Booked in 60 minutes, all organizations", Gauge::default()),
            quota_fullest: add(&mut r, "quota_fullest_ratio", "Used by the fullest organization", Gauge::default()),
            commit_messages: add(&mut r, "commit_messages", "Messages in a group commit", Histogram::new(groups)),
            commit_seconds: add(&mut r, "commit_seconds", "Time that a group commit took", Histogram::new(waits)),
            http_requests: add(&mut r, "http_requests", "HTTP requests that herald answered", Family::default()),
            registry: r,
        }
    }

    /// Requests were taken up by a worker.
    pub fn claimed(&self, priority: &'static str, requests: u64) {
        self.requests_claimed.get_or_create(&[("priority", priority)]).inc_by(requests);
    }

    /// A message came to a status; with the reason, if there is one.
    pub fn message(&self, status: Status, reason: Option<Reason>, provider: &'static str) {
        let reason = reason.map_or("none", Reason::code);
        let labels = [("status", status.as_str()), ("reason", reason), ("provider", provider)];
        self.messages.get_or_create(&labels).inc();
    }

    /// A provider answered, or the wait for it ended.
    pub fn provider_call(&self, provider: &'static str, took: Duration) {
        self.provider_calls.get_or_create(&[("provider", provider)]).observe(took.as_secs_f64());
    }

    /// A message was put off, to be tried again.
    pub fn retry(&self, provider: &'static str, reason: Reason) {
        self.retries.get_or_create(&[("provider", provider), ("reason", reason.code())]).inc();
    }

    /// A message may or may not have been sent.
    pub fn in_doubt(&self, provider: &'static str, reason: Reason) {
        self.in_doubt.get_or_create(&[("provider", provider), ("reason", reason.code())]).inc();
    }

    /// A provider called back, or somebody who is not known to be one: then `provider` is `unknown`.
    pub fn callback(&self, provider: &'static str, result: Received) {
        self.callbacks.get_or_create(&[("provider", provider), ("result", result.as_str())]).inc();
    }

    /// A system event came in by a signed webhook.
    pub fn webhook(&self, result: Received) {
        self.webhooks.get_or_create(&[("result", result.as_str())]).inc();
    }

    /// A webhook to an organization's endpoint came to this.
    pub fn posted(&self, result: &'static str) {
        self.deliveries.get_or_create(&[("result", result)]).inc();
    }

    /// How many webhooks are being posted, and for how many endpoints more is due than there is room for.
    pub fn posting(&self, in_flight: usize, endpoints_behind: usize) {
        self.deliveries_in_flight.set(level(in_flight as u64));
        self.endpoints_behind.set(level(endpoints_behind as u64));
    }

    /// How many organizations have requests of a priority due now, and how long the oldest has been.
    pub fn lane(&self, priority: &'static str, waiting: u64, oldest: Duration) {
        self.lane_waiting.get_or_create(&[("priority", priority)]).set(level(waiting));
        self.lane_age.get_or_create(&[("priority", priority)]).set(oldest.as_secs_f64());
    }

    /// How many requests the organizations that claimed within the hour have booked, and the share (0 to 1) that the fullest
    /// one has used.
    pub fn quota(&self, used: u64, fullest: f64) {
        self.quota_used.set(level(used));
        self.quota_fullest.set(fullest);
    }

    /// A group of messages was committed together.
    pub fn committed(&self, messages: usize, took: Duration) {
        self.commit_messages.observe(u32::try_from(messages).unwrap_or(u32::MAX).into());
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// herald answered an HTTP request. `route` is the pattern that matched (`/v1/runs/{id}`), never the path itself.
    pub fn http(&self, route: &str, status: u16) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        let labels = [("route", Cow::Owned(route.to_owned())), ("class", Cow::Borrowed(class))];
        self.http_requests.get_or_create(&labels).inc();
    }

    /// Everything, as OpenMetrics text ([`METRICS_CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            // Writing to a String does not fail; if a metric does, what was written is still of use.
            tracing::error!(%error, "metrics could not be rendered completely");
        }
        text
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn level(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An error with what caused it, in one line: for the place that logs it and goes on.
pub fn chain(problem: &dyn std::error::Error) -> String {
    let mut text = problem.to_string();
    let mut cause = problem.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn logged(format: LogFormat, filter: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = LogConfig { format, filter: filter.to_owned() };
        let logs = subscriber(&config, Colour::None, Arc::new(file.reopen().unwrap())).unwrap();
        tracing::subscriber::with_default(logs, || {
            tracing::info!(run.id = "run_1", wait_ms = 5, "the run has started");
            tracing::debug!("a detail");
        });
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn logs_are_for_people_or_for_programs() {
        let pretty = logged(LogFormat::Pretty, "info");
        assert!(pretty.contains("INFO") && pretty.contains("the run has started run.id=\"run_1\""), "{pretty}");
        assert!(!pretty.contains("a detail") && !pretty.contains('\u{1b}'), "{pretty}");
        let json: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json, "info")).unwrap();
        assert_eq!((&json["message"], &json["run.id"]), (&"the run has started".into(), &"run_1".into()));
        assert!(logged(LogFormat::Pretty, "herald=debug").contains("a detail"));
        assert_eq!(logged(LogFormat::Pretty, "herald=warn,info"), "");
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let config = LogConfig { format: LogFormat::Json, filter: "herald=loud".to_owned() };
        let problem = subscriber(&config, Colour::Ansi, io::sink).err().unwrap();
        assert!(problem.to_string().contains("found \"herald=loud\""), "{problem}");
    }

    #[test]
    fn metrics_are_rendered_as_open_metrics() {
        let metrics = Metrics::new();
        metrics.claimed("bulk", 3);
        metrics.message(Status::Sent, None, "twilio");
        metrics.message(Status::Failed, Some(Reason::InvalidNumber), "twilio");
        metrics.provider_call("twilio", Duration::from_millis(3));
        metrics.retry("twilio", Reason::Throttled);
        metrics.in_doubt("twilio", Reason::NoAnswer);
        metrics.callback("twilio", Received::NotGenuine);
        metrics.webhook(Received::Recorded);
        metrics.posted("retried");
        metrics.posting(3, 1);
        metrics.lane("bulk", 7, Duration::from_millis(1500));
        metrics.quota(12, 0.5);
        metrics.committed(100, Duration::from_millis(2));
        metrics.http("/v1/runs/{id}", 404);
        let text = metrics.render();
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            r#"herald_requests_claimed_total{priority="bulk"} 3"#,
            r#"herald_messages_total{status="sent",reason="none",provider="twilio"} 1"#,
            r#"herald_messages_total{status="failed",reason="invalid_number",provider="twilio"} 1"#,
            r#"herald_provider_call_seconds_bucket{le="0.002",provider="twilio"} 0"#,
            r#"herald_provider_call_seconds_bucket{le="0.004",provider="twilio"} 1"#,
            r#"herald_retries_total{provider="twilio",reason="throttled"} 1"#,
            r#"herald_in_doubt_total{provider="twilio",reason="no_answer"} 1"#,
            r#"herald_callbacks_total{provider="twilio",result="not_genuine"} 1"#,
            r#"herald_webhooks_total{result="recorded"} 1"#,
            r#"herald_deliveries_total{result="retried"} 1"#,
            "herald_deliveries_in_flight 3",
            "herald_endpoints_behind 1",
            r#"herald_lane_waiting_organizations{priority="bulk"} 7"#,
            r#"herald_lane_oldest_seconds{priority="bulk"} 1.5"#,
            "herald_quota_used_requests 12",
            "herald_quota_fullest_ratio 0.5",
            "herald_commit_messages_sum 100.0",
            "herald_commit_seconds_count 1",
            r#"herald_http_requests_total{route="/v1/runs/{id}",class="4xx"} 1"#,
        ] {
            assert!(lines.contains(&line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("# TYPE herald_messages counter"));
    }
}
