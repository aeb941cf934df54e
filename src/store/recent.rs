//! What the people of a request have had lately: what caps on marketing and the guard against loops go by.
//!
//! Everything goes by the index of a person's messages in the order of their acceptance: from the request's own messages to
//! those within the time that is asked about, and not to what is older.

use serde_json::{Value, json};

use crate::domain::{
    contact::ChannelType,
    frequency::{LATE, LOOP, LOOP_CROWD, LOOP_SPAN},
    id::MessageId,
    phone::E164,
    rate::Rate,
    run::Pinned,
    time::Timestamp,
};

use super::{Store, StoreError, db::args, requests::Claimed};

/// A message to a person of the request.
#[derive(Clone, Debug)]
pub struct Recent {
    /// To whom.
    pub to: E164,
    /// Which it is.
    pub id: MessageId,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// What its run keeps.
    pub pinned: Pinned,
    /// Its locale as asked for; empty if none was.
    pub locale: String,
    /// The values of its slugs, as JSON.
    pub slugs: String,
}

/// What counts for a message is what was handed over within the time, or may have been; and what still waits and was accepted
/// before it. So of two that are judged at one moment, the later one counts the earlier one.
const MARKETING: &str = "SELECT me.seq, COUNT(*) FROM ROWS($1) CROSS JOIN messages me CROSS JOIN messages m CROSS JOIN runs
    LEFT JOIN message_states s ON s.org_id = $2 AND s.run_id = m.run_id AND s.seq = m.seq
  WHERE me.org_id = $2 AND me.run_id = $3 AND me.seq = CAST(r.value ->> 0 AS BIGINT)
    AND m.org_id = $2 AND m.recipient = me.recipient AND m.accepted_at > $4 AND NOT (m.run_id = me.run_id AND m.seq = me.seq)
    AND runs.org_id = $2 AND runs.run_id = m.run_id AND runs.marketing = 1 AND runs.channel_type = $5
    AND (s.sent_at > $6 OR (s.status = 'uncertain' AND s.changed_at > $6) OR (
      COALESCE(s.status, 'queued') IN ('queued', 'sending') AND m.repeat = 0 AND m.opted_in = 1
      AND runs.status NOT IN ('failed', 'cancelled') AND (m.accepted_at, m.run_id, m.seq) < (me.accepted_at, me.run_id, me.seq)))
  GROUP BY me.seq";

/// One step along the index for each of the people, nearly always: nobody has so many messages in an hour.
const CROWDED: &str = "SELECT me.seq, me.recipient FROM messages me
  WHERE me.org_id = $1 AND me.run_id = $2 AND me.seq >= $3 AND me.seq < $4 AND EXISTS (
    SELECT 1 FROM messages m WHERE m.org_id = $1 AND m.recipient = me.recipient AND m.accepted_at > me.accepted_at - $5
    AND (m.accepted_at, m.run_id, m.seq) < (me.accepted_at, me.run_id, me.seq) LIMIT 1 OFFSET $6)";

/// The newest so many, whatever the time that they go back to.
const CROWD: &str = "SELECT m.recipient, m.run_id, m.seq, m.accepted_at, runs.pinned, m.locale, m.slugs
  FROM ROWS($1) CROSS JOIN messages me CROSS JOIN messages m CROSS JOIN runs
  WHERE me.org_id = $2 AND me.run_id = $3 AND me.seq = CAST(r.value ->> 0 AS BIGINT)
    AND m.org_id = $2 AND m.recipient = me.recipient
    AND m.accepted_at >= COALESCE((SELECT x.accepted_at FROM messages x WHERE x.org_id = $2 AND x.recipient = me.recipient
      AND x.accepted_at <= me.accepted_at ORDER BY x.accepted_at DESC LIMIT 1 OFFSET $4), 0)
    AND (m.accepted_at, m.run_id, m.seq) <= (me.accepted_at, me.run_id, me.seq) AND m.repeat = 0 AND m.opted_in = 1
    AND runs.org_id = $2 AND runs.run_id = m.run_id AND runs.channel_type = $5 AND runs.status <> 'failed'";

impl Store {
    /// How many marketing messages count against each of these messages of a request under a cap, by place; those against which
    /// none counts are left out.
    pub async fn marketing_before(
        &self,
        request: &Claimed,
        seqs: &[i64],
        (channel_type, cap): (ChannelType, Rate),
        now: Timestamp,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let since = now.minus(cap.per);
        let args = args![
            rows(seqs),
            request.org.as_str(),
            request.id.run.to_string(),
            since.minus(LATE).millis(),
            channel_type.as_str(),
            since.millis()
        ];
        let rows = self.rows(MARKETING, args).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.int(1)?.unsigned_abs()))).collect()
    }

    /// What was accepted lately for those people of a request who have been sent so much within the hour that it might be a loop:
    /// for each of them the newest [`LOOP_CROWD`] messages of the channel type, up to the request's own. Nothing, nearly always.
    pub async fn crowds(&self, request: &Claimed, channel_type: ChannelType) -> Result<Vec<Recent>, StoreError> {
        let (org, run) = (request.org.as_str(), request.id.run.to_string());
        let span = i64::try_from(LOOP_SPAN.as_millis()).unwrap_or(i64::MAX);
        let end = request.first_seq + request.size;
        let args = args![org, run.as_str(), request.first_seq, end, span, places(LOOP)];
        let crowded = self.rows(CROWDED, args).await?;
        // What is found for a person's last message holds what is found for those before it.
        let mut last = std::collections::BTreeMap::<i64, i64>::new();
        for row in &crowded {
            let seq = row.int(0)?;
            last.entry(row.int(1)?).and_modify(|known| *known = seq.max(*known)).or_insert(seq);
        }
        if last.is_empty() {
            return Ok(vec![]);
        }
        let seqs: Vec<i64> = last.into_values().collect();
        let args = args![rows(&seqs), org, run, places(LOOP_CROWD), channel_type.as_str()];
        let rows = self.rows(CROWD, args).await?;
        let read = rows.iter().map(|row| {
            Ok(Recent {
                to: E164::from_digits(row.int(0)?.unsigned_abs()),
                id: MessageId { run: row.parsed(1)?, seq: row.int(2)? },
                accepted_at: Timestamp::from_millis(row.int(3)?),
                pinned: row.json(4)?,
                locale: row.text(5)?.to_owned(),
                slugs: row.text(6)?.to_owned(),
            })
        });
        read.collect()
    }
}

/// How many rows lie before the last of so many.
fn places(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX) - 1
}

fn rows(seqs: &[i64]) -> String {
    Value::from(seqs.iter().map(|seq| json!([seq])).collect::<Vec<_>>()).to_string()
}
