//! `GET /v1/stream`: what happens, as server-sent events, while somebody listens.
//!
//! Events are those of the webhooks, written in the transaction that makes them true and read here by the listener; besides,
//! runs that are not over tell how far they are once a second. A listener that is slow keeps nobody waiting: it is cleared away
//! when its lease ends.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Shared,
    auth::Reader,
    problem::Problem,
    query::{self, Query},
    views::{self, Audit},
};
use crate::{
    domain::{
        id::{OrgId, RunId, StreamId},
        time::Timestamp,
        webhook::EventType,
    },
    store::{StoreError, streams},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Between two tellings of how far runs are.
const PROGRESS: Duration = Duration::from_secs(1);
/// Events that are read in one go.
const BATCH: i64 = 500;
/// The newest runs, which are looked at for their progress.
const RUNS: i64 = 20;
/// The patterns that one listener may ask for.
const PATTERNS: usize = 20;
/// The type of the events that tell how far a run is.
const RUN_PROGRESS: &str = "run.progress";

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(listen))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListenQuery {
    /// Types of events, like `message.failed`, or families like `message.*`, with commas between them; all if left out.
    events: Option<String>,
    /// Only what concerns this run.
    #[param(value_type = Option<RunId>)]
    run: Option<String>,
}

/// Listens to what happens
///
/// Server-sent events, from now on, each once: `event` is the type and `data` is what a webhook of that type has as its body
/// (`type`, `timestamp`, `data`). `run.progress` tells once a second how far each of the newest runs is that has moved; its
/// `data.run` is that of `GET /v1/runs/{id}`. What happened while nobody listened is not repeated: look it up.
#[utoipa::path(get, path = "/v1/stream", tag = "stream", params(ListenQuery), security(("key" = ["read"])),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn listen(
    State(api): Shared,
    reader: Reader,
    Query(asked): Query<ListenQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let patterns = patterns(asked.events.as_deref())?;
    let run = query::parsed::<RunId>("run", asked.run)?;
    let id = StreamId::new(api.clock.now(), rand::random());
    if !api.store.open_stream(&reader.org, id, &patterns, api.clock.now()).await? {
        let detail = format!("{} listen already, and one organization may have no more", streams::MOST);
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail).retry_after(60));
    }
    let progress = patterns.iter().any(|pattern| matches!(pattern.as_str(), "*" | "run.*" | RUN_PROGRESS));
    let listener = Listener {
        began_at: api.clock.now(),
        renewed_at: api.clock.now(),
        told_at: None,
        progress,
        api,
        org: reader.org,
        id,
        run,
        waiting: Vec::new(),
        runs: BTreeMap::new(),
    };
    Ok(Sse::new(stream::unfold(listener, next)).keep_alive(KeepAlive::default()))
}

fn patterns(asked: Option<&str>) -> Result<Vec<String>, Problem> {
    let patterns: Vec<String> = asked.unwrap_or("*").split(',').map(|pattern| pattern.trim().to_owned()).collect();
    let known = |pattern: &String| {
        pattern == RUN_PROGRESS || EventType::ALL.into_iter().any(|event| event.is_asked_for_by(pattern))
    };
    if let Some(unknown) = patterns.iter().find(|pattern| !known(pattern)) {
        let types = EventType::ALL.map(EventType::as_str).join(", ");
        let detail = format!(
            "events: \"{unknown}\" is no type of event; expected *, a family like message.*, {RUN_PROGRESS}, {types}"
        );
        return Err(Problem::bad_request("invalid_query", detail));
    }
    if patterns.len() > PATTERNS {
        return Err(Problem::bad_request("invalid_query", format!("events: more than {PATTERNS} were asked for")));
    }
    Ok(patterns)
}

/// Somebody who listens.
struct Listener {
    api: Arc<Api>,
    org: OrgId,
    id: StreamId,
    run: Option<RunId>,
    /// Whether it wants to hear how far runs are.
    progress: bool,
    /// Events to be handed out, the last one first.
    waiting: Vec<Event>,
    began_at: Timestamp,
    renewed_at: Timestamp,
    /// When it was last told how far runs are, and how far they were.
    told_at: Option<Timestamp>,
    runs: BTreeMap<RunId, Value>,
}

/// The next event; none when the process is to end, the database is in trouble, or the listener was taken for gone.
async fn next(mut listener: Listener) -> Option<(Result<Event, Infallible>, Listener)> {
    let mut stopped = listener.api.stopped.clone();
    loop {
        if let Some(event) = listener.waiting.pop() {
            return Some((Ok(event), listener));
        }
        match listener.look().await {
            Ok(Heard::Something) => continue,
            Ok(Heard::Nothing) => {}
            Ok(Heard::Gone) => return None,
            Err(problem) => {
                tracing::error!(org = %listener.org, problem = %crate::telemetry::chain(&problem), "a listener is let go");
                return None;
            }
        }
        let pause = listener.api.clock.sleep(LOOK);
        tokio::select! {
            () = pause => {}
            () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => {
                let closed = listener.api.store.close_stream(&listener.org, listener.id).await;
                drop(closed); // if not now, then when its lease ends
                return None;
            }
        }
    }
}

/// What a look has brought.
enum Heard {
    Something,
    Nothing,
    Gone,
}

impl Listener {
    async fn look(&mut self) -> Result<Heard, StoreError> {
        let now = self.api.clock.now();
        if now.since(self.renewed_at) >= streams::LEASE / 3 {
            if !self.api.store.renew_stream(&self.org, self.id, now).await? {
                return Ok(Heard::Gone);
            }
            self.renewed_at = now;
        }
        let mut events = Vec::new();
        for told in self.api.store.read_stream(&self.org, self.id, BATCH).await? {
            if self.run.is_none_or(|run| concerns(&told.body, run)) {
                events.push(Event::default().event(told.event_type).data(told.body));
            }
        }
        if self.progress && self.told_at.is_none_or(|last| now.since(last) >= PROGRESS) {
            self.told_at = Some(now);
            self.progress(now, &mut events).await?;
        }
        events.reverse();
        self.waiting = events;
        Ok(if self.waiting.is_empty() { Heard::Nothing } else { Heard::Something })
    }

    /// Tells of the runs that have moved since the last time; of those that are over once, if they were not before it began.
    async fn progress(&mut self, now: Timestamp, events: &mut Vec<Event>) -> Result<(), StoreError> {
        let runs = match self.run {
            Some(run) => self.api.store.run(&self.org, run).await?.into_iter().collect(),
            None => self.api.store.runs(&self.org, None, RUNS).await?,
        };
        for run in &runs {
            let over_before = run.finished_at.is_some_and(|at| at < self.began_at);
            if over_before && !self.runs.contains_key(&run.id) {
                continue;
            }
            let sums = self.api.store.sums(&self.org, run.id).await?;
            let shown = json!(views::run(run, &sums, &Audit::Running, now));
            let stands = json!([run.status, shown["buckets"], run.open_requests]);
            if self.runs.insert(run.id, stands.clone()) == Some(stands) {
                continue;
            }
            let body = json!({ "type": RUN_PROGRESS, "timestamp": now, "data": { "run": shown } });
            events.push(Event::default().event(RUN_PROGRESS).data(body.to_string()));
        }
        self.runs.retain(|id, _| runs.iter().any(|run| run.id == *id));
        Ok(())
    }
}

/// Whether an event is of a run.
fn concerns(body: &str, run: RunId) -> bool {
    let run = run.to_string();
    let Ok(body) = serde_json::from_str::<Value>(body) else { return false };
    body["data"]["run"] == run || body["data"]["id"] == run
}
