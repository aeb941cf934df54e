//! What the texts of runs amount to, and what is under way: what a plan is made of.

use serde_json::json;

use crate::domain::{
    contact::ChannelType,
    fairness::Priority,
    figures::{Amount, Figures, TextKind},
    id::{OrgId, RunId},
    run::Pinned,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, args},
};

/// A run that is under way, as far as others have to wait for it.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// Its id.
    pub id: RunId,
    /// Its lane.
    pub priority: Priority,
    /// What it keeps.
    pub pinned: Pinned,
    /// Requests that its rows were cut into.
    pub requests: i64,
    /// Requests not yet done.
    pub open_requests: i64,
    /// Requests counted against the quota.
    pub dispatched: i64,
    /// When its requests could first be claimed.
    pub started_at: Option<Timestamp>,
}

impl Store {
    /// Adds to what a run's texts amount to.
    pub async fn add_run_texts(&self, org: &OrgId, run: RunId, figures: &Figures) -> Result<(), StoreError> {
        if figures.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = figures
            .iter()
            .map(|(kind, amount)| {
                let country = kind.country.map(|country| country.to_string()).unwrap_or_default();
                json!([kind.locale, kind.alphabet.as_str(), country, amount.messages, amount.segments])
            })
            .collect();
        let sql = "INSERT INTO run_texts (org_id, run_id, locale, encoding, country, messages, segments)
                   SELECT $2, $3, r.value ->> 0, r.value ->> 1, r.value ->> 2, CAST(r.value ->> 3 AS BIGINT), CAST(r.value ->> 4 AS BIGINT)
                   FROM ROWS($1) WHERE 1 = 1
                   ON CONFLICT (org_id, run_id, locale, encoding, country)
                   DO UPDATE SET messages = run_texts.messages + excluded.messages, segments = run_texts.segments + excluded.segments";
        self.execute(sql, args![json!(rows).to_string(), org.as_str(), run.to_string()]).await?;
        Ok(())
    }

    /// What a run's texts amount to; nothing if nobody has counted.
    pub async fn run_texts(&self, org: &OrgId, run: RunId) -> Result<Figures, StoreError> {
        let sql =
            "SELECT locale, encoding, country, messages, segments FROM run_texts WHERE org_id = $1 AND run_id = $2
                   ORDER BY locale, encoding, country";
        let mut figures = Figures::default();
        for row in self.rows(sql, args![org.as_str(), run.to_string()]).await? {
            let (kind, amount) = read_text(&row)?;
            figures.add(kind, amount);
        }
        Ok(figures)
    }

    /// The runs that are under way and have requests left, of each priority the longest under way first; at most `limit`.
    pub async fn runs_under_way(&self, org: &OrgId, limit: i64) -> Result<Vec<UnderWay>, StoreError> {
        // automatic, bulk, instant: the names do not sort as they are served; whoever asks puts them in order.
        let sql = "SELECT run_id, priority, pinned, requests, open_requests, dispatched, started_at FROM runs
                   WHERE org_id = $1 AND status = 'running' AND open_requests > 0 ORDER BY priority, started_at, run_id LIMIT $2";
        let rows = self.rows(sql, args![org.as_str(), limit]).await?;
        rows.iter().map(read_under_way).collect()
    }

    /// Whether anybody at all has opted out of a channel type.
    pub async fn has_opt_outs(&self, org: &OrgId, channel_type: ChannelType) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM consents WHERE org_id = $1 AND state = 'out' AND channel_type = $2 LIMIT 1";
        Ok(self.row(sql, args![org.as_str(), channel_type.as_str()]).await?.is_some())
    }
}

fn read_under_way(row: &Row) -> Result<UnderWay, StoreError> {
    Ok(UnderWay {
        id: row.parsed(0)?,
        priority: row.parsed(1)?,
        pinned: row.json(2)?,
        requests: row.int(3)?,
        open_requests: row.int(4)?,
        dispatched: row.int(5)?,
        started_at: row.maybe_int(6)?.map(Timestamp::from_millis),
    })
}

fn read_text(row: &Row) -> Result<(TextKind, Amount), StoreError> {
    let unsigned = |column| Ok::<_, StoreError>(u64::try_from(row.int(column)?).unwrap_or(0));
    let kind =
        TextKind { locale: row.text(0)?.to_owned(), alphabet: row.parsed(1)?, country: row.text(2)?.parse().ok() };
    Ok((kind, Amount { messages: unsigned(3)?, segments: unsigned(4)? }))
}
