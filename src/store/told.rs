//! What endpoints are told: of messages, replies, consents and runs. Each is handed in where it has just become true, and made
//! an event only if somebody asks for it.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::Serialize;
use serde_json::json;

use crate::domain::{
    id::{MessageId, OrgId, RunId},
    message::Status,
    phone::E164,
    run::{Pinned, RunStatus, Sums},
    state::MessageState,
    time::Timestamp,
    webhook::EventType,
};

use super::{
    StoreError,
    consents::ConsentChange,
    db::{Tx, args, json_rows},
    outbox::{Event, add, wanted, wants},
    replies::News,
    runs::read_tally,
};

/// Messages that are told of in one go.
const MESSAGES: usize = 1_000;

/// Keeps that messages have come to these statuses.
pub(super) async fn add_messages(
    tx: &mut Tx<'_>,
    org: &OrgId,
    states: impl Iterator<Item = (MessageId, &MessageState)>,
) -> Result<(), StoreError> {
    let wanted = wanted(tx, org).await?;
    if wanted.is_empty() {
        return Ok(());
    }
    let told: Vec<(EventType, MessageId, &MessageState)> = states
        .filter_map(|(id, state)| Some((EventType::of(state.status)?, id, state)))
        .filter(|(kind, ..)| wanted.contains_key(kind))
        .collect();
    for told in told.chunks(MESSAGES) {
        let ids: BTreeSet<MessageId> = told.iter().map(|(_, id, _)| *id).collect();
        let facts = message_facts(tx, org, &ids).await?;
        let events: Vec<Event> = told
            .iter()
            .filter_map(|(kind, id, state)| {
                let (to, run) = facts.messages.get(id).zip(facts.runs.get(&id.run))?;
                Some(Event::new(*kind, state.changed_at, &MessageData::new(*id, *to, run, state)))
            })
            .collect();
        add(tx, org, &events).await?;
    }
    Ok(())
}

/// What is told of messages beside their states.
#[derive(Default)]
struct Facts {
    messages: BTreeMap<MessageId, E164>,
    runs: BTreeMap<RunId, RunFacts>,
}

struct RunFacts {
    configuration: String,
    channel: String,
}

async fn message_facts(tx: &mut Tx<'_>, org: &OrgId, ids: &BTreeSet<MessageId>) -> Result<Facts, StoreError> {
    let keys = json_rows(ids.iter().map(|id| (id.run, id.seq)));
    let sql = "SELECT messages.run_id, messages.seq, messages.recipient, runs.name, runs.pinned FROM ROWS($1) CROSS JOIN messages CROSS JOIN runs
        WHERE messages.org_id = $2 AND messages.run_id = r.value ->> 0 AND messages.seq = CAST(r.value ->> 1 AS BIGINT)
          AND runs.org_id = $2 AND runs.run_id = messages.run_id";
    let mut facts = Facts::default();
    for row in &tx.rows(sql, args![keys, org.as_str()]).await? {
        let id = MessageId { run: row.parsed(0)?, seq: row.int(1)? };
        facts.messages.insert(id, E164::from_digits(u64::try_from(row.int(2)?).unwrap_or(0)));
        if let Entry::Vacant(run) = facts.runs.entry(id.run) {
            run.insert(RunFacts { configuration: row.text(3)?.to_owned(), channel: row.json::<Pinned>(4)?.channel });
        }
    }
    Ok(facts)
}

/// What is told of a message. The names are those of `GET /v1/messages`.
#[derive(Serialize)]
struct MessageData<'a> {
    id: MessageId,
    run: RunId,
    configuration: &'a str,
    channel: &'a str,
    to: E164,
    status: Status,
    code: Option<&'static str>,
    reason: Option<String>,
    provider_code: Option<&'a str>,
    provider_id: Option<&'a str>,
    locale: Option<&'a str>,
    segments: i64,
    sent_at: Option<Timestamp>,
    at: Timestamp,
}

impl<'a> MessageData<'a> {
    fn new(id: MessageId, to: E164, run: &'a RunFacts, state: &'a MessageState) -> Self {
        let why = state.why.as_ref();
        Self {
            id,
            run: id.run,
            configuration: &run.configuration,
            channel: filled(&state.via).unwrap_or(&run.channel),
            to,
            status: state.status,
            code: why.map(|why| why.reason.code()),
            reason: why.map(ToString::to_string),
            provider_code: why.and_then(|why| filled(&why.provider_code)),
            provider_id: filled(&state.provider_id),
            locale: filled(&state.locale),
            segments: state.segments,
            sent_at: state.sent_at,
            at: state.changed_at,
        }
    }
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Keeps that people have written; each reply that was news. The names are those of `GET /v1/conversations/{id}`.
pub(super) async fn add_replies(tx: &mut Tx<'_>, org: &OrgId, news: &[News<'_>]) -> Result<(), StoreError> {
    if news.is_empty() || !wants(tx, org, EventType::ReplyReceived).await? {
        return Ok(());
    }
    let event = |News { reply, conversation, place }: &News<'_>| {
        let data = json!({
            "id": reply.id, "conversation": conversation, "place": place, "channel": reply.channel, "from": reply.from,
            "text": reply.text, "media": reply.media, "media_refused": reply.media_refused, "keyword": filled(reply.keyword),
            "answers": reply.answers, "provider_id": reply.provider_id, "at": reply.received_at,
        });
        Event::new(EventType::ReplyReceived, reply.received_at, &data)
    };
    add(tx, org, &news.iter().map(event).collect::<Vec<_>>()).await
}

/// Keeps that people's consents have changed; each word that changed something. The names are those of
/// `GET /v1/consents/{number}`.
pub(super) async fn add_consents(tx: &mut Tx<'_>, org: &OrgId, changed: &[&ConsentChange]) -> Result<(), StoreError> {
    if changed.is_empty() || !wants(tx, org, EventType::ConsentChanged).await? {
        return Ok(());
    }
    let event = |change: &&ConsentChange| {
        let data = json!({
            "id": change.id, "number": change.of, "channel": change.channel_type, "state": change.consent.name(),
            "source": change.source, "actor": change.actor, "at": change.at,
        });
        Event::new(EventType::ConsentChanged, change.at, &data)
    };
    add(tx, org, &changed.iter().map(event).collect::<Vec<_>>()).await
}

/// Keeps that a run is over.
pub(super) async fn add_run(tx: &mut Tx<'_>, org: &OrgId, run: RunId, now: Timestamp) -> Result<(), StoreError> {
    if !wants(tx, org, EventType::RunCompleted).await? {
        return Ok(());
    }
    let sql = "SELECT name, configuration, status, source, messages, rejected, created_at FROM runs WHERE org_id = $1 AND run_id = $2";
    let Some(row) = tx.row(sql, args![org.as_str(), run.to_string()]).await? else { return Ok(()) };
    let sql = "SELECT status, code, locale, messages, segments FROM tallies WHERE org_id = $1 AND run_id = $2";
    let tallies = tx.rows(sql, args![org.as_str(), run.to_string()]).await?;
    let sums = Sums {
        tallies: tallies.iter().map(read_tally).collect::<Result<_, _>>()?,
        messages: row.int(4)?,
        rejected: row.int(5)?,
    };
    let buckets: BTreeMap<&str, i64> = sums.buckets().into_iter().collect();
    let data = json!({
        "id": run, "configuration": row.text(0)?, "configuration_id": row.text(1)?, "status": row.parsed::<RunStatus>(2)?,
        "source": row.text(3)?, "rows": sums.rows(), "buckets": buckets, "segments": sums.segments(),
        "created_at": Timestamp::from_millis(row.int(6)?), "at": now,
    });
    add(tx, org, &[Event::new(EventType::RunCompleted, now, &data)]).await
}
