//! A run: one firing of a configuration over an audience, and how its sums are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{
    canary::{Canary, Guard},
    contact::ChannelType,
    definition::OnUncertain,
    fairness::Priority,
    id::{ConfigurationId, RunId, TemplateId},
    message::Status,
    purpose::Purpose,
    reason::Reason,
    time::{Span, Timestamp},
};

/// The most contacts that a request holds (SPEC 8).
pub const REQUEST_SIZE: usize = 100;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// Its audience is being taken in; nothing is sent yet.
    Importing,
    /// Its requests may be claimed.
    Running,
    /// It is stopped until an operator resumes it: by one, by its canary, or by its limits.
    Paused,
    /// herald stopped it for now, and says why.
    Held,
    /// It was cancelled; what was in flight is still finishing.
    Cancelling,
    /// Every message has its end, and the sums hold.
    Completed,
    /// Cancelled, and everything has its end.
    Cancelled,
    /// It never began: its audience could not be taken in.
    Failed,
}

impl RunStatus {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Importing,
        Self::Running,
        Self::Paused,
        Self::Held,
        Self::Cancelling,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Importing => "importing",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more will be sent.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }
}

/// A text that names no status of a run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not the status of a run")]
pub struct NotARunStatus(String);

impl FromStr for RunStatus {
    type Err = NotARunStatus;

    fn from_str(text: &str) -> Result<Self, NotARunStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| NotARunStatus(text.to_owned()))
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for RunStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a run keeps as it was when it began, whatever is changed later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The channel's name.
    pub channel: String,
    /// The template; `None` where each message brings its own text (answers in conversations).
    pub template: Option<TemplateId>,
    /// Its version.
    pub version: i64,
    /// How long its messages are worth sending.
    pub valid_for: Span,
    /// What to do where nobody can tell whether a message was sent.
    pub on_uncertain: OnUncertain,
    /// Whether each message leaves an activity on a timeline.
    #[serde(default)]
    pub show_in_timeline: bool,
    /// What its messages are for: caps count marketing only.
    #[serde(default = "transactional")]
    pub purpose: Purpose,
    /// The type of the channel, and of the one that stands in for it.
    #[serde(default = "sms")]
    pub channel_type: ChannelType,
    /// What keeps it from going wrong in bulk.
    #[serde(default, skip_serializing_if = "Guard::is_default")]
    pub guard: Guard,
}

fn transactional() -> Purpose {
    Purpose::Transactional
}

fn sms() -> ChannelType {
    ChannelType::Sms
}

/// A run as the store has it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The configuration that fired.
    pub configuration: ConfigurationId,
    /// The configuration's name when it fired.
    pub name: String,
    /// Its lane.
    pub priority: Priority,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it is paused, held, or failed; empty otherwise.
    pub why: String,
    /// What it keeps.
    pub pinned: Pinned,
    /// Where its audience came from.
    pub source: String,
    /// The file's own columns.
    pub columns: Vec<String>,
    /// Rows taken in.
    pub messages: i64,
    /// Rows refused at the door.
    pub rejected: i64,
    /// Rows taken in that were to leave an activity on a timeline and do not say what they are about.
    pub unlinked: i64,
    /// Requests that the rows were cut into.
    pub requests: i64,
    /// Requests not yet done.
    pub open_requests: i64,
    /// Requests counted against the quota, retries included.
    pub dispatched: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its requests could first be claimed.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// Its first slice, if it has one.
    pub canary: Option<Canary>,
    /// Replies to its messages that opted out.
    pub opted_out: i64,
}

/// One line of a run's sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The bucket.
    pub status: Status,
    /// The reason's code; empty where there is none.
    pub code: String,
    /// The locale of the text; empty where none was rendered.
    pub locale: String,
    /// How many messages.
    pub messages: i64,
    /// Their segments.
    pub segments: i64,
}

/// A run's sums: every row that came in stands in exactly one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The buckets that messages have reached.
    pub tallies: Vec<Tally>,
    /// Rows taken in.
    pub messages: i64,
    /// Rows refused at the door.
    pub rejected: i64,
}

impl Sums {
    /// Rows that came in.
    pub fn rows(&self) -> i64 {
        self.messages + self.rejected
    }

    /// Messages that have reached a status, whatever the reason.
    pub fn of(&self, status: Status) -> i64 {
        self.tallies.iter().filter(|tally| tally.status == status).map(|tally| tally.messages).sum()
    }

    /// Messages that wait for a time that is set: the end of their recipients' quiet hours.
    pub fn held(&self) -> i64 {
        let code = Reason::QuietHours.code();
        let held = self.tallies.iter().filter(|tally| tally.status == Status::Queued && tally.code == code);
        held.map(|tally| tally.messages).sum()
    }

    /// Messages that no report has yet been written about.
    pub fn untouched(&self) -> i64 {
        self.messages - self.tallies.iter().map(|tally| tally.messages).sum::<i64>()
    }

    /// Messages that herald still has to deal with.
    pub fn waiting(&self) -> i64 {
        self.untouched()
            + self.tallies.iter().filter(|tally| !tally.status.is_settled()).map(|tally| tally.messages).sum::<i64>()
    }

    /// Segments of everything that was rendered and handed over.
    pub fn segments(&self) -> i64 {
        self.tallies.iter().map(|tally| tally.segments).sum()
    }

    /// Every bucket with its count, in the order of a report; the empty ones left out.
    pub fn buckets(&self) -> Vec<(&'static str, i64)> {
        let queued = self.of(Status::Queued) + self.untouched() - self.held();
        let by_status = Status::ALL
            .iter()
            .map(|status| (status.as_str(), if *status == Status::Queued { queued } else { self.of(*status) }));
        by_status.chain([("held", self.held()), ("invalid", self.rejected)]).filter(|(_, count)| *count != 0).collect()
    }

    /// Where these running sums and a fresh count of the rows themselves disagree; nothing if every row stands in exactly one
    /// bucket. Each line names the bucket and both figures.
    pub fn disagreements(&self, counted: &Self) -> Vec<String> {
        let figures = |sums: &Self| -> BTreeMap<String, i64> {
            let buckets = sums
                .tallies
                .iter()
                .filter(|t| t.messages != 0)
                .map(|t| (format!("{} {} {}", t.status, t.code, t.locale), t.messages));
            let whole = [("rows taken in".to_owned(), sums.messages), ("rows refused".to_owned(), sums.rejected)];
            buckets.chain(whole).fold(BTreeMap::new(), |mut all, (bucket, count)| {
                *all.entry(bucket).or_default() += count;
                all
            })
        };
        let (kept, fresh) = (figures(self), figures(counted));
        let names: BTreeSet<&String> = kept.keys().chain(fresh.keys()).collect();
        let differing = names.into_iter().filter(|name| kept.get(*name) != fresh.get(*name));
        let mut found: Vec<String> = differing
            .map(|name| {
                format!(
                    "{}: {} in the running sums, {} counted",
                    name.trim(),
                    kept.get(name).unwrap_or(&0),
                    fresh.get(name).unwrap_or(&0)
                )
            })
            .collect();
        if self.untouched() < 0 {
            found.push(format!(
                "{} messages reported on, {} taken in",
                self.messages - self.untouched(),
                self.messages
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;

    fn sums(tallies: &[(Status, &str, i64)], messages: i64, rejected: i64) -> Sums {
        let tallies = tallies
            .iter()
            .map(|(status, code, n)| Tally {
                status: *status,
                code: (*code).into(),
                locale: String::new(),
                messages: *n,
                segments: *n,
            })
            .collect();
        Sums { tallies, messages, rejected }
    }

    #[test]
    fn every_row_stands_in_one_bucket() {
        let run = sums(
            &[
                (Status::Sent, "", 5),
                (Status::Failed, "invalid_number", 2),
                (Status::Queued, "throttled", 1),
                (Status::Queued, "quiet_hours", 4),
            ],
            14,
            3,
        );
        assert_eq!(run.buckets(), [("queued", 3), ("sent", 5), ("failed", 2), ("held", 4), ("invalid", 3)]);
        assert_eq!(run.buckets().iter().map(|(_, count)| count).sum::<i64>(), run.rows());
        assert_eq!((run.rows(), run.waiting(), run.untouched(), run.held()), (17, 7, 2, 4));
        assert_eq!(run.disagreements(&run.clone()), Vec::<String>::new());
    }

    /// Whatever a message's status and reason are, it stands in one bucket, and the buckets are all the rows.
    #[test]
    fn every_status_with_every_reason_stands_in_exactly_one_bucket() {
        let codes = Reason::ALL.iter().map(|reason| reason.code()).chain([""]);
        let mut all = Vec::new();
        for (status, code) in Status::ALL.iter().flat_map(|status| codes.clone().map(|code| (*status, code))) {
            let one = sums(&[(status, code, 1)], 1, 0);
            let held = status == Status::Queued && code == Reason::QuietHours.code();
            let bucket = if held { "held" } else { status.as_str() };
            assert_eq!(one.buckets(), [(bucket, 1)], "{status} {code}");
            assert_eq!((one.waiting() == 0, one.untouched()), (status.is_settled(), 0), "{status} {code}");
            all.push((status, code, 1));
        }
        let untouched = 5;
        let rows = i64::try_from(all.len()).unwrap() + untouched;
        let run = sums(&all, rows, 3);
        let buckets = run.buckets();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<i64>(), run.rows());
        let names: BTreeSet<&str> = buckets.iter().map(|(name, _)| *name).collect();
        assert_eq!((names.len(), buckets.len()), (Status::ALL.len() + 2, Status::ALL.len() + 2), "no name twice");
        assert_eq!(run.disagreements(&run.clone()), Vec::<String>::new());
    }

    #[test]
    fn a_difference_is_named() {
        let kept = sums(&[(Status::Sent, "", 5)], 4, 0);
        let fresh = sums(&[(Status::Sent, "", 4)], 4, 1);
        assert_eq!(
            kept.disagreements(&fresh),
            [
                "rows refused: 0 in the running sums, 1 counted",
                "sent: 5 in the running sums, 4 counted",
                "5 messages reported on, 4 taken in"
            ]
        );
    }
}
